"""What every connector is: who may tell, and the events that a delivery tells."""

from __future__ import annotations

import abc
import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from ..errors import DefinitionError, LadderError
from ..model.clock import Clock, SystemClock, instant
from ..model.event import Event
from .request import Headers, HeadersLike

__all__ = ["Connector", "Doorbell", "Refused"]

MAX_BYTES: Final = 5_000_000
TOLERANCE: Final = dt.timedelta(minutes=5)
"""How far the time that a scheme signs may be from now, in both directions."""


class Refused(LadderError, ValueError):
    """A delivery that is not authentic: its signature is missing, wrong, or of another time."""


class Connector(abc.ABC):
    """One sender's webhooks: their signature, and what they say as events.

    It keeps no state, so threads may share it, and does no I/O, but to ``reconcile`` where it knows
    how. A connector of your own defines ``check`` and ``read``.

    Args:
        secrets: what deliveries are signed with; several while one is being replaced.
        clock: tells what time it is where nobody says; the machine's when left out.
        max_bytes: the largest body that is read.

    Raises:
        DefinitionError: there is no secret, or one of them is empty.
    """

    def __init__(
        self, *, secrets: Sequence[str], clock: Clock | None = None, max_bytes: int = MAX_BYTES
    ) -> None:
        self._keys = tuple(
            self.key(secret) for secret in checked_secrets(secrets, type(self).__name__)
        )
        self._clock = SystemClock() if clock is None else clock
        self.max_bytes = max_bytes

    def verify(
        self, headers: HeadersLike, body: bytes, now: dt.datetime | str | None = None
    ) -> None:
        """Say nothing if a delivery is authentic.

        Args:
            headers: of the request, in any case; a mapping, or pairs.
            body: the raw bytes, as they came. What was parsed and written again is another body.
            now: against which signed times are compared; aware.

        Raises:
            Refused: no secret has signed this.
            TypeError: the body is text, whose bytes nobody knows.
        """
        self.check(Headers.of(headers), as_bytes(body), self._instant(now))

    def events(
        self, headers: HeadersLike, raw: bytes, received_at: dt.datetime | str
    ) -> list[Event]:
        """Return the events that a delivery tells, none if it tells nothing of a deal.

        Nothing is verified here. The same delivery gives equal events, whenever it comes.

        Args:
            raw: the bytes of the body.
            received_at: stands for times that the sender leaves out.

        Raises:
            InvalidEventError: it cannot be read.
        """
        return self.read(Headers.of(headers), as_bytes(raw), instant(received_at))

    def verify_and_parse(
        self, headers: HeadersLike, body: bytes, now: dt.datetime | str | None = None
    ) -> list[Event]:
        """Return the events of a delivery, if it is authentic.

        Raises:
            Refused: it is not.
            InvalidEventError: it is, and cannot be read.
        """
        told, at = Headers.of(headers), self._instant(now)
        self.verify(told, body, at)
        return self.events(told, body, at)

    def is_ping(self, headers: HeadersLike, body: bytes) -> bool:
        """Return whether this is a test call, unsigned, that tells nothing and wants a 200."""
        return False

    def handshake(self, headers: HeadersLike) -> Mapping[str, str] | None:
        """Return the headers that answer a sender who asks, by OPTIONS, whether it may send."""
        return None

    @abc.abstractmethod
    def check(self, headers: Headers, body: bytes, now: dt.datetime) -> None:
        """Raise ``Refused`` if a delivery is not authentic."""

    @abc.abstractmethod
    def read(self, headers: Headers, body: bytes, received_at: dt.datetime) -> list[Event]:
        """Return the events that an authentic delivery tells."""

    def key(self, secret: str) -> bytes:
        """Return the key that a secret, as it was copied, stands for."""
        return secret.encode()

    def _instant(self, now: dt.datetime | str | None) -> dt.datetime:
        return instant(self._clock.now() if now is None else now)


class Doorbell(Connector):
    """Webhooks that say what to look at, and tell no events of their own.

    Args:
        ring: called with what an authentic delivery names; ``CrmSync.ring``, say.
    """

    def __init__(
        self,
        *,
        secrets: Sequence[str],
        ring: Callable[[Iterable[str]], object],
        clock: Clock | None = None,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        super().__init__(secrets=secrets, clock=clock, max_bytes=max_bytes)
        self._ring = ring

    def rung(self, headers: HeadersLike, body: bytes, now: dt.datetime | str | None = None) -> int:
        """Ring about what a delivery names, if it is authentic, and return how much that is.

        Raises:
            Refused: it is not.
            InvalidEventError: it is, and cannot be read.
        """
        told, raw = Headers.of(headers), as_bytes(body)
        self.verify(told, raw, now)
        names = self.names(told, raw)
        if names:
            self._ring(names)
        return len(names)

    def read(self, headers: Headers, body: bytes, received_at: dt.datetime) -> list[Event]:
        """Return no event: what it is about is read from the sender."""
        return []

    @abc.abstractmethod
    def names(self, headers: Headers, body: bytes) -> set[str]:
        """Return what an authentic delivery is about."""


def as_bytes(body: Any) -> bytes:
    """Return a body as bytes.

    Raises:
        TypeError: it is text.
    """
    if isinstance(body, bytes):
        return body
    if isinstance(body, str):
        raise TypeError(
            "the body is text, and a signature is about bytes: give what came over the wire, "
            "request.body or request.get_data(), before anything has decoded it"
        )
    return bytes(body)


def checked_secrets(secrets: Any, name: str) -> Iterable[str]:
    """Return secrets, if whoever has none of them can sign nothing.

    Raises:
        DefinitionError: there is none, or one of them is empty.
    """
    if isinstance(secrets, str) or not isinstance(secrets, Iterable):
        raise DefinitionError(f"{name}(secrets=…) takes a list, also of one: secrets=[secret]")
    found = tuple(secrets)
    if not found or not all(isinstance(one, str) and one.strip() for one in found):
        raise DefinitionError(
            f"{name} has no secret, or an empty one, and whoever leaves it out could sign "
            "anything: give the secret that the sender shows, and look whether its "
            "environment variable is set"
        )
    return found

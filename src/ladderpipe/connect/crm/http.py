"""Requests to a CRM: no more than a share of what it allows, and again when it is busy."""

from __future__ import annotations

import datetime as dt
import email.utils
import math
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from ...errors import DefinitionError
from ...extras import how_to_install
from ..request import retry_after
from .protocol import CrmError

if TYPE_CHECKING:
    import httpx

__all__ = ["CrmHttp", "Pace", "checked_token", "json_of", "server_time"]

_TRIES: Final = 5
_LONGEST_PAUSE: Final = 60.0
"""Seconds; who is told to wait longer gives up, and comes back in a later round."""
_SHORTEST_PAUSE: Final = 0.001
"""Seconds; what a float leaves over would be waited for again and again."""
_BUSY: Final = {429, 500, 502, 503, 504}
_KEPT_OUT: Final = {401, 403}
_HOW_LONG: Final = ("retry-after", "x-sib-ratelimit-reset")
"""Headers of an answer that say how long to wait; the second one is Brevo's, in every answer."""


class Pace:
    """How many requests go out in a while: a share of what is allowed.

    Args:
        allowed: requests in *seconds*, of which others, too, have to live.
        share: above 0, at most 1.

    Raises:
        DefinitionError: the share is none.
    """

    def __init__(
        self,
        allowed: int,
        seconds: float,
        share: float,
        pause: Callable[[float], object] = time.sleep,
        ticking: Callable[[], float] = time.monotonic,
    ) -> None:
        if not 0 < share <= 1:
            raise DefinitionError(f"share={share}: say which part of the limit is ours, 0.5 say")
        self._share = share
        self._pause, self._ticking = pause, ticking
        self._sent: deque[float] = deque()
        self.allow(allowed, seconds)

    def allow(self, allowed: int, seconds: float) -> None:
        """Take over what a CRM says that it allows."""
        if allowed > 0 and seconds > 0:
            self._most, self._seconds = max(1, math.floor(allowed * self._share)), seconds

    def wait(self, seconds: float) -> None:
        """Wait as long as a CRM asks for."""
        self._pause(seconds)

    def left(self) -> int:
        """Return how many requests may go out now."""
        while self._sent and self._sent[0] <= self._ticking() - self._seconds:
            self._sent.popleft()
        return max(0, self._most - len(self._sent))

    def __call__(self) -> None:
        """Wait until one more request may go out, and count it.

        Raises:
            CrmError: that would take too long.
        """
        while not self.left():
            pause = self._sent[0] + self._seconds - self._ticking()
            if pause > _LONGEST_PAUSE:
                raise CrmError(
                    f"{self._most} requests went out in {self._seconds:g} seconds, which is our "
                    f"part of what the CRM allows; the next one may in {pause:.0f}"
                )
            self._pause(max(pause, _SHORTEST_PAUSE))
        self._sent.append(self._ticking())


class ForbiddenError(CrmError):
    """The token is right, and what is asked for is not open to it, or not part of the plan."""


class CrmHttp:
    """An HTTP client for one CRM.

    Args:
        timeout: seconds that a request may take to connect, and between two parts of an answer.
        learn: told the headers of each answer, where a CRM says what it allows.

    Raises:
        ModuleNotFoundError: httpx is not installed.
    """

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        pace: Pace,
        timeout: float,
        learn: Callable[[Mapping[str, str]], None] = lambda headers: None,
    ) -> None:
        try:
            import httpx
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                f"a CRM is called by httpx: {how_to_install('connect')}", name=error.name
            ) from error
        self._client = httpx.Client(base_url=url, headers=dict(headers), timeout=timeout)
        self._pace, self._learn = pace, learn
        self._transport_error = httpx.TransportError

    def call(
        self,
        method: str,
        path: str,
        json: Any = None,
        params: Mapping[str, Any] | None = None,
        *,
        may_repeat: bool = True,
    ) -> httpx.Response:
        """Return an answer that is not about us or about now: 2xx, or what is wrong with this.

        Args:
            may_repeat: whether it does no harm if the CRM does it twice; a request that may have
                been done is otherwise not sent again.

        Raises:
            ForbiddenError: the CRM refuses this, and the token may be right.
            CrmError: it could not be had.
        """
        what = f"{method} {path}"
        for number in range(1, _TRIES + 1):
            self._pace()
            try:
                answer = self._client.request(method, path, json=json, params=params)
            except self._transport_error as error:
                problem, asked = type(error).__name__, None
                may_be_done = True
            else:
                self._learn(answer.headers)
                if answer.status_code in _KEPT_OUT:
                    kind = ForbiddenError if answer.status_code == 403 else CrmError
                    raise kind(
                        f"{what} is answered {answer.status_code}: look whether the token is "
                        "right, was not revoked, and has the scopes that the how-to lists"
                    )
                if answer.status_code not in _BUSY:
                    return answer
                may_be_done = answer.status_code != 429
                problem = str(answer.status_code)
                asked = _asked(answer.headers, _HOW_LONG[: 1 if may_be_done else None])
            pause = 2.0 ** (number - 1) if asked is None else asked
            if number == _TRIES or pause > _LONGEST_PAUSE or (may_be_done and not may_repeat):
                break
            self._pace.wait(pause)
        raise CrmError(f"{what} is answered {problem}, after {number} tries; it is tried later")

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def checked_token(token: str) -> str:
    """Return a token that can be sent.

    Raises:
        DefinitionError: it is empty, or none.
    """
    if not token.strip() or not token.isascii() or not token.isprintable():
        raise DefinitionError(
            "the CRM's token is empty, or none: look whether its environment variable is set, and "
            "copy it again from where the CRM shows it"
        )
    return token


def json_of(answer: httpx.Response) -> dict[str, Any]:
    """Return the JSON object that an answer is; of a refusal that is none, an empty one.

    Raises:
        CrmError: it should be one, and is none.
    """
    try:
        told = answer.json()
    except ValueError:
        told = None
    if isinstance(told, dict):
        return told
    if answer.is_success:
        raise CrmError("the CRM's answer is no JSON object: is a proxy in between?")
    return {}


def server_time(headers: Mapping[str, str]) -> dt.datetime:
    """Return when an answer was given, by the server's clock if it says so."""
    try:
        at = email.utils.parsedate_to_datetime(headers.get("date", ""))
    except ValueError:
        return dt.datetime.now(dt.UTC)
    return at if at.tzinfo is not None else at.replace(tzinfo=dt.UTC)


def _asked(headers: Mapping[str, str], names: Sequence[str]) -> float | None:
    told = next((headers[name] for name in names if name in headers), None)
    wait = retry_after(told, dt.datetime.now(dt.UTC))
    return None if wait is None else wait.total_seconds()

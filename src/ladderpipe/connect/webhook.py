"""The handler of the effect ``webhook``: tells another system, signed by Standard Webhooks.

See https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md.
"""

from __future__ import annotations

import datetime as dt
import json
import ssl
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from ..errors import DefinitionError, LadderError, UndeliverableError
from ..extras import how_to_install
from ..model.canonical import canonical
from ..model.clock import Clock, SystemClock, instant_text
from ..model.effect import Later, later
from .address import checked_url
from .request import retry_after
from .standard_webhooks import StandardWebhooks

if TYPE_CHECKING:
    from ..model.effect import Delivery

__all__ = ["NotTaken", "Webhook"]

TIMEOUT: Final = 10.0
LONGEST_WAIT: Final = dt.timedelta(days=1)
"""As long as a receiver may put a message off; it asks for more, and is asked again after this."""
GONE: Final = 410
TOO_MANY: Final = 429


class NotTaken(LadderError, OSError):
    """The other system did not take a message; it is tried again."""


class Webhook:
    """Posts what an effect asks for to one address, signed, at least once.

        board.handle_effect("webhook", Webhook("https://erp.example/hooks", secrets=[secret]))

    An effect's name has one address: give another one a name of its own. The effect's key is the
    ``webhook-id``, the same at every try, so that the receiver can drop what it has. Anything in
    200 to 299 is delivered. 410 is a dead letter at once. 429, and whatever names a time in
    ``Retry-After``, is asked again then. All else, redirections included, is tried again with the
    board's backoff. The answer's body is not read.

    Where it posts to is written here and nowhere else: nothing that an event says can lead it to
    another host or path. Nor does it follow redirections, or take proxies from the environment.

    Args:
        url: ``https``; plain ``http`` only to this machine, unless *plain_http*.
        secrets: ``whsec_…``; several while one is being replaced, and each signs.
        body: what to post, as JSON values; by default ``type`` (the payload's, otherwise the
            effect's name), ``timestamp`` (when the effect was due), ``deal``, ``pipeline``, and
            the rest of the payload as ``data``. It must be the same for the same effect.
        headers: sent with each message, an ``Authorization`` for example.
        timeout: seconds to wait for the other side at each step.
        plain_http: post to other machines without encryption, in a network of your own.
        clock: tells when a message is signed.
        ssl_context: for a certificate authority of your own.

    Raises:
        DefinitionError: the address or a secret is none, or the extra ``connect`` is missing.
    """

    def __init__(
        self,
        url: str,
        *,
        secrets: Sequence[str],
        body: Callable[[Delivery], Mapping[str, Any]] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = TIMEOUT,
        plain_http: bool = False,
        clock: Clock | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._url = checked_url(url, plain_http)
        self._signer = StandardWebhooks(secrets=secrets, clock=clock)
        self._body = body or _usual_body
        self._clock = SystemClock() if clock is None else clock
        self._httpx = _library()
        self._client = self._httpx.Client(
            headers={"User-Agent": "ladderpipe", **(headers or {})},
            timeout=timeout,
            verify=True if ssl_context is None else ssl_context,
            follow_redirects=False,
            trust_env=False,
        )

    def __call__(self, delivery: Delivery) -> Later | None:
        """Post what an effect asks for.

        Raises:
            UndeliverableError: the address is gone for good.
            NotTaken: it was not taken, and is to be tried again.
        """
        now = self._clock.now()
        body = json.dumps(canonical(self._body(delivery)), ensure_ascii=False, allow_nan=False)
        content = body.encode()
        headers = {
            "Content-Type": "application/json",
            **self._signer.signed(delivery.key, content, now),
        }
        try:
            # Only the status counts: however much the other side has to say, it is not read.
            with self._client.stream("POST", self._url, content=content, headers=headers) as answer:
                return _heeded(answer.status_code, answer.headers.get("retry-after"), now)
        except self._httpx.HTTPError as error:
            # The address is left out: it may hold a token, and errors are kept with the effect.
            raise NotTaken(
                f"effect {delivery.key}: the webhook's host did not answer "
                f"({type(error).__name__}: {error}); it is tried again"
            ) from error

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def __repr__(self) -> str:
        return f"<Webhook to {urlsplit(self._url).hostname}>"


def _heeded(status: int, told: str | None, now: dt.datetime) -> Later | None:
    """Do as the other side answered."""
    if 200 <= status < 300:
        return None
    if status == GONE:
        raise UndeliverableError(
            "the webhook's address is gone for good (410): give the board the new one, then send "
            "the dead letter again"
        )
    wait = retry_after(told, now)
    if status == TOO_MANY or wait is not None:
        # The board's own backoff holds where it is longer.
        at = now + min(wait or dt.timedelta(), LONGEST_WAIT)
        return later(at, f"the webhook's host answered {status} and asked for time")
    raise NotTaken(f"the webhook's host answered {status}, which is no 2xx; it is tried again")


def _usual_body(delivery: Delivery) -> dict[str, Any]:
    payload = dict(delivery.payload)
    return {
        "type": str(payload.pop("type", None) or delivery.name),
        "timestamp": instant_text(delivery.due_at),
        "deal": delivery.deal.id,
        "pipeline": delivery.pipeline,
        "data": payload,
    }


def _library() -> Any:
    try:
        import httpx
    except ImportError as error:
        raise DefinitionError(
            f"webhooks are posted by the library httpx: {how_to_install('connect')}"
        ) from error
    return httpx

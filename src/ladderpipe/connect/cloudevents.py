"""CloudEvents over HTTP: structured, binary and in batches, and the question that comes before.

See bindings/http-protocol-binding.md and http-webhook.md at
https://github.com/cloudevents/spec/tree/v1.0.2/cloudevents.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, Literal
from urllib.parse import unquote

from ..errors import InvalidEventError
from ..model.clock import Clock
from ..model.event import Event, from_outside
from . import payload as read
from .connector import MAX_BYTES, Connector, Refused
from .request import Headers, HeadersLike, is_one_of
from .standard_webhooks import StandardWebhooks

__all__ = ["CloudEvents"]

_ORIGIN: Final = re.compile(r"[!-~]{1,255}")


class CloudEvents(Connector):
    """CloudEvents from any sender: ``subject`` names the deal, ``sequence`` is ``seq``.

    CloudEvents have no signature of their own. What has no ``time`` is refused, since nobody else
    knows when it happened; one such event in a batch refuses the batch.

    Args:
        secrets: those of Standard Webhooks, or tokens.
        by: how a sender shows who it is: by a signature of Standard Webhooks, or by a token in
            ``Authorization: Bearer …``, which whoever sees it can use.
        origins: whom the handshake lets send; everybody, if left out, as the secret still counts.

    Raises:
        DefinitionError: there is no secret, one of them is empty, or the extra is missing.
    """

    def __init__(
        self,
        *,
        secrets: Sequence[str],
        by: Literal["standard", "bearer"] = "standard",
        origins: Collection[str] | None = None,
        clock: Clock | None = None,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        super().__init__(secrets=secrets, clock=clock, max_bytes=max_bytes)
        self._standard = None if by == "bearer" else StandardWebhooks(secrets=secrets)
        self._origins = None if origins is None else frozenset(origins)

    def handshake(self, headers: HeadersLike) -> Mapping[str, str] | None:
        """Return that a sender may send, and as often as it likes; ``None`` if it may not."""
        told = Headers.of(headers)
        origin = told.get("webhook-request-origin", "")
        allowed = {origin} if self._origins is None else self._origins
        if not _ORIGIN.fullmatch(origin) or origin not in allowed:
            return None
        return {
            "Allow": "POST, OPTIONS",
            "WebHook-Allowed-Origin": origin,
            "WebHook-Allowed-Rate": "*",
        }

    def check(self, headers: Headers, body: bytes, now: dt.datetime) -> None:
        """Refuse what has no signature, or no token, of one of the secrets."""
        if self._standard is not None:
            return self._standard.check(headers, body, now)
        scheme, _, token = headers.get("authorization", "").partition(" ")
        tokens = [key.decode() for key in self._keys]
        if scheme.lower() != "bearer" or not is_one_of(tokens, [token.strip()]):
            raise Refused("Authorization holds no Bearer token that is known here")
        return None

    def read(self, headers: Headers, body: bytes, received_at: dt.datetime) -> list[Event]:
        """Return the events of a message, whichever way it is written."""
        structured = headers.get("content-type", "").lower().startswith("application/cloudevents")
        if not structured and "ce-id" in headers:
            messages: Any = [_binary(headers, body)]
        else:
            found = read.loaded(body)
            messages = found if isinstance(found, list) else [found]
        return [from_outside(Event.from_cloudevent(message)) for message in messages]


def _binary(headers: Headers, body: bytes) -> dict[str, Any]:
    """Return a message whose attributes are headers as a structured one."""
    message: dict[str, Any] = {
        name.removeprefix("ce-"): _decoded(value)
        for name, value in headers.items()
        if name.startswith("ce-")
    }
    if body:
        message["data"] = read.loaded(body)
    return message


def _decoded(value: str) -> str:
    """Return what a header's quotes and percent signs stand for."""
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = re.sub(r"\\(.)", r"\1", value[1:-1])
    try:
        return unquote(value, errors="strict")
    except UnicodeDecodeError:
        raise InvalidEventError(
            f"the header value {value!r} is no UTF-8 in percent signs: write it as CloudEvents does"
        ) from None

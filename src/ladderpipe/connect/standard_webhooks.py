"""Standard Webhooks, and Svix whose names it took over: signed messages from any sender.

See https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md.
"""

from __future__ import annotations

import binascii
import datetime as dt
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any
from urllib.parse import urlencode

from ..errors import DefinitionError, InvalidEventError
from ..extras import how_to_install
from ..model.clock import Clock
from ..model.event import Event, from_outside
from . import payload as read
from .api import Api, Wait, each_told
from .connector import MAX_BYTES, TOLERANCE, Connector, Refused
from .payload import Payload, name_of, part, word
from .request import Headers, base64_hmac, is_one_of

__all__ = ["StandardWebhooks"]


class StandardWebhooks(Connector):
    """Messages as Standard Webhooks has them: an id, a time, a signature, and JSON.

    Without *event*, a message is ``{"type", "timestamp", "deal", "data"}``, and ``seq`` if it
    likes; its ``webhook-id`` is the event's id, and ``timestamp`` is when it happened. The time
    that is signed is that of the attempt, which says nothing of the fact.

    Args:
        secrets: ``whsec_…``, base64 behind it.
        source: who tells, in the identity of events.
        event: returns the events of a payload and its message id, where the sender writes another.
        url: where the sender answers which messages it would send of what has changed, for
            ``reconcile``.

    Raises:
        DefinitionError: there is no secret, one is empty or no base64, or the extra is missing.
    """

    def __init__(
        self,
        *,
        secrets: Sequence[str],
        source: str = "",
        event: Callable[[Payload, str], Event | Iterable[Event] | None] | None = None,
        url: str | None = None,
        clock: Clock | None = None,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        super().__init__(secrets=secrets, clock=clock, max_bytes=max_bytes)
        self._webhook, self._url = _library(), url
        self._source, self._event = source, event

    def key(self, secret: str) -> bytes:
        """Return the bytes that a secret writes in base64."""
        text = secret.strip().removeprefix("whsec_")
        try:
            found = binascii.a2b_base64(text + "=" * (-len(text) % 4), strict_mode=True)
        except (binascii.Error, ValueError):
            found = b""
        if not found:
            raise DefinitionError(
                "a secret of Standard Webhooks is whsec_ and base64, and this one is not, or "
                "nothing follows: copy it whole from the sender's settings"
            )
        return found

    def check(self, headers: Headers, body: bytes, now: dt.datetime) -> None:
        """Refuse what none of the secrets has signed within five minutes of *now*."""
        id, sent, told = (_header(headers, name) for name in ("id", "timestamp", "signature"))
        if not (id and id.isascii() and re.fullmatch(r"[1-9]\d{0,11}", sent, re.ASCII)):
            raise Refused("webhook-id or webhook-timestamp, in seconds since 1970, is missing")
        if abs(now.timestamp() - int(sent)) > TOLERANCE.total_seconds():
            raise Refused("webhook-timestamp is more than five minutes from now")
        right = [self._signed(key, id, int(sent), body) for key in self._keys]
        if not is_one_of(right, told.split(" ")):
            raise Refused("webhook-signature is no signature of this message by any of the secrets")

    def read(self, headers: Headers, body: bytes, received_at: dt.datetime) -> list[Event]:
        """Return the event of a message, or what *event* makes of it."""
        return self._told_by(read.loaded_object(body), _header(headers, "id"))

    def reconcile(self, since: dt.datetime, wait: Wait = time.sleep) -> Iterator[Event]:
        """Return what the sender tells of what has changed since then, when it is asked.

        It is asked by ``GET <url>?since=…``, and for every further page ``&after=…``; as in its own
        messages, ``webhook-signature`` signs, in place of the body, what follows the question mark.
        It answers ``{"messages": [{"id", "type", "timestamp", "deal", "data"}, …], "next": …}``:
        *id* is the ``webhook-id`` that a message has, *next* what to ask for *after*, if anything.

        Raises:
            DefinitionError: *url* is missing.
            Unreachable: while the events are read.
        """
        if not self._url:
            raise DefinitionError(
                "a sender of Standard Webhooks is asked where it answers: StandardWebhooks(url=…)"
            )
        return self._changed(Api(self._url, wait=wait), {"since": since.isoformat()})

    def _changed(self, api: Api, params: dict[str, str]) -> Iterator[Event]:
        while True:
            now, query = self._instant(None), urlencode(params).encode()
            signed = self.signed(name_of(read.digest(params), now.isoformat()), query, now)
            page = part(api.get("", params, signed).content)
            yield from each_told(page.get("messages"), self._told_in, self)
            after = word(page.get("next"))
            if after in (None, params.get("after")):
                return
            params = params | {"after": str(after)}

    def _told_in(self, message: Payload) -> list[Event]:
        id = word(message.get("id"))
        if id is None:
            raise InvalidEventError("a message that was asked for has no id, so it is nameless")
        return self._told_by(message, id)

    def _told_by(self, payload: Payload, id: str) -> list[Event]:
        if self._event is not None:
            found = self._event(payload, id)
            return [] if found is None else [found] if isinstance(found, Event) else list(found)
        missing = [name for name in ("type", "timestamp", "deal") if not payload.get(name)]
        if missing:
            raise InvalidEventError(
                f"message {id!r} has no {', '.join(missing)}, so it is no event of a deal: let the "
                "sender write them, or give StandardWebhooks(event=…) what reads this payload"
            )
        event = Event(
            payload["type"],
            deal=payload["deal"],
            id=id,
            at=payload["timestamp"],
            source=self._source,
            seq=payload.get("seq", 0),
            data=payload.get("data") or {},
        )
        return [from_outside(event)]

    def signed(self, id: str, body: bytes, now: dt.datetime) -> dict[str, str]:
        """Return the headers that sign a message of your own, with each of the secrets.

        Args:
            id: the same whenever this message is sent again.
            now: when it is sent; receivers refuse what is five minutes old.
        """
        sent = int(now.timestamp())
        return {
            "webhook-id": id,
            "webhook-timestamp": str(sent),
            "webhook-signature": " ".join(self._signed(key, id, sent, body) for key in self._keys),
        }

    def _signed(self, key: bytes, id: str, sent: int, body: bytes) -> str:
        try:
            text = body.decode()
        except UnicodeDecodeError:
            # The library signs text only; what is none may be authentic all the same.
            return f"v1,{base64_hmac(key, f'{id}.{sent}.'.encode() + body)}"
        signature: str = self._webhook(key).sign(id, dt.datetime.fromtimestamp(sent, dt.UTC), text)
        return signature


def _header(headers: Headers, name: str) -> str:
    return headers.get(f"webhook-{name}") or headers.get(f"svix-{name}") or ""


def _library() -> Any:
    try:
        from standardwebhooks import Webhook
    except ImportError as error:
        raise DefinitionError(
            f"Standard Webhooks are checked by a library of that name: {how_to_install('connect')}"
        ) from error
    return Webhook

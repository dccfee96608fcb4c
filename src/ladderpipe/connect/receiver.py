"""A receiver: connectors before a board, as an ASGI or a WSGI application.

It answers 2xx once what was told is stored, whatever that is: a shop that gets anything else tries
again, and after a few times never sends again.
"""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import parse_qs

import attrs

from ..board.board import Board
from ..errors import DefinitionError, InstantError, InvalidEventError
from ..observability.log_records import record
from .connector import Connector, Doorbell, Refused
from .intake import take
from .links import SignedLink
from .pages import Page, page
from .reply import Reply
from .request import Headers

if TYPE_CHECKING:
    from ..asynchronous import AsyncBoard

__all__ = ["Receiver"]

RECEIVED: Final = logging.getLogger("ladderpipe.connect")
RETRY_AFTER: Final = 30
"""Seconds after which a sender may try again what could not be stored."""

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
AsgiApplication: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]
WsgiApplication: TypeAlias = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


@attrs.frozen
class _Admitted:
    """A request that somebody listens to: how long its body may be, and who answers it."""

    max_bytes: int
    answer: Callable[[Any, bytes], Reply]


def _refusal(status: HTTPStatus, error: str, **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply.told(status, {"error": error}, named)


_TOO_LARGE = _refusal(HTTPStatus.BAD_REQUEST, "the body is larger than this receiver reads")
_LINK_BYTES: Final = 10_000
"""What a browser or a mail program may post to a link; nothing of it is needed."""


class _Gone(Exception):
    """Who sent the request did not stay for the answer."""


class Receiver:
    """Puts connectors before a board: ``asgi`` and ``wsgi`` are applications, to serve or to mount.

    - 200: everything that was told is stored, or was before; it has rung; a ping; a handshake.
    - 202: it is authentic and tells nothing of a deal.
    - 400: it is authentic and cannot be read, or it is too large.
    - 401: it is not authentic.
    - 404: no connector is at this path. 405: it is no ``POST``.
    - 503, with ``Retry-After``: it could not be stored, because the database is away, say.

    Events are taken with ``hold=True``, so that no order is refused: what cannot be used waits in
    ``board.held()``. A snapshot of a cart that says nothing new is left out.

    Args:
        board: an ``AsyncBoard`` serves ``asgi`` only.
        connectors: by the path that each is at, below where the application is mounted; links
            in mails among them, whose answers are pages for people.

    Raises:
        DefinitionError: a path does not begin with ``/``, or something is no connector.
    """

    def __init__(
        self, board: Board | AsyncBoard, connectors: Mapping[str, Connector | SignedLink]
    ) -> None:
        for path, connector in connectors.items():
            if not path.startswith("/") or not isinstance(connector, Connector | SignedLink):
                raise DefinitionError(
                    f"Receiver got {connector!r} at {path!r}: map paths such as '/shopify' to "
                    "connectors such as Shopify(secrets=[…]), or to links"
                )
        self._board = board
        self._is_awaited = inspect.iscoroutinefunction(board.handle)
        self._connectors = {path.rstrip("/"): each for path, each in connectors.items()}

    @property
    def wsgi(self) -> WsgiApplication:
        """The application for a WSGI server, Flask's or Django's among them.

        Raises:
            DefinitionError: the board is an ``AsyncBoard``.
        """
        if self._is_awaited:
            raise DefinitionError(
                "an AsyncBoard has to be awaited, and WSGI awaits nothing: open a Board, or serve "
                "receiver.asgi"
            )
        return self._wsgi

    def _wsgi(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        headers = Headers.of(
            (name.removeprefix("HTTP_").replace("_", "-"), value)
            for name, value in environ.items()
            if name.startswith("HTTP_") or name in ("CONTENT_TYPE", "CONTENT_LENGTH")
        )
        method, path = environ["REQUEST_METHOD"], environ.get("PATH_INFO", "")
        found = self._admitted(method, path, environ.get("QUERY_STRING", ""), headers)
        if isinstance(found, _Admitted):
            body = _read(environ, headers, found.max_bytes)
            found = _TOO_LARGE if body is None else found.answer(self._board, body)
        start_response(f"{found.status.value} {found.status.phrase}", found.pairs())
        return [found.body]

    @property
    def asgi(self) -> AsgiApplication:
        """The application for an ASGI server, FastAPI's or Starlette's among them."""

        # Servers know ASGI 3 by a coroutine function, and take a method for something older.
        async def application(scope: Message, receive: Receive, send: Send) -> None:
            await self._asgi(scope, receive, send)

        return application

    async def _asgi(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await _live(receive, send)
        if scope["type"] != "http":
            return await send({"type": "websocket.close", "code": 1000})
        headers = Headers.of(scope["headers"])
        path = scope["path"].removeprefix(scope.get("root_path", "").rstrip("/"))
        query = scope.get("query_string", b"").decode("latin-1")
        found = self._admitted(scope["method"], path, query, headers)
        if isinstance(found, _Admitted):
            try:
                body = await _received(receive, found.max_bytes)
            except _Gone:
                return None
            found = _TOO_LARGE if body is None else await self._awaited(found, body)
        pairs = [(name.lower().encode(), value.encode("latin-1")) for name, value in found.pairs()]
        await send({"type": "http.response.start", "status": found.status, "headers": pairs})
        return await send({"type": "http.response.body", "body": found.body})

    async def _awaited(self, admitted: _Admitted, body: bytes) -> Reply:
        if self._is_awaited:
            # As each of its methods is: the same plain code, in a strand.
            board: Any = self._board
            answer = functools.partial(admitted.answer, board._board, body)
            reply: Reply = await board._in_strand(answer)
            return reply
        from asyncio import to_thread

        return await to_thread(admitted.answer, self._board, body)

    def _admitted(self, method: str, path: str, query: str, headers: Headers) -> _Admitted | Reply:
        connector = self._connectors.get(path.rstrip("/"))
        if connector is None:
            return _refusal(HTTPStatus.NOT_FOUND, "nobody listens here")
        if isinstance(connector, SignedLink):
            if method not in ("GET", "HEAD", "POST"):
                known = "GET, HEAD, POST"
                return _refusal(HTTPStatus.METHOD_NOT_ALLOWED, "links are opened", Allow=known)
            opened = functools.partial(self._open, connector, method, query, headers)
            return _fitting(headers, _Admitted(_LINK_BYTES, opened))
        if method == "OPTIONS" and (allowed := connector.handshake(headers)):
            return Reply.told(HTTPStatus.OK, {}, allowed)
        if method != "POST":
            return _refusal(HTTPStatus.METHOD_NOT_ALLOWED, "webhooks are posted", Allow="POST")
        answer = functools.partial(self._answer, connector, headers)
        return _fitting(headers, _Admitted(connector.max_bytes, answer))

    def _open(
        self, link: SignedLink, method: str, query: str, headers: Headers, board: Any, body: bytes
    ) -> Reply:
        """Answer who opens a link; nothing may escape here either."""
        name = type(link).__name__
        try:
            reply = link.answer(board, method, _token(query), headers)
            return reply if method != "HEAD" else attrs.evolve(reply, body=b"")
        except Refused as error:
            record(RECEIVED, logging.WARNING, "a link is not authentic", error=error, sender=name)
            return page(Page.REFUSED, HTTPStatus.UNAUTHORIZED, headers)
        except Exception as error:
            record(RECEIVED, logging.ERROR, "a link is not answered", error=error, sender=name)
            again = {"Retry-After": str(RETRY_AFTER)}
            return page(Page.LATER, HTTPStatus.SERVICE_UNAVAILABLE, headers, again)

    def _answer(self, connector: Connector, headers: Headers, board: Any, body: bytes) -> Reply:
        """Take one delivery; this is where nothing may escape as an error."""
        name = type(connector).__name__
        try:
            if connector.is_ping(headers, body):
                return Reply.told(HTTPStatus.OK, {"ping": True})
            if isinstance(connector, Doorbell):
                rung = connector.rung(headers, body, board.clock.now())
                return Reply.told(HTTPStatus.OK, {"rung": rung})
            events = connector.verify_and_parse(headers, body, board.clock.now())
            if not events:
                return Reply.told(HTTPStatus.ACCEPTED, {"ignored": True})
            return Reply.told(HTTPStatus.OK, {"taken": dict(take(board, events))})
        except Refused as error:
            record(RECEIVED, logging.WARNING, "a delivery is not authentic", sender=name)
            return _refusal(HTTPStatus.UNAUTHORIZED, str(error))
        except (InvalidEventError, InstantError) as error:
            record(RECEIVED, logging.ERROR, "a delivery cannot be read", error=error, sender=name)
            return _refusal(HTTPStatus.BAD_REQUEST, str(error))
        except Exception as error:
            # Whatever it is, the fact has happened: let the sender keep it until this is mended.
            record(RECEIVED, logging.ERROR, "a delivery is not stored", error=error, sender=name)
            again = {"Retry_After": str(RETRY_AFTER)}
            return _refusal(HTTPStatus.SERVICE_UNAVAILABLE, "not stored; try again", **again)


def _fitting(headers: Headers, admitted: _Admitted) -> _Admitted | Reply:
    length = headers.get("content-length", "").strip() or "0"
    is_number = length.isascii() and length.isdigit()
    return admitted if is_number and int(length[:20]) <= admitted.max_bytes else _TOO_LARGE


def _token(query: str) -> str:
    try:
        return parse_qs(query, max_num_fields=20).get("token", [""])[-1]
    except ValueError:
        return ""


def _read(environ: Mapping[str, Any], headers: Headers, most: int) -> bytes | None:
    """Return a WSGI request's body, ``None`` if it is too large."""
    length = headers.get("content-length") or None
    if length is None and not environ.get("wsgi.input_terminated"):
        return b""  # the server could wait for ever for an end that nobody has told
    body: bytes = environ["wsgi.input"].read(most + 1 if length is None else int(length))
    return body if len(body) <= most else None


async def _received(receive: Receive, most: int) -> bytes | None:
    """Return an ASGI request's body, ``None`` if it is too large."""
    body, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Gone
        body += message.get("body", b"")
        if len(body) > most:
            return None
        more = message.get("more_body", False)
    return bytes(body)


async def _live(receive: Receive, send: Send) -> None:
    for _ in ("startup", "shutdown"):
        message = await receive()
        await send({"type": f"{message['type']}.complete"})

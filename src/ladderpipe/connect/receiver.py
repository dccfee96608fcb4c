"""A receiver: connectors before a board, as an ASGI or a WSGI application.

It answers 2xx once what was told is stored, whatever that is: a shop that gets anything else tries
again, and after a few times never sends again.
"""

from __future__ import annotations

import functools
import inspect
import json
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import attrs

from ..board.board import Board
from ..errors import DefinitionError, InstantError, InvalidEventError
from ..model.event import Event
from ..observability.log_records import record
from .connector import Connector, Refused
from .request import Headers
from .snapshot import Snapshots

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
class _Reply:
    """What is answered to one request."""

    status: HTTPStatus
    content: Mapping[str, Any] = {}
    headers: Mapping[str, str] = {}
    body: bytes = attrs.field(init=False)

    @body.default
    def _written(self) -> bytes:
        return json.dumps(self.content).encode()

    def pairs(self) -> list[tuple[str, str]]:
        own = {"Content-Type": "application/json", "Content-Length": str(len(self.body))}
        return [*own.items(), *self.headers.items()]


def _refusal(status: HTTPStatus, error: str, **headers: str) -> _Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return _Reply(status, {"error": error}, named)


_TOO_LARGE = _refusal(HTTPStatus.BAD_REQUEST, "the body is larger than this receiver reads")


class _Gone(Exception):
    """Who sent the request did not stay for the answer."""


class Receiver:
    """Puts connectors before a board: ``asgi`` and ``wsgi`` are applications, to serve or to mount.

    - 200: everything that was told is stored, or was before; a ping; a handshake.
    - 202: it is authentic and tells nothing of a deal.
    - 400: it is authentic and cannot be read, or it is too large.
    - 401: it is not authentic.
    - 404: no connector is at this path. 405: it is no ``POST``.
    - 503, with ``Retry-After``: it could not be stored, because the database is away, say.

    Events are taken with ``hold=True``, so that no order is refused: what cannot be used waits in
    ``board.held()``. A snapshot of a cart that says nothing new is left out.

    Args:
        board: an ``AsyncBoard`` serves ``asgi`` only.
        connectors: by the path that each is at, below where the application is mounted.

    Raises:
        DefinitionError: a path does not begin with ``/``, or something is no connector.
    """

    def __init__(self, board: Board | AsyncBoard, connectors: Mapping[str, Connector]) -> None:
        for path, connector in connectors.items():
            if not path.startswith("/") or not isinstance(connector, Connector):
                raise DefinitionError(
                    f"Receiver got {connector!r} at {path!r}: map paths such as '/shopify' to "
                    "connectors such as Shopify(secrets=[…])"
                )
        self._board = board
        self._is_awaited = inspect.iscoroutinefunction(board.handle)
        self._snapshots = Snapshots()
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
        found = self._admitted(environ["REQUEST_METHOD"], environ.get("PATH_INFO", ""), headers)
        if isinstance(found, Connector):
            body = _read(environ, headers, found.max_bytes)
            found = _TOO_LARGE if body is None else self._answer(self._board, found, headers, body)
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
        found = self._admitted(scope["method"], path, headers)
        if isinstance(found, Connector):
            try:
                body = await _received(receive, found.max_bytes)
            except _Gone:
                return None
            found = _TOO_LARGE if body is None else await self._awaited(found, headers, body)
        pairs = [(name.lower().encode(), value.encode("latin-1")) for name, value in found.pairs()]
        await send({"type": "http.response.start", "status": found.status, "headers": pairs})
        return await send({"type": "http.response.body", "body": found.body})

    async def _awaited(self, connector: Connector, headers: Headers, body: bytes) -> _Reply:
        if self._is_awaited:
            # As each of its methods is: the same plain code, in a strand.
            board: Any = self._board
            answer = functools.partial(self._answer, board._board, connector, headers, body)
            reply: _Reply = await board._in_strand(answer)
            return reply
        from asyncio import to_thread

        return await to_thread(self._answer, self._board, connector, headers, body)

    def _admitted(self, method: str, path: str, headers: Headers) -> Connector | _Reply:
        connector = self._connectors.get(path.rstrip("/"))
        if connector is None:
            return _refusal(HTTPStatus.NOT_FOUND, "nobody listens here")
        if method == "OPTIONS" and (allowed := connector.handshake(headers)):
            return _Reply(HTTPStatus.OK, {}, allowed)
        if method != "POST":
            return _refusal(HTTPStatus.METHOD_NOT_ALLOWED, "webhooks are posted", Allow="POST")
        length = headers.get("content-length", "0").strip()
        if length.isascii() and length.isdigit() and int(length[:20]) <= connector.max_bytes:
            return connector
        return _TOO_LARGE

    def _answer(self, board: Any, connector: Connector, headers: Headers, body: bytes) -> _Reply:
        """Take one delivery; this is where nothing may escape as an error."""
        name = type(connector).__name__
        try:
            if connector.is_ping(headers, body):
                return _Reply(HTTPStatus.OK, {"ping": True})
            events = connector.verify_and_parse(headers, body, board.clock.now())
            if not events:
                return _Reply(HTTPStatus.ACCEPTED, {"ignored": True})
            return _Reply(HTTPStatus.OK, {"taken": self._take(board, events)})
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

    def _take(self, board: Board, events: list[Event]) -> dict[str, int]:
        fresh = [event for event in events if not self._snapshots.leaves_out(board, event)]
        left_out = len(events) - len(fresh)
        taken = _store(board, fresh) | ({"unchanged": left_out} if left_out else {})
        if missed := self._snapshots.missed(fresh):
            _store(board, missed)
        return taken


def _store(board: Board, events: list[Event]) -> dict[str, int]:
    if len(events) == 1:
        return {board.handle(events[0], hold=True).outcome.value: 1}
    report = board.handle_many(events, hold=True)
    for failure in report.failures:
        raise failure.error
    return {outcome.value: count for outcome, count in report.outcomes.items()}


def _read(environ: Mapping[str, Any], headers: Headers, most: int) -> bytes | None:
    """Return a WSGI request's body, ``None`` if it is too large."""
    length = headers.get("content-length")
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

"""What changes, told as it happens: server-sent events, for servers that keep an answer open.

Told is that something changed, never what: the page then asks as ever, and is answered within its
reader's scope. The form is that of https://html.spec.whatwg.org/multipage/server-sent-events.html.
"""

from __future__ import annotations

import contextlib
import random
import signal
import time
from collections.abc import AsyncGenerator
from http import HTTPStatus
from typing import Final

import anyio
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ..problems.problem import RETRY_AFTER
from .call import Call
from .changes import changes_since, cursor_now
from .feed import Listening
from .refusal import Refusal

__all__ = ["EventStream", "live"]

ALIVE: Final = 10.0
"""Seconds after which somebody who was told nothing is told that it still would be: proxies cut
what is silent, and a page that hears nothing asks by itself."""
LIFE: Final = (90.0, 120.0)
"""Seconds for which one answer is kept open: then the browser asks again, and is signed in anew."""
RETRY: Final = (1_000, 3_000)
"""Milliseconds until a browser that was cut off comes again, so that not all come at once."""


def live(call: Call) -> Listening:
    """Tell that something changed as soon as it has, as server-sent events, after a cursor."""
    if call.feed is None:
        raise Refusal(HTTPStatus.NOT_FOUND, call.words.gettext("There is no such page."))
    if call.feed.is_full:
        raise Refusal(
            HTTPStatus.SERVICE_UNAVAILABLE,
            call.words.gettext("Too many are listening: ask for the changes instead."),
            headers={"Retry-After": str(RETRY_AFTER)},
        )
    # In this order: what changes from here on is found below, or counted by the feed.
    news, at = call.feed.news, time.monotonic()
    after = call.heard or call.query.text("after")
    if not after:
        return Listening(call.feed, cursor_now(call), False, news, at)
    told = changes_since(call, after)
    return Listening(call.feed, told.cursor, bool(told.deals or told.gone), news, at)


class EventStream(Response):
    """An answer that goes on until its listener leaves, the server ends, or it is old enough."""

    media_type = "text/event-stream"

    def __init__(self, listening: Listening) -> None:
        # nginx would keep it to itself until it has a page full.
        super().__init__(headers={"cache-control": "no-store", "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._listening = listening

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, as ASGI has it."""
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(start)
        if scope["method"] != "HEAD":
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_until_left, receive, tasks.cancel_scope)
                # Some servers raise an OSError where nobody is there any more.
                with contextlib.suppress(OSError):
                    async with contextlib.aclosing(self._events()) as events:
                        async for event in events:
                            body = {"type": "http.response.body", "more_body": True}
                            await send({**body, "body": event.encode()})
                tasks.cancel_scope.cancel()
        with contextlib.suppress(OSError):
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _events(self) -> AsyncGenerator[str]:
        feed, cursor = self._listening.feed, self._listening.cursor
        end = time.monotonic() + random.uniform(*LIFE)
        with feed.joined(self._listening) as has_news:
            news = feed.news
            yield f"retry: {random.randint(*RETRY)}\n" + _event(has_news, cursor)
            told_at = time.monotonic()
            while time.monotonic() < end:
                with anyio.move_on_after(ALIVE):
                    await feed.turn()
                if _server_ends():
                    return
                has_news = feed.news != news
                if has_news or time.monotonic() - told_at >= ALIVE:
                    # A cursor of before it was looked is told with news: once more, never missed.
                    news, cursor, told_at = feed.news, feed.cursor, time.monotonic()
                    yield _event(has_news, cursor)
        yield "retry: 1\n\n"  # not cut off: to come again at once


def _event(has_news: bool, cursor: str) -> str:
    # Without data a browser would tell its page nothing.
    return f"event: {'changed' if has_news else 'alive'}\nid: {cursor}\ndata: {cursor}\n\n"


async def _until_left(receive: Receive, listening: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    listening.cancel()


def _server_ends() -> bool:
    """Whether uvicorn is about to end: it waits for open answers, and tells them nothing of it.

    Its own signal handler knows; sse-starlette asks it likewise. Others cut off what is open.
    """
    server = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    return getattr(server, "should_exit", False) is True

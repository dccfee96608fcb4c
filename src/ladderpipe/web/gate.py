"""The gate of a board that is served by itself, where no host application signs anybody in."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["HEALTHY", "READY", "Probes", "TokenGate", "only_under"]

COOKIE: Final = "ladderpipe_token"
YEAR: Final = 365 * 24 * 3600
"""Seconds that a browser remembers the token."""


HEALTHY: Final = "/-/healthy"
READY: Final = "/-/ready"
"""No board's addresses: none is called by punctuation alone."""


class Probes:
    """Answers whoever starts and ends servers, who knows no token and none of their names.

    Args:
        is_ready: whether requests can be answered; may take its time, and is asked in a thread.
    """

    def __init__(self, application: ASGIApp, is_ready: Callable[[], bool]) -> None:
        self._application = application
        self._is_ready = is_ready

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, as ASGI has it."""
        path = scope["path"] if scope["type"] == "http" else None
        if path == HEALTHY:
            await PlainTextResponse("healthy\n")(scope, receive, send)
        elif path == READY:
            is_ready = await run_in_threadpool(self._is_ready)
            told, status = ("ready\n", 200) if is_ready else ("the store does not answer\n", 503)
            await PlainTextResponse(told, status)(scope, receive, send)
        else:
            await self._application(scope, receive, send)


def only_under(application: ASGIApp, hosts: Iterable[str]) -> ASGIApp:
    """Let nobody in who asks for another host's name.

    Another site's name may be made to lead a browser to this machine: what it asks for then looks
    like the page's own requests, but for the name.
    """
    return TrustedHostMiddleware(application, list(hosts), www_redirect=False)


class TokenGate:
    """Lets in who knows the token: by the address once, then by a cookie."""

    def __init__(self, application: ASGIApp, token: str) -> None:
        self._application = application
        self._token = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, as ASGI has it."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        request = Request(scope)
        told = request.query_params.get("token", "")
        response: Response
        if request.method == "GET" and self._knows(told):
            response = RedirectResponse("./", 303)
            response.set_cookie(COOKIE, told, YEAR, httponly=True, samesite="strict")
            await response(scope, receive, send)
        elif self._knows(request.cookies.get(COOKIE, "")) or self._knows(_bearer(request)):
            await self._application(scope, receive, send)
        else:
            response = PlainTextResponse("Open the address that the server has printed.\n", 401)
            await response(scope, receive, send)

    def _knows(self, told: str) -> bool:
        return hmac.compare_digest(told.encode("utf-8", "surrogatepass"), self._token)


def _bearer(request: Request) -> str:
    return request.headers.get("authorization", "").removeprefix("Bearer ").strip()

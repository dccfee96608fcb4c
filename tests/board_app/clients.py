"""A client that asks an application as a browser without scripts does, in this very process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

import httpx

__all__ = ["Client", "Clients"]


class Client:
    """Sends requests to an ASGI application, on an event loop of its own, with cookies."""

    def __init__(self, app: Any, **cookies: str | None) -> None:
        self._runner = asyncio.Runner()
        self._client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app),
            base_url="http://testserver",
            cookies={name: value for name, value in cookies.items() if value},
        )

    def request(self, method: str, address: str, **more: Any) -> httpx.Response:
        """Send a request; redirects are answers, too."""
        return self.run(self._client.request(method, address, **more))

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Have something done on the loop."""
        return self._runner.run(work)

    def get(self, address: str, **more: Any) -> httpx.Response:
        """Look at a page."""
        return self.request("GET", address, **more)

    def post(self, address: str, **more: Any) -> httpx.Response:
        """Send a form, or JSON."""
        return self.request("POST", address, **more)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the loop."""
        self._runner.run(self._client.aclose())
        self._runner.close()


Clients: TypeAlias = Callable[..., Client]

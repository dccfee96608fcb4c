"""Other people's services, as they stand in for the real ones: over HTTP, with faults."""

from __future__ import annotations

import abc
import contextlib
import json
import socket
import threading
from collections import Counter, deque
from collections.abc import Iterator
from typing import Any, Literal

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ladderpipe import ManualClock

from .senders import NOW

Fault = Literal["busy", "broken", "done but broken"]


class Time:
    """Seconds that pass when somebody waits."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.pauses: list[float] = []

    def ticking(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


class Service(abc.ABC):
    """A service that is asked too often, breaks down, or breaks down once its work is done."""

    def __init__(self) -> None:
        self.time, self.clock = Time(), ManualClock(NOW)
        self.url = ""
        self.lock = threading.RLock()
        self.reset()

    def reset(self) -> None:
        self.faults: deque[Fault | None] = deque()
        self.faults_at: dict[str, list[Fault | None]] = {}
        self.bells: list[dict[str, Any]] = []
        self.calls: Counter[str] = Counter()
        self.sent: deque[float] = deque()
        self.allowed = (100, 10.0)
        self.most_in_a_window = 0
        self.numbers = 100

    @abc.abstractmethod
    def is_let_in(self, request: Request) -> bool: ...

    @abc.abstractmethod
    def route(self, request: Request, path: list[str], told: Any) -> tuple[int, Any]: ...

    @abc.abstractmethod
    def headers(self) -> dict[str, str]: ...

    def is_counted(self, path: str) -> bool:
        """Whether a request counts towards what is allowed."""
        return True

    def busy_headers(self) -> dict[str, str]:
        """Return how it says when to come again."""
        return {"Retry-After": "3"}

    def number(self) -> str:
        self.numbers += 1
        return str(self.numbers)

    async def answer(self, request: Request) -> Response:
        body = await request.body()
        return await run_in_threadpool(self._answer, request, json.loads(body) if body else {})

    def _answer(self, request: Request, told: Any) -> Response:
        with self.lock:
            path = request.url.path
            self.calls[path] += 1
            most, seconds = self.allowed
            while self.sent and self.sent[0] <= self.time.now - seconds:
                self.sent.popleft()
            if self.is_counted(path):
                self.sent.append(self.time.now)
            self.most_in_a_window = max(self.most_in_a_window, len(self.sent))
            fault = self.faults.popleft() if self.faults else None
            if at_this := self.faults_at.get(path):
                fault = at_this.pop(0)
            if len(self.sent) > most or fault == "busy":
                return JSONResponse({"error": "busy"}, 429, self.busy_headers())
            if fault == "broken":
                return JSONResponse({}, 500, self.headers())
            if not self.is_let_in(request):
                return JSONResponse({"error": "unknown"}, 401)
            status, answer = self.route(request, path.strip("/").split("/"), told)
            if fault == "done but broken":
                return Response("bad gateway", 502)
            if answer is None:
                return Response(status_code=status, headers=self.headers())
            return JSONResponse(answer, status, self.headers())


@contextlib.contextmanager
def serving(service: Service) -> Iterator[None]:
    """Serve on a free port of this machine."""
    route = Route("/{rest:path}", service.answer, methods=["GET", "POST", "PATCH"])
    with socket.create_server(("127.0.0.1", 0)) as listening:
        settings = uvicorn.Config(
            Starlette(routes=[route]), log_level="warning", lifespan="off", date_header=False
        )
        server = uvicorn.Server(settings)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        service.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        try:
            yield
        finally:
            server.should_exit = True
            thread.join()

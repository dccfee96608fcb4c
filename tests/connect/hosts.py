"""Another system that webhooks are posted to: a real server, which answers as it is told."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import attrs


@attrs.frozen
class Got:
    """One request that came."""

    path: str
    headers: dict[str, str]
    body: bytes


@attrs.define
class Host:
    """What came, and what is answered next: a status, headers, and how much of a body.

    Without anything left to answer it says 204.
    """

    url: str
    got: list[Got] = attrs.Factory(list)
    answers: list[tuple[int, dict[str, str], int]] = attrs.Factory(list)

    def answer(self, status: int, *, body: int = 0, **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answers.append((status, named, body))


@contextlib.contextmanager
def listening() -> Iterator[Host]:
    """Serve on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            host.got.append(Got(self.path, headers, body))
            status, more, length = host.answers.pop(0) if host.answers else (204, {}, 0)
            if status == 0:
                self.connection.close()
                return
            self.send_response(status)
            for name, value in more.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            with contextlib.suppress(OSError):
                while length > 0:
                    self.wfile.write(b"x" * min(length, 65536))
                    length -= 65536

        def log_message(self, *told: Any) -> None:
            """Say nothing: tests look at what came."""

        def finish(self) -> None:
            with contextlib.suppress(OSError, ValueError):
                super().finish()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    host = Host(f"http://127.0.0.1:{server.server_address[1]}/hooks?of=erp")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield host
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

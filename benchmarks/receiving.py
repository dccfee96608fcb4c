"""(n) A receiver against `handle` through the same server without it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import datetime as dt
import hashlib
import hmac
import itertools
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from ladderpipe import Board, Event, ManualClock
from ladderpipe.connect import Receiver, Shopify

from .harness import Report, Row, compare, rate, timed
from .ladders import END, START, sales
from .stores import open_board

METHOD = """\
One uvicorn process, a SQLite file for each side, one connection that posts carts one after the
other, 250 deals in flight, every cart another one. Ours is `Receiver` with `Shopify`: the signature
is checked, the payload read, the deal asked whether the cart is new, the event stored with
`hold=True`. The other side gets the same requests with the events in them, ready to be stored, and
calls `handle(event, hold=True)` in a thread. In the end both boards hold the same deals.\
"""

SECRET: Final = "hush-hush"
SHOP: Final = "x.myshopify.com"
IN_FLIGHT: Final = 250
FOLDER: Final = "LADDERPIPE_BENCHMARK"


def run(quick: bool, folder: Path) -> Report:
    size, rounds = (300, 6) if quick else (1_000, 20)
    bodies = [json.dumps(payload).encode() for payload in payloads(size * rounds)]
    shop = Shopify(secrets=[SECRET])
    signed = [_request("/shopify", body, signature(body)) for body in bodies]
    ready = [_request("/handle", plain(shop, body), signature(body)) for body in bodies]
    with serving(folder) as port, socket.create_connection(("127.0.0.1", port)) as connection:
        ours, theirs = _parts(signed, size), _parts(ready, size)
        pair = compare(
            lambda: timed(_posting(connection, next(ours)))(),
            lambda: timed(_posting(connection, next(theirs)))(),
            rounds=rounds,
        )
    _assert_same_deals(folder)
    measured = f"{rate(size, pair.ours, 'events')} : {rate(size, pair.theirs, 'events')}"
    row = Row("a cart of Shopify, over HTTP", measured, pair.speed, target=0.8)
    return Report("Receiving webhooks", METHOD, [row])


def payloads(count: int) -> Iterator[dict[str, Any]]:
    """Yield carts as Shopify sends them, three lines each."""
    for number in range(count):
        at = START + dt.timedelta(seconds=number)
        yield {
            "id": f"c{number % IN_FLIGHT}",
            "token": f"c{number % IN_FLIGHT}",
            "note": None,
            "updated_at": at.isoformat(),
            "line_items": [
                {
                    "id": 100 + line,
                    "sku": f"SKU-{line}",
                    "variant_id": 100 + line,
                    "title": f"Article {line}",
                    "quantity": 1 + number // IN_FLIGHT,
                    "price": "19.90",
                    "grams": 200,
                    "properties": {},
                }
                for line in range(3)
            ],
        }


def signature(body: bytes) -> dict[str, str]:
    """Return the headers of a delivery."""
    signed = base64.b64encode(hmac.digest(SECRET.encode(), body, hashlib.sha256)).decode()
    return {
        "X-Shopify-Topic": "carts/update",
        "X-Shopify-Shop-Domain": SHOP,
        "X-Shopify-Triggered-At": START.isoformat(),
        "X-Shopify-Hmac-Sha256": signed,
    }


def plain(shop: Shopify, body: bytes) -> bytes:
    """Return the event of a delivery as the other side reads it."""
    (event,) = shop.events(signature(body), body, END)
    return json.dumps(event.to_dict()).encode()


def _request(path: str, body: bytes, headers: dict[str, str]) -> bytes:
    named = {"Host": "127.0.0.1", "Content-Length": str(len(body))} | headers
    head = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    return f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + body


def _parts(requests: list[bytes], size: int) -> Iterator[list[bytes]]:
    return (requests[start : start + size] for start in range(0, len(requests), size))


def _posting(connection: socket.socket, requests: list[bytes]) -> Callable[[], None]:
    def run() -> None:
        for request in requests:
            connection.sendall(request)
            answer = b""
            while b"\r\n\r\n" not in answer or not answer.endswith(b"}"):
                answer += connection.recv(65536)
            assert answer.startswith(b"HTTP/1.1 200"), answer

    return run


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[int]:
    """Serve both applications from one process."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = ["-m", "uvicorn", "benchmarks.receiving:app", "--port", str(port)]
    quiet = ["--log-level", "warning", "--no-access-log"]
    surroundings = os.environ | {FOLDER: str(folder)}
    with subprocess.Popen([sys.executable, *command, *quiet], env=surroundings) as server:
        try:
            _await(port)
            yield port
        finally:
            server.terminate()


def _await(port: int) -> None:
    for _ in itertools.repeat(None, 600):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.1)
    raise RuntimeError("the server did not start within a minute")


def board_of(folder: Path, side: str) -> Board:
    return open_board(sales(), folder / f"{side}.db", ManualClock(END))


def application(folder: Path) -> Any:
    """Return the receiver, and beside it the least that takes the same events."""
    receiver = Receiver(board_of(folder, "ours"), {"/shopify": Shopify(secrets=[SECRET])})
    board = board_of(folder, "theirs")

    def take(body: bytes) -> None:
        board.handle(Event.from_dict(json.loads(body)), hold=True)

    async def either(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["path"] == "/shopify":
            return await receiver.asgi(scope, receive, send)
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        await asyncio.to_thread(take, body)
        headers = [(b"content-type", b"application/json"), (b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"{}"})

    return either


def _assert_same_deals(folder: Path) -> None:
    """Refuse to compare two sides of which one has not done its work."""
    with board_of(folder, "ours") as ours, board_of(folder, "theirs") as theirs:
        assert list(ours.deals()) == list(theirs.deals())


if FOLDER in os.environ:
    app = application(Path(os.environ[FOLDER]))

"""The receiver behind real servers, called over the network."""

from __future__ import annotations

import contextlib
import socket
import threading
import wsgiref.simple_server
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from ladderpipe import Board, ManualClock
from ladderpipe.connect import CloudEvents, Receiver, Shopify
from ladderpipe.templates import sales_management

from . import payloads
from .senders import NOW, OTHER, SECRET, shopify

HUGE = b"x" * 10_000_000


@contextlib.contextmanager
def uvicorn_serving(receiver: Receiver) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(receiver.asgi, log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


class Quiet(wsgiref.simple_server.WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextlib.contextmanager
def wsgiref_serving(receiver: Receiver) -> Iterator[str]:
    with wsgiref.simple_server.make_server(
        "127.0.0.1", 0, receiver.wsgi, handler_class=Quiet
    ) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(params=[uvicorn_serving, wsgiref_serving], ids=["uvicorn", "wsgiref"])
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[httpx.Client, Board]]:
    url = f"sqlite:///{tmp_path}/shop.db"
    with Board.open(sales_management(language="en"), url, clock=ManualClock(NOW)) as board:
        connectors = {
            "/shopify": Shopify(secrets=[SECRET]),
            "/events": CloudEvents(secrets=["s3cret"], by="bearer"),
        }
        with (
            request.param(Receiver(board, connectors)) as url,
            httpx.Client(base_url=url, timeout=30) as client,
        ):
            yield client, board


def post(client: httpx.Client, delivery: Any) -> httpx.Response:
    return client.post("/shopify", content=delivery.body, headers=delivery.headers)


def test_what_is_told_over_the_network_is_stored(served: tuple[httpx.Client, Board]) -> None:
    client, board = served
    answers = [
        post(client, shopify(payloads.cart())),
        post(client, shopify(payloads.checkout(), "checkouts/create")),
        post(client, shopify(payloads.order(), "orders/create")),
        post(client, shopify(payloads.order(), secret=OTHER)),
        client.post("/events", content=b"{}", headers={"Authorization": "Bearer s3cret"}),
        client.options("/events", headers={"WebHook-Request-Origin": "till.example"}),
        client.get("/shopify"),
    ]
    assert [each.status_code for each in answers] == [200, 200, 200, 401, 400, 200, 405]
    assert board.deal("x.myshopify.com/c1-9f3a").stage == "order_confirmed"


def test_ten_megabytes_are_turned_away_and_others_are_served(
    served: tuple[httpx.Client, Board],
) -> None:
    client, _ = served
    # A server may hang up on who goes on sending after the answer.
    with contextlib.suppress(httpx.WriteError, httpx.ReadError, httpx.RemoteProtocolError):
        assert client.post("/shopify", content=HUGE).status_code == 400
    assert post(client, shopify(payloads.cart())).status_code == 200

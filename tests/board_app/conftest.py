"""The team's board before a client that asks as a browser does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("starlette")
pytest.importorskip("jinja2")

from ladderpipe import Board, ManualClock
from ladderpipe.asynchronous import AsyncBoard
from tests.board_app.clients import Client, Clients
from tests.board_app.shop import application, pipeline, tell

START = "2026-03-02T09:00:00Z"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture(params=["threads", "awaited"])
def board(request: pytest.FixtureRequest, clock: ManualClock) -> Board:
    """Return a board with four deals: two of anna's, one of bea's, one of nobody's."""
    board = Board(pipeline(), clock=clock)
    for deal, owner in (("d-1", "anna"), ("d-2", "anna"), ("d-3", "bea"), ("d-4", None)):
        contact = {"name": f"Contact of {deal}", "email": f"{deal}@example.com"}
        tell(board, deal, clock.now(), contact=contact, **({"owner": owner} if owner else {}))
    board.served = (
        board
        if request.param == "threads"
        else AsyncBoard(pipeline(), store=board.store, clock=clock)
    )  # type: ignore[attr-defined]
    return board


@pytest.fixture
def client(board: Any) -> Iterator[Clients]:
    """Return what makes a client for somebody: ``client("anna", language="it")``."""
    opened: list[Client] = []

    def make(user: str | None = "anna", language: str | None = None, **settings: Any) -> Client:
        opened.append(Client(application(board.served, **settings), user=user, language=language))
        return opened[-1]

    yield make
    for each in opened:
        each.close()

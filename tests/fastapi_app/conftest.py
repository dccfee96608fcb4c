"""A shop's board behind FastAPI: in threads and awaited, in memory and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("fastapi")

from fastapi import FastAPI

from ladderpipe import AsyncBoard, Board, ManualClock
from ladderpipe.fastapi import router
from ladderpipe.templates import sales_management
from tests.board_app.clients import Client

NINE = "2026-03-02T09:00:00Z"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NINE)


@pytest.fixture
def board(clock: ManualClock) -> Iterator[Board]:
    with Board(sales_management("en"), clock=clock) as board:
        yield board


@pytest.fixture(params=["threads", "awaited", "postgresql"])
def client(request: pytest.FixtureRequest, board: Board, clock: ManualClock) -> Iterator[Client]:
    """Return a client of an application whose board is asked in each of the ways there are."""
    served: Any = board
    if request.param == "awaited":
        served = AsyncBoard(sales_management("en"), store=board.store, clock=clock)
    elif request.param == "postgresql":
        url = request.getfixturevalue("postgres_server").new_database()
        served = OpenedOnce(url, clock)
    app = FastAPI()
    app.include_router(router(served, actor=signed_in, prefix="/api"))
    with Client(app) as client:
        yield client
        if request.param == "postgresql":
            client.run(served.close())


class OpenedOnce:
    """A dependency: a board that is awaited, opened by the first request, on its loop."""

    def __init__(self, url: str, clock: ManualClock) -> None:
        self.url, self.clock = url, clock
        self.board: AsyncBoard | None = None

    async def __call__(self) -> Any:
        if self.board is None:
            self.board = await AsyncBoard.open(sales_management("en"), self.url, clock=self.clock)
        return self.board

    async def close(self) -> None:
        if self.board is not None:
            await self.board.close()


def signed_in() -> str:
    return "carla"

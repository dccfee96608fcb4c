"""Boards that are awaited, on PostgreSQL: nothing that takes long keeps the event loop waiting."""

from __future__ import annotations

import asyncio
import datetime as dt
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import psycopg
import pytest

from ladderpipe import Board, ManualClock, SystemClock
from ladderpipe.asynchronous import AsyncBoard
from ladderpipe.model.clock import instant
from tests.board_app.conftest import START
from tests.board_app.shop import application, pipeline, renewals, tell
from tests.board_app.test_pages import JSON

pytest.importorskip("polars")

WAITING = """
SELECT 1 FROM pg_locks JOIN pg_database d ON d.oid = database
WHERE NOT granted AND d.datname = current_database()
"""


class Watched(SystemClock):
    """A clock that notes which threads ask it for the time."""

    def __init__(self) -> None:
        self.asked: set[int] = set()

    def now(self) -> dt.datetime:
        self.asked.add(threading.get_ident())
        return super().now()


@asynccontextmanager
async def serving(url: str, clock: Any) -> AsyncIterator[httpx.AsyncClient]:
    """Serve both ladders of a database on this event loop, to anna."""
    async with (
        await AsyncBoard.open(pipeline(), url, clock) as team,
        await AsyncBoard.open(renewals(), url, clock) as later,
        httpx.AsyncClient(
            transport=httpx.ASGITransport(application({"team": team, "renewals": later})),
            base_url="http://testserver",
            cookies={"user": "anna"},
        ) as client,
    ):
        yield client


@pytest.fixture
def url(postgres_url: str) -> str:
    """Return a database in which a customer has a deal in each of two pipelines."""
    at, ada = instant(START), {"email": "ada@example.com"}
    with (
        Board.open(pipeline(), postgres_url) as team,
        Board.open(renewals(), postgres_url) as later,
    ):
        tell(team, "d-1", at, owner="anna", contact=ada)
        tell(later, "r-1", at, owner="anna", contact=ada)
    return postgres_url


def run(work: Callable[[], Any]) -> Any:
    return asyncio.run(work())


def test_reports_are_made_beside_the_loop_which_goes_on(url: str) -> None:
    clock = Watched()

    async def work() -> None:
        async with serving(url, clock) as client:
            await client.get("/team/")
            with psycopg.connect(url) as other:
                # Reports read every event, and other pages here none.
                other.execute("LOCK TABLE ladder_events IN ACCESS EXCLUSIVE MODE")
                clock.asked.clear()
                asked = [asyncio.create_task(client.get("/team/reports")) for _ in range(2)]
                while not other.execute(WAITING).fetchall():
                    await asyncio.sleep(0.01)
                assert threading.get_ident() not in clock.asked
                assert (await client.get("/renewals/", headers=JSON)).status_code == 200
                assert not any(each.done() for each in asked)
            one, another = await asyncio.gather(*asked)
            assert (one.status_code, another.status_code) == (200, 200)
            assert one.text == another.text
            assert 'href="reports"' in (await client.get("/team/")).text

    run(work)


def test_reports_are_made_anew_after_ten_minutes(url: str) -> None:
    clock = ManualClock("2026-03-09T09:00:00Z")

    async def work() -> None:
        async with serving(url, clock) as client:
            first = (await client.get("/team/reports")).text
            with Board.open(pipeline(), url, clock) as board:
                tell(board, "d-2", clock.now(), owner="anna")
            assert (await client.get("/team/reports")).text == first
            clock.advance(minutes=11)
            assert (await client.get("/team/reports")).text != first

    run(work)


def test_a_customers_deals_of_both_pipelines_are_found(url: str) -> None:
    async def work() -> None:
        async with serving(url, SystemClock()) as client:
            page = (await client.get("/team/deal?deal=d-1")).text
            assert "../renewals/deal?deal=r-1" in page
            told = await client.get("/renewals/customer?key=ada@example.com", headers=JSON)
            assert {deal["id"] for deal in told.json()["deals"]} == {"d-1", "r-1"}
            tasks = (await client.get("/tasks", headers=JSON)).json()["boards"]
            assert [task["deal"] for task in tasks["renewals"]["tasks"]] == ["r-1"]

    run(work)

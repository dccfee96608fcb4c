"""(k) Lists and the page for people, of 50,000 deals, against the same asked for in SQL by hand."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx

from ladderpipe import Board, Event, ManualClock, Pipeline, Stage, on
from ladderpipe.web import BoardApp, User

from .harness import Report, Row, compare, timed
from .ladders import END, SECOND, START
from .stores import open_board

METHOD = """\
One file of deals, most of them in one stage, and on both sides the same 50 deals, the same count
and the same sums. By hand is one SQL statement for each of them, over the indexes that are there,
and the JSON of the documents decoded; ours are whole records and a cursor. The board's page in the
browser is answered by the application without a server, against the lists and sums that it shows.\
"""

PAGE = 50


def run(quick: bool, folder: Path) -> Report:
    deals, rounds = (2_000, 5) if quick else (50_000, 25)
    path = folder / "lists.db"
    clock = ManualClock(END)
    board = open_board(_ladder(), path, clock)
    board.handle_many(_events(deals), quiet=True)
    clock.advance(hours=1)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        rows = list(_rows(board, connection, rounds))
    board.close()
    return Report(f"Lists of {deals:,} deals", METHOD, rows)


def _rows(board: Board, connection: sqlite3.Connection, rounds: int) -> Iterator[Row]:
    last = board.page("new", sort="value", limit=1_000).next
    before = board.changes(limit=0).cursor
    app = BoardApp(board, user=lambda request: User("Ada"))
    cases: dict[str, tuple[Callable[[], Any], Callable[[], Any], float]] = {
        "a column's first page, by age": (
            lambda: board.page("new"),
            lambda: _page(connection, "entered_at", "> 0"),
            6.0,
        ),
        "page 21, by value": (
            lambda: board.page("new", sort="value", after=last),
            lambda: _page(connection, "units", "< 990000"),
            6.0,
        ),
        "a page of one owner's deals": (
            lambda: board.page("new", owner="owner 2"),
            lambda: _page(connection, "entered_at", "> 0", "owner 2"),
            6.0,
        ),
        "the summary": (board.summary, lambda: _sums(connection), 2.5),
        "changes, when there are none": (
            lambda: board.changes(before),
            lambda: connection.execute(_CHANGES, (2**62,)).fetchall(),
            10.0,
        ),
        "the board in the browser, over the lists it shows": (
            lambda: asyncio.run(_shown(app)),
            lambda: (board.summary(), [board.page(stage) for stage in board.pipeline.stages]),
            3.0,
        ),
    }
    for what, (ours, theirs, target) in cases.items():
        pair = compare(timed(ours), timed(theirs), rounds)
        measured = f"{pair.ours * 1e3:.1f} : {pair.theirs * 1e3:.1f} ms"
        yield Row(f"{what}: time over that by hand", measured, 1 / pair.speed, target, at_most=True)


async def _shown(app: BoardApp) -> None:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://board") as client:
        (await client.get("/")).raise_for_status()


_CHANGES = "SELECT deal FROM ladder_deals WHERE pipeline = 1 AND touched_at > ?"


def _page(connection: sqlite3.Connection, key: str, where: str, owner: str | None = None) -> Any:
    way = "DESC" if where.startswith("<") else "ASC"
    of_owner = "" if owner is None else f" AND +d.owner = '{owner}'"
    rows = connection.execute(
        f"SELECT d.deal, d.stage, d.{key}, c.data FROM ladder_deals d "
        "JOIN ladder_documents c ON c.deal = d.id "
        f"WHERE d.pipeline = 1 AND d.stage = 'new' AND d.{key} {where}{of_owner} "
        f"ORDER BY d.{key} {way}, d.id {way} LIMIT {PAGE}"
    ).fetchall()
    (count,) = connection.execute(
        f"SELECT count(*) FROM ladder_deals d WHERE pipeline = 1 AND stage = 'new'{of_owner}"
    ).fetchone()
    return count, [(*row[:3], json.loads(row[3])) for row in rows]


def _sums(connection: sqlite3.Connection) -> Any:
    return connection.execute(
        "SELECT stage, currency, count(*), sum(units), sum(fraction) FROM ladder_deals "
        "WHERE pipeline = 1 AND stage IS NOT NULL GROUP BY stage, currency"
    ).fetchall()


def _ladder() -> Pipeline:
    new, talking, won = Stage("new"), Stage("talking"), Stage("won", status="won")
    rules = [on("lead", into=new, opens=True), on("call", into=talking), on("order", into=won)]
    return Pipeline("lists", stages=[new, talking, won], rules=rules)


def _events(deals: int) -> Iterator[Event]:
    chance = random.Random(1)
    for number in range(deals):
        deal, at = f"cart-{number:05}", START + number * SECOND
        data = {
            "title": f"Offer {chance.randrange(deals)}",
            "value": str(chance.randrange(100_000_000) / 100),
            "currency": "EUR",
            "owner": f"owner {number % 10}",
            "contact": {"name": f"Ada Rossi {number}", "email": f"ada{number}@example.com"},
        }
        yield Event("lead", deal=deal, id=f"l{number}", at=at, data=data)
        if number % 5 > 2:
            kind = "call" if number % 5 == 3 else "order"
            yield Event(kind, deal=deal, id=f"c{number}", at=at + SECOND)

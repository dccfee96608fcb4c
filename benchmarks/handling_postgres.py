"""(b) Taking events on PostgreSQL, one at a time, against the same statements executed by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import psycopg

from ladderpipe import Board, Event, ManualClock
from ladderpipe.asynchronous import AsyncBoard
from ladderpipe.stores import PostgresStore
from ladderpipe.stores.postgres.wire import _cursor_of

from .harness import Pair, Report, Row, in_parts, in_turns, paired, rate
from .ladders import END, sales, shop_events
from .postgres import Trip, assert_same_rows, not_waiting, open_board, recording, server

METHOD = """\
The sales deals of the SQLite benchmark, one connection to a server on the same machine, through a
socket. The other side is a loop over the very statements and values that ours was recorded to
send, with a cursor of psycopg's and the same types: once sent together where ours sends them
together (`pipeline()`), once as most hands write it, one `execute` after the other. The server is
as it is installed, or its commits do not wait for the disk (`synchronous_commit = off`). Rounds
are interleaved; in the end every row of all databases is compared.\
"""

IN_FLIGHT = 250
PART = 300


def run(quick: bool, folder: Path) -> Report:
    events = list(shop_events(100 if quick else 250, IN_FLIGHT))
    rows = []
    with server() as found:
        trips = _record(events, found.new_database())
        for url_of, wait in ((str, "waiting for the disk"), (not_waiting, "not waiting for it")):
            urls = [url_of(found.new_database()) for _ in range(4)]
            rows += _rows(events, list(_transactions(trips)), urls, wait)
    return Report("Handle on PostgreSQL, one at a time", METHOD, rows)


def _record(events: Sequence[Event], url: str) -> list[Trip]:
    with closing(open_board(sales(), url, ManualClock(END))) as board, recording() as trips:
        _handle(board, events)
    return trips


def _transactions(trips: Sequence[Trip]) -> Iterator[list[Trip]]:
    """Cut what was sent after each COMMIT."""
    transaction: list[Trip] = []
    for trip in trips:
        transaction.append(trip)
        if any(statement == b"COMMIT" for statement, _ in trip):
            yield transaction
            transaction = []
    assert not transaction


def _rows(
    events: list[Event], transactions: list[list[Trip]], urls: list[str], wait: str
) -> list[Row]:
    clock = ManualClock(END)
    for url in urls:
        open_board(sales(), url, clock).close()
    with ExitStack() as stack:
        board = stack.enter_context(closing(open_board(sales(), urls[0], clock)))
        together, one_by_one = (stack.enter_context(ByHand(url)) for url in urls[1:3])
        loop = stack.enter_context(OnLoop(urls[3], clock))
        sides = [
            in_parts(events, PART, lambda part: _handle(board, part)),
            in_parts(transactions, PART, together.send),
            in_parts(transactions, PART, one_by_one.send_one_by_one),
            in_parts(events, PART, loop.handle),
        ]
        ours, hand, slow_hand, awaited = in_turns(sides, len(events) // PART)
    for url in urls[1:]:
        assert_same_rows(urls[0], url)
    return [
        _row(f"`handle`, {wait}, against statements sent together", paired(ours, hand), 0.7),
        _row("the same against one after the other", paired(ours, slow_hand)),
        _row("`AsyncBoard.handle`, one task, against `Board.handle`", paired(awaited, ours)),
    ]


def _row(what: str, pair: Pair, target: float | None = None) -> Row:
    measured = f"{rate(PART, pair.ours, 'events')} : {rate(PART, pair.theirs, 'events')}"
    return Row(what, measured, pair.speed, target)


def _handle(board: Board, events: Sequence[Event]) -> None:
    for event in events:
        board.handle(event)


class ByHand:
    """A connection that sends what was recorded, and fetches what ours fetches."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url, autocommit=True)
        self._cursor: psycopg.Cursor[Any] = _cursor_of(self._connection)  # type: ignore[assignment]

    def send(self, transactions: Sequence[Sequence[Trip]]) -> None:
        for transaction in transactions:
            for trip in transaction:
                with self._connection.pipeline():
                    for statement, values in trip:
                        self._cursor.execute(statement, values)
                self._fetch()

    def send_one_by_one(self, transactions: Sequence[Sequence[Trip]]) -> None:
        for transaction in transactions:
            for trip in transaction:
                for statement, values in trip:
                    self._cursor.execute(statement, values)
                self._fetch()

    def _fetch(self) -> None:
        if self._cursor.description is not None:
            self._cursor.fetchall()

    def __enter__(self) -> ByHand:
        return self

    def __exit__(self, *raised: object) -> None:
        self._connection.close()


class OnLoop:
    """An asynchronous board on an event loop of its own."""

    def __init__(self, url: str, clock: ManualClock) -> None:
        self._board = AsyncBoard(sales(), store=PostgresStore(url), clock=clock)
        self._runner = asyncio.Runner()

    def handle(self, events: Sequence[Event]) -> None:
        self._runner.run(self._handle(events))

    async def _handle(self, events: Sequence[Event]) -> None:
        for event in events:
            await self._board.handle(event)

    def __enter__(self) -> OnLoop:
        return self

    def __exit__(self, *raised: object) -> None:
        self._runner.run(self._board.close())
        self._runner.close()

"""(b) Taking events on SQLite, one at a time, against the same statements executed by hand."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from ladderpipe import Board, Event, ManualClock

from .harness import Report, Row, compare, rate, timed
from .ladders import END, sales, shop_events
from .stores import RecordingStore, Statement, assert_same_rows, connect, open_board

METHOD = """\
Sales deals of 12 events with carts, 250 in flight, each event a transaction. The other side is a
loop over the very statements and values that ours was recorded to execute (one `execute` each,
results fetched): the same connection settings, its own file in the same folder, rounds
interleaved. A trace of both connections is compared, and in the end every row of both files.\
"""

IN_FLIGHT = 250

Part = TypeVar("Part")


def run(quick: bool, folder: Path) -> Report:
    events = list(shop_events(500 if quick else 2_500, IN_FLIGHT))
    size = 500 if quick else 1_000
    clock = ManualClock(END)
    statements = _record(events, clock, folder / "recorded.db")
    _assert_same_trace(events[:1200], statements, clock, folder)

    ours_path, hand_path = folder / "ours.db", folder / "hand.db"
    board = open_board(sales(), ours_path, clock)
    open_board(sales(), hand_path, clock).close()
    hand = connect(hand_path)
    parts = _parts(events, size)
    transactions = _parts(list(_transactions(statements)), size)
    pair = compare(
        lambda: timed(_handling(board, next(parts)))(),
        lambda: timed(_executing(hand, next(transactions)))(),
        rounds=len(events) // size,
    )
    board.close()
    hand.close()
    assert_same_rows(ours_path, hand_path)
    measured = f"{rate(size, pair.ours, 'events')} : {rate(size, pair.theirs, 'events')}"
    row = Row("`handle`, one event to a transaction", measured, pair.speed, target=0.7)
    return Report("Handle, one at a time", METHOD, [row])


def _parts(items: list[Part], size: int) -> Iterator[list[Part]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _record(events: list[Event], clock: ManualClock, path: Path) -> list[Statement]:
    store = RecordingStore(path)
    board = Board(sales(), store=store, clock=clock)
    store.statements.clear()
    for event in events:
        board.handle(event)
    board.close()
    return store.statements


def _transactions(statements: list[Statement]) -> Iterator[list[Statement]]:
    """Cut the statements after each COMMIT."""
    transaction: list[Statement] = []
    for statement in statements:
        transaction.append(statement)
        if statement[0] == "COMMIT":
            yield transaction
            transaction = []
    assert not transaction


def _handling(board: Board, events: list[Event]) -> Callable[[], None]:
    def run() -> None:
        for event in events:
            board.handle(event)

    return run


def _executing(
    connection: sqlite3.Connection, transactions: list[list[Statement]]
) -> Callable[[], None]:
    def run() -> None:
        for transaction in transactions:
            for statement, values in transaction:
                connection.execute(statement, values).fetchone()

    return run


def _assert_same_trace(
    events: list[Event], statements: list[Statement], clock: ManualClock, folder: Path
) -> None:
    """Refuse to measure two sides that do not run the same statements, values included."""
    ours: list[str] = []
    by_hand: list[str] = []
    board = open_board(sales(), folder / "traced-ours.db", clock)
    with board.store._borrowed() as connection:  # type: ignore[attr-defined]
        connection.set_trace_callback(ours.append)
    _handling(board, events)()
    board.close()
    open_board(sales(), folder / "traced-hand.db", clock).close()
    hand = connect(folder / "traced-hand.db")
    hand.set_trace_callback(by_hand.append)
    _executing(hand, list(itertools.islice(_transactions(statements), len(events))))()
    hand.close()
    assert len(ours) >= 5 * len(events)
    assert ours == by_hand

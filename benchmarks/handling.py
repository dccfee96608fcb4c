"""(b) Taking events on SQLite, one at a time, against the same statements executed by hand."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from ladderpipe import Board, Event, ManualClock

from .by_hand import SalesByHand
from .harness import Pair, Report, Row, in_turns, paired, rate, timed
from .ladders import END, sales, shop_events
from .stores import RecordingStore, Statement, assert_same_rows, connect, open_board

METHOD = """\
Sales deals of 12 events with carts, 250 in flight, each event a transaction. The other side is a
loop over the very statements and values that ours was recorded to execute (one `execute` each,
results fetched): the same connection settings, its own file in the same folder, rounds
interleaved. A trace of both connections is compared. It builds no row, which no Python code can do
without; so the second is written by hand for this one ladder (`benchmarks/by_hand.py`) and builds
the same rows from the same events, a transaction each, but looks for no duplicates, late events or
timers, and writes each deal's whole row, where ours writes what has changed of it. In the end
every row of all files is compared.\
"""

IN_FLIGHT = 250

Part = TypeVar("Part")


def run(quick: bool, folder: Path) -> Report:
    events = list(shop_events(500 if quick else 2_500, IN_FLIGHT))
    size = 500 if quick else 1_000
    clock = ManualClock(END)
    statements = _record(events, clock, folder / "recorded.db")
    _assert_same_trace(events[:1200], statements, clock, folder)

    pipeline, paths = sales(), [folder / f"{side}.db" for side in ("ours", "replayed", "hand")]
    board = open_board(pipeline, paths[0], clock)
    for path in paths[1:]:
        open_board(sales(), path, clock).close()
    replayed, hand = connect(paths[1]), connect(paths[2])
    rules = [rule.key or "" for rule in pipeline.rules]
    writer = SalesByHand(hand, pipeline.fingerprint, END, rules)
    parts, told = _parts(events, size), _parts(events, size)
    transactions = _parts(list(_transactions(statements)), size)
    ours, replays, by_hand = in_turns(
        [
            lambda: timed(_handling(board, next(parts)))(),
            lambda: timed(_executing(replayed, next(transactions)))(),
            lambda: timed(_writing(writer, next(told)))(),
        ],
        rounds=len(events) // size,
    )
    for open_one in (board, replayed, hand):
        open_one.close()
    for path in paths[1:]:
        assert_same_rows(paths[0], path)
    return Report(
        "Handle, one at a time",
        METHOD,
        [
            _row("`handle`, one event to a transaction", size, paired(ours, replays)),
            _row("the same, against code that builds the rows", size, paired(ours, by_hand), 0.85),
        ],
    )


def _row(what: str, size: int, pair: Pair, target: float | None = None) -> Row:
    measured = f"{rate(size, pair.ours, 'events')} : {rate(size, pair.theirs, 'events')}"
    return Row(what, measured, pair.speed, target=target)


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


def _writing(writer: SalesByHand, events: list[Event]) -> Callable[[], None]:
    def run() -> None:
        for event in events:
            writer.take([event])

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

"""(b) Taking events on PostgreSQL in batches, against pipelined batches written by hand."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import psycopg

from ladderpipe import Board, Event, ManualClock

from .by_hand import SalesByHandOnPostgres
from .harness import Pair, Report, Row, in_parts, in_turns, paired, rate
from .ladders import END, sales, shop_events
from .postgres import assert_same_rows, open_board, server

METHOD = """\
The same stream, a thousand events to a transaction, on a server as it is installed. The other side
is written by hand for this one ladder (`benchmarks/by_hand.py`): it locks and loads the deals of a
batch, builds the rows from the same events (JSON, digests and visit keys included) and sends them
with `executemany`, all of them and the COMMIT in one pipeline; it looks for no duplicates, late
events or timers. In the end every row of both databases is compared. One at a time is `handle` of
a part of the same stream, in the same turns, on a third database.\
"""

IN_FLIGHT = 250
BATCH = 1_000
SINGLE = 100


def run(quick: bool, folder: Path) -> Report:
    events = list(shop_events(500 if quick else 1_500, IN_FLIGHT))
    rounds = len(events) // BATCH
    clock, pipeline = ManualClock(END), sales()
    with server() as found:
        ours_url, hand_url, single_url = (found.new_database() for _ in range(3))
        open_board(sales(), hand_url, clock).close()
        with (
            closing(open_board(pipeline, ours_url, clock)) as board,
            closing(open_board(sales(), single_url, clock)) as single,
            psycopg.connect(hand_url, autocommit=True) as hand,
        ):
            rules = [rule.key or "" for rule in pipeline.rules]
            writer = SalesByHandOnPostgres(hand, pipeline.fingerprint, END, rules)
            sides = [
                in_parts(events, BATCH, lambda part: board.handle_many(part, batch=BATCH)),
                in_parts(events, BATCH, lambda part: writer.take(list(part))),
                in_parts(events, SINGLE, lambda part: _handle(single, part)),
            ]
            ours, by_hand, alone = in_turns(sides, rounds)
        assert_same_rows(ours_url, hand_url)
    one_at_a_time = [seconds * BATCH / SINGLE for seconds in alone]
    return Report(
        "Handle on PostgreSQL, in batches",
        METHOD,
        [
            _row("`handle_many`, 1,000 events to a transaction", paired(ours, by_hand), 0.5),
            _row("the same against one at a time", paired(ours, one_at_a_time), 10),
        ],
    )


def _row(what: str, pair: Pair, target: float) -> Row:
    measured = f"{rate(BATCH, pair.ours, 'events')} : {rate(BATCH, pair.theirs, 'events')}"
    return Row(what, measured, pair.speed, target)


def _handle(board: Board, events: Sequence[Event]) -> None:
    for event in events:
        board.handle(event)

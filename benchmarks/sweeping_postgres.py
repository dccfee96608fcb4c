"""(c) Sweeping due timers on PostgreSQL, against the same sweep written in SQL by hand."""

from __future__ import annotations

import statistics
from contextlib import closing
from pathlib import Path

import psycopg

from ladderpipe import Board, ManualClock
from ladderpipe.board.sweep import BATCH

from .harness import Pair, Report, Row, compare, rate, timed
from .overdue import ALL_DUE, RECORDED, timed_ladder
from .overdue_postgres import SweepByHand, build
from .postgres import assert_same_rows, copy_of, drop, open_board, server

METHOD = """\
As on SQLite: open deals with a timer due, copied into two databases of a server as it is installed
but for 512 MB of shared buffers. The hand-written side (`benchmarks/overdue_postgres.py`) knows
this one ladder, locks what is due with `SKIP LOCKED`, and writes a batch with three statements over
arrays that travel together. Swept in turns, then every row of both databases is compared.\
"""

SMALL, LARGE = 20_000, 1_000_000
TURNS = 10


def run(quick: bool, folder: Path) -> Report:
    sizes = (SMALL, 100_000) if quick else (SMALL, LARGE)
    rows, empty = [], []
    with server() as found:
        for size in sizes:
            ours = build(found, size)
            hand = copy_of(found, ours)
            empty.append(_empty_tick(ours))
            turn = size // TURNS if size == SMALL else SMALL
            pair = _sweep(ours, hand, turn, min(size, 5 * SMALL))
            assert_same_rows(ours, hand)
            measured = f"{rate(turn, pair.ours, 'timers')} : {rate(turn, pair.theirs, 'timers')}"
            rows.append(Row(f"`tick` with {size:,} deals due", measured, pair.speed, target=0.6))
            for url in (ours, hand):
                drop(found, url)
    small, large = empty
    rows.append(
        Row(
            f"an empty tick with {sizes[1]:,} open deals, against {sizes[0]:,}",
            f"{large * 1e6:,.0f} µs : {small * 1e6:,.0f} µs",
            large / small,
            target=1.25,
            at_most=True,
        )
    )
    return Report("Sweep on PostgreSQL", METHOD, rows)


def _empty_tick(url: str) -> float:
    with closing(open_board(timed_ladder(), url, ManualClock(RECORDED))) as board:
        tick = timed(lambda: board.tick())
        return statistics.median(tick() for _ in range(101))


def _sweep(ours_url: str, hand_url: str, turn: int, total: int) -> Pair:
    with (
        closing(open_board(timed_ladder(), ours_url, ManualClock(ALL_DUE))) as board,
        psycopg.connect(hand_url, autocommit=True) as hand,
    ):
        by_hand = SweepByHand(hand, ALL_DUE)
        return compare(
            timed(lambda: _tick(board, turn)),
            timed(lambda: by_hand.sweep(turn, BATCH)),
            rounds=total // turn,
        )


def _tick(board: Board, limit: int) -> None:
    report = board.tick(limit)
    assert report.moves == limit, report

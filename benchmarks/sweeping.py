"""(c) Sweeping due timers on SQLite, against the same sweep written in SQL by hand."""

from __future__ import annotations

import shutil
import statistics
from pathlib import Path

from ladderpipe import Board, ManualClock
from ladderpipe.board.sweep import BATCH

from .harness import Pair, Report, Row, compare, rate, timed
from .overdue import ALL_DUE, RECORDED, SweepByHand, build, timed_ladder
from .stores import assert_same_rows, connect, open_board

METHOD = """\
Open deals with a timer due, in no order of their ids, in two copies of one file. Both sides take
the same batches in the same number of transactions: select what is due, insert the move,
update the deal. The hand-written side (`benchmarks/overdue.py`) knows this one ladder.
Swept in turns, then every row of both files is compared.\
"""

SMALL, LARGE = 20_000, 1_000_000
ENOUGH_TIMERS = 15_000


def run(quick: bool, folder: Path) -> Report:
    sizes = (SMALL, 100_000) if quick else (SMALL, LARGE)
    rows, empty = [], []
    for size in sizes:
        ours, hand = folder / f"{size}-ours.db", folder / f"{size}-hand.db"
        build(ours, size)
        shutil.copy(ours, hand)
        empty.append(_empty_tick(ours))
        swept = min(size, 5 * SMALL)
        pair = _sweep(ours, hand, size // 10 if size == SMALL else SMALL, swept)
        assert_same_rows(ours, hand)
        rows += _rows(size, pair)
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
    return Report("Sweep", METHOD, rows)


def _rows(size: int, pair: Pair) -> list[Row]:
    turn = size // 10 if size == SMALL else SMALL
    measured = f"{rate(turn, pair.ours, 'timers')} : {rate(turn, pair.theirs, 'timers')}"
    rows = [Row(f"`tick` with {size:,} deals due", measured, pair.speed, target=0.6)]
    if size == SMALL:
        per_second = turn / pair.ours
        rows.append(
            Row(
                f"`tick` with {size:,} deals due, against {ENOUGH_TIMERS:,} timers/s",
                f"{per_second:,.0f} timers/s",
                per_second / ENOUGH_TIMERS,
                target=1.0,
                absolute=True,
            )
        )
    return rows


def _empty_tick(path: Path) -> float:
    board = open_board(timed_ladder(), path, ManualClock(RECORDED))
    tick = timed(lambda: board.tick())
    times = [tick() for _ in range(101)]
    board.close()
    return statistics.median(times)


def _sweep(ours_path: Path, hand_path: Path, turn: int, total: int) -> Pair:
    board = open_board(timed_ladder(), ours_path, ManualClock(ALL_DUE))
    hand = connect(hand_path)
    by_hand = SweepByHand(hand, ALL_DUE)
    pair = compare(
        timed(lambda: _tick(board, turn)),
        timed(lambda: by_hand.sweep(turn, BATCH)),
        rounds=total // turn,
    )
    board.close()
    hand.close()
    return pair


def _tick(board: Board, limit: int) -> None:
    report = board.tick(limit)
    assert report.moves == limit, report

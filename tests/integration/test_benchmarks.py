"""What benchmarks compare with is the same work: done by hand, it leaves the same rows."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from benchmarks import overdue, overdue_postgres, reporting
from benchmarks.by_hand import SalesByHand
from benchmarks.ladders import END, sales, shop_events
from benchmarks.stores import assert_same_rows, connect, open_board
from ladderpipe import ManualClock
from tests.postgres import PostgresServer


def test_events_taken_by_hand_leave_the_rows_of_a_board(tmp_path: Path) -> None:
    ours, by_hand = tmp_path / "ours.db", tmp_path / "hand.db"
    clock, pipeline, events = ManualClock(END), sales(), list(shop_events(40, in_flight=20))
    with closing(open_board(pipeline, ours, clock)) as board:
        board.handle_many(events)
    open_board(sales(), by_hand, clock).close()
    rules = [rule.key or "" for rule in pipeline.rules]
    with closing(connect(by_hand)) as connection:
        writer = SalesByHand(connection, pipeline.fingerprint, END, rules)
        for start in range(0, len(events), 100):
            writer.take(events[start : start + 100])
    assert_same_rows(ours, by_hand)


def test_deals_with_timers_written_by_hand_are_those_of_a_board(tmp_path: Path) -> None:
    overdue.build(tmp_path / "due.db", 120)  # compares a hundred of them


def test_on_postgres_they_are_too(postgres_server: PostgresServer) -> None:
    overdue_postgres.build(postgres_server, 120)


def test_a_sweep_by_hand_leaves_the_rows_of_a_board(tmp_path: Path) -> None:
    ours, by_hand = tmp_path / "ours.db", tmp_path / "hand.db"
    for path in (ours, by_hand):
        overdue.build(path, 200)
    with closing(open_board(overdue.timed_ladder(), ours, ManualClock(overdue.ALL_DUE))) as board:
        assert board.tick().moves == 200
    with closing(connect(by_hand)) as connection:
        overdue.SweepByHand(connection, overdue.ALL_DUE).sweep(200, 100)
    assert_same_rows(ours, by_hand)


def test_figures_worked_out_by_hand_are_those_of_the_reports(tmp_path: Path) -> None:
    assert reporting.run(quick=True, folder=tmp_path).rows

"""Boards in memory and on SQLite, driven by the state machine of the test kit."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis.stateful import initialize, run_state_machine_as_test

from ladderpipe import Board, SqliteStore
from ladderpipe.stores import Store
from ladderpipe.testing import ladder_state_machine
from ladderpipe.testing.machine import LadderStateMachine
from ladderpipe.testing.strategies import Subject
from tests.ladders import ladders, sales_ladder

RUNS = settings(max_examples=settings().max_examples // 3, stateful_step_count=25)


class OnRandomLadders(LadderStateMachine):
    """The same, on another ladder each time."""

    pipeline = sales_ladder()

    @initialize(pipeline=ladders(sequences=True))
    def open_board(self, pipeline):  # type: ignore[no-untyped-def, override]
        self.pipeline = pipeline  # type: ignore[misc]
        self.subject = Subject(pipeline)
        self.board = Board(pipeline, store=self.make_store(), clock=self.clock)


class OnRandomLaddersInSqlite(OnRandomLadders):
    def make_store(self) -> Store:
        return SqliteStore(":memory:")


@pytest.mark.parametrize(
    "machine",
    [
        ladder_state_machine(sales_ladder()),
        ladder_state_machine(sales_ladder(), make_store=lambda: SqliteStore(":memory:")),
        OnRandomLadders,
        OnRandomLaddersInSqlite,
    ],
    ids=["sales-memory", "sales-sqlite", "random-memory", "random-sqlite"],
)
def test_a_board_stores_the_fold_whatever_happens(machine: type[LadderStateMachine]) -> None:
    run_state_machine_as_test(machine, settings=RUNS)

"""Boards of both kinds on every store, driven by the state machine of the test kit."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from hypothesis import settings
from hypothesis.stateful import initialize, run_state_machine_as_test

from ladderpipe import Board, SqliteStore
from ladderpipe.stores import PostgresStore, Store
from ladderpipe.testing import ladder_state_machine
from ladderpipe.testing.machine import LadderStateMachine
from ladderpipe.testing.strategies import Subject
from tests.driven import DrivenBoard
from tests.ladders import ladders, sales_ladder

RUNS = settings(max_examples=settings().max_examples // 3, stateful_step_count=25)


class OnRandomLadders(LadderStateMachine):
    """The same, on another ladder each time."""

    pipeline = sales_ladder()
    make_board: ClassVar[Callable[..., Any]] = Board

    @initialize(pipeline=ladders(sequences=True))
    def open_board(self, pipeline):  # type: ignore[no-untyped-def, override]
        self.pipeline = pipeline  # type: ignore[misc]
        self.subject = Subject(pipeline)
        store = self.make_store()
        self.board = type(self).make_board(pipeline, store=store, clock=self.clock)


class OnRandomLaddersInSqlite(OnRandomLadders):
    def make_store(self) -> Store:
        return SqliteStore(":memory:")


class AsynchronouslyInSqlite(OnRandomLaddersInSqlite):
    make_board = DrivenBoard


@pytest.mark.parametrize(
    "machine",
    [
        ladder_state_machine(sales_ladder()),
        ladder_state_machine(sales_ladder(), make_store=lambda: SqliteStore(":memory:")),
        OnRandomLadders,
        OnRandomLaddersInSqlite,
        AsynchronouslyInSqlite,
    ],
    ids=["sales-memory", "sales-sqlite", "random-memory", "random-sqlite", "asynchronous-sqlite"],
)
def test_a_board_stores_the_fold_whatever_happens(machine: type[LadderStateMachine]) -> None:
    run_state_machine_as_test(machine, settings=RUNS)


@pytest.mark.parametrize("board", [Board, DrivenBoard], ids=["plain", "asynchronous"])
def test_so_it_does_on_postgresql(postgres_url: str, board: Callable[..., Any]) -> None:
    numbers = itertools.count()

    class InPostgresql(OnRandomLadders):
        make_board = board

        def make_store(self) -> Store:
            return PostgresStore(postgres_url, prefix=f"p{next(numbers)}_", pool_size=2)

    runs = settings(RUNS, max_examples=RUNS.max_examples // 6)
    run_state_machine_as_test(InPostgresql, settings=runs)

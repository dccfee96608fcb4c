"""Transactions that are begun again: a deadlock's victims, and those whose answer got lost."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from ladderpipe import Outcome
from ladderpipe.stores import PostgresStore
from tests.shops import Shop, assert_is_the_fold, lead_ladder, register


class Forgetful(PostgresStore):
    """A store whose next writing transactions commit, and then the connection is lost."""

    lost = 0

    @contextlib.contextmanager
    def transaction(self, write: bool = True) -> Iterator[Any]:
        with super().transaction(write) as transaction:
            yield transaction
        if write and self.lost:
            self.lost -= 1
            raise psycopg.OperationalError("server closed the connection unexpectedly")


@pytest.fixture
def forgetful(postgres_url: str) -> Iterator[Forgetful]:
    store = Forgetful(postgres_url)
    yield store
    store.close()


@pytest.mark.parametrize("times", [1, 3])
def test_a_hand_whose_answer_got_lost_moves_once(forgetful: Forgetful, times: int):
    shop = Shop(lead_ladder(), forgetful)
    shop.tell("lead")
    shop.wait(73)
    forgetful.lost = times
    receipt = shop.board.override("d", "won", by="Ada", reason="she called")
    assert receipt.outcome is Outcome.MOVED
    assert [move.into for move in receipt.moves] == ["cold", "won"], "the timer's move included"
    assert receipt.deal.stage == "won"
    assert shop.stages == ["new", "cold", "won"]
    assert len(shop.board.events("d")) == 2
    assert_is_the_fold(shop.board)


def test_a_hand_that_opens_a_deal_and_whose_answer_got_lost(forgetful: Forgetful):
    shop = Shop(lead_ladder(), forgetful)
    forgetful.lost = 1
    assert shop.board.move("d", "new", by="Ada").outcome is Outcome.OPENED
    assert shop.stages == ["new"]


@pytest.mark.parametrize("error", [psycopg.errors.DeadlockDetected, psycopg.errors.AdminShutdown])
def test_a_hand_that_a_deadlock_ended_is_tried_again(store: PostgresStore, error: Any):
    failures = [error("the first"), error("the second")]

    def fail(ctx: Any) -> None:
        if failures:
            raise failures.pop()

    shop = Shop(register(lead_ladder(), into_won=fail), store)
    shop.tell("lead")
    assert shop.board.override("d", "won", by="Ada").outcome is Outcome.MOVED
    assert shop.stages == ["new", "won"]


def test_who_is_thrown_out_because_a_hook_was_slow_begins_again(postgres_url: str) -> None:
    pauses = [1.0, 1.0]
    ladder = register(lead_ladder(), into_won=lambda ctx: pauses and time.sleep(pauses.pop()))
    brief = "&options=-c%20idle_in_transaction_session_timeout%3D200ms"
    with contextlib.closing(PostgresStore.from_url(f"{postgres_url}{brief}")) as store:
        shop = Shop(ladder, store)
        shop.tell("lead")
        assert shop.board.override("d", "won", by="Ada").outcome is Outcome.MOVED
        assert shop.stages == ["new", "won"]


def test_a_migration_whose_answers_got_lost_carries_each_deal_once(forgetful: Forgetful):
    from tests.postgresql.test_adopting import changed_ladder

    shop = Shop(lead_ladder(), forgetful)
    for deal in "abc":
        shop.tell("lead", deal)
    ladder = changed_ladder(5)
    now = Shop(ladder, forgetful, adopting=True)
    forgetful.lost = 3
    new = ladder.stage("new")
    now.board.migrate({"talking": new, "won": new, "lost": new}, batch=2)
    for deal in "abc":
        kinds = [event.type for event in now.board.events(deal)]
        assert kinds == ["lead", "ladder.baseline"]

"""A worker whose clock is wrong neither fires timers nor sends anything, and says why."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from ladderpipe import Board, Event, Pipeline, Stage, SystemClock, after, on
from ladderpipe.errors import ClockError
from ladderpipe.stores import PostgresStore
from tests.shops import Shop, lead_ladder

MINUTE = dt.timedelta(minutes=1)


class WrongClock(SystemClock):
    """A machine's clock that somebody has set wrong, and may set right."""

    def __init__(self, ahead: dt.timedelta) -> None:
        self.ahead = ahead
        self.asked = 0

    def now(self) -> dt.datetime:
        self.asked += 1
        return super().now() + self.ahead


def reminding_ladder() -> Pipeline:
    new, cold = Stage("new"), Stage("cold", status="abandoned")
    pipeline = Pipeline(
        "leads",
        stages=[new, cold],
        rules=[on("lead", into=new, opens=True), after(minutes=5, out_of=new, into=cold)],
    )

    @pipeline.move_into(new)
    def remind(ctx: Any) -> None:
        ctx.do("email", wait=5 * MINUTE)

    return pipeline


def board_on(store: PostgresStore, ahead: dt.timedelta, **settings: Any) -> tuple[Board, list[Any]]:
    board = Board(reminding_ladder(), store=store, clock=WrongClock(ahead), **settings)
    sent: list[Any] = []
    board.handles("email")(sent.append)
    return board, sent


def told_now(board: Board) -> None:
    board.handle(Event("lead", deal="d", id="e", at=SystemClock().now()))


def test_of_two_workers_ten_minutes_apart_the_wrong_one_refuses(store: PostgresStore) -> None:
    right, _ = board_on(store, 0 * MINUTE)
    wrong, sent = board_on(store, 10 * MINUTE)
    told_now(right)
    for sweep in (wrong.tick, wrong.deliver, wrong.run):
        with pytest.raises(ClockError, match=r"(599|600)\.\d s ahead of the database's"):
            sweep()
    assert (right.deal("d").stage, sent) == ("new", [])
    assert (right.tick().deals, right.deliver().counts) == (0, {})


def test_a_clock_that_is_behind_is_as_wrong(store: PostgresStore) -> None:
    late, _ = board_on(store, -10 * MINUTE)
    with pytest.raises(ClockError, match=r"s behind the database's .*chrony"):
        late.tick()


def test_events_are_taken_whatever_the_clock_says(store: PostgresStore) -> None:
    wrong, _ = board_on(store, 10 * MINUTE)
    told_now(wrong)
    assert wrong.deal("d").stage == "new"


def test_a_worker_goes_on_once_its_clock_is_right(store: PostgresStore) -> None:
    board, _ = board_on(store, 10 * MINUTE)
    with pytest.raises(ClockError):
        board.tick()
    board.clock.ahead = 0 * MINUTE
    board.tick()


def test_the_bound_is_the_board_s(store: PostgresStore) -> None:
    board_on(store, 10 * MINUTE, max_clock_difference=11 * MINUTE)[0].tick()
    board_on(store, 10 * MINUTE, max_clock_difference=None)[0].tick()
    with pytest.raises(ClockError):
        board_on(store, 10 * MINUTE, max_clock_difference=9 * MINUTE)[0].tick()
    with pytest.raises(ValueError, match="lets no clock pass"):
        board_on(store, 0 * MINUTE, max_clock_difference=0 * MINUTE)


def test_a_clock_that_was_right_is_trusted_for_a_minute(store: PostgresStore) -> None:
    board, _ = board_on(store, 0 * MINUTE)
    board.tick()
    asked = board.clock.asked
    board.tick()
    assert board.clock.asked == asked + 1


def test_a_clock_of_one_s_own_is_taken_at_its_word(store: PostgresStore) -> None:
    shop = Shop(lead_ladder(), store)
    shop.tell("lead")
    shop.wait(73)
    assert shop.board.tick().moves == 1


def test_health_says_by_how_much_the_clock_is_wrong(store: PostgresStore) -> None:
    health = board_on(store, 10 * MINUTE)[0].health()
    assert health.clock is not None
    assert abs(health.clock.ahead - 10 * MINUTE) <= health.clock.uncertainty + 0.1 * MINUTE
    (finding,) = health.findings
    assert (finding.code, finding.severity) == ("H009", "error")
    assert "ahead of the database's" in finding.message


def test_inside_the_caller_s_transaction_it_is_the_moment_that_counts(
    store: PostgresStore, postgres_url: str
) -> None:
    import psycopg

    board, _ = board_on(store, 0 * MINUTE)
    with psycopg.connect(postgres_url) as connection:
        connection.execute("SELECT 1")
        first = board.using(connection).health().clock_difference
        connection.execute("SELECT pg_sleep(1)")
        second = board.using(connection).health().clock_difference
    # By the time at which the transaction began, the clock would be a second further ahead now.
    assert abs(second - first) < dt.timedelta(seconds=1)


def test_an_index_that_was_never_finished_is_missing(shop: Shop) -> None:
    with shop.store.transaction() as transaction:
        transaction.connection.execute(
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ladder_deals_due'::regclass"
        )
    assert list(shop.board.health().structure.missing_indexes) == ["ladder_deals_due"]


def test_tables_of_another_schema_and_prefix_are_looked_at(open_store: Any) -> None:
    shop = Shop(lead_ladder(), open_store("&schema=sales&prefix=crm_"))
    assert shop.board.health().ok
    with shop.store.transaction() as transaction:
        transaction.connection.execute("DROP INDEX sales.crm_deals_due")
    assert list(shop.board.health().structure.missing_indexes) == ["crm_deals_due"]

"""A clock that was wrong once does not decide what a deal is, once it is right again."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ladderpipe import ANY, Board, Event, Pipeline, Stage, after, on
from ladderpipe.board.verify import verify
from ladderpipe.stores import MemoryStore

START = dt.datetime(2026, 1, 5, 9, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


class WrongClock:
    """A clock that anybody may set to any time."""

    def __init__(self) -> None:
        self.time = START

    def now(self) -> dt.datetime:
        return self.time


class Shop:
    def __init__(self, store: Any) -> None:
        quote, review = Stage("quote"), Stage("review")
        abandoned, won = Stage("abandoned", status="abandoned"), Stage("won", status="won")
        self.pipeline = Pipeline(
            "shop",
            stages=[quote, review, abandoned, won],
            rules=[
                on("paid", into=won, out_of=ANY, opens=True),
                on("filled", into=quote, out_of=abandoned, opens=True),
                on("checkout", into=review),
                after(hours=48, out_of=[quote, review], into=abandoned),
            ],
        )

        @self.pipeline.move_into(abandoned)
        def remind(ctx: Any) -> None:
            ctx.do("email")

        self.clock = WrongClock()
        self.board = Board(self.pipeline, store=store, clock=self.clock)
        self.sent: list[dt.datetime] = []
        self.board.handles("email")(lambda delivery: self.sent.append(self.clock.time))
        self.told: list[Event] = []

    def tell(self, kind: str) -> None:
        event = Event(kind, deal="d", id=f"e{len(self.told)}", at=self.clock.time)
        self.told.append(event)
        self.board.handle(event)


@pytest.fixture
def shop(store: Any) -> Shop:
    return Shop(store)


@pytest.mark.parametrize("recovers_by", ["an event", "a tick"])
def test_one_sweep_in_another_year_is_taken_back(shop: Shop, recovers_by: str) -> None:
    shop.tell("filled")
    shop.clock.time = dt.datetime(2038, 1, 19, tzinfo=dt.UTC)
    shop.board.tick()
    assert shop.board.deal("d").stage == "abandoned"
    shop.clock.time = START + HOUR
    assert "H014" in [finding.code for finding in shop.board.health().findings]
    if recovers_by == "an event":
        shop.tell("checkout")
    else:
        shop.board.tick()
    deal = shop.board.deal("d")
    assert deal.stage == ("review" if recovers_by == "an event" else "quote")
    assert deal.due_at is not None
    assert deal.due_at <= START + 49 * HOUR
    assert "H014" not in [finding.code for finding in shop.board.health().findings]
    assert verify(shop.board).agrees
    shop.board.deliver()
    assert not shop.sent, "nothing is sent because of what did not happen"
    shop.clock.time = START + 50 * HOUR
    shop.board.tick()
    shop.board.deliver()
    assert (shop.board.deal("d").stage, len(shop.sent)) == ("abandoned", 1)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.one_of(
            st.sampled_from(["filled", "checkout", "paid"]),
            st.integers(-100, 100).map(lambda hours: hours * HOUR),
            st.just(dt.timedelta(days=4_000)),
        ),
        max_size=12,
    )
)
def test_put_right_again_the_history_is_that_of_the_events_until_now(
    steps: list[str | dt.timedelta],
) -> None:
    shop = Shop(MemoryStore())
    shop.tell("filled")
    right = START
    for step in steps:
        if isinstance(step, str):
            shop.clock.time = right = right + HOUR
            shop.tell(step)
        else:
            shop.clock.time = right + step
            shop.board.tick()
            shop.board.deliver()
    shop.clock.time = right + HOUR
    shop.board.tick()
    history = shop.board.history("d")
    expected = shop.pipeline.fold(shop.told, shop.clock.time)
    assert expected is not None
    assert [(v.stage, v.entered_at) for v in history.visits] == [
        (v.stage, v.entered_at) for v in expected.visits
    ]
    assert verify(shop.board).agrees


def test_a_clock_set_back_does_not_keep_a_delivery_going(shop: Shop) -> None:
    for number in range(150):
        shop.board.handle(Event("filled", deal=f"d{number}", id=f"f{number}", at=START))
    shop.clock.time = START + 49 * HOUR
    shop.board.tick()

    def set_back() -> dt.datetime:
        shop.clock.time, before = START + 48 * HOUR - dt.timedelta(seconds=30), shop.clock.time
        return before

    shop.clock.now = set_back  # type: ignore[method-assign]
    shop.board.deliver()
    del shop.clock.now
    shop.clock.time = START + 49 * HOUR
    shop.board.deliver()
    assert len(shop.sent) == 150


def test_who_slept_after_a_look_at_the_clock_takes_no_lease_for_one_under_a_wrong_clock(
    shop: Shop,
) -> None:
    shop.tell("filled")
    shop.clock.time += 49 * HOUR
    shop.board.tick()

    def die(delivery: Any) -> None:
        raise SystemExit

    shop.board._session.handlers["email"] = die
    with pytest.raises(SystemExit):
        shop.board.deliver()
    (claimed,) = shop.board.effects()
    sleeper = WrongClock()
    late = Board(shop.pipeline, store=shop.board._session.store, clock=sleeper)
    late.handles("email")(lambda delivery: None)
    sleeper.time = shop.clock.time - 24 * HOUR

    def sleep() -> dt.datetime:
        before, sleeper.time = sleeper.time, shop.clock.time + HOUR / 60
        return before

    sleeper.now = sleep  # type: ignore[method-assign]
    late.deliver()
    assert shop.board.effects() == [claimed]
    assert lease_of(shop, claimed.key) == shop.clock.time + dt.timedelta(minutes=5)


def lease_of(shop: Shop, key: str) -> dt.datetime:
    session = shop.board._session
    with session.store.transaction(write=False) as transaction:
        row = transaction.effect(session.number, key)
    assert row is not None
    assert row.state == "claimed"
    return row.ready_at

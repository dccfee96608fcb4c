"""What a wrong clock put off is taken up by a right one, and nothing that was wanted later."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ladderpipe import Board, Event, MemoryStore, Pipeline, Stage, after, do, on, verify, wait
from ladderpipe.stores import PostgresStore
from tests.shops import make_store

START = dt.datetime(2026, 1, 5, 9, tzinfo=dt.UTC)
DEALS = [f"deal-{number}" for number in range(4)]
LATER = dt.timedelta(weeks=6)
"""How long some effects are asked to wait."""


class Clock:
    def __init__(self) -> None:
        self.at = START

    def now(self) -> dt.datetime:
        return self.at


class Killed(BaseException):
    """The worker dies."""


class Shop:
    """A board whose hooks and handlers fail when told to."""

    def __init__(self, store: Any) -> None:
        self.failing: set[str] = set()
        self.clock = Clock()
        steps = [do("mail", template="soon"), wait(LATER), do("mail", template="later")]
        new, cold = Stage("new", sequence=steps), Stage("cold", status="abandoned")
        pipeline = Pipeline(
            "shop",
            stages=[new, cold],
            rules=[on("lead", into=new, opens=True), after(weeks=20, out_of=new, into=cold)],
        )
        pipeline.move_into(new)(lambda ctx: self.may_fail("opening"))
        pipeline.move_into(cold)(lambda ctx: self.may_fail("timer"))
        self.board = Board(pipeline, store=store, clock=self.clock, stale_effects="send")
        self.sent: list[tuple[str, str]] = []
        self.board.handles("mail")(self.send)

    def may_fail(self, point: str) -> None:
        if point in self.failing:
            raise ValueError(point)

    def send(self, delivery: Any) -> None:
        self.may_fail("handler")
        if "worker" in self.failing:
            raise Killed
        self.sent.append((delivery.deal.id, delivery.payload["template"]))

    def tell(self, hours: int = 0) -> None:
        at = self.clock.at + dt.timedelta(hours=hours)
        for deal in DEALS:
            event = Event("lead", deal=deal, id=f"lead {deal}", at=at)
            self.board.handle(event, hold=True)

    def work(self) -> None:
        self.board.tick()
        try:
            self.board.deliver()
        except Killed:
            self.work()

    def stages(self) -> dict[str, str]:
        return {deal.id: str(deal.stage) for deal in self.board.deals()}


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Shop]]:
    stores: list[Any] = []
    if request.param == "postgres":
        server = request.getfixturevalue("postgres_server")

    def made() -> Shop:
        if request.param == "postgres":
            store: Any = PostgresStore(server.emptied_url())
        elif request.param == "sqlite":
            folder = tmp_path / str(len(stores))
            folder.mkdir()
            store = make_store("sqlite", folder)
        else:
            store = MemoryStore()
        stores.append(store)
        return Shop(store)

    yield made
    for store in stores:
        store.close()


AHEAD = st.sampled_from([dt.timedelta(days=1), dt.timedelta(weeks=5), dt.timedelta(days=12 * 365)])
SOME = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@given(ahead=AHEAD, tries=st.integers(1, 3), point=st.sampled_from(["handler", "worker"]))
@SOME
def test_effects_that_failed_under_a_wrong_clock_go_out_by_a_right_one(
    make: Callable[[], Shop], ahead: dt.timedelta, tries: int, point: str
) -> None:
    shop = make()
    shop.tell()
    shop.failing = {point}
    for _ in range(tries):
        shop.clock.at += ahead
        shop.work()
    shop.clock.at, shop.failing = START + dt.timedelta(hours=1), set()
    shop.work()
    # Whoever has an effect may be at it, as long as a lease is.
    shop.clock.at += dt.timedelta(minutes=6)
    shop.work()
    assert sorted(shop.sent) == [(deal, "soon") for deal in DEALS]
    assert "H019" not in [finding.code for finding in shop.board.health().findings]
    shop.clock.at += LATER
    shop.work()
    assert sorted(shop.sent) == [(d, t) for d in DEALS for t in ("later", "soon")]


@given(ahead=AHEAD, tries=st.integers(1, 3))
@SOME
def test_timers_that_failed_under_a_wrong_clock_fire_by_a_right_one(
    make: Callable[[], Shop], ahead: dt.timedelta, tries: int
) -> None:
    shop = make()
    shop.tell()
    due = START + dt.timedelta(weeks=20)
    shop.failing = {"timer"}
    for number in range(tries):
        shop.clock.at = due + ahead * (number + 1)
        shop.work()
    shop.clock.at, shop.failing = due + dt.timedelta(hours=1), set()
    shop.work()
    assert shop.stages() == dict.fromkeys(DEALS, "cold")
    assert verify(shop.board).agrees


@given(ahead=AHEAD, tries=st.integers(1, 3))
@SOME
def test_held_events_that_failed_under_a_wrong_clock_are_taken_by_a_right_one(
    make: Callable[[], Shop], ahead: dt.timedelta, tries: int
) -> None:
    shop = make()
    shop.failing = {"opening"}
    shop.tell()
    for _ in range(tries):
        shop.clock.at += ahead
        shop.work()
    shop.clock.at, shop.failing = START + dt.timedelta(hours=8), set()
    shop.work()
    assert shop.stages() == dict.fromkeys(DEALS, "new")
    assert not list(shop.board.held())


def test_what_is_held_until_its_time_comes_is_not_taken_before(make: Callable[[], Shop]) -> None:
    shop = make()
    shop.tell(hours=24 * 365)
    shop.work()
    assert shop.stages() == {}
    assert len(list(shop.board.held())) == len(DEALS)


@given(ahead=st.sampled_from([dt.timedelta(days=1), dt.timedelta(weeks=5)]))
@SOME
def test_what_a_wrong_clock_put_off_is_found_until_it_is_taken_up(
    make: Callable[[], Shop], ahead: dt.timedelta
) -> None:
    shop = make()
    shop.tell()
    shop.failing = {"handler"}
    shop.clock.at += ahead
    shop.work()
    shop.clock.at = START + dt.timedelta(hours=1)
    assert "H019" in [finding.code for finding in shop.board.health().findings]


def test_a_deal_that_cannot_be_taken_back_is_left_alone_for_a_while(
    make: Callable[[], Shop],
) -> None:
    shop = make()
    shop.tell()
    shop.clock.at = dt.datetime(2038, 1, 19, tzinfo=dt.UTC)
    shop.work()
    shop.clock.at, shop.failing = START + dt.timedelta(hours=1), {"opening"}
    assert len(shop.board.tick().failures) == len(DEALS)
    assert not shop.board.tick().failures, "not at every tick"
    shop.clock.at, shop.failing = START + dt.timedelta(hours=9), set()
    shop.board.tick()
    assert shop.stages() == dict.fromkeys(DEALS, "new")


@given(jumps=st.lists(st.integers(-120, 60), min_size=1, max_size=7))
@SOME
def test_deliveries_end_whatever_the_clock_does_meanwhile(
    make: Callable[[], Shop], jumps: list[int]
) -> None:
    shop = make()
    for number in range(120):
        shop.board.handle(Event("lead", deal=f"d{number}", id=f"e{number}", at=START))
    asked = 0

    def now() -> dt.datetime:
        nonlocal asked
        asked += 1
        assert asked < 1_500, "it goes round and round"
        return START + dt.timedelta(seconds=jumps[asked % len(jumps)])

    shop.clock.now = now  # type: ignore[method-assign]
    shop.board.deliver()
    assert len(shop.sent) == len(set(shop.sent))
    shop.clock.now = lambda: START + dt.timedelta(hours=1)  # type: ignore[method-assign]
    shop.board.deliver()
    assert len(shop.sent) == 120

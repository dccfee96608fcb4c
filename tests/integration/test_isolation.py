"""One bad deal stops nothing (S18): whatever it raises, the others come out as without it."""

from __future__ import annotations

import contextlib
import datetime as dt
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from ladderpipe import (
    ANY,
    Board,
    Event,
    ManualClock,
    Pipeline,
    Stage,
    after,
    on,
    verify,
)
from ladderpipe.errors import LadderError, MigrationError, PipelineChangedError
from ladderpipe.fold.reducer import DealData, cart_reducer
from ladderpipe.stores import PostgresStore
from tests.shops import make_store

START = dt.datetime(2026, 1, 5, 9, tzinfo=dt.UTC)
BAD = "deal-2"
DEALS = [f"deal-{number}" for number in range(5)]


class OwnError(LadderError):
    """A refusal of this library's own family."""


ERRORS = [ValueError, OwnError, sqlite3.IntegrityError, RecursionError, MemoryError, LookupError]


@attrs.define
class Fault:
    """Raises, or hands over nonsense, for one deal at one point, once it is armed."""

    point: str
    error: type[Exception] = ValueError
    armed: bool = False

    def at(self, point: str, deal: str) -> bool:
        return self.armed and self.point == point and deal == BAD

    def raised(self, point: str, deal: str) -> None:
        if self.at(point, deal):
            raise self.error("by the fault injector")


def ladder(fault: Fault, days: int = 2, name: str = "shop") -> Pipeline:
    new, cold, won = Stage("new"), Stage("cold", status="abandoned"), Stage("won", status="won")

    def choosy(deal: Any, event: Event | None) -> bool:
        if event is None:
            fault.raised("timer's guard", deal.as_deal().id)
        else:
            fault.raised("guard", event.deal)
        return True

    def reduce(deal: DealData, event: Event) -> None:
        cart_reducer(deal, event)
        fault.raised("reducer", event.deal)
        if fault.at("what the reducer leaves", event.deal):
            deal.properties["since"] = {1, 2}

    pipeline = Pipeline(
        name,
        stages=[new, cold, won],
        rules=[
            on("lead", into=new, opens=True, when=choosy),
            on("paid", into=won, out_of=ANY, when=choosy),
            after(days=days, out_of=new, into=cold, when=choosy),
        ],
        reducer=reduce,
    )

    def hook(ctx: Any) -> None:
        deal = ctx.deal.id
        fault.raised("hook", deal)
        if fault.at("payload", deal):
            ctx.do("mail", to={1, 2})
        if fault.at("task's owner", deal):
            ctx.do("task", title="Call", owner={"name": "Ada"})
        if fault.at("task's hours", deal):
            ctx.do("task", title="Call", due_hours=1e12)
        if fault.at("wait", deal):
            ctx.do("mail", wait=dt.timedelta(days=3_000_000))
        if fault.at("swallowed", deal) and ctx.connection is not None:
            with contextlib.suppress(Exception):
                ctx.connection.execute("SELECT * FROM there_is_no_such_table")
        ctx.do("mail")
        ctx.do("task", title="Call", owner="Ada")

    for stage in (new, cold, won):
        pipeline.move_into(stage)(hook)
    return pipeline


AT_EVENTS = [
    "guard",
    "reducer",
    "what the reducer leaves",
    "hook",
    "payload",
    "task's owner",
    "task's hours",
    "wait",
    "swallowed",
    "rows",
]
AT_TIMERS = ["timer's guard", "hook", "payload", "task's owner", "swallowed", "rows"]


class Shop:
    def __init__(self, store: Any, fault: Fault) -> None:
        self.fault = fault
        self.clock = ManualClock(START)
        self.store = store
        self.board = Board(ladder(fault, name=fault.point), store=store, clock=self.clock)
        self.sent: list[str] = []
        self.board.handles("mail")(lambda delivery: self.sent.append(delivery.deal.id))

    def tell(self, kind: str) -> Any:
        at = self.clock.now()
        events = [Event(kind, deal=deal, id=f"{kind} {deal}", at=at) for deal in DEALS]
        return self.board.handle_many(events)

    def others(self) -> list[Any]:
        """Everything about the deals that have nothing to do with the fault."""
        found = []
        for deal in self.board.deals():
            if deal.id != BAD:
                effects = [(e.name, e.state, e.due_at) for e in self.board.effects(deal.id)]
                visits = [(v.stage, v.entered_at) for v in self.board.history(deal.id).visits]
                found.append((deal.id, deal.stage, visits, sorted(effects)))
        tasks = [task for task in self.board.tasks() if task.deal != BAD]
        return [sorted(found), sorted(task.deal for task in tasks), sorted(self.sent_others())]

    def sent_others(self) -> list[str]:
        return [deal for deal in self.sent if deal != BAD]


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Fault], Shop]:
    def made(fault: Fault) -> Shop:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        if request.param == "postgres":
            store: Any = PostgresStore(request.getfixturevalue("postgres_url"))
        else:
            store = make_store(request.param, folder)
        request.addfinalizer(store.close)
        if fault.point == "rows":
            _break_rows(request.getfixturevalue("monkeypatch"), store, fault)
        return Shop(store, fault)

    return made


def _break_rows(patch: pytest.MonkeyPatch, store: Any, fault: Fault) -> None:
    """Have the writing of the bad deal's rows fail, as a constraint of the database would."""
    with store.transaction(write=False) as transaction:
        kind = type(transaction)
    save = kind.save

    def failing(self: Any, pipeline: int, changes: Any, now: Any) -> None:
        for change in changes:
            fault.raised("rows", change.deal.deal)
        save(self, pipeline, changes, now)

    patch.setattr(kind, "save", failing)


def without_fault(make: Callable[[Fault], Shop], story: Callable[[Shop], None]) -> list[Any]:
    shop = make(Fault("nowhere"))
    story(shop)
    return shop.others()


@pytest.mark.parametrize("point", AT_EVENTS)
@pytest.mark.parametrize("error", [ValueError, OwnError, sqlite3.IntegrityError])
def test_a_batch(make: Callable[[Fault], Shop], point: str, error: type[Exception]) -> None:
    def story(shop: Shop) -> None:
        shop.fault.armed = True
        report = shop.tell("lead")
        assert {failure.event.deal for failure in report.failures} <= {BAD}
        shop.clock.advance(hours=1)
        shop.board.deliver()
        assert verify(shop.board).agrees

    shop = make(Fault(point, error))
    story(shop)
    assert shop.others() == without_fault(make, story)


@pytest.mark.parametrize("point", AT_TIMERS)
@pytest.mark.parametrize("error", ERRORS)
def test_a_sweep_and_the_deliveries_after_it(
    make: Callable[[Fault], Shop], point: str, error: type[Exception]
) -> None:
    def story(shop: Shop) -> None:
        shop.tell("lead")
        shop.clock.advance(days=3)
        shop.fault.armed = True
        for _ in range(3):
            report = shop.board.tick()
            assert {failure.deal for failure in report.failures} <= {BAD}
            shop.board.deliver()
            shop.clock.advance(hours=7)
        assert verify(shop.board).agrees

    shop = make(Fault(point, error))
    story(shop)
    assert shop.others() == without_fault(make, story)
    shop.fault.armed = False
    shop.clock.advance(days=1)
    shop.board.tick()
    assert shop.board.deal(BAD).stage == "cold", "it is tried again, and goes on when it can"


@pytest.mark.parametrize("point", ["timer's guard", "hook", "rows"])
def test_deliveries_of_others_although_a_deal_cannot_be_brought_up_to_date(
    make: Callable[[Fault], Shop], point: str
) -> None:
    shop = make(Fault(point, LookupError))
    shop.tell("lead")
    shop.clock.advance(days=3)
    shop.fault.armed = True
    shop.board.deliver()
    shop.clock.advance(hours=1)
    shop.board.deliver()
    assert set(shop.sent) == {deal for deal in DEALS if deal != BAD}


def test_a_migration_that_one_deal_stands_in_the_way_of_changes_nothing(
    make: Callable[[Fault], Shop],
) -> None:
    shop = make(Fault("rows", sqlite3.IntegrityError))
    shop.tell("lead")
    shop.fault.armed = True
    changed = Board(
        ladder(shop.fault, 5, shop.fault.point), store=shop.store, clock=shop.clock, adopting=True
    )
    with pytest.raises(MigrationError) as raised:
        changed.migrate()
    assert [failure.deal for failure in raised.value.failures] == [BAD]
    shop.fault.armed = False
    shop.tell("paid")
    assert all(deal.stage == "won" for deal in shop.board.deals()), "the old one goes on"
    changed.migrate()
    with pytest.raises(PipelineChangedError):
        shop.tell("lead")
    assert verify(changed).agrees

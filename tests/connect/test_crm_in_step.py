"""Whatever happens on both sides, and on the way: after quiet, the portal is as the board is."""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from ladderpipe import Board, Event, ManualClock
from ladderpipe.connect import (
    CrmError,
    CrmSync,
    FoundDeal,
    HubSpot,
    HubSpotWebhooks,
    Written,
)
from ladderpipe.templates import sales_management

from .portals import ADDRESS, APP, SECRET, STAGES, Fault, Portal, a_portal
from .senders import NOW
from .test_hubspot import MAP

DEALS = tuple(f"cart-{number}" for number in range(6))
FACTS = ("cart.updated", "cart.saved", "checkout.started", "order.confirmed", "order.cancelled")


class Killed(BaseException):
    """The process died."""


class Dying(HubSpot):
    """A HubSpot whose answer nobody hears: the process dies between it and the ledger."""

    dies_after: str | None = None

    def write(self, deals: Sequence[Any]) -> Written:
        written = super().write(deals)
        self._die("write")
        return written

    def read(self, objects: Sequence[str]) -> Mapping[str, FoundDeal]:
        found = super().read(objects)
        self._die("read")
        return found

    def assign(self, assignment: Any, object: str, owner: str | None) -> str | None:
        trouble = super().assign(assignment, object, owner)
        self._die("assign")
        return trouble

    def _die(self, after: str) -> None:
        if self.dies_after == after:
            self.dies_after = None
            raise Killed


class ShopAndPortal(RuleBasedStateMachine):
    """A shop tells a board, people work in a portal, and what is between them fails."""

    portal: ClassVar[Portal]

    def __init__(self) -> None:
        super().__init__()
        self.portal.reset()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = ManualClock(NOW)
        self.board = Board(sales_management(language="en"), clock=self.clock)
        self.crm: Dying | None = None
        self.numbers = 0
        self.deleted: set[str] = set()
        self.is_unheard = False
        self._begin()

    def _begin(self) -> None:
        if self.crm is not None:
            self.crm.close()
        time = self.portal.time
        self.crm = Dying(
            "token",
            MAP,
            app=APP,
            url=self.portal.url,
            pause=time.pause,
            ticking=time.ticking,
        )
        self.sync = CrmSync(self.board, self.crm, MAP, Path(self.folder.name) / "ledger.db")

    @initialize(deals=st.sets(st.sampled_from(DEALS), min_size=1))
    def opened(self, deals: set[str]) -> None:
        for deal in sorted(deals):
            self.shop_tells(deal, "cart.updated", 1)

    @rule(deal=st.sampled_from(DEALS), fact=st.sampled_from(FACTS), quantity=st.integers(0, 3))
    def shop_tells(self, deal: str, fact: str, quantity: int) -> None:
        self.clock.advance(seconds=1)
        self.numbers += 1
        lines = [{"sku": "A", "quantity": quantity, "unit_price": "9.90"}] if quantity else []
        data: dict[str, Any] = {"contact": {"email": f"{deal}@example.com"}}
        if fact == "cart.updated":
            data["cart"] = {"currency": "EUR", "lines": lines}
        event = Event(fact, deal=deal, id=str(self.numbers), at=self.clock.now(), data=data)
        self.board.handle(event)

    @rule(hours=st.integers(1, 60))
    def time_passes(self, hours: int) -> None:
        self.clock.advance(hours=hours)
        self.board.tick()

    @rule(
        pick=st.integers(0, 5), stage=st.sampled_from(STAGES), reason=st.sampled_from(["", "dear"])
    )
    def somebody_drags(self, pick: int, stage: str, reason: str) -> None:
        if there := self._there():
            told = {"closed_lost_reason": reason} if reason else {}
            self.portal.drag(there[pick % len(there)], f"s-{stage}", **told)

    @rule(pick=st.integers(0, 5))
    def somebody_edits(self, pick: int) -> None:
        if there := self._there():
            with self.portal.lock:
                self.portal.things["deals"][there[pick % len(there)]].properties["amount"] = "1"

    @rule(pick=st.integers(0, 5))
    def somebody_deletes(self, pick: int) -> None:
        there = self.portal.deals()
        if there:
            name = sorted(there)[pick % len(there)]
            self.deleted.add(name)
            self.portal.delete(there[name].id)

    @rule(first=st.integers(0, 5), second=st.integers(0, 5))
    def somebody_merges(self, first: int, second: int) -> None:
        there = self.portal.deals()
        names = sorted(there)
        if names and first % len(names) != second % len(names):
            kept, other = names[first % len(names)], names[second % len(names)]
            self.deleted.add(other)
            self.portal.merge(there[kept].id, there[other].id)

    @rule(data=st.data())
    def bells_are_delivered(self, data: st.DataObject) -> None:
        """Some twice, in any order; those that are left out never come."""
        if self.portal.bells:
            some = st.lists(st.sampled_from(self.portal.bells), max_size=8)
            self._deliver(data.draw(some))
            if data.draw(st.booleans()):
                self.is_unheard = True
                self.portal.bells = []

    @rule(
        faults=st.lists(st.sampled_from(["busy", "broken", "done but broken", None]), max_size=12)
    )
    def things_go_wrong(self, faults: list[Fault | None]) -> None:
        self.portal.faults.extend(faults)

    @rule()
    def a_round(self) -> None:
        self._try(self.sync.round)

    @rule()
    def a_night(self) -> None:
        self._try(self.sync.reconcile)

    @rule(after=st.sampled_from(["write", "read", "assign"]))
    def the_process_dies(self, after: str) -> None:
        assert self.crm is not None
        self.crm.dies_after = after
        self._try(self.sync.round)
        self._begin()

    def _try(self, work: Any) -> None:
        try:
            work()
        except CrmError:
            pass
        except Killed:
            self._begin()

    def _there(self) -> list[str]:
        return sorted(thing.id for thing in self.portal.deals().values())

    def _deliver(self, bells: list[dict[str, Any]]) -> None:
        webhooks = HubSpotWebhooks(secrets=[SECRET], address=ADDRESS, ring=self.sync.ring)
        webhooks.rung(*self.portal.signed(bells), now=self.portal.clock.now())

    def teardown(self) -> None:
        try:
            self._is_in_step_after_quiet()
        finally:
            assert self.crm is not None
            self.crm.close()
            self.folder.cleanup()

    def _is_in_step_after_quiet(self) -> None:
        self.portal.faults.clear()
        self._begin()
        self._deliver(self.portal.bells)
        self.portal.bells = []
        self._settle()
        if not self.is_unheard:
            self._is_in_step()
        self.sync.reconcile()
        self._settle()
        self._is_in_step()
        there = self.portal.deals()
        for deal in self.board.deals():
            if deal.id in there and deal.value is not None:
                assert float(there[deal.id].properties["amount"]) == float(deal.value)
        done = self.sync.round()
        assert (done.told, done.moved, done.refused) == ([], [], {})
        assert self.sync.reconcile().drift == []
        keys = [task.properties["hs_task_body"] for task in self.portal.things["tasks"].values()]
        assert len(keys) == len(set(keys)), "nobody is told a thing twice"

    def _settle(self) -> None:
        for _ in range(3):
            self._deliver(self.portal.bells)
            self.portal.bells = []
            self.sync.round()

    def _is_in_step(self) -> None:
        there = self.portal.deals()
        for deal in self.board.deals():
            found = there.get(deal.id)
            if found is None:
                assert deal.id in self.deleted
                continue
            assert found.properties["dealstage"] == MAP.stages[deal.stage.key]


@pytest.fixture(scope="module", autouse=True)
def portal() -> Any:
    with a_portal() as portal:
        ShopAndPortal.portal = portal
        yield portal


@pytest.mark.slow
def test_after_quiet_both_sides_are_equal() -> None:
    run_state_machine_as_test(
        ShopAndPortal,
        settings=settings(
            max_examples=12,
            stateful_step_count=20,
            deadline=dt.timedelta(minutes=1),
            suppress_health_check=list(HealthCheck),
        ),
    )

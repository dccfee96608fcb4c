"""Whatever happens on both sides, and on the way: after quiet, the CRM is as the board is."""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import attrs
import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from ladderpipe import Board, Event, ManualClock
from ladderpipe.connect import Crm, CrmDeal, CrmError, CrmSync, FoundDeal, Written
from ladderpipe.connect.crm.protocol import Asked
from ladderpipe.templates import sales_management

from .crms import WORLDS, World
from .senders import NOW
from .services import Fault

DEALS = tuple(f"cart-{number}" for number in range(6))
FACTS = ("cart.updated", "cart.saved", "checkout.started", "order.confirmed", "order.cancelled")


class Killed(BaseException):
    """The process died."""


@attrs.define
class Dying:
    """A CRM whose answer nobody hears: the process dies between it and the ledger."""

    crm: Crm
    dies_after: str | None = None

    @property
    def name(self) -> str:
        return self.crm.name

    @property
    def batch(self) -> int:
        return self.crm.batch

    def check(self) -> list[str]:
        return self.crm.check()

    def fields(self, deal: CrmDeal) -> Mapping[str, str]:
        return self.crm.fields(deal)

    def write(self, deals: Sequence[CrmDeal]) -> Written:
        return self._heard("write", self.crm.write(deals))

    def changed(self) -> Iterable[str]:
        return self.crm.changed() if isinstance(self.crm, Asked) else ()

    def read(self, objects: Mapping[str, dt.datetime | None]) -> Mapping[str, FoundDeal]:
        return self._heard("read", self.crm.read(objects))

    def assign(self, assignment: Any, object: str, owner: str | None) -> str | None:
        return self._heard("assign", self.crm.assign(assignment, object, owner))

    def _heard(self, after: str, answer: Any) -> Any:
        if self.dies_after == after:
            self.dies_after = None
            raise Killed
        return answer


class ShopAndCrm(RuleBasedStateMachine):
    """A shop tells a board, people work in a CRM, and what is between them fails."""

    world: ClassVar[World]

    def __init__(self) -> None:
        super().__init__()
        self.service = self.world.service
        self.service.reset()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = ManualClock(NOW)
        self.board = Board(sales_management(language="en"), clock=self.clock)
        self.crm: Any = None
        self.numbers = 0
        self.deleted: set[str] = set()
        self.is_unheard = False
        self._begin()

    def _begin(self) -> None:
        self._end()
        self.service.catch_up()  # before a process begins anew, a list shows what was made
        self.crm = self.world.connected()
        self.dying = Dying(self.crm)
        ledger = Path(self.folder.name) / "ledger.db"
        self.sync = CrmSync(self.board, self.dying, self.world.mapping, ledger)

    def _end(self) -> None:
        if self.crm is not None:
            self.crm.close()

    @initialize(
        deals=st.sets(st.sampled_from(DEALS), min_size=1),
        dies_after=st.sampled_from(["write", None]),
    )
    def opened(self, deals: set[str], dies_after: str | None) -> None:
        for deal in sorted(deals):
            self.shop_tells(deal, "cart.updated", 1)
        self.dying.dies_after = dies_after
        self.a_round()

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
        self.service.time.now += hours * 3600
        self.board.tick()

    @rule(pick=st.integers(0, 5), data=st.data(), reason=st.sampled_from(["", "dear"]))
    def somebody_drags(self, pick: int, data: st.DataObject, reason: str) -> None:
        if there := self._there():
            stage = data.draw(st.sampled_from(sorted(set(self.world.mapping.stages.values()))))
            name = self.world.mapping.properties["loss_reason"]
            told = {name: reason} if reason and stage == self.world.mapping.stages["lost"] else {}
            self.service.drag(there[pick % len(there)], stage, **told)

    @rule(pick=st.integers(0, 5))
    def somebody_edits(self, pick: int) -> None:
        if there := self._there():
            self.service.edit(there[pick % len(there)])

    @rule(pick=st.integers(0, 5))
    def somebody_deletes(self, pick: int) -> None:
        there = self.service.deals()
        if there:
            name = sorted(there)[pick % len(there)]
            self.deleted.add(name)
            self.service.delete(self.world.id(there[name]))

    @rule(first=st.integers(0, 5), second=st.integers(0, 5))
    def somebody_merges(self, first: int, second: int) -> None:
        there = self.service.deals()
        names = sorted(there)
        if names and first % len(names) != second % len(names):
            kept, other = names[first % len(names)], names[second % len(names)]
            self.deleted.add(other)
            self.service.merge(*(self.world.id(there[name]) for name in (kept, other)))

    @rule()
    def searches_catch_up(self) -> None:
        self.service.catch_up()

    @rule(data=st.data())
    def bells_are_delivered(self, data: st.DataObject) -> None:
        """Some twice, in any order; those that are left out never come."""
        if self.service.bells:
            some = st.lists(st.sampled_from(self.service.bells), max_size=8)
            self.world.ring(self.sync, data.draw(some))
            if not data.draw(st.integers(0, 4)):
                self.is_unheard = True
                self.service.bells = []

    @rule(
        faults=st.lists(st.sampled_from(["busy", "broken", "done but broken", None]), max_size=12)
    )
    def things_go_wrong(self, faults: list[Fault | None]) -> None:
        self.service.faults.extend(faults)

    @rule()
    def a_round(self) -> None:
        self._try(self.sync.round)

    @rule()
    def a_night(self) -> None:
        self._try(self.sync.reconcile)

    @rule(after=st.sampled_from(["write", "read", "assign"]))
    def the_process_dies(self, after: str) -> None:
        self.dying.dies_after = after
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
        return sorted(map(self.world.id, self.service.deals().values()))

    def teardown(self) -> None:
        try:
            self._is_in_step_after_quiet()
        finally:
            self._end()
            self.folder.cleanup()

    def _is_in_step_after_quiet(self) -> None:
        self.service.faults.clear()
        self._begin()
        self._settle()
        if not self.is_unheard:
            self._is_in_step()
        self.sync.reconcile()
        self._settle()
        self._is_in_step()
        there = self.service.deals()
        for deal in self.board.deals():
            if deal.id in there and deal.value is not None:
                assert float(self.world.amount(there[deal.id])) == float(deal.value)
        done = self.sync.round()
        assert (done.told, done.moved, done.refused) == ([], [], {})
        assert self.sync.reconcile().drift == []
        keys = self.world.tasks()
        assert len(keys) == len(set(keys)), "nobody is told a thing twice"

    def _settle(self) -> None:
        for _ in range(3):
            self.world.deliver(self.sync)
            self.sync.round()

    def _is_in_step(self) -> None:
        there = self.service.deals()
        assert len(there) == self.service.count(), "a deal is there once"
        for deal in self.board.deals():
            found = there.get(deal.id)
            if found is None:
                assert deal.id in self.deleted
                continue
            assert self.world.stage(found) == self.world.mapping.stages[deal.stage.key]


@pytest.mark.slow
@pytest.mark.parametrize("crm", WORLDS)
def test_after_quiet_both_sides_are_equal(crm: str) -> None:
    with WORLDS[crm]() as served:

        class Machine(ShopAndCrm):
            world = served

        run_state_machine_as_test(
            Machine,
            settings=settings(
                max_examples=12,
                stateful_step_count=20,
                suppress_health_check=list(HealthCheck),
            ),
        )

"""A board in step with a CRM on PostgreSQL, and beside an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from ladderpipe import AsyncBoard, Board, Event, ManualClock
from ladderpipe.connect import CrmSync
from ladderpipe.errors import DefinitionError
from ladderpipe.templates import sales_management

from . import crms
from .crms import World
from .senders import NOW
from .test_crm_in_step import ShopAndCrm

MAP = crms.MAPS["hubspot"]


@pytest.fixture(scope="module")
def hubspot() -> Iterator[World]:
    with crms.hubspot() as world:
        yield world


@pytest.mark.slow
def test_on_postgresql_both_sides_are_equal_after_quiet_too(
    hubspot: World, postgres_server: Any
) -> None:
    class Machine(ShopAndCrm):
        world = hubspot
        server: ClassVar[Any] = postgres_server

        def __init__(self) -> None:
            super().__init__()
            ladder = sales_management(language="en")
            self.board = Board.open(ladder, self.server.emptied_url(), clock=self.clock)
            self._begin()

        def teardown(self) -> None:
            with self.board:
                super().teardown()

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=6,
            stateful_step_count=15,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.parametrize("kind", ["memory", "sqlite", "postgresql"])
def test_a_board_that_is_awaited_is_in_step_too(
    kind: str, hubspot: World, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    urls = {"memory": "memory:", "sqlite": f"sqlite:///{tmp_path}/shop.db"}
    url = urls.get(kind) or request.getfixturevalue("postgres_url")
    clock, portal = ManualClock(NOW), hubspot.service
    portal.reset()

    async def work() -> str:
        async with await AsyncBoard.open(sales_management(language="en"), url, clock) as board:
            cart = {"cart": {"lines": [{"sku": "A", "quantity": 1, "unit_price": "12.50"}]}}
            await board.handle(Event("cart.updated", deal="c", id="e", at=clock.now(), data=cart))
            crm = hubspot.connected()
            sync = CrmSync(board, crm, MAP, tmp_path / "ledger.db")
            assert (await asyncio.to_thread(sync.round)).told == ["c"]
            (there,) = portal.deals().values()
            lost = MAP.stages["lost"]
            portal.drag(hubspot.id(there), lost, closed_lost_reason="dear")
            hubspot.deliver(sync)
            clock.advance(seconds=1)
            assert (await asyncio.to_thread(sync.round)).moved == ["c"]
            crm.close()
            return (await board.deal("c")).stage

    assert asyncio.run(work()) == "lost"


def test_hooks_that_have_to_be_awaited_are_none_for_a_crm(hubspot: World, tmp_path: Path) -> None:
    ladder = sales_management(language="en")

    @ladder.move_into(ladder.stage("lost"))
    async def ask(ctx: Any) -> None:
        """Await something."""

    async def work() -> None:
        async with AsyncBoard(ladder) as board:
            with pytest.raises(DefinitionError, match="in a thread"):
                CrmSync(board, hubspot.connected(), MAP, tmp_path / "ledger.db")

    asyncio.run(work())


def test_what_was_deleted_costs_no_call_of_its_own_every_night(
    hubspot: World, tmp_path: Path
) -> None:
    portal, clock = hubspot.service, ManualClock(NOW)
    portal.reset()
    with Board(sales_management(language="en"), clock=clock) as board:
        for deal in ("a", "b", "c"):
            lines = [{"sku": "A", "quantity": 1, "unit_price": "12.50"}]
            data = {"cart": {"currency": "EUR", "lines": lines}}
            board.handle(Event("cart.updated", deal=deal, id=deal, at=clock.now(), data=data))
        crm = hubspot.connected()
        sync = CrmSync(board, crm, MAP, tmp_path / "ledger.db")
        sync.round()
        there = {name: hubspot.id(thing) for name, thing in portal.deals().items()}
        for deal in ("a", "b"):
            portal.delete(there[deal])
        assert sync.reconcile().gone == ["a", "b"]

        portal.calls.clear()
        assert sync.reconcile().gone == []
        of_one_deal = [path for path in portal.calls if path.rpartition("/")[2] in there.values()]
        assert of_one_deal == []

        with portal.lock:
            portal.things["deals"][there["a"]].is_archived = False
        sync.reconcile()
        sync.round()
        portal.edit(there["a"])
        assert [drift.deal for drift in sync.reconcile().drift] == ["a"]
        crm.close()

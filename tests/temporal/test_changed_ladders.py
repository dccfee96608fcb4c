"""A changed ladder: no other definition goes on with a deal, until the deal adopts it."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt

import pytest
from temporalio.api.workflowservice.v1 import SetWorkerDeploymentCurrentVersionRequest
from temporalio.service import RPCError

from ladderpipe import Pipeline, Stage, on
from ladderpipe.errors import DealNotFoundError, PipelineChangedError, StoreError
from ladderpipe.temporal import TemporalBoard
from tests.temporal.ladders import Running, event, new_name, running, shop, until
from tests.temporal_server import TemporalServer

LINE = {"sku": "NB-15", "title": "Notebook", "quantity": 1, "unit_price": "899.00"}


async def make_current(found: Running, deployment: str) -> None:
    """Do what the operator does: let new deals go to workers with this definition."""
    request = SetWorkerDeploymentCurrentVersionRequest(
        namespace=found.client.namespace,
        deployment_name=deployment,
        build_id=found.board.pipeline.fingerprint,
        identity="operator",
    )

    async def is_known() -> bool:
        try:
            await found.client.workflow_service.set_worker_deployment_current_version(request)
        except RPCError:
            return False  # the server has not heard of the worker yet
        return True

    await until(is_known, "the version is known")


def test_a_deal_stays_with_its_definition_until_it_adopts_another(
    temporal_server: TemporalServer,
) -> None:
    async def work() -> None:
        deployment = new_name("shop")
        old = shop(new_name(), gone_after=3600)
        new = shop(old.name, gone_after=7200)
        old_one = running(temporal_server, old, deployment=deployment)
        async with old_one as before:
            await make_current(before, deployment)
            first = await before.board.handle(event("cart.item_added", "1", line=LINE))
            entered = first.deal.entered_at
            assert first.deal.due_at == entered + dt.timedelta(hours=1)
            async with running(temporal_server, new, deployment=deployment) as after:
                await make_current(after, deployment)
                # The deal is pinned, so the old workers go on with it; a new deal is the new ones'.
                stayed = await before.board.handle(event("page.viewed", "2"))
                assert stayed.deal.due_at == entered + dt.timedelta(hours=1)
                with pytest.raises(PipelineChangedError):
                    await after.board.handle(event("page.viewed", "3"))
                other = await after.board.handle(event("cart.item_added", "4", "cart-2", line=LINE))
                assert other.deal.due_at == other.deal.entered_at + dt.timedelta(hours=2)

                await after.board.adopt("cart-1")
                await until(lambda: _is_due(after.board, entered), "it goes on with the new one")
                with pytest.raises(PipelineChangedError):
                    await before.board.handle(event("page.viewed", "5"))
                assert (await after.board.handle(event("order.confirmed", "6"))).deal.stage == "won"
                await after.board.adopt("cart-1")  # said again it changes nothing
                with pytest.raises(DealNotFoundError):
                    await after.board.adopt("nobody's")

    async def _is_due(board: TemporalBoard, entered: dt.datetime) -> bool:
        try:
            found = (await board.history("cart-1")).deal
        except PipelineChangedError:
            return False
        return found.due_at == entered + dt.timedelta(hours=2)

    asyncio.run(work())


def test_a_stage_that_is_gone_has_to_be_named_before_anything_happens(
    temporal_server: TemporalServer,
) -> None:
    async def work() -> None:
        old = shop(new_name())
        fresh = Stage("fresh")
        won = Stage("won", status="won")
        rules = [on("cart.item_added", into=fresh, opens=True), on("order.confirmed", into=won)]
        new = Pipeline(old.name, stages=[fresh, won], rules=rules)
        async with running(temporal_server, old) as found:
            await found.board.handle(event("cart.item_added", "1", line=LINE))
            board = TemporalBoard(found.client, new, task_queue=found.queue)
            with pytest.raises(PipelineChangedError, match="'new'"):
                await board.adopt("cart-1")
            assert (await found.board.handle(event("order.confirmed", "2"))).deal.stage == "won"

    asyncio.run(work())


def test_a_worker_with_another_definition_refuses_to_replay(
    temporal_server: TemporalServer,
) -> None:
    async def work() -> None:
        old = shop(new_name())
        async with running(temporal_server, old) as found:
            await found.board.handle(event("cart.item_added", "1", line=LINE))
        async with running(temporal_server, shop(old.name, gone_after=7)) as changed:
            board = TemporalBoard(changed.client, old, task_queue=changed.queue)
            with pytest.raises(StoreError, match="cannot go on"):
                await board.handle(event("order.confirmed", "2"))
        async with running(temporal_server, old) as found:
            bought = event("order.confirmed", "2")

            async def is_won() -> bool:
                # The server waits longer and longer before it tries a task again that failed.
                with contextlib.suppress(StoreError):
                    return (await found.board.handle(bought)).deal.stage == "won"
                return False

            await until(is_won, "a worker with the deal's definition goes on", 90)

    asyncio.run(work())

"""A deal that goes on for long: run after run, nothing pending lost, nobody turned away."""

from __future__ import annotations

import asyncio
import datetime as dt

import pytest

from ladderpipe import EffectState, Event, Outcome
from ladderpipe.model.event import BASELINE
from ladderpipe.temporal.wire import workflow_id
from tests.temporal.ladders import Running, event, new_name, now, running, shop, until
from tests.temporal_server import TemporalServer

LINE = {"sku": "NB-15", "title": "Notebook", "quantity": 1, "unit_price": "899.00"}


def viewed(n: int, at: dt.datetime | None = None) -> Event:
    return event("page.viewed", f"view-{n}", at=at, note="x" * 200)


async def runs_of(found: Running) -> int:
    """Return how many runs the deal's workflow has had."""
    name = workflow_id(found.board.pipeline.name, "cart-1")
    query = f"WorkflowId = '{name}'"

    async def is_listed() -> bool:
        return (await found.client.count_workflows(query)).count > 0

    await until(is_listed, "the server lists it")
    return (await found.client.count_workflows(query)).count


@pytest.mark.parametrize("most_bytes", [500_000, 2_000], ids=["with all events", "by baselines"])
def test_many_events_over_many_runs_lose_nothing(
    temporal_server: TemporalServer, most_bytes: int
) -> None:
    async def work() -> None:
        ladder = shop(new_name(), gone_after=60)
        settings = {"most_updates": 7, "most_bytes": most_bytes}
        async with running(temporal_server, ladder, **settings) as found:
            board = found.board
            began = now()
            opened = await board.handle(event("cart.item_added", "1", line=LINE))
            told = [viewed(n, began + dt.timedelta(milliseconds=n + 1)) for n in range(60)]
            answers = await asyncio.gather(*(board.handle(each) for each in told))
            # One that comes late to a baseline changes nothing, either, and says so.
            assert {answer.outcome for answer in answers} <= {Outcome.STAYED, Outcome.LATE}
            again = await asyncio.gather(*(board.handle(each) for each in told))
            assert {answer.outcome for answer in again} == {Outcome.DUPLICATE}
            history = await board.history("cart-1")
            assert [move.into for move in history.moves] == ["new"]
            assert history.deal.due_at == opened.deal.due_at
            assert history.deal.cart.lines[0].title == "Notebook"
            events = await board.events("cart-1")
            assert sum(each.type == "page.viewed" for each in events) == 60
            has_baseline = any(each.type == BASELINE for each in events)
            assert has_baseline == (most_bytes < 10_000)
            assert await runs_of(found) > 10
            bought = await board.handle(event("order.confirmed", "2"))
            assert bought.deal.stage == "won"
            assert str(await board.explain("cart-1"))

    asyncio.run(work())


@pytest.mark.parametrize("most_bytes", [500_000, 1_000], ids=["with all events", "by baselines"])
def test_what_is_pending_goes_on_in_the_next_run(
    temporal_server: TemporalServer, most_bytes: int
) -> None:
    sent: list[str] = []

    async def work() -> None:
        ladder = shop(new_name(), gone_after=2, remind_after=2)
        settings = {"most_updates": 5, "most_bytes": most_bytes}
        handlers = {"email": lambda delivery: sent.append(delivery.key)}
        async with running(temporal_server, ladder, handlers, **settings) as found:
            board = found.board
            opened = await board.handle(event("cart.item_added", "1", line=LINE))
            for n in range(6):
                await board.handle(viewed(n))

            async def is_gone() -> bool:
                return (await board.deal("cart-1")).stage == "gone"

            await until(is_gone, "its timer fires in a later run")
            assert (await board.history("cart-1")).moves[-1].at == opened.deal.due_at
            (effect,) = await board.effects("cart-1")
            assert effect.state is EffectState.PENDING
            for n in range(6, 12):
                await board.handle(viewed(n))

            async def is_sent() -> bool:
                effects = await board.effects("cart-1")
                return [each.state for each in effects] == [EffectState.DELIVERED]

            await until(is_sent, "the reminder is sent in yet another run")
            assert sent == [effect.key]
            assert await runs_of(found) >= 3

    asyncio.run(work())

"""Many tasks on one board, and a loop that goes on meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from ladderpipe import SqliteStore
from ladderpipe.stores import PostgresStore
from tests.asynchronous.shops import AsyncShop
from tests.shops import lead_ladder, register

DEALS = [f"deal-{number}" for number in range(7)]
KINDS = ("lead", "call", "order")


def test_fifty_tasks_on_a_few_deals_leave_each_in_one_stage(store: Any):
    async def hook(ctx: Any) -> None:
        await asyncio.sleep(0)
        ctx.do("email", template="hello")

    async def visit(shop: AsyncShop, seed: int) -> None:
        chance = random.Random(seed)
        for number in range(6):
            event = shop.event(
                chance.choice(KINDS), chance.choice(DEALS), hours=-chance.randrange(200), of=seed
            )
            event = type(event)(
                event.type, deal=event.deal, id=f"{seed}-{number}", at=event.at, data=event.data
            )
            await shop.board.handle(event)
            if number == seed % 6:
                await asyncio.gather(shop.board.tick(), shop.board.deliver(limit=3))

    async def main() -> None:
        shop = AsyncShop(register(lead_ladder(sequence=True), into_talking=hook), store)
        async with shop.board:
            async with asyncio.timeout(120), asyncio.TaskGroup() as group:
                for seed in range(50):
                    group.create_task(visit(shop, seed))
            stored = [len(await shop.board.events(deal)) for deal in DEALS]
            assert sum(stored) == 300
            listed = [deal.id async for deal in shop.board.deals()]
            assert sorted(listed) == DEALS
            await asyncio.to_thread(shop.assert_folds, DEALS)
            await asyncio.to_thread(shop.assert_sound)

    asyncio.run(main())


def test_the_loop_goes_on_while_many_events_are_taken(store: Any):
    async def main() -> None:
        shop = AsyncShop(lead_ladder(), store)
        ticks = 0
        async with shop.board:
            events = [shop.event("lead", f"deal-{number}") for number in range(3000)]
            handling = asyncio.create_task(shop.board.handle_many(events, batch=100))
            while not handling.done():
                await asyncio.sleep(0)
                ticks += 1
            assert handling.result().accepted == 3000
            assert ticks > 50

    asyncio.run(main())


def test_a_cancelled_task_does_not_wait_for_a_lock_it_has_not_got(tmp_path: Path):
    async def main() -> None:
        shop = AsyncShop(lead_ladder(), SqliteStore(tmp_path / "shop.db"))
        async with shop.board:
            other = sqlite3.connect(tmp_path / "shop.db", isolation_level=None)
            with contextlib.closing(other):
                other.execute("BEGIN IMMEDIATE")
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.1):
                        await shop.tell("lead")
                other.execute("ROLLBACK")
            await shop.tell("lead", "other")
            assert await shop.board.events("d") == []

    asyncio.run(main())


def test_what_is_cancelled_before_its_commit_is_not_stored_a_moment_later(tmp_path: Path):
    def hook(ctx: Any) -> None:
        loop.call_soon_threadsafe(handling.cancel)

    async def main() -> None:
        nonlocal loop, handling
        shop = AsyncShop(register(lead_ladder(), into_new=hook), SqliteStore(tmp_path / "shop.db"))
        async with shop.board:
            loop = asyncio.get_running_loop()
            handling = asyncio.create_task(shop.tell("lead"))
            with pytest.raises(asyncio.CancelledError):
                await handling
            stored = await shop.board.events("d")
            await shop.tell("call", "other")
            assert await shop.board.events("d") == stored

    loop: Any = None
    handling: Any = None
    asyncio.run(main())


def test_a_call_that_is_closed_in_the_middle_stores_nothing(postgres_url: str):
    async def main() -> None:
        shop = AsyncShop(lead_ladder(), PostgresStore(postgres_url, pool_size=1, pool_timeout=10))
        async with shop.board:
            await shop.tell("lead", "other")
            call = shop.tell("lead")
            with contextlib.suppress(StopIteration):
                for _ in range(2):
                    call.send(None)
            call.close()
            assert await shop.board.events("d") == []
            await shop.tell("lead")

    asyncio.run(main())

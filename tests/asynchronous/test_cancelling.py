"""A task that is cancelled, at whatever moment, leaves nothing half done."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from ladderpipe import Effect, MemoryStore
from ladderpipe.stores import PostgresStore
from tests.asynchronous.cancelling import TracedStore, cancelled_at_wait
from tests.asynchronous.shops import AsyncShop
from tests.shops import lead_ladder, make_store, register


class Call:
    """One call of a board about one deal, which can be made again."""

    def __init__(self, shop: AsyncShop, deal: str) -> None:
        self.shop, self.board, self.deal = shop, shop.board, deal

    async def prepare(self) -> None:
        await self.shop.tell("lead", self.deal)

    async def make(self) -> None:
        raise NotImplementedError


class Handle(Call):
    async def make(self) -> None:
        await self.shop.tell("call", self.deal)


class HandleMany(Call):
    async def make(self) -> None:
        events = [self.shop.event(kind, self.deal) for kind in ("call", "order")]
        await self.board.handle_many(events)


class HandleLate(Call):
    async def prepare(self) -> None:
        await self.shop.tell("order", self.deal)

    async def make(self) -> None:
        await self.shop.tell("lead", self.deal, hours=-1)


class Move(Call):
    async def make(self) -> None:
        if (await self.board.deal(self.deal)).stage != "lost":
            await self.board.move(self.deal, "lost", by="Ada", properties={"why": "price"})


class Tick(Call):
    async def prepare(self) -> None:
        await self.shop.tell("lead", self.deal, hours=-100)

    async def make(self) -> None:
        await self.board.tick()


class Forget(Call):
    async def prepare(self) -> None:
        await self.shop.tell("lead", self.deal, contact={"email": f"{self.deal}@example.com"})

    async def make(self) -> None:
        await self.board.forget(email=f"{self.deal}@example.com")


calls = pytest.mark.parametrize("kind", [Handle, HandleMany, HandleLate, Move, Tick, Forget])


async def try_every_moment(
    shop: AsyncShop,
    kind: type[Call],
    cancelled: Callable[[Coroutine[Any, Any, Any], int], Awaitable[Any]],
) -> int:
    """Cancel a call at one moment after the other; return how many there are."""
    example = kind(shop, "example")
    await example.prepare()
    await example.make()
    done = await shop.state("example")
    for number in itertools.count():
        call = kind(shop, f"deal-{number}")
        await call.prepare()
        before = await shop.state(call.deal)
        was_cancelled = True
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.create_task(as_coroutine(cancelled(call.make(), number)))
            was_cancelled = False
        after = await shop.state(call.deal)
        assert after == done or (was_cancelled and after == before), number
        await call.make()
        assert await shop.state(call.deal) == done, number
        if not was_cancelled:
            return number
    raise AssertionError


async def as_coroutine(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


@calls
@pytest.mark.parametrize("late", [False, True], ids=["at once", "with the answer"])
def test_on_postgresql_a_call_is_made_or_not(postgres_url: str, kind: type[Call], late: bool):
    async def main() -> int:
        store = PostgresStore(postgres_url, pool_size=1, pool_timeout=10)
        shop = AsyncShop(ladder_with_hooks(), store)
        async with shop.board:
            count = await try_every_moment(
                shop, kind, lambda call, n: cancelled_at_wait(call, n, late)
            )
            await asyncio.to_thread(shop.assert_sound)
        return count

    assert asyncio.run(main()) >= 3


@calls
@pytest.mark.parametrize("kind_of_store", ["memory", "sqlite"])
def test_a_call_in_a_thread_is_made_or_not(tmp_path: Path, kind: type[Call], kind_of_store: str):
    async def main() -> int:
        shop = AsyncShop(ladder_with_hooks(), make_store(kind_of_store, tmp_path))
        async with shop.board:
            count = await try_every_moment(
                shop, kind, lambda call, n: cancelled_at_wait(call, n, late=True)
            )
            await asyncio.to_thread(shop.assert_sound)
        return count

    assert asyncio.run(main()) >= 1


@calls
def test_on_sqlite_a_call_is_made_or_not(tmp_path: Path, kind: type[Call]):
    async def main() -> int:
        store = TracedStore(tmp_path / "shop.db")

        async def cancelled(call: Coroutine[Any, Any, Any], number: int) -> Any:
            store.cancel_at(number)
            try:
                return await call
            finally:
                store.cancel_at(None)

        shop = AsyncShop(ladder_with_hooks(), store)
        async with shop.board:
            count = await try_every_moment(shop, kind, cancelled)
            await asyncio.to_thread(shop.assert_sound)
        return count

    assert asyncio.run(main()) >= 3


@pytest.mark.parametrize("late", [False, True], ids=["at once", "with the answer"])
@pytest.mark.parametrize("kind", ["memory", "sqlite", "postgres"])
def test_an_effect_is_delivered_whenever_its_delivery_was_cancelled(
    kind: str, late: bool, tmp_path: Path, request: pytest.FixtureRequest
):
    async def main() -> None:
        shop = AsyncShop(ladder_with_hooks(), store)
        async with shop.board:
            for number in itertools.count():
                deal = f"deal-{number}"
                await shop.tell("lead", deal)
                delivering = cancelled_at_wait(shop.board.deliver(), number, late)
                task = asyncio.create_task(as_coroutine(delivering))
                with contextlib.suppress(asyncio.CancelledError):
                    await task
                (states,) = {e.state for e in await shop.board.effects(deal) if is_first(e)}
                assert states in ("pending", "claimed", "delivered")
                shop.clock.advance(minutes=6)  # beyond leases and the first pauses
                await shop.board.deliver()
                assert deal in {delivery.deal.id for delivery in shop.sent}
                assert {e.state for e in await shop.board.effects(deal) if is_first(e)} == {
                    "delivered"
                }
                if not task.cancelled():
                    assert number > 1
                    return

    def is_first(effect: Effect) -> bool:
        return effect.payload.get("template") == "first"

    if kind == "postgres":
        url = request.getfixturevalue("postgres_url")
        store: Any = PostgresStore(url, pool_size=1, pool_timeout=10)
    else:
        store = make_store(kind, tmp_path)
    asyncio.run(main())


def test_a_thread_that_asks_just_when_its_task_is_cancelled_comes_to_its_end(
    monkeypatch: pytest.MonkeyPatch,
):
    """Nobody would answer it, and the program would not end before it."""

    async def main() -> None:
        shop = AsyncShop(lead_ladder(sequence=True), MemoryStore())
        async with shop.board:
            await shop.tell("lead")
            delivering = asyncio.create_task(shop.board.deliver())
            loop = asyncio.get_running_loop()
            call_soon = loop.call_soon_threadsafe

            def say_and_cancel(*said: Any) -> Any:
                call_soon(*said)
                return call_soon(delivering.cancel)

            with monkeypatch.context() as patch:
                patch.setattr(loop, "call_soon_threadsafe", say_and_cancel)
                with pytest.raises(asyncio.CancelledError):
                    await delivering

    before = set(threading.enumerate())
    asyncio.run(main())
    for thread in set(threading.enumerate()) - before:
        thread.join(30)
        assert not thread.is_alive()


def ladder_with_hooks() -> Any:
    async def ask(ctx: Any) -> None:
        await asyncio.sleep(0)
        ctx.do("email", template="asked")
        await asyncio.sleep(0)

    return register(lead_ladder(sequence=True), into_talking=ask, into_cold=ask)

"""asyncpg: every statement of the store on the caller's connection, and no other answers."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Awaitable, Iterator
from typing import Any

import asyncpg
import psycopg
import pytest

from ladderpipe import AsyncBoard, Event
from ladderpipe.errors import HookError, StoreError
from ladderpipe.stores import PostgresStore, bridge
from ladderpipe.testing import assert_store_contract
from tests.asynchronous.shops import AsyncShop
from tests.postgres import PostgresServer
from tests.shops import START, lead_ladder, register


class OnALoop:
    """A thread's own event loop, on which plain code awaits."""

    awaits = True

    def __init__(self, url: str) -> None:
        self._loop = asyncio.new_event_loop()
        self.connection = self.wait_for(asyncpg.connect(url))

    def wait_for(self, awaitable: Awaitable[Any]) -> Any:
        return self._loop.run_until_complete(awaitable)

    def begin(self) -> None:
        """Do nothing, as nothing is cancelled."""

    check = end = begin

    def close(self) -> None:
        self.connection.terminate()
        self.wait_for(asyncio.sleep(0))  # the transport is closed by the loop
        self._loop.close()


class OverAsyncpg(PostgresStore):
    """A store whose every transaction is somebody's on asyncpg, whom it joins."""

    def __init__(self, url: str, opened: list[OnALoop]) -> None:
        super().__init__(url)
        self._here = threading.local()
        self._opened = opened

    @contextlib.contextmanager
    def transaction(self, write: bool = True) -> Iterator[Any]:
        if not hasattr(self._here, "own"):
            self._here.own = OnALoop(self._dsn)
            self._opened.append(self._here.own)
        own: OnALoop = self._here.own
        with bridge.running(own):
            own.wait_for(own.connection.execute("BEGIN"))
            try:
                with self.using(own.connection).transaction(write) as joined:
                    yield joined
                own.wait_for(own.connection.execute("COMMIT"))
            except BaseException:
                own.wait_for(own.connection.execute("ROLLBACK"))
                raise


def test_it_keeps_the_contract(postgres_server: PostgresServer):
    opened: list[OnALoop] = []
    try:
        assert_store_contract(
            lambda: OverAsyncpg(postgres_server.emptied_url(), opened), examples=5
        )
    finally:
        for own in opened:
            own.close()


@contextlib.asynccontextmanager
async def shop_and_own(url: str, **hooks: Any) -> AsyncIterator[tuple[AsyncShop, Any]]:
    """Yield a shop with a deal in it, and somebody's connection."""
    shop = AsyncShop(register(lead_ladder(), **hooks), PostgresStore(url))
    own = await asyncpg.connect(url)
    async with shop.board:
        await shop.board.handle(shop.event("lead"))
        yield shop, own
    await own.close()


async def stage(shop: AsyncShop) -> str | None:
    return (await shop.board.deal("d")).stage


def test_what_fails_is_undone_alone_and_the_caller_goes_on(postgres_url: str):
    async def main() -> None:
        broken = {"into_talking": lambda ctx: ctx.deal.owner == "broken" and 1 / 0}
        async with shop_and_own(postgres_url, **broken) as (shop, own), own.transaction():
            await own.execute("CREATE TABLE orders (id text)")
            joined = await shop.board.using(own)
            with pytest.raises(HookError):
                await joined.handle(shop.event("call", owner="broken"))
            assert await own.fetchval("SELECT count(*) FROM orders") == 0
            await joined.handle(shop.event("order"))
        # It is committed by now.
        async with await AsyncBoard.open(lead_ladder(), postgres_url) as board:
            assert (await board.deal("d")).stage == "won"
            assert [event.type for event in await board.events("d")] == ["lead", "order"]

    asyncio.run(main())


def test_a_hook_has_the_names_of_psycopg_and_those_of_asyncpg(postgres_url: str):
    seen: list[Any] = []

    async def hook(ctx: Any) -> None:
        for _ in range(2):
            with contextlib.suppress(psycopg.errors.DuplicateTable):
                async with ctx.connection.transaction():
                    await ctx.connection.execute("CREATE TABLE noted (id text)")
        inserted = await ctx.connection.execute("INSERT INTO noted VALUES (%s)", (ctx.deal.id,))
        found = await ctx.connection.execute("SELECT id, 50 %% 8 FROM noted WHERE id <> %s", ("x",))
        seen.extend([inserted.rowcount, await found.fetchone(), await found.fetchone()])
        found = await ctx.connection.execute("SELECT 1 UNION SELECT 2 ORDER BY 1")
        seen.extend([row async for row in found])
        seen.extend(await found.fetchall())

    def plain(ctx: Any) -> None:
        with (
            contextlib.suppress(psycopg.errors.DuplicateTable),
            ctx.connection.transaction(),
        ):
            ctx.connection.execute("CREATE TABLE noted (id text)")
        seen.append(ctx.connection.execute("SELECT count(*) FROM noted").fetchone())

    async def main() -> None:
        hooks = {"into_talking": hook, "into_won": plain}
        async with shop_and_own(postgres_url, **hooks) as (shop, own):
            async with own.transaction():
                joined = await shop.board.using(own)
                await joined.handle(shop.event("call"))
                await joined.handle(shop.event("order"))
            assert await own.fetchval("SELECT count(*) FROM noted") == 1
            assert await stage(shop) == "won"

    asyncio.run(main())
    assert seen == [1, ("d", 2), None, (1,), (2,), (1,)]


def test_a_hook_that_ends_the_callers_transaction_is_told(postgres_url: str):
    async def hook(ctx: Any) -> None:
        await ctx.connection.execute("COMMIT")

    async def main() -> None:
        async with shop_and_own(postgres_url, into_talking=hook) as (shop, own):
            await own.execute("BEGIN")
            with pytest.raises((HookError, StoreError), match="send the event again"):
                await (await shop.board.using(own)).handle(shop.event("call"))
            assert await stage(shop) == "new"

    asyncio.run(main())


def test_without_a_transaction_nothing_is_written(postgres_url: str):
    async def main() -> None:
        async with shop_and_own(postgres_url) as (shop, own):
            joined = await shop.board.using(own)
            with pytest.raises(StoreError, match="autocommit mode and no transaction is open"):
                await joined.handle(shop.event("call"))
            assert (await joined.deal("d")).stage == "new", "reading needs no transaction"

    asyncio.run(main())


def test_a_connection_that_is_lost_is_told_as_psycopg_tells_it(postgres_url: str):
    async def main() -> None:
        async with shop_and_own(postgres_url) as (shop, own):
            await own.execute("BEGIN")
            joined = await shop.board.using(own)
            await joined.handle(shop.event("call"))
            async with await psycopg.AsyncConnection.connect(postgres_url) as other:
                pid = own.get_server_pid()
                await other.execute("SELECT pg_terminate_backend(%s)", (pid,))
            for _ in range(2):
                with pytest.raises(psycopg.OperationalError) as lost:
                    await joined.handle(shop.event("order"))
                assert shop.board.store.is_transient(lost.value)
            assert await stage(shop) == "new"

    asyncio.run(main())


def test_a_board_that_does_not_await_refuses_it(postgres_url: str):
    async def main() -> None:
        own = await asyncpg.connect(postgres_url)
        with (
            contextlib.closing(PostgresStore(postgres_url)) as store,
            pytest.raises(StoreError, match=r"has to be awaited, .*: open an AsyncBoard"),
        ):
            store.using(own)
        await own.close()

    asyncio.run(main())


def test_a_serialization_failure_is_transient(postgres_url: str):
    async def main() -> None:
        async with shop_and_own(postgres_url) as (shop, own):
            async with own.transaction(isolation="repeatable_read"):
                await own.fetchval("SELECT 1")
                await shop.board.handle(shop.event("call"))
                with pytest.raises(psycopg.errors.SerializationFailure) as refused:
                    await (await shop.board.using(own)).handle(shop.event("order"))
                assert isinstance(refused.value.__cause__, asyncpg.SerializationError)
                assert shop.board.store.is_transient(refused.value)
                assert await own.fetchval("SELECT 1") == 1, "the savepoint was undone"
            assert await stage(shop) == "talking"

    asyncio.run(main())


def test_hostile_texts_arrive_as_they_are(postgres_url: str):
    hostile = "'); DROP TABLE ladder_deals; -- %s %% $1 \\' é €"

    async def main() -> None:
        async with shop_and_own(postgres_url) as (shop, own):
            told = Event("lead", deal=hostile, id=hostile, at=START, data={"note": hostile})
            async with own.transaction():
                await (await shop.board.using(own)).handle(told)
            assert [event.data for event in await shop.board.events(hostile)] == [told.data]

    asyncio.run(main())

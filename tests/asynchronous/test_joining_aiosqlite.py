"""An asynchronous board inside a transaction of aiosqlite's, or of SQLAlchemy's over it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
from collections.abc import AsyncIterator, Awaitable, Iterator
from pathlib import Path
from typing import Any

import aiosqlite
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from ladderpipe import SqliteStore
from ladderpipe.errors import HookError, StoreError
from ladderpipe.stores import bridge
from ladderpipe.testing import assert_store_contract
from tests.asynchronous.cancelling import cancelled_at_wait
from tests.asynchronous.shops import AsyncShop
from tests.shops import lead_ladder, register

NOTE = "INSERT INTO notes VALUES ('Ada')"


@contextlib.asynccontextmanager
async def aiosqlite_connection(path: str) -> AsyncIterator[Any]:
    async with aiosqlite.connect(path) as connection:
        connection.row_factory = aiosqlite.Row
        yield connection, connection.execute


@contextlib.asynccontextmanager
async def session(path: str) -> AsyncIterator[Any]:
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}")
    async with AsyncSession(engine) as found:
        yield found, lambda statement: found.execute(text(statement))
    await engine.dispose()


kinds = pytest.mark.parametrize("connected", [aiosqlite_connection, session])


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "shop.db")


@contextlib.asynccontextmanager
async def opened(path: str, **hooks: Any) -> AsyncIterator[AsyncShop]:
    store = SqliteStore(path)
    with store.transaction() as transaction:
        transaction.connection.execute("CREATE TABLE notes (text text)")
    shop = AsyncShop(register(lead_ladder(), **hooks), store)
    async with shop.board:
        yield shop


async def notes(path: str) -> int:
    async with (
        aiosqlite.connect(path) as connection,
        connection.execute("SELECT count(*) FROM notes") as cursor,
    ):
        row = await cursor.fetchone()
    assert row is not None
    return int(row[0])


@kinds
@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_the_move_and_the_row_are_stored_together_or_not_at_all(
    path: str, connected: Any, end: str
):
    async def hook(ctx: Any) -> None:
        await ctx.connection.execute(NOTE)

    def plain(ctx: Any) -> None:
        ctx.connection.executemany("INSERT INTO notes VALUES (?)", [("Bea",), ("Carla",)])
        assert len([*ctx.connection.execute("SELECT * FROM notes")]) == 4

    async def main() -> None:
        async with opened(path, into_new=hook, into_won=plain) as shop:
            async with connected(path) as (connection, execute):
                await execute(NOTE)
                joined = await shop.board.using(connection)
                await joined.handle(shop.event("lead"))
                await joined.handle(shop.event("order", hours=1 / 60))
                assert await shop.board.events("d") == []
                await getattr(connection, end)()
            committed = end == "commit"
            assert len(await shop.board.events("d")) == 2 * committed
            assert await notes(path) == 4 * committed
            shop.assert_sound()

    asyncio.run(main())


@kinds
def test_what_fails_is_undone_alone_and_the_caller_goes_on(path: str, connected: Any):
    async def main() -> None:
        broken = {"into_talking": lambda ctx: 1 / 0}
        async with opened(path, **broken) as shop, connected(path) as (connection, execute):
            await execute(NOTE)
            joined = await shop.board.using(connection)
            await joined.handle(shop.event("lead"))
            with pytest.raises(HookError):
                await joined.handle(shop.event("call", hours=1 / 60))
            await joined.handle(shop.event("order", hours=1 / 60))
            await connection.commit()
            assert await shop.state("d") == (["new", "won"], ["lead", "order"], [])
            assert await notes(path) == 1

    asyncio.run(main())


@kinds
def test_a_call_that_is_cancelled_is_whole_or_nothing_and_the_caller_goes_on(
    path: str, connected: Any
):
    async def main() -> None:
        undone = 0
        async with opened(path) as shop:
            for number in itertools.count():
                before = await notes(path)
                task = await handle_and_cancel(shop, connected, number)
                told = await shop.board.events(f"d{number}")
                assert await notes(path) == before + 1
                if not task.cancelled():
                    break
                undone += not told
            assert len(told) == 1
            assert undone > 1
            shop.assert_sound()

    async def handle_and_cancel(shop: AsyncShop, connected: Any, number: int) -> Any:
        async with connected(path) as (connection, execute):
            await execute(NOTE)
            joined = await shop.board.using(connection)
            call = joined.handle(shop.event("lead", f"d{number}"))
            task = asyncio.create_task(awaited(cancelled_at_wait(call, number, False)))
            with contextlib.suppress(asyncio.CancelledError):
                await task
            await connection.commit()
        return task

    asyncio.run(main())


async def awaited(generator: Any) -> Any:
    return await generator


def test_without_a_transaction_where_it_commits_by_itself_nothing_is_written(path: str):
    async def main() -> None:
        async with opened(path) as shop, aiosqlite.connect(path, isolation_level=None) as own:
            joined = await shop.board.using(own)
            with pytest.raises(StoreError, match="autocommit mode and no transaction is open"):
                await joined.handle(shop.event("lead"))
            await own.execute("BEGIN IMMEDIATE")
            await joined.handle(shop.event("lead"))
            await own.commit()
            assert (await shop.board.deal("d")).stage == "new"

    asyncio.run(main())


def test_another_file_and_a_closed_connection_are_refused(path: str, tmp_path: Path):
    async def main() -> None:
        async with opened(path) as shop:
            async with aiosqlite.connect(tmp_path / "other.db") as other:
                with pytest.raises(StoreError, match="connect to the board's file"):
                    await shop.board.using(other)
            async with aiosqlite.connect(path) as own:
                joined = await shop.board.using(own)
            with pytest.raises(Exception, match="closed database"):
                await joined.handle(shop.event("lead"))

    asyncio.run(main())


def test_a_board_that_does_not_await_refuses_it(path: str):
    async def main() -> None:
        with contextlib.closing(SqliteStore(path)) as store:
            async with aiosqlite.connect(path) as own:
                with pytest.raises(StoreError, match="has to be awaited"):
                    store.using(own)

    asyncio.run(main())


class OnALoop:
    """A thread's own event loop, on which plain code awaits."""

    awaits = False

    def __init__(self, path: str) -> None:
        self._loop = asyncio.new_event_loop()
        self.connection = self.wait_for(connected_to(path))

    def wait_for(self, awaitable: Awaitable[Any]) -> Any:
        return self._loop.run_until_complete(awaitable)

    def begin(self) -> None:
        """Do nothing, as nothing is cancelled."""

    check = end = begin

    def close(self) -> None:
        self.wait_for(self.connection.close())
        self._loop.close()


async def connected_to(path: str) -> aiosqlite.Connection:
    return await aiosqlite.connect(path, timeout=60, isolation_level=None)


class OverAiosqlite(SqliteStore):
    """A store whose every transaction is somebody's on aiosqlite, whom it joins."""

    def __init__(self, path: str, opened: list[OnALoop]) -> None:
        super().__init__(path)
        self._here = threading.local()
        self._opened = opened

    @contextlib.contextmanager
    def transaction(self, write: bool = True) -> Iterator[Any]:  # type: ignore[override]
        if not hasattr(self._here, "own"):
            self._here.own = OnALoop(self.path)
            self._opened.append(self._here.own)
        own: OnALoop = self._here.own
        with bridge.running(own):
            own.wait_for(own.connection.execute("BEGIN IMMEDIATE" if write else "BEGIN"))
            try:
                with self.using(own.connection).transaction(write) as joined:
                    yield joined
                own.wait_for(own.connection.commit())
            except BaseException:
                own.wait_for(own.connection.rollback())
                raise


def test_it_keeps_the_contract(tmp_path: Path):
    numbers, opened = itertools.count(), list[OnALoop]()
    try:
        assert_store_contract(
            lambda: OverAiosqlite(str(tmp_path / f"{next(numbers)}.db"), opened), examples=5
        )
    finally:
        for own in opened:
            own.close()

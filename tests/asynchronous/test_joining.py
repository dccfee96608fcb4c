"""An asynchronous board inside a transaction that belongs to the caller."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from ladderpipe.errors import StoreError
from ladderpipe.stores import PostgresStore
from tests.asynchronous.cancelling import cancelled_at_wait
from tests.asynchronous.shops import AsyncShop
from tests.shops import lead_ladder, register

NOTE = "INSERT INTO notes VALUES ('Ada')"


@contextlib.asynccontextmanager
async def psycopg_connection(url: str) -> AsyncIterator[Any]:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        yield connection, connection.execute, connection


@contextlib.asynccontextmanager
async def sqlalchemy_connection(url: str) -> AsyncIterator[Any]:
    async with engine(url) as made, made.connect() as connection:
        yield connection, lambda statement: connection.execute(text(statement)), connection


@contextlib.asynccontextmanager
async def sqlalchemy_session(url: str) -> AsyncIterator[Any]:
    async with engine(url) as made, AsyncSession(made) as session:
        yield session, lambda statement: session.execute(text(statement)), session


class AsyncpgTransaction:
    """A transaction of asyncpg's that may go on after its end, as psycopg's does."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    async def commit(self) -> None:
        await self.connection.execute("COMMIT")

    async def rollback(self) -> None:
        await self.connection.execute("ROLLBACK")


@contextlib.asynccontextmanager
async def asyncpg_connection(url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(url)
    await connection.execute("BEGIN")
    yield connection, connection.execute, AsyncpgTransaction(connection)
    await connection.close()


@contextlib.asynccontextmanager
async def session_on_asyncpg(url: str) -> AsyncIterator[Any]:
    async with engine(url, "asyncpg") as made, AsyncSession(made) as session:
        yield session, lambda statement: session.execute(text(statement)), session


@contextlib.asynccontextmanager
async def engine(url: str, driver: str = "psycopg") -> AsyncIterator[Any]:
    made = create_async_engine(url.replace("postgresql://", f"postgresql+{driver}://"))
    try:
        yield made
    finally:
        await made.dispose()


kinds = pytest.mark.parametrize(
    "connected",
    [
        psycopg_connection,
        sqlalchemy_connection,
        sqlalchemy_session,
        asyncpg_connection,
        session_on_asyncpg,
    ],
)


@contextlib.asynccontextmanager
async def opened(url: str, **hooks: Any) -> AsyncIterator[AsyncShop]:
    shop = AsyncShop(register(lead_ladder(), **hooks), PostgresStore(url))
    async with shop.board, await psycopg.AsyncConnection.connect(url) as connection:
        await connection.execute("CREATE TABLE notes (text text)")
        await connection.commit()
        yield shop


async def notes(url: str) -> int:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        row = await (await connection.execute("SELECT count(*) FROM notes")).fetchone()
        assert row is not None
        return int(row[0])


@kinds
@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_the_move_and_the_row_are_stored_together_or_not_at_all(
    postgres_url: str, connected: Any, end: str
):
    async def hook(ctx: Any) -> None:
        await ctx.connection.execute(NOTE)

    async def main() -> None:
        async with opened(postgres_url, into_new=hook) as shop:
            async with connected(postgres_url) as (connection, execute, transaction):
                await execute(NOTE)
                joined = await shop.board.using(connection)
                await joined.handle(shop.event("lead"))
                assert await shop.board.events("d") == []
                await getattr(transaction, end)()
            committed = end == "commit"
            assert len(await shop.board.events("d")) == committed
            assert await notes(postgres_url) == 2 * committed

    asyncio.run(main())


@kinds
def test_a_call_that_is_cancelled_moves_nothing_without_the_callers_row(
    postgres_url: str, connected: Any
):
    async def main() -> None:
        async with opened(postgres_url) as shop:
            task, number = await handle_and_cancel(shop, connected, 0), 0
            while task.cancelled():
                assert await shop.board.events(f"d{number}") == []
                number += 1
                before = await notes(postgres_url)
                task = await handle_and_cancel(shop, connected, number)
            assert number > 1
            assert len(await shop.board.events(f"d{number}")) == 1
            assert await notes(postgres_url) == before + 1

    async def handle_and_cancel(shop: AsyncShop, connected: Any, number: int) -> Any:
        async with connected(postgres_url) as (connection, execute, transaction):
            await execute(NOTE)
            joined = await shop.board.using(connection)
            call = joined.handle(shop.event("lead", f"d{number}"))
            task = asyncio.create_task(awaited(cancelled_at_wait(call, number, False)))
            with contextlib.suppress(asyncio.CancelledError):
                await task
            await transaction.commit()
        return task

    asyncio.run(main())


async def awaited(generator: Any) -> Any:
    return await generator


def test_a_synchronous_connection_of_another_driver_is_refused(postgres_url: str):
    async def main() -> None:
        async with opened(postgres_url) as shop:
            with pytest.raises(StoreError, match="psycopg 3"):
                await shop.board.using(object())

    asyncio.run(main())

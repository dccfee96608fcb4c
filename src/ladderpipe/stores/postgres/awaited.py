"""PostgreSQL on an event loop: psycopg's asynchronous connections, with a plain face.

The code of the store runs unchanged over them, in a greenlet: what it calls is awaited. One pool
serves one event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import psycopg
from psycopg import pq
from psycopg.rows import TupleRow, tuple_row
from psycopg_pool import AsyncConnectionPool

from ..bridge import await_, entered
from ..uncancelled import to_its_end
from ..words import Words
from .guarded import Guarded, GuardedAsyncCursor
from .listener import Listener

__all__ = ["AwaitedConnection", "AwaitedCursor", "AwaitedPool", "OfLoop", "OfLoops"]


class OwnAsyncConnection(Guarded, psycopg.AsyncConnection[TupleRow]):
    """A connection of the store's, on which nobody else ends a transaction."""

    ladder_cursor: AwaitedCursor | None = None

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.ladder_words = Words()
        self.cursor_factory = GuardedAsyncCursor


class AwaitedCursor:
    """A cursor whose calls are awaited for the caller."""

    def __init__(self, cursor: psycopg.AsyncCursor[Any]) -> None:
        self.asynchronous = cursor

    @property
    def rowcount(self) -> int:
        """How many rows the last statement touched or returned."""
        return self.asynchronous.rowcount

    def execute(self, statement: Any, values: Any = None) -> AwaitedCursor:
        """Run a statement."""
        await_(self.asynchronous.execute(statement, values))
        return self

    def executemany(self, statement: Any, rows: Sequence[Any]) -> None:
        """Run a statement for every row of values."""
        await_(self.asynchronous.executemany(statement, rows))

    def fetchone(self) -> Any:
        """Return the next row, ``None`` after the last."""
        return await_(self.asynchronous.fetchone())

    def fetchall(self) -> list[Any]:
        """Return the rows that are left."""
        return await_(self.asynchronous.fetchall())

    def __iter__(self) -> Iterator[Any]:
        return iter(self.fetchall())


class AwaitedConnection:
    """An asynchronous connection whose calls are awaited for the caller.

    Plain hooks of an asynchronous board are given it; ``async def`` ones the connection itself.

    Attributes:
        asynchronous: the connection.
    """

    def __init__(self, connection: psycopg.AsyncConnection[Any]) -> None:
        self.asynchronous = connection

    @property
    def closed(self) -> bool:
        """Whether the connection is gone."""
        return self.asynchronous.closed

    @property
    def info(self) -> psycopg.ConnectionInfo:
        """What the driver knows of the connection."""
        return self.asynchronous.info

    @property
    def autocommit(self) -> bool:
        """Whether every statement is a transaction of its own, unless one is begun."""
        return self.asynchronous.autocommit

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self.info.transaction_status != pq.TransactionStatus.IDLE

    def cursor(self) -> AwaitedCursor:
        """Return a new cursor."""
        return AwaitedCursor(self.asynchronous.cursor())

    def execute(self, statement: Any, values: Any = None) -> AwaitedCursor:
        """Run a statement and return a cursor on its rows."""
        return AwaitedCursor(await_(self.asynchronous.execute(statement, values)))

    def pipeline(self) -> AbstractContextManager[Any]:
        """Send what is executed in the block in one go."""
        return entered(self.asynchronous.pipeline())

    def transaction(self) -> AbstractContextManager[Any]:
        """Undo what happens in the block when it raises."""
        return entered(self.asynchronous.transaction())

    def notifies(self, *, timeout: float, stop_after: int) -> list[psycopg.Notify]:
        """Return the notifications that come within that many seconds, at most so many."""

        async def collect() -> list[psycopg.Notify]:
            coming = self.asynchronous.notifies(timeout=timeout, stop_after=stop_after)
            return [notice async for notice in coming]

        return await_(collect())

    def close(self) -> None:
        """Drop the connection at once, also where nothing can be awaited any more."""
        self.asynchronous.pgconn.finish()

    def ladder_cursor(self, prepare: Callable[[Any], None]) -> AwaitedCursor:
        """Return a cursor of the store's own, prepared once where the connection is its own."""
        own = self.asynchronous if isinstance(self.asynchronous, OwnAsyncConnection) else None
        if own is not None and own.ladder_cursor is not None:
            return own.ladder_cursor
        cursor = psycopg.AsyncCursor(self.asynchronous, row_factory=tuple_row)
        prepare(cursor)
        found = AwaitedCursor(cursor)
        if own is not None:
            own.ladder_cursor = found
        return found


def connect(dsn: str, **settings: Any) -> AwaitedConnection:
    """Open a connection."""
    return AwaitedConnection(await_(psycopg.AsyncConnection.connect(dsn, **settings)))


class AwaitedPool:
    """A pool of asynchronous connections, with the methods of the plain one that a store uses.

    What it lends is given back whatever is cancelled meanwhile.
    """

    def __init__(self, dsn: str, **settings: Any) -> None:
        self._pool = AsyncConnectionPool(
            dsn, connection_class=OwnAsyncConnection, open=False, **settings
        )
        self._returning: set[asyncio.Task[None]] = set()

    def getconn(self) -> AwaitedConnection:
        """Lend a connection."""
        if self._pool.closed:
            await_(self._pool.open())
        return AwaitedConnection(await_(self._pool.getconn()))

    def putconn(self, connection: AwaitedConnection) -> None:
        """Take a connection back."""
        assert isinstance(connection.asynchronous, OwnAsyncConnection)
        loop = asyncio.get_running_loop()
        try:
            await_(to_its_end(self._pool.putconn, connection.asynchronous))
        except GeneratorExit:
            # The call was dropped without being awaited to its end.
            returning = loop.create_task(self._pool.putconn(connection.asynchronous))
            self._returning.add(returning)
            returning.add_done_callback(self._returning.discard)
            raise

    def check(self) -> None:
        """Replace the idle connections that are gone."""
        await_(to_its_end(self._pool.check))

    def close(self) -> None:
        """Close every idle connection; those in use close when they are given back."""
        await_(to_its_end(self._pool.close))


class OfLoop(NamedTuple):
    """What a store holds for one event loop."""

    pool: AwaitedPool
    listener: Listener

    def close(self) -> None:
        """Close every idle connection."""
        self.listener.close()
        self.pool.close()


class OfLoops:
    """What a store holds for each event loop, made when it is first needed."""

    def __init__(self, make: Callable[[], OfLoop]) -> None:
        self._make = make
        self._found: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, OfLoop] = (
            weakref.WeakKeyDictionary()
        )

    def of_this(self) -> OfLoop:
        """Return what there is for the loop that runs."""
        loop = asyncio.get_running_loop()
        if loop not in self._found:
            self._found[loop] = self._make()
        return self._found[loop]

    def close(self) -> None:
        """Close what there is for the loop that runs."""
        with contextlib.suppress(KeyError):
            self._found.pop(asyncio.get_running_loop()).close()

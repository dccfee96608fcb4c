"""Connections of asyncpg, with the face of psycopg's: only for joining a caller's transaction.

Used in a greenlet, as psycopg's asynchronous ones are. asyncpg numbers placeholders, tells no
count but in a text, and does not tell whether a transaction has failed.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import psycopg
from psycopg import pq

from ..bridge import await_
from .other_drivers import raise_as_psycopg, savepoint

__all__ = ["AsyncpgConnection"]


class AsyncpgCursor:
    """The answer of one statement at a time, which plain code and a coroutine may read.

    Attributes:
        rowcount: how many rows the last statement touched or returned.
    """

    def __init__(self, connection: AsyncpgConnection) -> None:
        self._connection = connection
        self._rows: Iterator[tuple[Any, ...]] = iter(())
        self.rowcount = -1

    def execute(self, statement: Any, values: Any = None) -> AsyncpgCursor:
        """Run a statement."""
        await_(self.run(statement, values))
        return self

    async def run(self, statement: str | bytes, values: Sequence[Any] | None) -> None:
        """Run a statement, and keep its answer."""
        text = statement if isinstance(statement, str) else statement.decode()
        if values is not None:
            text = _numbered(text)
        connection = self._connection
        with connection.noting_failure(text):
            prepared = await connection.driver.prepare(text)
            rows = await prepared.fetch(*(values or ()))
            count = prepared.get_statusmsg().rpartition(" ")[2]
        self._rows = iter([tuple(row) for row in rows])
        self.rowcount = int(count) if count.isdigit() else -1

    def fetchone(self) -> Any:
        """Return the next row, ``None`` after the last."""
        return next(self._rows, None)

    def fetchall(self) -> list[Any]:
        """Return the rows that are left."""
        return list(self._rows)

    def __iter__(self) -> Iterator[Any]:
        return self._rows


class AsyncpgConnection:
    """A connection of asyncpg that plain code uses as one of psycopg, in a greenlet.

    Attributes:
        driver: asyncpg's own.
        autocommit: that a transaction begins only where somebody begins it.
    """

    autocommit = True

    def __init__(self, driver: Any) -> None:
        self.driver = driver
        self._has_failed = False

    @property
    def closed(self) -> bool:
        """Whether the connection is gone."""
        return bool(self.driver.is_closed())

    @property
    def info(self) -> AsyncpgConnection:
        """What is known of the connection, which is itself."""
        return self

    @property
    def transaction_status(self) -> pq.TransactionStatus:
        """How it is with the transaction."""
        if self.closed:
            return pq.TransactionStatus.UNKNOWN
        if not self.driver.is_in_transaction():
            return pq.TransactionStatus.IDLE
        return pq.TransactionStatus.INERROR if self._has_failed else pq.TransactionStatus.INTRANS

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self.transaction_status != pq.TransactionStatus.IDLE

    @property
    def asynchronous(self) -> AwaitableAsyncpg:
        """This connection for an ``async def`` hook."""
        return AwaitableAsyncpg(self)

    def cursor(self) -> AsyncpgCursor:
        """Return a new cursor."""
        return AsyncpgCursor(self)

    def execute(self, statement: Any, values: Any = None) -> AsyncpgCursor:
        """Run a statement and return a cursor on its rows."""
        return self.cursor().execute(statement, values)

    def transaction(self) -> contextlib.AbstractContextManager[None]:
        """Undo what happens in the block when it raises."""
        return savepoint(self)

    def pipeline(self) -> contextlib.AbstractContextManager[Any]:
        """Do nothing: it sends one statement after another."""
        return contextlib.nullcontext()

    def close(self) -> None:
        """Drop the connection at once."""
        self.driver.terminate()

    def ladder_cursor(self, prepare: Any) -> AsyncpgCursor:
        """Return a cursor of the store's own: asyncpg's values are those that the store expects."""
        return self.cursor()

    @contextlib.contextmanager
    def noting_failure(self, statement: str) -> Iterator[None]:
        """Raise what goes wrong as psycopg does, and remember it until it is undone."""
        from asyncpg import InterfaceError, InternalClientError, PostgresError

        try:
            yield
        except PostgresError as error:
            self._has_failed = True
            raise_as_psycopg(error, error.sqlstate, psycopg.DatabaseError)
        except (InterfaceError, InternalClientError, OSError) as error:
            # The second: what asyncpg says when the server's farewell comes at the wrong moment.
            self._has_failed = True
            raise_as_psycopg(error, None, psycopg.OperationalError)
        except BaseException:  # the call was cancelled
            self._has_failed = True
            raise
        if statement.startswith("ROLLBACK"):
            self._has_failed = False


class AwaitableCursor:
    """The rows of one statement of an ``async def`` hook's.

    Attributes:
        rowcount: how many rows it touched or returned.
    """

    def __init__(self, cursor: AsyncpgCursor) -> None:
        self._cursor = cursor
        self.rowcount = cursor.rowcount

    async def fetchone(self) -> Any:
        """Return the next row, ``None`` after the last."""
        return self._cursor.fetchone()

    async def fetchall(self) -> list[Any]:
        """Return the rows that are left."""
        return self._cursor.fetchall()

    async def __aiter__(self) -> AsyncIterator[Any]:
        for row in self._cursor:
            yield row


class AwaitableAsyncpg:
    """What an ``async def`` hook is given: ``execute`` and ``transaction`` as psycopg has them.

    So a hook that is written for the worker's connection runs here as well. Everything else is
    asyncpg's.
    """

    def __init__(self, connection: AsyncpgConnection) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection.driver, name)

    @property
    def info(self) -> AsyncpgConnection:
        """What is known of the connection."""
        return self._connection

    async def execute(self, statement: Any, values: Any = None) -> AwaitableCursor:
        """Run a statement, with ``%s`` for each value, and return a cursor on its rows."""
        cursor = self._connection.cursor()
        await cursor.run(statement, values)
        return AwaitableCursor(cursor)

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """Undo what happens in the block when it raises."""
        try:
            async with self._connection.driver.transaction():
                yield
        finally:
            self._connection._has_failed = False


@functools.lru_cache(maxsize=1024)
def _numbered(statement: str) -> str:
    """Write ``%s`` as ``$1``, ``$2``…, and ``%%`` as ``%``."""
    numbers = itertools.count(1)
    return re.sub(
        "%[s%]", lambda found: f"${next(numbers)}" if found[0] == "%s" else "%", statement
    )

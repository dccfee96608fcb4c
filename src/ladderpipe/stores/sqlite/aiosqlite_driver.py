"""Connections of aiosqlite, with the face of sqlite3's: only for joining a caller's transaction.

The store's code runs in the worker thread of its call, and asks the event loop for each statement,
which aiosqlite runs in a thread of its own.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

from ..bridge import await_
from ..uncancelled import to_its_end

__all__ = ["AwaitedSqliteConnection"]


class AwaitedSqliteCursor:
    """The answer of one statement at a time.

    Attributes:
        row_factory: makes a row of what SQLite gives; the connection's own unless it is set.
        rowcount: how many rows the last statement touched, -1 when that is not known.
        lastrowid: the number of the row that it inserted last.
    """

    def __init__(self, connection: Any) -> None:
        self._asynchronous = connection
        self._rows: Iterator[Any] = iter(())
        self.row_factory: Any = connection.row_factory
        self.rowcount = -1
        self.lastrowid: int | None = None

    def execute(self, statement: str, values: Any = ()) -> AwaitedSqliteCursor:
        """Run a statement."""
        self._ask(lambda cursor: cursor.execute(statement, values))
        return self

    def executemany(self, statement: str, rows: Sequence[Any]) -> AwaitedSqliteCursor:
        """Run a statement for every row of values."""
        self._ask(lambda cursor: cursor.executemany(statement, rows))
        return self

    def _ask(self, run: Callable[[Any], Awaitable[object]]) -> None:
        # What is begun in aiosqlite's thread ends there, whoever does not want it any more.
        await_(to_its_end(self._answered, run))

    async def _answered(self, run: Callable[[Any], Awaitable[object]]) -> None:
        async with self._asynchronous.cursor() as cursor:
            cursor.row_factory = self.row_factory
            await run(cursor)
            self._rows = iter(await cursor.fetchall())
            self.rowcount, self.lastrowid = cursor.rowcount, cursor.lastrowid

    def fetchone(self) -> Any:
        """Return the next row, ``None`` after the last."""
        return next(self._rows, None)

    def fetchall(self) -> list[Any]:
        """Return the rows that are left."""
        return list(self._rows)

    def __iter__(self) -> Iterator[Any]:
        return self._rows


class AwaitedSqliteConnection:
    """A connection of aiosqlite that plain code uses as one of sqlite3, in a strand.

    Plain hooks of an asynchronous board are given it; ``async def`` ones the connection itself.

    Attributes:
        asynchronous: aiosqlite's own.
    """

    def __init__(self, connection: Any) -> None:
        self.asynchronous = connection

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open.

        Raises:
            sqlite3.ProgrammingError: the connection is closed.
        """
        try:
            return bool(self.asynchronous.in_transaction)
        except ValueError as error:
            raise sqlite3.ProgrammingError("Cannot operate on a closed database.") from error

    @property
    def isolation_level(self) -> str | None:
        """How transactions are begun; ``None`` where the caller begins them."""
        level: str | None = self.asynchronous.isolation_level
        return level

    @property
    def row_factory(self) -> Any:
        """What makes a row of what SQLite gives."""
        return self.asynchronous.row_factory

    @row_factory.setter
    def row_factory(self, factory: Any) -> None:
        self.asynchronous.row_factory = factory

    def cursor(self) -> AwaitedSqliteCursor:
        """Return a new cursor."""
        return AwaitedSqliteCursor(self.asynchronous)

    def execute(self, statement: str, values: Any = ()) -> AwaitedSqliteCursor:
        """Run a statement and return a cursor on its rows."""
        return self.cursor().execute(statement, values)

    def executemany(self, statement: str, rows: Sequence[Any]) -> AwaitedSqliteCursor:
        """Run a statement for every row of values."""
        return self.cursor().executemany(statement, rows)

"""The connection that an asynchronous hook is given on SQLite."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, Final

from ..uncancelled import to_its_end

__all__ = ["AsyncSqliteConnection", "AsyncSqliteCursor"]


class AsyncSqliteCursor:
    """The rows of one statement.

    Attributes:
        rowcount: how many rows it touched, -1 when that is not known.
        lastrowid: the number of the row it inserted last.
    """

    def __init__(self, cursor: sqlite3.Cursor) -> None:
        self._rows: Final = iter(cursor.fetchall())
        self.rowcount = cursor.rowcount
        self.lastrowid = cursor.lastrowid

    async def fetchone(self) -> Any:
        """Return the next row, ``None`` after the last."""
        return next(self._rows, None)

    async def fetchall(self) -> list[Any]:
        """Return the rows that are left."""
        return list(self._rows)

    async def __aiter__(self) -> AsyncIterator[Any]:
        for row in self._rows:
            yield row


class AsyncSqliteConnection:
    """A SQLite connection whose statements run in a worker thread; the names are aiosqlite's.

    The board commits: there is no ``commit``, and raising undoes everything.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self._connection.in_transaction

    async def execute(self, statement: str, values: Any = ()) -> AsyncSqliteCursor:
        """Run a statement."""
        return await self._run(self._connection.execute, statement, values)

    async def executemany(self, statement: str, rows: Iterable[Any]) -> AsyncSqliteCursor:
        """Run a statement for every row of values."""
        return await self._run(self._connection.executemany, statement, rows)

    async def _run(
        self, execute: Callable[[str, Any], sqlite3.Cursor], statement: str, values: Any
    ) -> AsyncSqliteCursor:
        # A thread cannot be stopped, and what is undone after it must come after it.
        return await to_its_end(
            asyncio.to_thread, lambda: AsyncSqliteCursor(execute(statement, values))
        )

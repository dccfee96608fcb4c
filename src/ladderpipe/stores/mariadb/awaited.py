"""The connection that an asynchronous hook is given on MariaDB."""

from __future__ import annotations

from typing import Any

from ..sqlite.awaited import AsyncSqliteConnection, AsyncSqliteCursor

__all__ = ["AsyncMariadbConnection"]


class AsyncMariadbConnection(AsyncSqliteConnection):
    """A connection to MariaDB whose statements run in a worker thread.

    Its methods are those of :class:`~ladderpipe.stores.sqlite.awaited.AsyncSqliteConnection`, and
    parameters are ``%s``. The board commits: there is no ``commit``, and raising undoes everything.
    """

    def __init__(self, connection: Any) -> None:
        self._own = connection

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return bool(self._own.in_transaction)

    async def execute(self, statement: str, values: Any = None) -> AsyncSqliteCursor:
        """Run a statement."""
        return await self._run(self._own.execute, statement, values)

    async def executemany(self, statement: str, rows: Any) -> AsyncSqliteCursor:
        """Run a statement for every row of values."""

        def executemany(statement: str, rows: Any) -> Any:
            cursor = self._own.cursor()
            cursor.executemany(statement, list(rows))
            return cursor

        return await self._run(executemany, statement, rows)

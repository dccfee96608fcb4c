"""The store's own connection to a SQLite file, on which no hook ends a transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn, Self

from ...errors import StoreError
from ..hook_guard import refuse_closing, refuse_ending
from ..words import Words

if TYPE_CHECKING:
    from .awaited import AsyncSqliteConnection

__all__ = ["OwnConnection"]


class OwnCursor(sqlite3.Cursor):
    """A cursor on which no hook ends the transaction."""

    def execute(self, sql: str, parameters: Any = (), /) -> Self:
        """Run a statement.

        Raises:
            StoreError: a hook's statement would end the transaction.
        """
        refuse_ending(sql)
        return super().execute(sql, parameters)

    def executescript(self, sql_script: str, /) -> NoReturn:
        """Refuse, since it commits first.

        Raises:
            StoreError: always.
        """
        raise StoreError("executescript() commits first: execute the statements one by one")


class OwnConnection(sqlite3.Connection):
    """A connection of the store's, on which nobody else ends a transaction.

    Hooks are given it; the habit of committing after an insert would break a move in two.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.words = Words()

    def commit(self) -> None:
        """Refuse.

        Raises:
            StoreError: always.
        """
        raise StoreError("the board commits this transaction itself: leave commit() out")

    def rollback(self) -> None:
        """Refuse.

        Raises:
            StoreError: always.
        """
        raise StoreError("the board ends this transaction itself: raise to undo it")

    def close(self) -> None:
        """Close the connection; refuse it to a hook.

        Raises:
            StoreError: a hook is running.
        """
        refuse_closing()
        super().close()

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """Run a statement; refuse one of a hook's that would end the transaction.

        Raises:
            StoreError: it would.
        """
        refuse_ending(sql)
        return super().execute(sql, parameters)

    @property
    def execute_own(self) -> Callable[..., sqlite3.Cursor]:
        """Runs a statement of the store's own, which no hook has written."""
        return super().execute

    def cursor(self, factory: Any = None, /) -> Any:
        """Return a cursor that refuses the same."""
        return super().cursor(factory or OwnCursor)

    def executescript(self, sql_script: str, /) -> sqlite3.Cursor:
        """Refuse, since it commits first.

        Raises:
            StoreError: always.
        """
        raise StoreError("executescript() commits first: execute the statements one by one")

    def __enter__(self) -> Self:
        raise StoreError("'with connection' commits, and the board does that: leave it out")

    @property
    def asynchronous(self) -> AsyncSqliteConnection:
        """This connection for an ``async def`` hook."""
        from .awaited import AsyncSqliteConnection

        return AsyncSqliteConnection(self)

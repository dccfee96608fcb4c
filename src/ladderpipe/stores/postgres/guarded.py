"""Connections that hooks are given and must not end a transaction on."""

from __future__ import annotations

from typing import Any, NoReturn, Self

import psycopg
from psycopg import pq, sql
from psycopg.rows import TupleRow

from ...errors import StoreError
from ..hook_guard import refuse_closing, refuse_ending

__all__ = ["Guarded", "GuardedAsyncCursor", "GuardedCursor"]


class GuardedCursor(psycopg.Cursor[TupleRow]):
    """A cursor on which no hook ends the transaction."""

    def execute(self, query: Any, *values: Any, **options: Any) -> Self:
        """Run a statement.

        Raises:
            StoreError: a hook's statement would end the transaction.
        """
        refuse_ending(_text(query))
        return super().execute(query, *values, **options)


class GuardedAsyncCursor(psycopg.AsyncCursor[TupleRow]):
    """An asynchronous cursor on which no hook ends the transaction."""

    async def execute(self, query: Any, *values: Any, **options: Any) -> Self:
        """Run a statement.

        Raises:
            StoreError: a hook's statement would end the transaction.
        """
        refuse_ending(_text(query))
        return await super().execute(query, *values, **options)


def _text(query: Any) -> str:
    if isinstance(query, bytes):
        return query.decode(errors="replace")
    return query.as_string() if isinstance(query, sql.Composable) else str(query)


class Guarded:
    """What makes a connection of psycopg's, synchronous or not, refuse to end a transaction.

    The habit of committing after an insert would break a move in two.
    """

    info: Any

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return bool(self.info.transaction_status != pq.TransactionStatus.IDLE)

    def commit(self) -> NoReturn:
        """Refuse.

        Raises:
            StoreError: always.
        """
        raise StoreError("the board commits this transaction itself: leave commit() out")

    def rollback(self) -> NoReturn:
        """Refuse.

        Raises:
            StoreError: always.
        """
        raise StoreError("the board ends this transaction itself: raise to undo it")

    def close(self) -> Any:
        """Close the connection; refuse it to a hook.

        Raises:
            StoreError: a hook is running.
        """
        refuse_closing()
        return super().close()  # type: ignore[misc]

    def __enter__(self) -> NoReturn:
        raise StoreError("'with connection' commits, and the board does that: leave it out")

    def __aenter__(self) -> NoReturn:
        raise StoreError("'async with connection' commits, and the board does that: leave it out")

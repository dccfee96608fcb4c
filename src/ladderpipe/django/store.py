"""Deals in a database of Django's, over Django's own connection of each thread.

What is written outside of ``atomic()`` is a transaction of its own, inside a part of the caller's.
Either is one of Django's ``atomic()`` blocks, savepoints too: so a hook may use models, what it
gives to ``on_commit`` is dropped when it is undone, and an error of a model's is undone with it.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any, Final

from django.db import connections, transaction

from ..errors import StoreError
from ..stores.base import Transaction
from .databases import dialect_of
from .dialect import Dialect

__all__ = ["DjangoStore"]

_SWALLOWED: Final = (
    "an error of the database was swallowed in this transaction, and so it cannot be committed: "
    "nothing was stored. Put what may fail into 'with transaction.atomic():' and catch the error "
    "outside of it"
)


class DjangoStore:
    """Deals in the database that Django calls *alias*, SQLite or PostgreSQL.

    Args:
        alias: a key of ``settings.DATABASES``.

    Raises:
        StoreError: the database is of another kind.
    """

    def __init__(self, alias: str) -> None:
        self.alias = alias
        dialect_of(connections[alias])

    @contextlib.contextmanager
    def transaction(self, write: bool = True) -> Iterator[Transaction]:
        """Begin a unit of work, part of the caller's transaction where there is one.

        Raises:
            StoreError: an error of the database was swallowed, so that nothing can be stored.
        """
        connection = connections[self.alias]
        dialect = dialect_of(connection)
        if not connection.in_atomic_block:
            # As Django does between requests; workers and threads of servers have none.
            connection.close_if_unusable_or_obsolete()
        connection.ensure_connection()
        if not write:
            with dialect.reading(connection.connection) as reading:
                yield reading
            return
        joined = connection.in_atomic_block
        with dialect.explained(joined), self._atomic():
            unit = dialect.writing(connection.connection, self._atomic, joined)
            yield unit
            unit.finish()
            if transaction.get_rollback(self.alias):
                # Django would roll back now, and say nothing.
                raise StoreError(_SWALLOWED)

    def _atomic(self) -> AbstractContextManager[None]:
        found: AbstractContextManager[None] = transaction.atomic(using=self.alias)
        return found

    def is_transient(self, error: BaseException) -> bool:
        """Return whether the transaction may succeed when all of it is done again."""
        return self._dialect.is_transient(error)

    def may_retry(self, error: BaseException) -> bool:
        """Return whether the board may begin again: it has begun, and not the caller."""
        return not connections[self.alias].in_atomic_block and self._dialect.may_retry(error)

    def is_in_trouble(self, error: BaseException) -> bool:
        """Return whether the database cannot be used, whatever is asked."""
        if self._dialect.is_of_the_database(error):
            return True
        if connections[self.alias].in_atomic_block:
            return bool(transaction.get_rollback(self.alias))
        try:
            with self.transaction(write=False) as reading:
                reading.pipelines()
        except Exception:
            return True
        return False

    def wait_for_work(self, seconds: float, stop: threading.Event) -> None:
        """Sleep so long, or until *stop* is set."""
        stop.wait(seconds)

    def using(self, connection: Any) -> DjangoStore:
        """Return this store, which is on Django's connection anyway.

        Raises:
            StoreError: it is the connection of another database.
        """
        if getattr(connection, "alias", None) != self.alias:
            raise StoreError(
                f"this board is on Django's connection to {self.alias!r} and not on {connection!r}:"
                " leave using() out, and begin with transaction.atomic() what is to commit together"
            )
        return self

    def erase_traces(self) -> None:
        """Overwrite what removals have left, where no transaction is open."""
        connection = connections[self.alias]
        if not connection.in_atomic_block:
            connection.ensure_connection()
            self._dialect.erase(connection.connection, self.transaction)

    def close(self) -> None:
        """Leave the connection alone: it is Django's."""

    @property
    def _dialect(self) -> Dialect:
        return dialect_of(connections[self.alias])

    def __repr__(self) -> str:
        return f"DjangoStore({self.alias!r})"

"""A board on Django's connection to SQLite."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from typing import Final

from ..errors import StoreError
from ..stores.base import Transaction
from ..stores.sqlite import store as sqlite_store
from ..stores.sqlite.schema import VERSION, version_of
from ..stores.sqlite.transaction import SqliteTransaction
from .dialect import MIGRATE, Atomic, Begin, Unit

__all__ = ["SQLITE"]


class _SqliteUnit(SqliteTransaction):
    """What is written to SQLite, where every savepoint is one of Django's."""

    def __init__(self, driver: sqlite3.Connection, atomic: Atomic) -> None:
        super().__init__(driver)
        self._atomic = atomic
        # Django begins without the write lock. Whoever has read before it asks for it may be
        # refused it; a first statement that writes, if only nothing, waits for it.
        self.run("DELETE FROM ladder_schema WHERE 0")

    @contextlib.contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo what happens in the block when it raises."""
        try:
            with self._atomic():
                yield
        except BaseException:
            self._forget_new_words()
            raise

    def finish(self) -> None:
        """Do nothing: nothing waits."""


class _Sqlite:
    @contextlib.contextmanager
    def reading(self, driver: sqlite3.Connection) -> Iterator[Transaction]:
        transaction = SqliteTransaction(driver)
        with self.explained(joined=False), transaction.savepoint():
            yield transaction

    def writing(self, driver: sqlite3.Connection, atomic: Atomic, joined: bool) -> Unit:
        return _SqliteUnit(driver, atomic)

    @contextlib.contextmanager
    def explained(self, joined: bool) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            if "no such table: ladder_" in str(error):
                raise StoreError(MIGRATE) from error
            if joined and error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
                raise StoreError(sqlite_store.DEFERRED) from error
            raise

    def is_transient(self, error: BaseException) -> bool:
        return sqlite_store.is_transient(error)

    def may_retry(self, error: BaseException) -> bool:
        return False  # SQLite has waited for the lock

    def is_of_the_database(self, error: BaseException) -> bool:
        return sqlite_store.is_of_the_file(error)

    def erase(self, driver: sqlite3.Connection, begin: Begin) -> None:
        driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    def version(self, driver: sqlite3.Connection) -> int:
        return version_of(driver)

    def newest(self) -> int:
        return VERSION

    def migrate(self, driver: sqlite3.Connection) -> None:
        sqlite_store.migrate(driver)

    def empty(self, driver: sqlite3.Connection) -> None:
        cursor = driver.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' "
            "AND name LIKE 'ladder!_%' ESCAPE '!' AND name <> 'ladder_schema'"
        )
        driver.execute("PRAGMA defer_foreign_keys = ON")
        for (name,) in cursor.fetchall():
            driver.execute(f'DELETE FROM "{name}"')


SQLITE: Final = _Sqlite()

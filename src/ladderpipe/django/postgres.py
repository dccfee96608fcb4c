"""A board on Django's connection to PostgreSQL, which is psycopg 3's."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Final

import psycopg

from ..errors import StoreError
from ..stores.base import Transaction
from ..stores.postgres import store as postgres_store
from ..stores.postgres.names import Names
from ..stores.postgres.schema import MIGRATIONS, migrate, version_of
from ..stores.postgres.transaction import PostgresTransaction
from ..stores.postgres.wire import Wire
from .dialect import MIGRATE, Atomic, Begin, Unit

__all__ = ["POSTGRES"]

_NAMES: Final = Names("public", "ladder_")


class _PostgresUnit(PostgresTransaction):
    """What is written to PostgreSQL, where every savepoint is one of Django's.

    Django's own statements go past the queue of ours, so that is sent before each savepoint.
    """

    def __init__(self, driver: psycopg.Connection[Any], atomic: Atomic, joined: bool) -> None:
        super().__init__(Wire(driver), _NAMES, writes=True, joined=joined)
        self._atomic = atomic

    @contextlib.contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo what happens in the block when it raises."""
        self._wire.flush()
        try:
            with self._atomic():
                yield
                self._wire.flush()
        except BaseException:
            self._wire.drop()
            self._documents.clear()
            self._forget_new_words()
            raise

    def finish(self) -> None:
        """Write what waits, before Django commits.

        Raises:
            StoreError: a statement failed and nobody minded.
        """
        self.announce(_NAMES.channel)
        self._wire.flush()
        if self.has_failed:
            raise StoreError(
                "a statement of this transaction failed and a hook went on as if it had not: "
                "nothing was stored; put what may fail into 'with transaction.atomic():'"
            )


class _Postgres:
    @contextlib.contextmanager
    def reading(self, driver: psycopg.Connection[Any]) -> Iterator[Transaction]:
        joined = postgres_store.JoinedPostgresStore(driver, _NAMES)
        with self.explained(joined=False), joined.transaction(write=False) as transaction:
            yield transaction

    def writing(self, driver: Any, atomic: Atomic, joined: bool) -> Unit:
        if not isinstance(driver, psycopg.Connection):
            raise StoreError(
                "Django is connected by psycopg2, and the board's statements are psycopg 3's: "
                "pip install 'psycopg[binary,pool]', which Django prefers, and remove psycopg2"
            )
        return _PostgresUnit(driver, atomic, joined)

    @contextlib.contextmanager
    def explained(self, joined: bool) -> Iterator[None]:
        try:
            yield
        except psycopg.errors.UndefinedTable as error:
            if "ladder_" not in str(error):
                raise
            raise StoreError(MIGRATE) from error
        except StoreError as error:
            if isinstance(error.__cause__, psycopg.errors.UndefinedTable):
                raise StoreError(MIGRATE) from error
            raise

    def is_transient(self, error: BaseException) -> bool:
        return postgres_store.is_transient(error)

    def may_retry(self, error: BaseException) -> bool:
        return postgres_store.is_transient(error)

    def is_of_the_database(self, error: BaseException) -> bool:
        return postgres_store.is_of_the_server(error)

    def erase(self, driver: psycopg.Connection[Any], begin: Begin) -> None:
        """Merge what was added to totals; ``VACUUM`` removes older versions of rows, later."""
        with begin() as unit:
            unit.merge_totals()

    def version(self, driver: psycopg.Connection[Any]) -> int:
        return version_of(driver, _NAMES)

    def newest(self) -> int:
        return len(MIGRATIONS)

    def migrate(self, driver: psycopg.Connection[Any]) -> None:
        migrate(driver, _NAMES)

    def empty(self, driver: psycopg.Connection[Any]) -> None:
        found = driver.execute(
            "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE n.nspname = %s AND c.relkind IN ('r', 'p') AND NOT c.relispartition "
            "AND starts_with(c.relname, %s) AND c.relname <> %s",
            (_NAMES.schema, _NAMES.prefix, f"{_NAMES.prefix}schema"),
        )
        tables = [f'"{_NAMES.schema}"."{name}"' for (name,) in found]
        driver.execute(f"TRUNCATE {', '.join(tables)}")


POSTGRES: Final = _Postgres()

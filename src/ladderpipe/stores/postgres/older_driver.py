"""Connections of psycopg2, with the face of psycopg 3's: only for joining a caller's transaction.

psycopg2 writes values into the text of a statement, and sends one after another.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
from collections.abc import Iterator
from typing import Any

import psycopg
from psycopg import pq

from .other_drivers import raise_as_psycopg, savepoint

__all__ = ["OlderConnection"]


class OlderCursor:
    """A cursor whose errors are those of psycopg 3."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    @property
    def rowcount(self) -> int:
        """How many rows the last statement touched or returned."""
        return int(self._cursor.rowcount)

    def execute(self, statement: Any, values: Any = None) -> OlderCursor:
        """Run a statement."""
        with _as_psycopg():
            self._cursor.execute(statement, values)
        return self

    def fetchone(self) -> Any:
        """Return the next row, ``None`` after the last."""
        with _as_psycopg():
            return self._cursor.fetchone()

    def fetchall(self) -> list[Any]:
        """Return the rows that are left."""
        with _as_psycopg():
            return list(self._cursor.fetchall())

    def __iter__(self) -> Iterator[Any]:
        return iter(self.fetchall())


class OlderConnection:
    """A connection of psycopg2 that plain code uses as one of psycopg 3.

    Hooks are given it, so that one that is written for the worker's connection runs here as well.
    Everything else that psycopg2's connection has, it has too.

    Attributes:
        driver: psycopg2's own.
    """

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def __getattr__(self, name: str) -> Any:
        return getattr(self.driver, name)

    @property
    def closed(self) -> bool:
        """Whether the connection is gone."""
        return bool(self.driver.closed)

    @property
    def info(self) -> Any:
        """What the driver knows of the connection."""
        return self.driver.info

    @property
    def autocommit(self) -> bool:
        """Whether every statement is a transaction of its own, unless one is begun."""
        return bool(self.driver.autocommit)

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return bool(self.info.transaction_status != pq.TransactionStatus.IDLE)

    def execute(self, statement: Any, values: Any = None) -> OlderCursor:
        """Run a statement and return a cursor on its rows."""
        with _as_psycopg():
            return OlderCursor(self.driver.cursor()).execute(statement, values)

    def transaction(self) -> contextlib.AbstractContextManager[None]:
        """Undo what happens in the block when it raises, by a savepoint."""
        return savepoint(self)

    def pipeline(self) -> contextlib.AbstractContextManager[Any]:
        """Do nothing: it sends one statement after another."""
        return contextlib.nullcontext()

    def ladder_cursor(self, prepare: Any) -> OlderCursor:
        """Return a cursor that reads values as the store's own connections do."""
        from psycopg2 import extensions

        with _as_psycopg():
            cursor = self.driver.cursor(cursor_factory=extensions.cursor)
        for reader in _readers():
            extensions.register_type(reader, cursor)
        return OlderCursor(cursor)


@functools.cache
def _readers() -> tuple[Any, ...]:
    """Return what reads instants in UTC, JSON as the text that was stored, and bytes."""
    from psycopg2 import BINARY, extensions

    def instant(text: str | None, cursor: Any) -> dt.datetime | None:
        found: dt.datetime | None = extensions.PYDATETIMETZ(text, cursor)
        return None if found is None else found.astimezone(dt.UTC)

    def whole(text: str | None, cursor: Any) -> bytes | None:
        return None if text is None else bytes(BINARY(text, cursor))

    return (
        extensions.new_type((1184,), "LADDER_INSTANT", instant),
        extensions.new_type((114,), "LADDER_JSON", lambda text, cursor: text),
        extensions.new_type((17,), "LADDER_BYTES", whole),
    )


@contextlib.contextmanager
def _as_psycopg() -> Iterator[None]:
    from psycopg2 import Error, InterfaceError

    try:
        yield
    except InterfaceError as error:  # the connection is closed
        raise_as_psycopg(error, None, psycopg.OperationalError)
    except Error as error:
        kinds = (getattr(psycopg, each.__name__, None) for each in type(error).__mro__)
        raise_as_psycopg(error, error.pgcode, next(each for each in kinds if each is not None))

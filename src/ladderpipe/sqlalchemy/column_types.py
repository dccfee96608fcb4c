"""Types of columns that read alike on every database, however they are stored.

Each is PostgreSQL's type, and another one where there is none like it.
"""

from __future__ import annotations

import datetime as dt
import json
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

__all__ = ["Document", "Flag", "Instant", "InstantSeen", "InstantText", "Word"]

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND: Final = dt.timedelta(microseconds=1)


class _Stored(TypeDecorator[Any]):
    """A type of PostgreSQL's that is another one elsewhere.

    Attributes:
        on_sqlite: what it is there, if it is another one.
        on_mariadb: what it is there.
        read_as: the type of what is read.
    """

    on_sqlite: Any = None
    on_mariadb: Any = None
    read_as: type[Any]

    @property
    def python_type(self) -> type[Any]:
        """The type of what is read."""
        return self.read_as

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return how the dialect stores it."""
        others = {"sqlite": self.on_sqlite, "mysql": self.on_mariadb, "mariadb": self.on_mariadb}
        found: TypeEngine[Any] = others.get(dialect.name) or self.impl_instance
        return found


class Instant(_Stored):
    """An aware ``datetime``, in UTC: microseconds since 1970 where it is not ``timestamptz``."""

    impl = sa.DateTime(timezone=True)
    on_sqlite: Any = sa.Integer()
    on_mariadb: Any = sa.BigInteger()
    read_as = dt.datetime
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: Dialect) -> Any:
        """Write an instant as it is stored.

        Raises:
            ValueError: it has no time zone.
        """
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(
                f"{value!r} has no time zone: give an aware datetime, such as "
                "datetime.now(timezone.utc)"
            )
        utc, stored = value.astimezone(dt.UTC), self.load_dialect_impl(dialect)
        if isinstance(stored, sa.Integer):
            return (utc - _EPOCH) // _MICROSECOND
        if isinstance(stored, sa.Text):
            return utc.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return utc if dialect.name == "postgresql" else utc.replace(tzinfo=None)

    def process_result_value(self, value: Any, dialect: Dialect) -> dt.datetime | None:
        """Read an instant."""
        if value is None:
            return None
        if isinstance(value, int):
            return _EPOCH + dt.timedelta(microseconds=value)
        found = dt.datetime.fromisoformat(value) if isinstance(value, str) else value
        return found.astimezone(dt.UTC) if found.tzinfo else found.replace(tzinfo=dt.UTC)


class InstantSeen(Instant):
    """An instant in ``visits``: a ``datetime`` in UTC without time zone on MariaDB."""

    on_mariadb: Any = mysql.DATETIME(fsp=6)
    cache_ok = True


class InstantText(InstantSeen):
    """An instant in the views for people: RFC 3339 on SQLite."""

    on_sqlite: Any = sa.Text()
    cache_ok = True


class Word(_Stored):
    """A text: on MariaDB most are bytes, which are compared as bytes."""

    impl = sa.Text
    read_as = str
    cache_ok = True

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """Read it."""
        return value.decode() if isinstance(value, bytes) else value


class Flag(_Stored):
    """Yes or no: 1 or 0 on SQLite."""

    impl = sa.Boolean
    on_sqlite = sa.Integer()
    read_as = bool
    cache_ok = True

    def process_bind_param(self, value: bool | None, dialect: Dialect) -> Any:
        """Write it as the dialect has it."""
        return value if value is None or dialect.name != "sqlite" else int(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> bool | None:
        """Read it."""
        return None if value is None else bool(value)


class Document(_Stored):
    """A JSON object, as a dictionary. Only read, never written."""

    impl = sa.JSON
    on_sqlite = sa.Text()
    on_mariadb = sa.Text()
    read_as = dict
    cache_ok = True

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """Read it."""
        return json.loads(value) if isinstance(value, str) else value

"""Types of columns that read alike on SQLite and PostgreSQL, however they are stored."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

__all__ = ["Document", "Flag", "Instant", "InstantText"]

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND: Final = dt.timedelta(microseconds=1)


class _Stored(TypeDecorator[Any]):
    """A type of PostgreSQL's that is another one on SQLite.

    Attributes:
        on_sqlite: what it is there.
        read_as: the type of what is read.
    """

    on_sqlite: type[Any]
    read_as: type[Any]

    @property
    def python_type(self) -> type[Any]:
        """The type of what is read."""
        return self.read_as

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return how the dialect stores it."""
        found = self.on_sqlite() if dialect.name == "sqlite" else self.impl_instance
        return dialect.type_descriptor(found)


class Instant(_Stored):
    """An aware ``datetime``, in UTC: microseconds since 1970 on SQLite."""

    impl = sa.DateTime(timezone=True)
    on_sqlite: type[Any] = sa.Integer
    read_as = dt.datetime
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: Dialect) -> Any:
        """Write an instant.

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
        return value if dialect.name != "sqlite" else self._write(value.astimezone(dt.UTC))

    def process_result_value(self, value: Any, dialect: Dialect) -> dt.datetime | None:
        """Read an instant."""
        if value is None:
            return None
        found = value if isinstance(value, dt.datetime) else self._read(value)
        return found.astimezone(dt.UTC)

    def _write(self, at: dt.datetime) -> Any:
        return (at - _EPOCH) // _MICROSECOND

    def _read(self, stored: Any) -> dt.datetime:
        return _EPOCH + dt.timedelta(microseconds=stored)


class InstantText(Instant):
    """An aware ``datetime``, in UTC: RFC 3339 on SQLite, as the views for people have it."""

    on_sqlite = sa.Text
    cache_ok = True

    def _write(self, at: dt.datetime) -> Any:
        return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def _read(self, stored: Any) -> dt.datetime:
        return dt.datetime.fromisoformat(stored)


class Flag(_Stored):
    """Yes or no: 1 or 0 on SQLite."""

    impl = sa.Boolean
    on_sqlite = sa.Integer
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
    on_sqlite = sa.Text
    read_as = dict
    cache_ok = True

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """Read it."""
        return json.loads(value) if isinstance(value, str) and dialect.name == "sqlite" else value

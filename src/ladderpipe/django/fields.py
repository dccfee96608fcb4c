"""Columns as our tables have them, where Django's own fields would read them otherwise."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

from django.db import models

from ..model.clock import instant
from ..stores.micros import from_micros, to_micros

__all__ = ["InstantField", "JsonField", "ReadInstantField"]


if TYPE_CHECKING:
    AnyField = models.Field[Any, Any]
else:
    AnyField = models.Field  # Django's own takes no arguments


class InstantField(AnyField):
    """An instant: ``timestamptz`` on PostgreSQL, microseconds since 1970 on SQLite."""

    def db_type(self, connection: Any) -> str:
        """Return the type of the column."""
        return "timestamptz" if connection.vendor == "postgresql" else "bigint"

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> dt.datetime | None:
        """Return an aware datetime, in UTC."""
        if value is None or isinstance(value, dt.datetime):
            return value if value is None else value.astimezone(dt.UTC)
        return from_micros(value)

    def to_python(self, value: Any) -> dt.datetime | None:
        """Return an aware datetime of what is looked up by."""
        return None if value is None else instant(value)

    def get_prep_value(self, value: Any) -> dt.datetime | None:
        """Return an aware datetime of what is looked up by.

        Raises:
            InstantError: it has no time zone, or is none.
        """
        return self.to_python(super().get_prep_value(value))

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        """Return what the column holds."""
        at = value if prepared else self.get_prep_value(value)
        return at if connection.vendor == "postgresql" else self.on_sqlite(at)

    def on_sqlite(self, at: dt.datetime | None) -> Any:
        """Return what SQLite's column holds."""
        return to_micros(at)


class ReadInstantField(InstantField):
    """An instant of our views, which on SQLite is RFC 3339 text, to the microsecond."""

    def db_type(self, connection: Any) -> str:
        """Return the type of the column."""
        return "timestamptz" if connection.vendor == "postgresql" else "text"

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> dt.datetime | None:
        """Return an aware datetime, in UTC."""
        return (
            instant(value)
            if isinstance(value, str)
            else super().from_db_value(value, expression, connection)
        )

    def on_sqlite(self, at: dt.datetime | None) -> Any:
        """Return what SQLite's column holds."""
        return None if at is None else f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond:06d}Z"


class JsonField(AnyField):
    """JSON, which PostgreSQL keeps as ``json`` and SQLite as text; nothing is looked up by it."""

    def db_type(self, connection: Any) -> str:
        """Return the type of the column."""
        return "json" if connection.vendor == "postgresql" else "text"

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        """Return what the text says."""
        return json.loads(value) if isinstance(value, str) else value

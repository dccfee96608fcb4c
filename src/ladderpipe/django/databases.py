"""Which of Django's databases a board can be in."""

from __future__ import annotations

from typing import Any

from ..errors import StoreError
from .dialect import Dialect
from .sqlite import SQLITE

__all__ = ["dialect_of"]


def dialect_of(connection: Any) -> Dialect:
    """Return what a connection of Django's speaks.

    Raises:
        StoreError: a board cannot be in such a database.
    """
    if connection.vendor == "sqlite":
        return SQLITE
    if connection.vendor == "postgresql":
        try:
            from .postgres import POSTGRES
        except ModuleNotFoundError as error:
            raise StoreError(
                "Django's PostgreSQL and the board's are one connection, which is psycopg 3's, and "
                "that is not installed: pip install 'psycopg[binary,pool]'"
            ) from error
        return POSTGRES
    raise StoreError(
        f"Django's database {connection.alias!r} is {connection.display_name}, and a board is in "
        "SQLite or PostgreSQL: name another one in settings.LADDERPIPE['DATABASE']"
    )

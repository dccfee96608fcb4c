"""The tables in a database of Django's: made by ``migrate``, emptied by ``flush``."""

from __future__ import annotations

from typing import Any

from django.db import connections, transaction

from ..errors import StoreError
from .conf import database
from .databases import dialect_of
from .dialect import MIGRATE

__all__ = ["bring_up_to_date", "empty", "is_up_to_date", "refuse_old_tables", "tables_version"]


def bring_up_to_date(apps: Any, schema_editor: Any) -> None:
    """Make the tables, or take those of an earlier ladderpipe to the version of this one.

    What a migration of Django's runs, one for each version of ours, so that ``migrate`` has
    something to do after an upgrade. Each goes as far as this ladderpipe knows; the later ones
    then find nothing to do. A large SQLite file takes several transactions, and so the migrations
    are not atomic: who is killed between them runs ``migrate`` again.

    Raises:
        StoreError: the database is of another kind, or the tables are a later ladderpipe's.
    """
    connection = schema_editor.connection
    if connection.alias != database():
        return
    connection.ensure_connection()
    dialect_of(connection).migrate(connection.connection)


def tables_version(alias: str) -> tuple[int, int]:
    """Return the version of the tables that are there, 0 for none, and the one needed."""
    connection = connections[alias]
    connection.ensure_connection()
    dialect = dialect_of(connection)
    return dialect.version(connection.connection), dialect.newest()


def is_up_to_date(alias: str) -> bool:
    """Return whether the tables are there, and as this ladderpipe needs them."""
    found, needed = tables_version(alias)
    return found == needed


def refuse_old_tables(alias: str) -> None:
    """Refuse a database that ``migrate`` was not run on.

    Raises:
        StoreError: the tables are missing, or of another version than this ladderpipe's.
    """
    found, needed = tables_version(alias)
    if found < needed:
        raise StoreError(MIGRATE)
    if found > needed:
        raise StoreError(
            f"the tables have schema version {found} and this ladderpipe knows {needed}: install "
            "a later ladderpipe"
        )


def empty(alias: str) -> None:
    """Remove every row of ours, as ``flush`` does with those of models."""
    connection = connections[alias]
    with transaction.atomic(using=alias):
        dialect_of(connection).empty(connection.connection)

"""Finding the driver's own connection inside what frameworks wrap around it.

By the shape of the object, so that no framework is imported.
"""

from __future__ import annotations

import sqlite3
from typing import Any

from ..errors import StoreError
from .bridge import finished

__all__ = ["has_failed", "is_closed", "is_in_transaction", "unwrap"]


def unwrap(connection: Any) -> Any:
    """Return the connection of psycopg, psycopg2 or sqlite3 that a caller's connection stands for.

    Taken are the drivers' own connections, a SQLAlchemy ``Connection`` or ``Session``, whose
    transaction is begun as a first statement would begin it, and Django's ``connection``. Those
    of SQLAlchemy's asyncio extension are taken by an asynchronous board.

    Raises:
        StoreError: it is a SQLAlchemy engine, which is no connection yet.
    """
    if callable(getattr(connection, "ensure_connection", None)):
        connection.ensure_connection()
        return connection.connection
    if callable(getattr(connection, "raw_connection", None)):
        raise StoreError(
            "an engine has many connections and no transaction: pass the connection of "
            "'with engine.begin() as connection', or a session"
        )
    if callable(getattr(connection, "get_bind", None)):
        connection = finished(connection.connection())
    if callable(getattr(connection, "get_raw_connection", None)):
        if not connection.in_transaction():
            finished(connection.begin())
        if connection.dialect.driver == "asyncpg":
            # Only a first statement begins on the driver what SQLAlchemy says was begun.
            finished(connection.exec_driver_sql("SELECT"))
        return finished(connection.get_raw_connection()).driver_connection
    if callable(getattr(connection, "get_transaction", None)):
        if connection.get_transaction() is None:
            connection.begin()
        connection = connection.connection
    return getattr(connection, "driver_connection", connection)


def is_closed(connection: Any) -> bool:
    """Return whether a connection was closed; where nobody can tell, it was not."""
    try:
        # A closed one of SQLite's refuses to say whether a transaction is open on it.
        getattr(connection, "in_transaction", None)
    except sqlite3.ProgrammingError:
        return True
    return getattr(connection, "closed", False) is True


def is_in_transaction(connection: Any) -> bool:
    """Return whether a transaction is open on a connection; where nobody can tell, it is."""
    if is_closed(connection):
        return False
    found = getattr(connection, "in_transaction", None)
    if found is not None:
        return bool(found)
    # psycopg's and psycopg2's, where zero stands for idle.
    status = getattr(getattr(connection, "info", None), "transaction_status", None)
    return status is None or status != 0


def has_failed(connection: Any) -> bool:
    """Return whether a statement failed in an open transaction, which is good for nothing then."""
    # psycopg's, where three stands for that; SQLite goes on after a statement that failed.
    return getattr(getattr(connection, "info", None), "transaction_status", None) == 3

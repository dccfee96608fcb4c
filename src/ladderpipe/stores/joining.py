"""Finding the driver's own connection inside what frameworks wrap around it.

By the shape of the object, so that no framework is imported.
"""

from __future__ import annotations

from typing import Any

from ..errors import StoreError

__all__ = ["unwrap"]


def unwrap(connection: Any) -> Any:
    """Return the connection of psycopg or sqlite3 that a caller's connection stands for.

    Taken are the drivers' own connections, a SQLAlchemy ``Connection`` or ``Session``, whose
    transaction is begun as a first statement would begin it, and Django's ``connection``.

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
        connection = connection.connection()
    if callable(getattr(connection, "get_transaction", None)):
        if connection.get_transaction() is None:
            connection.begin()
        connection = connection.connection
    return getattr(connection, "driver_connection", connection)

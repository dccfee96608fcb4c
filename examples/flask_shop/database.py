"""The shop's own table, and a transaction for each order: plain sqlite3, or plain psycopg."""

import contextlib
import os
import sqlite3

import psycopg

URL = os.environ.get("DATABASE_URL", "sqlite:///shop.db")
ON_SQLITE = URL.startswith("sqlite")
NUMBER = "INTEGER" if ON_SQLITE else "serial"

RefusedByTable = (sqlite3.IntegrityError, psycopg.IntegrityError)


def connect():
    if ON_SQLITE:
        # isolation_level=None: it is this module that begins and ends transactions.
        return sqlite3.connect(URL.removeprefix("sqlite:///"), timeout=60, isolation_level=None)
    return psycopg.connect(URL)


@contextlib.contextmanager
def transaction():
    """Yield a connection inside a transaction: committed at the end, rolled back on an error."""
    with contextlib.closing(connect()) as connection:
        if ON_SQLITE:
            # The write lock now: a deferred transaction that has read may be refused it later.
            connection.execute("BEGIN IMMEDIATE")
        with connection:
            yield connection


def create_table():
    with transaction() as connection:
        connection.execute(
            f"CREATE TABLE IF NOT EXISTS orders (number {NUMBER} PRIMARY KEY, "
            "cart text NOT NULL UNIQUE, total numeric(12, 2) NOT NULL CHECK (total > 0))"
        )


def add_order(connection, cart, total):
    insert = "INSERT INTO orders (cart, total) VALUES (?, ?) RETURNING number"
    return _execute(connection, insert, cart, str(total)).fetchone()[0]


def find_order(connection, cart):
    """Return number and total of a cart's order."""
    return _execute(connection, "SELECT number, total FROM orders WHERE cart = ?", cart).fetchone()


def _execute(connection, statement, *values):
    return connection.execute(statement if ON_SQLITE else statement.replace("?", "%s"), values)

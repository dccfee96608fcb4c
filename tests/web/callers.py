"""Whoever calls ``board.using`` with a transaction of his own: drivers, SQLAlchemy, Django.

Each of them begins, nests and ends transactions in its own way; here they answer to one name.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from typing import Any, Protocol

import django
import psycopg
import psycopg2
import sqlalchemy
from django.conf import settings
from django.db import connections, transaction
from sqlalchemy.orm import Session

ADD_ORDER = "INSERT INTO orders VALUES ('{}')"
ALIAS = "caller"


class Caller(Protocol):
    """Somebody with a connection, who puts rows into ``orders``.

    Attributes:
        given: what he gives to ``board.using``.
    """

    given: Any

    def block(self) -> contextlib.AbstractContextManager[Any]:
        """Begin a transaction, or inside of one a savepoint; an exception undoes it."""

    def insert(self, order: str) -> None:
        """Add a row."""

    def close(self) -> None:
        """Leave."""


class Sqlite3:
    """Python's own sqlite3, beginning transactions by hand."""

    def __init__(self, url: str) -> None:
        path = url.removeprefix("sqlite:///")
        self.given = sqlite3.connect(path, isolation_level=None)
        self.close = self.given.close

    @contextlib.contextmanager
    def block(self) -> Iterator[None]:
        if self.given.in_transaction:
            begin, undo, keep = "SAVEPOINT mine", "ROLLBACK TO mine", "RELEASE mine"
        else:
            begin, undo, keep = "BEGIN IMMEDIATE", "ROLLBACK", "COMMIT"
        self.given.execute(begin)
        try:
            yield
        except BaseException:
            self.given.execute(undo)
            if undo != "ROLLBACK":
                self.given.execute(keep)  # what is rolled back to is still there
            raise
        self.given.execute(keep)

    def insert(self, order: str) -> None:
        self.given.execute(ADD_ORDER.format(order))


class Psycopg:
    """psycopg 3."""

    def __init__(self, url: str) -> None:
        self.given = psycopg.connect(url, autocommit=True)
        self.block = self.given.transaction
        self.close = self.given.close

    def insert(self, order: str) -> None:
        self.given.execute(ADD_ORDER.format(order))


class Psycopg2:
    """psycopg2, which begins by itself and nests by savepoints of the caller's."""

    def __init__(self, url: str) -> None:
        self.given = psycopg2.connect(url)
        self.close = self.given.close

    @contextlib.contextmanager
    def block(self) -> Iterator[None]:
        if self.given.info.transaction_status == 0:
            with self.given:
                self._execute("SELECT")  # only a statement begins
                yield
            return
        self._execute("SAVEPOINT mine")
        try:
            yield
        except BaseException:
            self._execute("ROLLBACK TO mine")
            raise
        finally:
            self._execute("RELEASE mine")

    def insert(self, order: str) -> None:
        self._execute(ADD_ORDER.format(order))

    def _execute(self, statement: str) -> None:
        with self.given.cursor() as cursor:
            cursor.execute(statement)


def driver(url: str) -> Caller:
    """Return who calls without a framework."""
    return Sqlite3(url) if url.startswith("sqlite") else Psycopg(url)


class SqlAlchemy:
    """A SQLAlchemy ``Connection``."""

    given: Any

    def __init__(self, url: str) -> None:
        self.given = engine_on(url).connect()

    def block(self) -> contextlib.AbstractContextManager[Any]:
        return self.given.begin_nested() if self.given.in_transaction() else self.given.begin()

    def insert(self, order: str) -> None:
        self.given.execute(sqlalchemy.text(ADD_ORDER.format(order)))

    def close(self) -> None:
        self.given.close()


class SqlAlchemySession(SqlAlchemy):
    """A SQLAlchemy ``Session``."""

    def __init__(self, url: str) -> None:
        self.given = Session(engine_on(url))


class SessionOnPsycopg2(SqlAlchemy):
    """A SQLAlchemy ``Session`` over psycopg2."""

    def __init__(self, url: str) -> None:
        self.given = Session(engine_on(url, driver="psycopg2"))


class Django:
    """Django's ``connection``."""

    def __init__(self, url: str) -> None:
        if not settings.configured:
            settings.configure()
            django.setup()
        given = {"default": {}, ALIAS: django_settings(url)}
        connections.databases[ALIAS] = connections.configure_settings(given)[ALIAS]
        self.given = connections[ALIAS]

    def block(self) -> contextlib.AbstractContextManager[Any]:
        return transaction.atomic(using=ALIAS)

    def insert(self, order: str) -> None:
        with self.given.cursor() as cursor:
            cursor.execute(ADD_ORDER.format(order))

    def close(self) -> None:
        self.given.close()
        del connections[ALIAS]


def engine_on(
    url: str, *, begins: bool = True, driver: str = "psycopg", **options: Any
) -> sqlalchemy.Engine:
    """Return an engine; on SQLite, one that *begins* transactions where SQLAlchemy says so."""
    options["poolclass"] = sqlalchemy.NullPool
    if url.startswith("mariadb"):
        given = sqlalchemy.make_url(url.replace("?socket=", "?charset=utf8mb4&unix_socket="))
        options.setdefault("isolation_level", "READ COMMITTED")
        return sqlalchemy.create_engine(given.set(drivername="mysql+pymysql"), **options)
    if not url.startswith("sqlite"):
        given = sqlalchemy.make_url(url).set(drivername=f"postgresql+{driver}")
        return sqlalchemy.create_engine(given, **options)
    if not begins:
        return sqlalchemy.create_engine(url, **options)
    engine = sqlalchemy.create_engine(url, connect_args={"isolation_level": None}, **options)

    @sqlalchemy.event.listens_for(engine, "begin")
    def begin(connection: sqlalchemy.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def django_settings(url: str) -> dict[str, Any]:
    """Return what Django calls a database."""
    if url.startswith("sqlite"):
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": url.removeprefix("sqlite:///"),
            "OPTIONS": {"transaction_mode": "IMMEDIATE"},
        }
    parts = psycopg.conninfo.conninfo_to_dict(url)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts["dbname"],
        "USER": parts["user"],
        "HOST": parts["host"],
    }

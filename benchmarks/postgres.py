"""A PostgreSQL server for measuring, and what is needed to compare two of its databases."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar
from unittest import mock

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from ladderpipe import Board, ManualClock, Pipeline
from ladderpipe.stores import PostgresStore
from ladderpipe.stores.postgres import store as postgres
from ladderpipe.stores.postgres.wire import PlainCursor, Wire
from tests.postgres import PostgresServer, running, system_programs, wheel_programs

from .harness import Skipped
from .stores import TABLES

Statement = tuple[bytes, Sequence[Any]]
Trip = list[Statement]
"""Statements that travel to the server together."""

SETTINGS = {
    "shared_buffers": "512MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "30min",
    "autovacuum": "off",
}


@contextlib.contextmanager
def server() -> Iterator[PostgresServer]:
    """Run a server while the block runs; nothing but its memory differs from how it is installed.

    Raises:
        Skipped: there is none on this machine.
    """
    programs = wheel_programs() or system_programs()
    if programs is None:
        raise Skipped("no PostgreSQL on this machine: make test installs one")
    with running(programs, **SETTINGS) as found:
        yield found


def open_board(pipeline: Pipeline, url: str, clock: ManualClock) -> Board:
    return Board(pipeline, store=PostgresStore(url), clock=clock)


def not_waiting(url: str) -> str:
    """Return the URL for connections whose commits do not wait for the disk."""
    return f"{url}&options=-csynchronous_commit%3Doff"


def copy_of(server: PostgresServer, url: str) -> str:
    """Return a copy of a database that nobody is connected to."""
    found = server.new_database()
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {}").format(_name(found)))
        create = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY")
        connection.execute(create.format(_name(found), _name(url)))
    return found


def drop(server: PostgresServer, url: str) -> None:
    """Remove a database."""
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(_name(url)))


def _name(url: str) -> sql.Identifier:
    return sql.Identifier(str(conninfo_to_dict(url)["dbname"]))


def assert_same_rows(one: str, other: str) -> None:
    """Refuse two databases whose tables differ in any row."""
    with psycopg.connect(one) as first, psycopg.connect(other) as second:
        for table in TABLES:
            statement = sql.SQL(_SUM_OF).format(sql.Identifier(table))
            mine, theirs = (each.execute(statement).fetchone() for each in (first, second))
            assert mine == theirs, f"{table}: {mine} and {theirs}"
        mine, theirs = (each.execute(_TOTALS).fetchall() for each in (first, second))
        assert mine == theirs, f"ladder_totals: {mine} and {theirs}"


_TOTALS = """
SELECT stage, currency, owner, source, sum(deals), sum(valued), sum(units), sum(fraction)
FROM ladder_totals GROUP BY stage, currency, owner, source HAVING sum(deals) <> 0 ORDER BY 1, 2
"""
_SUM_OF = "SELECT count(*), sum(hashtextextended(row::text, 0)) FROM {} AS row"


class RecordingWire(Wire):
    """A wire that notes what travels over it."""

    trips: ClassVar[list[Trip]] = []

    def ask(self, statement: bytes, values: Sequence[Any] = ()) -> PlainCursor:
        self.trips.append([*self._queue, (statement, values)])
        return super().ask(statement, values)

    def flush(self) -> None:
        if self._queue:
            self.trips.append(list(self._queue))
        super().flush()


@contextlib.contextmanager
def recording() -> Iterator[list[Trip]]:
    """Note what the stores send to the server in the block."""
    RecordingWire.trips = []
    with mock.patch.object(postgres, "Wire", RecordingWire):
        yield RecordingWire.trips

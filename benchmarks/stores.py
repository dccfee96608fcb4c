"""Boards on SQLite files for measuring, and what is needed to compare two such files."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ladderpipe import Board, ManualClock, Pipeline, SqliteStore

TABLES = (
    "ladder_deals", "ladder_documents", "ladder_events_read", "ladder_moves_read", "ladder_effects",
    "ladder_customers", "ladder_search",
)  # fmt: skip

Statement = tuple[str, Sequence[Any]]


def open_board(pipeline: Pipeline, path: Path, clock: ManualClock) -> Board:
    return Board(pipeline, store=SqliteStore(path), clock=clock)


def connect(path: Path) -> sqlite3.Connection:
    """Return a connection exactly as the store makes it: the same pragmas, tables in place."""
    return SqliteStore(path)._connect()


def assert_same_rows(one: Path, other: Path) -> None:
    """Refuse two files whose tables differ in any row."""
    connection = sqlite3.connect(one)
    connection.execute("ATTACH ? AS other", (str(other),))
    for table in (*TABLES, "ladder_totals"):
        for left, right in (("main", "other"), ("other", "main")):
            difference = connection.execute(
                f"SELECT * FROM {left}.{table} EXCEPT SELECT * FROM {right}.{table} LIMIT 1"
            ).fetchone()
            assert difference is None, f"{table}: only in {left}: {difference}"
    connection.close()


class Recorder:
    """A connection that notes every statement with its values before it runs it."""

    def __init__(self, connection: sqlite3.Connection, statements: list[Statement]) -> None:
        self._connection = connection
        self._statements = statements

    def execute(self, statement: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        self._statements.append((statement, tuple(values)))
        return self._connection.execute(statement, values)

    def executemany(self, statement: str, rows: Sequence[Sequence[Any]]) -> sqlite3.Cursor:
        raise AssertionError("one event at a time needs no executemany")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


class RecordingStore(SqliteStore):
    """A SQLite store that notes what it runs, from the moment it is open."""

    def __init__(self, path: Path) -> None:
        self.statements: list[Statement] = []
        super().__init__(path)
        self.statements.clear()

    def _connect(self) -> sqlite3.Connection:
        return Recorder(super()._connect(), self.statements)  # type: ignore[return-value]

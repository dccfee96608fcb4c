"""A process is killed while it brings former tables up to date, and the next one does it whole."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest

from ladderpipe import Board, ManualClock, SqliteStore
from tests.children import ROOT
from tests.integration.test_upgrades import (
    ENDS,
    FORMER,
    NOW,
    contents,
    former_tables,
    indexes,
    works_on,
)
from tests.postgres import rows_by_table
from tests.postgresql.test_locks import wait_until, waiting_sessions
from tests.shops import lead_ladder

KILLS: Final = 6
"""How often to each file, at points that lie evenly between the first step and the last."""
SQLITE: Final = """
import os, signal, sys
from ladderpipe.stores.sqlite import store

path, last = sys.argv[1], int(sys.argv[2])
done = 0

def step():
    global done
    done += 1
    if done == last:
        os.kill(os.getpid(), signal.SIGKILL)

class Counting(store.SqliteStore):
    def _connect(self):
        connection = super()._connect()
        connection.set_progress_handler(step, 10)
        return connection

store.CACHE_KIBIBYTES = 4  # what is not committed is written, too
Counting(path).close()
print(done)
"""
"""Counts the steps of SQLite's machine, ten at a time, and is killed at one of them."""
POSTGRES: Final = """
import sys
from ladderpipe.stores import PostgresStore

PostgresStore(sys.argv[1]).close()
"""
OTHERS: Final = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> ALL(%s)"
"""The sessions that are not these; that of a process that was killed ends a moment after it."""


def in_a_child(*arguments: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def upgraded_contents(path: Path) -> tuple[dict[str, list[Any]], list[Any]]:
    """Return what is in a file that is up to date, and when its visits ended."""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return contents(connection), connection.execute(ENDS).fetchall()


@pytest.mark.parametrize("version", FORMER)
def test_a_file_is_as_it_was_and_the_next_process_upgrades_it(version: int, tmp_path: Path) -> None:
    former, whole = tmp_path / "former.db", tmp_path / "whole.db"
    with closing(sqlite3.connect(former)) as connection:
        script = Path(__file__).parents[1] / "integration" / f"version_{version}.sql"
        connection.executescript(script.read_text())
        before = contents(connection), indexes(connection)
    shutil.copy(former, whole)
    with in_a_child(SQLITE, whole, 0) as child:
        steps = int(child.communicate()[0])
    for kill in range(1, KILLS + 1):
        path = tmp_path / f"{kill}.db"
        shutil.copy(former, path)
        with in_a_child(SQLITE, path, steps * kill // (KILLS + 1)) as child:
            assert child.wait() == -signal.SIGKILL
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("SELECT version FROM ladder_schema").fetchone() == (version,)
            assert (contents(connection), indexes(connection)) == before
        SqliteStore(path).close()
        assert upgraded_contents(path) == upgraded_contents(whole)
        clock = ManualClock(NOW)
        with Board.open(lead_ladder(sequence=True), f"sqlite:///{path}", clock=clock) as board:
            works_on(board)


@pytest.mark.parametrize("version", FORMER)
def test_tables_are_as_they_were_and_the_next_process_upgrades_them(
    version: int, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = former_tables(postgres_url, version, monkeypatch)
    with psycopg.connect(postgres_url) as reader, psycopg.connect(postgres_url) as other:
        # The upgrade has come as far as the moves, and waits for whoever reads them.
        reader.execute("SELECT FROM ladder_moves")
        with in_a_child(POSTGRES, postgres_url) as child:
            wait_until(other, lambda connection: waiting_sessions(connection) == 1)
            child.kill()
        assert child.returncode == -signal.SIGKILL
        reader.rollback()
        here = [reader.info.backend_pid, other.info.backend_pid]
        wait_until(other, lambda connection: connection.execute(OTHERS, (here,)).rowcount == 0)
    with psycopg.connect(postgres_url) as connection:
        assert rows_by_table(connection) == before
    with Board.open(lead_ladder(sequence=True), postgres_url, clock=ManualClock(NOW)) as board:
        works_on(board)

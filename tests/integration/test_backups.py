"""A backup that is taken while everybody works is a store in which everything agrees."""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ladderpipe import Board, SqliteStore
from ladderpipe.board.verify import verify
from ladderpipe.stores import PostgresStore, Store
from tests.postgres import PostgresServer
from tests.shops import Shop, lead_ladder

KINDS = ("lead", "call", "lead", "order")
BUSY = 300
"""So many events are stored before the backup begins, and as many have to follow."""


@contextlib.contextmanager
def at_work(store: Store) -> Iterator[None]:
    """Handle, sweep and deliver, from some time before the block to some time after it."""
    shop = Shop(lead_ladder(sequence=True), store)
    stop, handled, errors = threading.Event(), itertools.count(), []
    reached = [0]

    def work() -> None:
        try:
            while not stop.is_set():
                number = next(handled)
                shop.tell(KINDS[number % 4], f"deal-{number // 8 % 50}", hours=-(number % 3))
                if number % 10 == 0:
                    shop.clock.advance(hours=5)
                    shop.work()
                reached[0] = number
        except BaseException as error:
            errors.append(error)
            raise

    thread = threading.Thread(target=work)
    thread.start()
    try:
        _wait_until(lambda: reached[0] >= BUSY, thread)
        yield
        until = reached[0] + BUSY
        _wait_until(lambda: reached[0] >= until, thread)
    finally:
        stop.set()
        thread.join()
    assert errors == []


def _wait_until(has_come: Callable[[], bool], thread: threading.Thread) -> None:
    while not has_come() and thread.is_alive():
        thread.join(0.001)


def assert_sound(store: Store) -> None:
    with contextlib.closing(store):
        report = verify(Board(lead_ladder(sequence=True), store=store, read_only=True))
    assert report.agrees, report.differences
    assert report.events >= BUSY


def test_a_sqlite_file_copied_with_its_backup_command(tmp_path: Path):
    with (
        contextlib.closing(SqliteStore(tmp_path / "shop.db")) as store,
        at_work(store),
        contextlib.closing(sqlite3.connect(tmp_path / "shop.db")) as source,
        contextlib.closing(sqlite3.connect(tmp_path / "backup.db")) as target,
    ):
        source.backup(target, pages=-1)
    assert_sound(SqliteStore(tmp_path / "backup.db"))


def test_a_sqlite_file_copied_with_vacuum_into(tmp_path: Path):
    with (
        contextlib.closing(SqliteStore(tmp_path / "shop.db")) as store,
        at_work(store),
        contextlib.closing(sqlite3.connect(tmp_path / "shop.db")) as source,
    ):
        source.execute("VACUUM INTO ?", (str(tmp_path / "backup.db"),))
    assert_sound(SqliteStore(tmp_path / "backup.db"))


@pytest.mark.parametrize("partitions", [0, 4])
def test_a_postgresql_database_dumped_and_restored(
    postgres_server: PostgresServer, tmp_path: Path, partitions: int
):
    programs = postgres_server._programs
    if not (programs / "pg_dump").exists():
        pytest.skip("this PostgreSQL comes without pg_dump")
    url = postgres_server.emptied_url()
    dump = str(tmp_path / "shop.dump")
    with contextlib.closing(PostgresStore(url, partitions=partitions)) as store, at_work(store):
        command = [programs / "pg_dump", "--format=custom", f"--file={dump}", url]
        subprocess.run(command, check=True)
    elsewhere = postgres_server.new_database()
    restore = [programs / "pg_restore", "--exit-on-error", f"--dbname={elsewhere}", dump]
    subprocess.run(restore, check=True)
    assert_sound(PostgresStore(elsewhere, partitions=partitions))


def test_rows_of_whole_tables_loaded_into_partitions(
    postgres_server: PostgresServer, tmp_path: Path
):
    """How deals move from tables without partitions into some with them."""
    programs = postgres_server._programs
    if not (programs / "pg_dump").exists():
        pytest.skip("this PostgreSQL comes without pg_dump")
    url = postgres_server.emptied_url()
    dump = str(tmp_path / "shop.dump")
    with contextlib.closing(PostgresStore(url)) as store, at_work(store):
        pass
    rows = ["--data-only", "--exclude-table=ladder_schema", "--format=custom"]
    subprocess.run([programs / "pg_dump", *rows, f"--file={dump}", url], check=True)
    elsewhere = postgres_server.new_database()
    PostgresStore(elsewhere, partitions=4).close()
    restore = [programs / "pg_restore", "--exit-on-error", f"--dbname={elsewhere}", dump]
    subprocess.run(restore, check=True)
    store = PostgresStore(elsewhere)
    shop = Shop(lead_ladder(sequence=True), store)
    known = next(iter(shop.board.events(next(shop.board.deals()).id)))
    assert shop.board.handle(known).outcome.value == "duplicate"
    shop.tell("lead", "new here")
    assert_sound(store)

"""The disk is full: nothing is stored by halves, and the board goes on once there is room."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pymysql
import pytest

from ladderpipe import Event, Outcome
from ladderpipe.stores import MariadbStore, PostgresStore, SqliteStore
from tests.mariadb import FAST, MariadbServer, has_mariadb
from tests.postgres import PostgresServer
from tests.shops import Shop, contents, lead_ladder

from .checking import assert_sound

MANY = 3_000
"""More events than fit anywhere here."""
SIZE = 2_000
"""Of an event, in bytes; they are random, so that nobody can compress them."""
MEBIBYTE = 1 << 20


class Quota(SqliteStore):
    """A store whose file may have so many pages; ``None`` for as many as there are."""

    pages: int | None = None

    def _connect(self) -> sqlite3.Connection:
        connection = super()._connect()
        self.apply(connection)
        return connection

    def apply(self, connection: sqlite3.Connection) -> None:
        most = 1 << 30 if self.pages is None else self.pages
        connection.execute(f"PRAGMA max_page_count = {most}")

    def set(self, pages: int | None) -> None:
        """Change the quota."""
        self.pages = pages
        with self._borrowed() as connection:
            self.apply(connection)


def big_event(shop: Shop, number: int) -> Event:
    return shop.event("lead", f"d{number}", properties={"note": os.urandom(SIZE // 2).hex()})


def fill(shop: Shop, error: type[Exception]) -> tuple[int, Event]:
    """Tell events until the disk is full; return how many were stored, and the one that was not."""
    for number in range(MANY):
        event = big_event(shop, number)
        try:
            shop.board.handle(event)
        except error:
            return number, event
    raise AssertionError("it is never full")


def check_full_and_freed(shop: Shop, error: type[Exception], make_room: Callable[[], None]) -> None:
    """Fill the disk by every way that writes, then make room and do the same again."""
    count, refused = fill(shop, error)
    assert count > 3
    before = contents(shop.store)
    batch = [refused, *(big_event(shop, MANY + n) for n in range(200))]
    with pytest.raises(error):
        shop.board.handle_many(batch)
    assert contents(shop.store) == before, "nothing of it was stored"
    assert_sound(shop.board)
    assert len(list(shop.board.deals())) == count, "it can be read"
    make_room()
    assert shop.board.handle(refused).outcome is Outcome.OPENED
    report = shop.board.handle_many(batch)
    assert report.outcomes == {Outcome.DUPLICATE: 1, Outcome.OPENED: 200}
    shop.wait(80)
    assert shop.board.tick().moves == count + 201
    assert_sound(shop.board)


def test_a_sqlite_file_at_its_quota(tmp_path: Path):
    store = Quota(tmp_path / "shop.db")
    with contextlib.closing(store):
        shop = Shop(lead_ladder(), store)
        store.set(120)
        check_full_and_freed(shop, sqlite3.OperationalError, lambda: store.set(None))


@contextlib.contextmanager
def small_disk(folder: Path, size: int, owner: int | None = None) -> Iterator[Path]:
    """Mount a file system of that many bytes, which takes root."""
    folder.mkdir()
    options = f"size={size},mode=700" + ("" if owner is None else f",uid={owner}")
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small file system can be mounted by root only")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_sqlite_on_a_disk_that_is_full(tmp_path: Path):
    with small_disk(tmp_path / "disk", 6 * MEBIBYTE) as disk:
        ballast = disk / "ballast"
        ballast.write_bytes(b"\0" * (5 * MEBIBYTE))
        with contextlib.closing(SqliteStore(disk / "shop.db")) as store:
            shop = Shop(lead_ladder(), store)
            check_full_and_freed(shop, sqlite3.OperationalError, ballast.unlink)
            with store.transaction(write=False) as transaction:
                assert transaction.faults() == []


def test_postgresql_that_cannot_store_a_move(postgres_url: str):
    """A trigger raises what the server raises when it cannot extend a file."""
    with contextlib.closing(PostgresStore(postgres_url, listen=False)) as store:
        shop = Shop(lead_ladder(), store)
        shop.tell("lead")
        with store.transaction() as transaction:
            transaction.connection.execute(
                "CREATE FUNCTION disk_is_full() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN RAISE 'could not extend file' USING ERRCODE = 'disk_full'; END $$"
            )
            transaction.connection.execute(
                "CREATE TRIGGER disk_is_full BEFORE INSERT ON ladder_moves "
                "EXECUTE FUNCTION disk_is_full()"
            )
        before = contents(store)
        event = shop.event("call")
        shop.clock.advance(hours=80)
        works: list[Callable[[], Any]] = [
            lambda: shop.board.handle(event),
            lambda: shop.board.handle_many([event, shop.event("lead", "other")]),
            lambda: shop.board.override("d", "won", by="Ada"),
            shop.board.tick,
        ]
        for work in works:
            with pytest.raises(psycopg.errors.DiskFull):
                work()
            assert contents(store) == before
        with store.transaction() as transaction:
            transaction.connection.execute("DROP FUNCTION disk_is_full CASCADE")
        assert shop.board.handle(event).outcome is Outcome.MOVED
        assert_sound(shop.board)


def test_postgresql_on_a_disk_that_is_full(postgres_server: PostgresServer, tmp_path: Path):
    """Its tables lie in a tablespace that is full; its log lies elsewhere, as it should."""
    base = Path(postgres_server.url().partition("host=")[2])
    owner = base.stat().st_uid if os.geteuid() == 0 else None
    with small_disk(base / f"disk-{uuid.uuid4().hex}", 9 * MEBIBYTE, owner) as disk:
        ballast = disk / "ballast"
        ballast.write_bytes(b"\0" * (7 * MEBIBYTE))
        name = f"small_{uuid.uuid4().hex}"
        url = postgres_server.new_database()
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"CREATE TABLESPACE {name} LOCATION '{disk}'")
        tables = f"{url}&options=-c%20default_tablespace%3D{name}&listen=false"
        try:
            with contextlib.closing(PostgresStore.from_url(tables)) as store:
                shop = Shop(lead_ladder(), store)
                check_full_and_freed(shop, psycopg.errors.DiskFull, ballast.unlink)
        finally:
            with psycopg.connect(postgres_server.url(), autocommit=True) as connection:
                database = url.partition("?")[0].rpartition("/")[2]
                connection.execute(f"DROP DATABASE {database} WITH (FORCE)")
                connection.execute(f"DROP TABLESPACE {name}")


def test_mariadb_on_a_disk_that_is_full(monkeypatch: pytest.MonkeyPatch):
    """Tables and log lie on one disk, as they do where nobody has said otherwise."""
    if not has_mariadb():
        pytest.skip("no MariaDB: make system installs one")
    # A socket's path may have a hundred letters only, and pytest's folders are deep.
    with (
        tempfile.TemporaryDirectory() as folder,
        small_disk(Path(folder) / "disk", 256 * MEBIBYTE) as disk,
    ):
        monkeypatch.setattr(tempfile, "tempdir", str(disk))
        server = MariadbServer(**FAST)
        monkeypatch.undo()
        try:
            with contextlib.closing(
                MariadbStore.from_url(server.url(server.new_database()))
            ) as store:
                shop = Shop(lead_ladder(), store)
                ballast = disk / "ballast"
                with ballast.open("wb") as file:
                    left = shutil.disk_usage(disk).free - 5 * MEBIBYTE
                    file.write(b"\0" * left)
                check_full_and_freed(shop, pymysql.MySQLError, ballast.unlink)
        finally:
            server.close()

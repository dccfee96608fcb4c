"""A standby that follows the server: boards on it read what the primary has, and write nothing."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from ladderpipe import Board, Event, ManualClock, insight
from ladderpipe.errors import StoreError
from ladderpipe.templates import sales_management
from tests.postgres import PostgresServer

DEADLINE = 60
LINE = {"sku": "NB-15", "quantity": 1, "unit_price": "899.00"}


class Standby(PostgresServer):
    """A copy of a server that follows it."""

    def __init__(self, primary: PostgresServer) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="ladderpipe-standby-"))
        self._user, self._programs = primary._user, primary._programs
        self._data, self._settings = self._folder / "data", primary._settings
        if self._user is not None:
            os.chown(self._folder, self._user, -1)
        source = f"--dbname=host={primary._folder} user=postgres"
        self._run("pg_basebackup", "--checkpoint=fast", "--write-recovery-conf", source)
        self.start()

    def catch_up(self, primary: PostgresServer) -> None:
        """Wait until everything is here that the primary has now."""
        with psycopg.connect(primary.url()) as connection:
            row = connection.execute("SELECT pg_current_wal_insert_lsn()::text").fetchone()
        assert row is not None
        end = time.monotonic() + DEADLINE
        with psycopg.connect(self.url(), autocommit=True) as connection:
            reached = "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn"
            while connection.execute(reached, row).fetchone() != (True,):
                assert time.monotonic() < end, "the standby does not follow"
                time.sleep(0.02)


@pytest.fixture
def standby(postgres_server: PostgresServer, postgres_url: str) -> Iterator[Standby]:
    if shutil.which("pg_basebackup", path=str(postgres_server._programs)) is None:
        pytest.skip("no pg_basebackup beside this PostgreSQL")
    with Board.open(sales_management(), postgres_url):
        pass
    server = Standby(postgres_server)
    yield server
    server.close()


def test_boards_and_reports_read_a_standby_and_it_refuses_what_would_write(
    postgres_server: PostgresServer, postgres_url: str, standby: Standby
) -> None:
    clock = ManualClock("2026-01-05T09:00Z")
    ladder = sales_management()
    with (
        Board.open(ladder, postgres_url, clock=clock) as board,
        Board.open(ladder, standby.url(), clock=clock) as reading,
    ):
        for n in range(20):
            data = {"line": LINE}
            board.handle(
                Event("cart.item_added", deal=f"d{n}", id=f"e{n}", at=clock.now(), data=data)
            )
        clock.advance(hours=60)
        board.tick()
        standby.catch_up(postgres_server)
        assert reading.deal("d1").stage == "checkout_abandoned"
        assert list(reading.deals()) == list(board.deals())
        assert reading.history("d1") == board.history("d1")
        assert reading.summary() == board.summary()
        assert [task.key for task in reading.tasks()] == [task.key for task in board.tasks()]
        ours, theirs = insight.tables(board), insight.tables(reading)
        assert theirs.deals.equals(ours.deals)
        assert theirs.visits.equals(ours.visits)

        order = Event("order.confirmed", deal="d1", id="o1", at=clock.now())
        with pytest.raises(StoreError, match=r"takes no writes.*write on the primary"):
            reading.handle(order)
        with pytest.raises(StoreError, match=r"takes no writes"):
            reading.move("d1", into="order_confirmed", by="Ada")
        assert reading.deal("d1").stage == "checkout_abandoned"

        board.handle(order)
        standby.catch_up(postgres_server)
        assert reading.deal("d1").stage == "order_confirmed"

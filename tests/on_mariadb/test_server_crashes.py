"""The database server is killed as by a pulled plug, and started again, while a shop works.

``LADDERPIPE_RESTARTS=40`` does that often, and ``--log-cli-level=INFO`` shows what was survived.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pymysql
import pytest

from ladderpipe import Board, Event, ManualClock, Outcome
from ladderpipe.errors import StoreError
from tests.children import HOUR, Lines, open_board
from tests.faults.checking import assert_sound, clear_up, install_witness
from tests.faults.crew import Crew, Logs
from tests.mariadb import MariadbServer, has_mariadb, running_mariadb
from tests.shops import Shop, lead_ladder

report = logging.getLogger(__name__)
RESTARTS = int(os.environ.get("LADDERPIPE_RESTARTS", "3"))


@pytest.fixture
def durable_server() -> Iterator[MariadbServer]:
    """Run a server of the test's own as a shop does: what is committed is on the disk."""
    if not has_mariadb():
        pytest.skip("no MariaDB: make system installs one")
    with running_mariadb() as server:
        server.run("CREATE DATABASE shop")
        yield server


def test_what_was_accepted_survives_every_crash_of_the_server(
    durable_server: MariadbServer, tmp_path: Path
):
    logs = Logs(tmp_path)
    (logs.folder / "url").write_text(durable_server.url("shop"))
    with open_board(logs, ManualClock("2026-01-05T09:00Z")) as board:
        install_witness(board)
    with Crew(logs, clients=3, workers=2) as crew:
        for _ in range(RESTARTS):
            durable_server.kill()
            durable_server.start()
            crew.wait_until_busy()
    assert Lines.read(logs.troubles) == []
    unanswered = Lines.read(logs.unanswered)
    clock = ManualClock(crew.clock.now() + HOUR)
    with open_board(logs, clock) as board:
        aftermath = clear_up(board, clock, logs)
    report.info("%d crashes, %d calls unanswered: %s", RESTARTS, len(unanswered), aftermath)


def test_a_caller_is_told_when_the_server_is_away_and_may_say_the_same_later(
    durable_server: MariadbServer,
):
    with Board.open(lead_ladder(), durable_server.url("shop")) as board:
        shop = Shop(board.pipeline, board.store)
        shop.tell("lead")
        event = shop.event("call")
        durable_server.kill()
        for _ in range(2):
            assert_is_away(shop, event)
        durable_server.start()
        assert shop.board.handle(event).outcome is Outcome.MOVED
        assert shop.board.handle(event).outcome is Outcome.DUPLICATE
        assert_sound(shop.board)


def assert_is_away(shop: Shop, event: Event) -> None:
    with pytest.raises((StoreError, pymysql.OperationalError)) as raised:
        shop.board.handle(event)
    assert shop.store.is_in_trouble(raised.value)

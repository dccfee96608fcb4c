"""The database server is stopped as by a pulled plug, and started again, while a shop works.

``LADDERPIPE_RESTARTS=40`` does that often, and ``--log-cli-level=INFO`` shows what was survived.
"""

from __future__ import annotations

import contextlib
import logging
import os

import psycopg
import pytest

from ladderpipe import Board, ManualClock, Outcome
from ladderpipe.errors import StoreError
from tests.children import HOUR, Lines, open_board
from tests.postgres import PostgresServer
from tests.shops import Shop, lead_ladder

from .checking import assert_sound, clear_up, install_witness
from .crew import Crew, Logs

report = logging.getLogger(__name__)
RESTARTS = int(os.environ.get("LADDERPIPE_RESTARTS", "3"))


def test_what_was_accepted_survives_every_crash_of_the_server(
    durable_server: PostgresServer, logs: Logs
):
    (logs.folder / "url").write_text(durable_server.url())
    with open_board(logs, ManualClock("2026-01-05T09:00Z")) as board:
        install_witness(board)
    with Crew(logs, clients=3, workers=2) as crew:
        for _ in range(RESTARTS):
            durable_server.stop("immediate")
            durable_server.start()
            crew.wait_until_busy()
    assert Lines.read(logs.troubles) == []
    unanswered = Lines.read(logs.unanswered)
    clock = ManualClock(crew.clock.now() + HOUR)
    with open_board(logs, clock) as board:
        aftermath = clear_up(board, clock, logs)
    in_doubt = sum(nobody_knows for _, nobody_knows in unanswered)
    told = f"{RESTARTS} crashes, {len(unanswered)} calls without an answer, {in_doubt} in doubt"
    report.info("%s: %s", told, aftermath)


def test_a_board_whose_server_was_restarted_while_it_idled_goes_on(
    durable_server: PostgresServer,
):
    with Board.open(lead_ladder(), durable_server.url()) as board:
        shop = Shop(board.pipeline, board.store)
        shop.tell("lead")
        durable_server.stop("immediate")
        durable_server.start()
        assert shop.tell("call").outcome is Outcome.MOVED
        assert_sound(shop.board)


def test_a_caller_is_told_when_the_server_is_away_and_may_say_the_same_later(
    durable_server: PostgresServer,
):
    with Board.open(lead_ladder(), f"{durable_server.url()}&pool_timeout=1") as board:
        shop = Shop(board.pipeline, board.store)
        shop.tell("lead")
        event = shop.event("call")
        durable_server.stop("immediate")
        for _ in range(3):
            with pytest.raises((StoreError, psycopg.OperationalError)):
                shop.board.handle(event)
        durable_server.start()
        # The pool tries to connect again ever less often: in its own time, not at each call.
        for _ in range(60):
            with contextlib.suppress(StoreError, psycopg.OperationalError):
                receipt = shop.board.handle(event)
                break
        assert receipt.outcome is Outcome.MOVED
        assert shop.board.handle(event).outcome is Outcome.DUPLICATE
        assert_sound(shop.board)

"""Processes are killed, and held up for longer than their leases, while they work.

``LADDERPIPE_KILLS=500`` does that often to each store; ``--log-cli-level=INFO`` shows what was
survived.
"""

from __future__ import annotations

import logging
import os
import random
import time
from typing import Any

import pytest

from ladderpipe import Board, Delivery, Event, ManualClock
from tests.children import HOUR, START, Lines, busy_ladder, open_board

from .checking import claims_seen, clear_up, install_witness
from .crew import Crew, Logs

report = logging.getLogger(__name__)
KILLS = int(os.environ.get("LADDERPIPE_KILLS", "20"))
STORES = ("sqlite", "postgresql", "mariadb")
APART: dict[str, Any] = {"lease": 20 * HOUR, "max_clock_difference": None}


@pytest.fixture
def logs_of(logs: Logs, request: pytest.FixtureRequest) -> Logs:
    """Return logs of a board on the store that the test is parametrized with."""
    if request.param == "postgresql":
        (logs.folder / "url").write_text(request.getfixturevalue("postgres_url"))
    elif request.param == "mariadb":
        (logs.folder / "url").write_text(request.getfixturevalue("mariadb_url"))
    return logs


def rested(logs: Logs, crew: Crew) -> tuple[Board, ManualClock]:
    """Return the board as it was left, on a clock that stands still."""
    clock = ManualClock(crew.clock.now() + HOUR)
    return open_board(logs, clock), clock


@pytest.mark.parametrize("logs_of", STORES, indirect=True)
def test_a_lease_that_ends_sooner_is_no_claim_of_its_own(logs_of: Logs):
    """A worker that was held up shortens a lease whose end lies too far ahead of its clock."""
    early, late = ManualClock(START + 2 * HOUR), ManualClock(START + 39 * HOUR)
    with (
        Board.open(busy_ladder(), logs_of.url, clock=early, **APART) as held_up,
        Board.open(busy_ladder(), logs_of.url, clock=late, **APART) as ahead,
    ):
        install_witness(held_up)
        held_up.handle(Event("lead", deal="d", id="1", at=START))
        held_up.handles("note")(lambda delivery: None)

        @ahead.handles("mail")
        def leave_the_stage(delivery: Delivery) -> None:
            held_up.handle(Event("call", deal="d", id="2", at=START + HOUR))
            held_up.deliver()

        ahead.deliver(limit=1)
        ((_, was_in_visit),) = claims_seen(held_up)
    assert was_in_visit


@pytest.mark.parametrize("logs_of", STORES, indirect=True)
def test_processes_that_are_killed_lose_nothing_and_double_nothing(
    logs_of: Logs,
):
    dice = random.Random(3)
    with open_board(logs_of, ManualClock("2026-01-05T09:00Z")) as board:
        install_witness(board)
    with Crew(logs_of) as crew:
        for _ in range(KILLS):
            crew.kill(dice.choice(crew.names))
            time.sleep(dice.uniform(0, 0.3))
            crew.wait_until_busy()
    assert Lines.read(logs_of.troubles) == []
    assert crew.killed >= KILLS * 0.9
    board, clock = rested(logs_of, crew)
    with board:
        aftermath = clear_up(board, clock, logs_of)
    report.info("kills: %d: %s", crew.killed, aftermath)


@pytest.mark.parametrize("logs_of", STORES, indirect=True)
def test_processes_that_are_held_up_longer_than_their_lease_double_no_history(
    logs_of: Logs,
):
    dice = random.Random(5)
    with open_board(logs_of, ManualClock("2026-01-05T09:00Z")) as board:
        install_witness(board)
    with Crew(logs_of) as crew:
        for _ in range(KILLS // 3):
            with crew.pausing(dice.choice(crew.names)):
                time.sleep(0.1)  # five times their lease
            crew.wait_until_busy()
    assert Lines.read(logs_of.troubles) == []
    assert crew.paused >= KILLS // 4
    board, clock = rested(logs_of, crew)
    with board:
        aftermath = clear_up(board, clock, logs_of)
    report.info("pauses: %d: %s", crew.paused, aftermath)

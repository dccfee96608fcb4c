"""Tens of thousands of schedules: whatever happens when, the ladder stands.

``LADDERPIPE_SCHEDULES=500000`` runs that many, ``LADDERPIPE_SEED=17`` that one.
"""

from __future__ import annotations

import os

import pytest

from .conftest import MakeSimulation
from .running import run_all

SCHEDULES = int(os.environ.get("LADDERPIPE_SCHEDULES", "20150"))
SHARES = {"memory": 0.813, "sqlite": 0.171, "postgres": 0.008, "mariadb": 0.008}
"""A server takes ten times as long as SQLite, and that more than twice as long as memory."""
PARTS = 10
"""In how many tests each store's share is run, so that several processes can run them."""


def seeds(store: str, part: int) -> range:
    """Return the seeds of a part of the schedules."""
    told = os.environ.get("LADDERPIPE_SEED")
    if told is not None:
        return range(int(told), int(told) + (part == 0))
    each = max(1, int(SCHEDULES * SHARES[store] / PARTS))
    return range(part * each, (part + 1) * each)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("store", list(SHARES))
def test_the_ladder_stands_on_every_schedule(
    make_simulation: MakeSimulation, store: str, part: int
):
    wanted = seeds(store, part)
    simulation = make_simulation(store)
    steps = run_all(simulation, store, wanted)
    assert steps >= len(wanted)

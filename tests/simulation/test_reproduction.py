"""A seed makes one schedule: whatever ran before it, in whatever process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import MakeSimulation
from .running import digest_of, trace_of

SEEDS = range(40)
MET = (
    "! crashes",
    "! this fails",
    "! nobody is told of the commit",
    "refolded",
    "duplicate",
    "waiting",
    "waits for the lock",
    "waits for the write lock",
    "waits for a lock",
    "pauses before it tries again",
    "refused",
    "is slow",
    "has delivered",
    "the hook out of new",
)
STORES = ("memory", "sqlite", "postgres", "mariadb")
OF_SERVERS = {"postgres": 6, "mariadb": 6}


@pytest.mark.parametrize("store", STORES)
def test_a_seed_makes_the_same_schedule_whatever_ran_before(
    make_simulation: MakeSimulation, store: str
):
    seeds = SEEDS[: OF_SERVERS.get(store)]
    forwards, backwards = make_simulation(store), make_simulation(store)
    first = {seed: trace_of(forwards, seed) for seed in seeds}
    then = {seed: trace_of(backwards, seed) for seed in reversed(seeds)}
    assert first == then
    assert len({digest_of(lines) for lines, _ in first.values()}) == len(seeds)


def test_a_seed_makes_the_same_schedule_in_another_process(make_simulation: MakeSimulation):
    here = make_simulation("memory")
    digests = [digest_of(trace_of(here, seed)[0]) for seed in SEEDS]
    elsewhere = subprocess.run(
        [sys.executable, "-m", "tests.simulation.elsewhere", str(len(SEEDS))],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        env=os.environ | {"PYTHONHASHSEED": "4711"},
    )
    assert elsewhere.stdout.split() == digests


def test_schedules_meet_everything_that_can_go_wrong(make_simulation: MakeSimulation):
    lines: list[str] = []
    for store, seeds in {"memory": 100, "sqlite": 60, "postgres": 10, "mariadb": 10}.items():
        simulation = make_simulation(store)
        for seed in range(seeds):
            lines += trace_of(simulation, seed)[0]
    told = "\n".join(lines)
    assert [what for what in MET if what not in told] == []

"""``python -m tests.simulation.elsewhere 40`` prints a digest of each of the first 40 schedules."""

from __future__ import annotations

import logging
import sys

from .running import digest_of, trace_of
from .seams import MemorySeam
from .simulation import Simulation


def main(seeds: int) -> None:
    logging.getLogger("ladderpipe").setLevel(logging.CRITICAL)
    simulation = Simulation(MemorySeam)
    for seed in range(seeds):
        sys.stdout.write(digest_of(trace_of(simulation, seed)[0]) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]))

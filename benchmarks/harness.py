"""Measuring two things side by side, and what a benchmark reports."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

Timed = Callable[[], float]
"""Does one round of work and returns how many seconds it took."""


class Row(NamedTuple):
    """One line of a report; *target* is a bound on *ratio*, ``None`` when there is none."""

    what: str
    measured: str
    ratio: float | None = None
    target: float | None = None
    at_most: bool = False

    @property
    def is_met(self) -> bool:
        if self.ratio is None or self.target is None:
            return True
        return self.ratio <= self.target if self.at_most else self.ratio >= self.target


class Report(NamedTuple):
    """What one benchmark found, and how it was measured."""

    title: str
    method: str
    rows: list[Row]


class Pair(NamedTuple):
    """Medians of interleaved rounds; *speed* is the median of their paired ratios."""

    ours: float
    theirs: float
    speed: float
    """How many times faster than the other side ours is."""


def compare(ours: Timed, theirs: Timed, rounds: int) -> Pair:
    """Run both sides *rounds* times, one after the other, each going first every second time.

    The machine's noise comes in waves longer than one round, so a ratio is taken within a round.
    """
    found = list(_rounds(ours, theirs, rounds))
    return Pair(
        statistics.median(a for a, _ in found),
        statistics.median(b for _, b in found),
        statistics.median(b / a for a, b in found),
    )


def _rounds(ours: Timed, theirs: Timed, rounds: int) -> Iterator[tuple[float, float]]:
    for number in range(rounds):
        if number % 2:
            other = theirs()
            yield ours(), other
        else:
            mine = ours()
            yield mine, theirs()


def timed(work: Callable[[], object]) -> Timed:
    """Return a round that times *work*, on a heap without rubbish from the round before."""

    def run() -> float:
        gc.collect()
        start = time.perf_counter()
        work()
        return time.perf_counter() - start

    return run


def rate(count: int, seconds: float, what: str) -> str:
    """Return, for example, ``12,300 events/s``."""
    return f"{count / seconds:,.0f} {what}/s"

"""Measuring two things side by side, and what a benchmark reports."""

from __future__ import annotations

import gc
import itertools
import statistics
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

Item = TypeVar("Item")
Timed = Callable[[], float]
"""Does one round of work and returns how many seconds it took."""


class Skipped(Exception):
    """What a benchmark needs is not on this machine."""


class Row(NamedTuple):
    """One line of a report; *target* is a bound on *ratio*, ``None`` when there is none.

    Attributes:
        at_most: whether less is better.
        absolute: whether the other side is a figure, so that the ratio is this machine's alone.
    """

    what: str
    measured: str
    ratio: float | None = None
    target: float | None = None
    at_most: bool = False
    absolute: bool = False

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
    """Run both sides *rounds* times, one after the other, each going first every second time."""
    return paired(*in_turns([ours, theirs], rounds))


def in_turns(sides: Sequence[Timed], rounds: int) -> list[list[float]]:
    """Run all sides *rounds* times, another one going first each time; return seconds by side.

    The machine's noise comes in waves longer than one round, so a ratio is taken within a round.
    """
    seconds: list[list[float]] = [[] for _ in sides]
    for number in range(rounds):
        for place in range(len(sides)):
            side = (number + place) % len(sides)
            seconds[side].append(sides[side]())
    return seconds


def paired(ours: Sequence[float], theirs: Sequence[float]) -> Pair:
    """Return how the seconds of two sides compare, round by round."""
    return Pair(
        statistics.median(ours),
        statistics.median(theirs),
        statistics.median(b / a for a, b in zip(ours, theirs, strict=True)),
    )


def timed(work: Callable[[], object]) -> Timed:
    """Return a round that times *work*, on a heap without rubbish from the round before."""

    def run() -> float:
        gc.collect()
        start = time.perf_counter()
        work()
        return time.perf_counter() - start

    return run


def in_parts(items: Sequence[Item], size: int, work: Callable[[Sequence[Item]], object]) -> Timed:
    """Return a round that times *work* on the next *size* of the items."""
    starts = itertools.count(0, size)

    def run() -> float:
        start = next(starts)
        part = items[start : start + size]
        return timed(lambda: work(part))()

    return run


def rate(count: float, seconds: float, what: str) -> str:
    """Return, for example, ``12,300 events/s``."""
    return f"{count / seconds:,.0f} {what}/s"

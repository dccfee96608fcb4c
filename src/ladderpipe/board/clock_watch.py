"""How far this process's clock is from the database's, and the refusal to sweep by a wrong one.

Machines that share a store have to agree on what time it is: a worker ten minutes ahead fires
timers and sends reminders ten minutes early. Only a :class:`~ladderpipe.SystemClock` (or what
inherits from it) claims to tell everybody's time; any other clock is taken at its word.
"""

from __future__ import annotations

import datetime as dt
from typing import Final, NamedTuple

from ..errors import ClockError
from ..model.clock import Clock, SystemClock, instant
from ..model.delivery import Backoff
from ..observability.pace import Pace
from ..public import publish
from ..stores.base import EVER, Transaction

__all__ = [
    "DEFAULT_BOUND",
    "LEASE",
    "ClockDifference",
    "ClockWatch",
    "clock_difference",
    "latest_retry",
]

DEFAULT_BOUND: Final = dt.timedelta(minutes=1)
"""Far above what a network and a synchronised clock are off, far below what a timer waits."""
SECONDS_BETWEEN: Final = 60.0
"""How long a clock that was right is trusted."""
LEASE: Final = dt.timedelta(minutes=5)
SLACK: Final = dt.timedelta(hours=1)
"""How far clocks may be from each other before what one puts off seems wrong to another."""


class ClockDifference(NamedTuple):
    """How far this process's clock is from the database's.

    Attributes:
        ahead: this process's time less the database's; negative when it is behind.
        uncertainty: the measurement is no further off than this: half the round trip, in the
            middle of which the database's clock is taken to have been read.
    """

    ahead: dt.timedelta
    uncertainty: dt.timedelta

    def exceeds(self, bound: dt.timedelta) -> bool:
        """Return whether the clocks are further apart than *bound*, beyond doubt."""
        return abs(self.ahead) - self.uncertainty > bound

    def __str__(self) -> str:
        seconds = abs(self.ahead).total_seconds()
        return f"{seconds:,.1f} s {'ahead of' if self.ahead > dt.timedelta() else 'behind'}"


def clock_difference(clock: Clock, transaction: Transaction) -> ClockDifference | None:
    """Measure a clock against the database's, in one round trip.

    Returns:
        ``None`` where there is nothing to compare: the clock does not claim to be the world's,
        or the store has no clock of its own (memory, and SQLite, which runs on this machine).
    """
    if not isinstance(clock, SystemClock):
        return None
    before = instant(clock.now())
    there = transaction.database_now()
    if there is None:
        return None
    half = (instant(clock.now()) - before) / 2
    return ClockDifference(before + half - there, abs(half))


class ClockWatch:
    """Refuses to sweep by a clock that is wrong; one that was right is asked again in a minute.

    Args:
        bound: how far a clock may be from the database's; ``None`` to let every clock pass.

    Raises:
        ValueError: the bound is not positive.
    """

    def __init__(self, bound: dt.timedelta | None = DEFAULT_BOUND) -> None:
        if bound is not None and bound <= dt.timedelta():
            raise ValueError(
                f"max_clock_difference={bound} lets no clock pass: give a positive one, or None "
                "to compare none"
            )
        self.bound = bound
        self._pace = Pace(SECONDS_BETWEEN)

    def check(self, clock: Clock, transaction: Transaction) -> None:
        """Compare the clocks, if it is time to.

        Raises:
            ClockError: they are too far apart.
        """
        if self.bound is None or not self._pace.is_due():
            return
        found = clock_difference(clock, transaction)
        if found is not None and found.exceeds(self.bound):
            raise ClockError(
                f"this process will not sweep or deliver: its clock is {found} the database's "
                f"(up to {self.bound} is accepted), so timers would fire at the wrong time. "
                "Synchronise the clocks of both machines (chrony, ntpd, timedatectl); "
                "Board(max_clock_difference=...) changes the bound"
            )
        self._pace.done()


def latest_retry(
    now: dt.datetime, lease: dt.timedelta = LEASE, backoff: Backoff | None = None
) -> dt.datetime:
    """Return how far a board with these settings puts off what failed, and a little more."""
    longest = max(lease.total_seconds(), (backoff or Backoff()).longest)
    try:
        return now + dt.timedelta(seconds=longest) + SLACK
    except OverflowError:
        return EVER


publish("ladderpipe", ClockDifference)

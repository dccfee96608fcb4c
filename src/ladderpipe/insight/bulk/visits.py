"""The current visits of many deals at once: since when, and which timer is due next (S8)."""

from __future__ import annotations

import numpy as np

from .arrays import LAST, NEVER, NOTHING, Flags, Ints, Numbers
from .program import Timers

__all__ = ["Visits"]


class Visits:
    """The visits of deals that are numbered from 0.

    Attributes:
        rung: the rung each deal stands on.
        number: how many visits it has had.
        due_at: when the next timer that was not yet tried is due; ``NEVER`` for none.
        next: the place of that timer among the rung's.
        blocked: places of the rung's timers that were due while their guard was false, as bits.
        fired: rules of timers that moved the deal at ``fired_at``, as bits.
    """

    def __init__(self, deals: int, timers: Timers) -> None:
        self.timers = timers
        self.rung = np.zeros(deals, np.int64)
        self.number = np.zeros(deals, np.int64)
        self.entered_at = np.zeros(deals, np.int64)
        self.activity_at = np.zeros(deals, np.int64)
        self.opened_at = np.zeros(deals, np.int64)
        self.due_at = np.full(deals, NEVER)
        self.next = np.zeros(deals, np.int64)
        self.blocked = np.zeros(deals, np.int64)
        self.fired = np.zeros(deals, np.int64)
        self.fired_at = np.full(deals, NOTHING)

    def begin(self, deals: Ints, rung: Ints, at: Ints) -> None:
        """Move *deals* onto the rungs given."""
        first = deals[self.rung[deals] == 0]
        self.rung[deals] = rung
        self.number[deals] += 1
        self.entered_at[deals] = at
        self.activity_at[deals] = at
        if first.size:
            self.opened_at[first] = self.entered_at[first]
        if self.timers.most:
            self.blocked[deals] = 0
            self.due_at[deals] = NEVER
            self.schedule(deals[self.timers.any_here[rung]])

    def schedule(self, deals: Ints) -> None:
        """Find the next timers that were not yet tried: by due time, then rule order."""
        best = np.full(len(deals), NEVER)
        which = np.zeros(len(deals), np.int64)
        for place in range(self.timers.most):
            due = np.where(self.is_blocked(deals, place), NEVER, self.due(deals, place))
            sooner = due < best
            best[sooner] = due[sooner]
            which[sooner] = place
        self.due_at[deals] = best
        self.next[deals] = which

    def due(self, deals: Ints, place: int) -> Ints:
        """Return when the timers in this place are due, ``NEVER`` where there is none."""
        rung = self.rung[deals]
        since = self.timers.since[rung, place]
        entered = self.entered_at[deals]
        start = np.where(since == 1, self.activity_at[deals], entered)
        start = np.where(since == 2, self.opened_at[deals], start)
        due = start + self.timers.delay[rung, place]
        is_never = (due > LAST) | (self.timers.way[rung, place] < 0)
        return np.where(is_never, NEVER, np.maximum(due, entered))

    def is_blocked(self, deals: Ints, place: int) -> Flags:
        """Return whether the timers in this place were due while their guard was false."""
        found: Flags = (self.blocked[deals] >> place & 1) != 0
        return found

    def passes(self, deals: Ints, place: Numbers | int, at: Ints, word: Ints) -> Flags:
        """Return whether timers may fire: not twice at one instant, and only if the guard holds."""
        rung = self.rung[deals]
        again = (self.fired_at[deals] == at) & (
            (self.fired[deals] & self.timers.bit[rung, place]) != 0
        )
        found: Flags = self.timers.passes[rung, place, word] & ~again
        return found

    def note_fired(self, deals: Ints, place: Numbers | int, at: Ints) -> None:
        """Note that these timers move their deals at these instants."""
        before = np.where(self.fired_at[deals] == at, self.fired[deals], 0)
        self.fired[deals] = before | self.timers.bit[self.rung[deals], place]
        self.fired_at[deals] = at

    def block(self, deals: Ints) -> None:
        """Note that the timers due were tried in vain, and find the next ones."""
        self.blocked[deals] |= np.int64(1) << self.next[deals]
        self.schedule(deals)

    def rearm(self, deals: Ints, at: Ints) -> None:
        """Count timers from the activity at *at*; one put off is not blocked any more."""
        for place in range(self.timers.most):
            is_later = self.due(deals, place) > at
            self.blocked[deals[is_later]] &= ~np.int64(1 << place)
        self.schedule(deals)

"""Who goes on at every point where a worker could be interrupted, and what goes wrong there."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Final

import attrs
import greenlet

__all__ = ["CALM", "Killed", "Mischief", "Scheduler", "Stuck", "Thread"]

LONGEST: Final = 50_000
"""More steps than any schedule takes that comes to an end."""


class Killed(BaseException):
    """Ends a worker where it stands; like a crash, it is not for anybody to catch."""


class Stuck(AssertionError):
    """Nobody can go on, or nobody comes to an end."""


@attrs.frozen
class Mischief:
    """How likely what goes wrong is, at each point where it can.

    Attributes:
        crash: at any step, the worker is gone, and its open transaction with it.
        error: before a statement, which then fails instead of running.
        lost_reply: after a commit, which was made, but nobody is told.
        most: how much goes wrong in one schedule at all.
    """

    crash: float = 0.0
    error: float = 0.0
    lost_reply: float = 0.0
    most: int = 0


CALM: Final = Mischief()


@attrs.define(eq=False)
class Thread:
    """One line of work: a greenlet, and why it cannot go on at the moment, if it cannot."""

    name: str
    work: greenlet.greenlet
    crash: Callable[[], None]
    waits_for: Callable[[], bool] | None = None
    is_dead: bool = False
    mishaps: int = 0

    @property
    def is_ready(self) -> bool:
        """Whether it can go on."""
        return self.waits_for is None or self.waits_for()


class Scheduler:
    """Runs threads of work one at a time, in an order drawn from *dice*.

    Args:
        stickiness: how likely it is that whoever ran last goes on, so that some schedules change
            workers at every step and some nearly never.
        meanwhile: called between steps; what the world does by itself, such as passing time.
        trace: told of every step, in words.
    """

    def __init__(
        self,
        dice: random.Random,
        mischief: Mischief = CALM,
        *,
        stickiness: float = 0.0,
        meanwhile: Callable[[], None] | None = None,
        trace: Callable[[str, str], None] | None = None,
    ) -> None:
        self.running: Thread | None = None
        self.steps = 0
        self._dice = dice
        self._mischief = mischief
        self._left = mischief.most
        self._stickiness = stickiness
        self._meanwhile = meanwhile or (lambda: None)
        self._trace = trace
        self._hub = greenlet.getcurrent()
        self._threads: list[Thread] = []

    # -- for the work -------------------------------------------------------------------------

    def step(self, where: str) -> None:
        """Let others go on first; outside the schedule, do nothing.

        Raises:
            Killed: the worker has crashed here.
        """
        thread = self.running
        if thread is None:
            return
        if thread.is_dead:
            raise Killed
        self._hub.switch()
        if self._trace is not None:
            self._trace(thread.name, where)

    def wait(self, until: Callable[[], bool], where: str) -> None:
        """Let others go on until *until* holds; only then is this one chosen again.

        Raises:
            Stuck: this is no part of the schedule, and nobody will ever make it hold.
        """
        thread = self.running
        if until():
            return
        if thread is None:
            raise Stuck(f"waiting for ever: {where}")
        thread.waits_for = until
        self.step(where)
        thread.waits_for = None

    def fails(self) -> bool:
        """Whether the statement that is about to run fails instead."""
        return self._happens(self._mischief.error, "! this fails")

    def loses_reply(self) -> bool:
        """Whether nobody learns of the commit that has just been made."""
        return self._happens(self._mischief.lost_reply, "! nobody is told of the commit")

    def flips_coin(self) -> bool:
        """Choose one of two ways that nobody would notice."""
        return self._dice.random() < 0.5

    def _happens(self, likely: float, what: str) -> bool:
        thread = self.running
        if thread is None or not self._left or thread.is_dead or self._dice.random() >= likely:
            return False
        self._left -= 1
        thread.mishaps += 1
        if self._trace is not None:
            self._trace(thread.name, what)
        return True

    # -- for whoever sets it up ---------------------------------------------------------------

    def start(self, name: str, work: Callable[[], None], crash: Callable[[], None]) -> Thread:
        """Add a line of work.

        Args:
            crash: called when it crashes, before it is ended; lets go of what the machine would.
        """
        thread = Thread(name, greenlet.greenlet(work, self._hub), crash)
        self._threads.append(thread)
        return thread

    def run(self) -> None:
        """Let everybody work until all have come to an end.

        Raises:
            Stuck: somebody never does.
        """
        last: Thread | None = None
        while self._threads:
            self._meanwhile()
            ready = [thread for thread in self._threads if thread.is_ready]
            last = self._choose(ready, last)
            self.steps += 1
            if self.steps > LONGEST:
                raise Stuck(f"{len(self._threads)} workers still at work after {LONGEST} steps")
            if self._left and last.work and self._dice.random() < self._mischief.crash:
                self._crash(last)
            else:
                self._resume(last)

    def _choose(self, ready: Sequence[Thread], last: Thread | None) -> Thread:
        if not ready:
            raise Stuck(f"everybody waits: {', '.join(thread.name for thread in self._threads)}")
        if last in ready and self._dice.random() < self._stickiness:
            return last
        return ready[0] if len(ready) == 1 else self._dice.choice(ready)

    def _resume(self, thread: Thread) -> None:
        self.running = thread
        try:
            thread.work.switch()
        finally:
            self.running = None
        if thread.work.dead and thread in self._threads:
            self._threads.remove(thread)

    def _crash(self, thread: Thread) -> None:
        self._left -= 1
        if self._trace is not None:
            self._trace(thread.name, "! crashes")
        self._threads.remove(thread)
        self._end(thread)

    def _end(self, thread: Thread) -> None:
        thread.is_dead = True
        thread.crash()
        self.running = thread
        try:
            thread.work.throw(Killed)
        except Killed:
            pass
        finally:
            self.running = None

    def abandon(self) -> None:
        """End everybody, after something was found."""
        for thread in list(self._threads):
            self._end(thread)
        self._threads.clear()

    def say(self, who: str, what: str) -> None:
        """Add a line to the trace."""
        if self._trace is not None:
            self._trace(who, what)

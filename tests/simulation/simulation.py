"""One store, its workers, its observer and the world's clock; runs schedules from their seeds."""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import os
import random
import time
from collections.abc import Callable, Iterator
from typing import Final
from unittest import mock

from ladderpipe import Board, Event
from ladderpipe.board.verify import verify

from .checks import check_end, check_ledger
from .ladder import NAMES, PEOPLE, busy_ladder
from .ledger import Ledger
from .observer import Observer, Violation, must
from .scheduler import CALM, Mischief, Scheduler
from .seams import Injected, Points, Seam
from .worker import LEASE, MOODS, RUSH, Worker

__all__ = ["Simulation"]

START: Final = dt.datetime(2026, 1, 5, 9, tzinfo=dt.UTC)
DEALS: Final = ("cart-1", "cart-2", "cart-3")
WORKERS: Final = 4
ROUNDS: Final = 200
"""More rounds of sweeping and delivering than any schedule's end takes."""
LEAPS: Final = tuple(dt.timedelta(minutes=m) for m in (1, 6, 11, 61, 420, 1500, 2900))
SKEWS: Final = tuple(dt.timedelta(minutes=m) for m in (-10, 0, 10))
RUSHES: Final = 0.15
"""The share of schedules that begin with the carts of one person and workers that mail promos."""
MISCHIEF: Final = Mischief(crash=0.01, error=0.01, lost_reply=0.1, most=4)


class HookTrouble(Injected, Exception):
    """What a hook raises when the schedule says so."""


class Simulation:
    """Workers that share a store, for one schedule after another.

    Args:
        make_seam: makes the way to an empty store.
        workers: how many there are at most; a schedule lets at least two of them work.
    """

    def __init__(self, make_seam: Callable[[Points], Seam], workers: int = WORKERS) -> None:
        self.time = START
        self.dice = random.Random(0)
        self.numbers = itertools.count(1)
        self.ledger = Ledger()
        self.scheduler = Scheduler(self.dice)
        self._alone = "nobody"
        self._is_cut_short = False
        self.pipeline = busy_ladder(self._inside_hook)
        self.seam = make_seam(self)
        self.seam.empty()  # of what another simulation has left in the same database
        self._board = Board(self.pipeline, store=self.seam.watch(), clock=_WorldClock(self))
        number = self._board._session.number
        self.observer = Observer(self.seam.watch(), number, LEASE)
        self._number = number
        self._workers: list[Worker] = []
        self._workers += [Worker(f"worker {letter}", self) for letter in "ABCDEFGH"[:workers]]

    # -- what stores and hooks tell -----------------------------------------------------------

    def committed(self) -> None:
        """Let the observer look, since what everybody sees may have changed."""
        if self._is_cut_short:
            return
        thread = self.scheduler.running
        name = self._alone if thread is None else thread.name
        now = next((worker.now() for worker in self._workers if worker.name == name), self.time)
        self.observer.look(name, now)

    def _inside_hook(self, where: str) -> None:
        self.scheduler.step(where)
        if self.scheduler.fails():
            raise HookTrouble("this hook fails (simulated)")

    # -- the world ----------------------------------------------------------------------------

    def pass_time(self, by: dt.timedelta) -> None:
        """Let the world's clock go on."""
        self.time += by
        self.scheduler.say("the world", f"it is {self.time:%d %H:%M:%S}")

    def some_deal(self) -> str:
        """Name a deal; there are few, so that workers meet."""
        return self.dice.choice(self._deals)

    def _meanwhile(self) -> None:
        self.seam.settle()
        if self.dice.random() < 0.02:
            self.pass_time(self.dice.choice(LEAPS))

    # -- schedules ----------------------------------------------------------------------------

    def run(self, seed: int, trace: Callable[[str, str], None] | None = None) -> int:
        """Run one schedule; return in how many steps.

        Raises:
            Violation: something was seen that must never be.
        """
        with self._everything_from(seed):
            self._set_up(trace)
            try:
                self.scheduler.run()
                steps = self.scheduler.steps
            except BaseException:
                self._clean_up()
                raise
            self.scheduler = Scheduler(self.dice, trace=trace)
            self._check_agrees("when all workers had done their work")
            check_ledger(self._board, self.ledger)
            self._come_to_rest()
            self._check_agrees("when everything had come to rest")
            check_end(self._board, self.ledger)
            return steps

    @contextlib.contextmanager
    def _everything_from(self, seed: int) -> Iterator[None]:
        """Draw all that is drawn from one seed, the library's own random numbers too."""
        self.dice = random.Random(seed)
        before = random.getstate()
        random.seed(seed)
        pause = mock.patch.object(time, "sleep", self._pause)
        entropy = mock.patch.object(os, "urandom", random.Random(~seed).randbytes)
        try:
            with pause, entropy:
                yield
        finally:
            random.setstate(before)

    def _pause(self, seconds: float) -> None:
        self.scheduler.step("pauses before it tries again")

    def _set_up(self, trace: Callable[[str, str], None] | None) -> None:
        dice = self.dice
        self.time, self._alone, self._is_cut_short = START, "nobody", False
        self.numbers = itertools.count(1)
        self._deals = DEALS[: dice.randint(1, 3)]
        self.mood = dice.choice(MOODS)
        self.ledger = Ledger()
        self.scheduler = Scheduler(dice)
        self.seam.empty()
        self.observer.forget(self.ledger)
        self.scheduler = Scheduler(
            dice,
            CALM if dice.random() < 0.3 else MISCHIEF,
            stickiness=dice.choice((0.0, 0.5, 0.8, 0.95)),
            meanwhile=self._meanwhile,
            trace=trace,
        )
        is_rush = dice.random() < RUSHES
        if is_rush:
            self._open_carts_of_one()
        skewed = dice.random() < 0.3
        at_work = self._workers[: dice.randint(2, len(self._workers))]
        for worker in at_work:
            skew = dice.choice(SKEWS) if skewed else dt.timedelta()
            calls = dice.randint(1, 5 - len(at_work) // 2)
            worker.begin(calls, skew, ("promo",) if is_rush else NAMES)

    def _open_carts_of_one(self) -> None:
        """Begin with every cart open, all of them one person's, and workers that go for the mails.

        It happens by itself, but too seldom for two to be at one customer in the same moment.
        """
        self.mood = RUSH
        self._deals = DEALS
        for deal in DEALS:
            data = {"contact": {"email": PEOPLE[0]}}
            event = Event("lead", deal=deal, id=f"e{next(self.numbers)}", at=START, data=data)
            self.ledger.tell(event)
            self._board.handle(event)
            self.ledger.acknowledged.add(event.id)

    def _clean_up(self) -> None:
        """After a schedule that was cut short, let everybody begin anew.

        What was wrong then is wrong still, and whoever looked would say so in the middle of this.
        """
        self._is_cut_short = True
        self.scheduler.abandon()
        self.scheduler = Scheduler(self.dice)
        for worker in self._workers:
            worker.open()

    def _check_agrees(self, when: str) -> None:
        report = verify(self._board)
        must(report.agrees, f"{when}: {'; '.join(map(str, report.differences))}")

    def _come_to_rest(self) -> None:
        """Sweep and deliver, with nothing going wrong, until there is nothing left to wait for."""
        worker = self._workers[0]
        worker.skew = dt.timedelta()
        worker.take_on(NAMES)
        self._alone = worker.name
        for _ in range(ROUNDS):
            worker.board.tick()
            worker.board.deliver()
            with self.seam.watch().transaction(write=False) as transaction:
                wake = transaction.next_wake(self._number, list(NAMES))
            if wake is None:
                return
            self.time = max(self.time, wake)
        raise Violation(f"after {ROUNDS} rounds something still waits, since {wake}")

    def close(self) -> None:
        """Let go of the store."""
        self.seam.close()


class _WorldClock:
    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation

    def now(self) -> dt.datetime:
        return self._simulation.time

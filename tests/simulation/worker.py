"""A worker of the simulation: what a process does all day, and what its callers make of it."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from ladderpipe import Backoff, Board, Delivery, Event
from ladderpipe.errors import (
    DealNotFoundError,
    EffectNotFoundError,
    EventFromFutureError,
    HookError,
    LadderError,
    MoveNotAllowedError,
    UndeliverableError,
)

from .ladder import KINDS, NAMES, PEOPLE
from .scheduler import Thread
from .seams import Injected

if TYPE_CHECKING:
    from .simulation import Simulation

__all__ = ["LEASE", "MOODS", "RUSH", "Worker"]

LEASE: Final = dt.timedelta(minutes=10)
BACKOFF: Final = Backoff(first=60, factor=2, tries=3)
LATE: Final = tuple(dt.timedelta(minutes=m) for m in (0, 0, 0, 0, -3, -1, 1, 60, 1500, 3000))
"""How much later than they happen events are told."""
CONTACTS: Final = ({}, *({"contact": {"email": person}} for person in PEOPLE))
REFUSALS: Final = (EventFromFutureError, MoveNotAllowedError, DealNotFoundError, HookError)
"""What a caller may be told although nothing is wrong with the board; then nothing is stored."""

Call = tuple[str, Callable[[], None]]


class Worker:
    """One process: a board, a clock that may be wrong, and a number of calls to make."""

    def __init__(self, name: str, simulation: Simulation) -> None:
        self.name = name
        self.skew = dt.timedelta()
        self._names: Sequence[str] = NAMES
        self._simulation = simulation
        self._calls_left = 0
        self._call: Call | None = None
        self.thread: Thread | None = None
        self.open()

    def open(self) -> None:
        """Open the board, as a process does when it starts."""
        simulation = self._simulation
        self.store = simulation.seam.open()
        self.board = Board(
            simulation.pipeline, store=self.store, clock=self, lease=LEASE, backoff=BACKOFF
        )
        self.take_on(self._names)

    def take_on(self, names: Sequence[str]) -> None:
        """Deliver the effects of these names, and leave the others to somebody else."""
        self._names = names
        self.board._session.handlers.clear()
        for name in names:
            self.board.handles(name)(self._deliver)

    def now(self) -> dt.datetime:
        """Tell the time, as far as this machine knows it."""
        return self._simulation.time + self.skew

    def begin(self, calls: int, skew: dt.timedelta, names: Sequence[str]) -> None:
        """Take part in a schedule."""
        self.skew = skew
        self.take_on(names)
        # What a process remembers of a store must not depend on the schedules before.
        self.board._session.is_indexed = False
        self._calls_left, self._call = calls, None
        self._start(self._work)

    def _start(self, work: Callable[[], None]) -> None:
        self.thread = self._simulation.scheduler.start(self.name, work, self._crash)

    def _crash(self) -> None:
        """Lose everything but the callers, who may try again."""
        self._simulation.seam.crash(self.store)
        if self._dice.random() < 0.3:
            self._call = None
        self._start(self._work_again)

    def _work_again(self) -> None:
        while not self._perform(self.open):
            pass
        self._work()

    def _work(self) -> None:
        while self._call or self._calls_left:
            if self._call is None:
                self._calls_left -= 1
                self._call = self._dice.choices(_CALLS, self._simulation.mood)[0](self)
            what, call = self._call
            self._simulation.scheduler.step(f"begins: {what}")
            if self._perform(call) or self._dice.random() < 0.3:
                self._call = None

    def _perform(self, call: Callable[[], None]) -> bool:
        """Make a call; return whether the caller knows what became of it."""
        assert self.thread is not None
        mishaps = self.thread.mishaps
        try:
            call()
        except REFUSALS as error:
            self._simulation.scheduler.say(self.name, f"refused: {type(error).__name__}")
        except Exception as error:
            if not _was_injected(error) and self.thread.mishaps == mishaps:
                raise
            self._simulation.scheduler.say(self.name, f"no answer: {error!r}")
            return False
        return True

    @property
    def _dice(self) -> random.Random:
        return self._simulation.dice

    # -- what callers ask for -----------------------------------------------------------------

    def _new_event(self) -> Event:
        """Return something that happens; now and then what has been told before."""
        told = self._simulation.ledger.told
        if told and self._dice.random() < 0.25:
            return told[self._dice.choice(list(told)[-4:])]
        return Event(
            self._dice.choice(KINDS),
            deal=self._simulation.some_deal(),
            id=f"e{next(self._simulation.numbers)}",
            at=self._simulation.time - self._dice.choice(LATE),
            data=self._dice.choice(CONTACTS),
        )

    def _handle(self) -> Call:
        event = self._new_event()
        return f"handle {_named(event)}", lambda: self._tell(event)

    def _tell(self, event: Event) -> None:
        ledger = self._simulation.ledger
        ledger.tell(event)
        try:
            receipt = self.board.handle(event)
        except LadderError:
            ledger.refused[event.id] += 1
            raise
        ledger.acknowledged.add(event.id)
        refolded = ", refolded" if receipt.refolded else ""
        self._simulation.scheduler.say(self.name, f"answered: {receipt.outcome}{refolded}")

    def _handle_many(self) -> Call:
        events = [self._new_event() for _ in range(self._dice.randint(2, 4))]
        quiet = self._dice.random() < 0.2
        batch = self._dice.choice((2, 1000))
        what = f"handle_many {', '.join(map(_named, events))}{' quietly' if quiet else ''}"
        return what, lambda: self._tell_many(events, quiet, batch)

    def _tell_many(self, events: list[Event], quiet: bool, batch: int) -> None:
        ledger = self._simulation.ledger
        ledger.tell(*events)
        report = self.board.handle_many(events, quiet, batch=batch)
        refused = {failure.position: failure for failure in report.failures}
        for failure in refused.values():
            if not isinstance(failure.error, REFUSALS):
                raise failure.error
        for position, event in enumerate(events):
            if position in refused:
                ledger.refused[event.id] += 1
            else:
                ledger.acknowledged.add(event.id)

    def _move(self) -> Call:
        deal, into = self._simulation.some_deal(), self._dice.choice(("lost", "new"))
        by_rule = self._dice.random() < 0.7

        def move() -> None:
            ask = self.board.move if by_rule else self.board.override
            receipt = ask(deal, into, by="Ada")
            hand = receipt.moves[-1].event
            assert hand is not None
            self._simulation.ledger.handed.append((deal, hand.source, hand.id))

        return f"{'move' if by_rule else 'override'} {deal} into {into}", move

    def _tick(self) -> Call:
        limit = self._dice.choice((None, 1))
        return f"tick, limit {limit}", lambda: self._check_swept(limit)

    def _check_swept(self, limit: int | None) -> None:
        for failure in self.board.tick(limit).failures:
            if not isinstance(failure.error, REFUSALS):
                raise failure.error

    def _deliver_some(self) -> Call:
        limit = self._dice.choice((None, 1, 2))

        def deliver() -> None:
            self.board.deliver(limit)

        return f"deliver, limit {limit}", deliver

    def _send_again(self) -> Call:
        def send_again() -> None:
            for effect in self.board.dead_letters()[:1]:
                try:
                    self.board.send_again(effect)
                except EffectNotFoundError:
                    self._simulation.scheduler.say(self.name, "somebody was faster")

        return "send_again", send_again

    # -- what the worker delivers -------------------------------------------------------------

    def _deliver(self, delivery: Delivery) -> None:
        simulation = self._simulation
        simulation.observer.see_handler(self.name, delivery.key)
        simulation.ledger.begun[delivery.key] += 1
        simulation.scheduler.step(f"delivers {delivery.name} of {delivery.deal.id}")
        if simulation.scheduler.running is not None:
            self._have_trouble(delivery)
        simulation.ledger.handled[delivery.key] += 1
        simulation.scheduler.step(f"has delivered {delivery.name} of {delivery.deal.id}")

    def _have_trouble(self, delivery: Delivery) -> None:
        fate = self._dice.random()
        if fate < 0.12:
            raise ConnectionError("the receiver is away")
        if fate < 0.16:
            raise UndeliverableError("there is no such receiver")
        if fate < 0.3:
            self._simulation.pass_time(LEASE + dt.timedelta(seconds=1))
            for _ in range(self._dice.randint(1, 40)):
                self._simulation.scheduler.step("is slow")
        elif fate < 0.4:
            id = f"after {delivery.key}"
            self._tell(Event("call", deal=delivery.deal.id, id=id, at=delivery.due_at))


_CALLS: Final = (
    Worker._handle,
    Worker._handle_many,
    Worker._move,
    Worker._tick,
    Worker._deliver_some,
    Worker._send_again,
)
MIXED: Final = (40, 12, 10, 12, 24, 2)
DELIVERING: Final = (22, 6, 4, 6, 60, 2)
RUSH: Final = (10, 2, 2, 4, 80, 2)
MOODS: Final = (MIXED, MIXED, DELIVERING)
"""How often what is asked for, on different days."""


def _named(event: Event) -> str:
    return f"{event.type} {event.deal} {event.id}"


def _was_injected(error: BaseException) -> bool:
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, Injected):
            return True
        found = found.__cause__
    return False

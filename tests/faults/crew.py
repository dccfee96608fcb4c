"""A shop's processes, started again whenever one ends: clients bring events, workers deliver.

``python -m tests.faults.crew`` is the small process that starts them. A client writes down what
it is about to tell, and what was accepted once the board has answered. When it gets no answer it
tells the same again, and so does its successor when it is killed.
"""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing.connection
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import psycopg
import pymysql

from ladderpipe import Board, Event
from ladderpipe.errors import MoveNotAllowedError, StoreError
from tests.children import FORKS, HOUR, KINDS, ROOT, FastClock, Files, Lines, open_board

__all__ = ["Crew", "Logs", "event_from"]

PATIENCE: Final = 60.0
"""Seconds until a test gives up waiting for something to happen."""
CUSTOMERS: Final = 12
PAUSE: Final = 0.02
"""Seconds until a process tries again what the library has given up."""

Result = TypeVar("Result")


class Logs(Files):
    """Where the processes of a crew meet, beside what every test's processes write."""

    @property
    def started(self) -> Path:
        """Name and process number of everyone who was started."""
        return self.folder / "started"

    @property
    def unanswered(self) -> Path:
        """Errors after which a caller did the same again; whether they say that nobody knows."""
        return self.folder / "unanswered"

    @property
    def hands(self) -> Path:
        """Deal and event of every move by hand that was answered for."""
        return self.folder / "hands"

    @property
    def stop(self) -> Path:
        """There once everyone is to finish what is under way and go."""
        return self.folder / "stop"

    def told(self, client: str) -> Path:
        """What a client was about to tell: lists of events that were told together."""
        return self.folder / f"told-{client}"

    def all_told(self) -> list[Event]:
        """Every event that anybody was about to tell."""
        batches = [b for path in self.folder.glob("told-*") for b in Lines.read(path)]
        return [event_from(fields) for batch in batches for fields in batch]


class Crew:
    """Clients and workers on one board, while the block runs; the test may do what it likes.

    Attributes:
        killed: how many were killed, and ``paused`` how many were held up for a while.
    """

    def __init__(self, logs: Logs, clients: int = 2, workers: int = 2) -> None:
        self.logs = logs
        self.killed = self.paused = 0
        self.began = time.time()
        self._names = [f"client-{n}" for n in range(clients)]
        self._names += [f"worker-{n}" for n in range(workers)]

    def __enter__(self) -> Crew:
        folder = str(self.logs.folder)
        command = [sys.executable, "-m", __name__, folder, str(self.began), *self._names]
        with (self.logs.folder / "stderr").open("w") as errors:
            self._process = subprocess.Popen(command, cwd=ROOT, stderr=errors)
        self.wait_until_busy()
        return self

    def __exit__(self, *error: object) -> None:
        self.logs.stop.touch()
        self._process.wait(PATIENCE)

    @property
    def clock(self) -> FastClock:
        """The clock that all of them go by."""
        return FastClock(self.began)

    def wait_until_busy(self) -> None:
        """Return when another event was accepted and another effect delivered."""
        paths = (self.logs.accepted, self.logs.delivered)
        sizes = [_size(path) for path in paths]
        patience = time.monotonic() + PATIENCE
        while not self._all_started() or any(
            _size(path) <= size for path, size in zip(paths, sizes, strict=True)
        ):
            assert self._process.poll() is None, "the crew has gone"
            troubles = Lines.read(self.logs.troubles)
            assert not troubles, troubles[0]
            assert time.monotonic() < patience, "nobody gets anything done any more"
            time.sleep(0.002)

    def _all_started(self) -> bool:
        return {name for name, _ in Lines.read(self.logs.started)} == set(self._names)

    def kill(self, name: str) -> None:
        """Kill the process of that name; another takes its place."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid(name), signal.SIGKILL)
            self.killed += 1

    @contextlib.contextmanager
    def pausing(self, name: str) -> Iterator[None]:
        """Hold up the process of that name while the block runs."""
        with contextlib.suppress(ProcessLookupError):
            pid = self._pid(name)
            os.kill(pid, signal.SIGSTOP)
            self.paused += 1
            try:
                yield
            finally:
                os.kill(pid, signal.SIGCONT)
            return
        yield

    @property
    def names(self) -> Sequence[str]:
        """Who works here."""
        return self._names

    def _pid(self, name: str) -> int:
        return int([pid for who, pid in Lines.read(self.logs.started) if who == name][-1])


def event_from(fields: Sequence[Any]) -> Event:
    """Return an event that a client has written down."""
    kind, deal, id, at = fields
    return Event(kind, deal=deal, id=id, at=at, data=_contact_of(deal))


def _contact_of(deal: str) -> dict[str, Any]:
    """Return what events say of a deal's customer; there are few, so that each has many deals."""
    return {"contact": {"email": f"c{sum(deal.encode()) % CUSTOMERS}@example.com"}}


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


# -- the process that starts the others ---------------------------------------------------------


def supervise(logs: Logs, began: float, names: Sequence[str]) -> None:
    """Keep a process of each name alive until the file ``stop`` is there, or the test is gone."""
    test = os.getppid()
    children: dict[str, Any] = {}
    started = Lines(logs.started)
    numbers = itertools.count(1)
    while not logs.stop.exists() and os.getppid() == test:
        for name in names:
            child = children.get(name)
            if child is None or not child.is_alive():
                clock = FastClock(began)
                child = FORKS.Process(target=live, args=(logs, name, clock, next(numbers)))
                child.start()
                children[name] = child
                started.append([name, child.pid])
        sentinels = [child.sentinel for child in children.values()]
        multiprocessing.connection.wait(sentinels, timeout=0.05)
    logs.stop.touch()
    for child in children.values():
        child.join(PATIENCE)
        child.kill()


def live(logs: Logs, name: str, clock: FastClock, number: int) -> None:
    """Be one of the crew until told to stop, or killed."""
    dice = random.Random(number)
    try:
        board = _until_answered(logs, lambda: open_board(logs, clock, dice))
        role: type[_Client | _Worker] = _Client if name.startswith("client") else _Worker
        member = role(logs, name, board, dice, number)
        while not logs.stop.exists() and os.getppid() == FORKS.parent_process().pid:
            member.work()
    except BaseException as error:
        Lines(logs.troubles).append(f"{name}: {error!r}", sync=True)
        raise


def _until_answered(logs: Logs, work: Callable[[], Result]) -> Result:
    """Do the same again until it is answered for, as a shop does whose database is away."""
    while True:
        try:
            return work()
        except (StoreError, psycopg.OperationalError, pymysql.OperationalError) as error:
            nobody_knows = "may be stored or not" in str(getattr(error, "__notes__", ""))
            Lines(logs.unanswered).append([type(error).__name__, nobody_knows])
            time.sleep(PAUSE)


class _Worker:
    """Sweeps and delivers."""

    def __init__(
        self, logs: Logs, name: str, board: Board, dice: random.Random, number: int
    ) -> None:
        self._logs = logs
        self._board = board

    def work(self) -> None:
        """Do one round."""
        _until_answered(self._logs, self._board.tick)
        _until_answered(self._logs, lambda: self._board.deliver(limit=10))


class _Client:
    """Tells what happens, in order, late, or in batches; moves a deal by hand now and then."""

    def __init__(
        self, logs: Logs, name: str, board: Board, dice: random.Random, number: int
    ) -> None:
        self._logs = logs
        self._board = board
        self._dice = dice
        self._prefix = f"{name}-{number}"
        self._numbers = itertools.count()
        self._told = Lines(logs.told(name))
        self._accepted = Lines(logs.accepted)
        self._hands = Lines(logs.hands)
        self._tell_what_was_not_answered(name)

    def _tell_what_was_not_answered(self, name: str) -> None:
        """Do what a forerunner did not come to, or was not told the end of."""
        accepted = set(Lines.read(self._logs.accepted))
        for batch in Lines.read(self._logs.told(name))[-1:]:
            if any(fields[2] not in accepted for fields in batch):
                self._tell([event_from(fields) for fields in batch])

    def work(self) -> None:
        """Tell something."""
        n = next(self._numbers)
        size = self._dice.choice((1, 1, 1, 4))
        events = [self._something(n, m) for m in range(size)]
        self._told.append([[e.type, e.deal, e.id, e.at.isoformat()] for e in events])
        self._tell(events)
        if self._dice.random() < 0.1:
            self._move_by_hand(events[0].deal)

    def _something(self, n: int, m: int) -> Event:
        late = self._dice.choice((0, 0, 0, 80)) * self._dice.random() * HOUR
        return Event(
            self._dice.choice(KINDS),
            deal=(deal := f"{self._prefix}-{n // 3}"),
            id=f"{self._prefix}-{n}-{m}",
            at=self._board.clock.now() - late,
            data=_contact_of(deal),
        )

    def _tell(self, events: list[Event]) -> None:
        if len(events) == 1:
            _until_answered(self._logs, lambda: self._board.handle(events[0]))
        else:
            report = _until_answered(self._logs, lambda: self._board.handle_many(events, batch=3))
            assert not report.failures, report.failures
        self._accepted.append(*(event.id for event in events), sync=True)

    def _move_by_hand(self, deal: str) -> None:
        with contextlib.suppress(MoveNotAllowedError):
            receipt = _until_answered(
                self._logs, lambda: self._board.override(deal, "won", by="Ada")
            )
            hand = receipt.moves[-1].event
            assert hand is not None
            self._hands.append([deal, hand.id], sync=True)


if __name__ == "__main__":
    supervise(Logs(Path(sys.argv[1])), float(sys.argv[2]), sys.argv[3:])

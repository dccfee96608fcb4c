"""What child processes do in the tests of crashes and races.

``python -m tests.children`` is a small process of its own that forks them, so that starting one
takes milliseconds. What they tell, they append to files, a line at a time.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import json
import multiprocessing
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import attrs

from ladderpipe import (
    ANY,
    Board,
    Delivery,
    Event,
    ManualClock,
    Pipeline,
    Stage,
    after,
    do,
    on,
    wait,
)
from ladderpipe.errors import LadderError
from ladderpipe.policy import Policy, at_most, bought

FORKS = multiprocessing.get_context("fork")
ROOT = Path(__file__).parent.parent

START = dt.datetime(2026, 1, 5, 9, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
KINDS = ("lead", "call", "chat", "order", "lead")


PROMO_HOURS: Final = 48
"""At most one promotion goes to one customer in so many hours."""


def busy_ladder() -> Pipeline:
    """Return a ladder on which every stage asks for mails that say what they are about."""
    new = Stage(
        "new", sequence=[do("note", text="first"), wait(hours=30), do("note", text="second")]
    )
    talking = Stage("talking")
    won = Stage("won", status="won")
    cold = Stage("cold", status="abandoned")
    pipeline = Pipeline(
        "busy",
        stages=[cold, new, talking, won],
        rules=[
            on("lead", into=new, out_of=[cold, won], opens=True),
            on("call", into=talking, out_of=[new, cold]),
            on("order", into=won, out_of=ANY),
            after(hours=40, out_of=new, into=cold),
            after(hours=25, out_of=talking, into=new),
        ],
        send=Policy(stop_when=[bought], caps=[at_most(1, hours=PROMO_HOURS)]),
    )
    for stage in pipeline.stages:
        pipeline.move_into(stage)(_ask_inside)
        pipeline.move_out_of(stage)(_ask_leaving)
    return pipeline


def _ask_inside(ctx: Any) -> None:
    ctx.do("mail", about=_about(ctx, "into"))
    ctx.do("mail", wait=10 * HOUR, about=_about(ctx, "into, later"))
    if ctx.deal.contact:
        ctx.do("promo", to="customer", about=_about(ctx, "into, to buy"))


def _ask_leaving(ctx: Any) -> None:
    if ctx.event is not None and not ctx.refold:
        ctx.do("mail", about=_about(ctx, "out of"), always=True)


def _about(ctx: Any, direction: str) -> list[str]:
    """Say what a mail is about: the same for the same move, whoever finds out about it."""
    cause = ctx.move.at.isoformat() if ctx.event is None else ctx.event.id
    return [ctx.deal.id, direction, ctx.move.rule, cause]


@attrs.frozen
class FastClock:
    """A clock on which an hour passes in a millisecond, counting from *started*."""

    started: float

    def now(self) -> dt.datetime:
        return START + (time.time() - self.started) * 1000 * HOUR


class Lines:
    """A file that several processes append to; what was appended survives any of them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def append(self, *lines: Any, sync: bool = False) -> None:
        os.write(self._file, "".join(json.dumps(line) + "\n" for line in lines).encode())
        if sync:
            os.fsync(self._file)

    @staticmethod
    def read(path: Path) -> list[Any]:
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@attrs.frozen
class Files:
    """Where the processes of one test meet."""

    folder: Path

    @property
    def url(self) -> str:
        """The board's database: what stands in the file ``url``, or else a SQLite file here."""
        told = self.folder / "url"
        return told.read_text() if told.exists() else f"sqlite:///{self.folder}/shop.db"

    @property
    def accepted(self) -> Path:
        return self.folder / "accepted"

    @property
    def delivered(self) -> Path:
        return self.folder / "delivered"

    @property
    def refolded(self) -> Path:
        return self.folder / "refolded"

    @property
    def troubles(self) -> Path:
        return self.folder / "troubles"

    @property
    def ended(self) -> Path:
        return self.folder / "ended"


def open_board(files: Files, clock: Any, dice: random.Random | None = None) -> Board:
    """Open the board, its handlers writing down what they deliver.

    With *dice* they take their time, and fail now and then.
    """
    log = Lines(files.delivered)

    def deliver(delivery: Delivery) -> None:
        if dice is not None:
            time.sleep(dice.uniform(0, 0.003))
            if dice.random() < 0.1:
                raise OSError("the mail server is away")
        log.append([delivery.key, delivery.payload.get("about")])
        if dice is not None:
            time.sleep(dice.uniform(0, 0.003))

    board = Board.open(busy_ladder(), files.url, clock=clock, lease=20 * HOUR)
    for name in ("mail", "note", "promo"):
        board.handles(name)(deliver)
    return board


def run(what: str, files: Files, *arguments: int) -> None:
    """Run *what* of this module in a process that forks; its errors are the test's."""
    command = [sys.executable, "-m", __name__, what, str(files.folder), *map(str, arguments)]
    subprocess.run(command, check=True, cwd=ROOT)


# -- crashes ------------------------------------------------------------------------------------


def crash(files: Files, times: int) -> None:
    """Start and kill processes."""
    dice = random.Random(7)
    started = time.time()
    for number in range(times):
        child = FORKS.Process(target=work_until_killed, args=(files, number, started))
        sizes = [_size(path) for path in (files.accepted, files.delivered)]
        child.start()
        _wait_until_both_grow((files.accepted, files.delivered), sizes)
        child.join(dice.choice((0, dice.uniform(0, 0.15))))
        child.kill()
        child.join()
    Lines(files.ended).append((FastClock(started).now() + HOUR).isoformat())


def _wait_until_both_grow(paths: Sequence[Path], sizes: Sequence[int]) -> None:
    """Let a child get to work, however slow the machine is; it has half a minute."""
    patience = time.monotonic() + 30
    while time.monotonic() < patience:
        if all(_size(path) > size for path, size in zip(paths, sizes, strict=True)):
            return
        time.sleep(0.0005)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def work_until_killed(files: Files, number: int, started: float) -> None:
    """Handle, sweep and deliver in several threads, for as long as it lasts."""
    dice = random.Random(number)
    clock = FastClock(started)
    board = open_board(files, clock, dice)
    accepted = Lines(files.accepted)
    work = (
        lambda: _handle_in_order(board, clock, files, f"calm-{number}", dice),
        lambda: _handle_in_any_order(board, clock, accepted, f"wild-{number}", dice),
        lambda: _sweep_and_deliver(board),
    )
    threads = [threading.Thread(target=_noting_troubles, args=(files, job)) for job in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _noting_troubles(files: Files, job: Callable[[], None]) -> None:
    try:
        job()
    except BaseException as error:
        Lines(files.troubles).append(repr(error), sync=True)
        raise


def _handle_in_order(
    board: Board, clock: FastClock, files: Files, prefix: str, dice: random.Random
) -> None:
    """Handle events as they happen; a sweep may still be faster, so note which came late."""
    accepted, refolded = Lines(files.accepted), Lines(files.refolded)
    for n in itertools.count():
        event = Event(
            dice.choice(KINDS), deal=f"{prefix}-{n // 3}", id=f"{prefix}-{n}", at=clock.now()
        )
        if board.handle(event).refolded:
            refolded.append(event.deal)
        accepted.append(event.id, sync=True)


def _handle_in_any_order(
    board: Board, clock: FastClock, accepted: Lines, prefix: str, dice: random.Random
) -> None:
    for n in itertools.count():
        batch = [
            Event(
                dice.choice(KINDS),
                deal=f"{prefix}-{n // 3}",
                id=f"{prefix}-{n}-{m}",
                at=clock.now() - dice.random() * 80 * HOUR,
            )
            for m in range(dice.choice([1, 1, 4]))
        ]
        if len(batch) == 1:
            board.handle(batch[0])
        else:
            assert not board.handle_many(batch, batch=3).failures
        accepted.append(*(event.id for event in batch), sync=True)


def _sweep_and_deliver(board: Board) -> None:
    while True:
        board.tick()
        board.deliver(limit=10)


# -- races --------------------------------------------------------------------------------------


def events_of_many_deals(deals: int, dice: random.Random) -> list[Event]:
    """Return a dozen events for each deal, some at one instant."""
    return [
        Event(
            dice.choice(KINDS),
            deal=f"deal-{deal}",
            id=f"{deal}-{n}",
            at=START
            + dice.choice([dice.randrange(200), dice.randrange(200) + dice.random()]) * HOUR,
            source=dice.choice(["", "shop"]),
            data={"properties": {"n": n}},
        )
        for deal in range(deals)
        for n in range(12)
    ]


def race(board: Board, events: Sequence[Event], dice: random.Random) -> Iterator[Any]:
    """Handle *events* one by one and in batches, sweeping and delivering; yield the outcomes."""
    left = list(events)
    while left:
        size = dice.choice([1, 1, 1, 2, 10, 40])
        batch, left = left[:size], left[size:]
        if size == 1:
            yield board.handle(batch[0]).outcome.value, 1
        else:
            report = board.handle_many(batch)
            yield from ((outcome.value, count) for outcome, count in report.outcomes.items())
            yield from (("failure", repr(failure)) for failure in report.failures)
        if dice.random() < 0.2:
            board.tick(limit=dice.choice([None, 3]))
        if dice.random() < 0.2:
            board.deliver(limit=5)


def race_in_processes(files: Files, processes: int, deals: int) -> None:
    """Let processes race on one file, each with a shuffled part of the same events."""
    dice = random.Random(11)
    events = events_of_many_deals(deals, dice)
    shares: list[list[Event]] = [[] for _ in range(processes)]
    for event in events:
        for share in dice.sample(shares, dice.choice([1, 2, 3])):
            share.append(event)
    children = []
    for number, share in enumerate(shares):
        dice.shuffle(share)
        children.append(FORKS.Process(target=race_in_a_process, args=(files, number, share)))
    for child in children:
        child.start()
    for child in children:
        child.join()


def race_in_a_process(files: Files, number: int, events: Sequence[Event]) -> None:
    """Race against other processes, and write down each outcome."""
    lines = Lines(files.accepted)
    with contextlib.ExitStack() as stack:
        try:
            board = stack.enter_context(open_board(files, ManualClock(START + 300 * HOUR)))
            for outcome in race(board, events, random.Random(number)):
                lines.append(outcome)
        except (LadderError, Exception) as error:
            Lines(files.troubles).append(repr(error))
            raise


if __name__ == "__main__":
    jobs = {"crash": crash, "race": race_in_processes}
    jobs[sys.argv[1]](Files(Path(sys.argv[2])), *map(int, sys.argv[3:]))

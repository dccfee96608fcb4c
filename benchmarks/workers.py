"""(g) Two workers on two cores against one: sweeping timers and delivering effects."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from multiprocessing.synchronize import Barrier
from pathlib import Path

from ladderpipe import Board, EffectState, Event, ManualClock, Pipeline, Stage, after, do, on
from ladderpipe.stores import PostgresStore
from tests.postgres import PostgresServer

from .harness import Pair, Report, Row, compare, rate, timed
from .ladders import START
from .postgres import copy_of, drop, open_board, server

METHOD = """\
Worker processes on one PostgreSQL server of the same machine, as it is installed, each with a board
of its own and nothing shared but the database: all timers due, then one effect to a deal, with a
handler that does nothing. Each round is on fresh copies of one database, one worker on the first,
two on the second. The server works for its clients on the same cores, so that two workers never
have two cores to themselves.\
"""

WAIT = 120


def run(quick: bool, folder: Path) -> Report:
    rounds = 2 if quick else 5
    timers, effects = (4_000, 400) if quick else (20_000, 2_000)
    with server() as found:
        swept = _compare(found, filled(found, timers), sweep, rounds)
        delivered = _compare(found, filled(found, effects), deliver, rounds)
    cores = os.cpu_count()
    return Report(
        "Two workers on PostgreSQL against one",
        METHOD,
        [
            _row(f"`tick`, {timers:,} deals due, {cores} cores", timers, swept, "timers"),
            _row(f"`deliver`, {effects:,} effects, {cores} cores", effects, delivered, "effects"),
        ],
    )


def _row(what: str, count: int, pair: Pair, unit: str) -> Row:
    return Row(
        what, f"{rate(count, pair.ours, unit)} : {rate(count, pair.theirs, unit)}", pair.speed
    )


def ladder() -> Pipeline:
    """Return a ladder whose deals have a timer, and ask for an effect when they are opened."""
    lead, cold = Stage("lead", sequence=[do("greet")]), Stage("cold", status="abandoned")
    return Pipeline(
        "workers",
        stages=[lead, cold],
        rules=[on("opened", into=lead, opens=True), after(hours=48, out_of=lead, into=cold)],
    )


def filled(server: PostgresServer, deals: int) -> str:
    """Return a database with that many open deals."""
    url = server.new_database()
    with closing(open_board(ladder(), url, ManualClock(START))) as board:
        board.handle_many(_opened(deals))
    return url


def _opened(deals: int) -> Iterator[Event]:
    for number in range(deals):
        yield Event("opened", deal=f"deal-{number}", id=f"e{number}", at=START)


def sweep(board: Board) -> None:
    """Fire every timer."""
    board.clock.advance(hours=49)  # type: ignore[attr-defined]
    board.tick()


def deliver(board: Board) -> None:
    """Deliver every effect."""
    board.handles("greet")(lambda delivery: None)
    board.deliver()


Work = Callable[[Board], None]


def _compare(server: PostgresServer, url: str, work: Work, rounds: int) -> Pair:
    return compare(
        lambda: _with_workers(2, server, url, work),
        lambda: _with_workers(1, server, url, work),
        rounds,
    )


def _with_workers(count: int, server: PostgresServer, url: str, work: Work) -> float:
    """Return how long so many workers take, from when all are ready until all are done."""
    copy = copy_of(server, url)
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(count + 1)
    workers = [context.Process(target=_worker, args=(copy, work, barrier)) for _ in range(count)]
    for worker in workers:
        worker.start()
    barrier.wait(WAIT)
    seconds = timed(lambda: barrier.wait(WAIT))()
    for worker in workers:
        worker.join()
    _assert_done(copy, work)
    drop(server, copy)
    return seconds


def _worker(url: str, work: Work, barrier: Barrier) -> None:
    with closing(Board(ladder(), store=PostgresStore(url), clock=ManualClock(START))) as board:
        barrier.wait(WAIT)
        work(board)
        barrier.wait(WAIT)


def _assert_done(url: str, work: Work) -> None:
    with closing(open_board(ladder(), url, ManualClock(START))) as board:
        left = [total for total in board.summary() if str(total.stage) == "lead" and total.count]
        waiting = board.effects(states=[EffectState.PENDING, EffectState.CLAIMED])
        assert not (left if work is sweep else waiting)

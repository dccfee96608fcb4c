"""(h) Bulk replay: millions of events in columns, against the ordinary fold of a sample."""

from __future__ import annotations

import gc
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from ladderpipe import Pipeline
from ladderpipe.insight.bulk import replay
from ladderpipe.insight.bulk.arrange import arrange
from ladderpipe.insight.bulk.columnar import BLOCK_EVENTS, COMPILED_AT_ONCE, blocks
from ladderpipe.insight.bulk.event_frame import read_events
from ladderpipe.insight.bulk.fallback import events_of, fold_one_by_one
from ladderpipe.insight.bulk.loading import WORTH_LOADING, compiled
from ladderpipe.insight.bulk.outcome import Names, frames_of
from ladderpipe.insight.bulk.program import Program

from .harness import Report, Row, rate
from .ladders import DEAL, START, sales

METHOD = """\
Sales deals of twelve events with carts, as a shop's log has them: in order of time, deals mixed,
carts numbered as they are opened, products and prices drawn from a catalogue, one deal in ten left
alone for some days. They are in a Parquet file with a column for each part of the data. Both sides
read the same rows and end with the same tables of moves and deals. The ordinary fold builds an
`Event` for each row of a sample of the deals, folds them, and writes the tables; its second figure
is `pipeline.replay(events)` alone, with every move read and the events built beforehand. Each side
runs three times in turn, in a process of its own, and the middle one counts; "one core" is a
process that may use only one. The kernel that Numba compiles is read from the disk by each process
that replays all, as it is by every process but the first one on a machine; the line of the kernel
alone is what one core does once the events are read and sorted, in the best of five passes and in
processor time. What part each stage has of one core's processor time is told below it, without the
loading of the kernel. The memory is the most that the process with all cores ever held, the events
included.\
"""

MICROSECONDS = 1_000_000
YEAR = 365 * 86_400 * MICROSECONDS
SKUS = 1_000


class Measured(NamedTuple):
    """What one process found: events per second, moves per event, and gigabytes at the most."""

    rate: float
    moves: float
    memory: float


def run(quick: bool, folder: Path) -> Report:
    deals = 20_000 if quick else 833_334
    path = folder / "events.parquet"
    shop_log(deals).write_parquet(path)
    sample = folder / "sample.parquet"
    some = pl.scan_parquet(path).filter(pl.col("deal") < f"cart-{min(deals, 5_000):08}")
    some.collect().write_parquet(sample)
    cores = os.cpu_count() or 1
    rounds = [_round(path, sample, cores) for _ in range(3)]
    ordinary, bare, one, every = map(_middle, zip(*rounds, strict=True))
    assert one.moves == every.moves
    count = deals * len(DEAL)
    rows = [
        _row(f"{count:,} events, one core, against the ordinary fold", one, ordinary, 20),
        _row(f"the same on all {cores} cores", every, ordinary, 20 if quick else 50),
        _row("one core, against the fold of events built beforehand", one, bare),
        _row(f"the same on all {cores} cores", every, bare),
    ]
    if find_spec("numba") is not None:
        rows += _stages(path, None if quick else 80)
    if not quick:
        memory = every.memory
        rows.append(Row("most memory held", f"{memory:.2f} GB", memory, target=4.0, at_most=True))
    return Report("Bulk replay", METHOD, rows)


def _round(path: Path, sample: Path, cores: int) -> tuple[Measured, ...]:
    one_core = [_measure(what, sample, 1) for what in ("ordinary", "bare")]
    return (*one_core, _measure("bulk", path, 1), _measure("bulk", path, cores))


def _middle(found: tuple[Measured, ...]) -> Measured:
    return sorted(found)[len(found) // 2]


def shop_log(
    deals: int, seed: int = 1, first: int = 0, begin: int = 0, span: int = YEAR
) -> pl.DataFrame:
    """Return the events of many sales deals, in order of time.

    Args:
        first: number of the first deal.
        begin: microseconds from the start of all until the first deal is opened.
        span: microseconds within which all of them are.
    """
    random = np.random.default_rng(seed)
    step = np.tile(np.arange(len(DEAL), dtype=np.int64), deals)
    deal = np.repeat(np.arange(deals, dtype=np.int64), len(DEAL))
    pause = np.where(
        random.random(len(deal)) < 0.01, 3 * 86_400, random.integers(1, 300, len(deal))
    )
    pause[step == 0] = 0
    since = np.cumsum(pause)
    since -= np.repeat(since[:: len(DEAL)], len(DEAL))
    begun = begin + np.sort(random.integers(0, span, deals))
    at = int(START.timestamp()) * MICROSECONDS + begun[deal] + since * MICROSECONDS
    order = np.argsort(at, kind="stable")
    skus = random.integers(0, SKUS, (deals, 2))
    return _frame(deal[order], step[order], at[order], skus, first)


def _frame(
    deal: np.ndarray, step: np.ndarray, at: np.ndarray, skus: np.ndarray, first: int
) -> pl.DataFrame:
    """Return the events as columns: what :data:`DEAL` says, with two products of each deal."""
    lines = [data.get("line") for _, data in DEAL]
    which = np.array([-1 if line is None else int(line["sku"] == "MS-01") for line in lines])[step]
    sku = np.where(which < 0, -1, (skus[deal, 0] + which * (1 + skus[deal, 1] % (SKUS - 1))) % SKUS)
    told_price = np.array([line is not None and "unit_price" in line for line in lines])[step]
    quantities = pl.Series([None if line is None else line.get("quantity") for line in lines])
    numbers = pl.Series(first + deal).cast(pl.String).str.zfill(8)
    columns = {
        "deal": "cart-" + numbers,
        "type": _gathered([kind for kind, _ in DEAL], step),
        "at": pl.Series(at).cast(pl.Datetime("us", "UTC")),
        "id": numbers + "-" + pl.Series(step).cast(pl.String),
        "sku": _gathered([f"SKU-{n:04}" for n in range(SKUS)] + [None], sku),
        "quantity": quantities.gather(step),
        "unit_price": pl.Series(np.where(told_price, 5 + sku * 0.25, np.nan)).fill_nan(None),
        "currency": _gathered(["EUR", *[None] * 11], step),
    }
    return pl.DataFrame(columns)


def _gathered(texts: list[str | None], places: np.ndarray) -> pl.Series:
    """Return a column of few different texts, which a Parquet file keeps as a dictionary."""
    return pl.Series(texts, dtype=pl.Categorical).gather(places % len(texts))


def _row(what: str, ours: Measured, theirs: Measured, target: float | None = None) -> Row:
    rates = f"{rate(ours.rate, 1, 'events')} : {rate(theirs.rate, 1, 'events')}"
    return Row(what, rates, ours.rate / theirs.rate, target)


def _measure(what: str, path: Path, cores: int) -> Measured:
    """Measure in a process of its own, which may use so many cores."""
    return Measured(*_said(what, path, cores))


def _said(what: str, path: Path, cores: int) -> list[float]:
    command = [sys.executable, "-m", "benchmarks.bulk", what, str(path), str(cores)]
    surroundings = os.environ | {"POLARS_MAX_THREADS": str(cores)}
    said = subprocess.run(command, env=surroundings, check=True, capture_output=True, text=True)
    return list(map(float, said.stdout.split()))


def _child(what: str, path: str, cores: int) -> Measured:
    pipeline = sales()
    start, count, moves = _WORK[what](pipeline, path, cores)
    seconds = time.perf_counter() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    return Measured(count / seconds, moves / count, memory)


def _stages(path: Path, target: float | None) -> list[Row]:
    """Return what the kernel does alone, and what part of the time each stage has."""
    rounds = [_said("stages", path, 1) for _ in range(3)]
    fastest = [min(seconds) for seconds in zip(*rounds, strict=True)]
    *stages, events = fastest
    millions = events / stages[2] / 1e6
    parts = " : ".join(f"{100 * seconds / sum(stages):.0f}" for seconds in stages)
    return [
        Row(
            "the kernel alone, one core",
            f"{millions:.0f} M events/s",
            millions,
            target,
            absolute=True,
        ),
        Row("reading : arranging : kernel : tables", f"{parts} %"),
    ]


def _bulk(pipeline: Pipeline, path: str, cores: int) -> tuple[float, int, int]:
    start = time.perf_counter()
    replayed = replay(pipeline, path, workers=cores)
    assert replayed.columnar
    assert not replayed.one_by_one
    count = pl.scan_parquet(path).select(pl.len()).collect().item()
    return start, count, len(replayed.moves)


def _ordinary(pipeline: Pipeline, path: str, cores: int) -> tuple[float, int, int]:
    gc.collect()
    start = time.perf_counter()
    frame = read_events(path, None)
    return start, len(frame), len(fold_one_by_one(pipeline, frame, None).moves)


def _bare(pipeline: Pipeline, path: str, cores: int) -> tuple[float, int, int]:
    events = list(events_of(read_events(path, None)))
    gc.collect()
    start = time.perf_counter()
    read = sum(1 for history in pipeline.replay(events) for _ in history.moves)
    return start, len(events), read


def _seconds_by_stage(path: str) -> Iterator[float]:
    """Yield what reading, arranging, the kernel and the tables take, and how many events it was."""
    program = Program.of(sales())
    kernel = compiled(program, WORTH_LOADING)
    assert kernel is not None, "the kernel cannot be loaded"
    start = time.process_time()
    frame = read_events(path, None)
    yield time.process_time() - start
    start = time.process_time()
    with ThreadPoolExecutor(1) as pool:
        events = arrange(program, frame, pool, lambda: kernel)
    yield time.process_time() - start
    given, bounds = (
        kernel.of(program, events),
        list(blocks(events, BLOCK_EVENTS * COMPILED_AT_ONCE)),
    )
    passes = []
    for _ in range(5):
        gc.collect()
        start = time.process_time()
        for some in bounds:
            given.fold(*some, None)
        passes.append(time.process_time() - start)
    yield min(passes)
    folded, names = [given.fold(*some, None) for some in bounds], Names.of(program)
    start = time.process_time()
    for some in folded:
        frames_of(names, events, some)
    yield time.process_time() - start
    yield len(frame)


_WORK = {"bulk": _bulk, "ordinary": _ordinary, "bare": _bare}


if __name__ == "__main__":
    what, path, cores = sys.argv[1], sys.argv[2], int(sys.argv[3])
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    print(*(_seconds_by_stage(path) if what == "stages" else _child(what, path, cores)))

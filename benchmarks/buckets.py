"""(i) A log larger than memory, cut by deal and folded bucket by bucket, and one ten times it.

``python -m benchmarks.buckets log FOLDER EVENTS`` only writes such a log, a part at a time.
"""

from __future__ import annotations

import re
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import polars as pl

from ladderpipe.insight import replay

from .bulk import MICROSECONDS, YEAR, shop_log
from .harness import Report, Row
from .ladders import DEAL, START, sales

METHOD = """\
The log of "Bulk replay", written a part at a time into a folder of Parquet files and in one order
of time throughout, is replayed by `insight.replay(…, into=folder)` with as many buckets as come by
default, in one process of its own for each log. What counts is that process's processor time (of
all its threads, the system's included) and the most memory that it ever held; wall time would
measure whoever else is on the machine. The smaller log in memory is `insight.replay` without
buckets, which ends with the same tables and writes none. The last two lines are derived, not
measured: a billion events take ten times what a hundred million take, in processor time as on the
disk, since a longer log has more buckets and no larger ones, and nothing else in a run grows. On
several cores it is at best that time divided by them.\
"""

BLOCK = 100_000
"""Deals that are made together."""

BILLION = 1_000_000_000


class Spent(NamedTuple):
    """What one replay took: seconds of processors, gigabytes at the most, and bytes on the disk."""

    seconds: float
    memory: float
    disk: float


def run(quick: bool, folder: Path) -> Report:
    few, many = (200_000, 2_000_000) if quick else (10_000_000, 100_000_000)
    in_a_bucket = 50_000 if quick else 0
    logs = {events: folder / f"log-{events}" for events in (few, many)}
    for events, path in logs.items():
        write_log(path, events)
    memory = _spent("memory", logs[few], folder, few, in_a_bucket)
    small = _spent("buckets", logs[few], folder / "few", few, in_a_bucket)
    large = _spent("buckets", logs[many], folder / "many", many, in_a_bucket)
    per_million = large.seconds / many * 1e6
    grown = large.memory / small.memory
    slower = (small.seconds / few) / (large.seconds / many)
    core = per_million * BILLION / 1e6 / 60
    rows = [
        Row(
            f"{few:,} events in buckets, against in memory, processor time",
            f"{small.seconds:.1f} s : {memory.seconds:.1f} s",
            memory.seconds / small.seconds,
            None if quick else 0.6,
        ),
        Row(
            f"{many:,} events against {few:,}, each event's processor time",
            f"{per_million:.2f} s : {small.seconds / few * 1e6:.2f} s a million",
            slower,
            None if quick else 0.8,
        ),
        Row(
            "the same, most memory held",
            f"{large.memory:.2f} GB : {small.memory:.2f} GB",
            grown,
            None if quick else 1.3,
            at_most=True,
        ),
        Row(f"{many:,} events, written", f"{large.disk:.2f} GB"),
        Row("a billion, derived: one core", f"{core:.0f} min"),
        Row("a billion, derived: written", f"{large.disk * BILLION / many:.0f} GB"),
    ]
    return Report("Replay in buckets", METHOD, rows)


def write_log(folder: Path, events: int) -> None:
    """Write a shop's log into a folder of Parquet files, in constant memory."""
    folder.mkdir(parents=True)
    for number, part in enumerate(log_parts(events // len(DEAL))):
        part.write_parquet(folder / f"log-{number:05}.parquet")


def log_parts(deals: int) -> Iterator[pl.DataFrame]:
    """Yield a log's parts; what a part's deals do later than it comes with the next one."""
    blocks = -(-deals // BLOCK)
    window = YEAR // blocks
    start = int(START.timestamp()) * MICROSECONDS
    later: list[pl.DataFrame] = []
    for block in range(blocks):
        first = block * BLOCK
        some = shop_log(min(BLOCK, deals - first), block, first, block * window, window)
        told = pl.concat([*later, some]).sort("at", maintain_order=True)
        until = pl.lit(start + (block + 1) * window).cast(told.schema["at"])
        yield told.filter(pl.col("at") < until)
        later = [told.filter(pl.col("at") >= until)]
    yield from later


def _spent(what: str, log: Path, into: Path, events: int, in_a_bucket: int) -> Spent:
    command = [sys.executable, "-m", "benchmarks.buckets", what, str(log), str(into), str(events)]
    said = subprocess.run(
        [*command, str(in_a_bucket)], check=True, capture_output=True, text=True
    ).stdout
    return Spent(*map(float, said.split()))


def _child(what: str, log: Path, into: Path, events: int, in_a_bucket: int) -> Spent:
    if what == "memory":
        replayed = replay(sales(), pl.scan_parquet(log / "*.parquet"))
        assert len(replayed.moves) > events / 2
    else:
        buckets = max(1, events // in_a_bucket) if in_a_bucket else None
        found = replay(sales(), log, into=into, buckets=buckets)
        assert abs(found.events - events) < len(DEAL)
        assert not found.one_by_one
    used = resource.getrusage(resource.RUSAGE_SELF)
    disk = sum(file.stat().st_size for file in into.rglob("*") if what == "buckets")
    return Spent(used.ru_utime + used.ru_stime, _most_held() / 1e9, disk / 1e9)


def _most_held() -> int:
    """Return the most memory this process held; what getrusage tells is also of who started it."""
    found = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


if __name__ == "__main__":
    if sys.argv[1] == "log":
        write_log(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        what, log, into, *numbers = sys.argv[1:]
        print(*_child(what, Path(log), Path(into), *map(int, numbers)))

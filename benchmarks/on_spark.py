"""(r) A log folded by Spark's workers, against one process that folds the same file in columns."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from ladderpipe import insight, spark

from .bulk import shop_log
from .harness import Report, Row, Skipped, rate
from .ladders import DEAL, sales

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

METHOD = """\
The log of the bulk replay, in a Parquet file. One side is `insight.replay` in a process of its own,
on all cores, which then writes the moves as Parquet; the other is `ladderpipe.spark.fold` with
Spark in local mode, a task for each core, which writes the same rows. Both are up and have imported
what they need when the clock starts, and Spark has folded a tenth of the log before. They run three
times in turn; the middle of the three ratios counts. Processor time is that of all processes of a
side: of Spark, Java's and the Python workers'. One process has the kernel that Numba compiles, from
four million events on; a bucket has too few events for it.\
"""

BUCKETS = 16


class Spent(NamedTuple):
    """What a side took, and how many moves it wrote."""

    seconds: float
    processor: float
    moves: int


def run(quick: bool, folder: Path) -> Report:
    if importlib.util.find_spec("pyspark") is None or shutil.which("java") is None:
        raise Skipped("no PySpark or no Java here: see make test-spark")
    deals = 20_000 if quick else 833_334
    path, sample = folder / "events.parquet", folder / "sample.parquet"
    shop_log(deals).write_parquet(path)
    shop_log(deals // 10).write_parquet(sample)
    cores = os.cpu_count() or 1
    session = _session(cores)
    _on_spark(session, sample, folder / "moves")
    rounds = []
    for number in range(3):
        sides = [lambda: _in_one(path), lambda: _on_spark(session, path, folder / "moves")]
        found = [side() for side in sides[:: 1 - 2 * (number % 2)]]
        rounds.append(tuple(found[:: 1 - 2 * (number % 2)]))
    session.stop()
    assert len({each.moves for pair in rounds for each in pair}) == 1
    count = deals * len(DEAL)
    one, many = (sorted(side)[1] for side in zip(*rounds, strict=True))
    speeds = [a.seconds / b.seconds for a, b in rounds]
    efforts = [b.processor / a.processor for a, b in rounds]
    return Report(
        "Bulk replay on Spark",
        METHOD,
        [
            Row(
                f"{count:,} events, {BUCKETS} buckets, against one process",
                f"{rate(count, many.seconds, 'events')} : {rate(count, one.seconds, 'events')}",
                median(speeds),
            ),
            Row(
                "processor time, of that of one process",
                f"{many.processor:.1f} s : {one.processor:.1f} s",
                median(efforts),
            ),
        ],
    )


def _session(cores: int) -> SparkSession:
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = SparkSession.Builder().master(f"local[{cores}]")
    for name, value in {
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.memory": "2g",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.executorEnv.POLARS_MAX_THREADS": "1",
        "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    }.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def _on_spark(session: SparkSession, path: Path, out: Path) -> Spent:
    before, start = _processor(), time.perf_counter()
    folded = spark.fold(session.read.parquet(str(path)), sales(), buckets=BUCKETS)
    folded.write.mode("overwrite").parquet(str(out))
    seconds = time.perf_counter() - start
    moves = pl.scan_parquet(out / "*.parquet").select(pl.len()).collect().item()
    return Spent(seconds, _processor() - before, moves)


def _processor() -> float:
    """Return the processor time of all processes below this one, those that have ended included."""
    parents: dict[int, tuple[int, float]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            told = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        ticks = sum(map(int, told[11:15]))
        parents[int(entry.parent.name)] = int(told[1]), ticks / os.sysconf("SC_CLK_TCK")

    def is_below(process: int) -> bool:
        while process in parents:
            process = parents[process][0]
            if process == os.getpid():
                return True
        return False

    return sum(seconds for process, (_, seconds) in parents.items() if is_below(process))


def _in_one(path: Path) -> Spent:
    command = [sys.executable, "-m", "benchmarks.on_spark", str(path)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return Spent(float(said[0]), float(said[1]), int(said[2]))


def _child(path: str) -> Spent:
    processor, start = time.process_time(), time.perf_counter()
    moves = insight.replay(sales(), path).moves
    moves.write_parquet(f"{path}.moves")
    return Spent(time.perf_counter() - start, time.process_time() - processor, len(moves))


if __name__ == "__main__":
    print(*_child(sys.argv[1]))

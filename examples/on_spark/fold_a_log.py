"""A log of carts folded by Spark's workers: the same moves as one process makes of it.

    pip install '.[spark]'          # and a Java, 17 or later
    python examples/on_spark/fold_a_log.py [FOLDER]

Spark runs on this machine here. On a cluster the same lines stand in a job; its workers need
ladderpipe with the extra `spark`, too.
"""

from __future__ import annotations

import datetime as dt
import os
import random
import sys
import tempfile
from pathlib import Path

import polars as pl
from pyspark.sql import SparkSession

from ladderpipe import insight, spark
from ladderpipe.templates import sales_management

CARTS = 2_000
STEPS = ("cart.item_added", "cart.saved", "checkout.started", "order.confirmed")


def write_log(path: Path) -> None:
    """Write what carts were told, as a shop exports it: in no order, a column for each thing."""
    chosen = random.Random(1)
    rows = []
    for cart in range(CARTS):
        at = dt.datetime(2026, 1, 1, tzinfo=dt.UTC) + dt.timedelta(minutes=chosen.randrange(9**5))
        for step, kind in enumerate(STEPS[: chosen.randint(1, 4)]):
            at += dt.timedelta(minutes=chosen.choice([3, 40, 4_000]))
            line = ("NB-15", 1, 899.0) if step == 0 else (None, None, None)
            rows.append((f"cart-{cart}", kind, at, f"{cart}-{step}", *line))
    chosen.shuffle(rows)
    names = ("deal", "type", "at", "id", "sku", "quantity", "unit_price")
    frame = pl.DataFrame(rows, names, orient="row")
    frame.with_columns(pl.col("at").cast(pl.Datetime("us", "UTC"))).write_parquet(path)


def main(folder: Path) -> None:
    log, out = folder / "log.parquet", folder / "moves"
    write_log(log)
    shop = sales_management(language="en")

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    session: SparkSession = (
        SparkSession.builder.master("local[2]")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        # One task a core: that each takes all cores would only make them wait for each other.
        .config("spark.executorEnv.POLARS_MAX_THREADS", "1")
        # Else Spark writes instants in a form that others read without their zone.
        .config("spark.sql.parquet.outputTimestampType", "TIMESTAMP_MICROS")
        .getOrCreate()
    )
    events = session.read.parquet(str(log))
    spark.fold(events, shop, buckets=8).write.parquet(str(out))
    session.stop()

    moves = pl.read_parquet(out / "*.parquet").sort("deal", "n")
    one = insight.replay(shop, log).moves
    for column in ("deal", "n", "into", "at", "rule"):
        assert moves[column].to_list() == one[column].to_list(), column
    print(f"{len(moves):,} moves of {CARTS:,} carts, as one process makes them")
    for stage, count in moves["into"].value_counts(sort=True).iter_rows():
        print(f"{count:>6,} into {stage}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as made:
            main(Path(made))

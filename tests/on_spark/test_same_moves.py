"""Spark's workers make the moves that one process makes, however the events come to them."""

from __future__ import annotations

import datetime as dt
import os
import random
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ladderpipe import Board, Event, MemoryStore, Pipeline, insight
from ladderpipe import spark as on
from ladderpipe.insight.buckets import bucket_numbers
from ladderpipe.logs.map_files import load_map
from ladderpipe.logs.replay import replay as replay_log
from ladderpipe.templates import sales_management
from ladderpipe.testing.copies import copies
from tests.data import test_cart_log as carts
from tests.data import test_replay_real_logs as logs
from tests.insight.bulk_frames import as_columns, with_plain_properties
from tests.insight.test_bulk import STRANGE, ladders_and_deals, some_instant

from .frames import collected, configured, on_spark, replayed

ZONES = ("UTC", "Europe/Rome", "America/New_York", "Asia/Kathmandu", "+05:30", "GMT-3")

few = settings(
    max_examples=int(os.environ.get("LADDERPIPE_SPARK_EXAMPLES", "12")),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def assert_same(
    spark: Any,
    pipeline: Pipeline,
    events: Any,
    frame: Any = None,
    *,
    until: dt.datetime | str | None = None,
    buckets: int = 3,
) -> pl.DataFrame:
    """Compare all tables, and return the moves."""
    one = insight.replay(pipeline, events, until)
    frame = on_spark(spark, events) if frame is None else frame

    def asked(table: Any) -> pl.DataFrame:
        folded = on.fold(frame, pipeline, buckets=buckets, until=until, table=table, strict=False)
        return collected(folded, table)

    for table in ("moves", "deals"):
        mine, told = asked(table), replayed(one, table)
        assert mine.schema == told.schema
        assert mine.rows() == told.rows()
    assert [(row[0], row[4], row[5], row[6]) for row in asked("aside").rows()] == sorted(
        (event.deal, event.source, event.id, reason) for event, reason in one.aside
    )
    return replayed(one)


@few
@given(case=ladders_and_deals(deals=3), data=st.data())
def test_any_ladder_and_any_events(
    spark: Any, case: tuple[Pipeline, list[Event]], data: st.DataObject
) -> None:
    pipeline, events = case
    if events and data.draw(st.booleans(), "told twice"):
        events += data.draw(st.lists(st.sampled_from(events).flatmap(copies), max_size=2))
    until = some_instant(data.draw, events)
    columns = data.draw(st.booleans(), "in columns")
    if columns:
        told = [each for each in events if each.type not in STRANGE[2:]]
        events_or_frame: Any = as_columns(with_plain_properties(told))
    else:
        events_or_frame = events
    frame = on_spark(spark, events_or_frame, data.draw(st.integers(1, 4), "partitions"))
    with configured(
        spark,
        spark__sql__session__timeZone=data.draw(st.sampled_from(ZONES)),
        spark__sql__execution__arrow__maxRecordsPerBatch=data.draw(st.sampled_from([1, 2, 10_000])),
    ):
        buckets = data.draw(st.integers(1, 5), "buckets")
        assert_same(spark, pipeline, events_or_frame, frame, until=until, buckets=buckets)


def a_log(deals: int, seed: int = 7) -> pl.DataFrame:
    """Return a log of carts in columns, in no order."""
    chosen = random.Random(seed)
    steps = ("cart.item_added", "cart.item_added", "cart.saved", "checkout.started")
    rows = []
    for number in range(deals):
        at = dt.datetime(2026, 3, 1, tzinfo=dt.UTC) + dt.timedelta(minutes=chosen.randrange(90_000))
        for place, kind in enumerate([*steps, "order.confirmed"][: chosen.randint(1, 5)]):
            at += dt.timedelta(minutes=chosen.choice([3, 30, 600, 4_000]), microseconds=number % 7)
            sku = f"S{chosen.randrange(9)}" if kind == "cart.item_added" else None
            price = None if sku is None else Decimal("19.90")
            rows.append((f"käufer-{number}", kind, at, f"{number}-{place}", sku, sku and 1, price))
    chosen.shuffle(rows)
    names = ("deal", "type", "at", "id", "sku", "quantity", "unit_price")
    return pl.DataFrame(rows, names, orient="row").with_columns(
        pl.col("at").cast(pl.Datetime("us", "UTC")), pl.col("unit_price").cast(pl.Decimal(12, 2))
    )


@pytest.mark.parametrize("large", ["false", "true"])
def test_a_log_in_columns_in_small_batches(spark: Any, large: str) -> None:
    log = a_log(2_000)
    with configured(
        spark,
        spark__sql__execution__arrow__maxRecordsPerBatch=7,
        spark__sql__execution__arrow__useLargeVarTypes=large,
    ):
        moves = assert_same(spark, sales_management(), log, buckets=16)
    assert len(moves) > 4_000


@pytest.mark.parametrize("buckets", [1, 2, 1_000])
@pytest.mark.parametrize("partitions", [1, 5])
def test_how_it_is_cut_makes_no_difference(spark: Any, buckets: int, partitions: int) -> None:
    log = a_log(40)
    frame = on_spark(spark, log, partitions)
    assert_same(spark, sales_management(), log, frame, buckets=buckets)


@pytest.mark.parametrize("zone", ZONES)
def test_the_zone_of_the_session_changes_no_instant(spark: Any, zone: str) -> None:
    """Also in the hour that clocks show twice, and before there were zones."""
    hours = [dt.datetime(2026, 10, 25, 0, minute, tzinfo=dt.UTC) for minute in range(0, 60, 10)]
    hours += [at + dt.timedelta(hours=1) for at in hours]
    hours += [dt.datetime(1890, 1, 1, 12, 0, 0, 1, tzinfo=dt.UTC)]
    events = [
        Event("cart.saved" if n % 2 else "cart.item_added", deal=f"d{n % 4}", id=str(n), at=at)
        for n, at in enumerate(hours)
    ]
    before = on_spark(spark, events)
    with configured(spark, spark__sql__session__timeZone=zone):
        assert_same(spark, sales_management(), events, before)
        assert_same(spark, sales_management(), events, on_spark(spark, events))


def test_rows_that_stand_twice_count_once(spark: Any) -> None:
    log = a_log(50)
    frame = on_spark(spark, log)
    twice = frame.union(frame.orderBy("at")).repartition(4)
    assert_same(spark, sales_management(), pl.concat([log, log.reverse()]), twice)
    once = collected(on.fold(frame, sales_management(), buckets=4))
    assert collected(on.fold(twice, sales_management(), buckets=9)).equals(once)


def test_a_frame_without_events_has_no_moves_and_all_columns(spark: Any) -> None:
    log = a_log(3)
    frame = on_spark(spark, log).where("false")
    assert_same(spark, sales_management(), log.clear(), frame)


def test_properties_have_dots_in_their_names(spark: Any) -> None:
    from pyspark.sql import functions

    log = a_log(30).with_columns(
        pl.lit("x").alias("properties.a.b"),
        pl.lit(True).alias("properties.hot `one`"),
        pl.lit(1.5).alias("properties.size"),
        pl.lit(None, pl.Null).alias("properties.nothing"),
        pl.lit("to be left out").alias("no.event"),
    )
    frame = on_spark(spark, log.drop("properties.nothing"))
    frame = frame.withColumn("properties.nothing", functions.lit(None))
    assert_same(spark, sales_management(), log, frame)


def test_deals_are_in_the_buckets_that_other_engines_put_them_in(spark: Any) -> None:
    from pyspark.sql import functions

    deals = pl.Series("deal", ["", "a", "käufer-9", "注文", "d" * 500, "🛒"])
    frame = spark.createDataFrame(deals.to_frame().to_arrow())
    numbers = frame.select((functions.crc32("deal") % 97).alias("bucket")).toArrow()
    assert numbers["bucket"].to_pylist() == bucket_numbers(deals, 97).to_list()


@pytest.mark.skipif(not carts.LOGS, reason=f"no cart logs in {carts.DATA}")
def test_a_real_log_of_carts(spark: Any) -> None:
    events = [event for log in carts.LOGS for event in carts.read(log)]
    until = "2023-06-01T00:00:00Z"
    moves = assert_same(spark, sales_management(), events, until=until, buckets=16)
    assert moves["deal"].n_unique() == 255


@pytest.mark.skipif(not logs.OTTO.exists(), reason=f"no log in {logs.OTTO.parent}")
def test_a_real_log_of_sessions(spark: Any) -> None:
    board = Board(sales_management(), store=MemoryStore())
    replay_log(board, logs.OTTO, load_map("otto"))
    events = [event for deal in board.deals() for event in board.events(deal.id)]
    assert len(assert_same(spark, sales_management(), events)) > 10

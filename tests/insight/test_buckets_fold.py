"""Deals cut into buckets, each folded alone, have the histories that all of them have together."""

from __future__ import annotations

import datetime as dt
import random
from typing import Any
from zlib import crc32

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from ladderpipe import Event, Pipeline
from ladderpipe.insight.buckets import bucket_numbers, fold_bucket
from ladderpipe.insight.bulk.event_frame import read_events
from ladderpipe.templates import sales_management
from tests.insight.bulk_frames import told_by_the_fold, told_in_bulk
from tests.insight.test_bulk import ladders_and_deals, some_instant

fewer = settings(max_examples=max(10, settings.default.max_examples // 2))  # type: ignore[union-attr]


def test_a_deal_is_in_the_same_bucket_in_every_version_on_every_machine():
    # What ISO 3309 gives as the check of its sum.
    assert bucket_numbers(pl.Series(["123456789"]), 1 << 32).to_list() == [0xCBF43926]
    deals = pl.Series(["cart-1", "cart-2", "gid://shopify/Cart/1", "caffè ☕", "a b", "cart-1"])
    assert bucket_numbers(deals, 7).to_list() == [3, 1, 3, 0, 6, 3]
    assert bucket_numbers(deals.cast(pl.Categorical), 7).to_list() == [3, 1, 3, 0, 6, 3]


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1)), st.integers(1, 300))
def test_a_bucket_is_the_crc_of_the_name(deals: list[str], buckets: int):
    found = bucket_numbers(pl.Series(deals, dtype=pl.String), buckets)
    assert found.to_list() == [crc32(deal.encode()) % buckets for deal in deals]


def test_names_that_count_up_are_spread_evenly():
    deals = pl.Series([f"cart-{n:08}" for n in range(100_000)])
    for buckets in (8, 10, 64, 100):
        sizes = bucket_numbers(deals, buckets).value_counts()["count"].to_list()
        assert len(sizes) == buckets
        assert max(sizes) < 1.2 * len(deals) / buckets


@fewer
@given(ladders_and_deals(deals=4), st.integers(1, 9), st.data())
def test_buckets_folded_one_by_one_are_the_whole(
    case: tuple[Pipeline, list[Event]], buckets: int, data: st.DataObject
):
    pipeline, events = case
    until = some_instant(data.draw, events)
    frame = read_events(events, None)
    numbered = frame.with_columns(bucket_numbers(frame["deal"], buckets))
    parts = [part.drop("bucket") for part in numbered.partition_by("bucket")]
    found: dict[str, list[Any]] = {"moves": [], "visits": [], "deals": []}
    for part in parts:
        for name, rows in told_in_bulk(fold_bucket(pipeline, part, until)).items():
            found[name] += rows
    assert {name: sorted(rows, key=lambda row: row[:1]) for name, rows in found.items()} == (
        told_by_the_fold(pipeline, events, until)
    )


class Arrow:
    """Data that only Arrow's interface gives out."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self._frame = frame

    def __arrow_c_stream__(self, schema: object = None) -> object:
        return self._frame.__arrow_c_stream__(schema)


def test_arrow_data_is_folded_whatever_zone_its_instants_name():
    at = dt.datetime(2026, 1, 5, 9, tzinfo=dt.UTC)
    data = {"line": {"sku": "A", "quantity": 1, "unit_price": "5.00"}}
    events = [
        Event("cart.item_added", deal="c", id=str(n), at=at + dt.timedelta(hours=50 * n), data=data)
        for n in range(5)
    ]
    random.Random(1).shuffle(events)
    frame = read_events(events, None)
    elsewhere = frame.with_columns(pl.col("at").dt.convert_time_zone("Europe/Rome"))
    shop = sales_management()
    whole = told_in_bulk(fold_bucket(shop, frame))
    assert whole["moves"]
    assert told_in_bulk(fold_bucket(shop, Arrow(elsewhere))) == whole

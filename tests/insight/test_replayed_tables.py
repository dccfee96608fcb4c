"""Reports of a replay, in memory or in a folder, are those of a board that was told the same."""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from ladderpipe import Board, Event, ManualClock, Pipeline, Stage, on
from ladderpipe.errors import ClockError, DefinitionError, PipelineChangedError
from ladderpipe.insight import (
    ReplayedFolder,
    Report,
    Tables,
    arrivals,
    bottlenecks,
    currencies,
    funnel,
    loss_reasons,
    page,
    replay,
    stale,
    stale_deals,
    summary,
    tables,
    time_in_stage,
    time_per_deal,
    timers,
    turning_back,
    velocity,
    win_rate,
)
from ladderpipe.stores import MemoryStore
from ladderpipe.templates import sales_management
from tests.insight.test_buckets import lines
from tests.insight.test_bulk import ladders_and_deals

fewer = settings(max_examples=max(10, settings.default.max_examples // 8))  # type: ignore[union-attr]

START = dt.datetime(2026, 1, 5, 9, tzinfo=dt.UTC)
END = START + dt.timedelta(days=30)
FOUR = ("deals", "visits", "moves", "changes")
REPORTS: tuple[Callable[..., Report], ...] = (
    *(arrivals, bottlenecks, currencies, funnel, loss_reasons, stale, stale_deals, summary),
    *(time_in_stage, time_per_deal, timers, turning_back, velocity, win_rate),
)


def assert_same(found: Tables, expected: Tables) -> None:
    assert (found.as_of, found.stages, found.titles) == (
        expected.as_of,
        expected.stages,
        expected.titles,
    )
    for name in FOUR:
        assert_frame_equal(getattr(found, name), getattr(expected, name))


@fewer
@given(ladders_and_deals(deals=3), st.integers(1, 5), st.data())
def test_a_folder_reports_what_the_replay_in_memory_does(
    case: tuple[Pipeline, list[Event]], buckets: int, data: st.DataObject
):
    pipeline, events = case
    hours = data.draw(st.integers(0, 400))
    until = max((one.at for one in events), default=START) + dt.timedelta(hours=hours)
    whole = replay(pipeline, events, until)
    with tempfile.TemporaryDirectory() as folder:
        replay(pipeline, events, until, buckets=buckets, into=Path(folder) / "out")
        found = ReplayedFolder.open(Path(folder) / "out", pipeline)
        assert_same(tables(found), tables(whole))
        earlier = until - dt.timedelta(hours=data.draw(st.integers(1, 400)))
        assert_same(tables(found, as_of=earlier), tables(whole, as_of=earlier))
        for report in REPORTS:
            assert_frame_equal(report(found).table, report(whole).table)


@fewer
@given(ladders_and_deals(deals=3), st.integers(0, 200))
def test_a_replay_stands_where_a_board_does(case: tuple[Pipeline, list[Event]], hours: int):
    pipeline, events = case
    # What a hand may do a board asks when it is told; here all is told at once, in any order.
    told = [one for one in events if not one.type.startswith("ladder.")]
    until = max((one.at for one in told), default=START) + dt.timedelta(hours=hours)
    board = Board(pipeline, store=MemoryStore(), clock=ManualClock(until))
    board.handle_many(told, hold=True)
    expected, found = tables(board), tables(replay(pipeline, told, until))
    assert_frame_equal(found.visits, expected.visits)
    assert_frame_equal(found.moves.drop("recorded_at"), expected.moves.drop("recorded_at"))
    unknown = ("title", "owner", "source", "loss_reason", "active_at")
    assert_frame_equal(found.deals.drop(unknown), expected.deals.drop(unknown))


@pytest.fixture
def found(tmp_path: Path) -> ReplayedFolder:
    return replay(sales_management(), lines(), END, buckets=3, into=tmp_path / "out")


def test_a_report_reads_the_tables_that_it_needs(found: ReplayedFolder):
    expected = summary(replay(sales_management(), lines(), END)).table
    for file in found.path.glob("buckets/*/*.parquet"):
        if file.stem != "deals":
            file.unlink()
    assert_frame_equal(summary(found).table, expected)
    with pytest.raises(FileNotFoundError):
        time_in_stage(found)


def test_what_was_earlier_is_the_replay_up_to_then(found: ReplayedFolder):
    earlier = START + dt.timedelta(hours=20)
    then, now = tables(found, as_of=earlier), tables(replay(sales_management(), lines(), earlier))
    assert_frame_equal(then.visits, now.visits)
    unknown = ("value", "currency", "last_event_at")
    assert_frame_equal(then.deals.drop(unknown), now.deals.drop(unknown))
    assert then.deals["value"].null_count() == then.deals.height
    with pytest.raises(ClockError, match="know nothing of"):
        tables(found, as_of=END + dt.timedelta(days=1))


def test_a_page_is_made_of_a_folder(found: ReplayedFolder):
    pytest.importorskip("altair")
    assert "Gestione" in page(found, language="it") or "order_confirmed" in page(found)


def test_a_replay_without_an_instant_has_no_tables(tmp_path: Path):
    shop = sales_management()
    for one in (replay(shop, lines()), replay(shop, lines(), buckets=2, into=tmp_path / "out")):
        with pytest.raises(DefinitionError, match="replay with until="):
            tables(one)
        with pytest.raises(DefinitionError, match="leave out believed_at"):
            tables(one, believed_at=END)


def test_a_folder_keeps_its_ladder(found: ReplayedFolder, tmp_path: Path):
    again = ReplayedFolder.open(found.path)
    assert again.ladder().fingerprint == sales_management().fingerprint
    assert_same(tables(again), tables(found))
    new = Stage("new")
    other: Any = Pipeline("vip", stages=[new], rules=[on("lead", into=new, opens=True)])
    with pytest.raises(PipelineChangedError, match="another definition"):
        ReplayedFolder.open(found.path, other)
    opens = on("cart.item_added", into=new, opens=True, when=lambda deal, event: True)
    vip = Pipeline("vip", stages=[new], rules=[opens])
    mine = replay(vip, lines(), END, buckets=2, into=tmp_path / "vip")
    assert tables(mine).deals.height == 40
    with pytest.raises(DefinitionError, match="the folder cannot keep it"):
        tables(ReplayedFolder.open(mine.path))
    assert_same(tables(ReplayedFolder.open(mine.path, vip)), tables(mine))
    assert isinstance(mine.moves, pl.LazyFrame)

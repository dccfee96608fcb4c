"""What-if of a replay's folder is that of a board that was told the same events."""

from __future__ import annotations

import datetime as dt
import shutil
import tempfile
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from ladderpipe import Board, Event, ManualClock, Pipeline, Stage, on
from ladderpipe.errors import ClockError, DefinitionError, StoreError
from ladderpipe.insight import WhatIf, replay, what_if
from ladderpipe.stores import MemoryStore
from ladderpipe.templates import sales_management
from tests.insight.test_buckets import lines
from tests.insight.test_bulk import ladders_and_deals

fewer = settings(max_examples=max(10, settings.default.max_examples // 8))  # type: ignore[union-attr]

START = dt.datetime(2026, 1, 5, 9, tzinfo=dt.UTC)
END = START + dt.timedelta(days=30)
TABLES = ("deals", "times", "outcomes", "stages", "rules", "reminders", "hooks")


def assert_same(found: WhatIf, expected: WhatIf) -> None:
    for name in TABLES:
        assert_frame_equal(getattr(found, name), getattr(expected, name))
    for name in ("as_of", "hands_refused", "with_baseline", "excluded"):
        assert getattr(found, name) == getattr(expected, name)
    assert sorted(map(str, found.problems)) == sorted(map(str, expected.problems))


@fewer
@given(ladders_and_deals(deals=3), st.integers(1, 5), st.integers(0, 200), st.data())
def test_a_folder_says_what_a_board_says(
    case: tuple[Pipeline, list[Event]], buckets: int, hours: int, data: st.DataObject
):
    pipeline, events = case
    told = [one for one in events if not one.type.startswith("ladder.")]
    until = max((one.at for one in told), default=START) + dt.timedelta(hours=hours)
    rules = [rule.key for rule in pipeline.rules]
    without = data.draw(st.sampled_from([None, *rules[1:]]))
    later = Stage("later")
    changed = pipeline.extended(
        stages=[later],
        rules=[on(told[0].type if told else "x", into=later)],
        without=[] if without is None else [without],
    )
    board = Board(pipeline, store=MemoryStore(), clock=ManualClock(until))
    board.handle_many(told, hold=True)
    with tempfile.TemporaryDirectory() as folder:
        twice = [*told, *told[:2]]
        found = replay(pipeline, twice, until, buckets=buckets, into=Path(folder) / "out")
        assert_same(what_if(found, changed), what_if(board, changed))


def test_what_is_refused(tmp_path: Path):
    shop = sales_management()
    endless = replay(shop, lines(), buckets=3, into=tmp_path / "endless")
    with pytest.raises(DefinitionError, match="with as_of="):
        what_if(endless, shop)
    found = replay(shop, lines(), END, buckets=3, into=tmp_path / "out")
    assert_same(what_if(endless, shop, as_of=END), what_if(found, shop))
    with pytest.raises(ClockError, match="knows nothing of"):
        what_if(found, shop, as_of=END + dt.timedelta(days=1))
    shutil.rmtree(found.path / "events")
    assert found.moves.select(pl.len()).collect().item() > 40
    with pytest.raises(StoreError, match="not all of its events"):
        what_if(found, shop)

"""The past replayed: what is compared, on what, and that nobody could have known more."""

from __future__ import annotations

import datetime as dt
from typing import Any, get_args

import attrs
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from ladderpipe import Stage, insight
from ladderpipe.insight.forecasting.methods import Method
from ladderpipe.insight.forecasting.period_ends import period_ends
from tests.insight.hazards import START, World
from tests.insight.lives import life, tables_of

METHODS = get_args(Method)


def backtest(tables: insight.Tables, **options: Any) -> insight.Backtest:
    asked = {"horizons": (15, 30), "minimum": 10, "draws": 40} | options
    return insight.backtest(tables, **asked)


@pytest.fixture(scope="module")
def replayed() -> insight.Backtest:
    return backtest(World(deals=300, days=330).lived(7))


@settings(max_examples=3)
@given(seed=st.integers(0, 1000), month=st.integers(4, 8))
def test_whatever_comes_after_a_month_end_changes_no_forecast_made_there(
    seed: int, month: int
) -> None:
    """Two worlds are the same up to an instant; then all that is open is lost in one of them."""
    tables = World(deals=120, days=300).lived(seed)
    then = dt.datetime(2025, month, 1, tzinfo=dt.UTC)
    known = tables.at(then)
    doomed = known.deals.filter(status="open").select("deal", "visit")
    lost = doomed.select(
        "deal",
        n=pl.col("visit") + 1,
        out_of=pl.lit("working"),
        into=pl.lit("lost"),
        at=pl.lit(then) + pl.duration(days=1),
    )
    moves = pl.concat([known.moves, lost], how="diagonal").sort("deal", "n")
    elsewise = attrs.evolve(tables, moves=moves, changes=known.changes).at(
        tables.as_of - dt.timedelta(microseconds=1)
    )
    one, other = (
        backtest(world, methods=("history", "base_rate", "naive_bayes"), minimum=1)
        for world in (tables, elsewise)
    )
    keys = ("at", "deal", "horizon_days", "method")
    for told in (
        lambda replayed: replayed.forecasts.drop("won").sort(keys),
        lambda replayed: replayed.money.table.drop("actual"),
    ):
        before, after = (told(replayed).filter(pl.col("at") < then) for replayed in (one, other))
        assert before.height > 0
        assert_frame_equal(before, after)


def test_every_method_is_scored_on_the_same_deals(replayed: insight.Backtest) -> None:
    scored = replayed.forecasts.group_by("method").agg(
        pl.struct("at", "deal", "horizon_days").sort()
    )
    assert scored.height == len(METHODS)
    first, *others = scored["at"].to_list()
    assert first
    assert all(other == first for other in others)
    windows = replayed.money.table.group_by("method").len()["len"]
    assert windows.n_unique() == 1


def test_what_is_scored_is_what_came(replayed: insight.Backtest) -> None:
    tables = World(deals=300, days=330).lived(7)
    row = replayed.forecasts.filter(horizon_days=30, method="history").row(-1, named=True)
    later = tables.at(row["at"] + dt.timedelta(days=30)).deals.filter(deal=row["deal"])
    assert (later["status"].item() == "won") == row["won"]
    money = replayed.money.table.filter(horizon_days=30, method="history").row(-1, named=True)
    then = tables.at(money["at"] + dt.timedelta(days=30)).deals
    open_then = tables.at(money["at"]).deals.filter(status="open").select("deal")
    came = then.filter(status="won").join(open_then, on="deal")["value"].sum()
    assert came == money["actual"]


def test_history_beats_what_knows_nothing_of_time(replayed: insight.Backtest) -> None:
    score = {
        row["method"]: row["brier"]
        for row in replayed.table.filter(horizon_days=30).iter_rows(named=True)
    }
    assert score["history"] < min(score["win_rate"], score["stage_probability"])


def test_a_ladder_without_probabilities_leaves_that_method_out() -> None:
    world = World(deals=200, days=250).lived(1)
    bare = tuple(Stage(stage.key, status=stage.status) for stage in world.stages)
    found = backtest(attrs.evolve(world, stages=bare))
    assert set(found.table["method"]) == {*METHODS} - {"stage_probability"}


def test_where_nothing_can_be_tested_a_note_says_so() -> None:
    found = backtest(tables_of([life("one", (0, "new"))], hours=24 * 40))
    assert found.table.is_empty()
    assert found.chart() is None
    assert any("too little history" in note["en"] for note in found.notes)


@pytest.mark.parametrize("language", ["en", "it"])
def test_its_reports_say_in_words_what_they_show(replayed: insight.Backtest, language: Any) -> None:
    for report in (replayed, replayed.calibration, replayed.money):
        assert list(report.columns) == report.table.columns
        assert report.definitions[language]
        assert "History" in str(report.printed("en")["Method"].to_list())
        drawn: Any = report.chart(language)
        assert drawn.to_dict()["config"]["background"] == "transparent"


def test_months_end_where_the_next_begins_in_the_shops_own_time() -> None:
    tables = World(deals=50, days=100).lived(1)
    instant = dt.timedelta(microseconds=1)
    months = [dt.datetime(2025, month, 1, tzinfo=dt.UTC) - instant for month in (2, 3, 4)]
    assert period_ends(tables, "month", "UTC") == months
    hour = dt.timedelta(hours=1)
    summer = [months[0] - hour, months[1] - hour, months[2] - 2 * hour]
    assert period_ends(tables, "month", "Europe/Rome") == summer
    weeks = period_ends(tables, "week", "UTC")
    assert {(end + instant).weekday() for end in weeks} == {0}
    assert weeks[0] > START

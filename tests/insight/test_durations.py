"""Time in stage: nobody who is still there is left out, and nothing is counted twice."""

from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings

from ladderpipe import insight
from ladderpipe.errors import DefinitionError
from tests.insight.lives import LADDER, Life, life, lives, tables_of

ALL = [stage.key for stage in LADDER]
STAYS = life("a", (0, "new"), (24, "working"), (48, "new"), (120, "working"))


def row(deals: list[Life], stage: str, hours: float = 240, **asked: Any) -> dict[str, Any]:
    table = insight.time_in_stage(tables_of(deals, hours=hours), **asked).table
    return table.row(by_predicate=pl.col("stage") == stage, named=True)


@settings(max_examples=50)
@given(deals=lives())
def test_time_in_stage_sums_to_the_age_of_the_deals(deals: list[Life]) -> None:
    tables = tables_of(deals)
    table = insight.time_in_stage(tables, stage=ALL, measure="cumulative").table
    ages = (pl.lit(tables.as_of) - pl.col("opened_at")).sum()
    age = tables.deals.select(ages.dt.total_microseconds()).item() / 86_400_000_000
    assert table["total_days"].sum() == pytest.approx(age, abs=1e-6)


@settings(max_examples=50)
@given(deals=lives())
def test_every_deal_that_was_in_a_stage_has_left_it_or_is_there(deals: list[Life]) -> None:
    tables = tables_of(deals)
    table = insight.time_in_stage(tables, stage=ALL).table
    assert (table["left"] + table["still_there"] == table["deals"]).all()
    assert table["still_there"].sum() == tables.deals.height


def test_the_latest_stay_and_all_stays_are_two_things() -> None:
    assert row([STAYS], "new")["median_days"] == 3
    assert row([STAYS], "new", measure="cumulative")["median_days"] == 4


def test_a_deal_that_is_still_there_makes_the_median_longer_than_that_of_those_who_left() -> None:
    quick = [life(f"quick-{n}", (0, "new"), (24 * n, "won")) for n in (1, 2, 3)]
    waiting = [life(f"waiting-{n}", (0, "new")) for n in (1, 2)]
    found = row(quick + waiting, "new")
    assert (found["median_days"], found["closed_only_median"]) == (3, 2)


def test_the_current_stay_is_that_of_the_deals_that_are_there_now() -> None:
    deals = [STAYS, life("b", (0, "working"), (12, "won"))]
    found = row(deals, "working", measure="current")
    assert (found["deals"], found["left"], found["median_days"]) == (1, 0, 5)


def test_a_stage_that_nobody_entered_has_no_figures() -> None:
    found = row([STAYS], "offer")
    assert (found["deals"], found["median_days"], found["total_days"]) == (0, None, 0)


def test_closed_stages_are_left_out_unless_asked_for() -> None:
    table = insight.time_in_stage(tables_of([STAYS])).table
    assert table["stage"].to_list() == ["new", "working", "offer", "gone"]


def test_the_curve_starts_at_one_and_stands_at_the_days_asked_for() -> None:
    quick = [life(f"quick-{n}", (0, "new"), (24 * n, "won")) for n in (1, 2, 3, 4)]
    report = insight.survival(tables_of(quick, hours=240), "new", every=dt.timedelta(days=1))
    assert report.table["days"].to_list() == [0, 1, 2, 3, 4]
    assert report.table["survival"].to_list() == pytest.approx([1, 0.75, 0.5, 0.25, 0])
    assert report.table["at_risk"].to_list() == [4, 4, 3, 2, 1]


def drawn(report: insight.Report) -> pl.DataFrame:
    """Return what the chart of a curve is drawn from."""
    chart: Any = report.chart()
    (rows,) = chart.to_dict()["datasets"].values()
    return pl.DataFrame(rows)


def test_a_curve_comes_down_where_deals_left_and_not_later() -> None:
    """48 of 100 leave after a second, the others within 100 days: 52 % are there after two."""
    quick = [life(f"quick-{n:02}", (0, "new"), (1 / 3600, "won")) for n in range(48)]
    slow = [life(f"slow-{n:02}", (0, "new"), (24 * 2 * (n + 1), "won")) for n in range(52)]
    report = insight.survival(tables_of(quick + slow, hours=24 * 110), "new")
    assert report.table.select("days", "survival").rows()[:3] == [
        (0.0, 1.0),
        (pytest.approx(1 / 86_400), pytest.approx(0.52)),
        (2.0, pytest.approx(0.51)),
    ]
    assert drawn(report)["survival"].to_list()[:3] == pytest.approx([1.0, 0.52, 0.51])
    assert drawn(report)["days_told"].to_list()[:3] == ["0 seconds", "1 second", "2 days"]


def test_the_chart_of_a_curve_by_weeks_draws_the_steps_all_the_same() -> None:
    deals = [life(f"d{n}", (0, "new"), (24 * n, "won")) for n in (1, 2, 3)]
    weekly = insight.survival(tables_of(deals), "new", every=dt.timedelta(days=7))
    assert weekly.table["days"].to_list() == [0, 7]
    assert drawn(weekly)["days"].to_list() == [0, 1, 2, 3]


def test_a_curve_of_any_length_has_few_rows() -> None:
    old = [life("a", (0, "new"), (24 * 3650, "won"))]
    report = insight.survival(tables_of(old, hours=24 * 3651), "new")
    assert report.table["days"].to_list() == [0, 3650]
    many = [life(f"d{n:04}", (0, "new"), (n + 1, "won")) for n in range(2_000)]
    assert insight.survival(tables_of(many, hours=2_001), "new").table.height < 105


@pytest.mark.parametrize(
    "asked",
    [{"stage": "nowhere"}, {"measure": "guess"}, {"confidence": 95}],
    ids=["stage", "measure", "confidence"],
)
def test_what_cannot_be_measured_is_refused(asked: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError, match=r"(?s).+: "):
        insight.time_in_stage(tables_of([STAYS]), **asked)


def test_steps_of_no_length_are_refused() -> None:
    with pytest.raises(DefinitionError, match="every="):
        insight.survival(tables_of([STAYS]), "new", every=dt.timedelta())

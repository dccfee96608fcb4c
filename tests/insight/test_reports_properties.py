"""What holds for every report, whatever the deals lived through."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import attrs
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from ladderpipe import insight
from ladderpipe.insight import Rates, Report, Tables
from tests.insight.lives import LADDER, START, Life, life, lives, tables_of

HOURS = 24 * 45
REMINDERS = {"mail": dt.timedelta(hours=24), "second mail": dt.timedelta(days=3)}
AROUND = (START, START + dt.timedelta(days=20))

REPORTS: dict[str, Callable[..., Report]] = {
    "summary": insight.summary,
    "summary by owner": lambda t, **k: insight.summary(t, by="owner", **k),
    "summary by status": lambda t, **k: insight.summary(t, by="status", **k),
    "funnel": insight.funnel,
    "funnel, climbs": lambda t, **k: insight.funnel(t, order="strict", entry="every", **k),
    "funnel, entries": lambda t, **k: insight.funnel(t, definition="entries", **k),
    "funnel, snapshot": lambda t, **k: insight.funnel(t, definition="snapshot", **k),
    "time in stage": insight.time_in_stage,
    "time in stage, current": lambda t, **k: insight.time_in_stage(t, measure="current", **k),
    "time in stage, in all": lambda t, **k: insight.time_in_stage(t, measure="cumulative", **k),
    "funnel by owner": lambda t, **k: insight.funnel(t, by="owner", **k),
    "time in stage by source": lambda t, **k: insight.time_in_stage(t, by="source", **k),
    "velocity by owner": lambda t, **k: insight.velocity(t, by="owner", **k),
    "bottlenecks by owner": lambda t, **k: insight.bottlenecks(t, by="owner", **k),
    "survival": lambda t, **k: insight.survival(t, "working", **k),
    "win rate": insight.win_rate,
    "win rate by owner": lambda t, **k: insight.win_rate(t, by="owner", **k),
    "win rate by month": lambda t, **k: insight.win_rate(t, by="month", zone="Europe/Rome", **k),
    "win rate by value": lambda t, **k: insight.win_rate(t, by="value_band", **k),
    "win rate of carts": lambda t, **k: insight.win_rate(t, abandoned_as_lost=True, **k),
    "loss reasons": insight.loss_reasons,
    "loss reasons by stage": lambda t, **k: insight.loss_reasons(t, by="lost_from", **k),
    "velocity": insight.velocity,
    "bottlenecks": insight.bottlenecks,
    "turning back": insight.turning_back,
    "timers": insight.timers,
    "recovery": lambda t, **k: insight.recovery(t, reminders=REMINDERS, **k),
    "stale": lambda t, **k: insight.stale(t, anchor="stage", after=dt.timedelta(days=3), **k),
    "stale deals": lambda t, **k: insight.stale_deals(t, anchor="opening", **k),
    "arrivals": insight.arrivals,
    "currencies": insight.currencies,
}
PRICED = (
    "summary",
    "summary by owner",
    "velocity",
    "velocity by owner",
    "bottlenecks",
    "stale",
    "stale deals",
    "loss reasons",
    "currencies",
)

every_report = pytest.mark.parametrize("name", REPORTS)


def same(one: pl.DataFrame, other: pl.DataFrame) -> None:
    assert_frame_equal(one, other, check_exact=False, rel_tol=1e-9, abs_tol=1e-9)


@every_report
@settings(max_examples=15)
@given(deals=lives(), hours=st.integers(0, HOURS))
def test_a_report_as_of_an_instant_is_the_report_of_the_history_cut_there(
    name: str, deals: list[Life], hours: int
) -> None:
    then = START + dt.timedelta(hours=hours)
    cut = tables_of(deals, hours=hours)
    looking_back = REPORTS[name](tables_of(deals, hours=HOURS), as_of=then)
    same(looking_back.table, REPORTS[name](cut).table)
    assert looking_back.notes == REPORTS[name](cut).notes
    assert looking_back.as_of == then


@every_report
@settings(max_examples=10)
@given(deals=lives(most=6))
def test_a_report_says_what_its_columns_mean_in_both_languages(
    name: str, deals: list[Life]
) -> None:
    report = REPORTS[name](tables_of(deals))
    assert list(report.columns) == report.table.columns
    texts = [*report.columns.values(), report.titles, report.definitions, *report.notes]
    for words in texts:
        assert words["en"].strip()
        assert words["it"].strip()
    assert report.definitions["en"] != report.definitions["it"]
    assert report.printed("it").columns == [words["it"] for words in report.columns.values()]


@pytest.fixture(scope="module")
def few() -> Tables:
    five = [
        life("a", (0, "new"), (30, "working"), (200, "offer"), (400, "won"), value=Decimal(1200)),
        life("b", (10, "new"), (80, "working"), (100, "new"), currency="EUR", value=Decimal(9)),
        life("c", (50, "new"), (98, "gone"), (150, "new"), currency="USD", value=Decimal(700)),
        life("d", (55, "new"), (700, "lost"), currency="EUR", loss_reason="price"),
        life("e", (60, "new"), (108, "gone"), owner="Ada", source="fair"),
    ]
    return tables_of([attrs.evolve(one, timers=frozenset([1])) for one in five])


@pytest.mark.parametrize("by", ["owner", "source"])
@pytest.mark.parametrize(
    "report", [insight.funnel, insight.time_in_stage, insight.velocity, insight.bottlenecks]
)
@settings(max_examples=15)
@given(deals=lives())
def test_a_report_by_groups_is_that_of_each_group_s_deals(
    report: Any, by: Any, deals: list[Life]
) -> None:
    tables = tables_of(deals)
    grouped = report(tables, by=by).table
    assert grouped.columns[0] == by
    names = {one.deal: _last(one, by) for one in deals}
    for group in set(names.values()):
        mine = grouped.filter(pl.col(by).eq_missing(pl.lit(group))).drop(by)
        alone = report(tables_of([one for one in deals if names[one.deal] == group])).table
        # Of all groups together, so that the groups can be compared.
        theirs = [column for column in alone.columns if column not in ("share", "days")]
        theirs = [column for column in theirs if column != "won_per_day"]
        kept = alone.filter(pl.col("deals") > 0) if report is insight.time_in_stage else alone
        keys = [column for column in theirs if alone.schema[column] == pl.String]
        same(mine.select(theirs).sort(keys), kept.select(theirs).sort(keys))


def _last(one: Life, what: str) -> str | None:
    return [changed.get(what) for _, changed in one.changes][-1]


@every_report
def test_a_chart_of_few_deals_is_valid_and_names_its_axes(name: str, few: Tables) -> None:
    chart: Any = REPORTS[name](few).chart("it")
    if chart is not None:
        drawn = chart.to_dict()
        assert json.dumps(drawn)
        assert drawn["config"]["background"] == "transparent"
        assert not list(_untitled(drawn))


@every_report
def test_without_deals_there_is_a_report_all_the_same(name: str) -> None:
    report = REPORTS[name](tables_of([]))
    chart: Any = report.chart()
    assert report.definition
    assert chart is None or chart.to_dict(validate=False)


def _untitled(part: Any) -> Any:
    """Yield the charts whose axis of amounts has no title; layers share their axes."""
    if not isinstance(part, dict):
        return
    if "vconcat" in part or "hconcat" in part:
        for inner in part.get("vconcat", []) + part.get("hconcat", []):
            yield from _untitled(inner)
        return
    layers = part.get("layer", [part])
    measured = [
        layer["encoding"]["x"]
        for layer in layers
        if layer["encoding"].get("x", {}).get("type") == "quantitative"
    ]
    if measured and not any("title" in json.dumps(x) for x in measured):
        yield part


def crowd(number: int) -> list[Life]:
    return [
        life(
            f"deal-{index:05}",
            (index % 700, "new"),
            (index % 700 + 30.5 + index % 11, LADDER[1 + index % 5].key),
            value=Decimal(index),
            currency="EUR",
            owner=f"Owner {index % 90}",
            source=f"Source {index % 30}",
            loss_reason=f"Reason {index % 40}",
        )
        for index in range(number)
    ]


@pytest.fixture(scope="module")
def many() -> Tables:
    return tables_of(crowd(3_000), hours=HOURS)


@every_report
def test_a_chart_of_many_deals_holds_few_rows(name: str, many: Tables) -> None:
    chart: Any = REPORTS[name](many).chart()
    if chart is not None:
        rows = chart.to_dict(validate=False).get("datasets", {})
        assert sum(len(dataset) for dataset in rows.values()) < 1_000


@pytest.mark.parametrize("name", PRICED)
@settings(max_examples=20)
@given(deals=lives())
def test_currencies_are_never_mixed(name: str, deals: list[Life]) -> None:
    """What a report says of one currency does not change when the others' deals go away."""
    whole = REPORTS[name](tables_of(deals, hours=HOURS)).table
    for code in ("EUR", "USD"):
        alone = [one for one in deals if _currency(one) == code]
        only = REPORTS[name](tables_of(alone, hours=HOURS)).table
        mine = whole.filter(pl.col("currency") == code)
        # The share of lost deals is of those in all currencies, and says so.
        shared = [column for column in mine.columns if column != "share"]
        keys = [column for column in shared if mine.schema[column] == pl.String]
        same(mine.select(shared).sort(keys), only.select(shared).sort(keys))


def _currency(one: Life) -> str | None:
    code: str | None = one.changes[0][1]["currency"]
    return code


RATES = Rates.of({("USD", START.date()): "0.5"}, into="EUR", max_age=dt.timedelta(days=99))


@pytest.mark.parametrize("name", PRICED)
@settings(max_examples=20)
@given(deals=lives())
def test_with_rates_a_report_is_that_of_deals_in_one_currency(name: str, deals: list[Life]) -> None:
    converted = REPORTS[name](tables_of(deals, hours=HOURS), rates=RATES).table
    exchanged = [_in_euro(one) for one in deals]
    theirs = REPORTS[name](tables_of(exchanged, hours=HOURS)).table
    if name == "currencies":
        converted = converted.group_by("currency").agg(
            pl.col("deals", "valued").sum(),
            # As in the report: unknown where there is no amount among them.
            pl.when(pl.col("value").count() > 0).then(pl.col("value").sum()).alias("value"),
        )
        converted = converted.sort("currency", nulls_last=True)
    same(converted.select(theirs.columns), theirs)


def _in_euro(one: Life) -> Life:
    def exchanged(details: dict[str, Any]) -> dict[str, Any]:
        if details.get("currency") != "USD":
            return details
        value = details.get("value")
        halved = value if value is None else value / 2
        return details | {"currency": "EUR", "value": halved}

    changes: Sequence[tuple[float, dict[str, Any]]] = one.changes
    return attrs.evolve(one, changes=tuple((at, exchanged(known)) for at, known in changes))

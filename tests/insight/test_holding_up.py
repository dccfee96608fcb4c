"""Summary, bottlenecks, turning back, timers, stale deals, arrivals: what lies where, and why."""

from __future__ import annotations

import datetime as dt
from decimal import Context, Decimal
from fractions import Fraction
from typing import Any

import attrs
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ladderpipe import insight
from ladderpipe.errors import DefinitionError
from ladderpipe.insight import Report, Tables
from ladderpipe.insight.frames.snapshot import lasting, standing
from ladderpipe.insight.reports.bottlenecks import value_days
from tests.insight.lives import LADDER, Life, after, life, lives, tables_of

DAY = 86_400_000_000
"""Microseconds."""

EUR = {"currency": "EUR"}
NEW = life("a", (0, "new"), (24, "working"), value=Decimal(100), **EUR)


def rows(report: Report, *columns: str) -> list[tuple[Any, ...]]:
    return report.table.select(columns).rows()


def test_the_weighted_value_is_value_times_the_stage_s_probability() -> None:
    summary = insight.summary(tables_of([NEW]))
    assert rows(summary, "stage", "deals", "weighted_value")[:2] == [
        ("new", 0, Decimal(0)),
        ("working", 1, Decimal(40)),
    ]


@settings(max_examples=40)
@given(deals=lives())
def test_every_deal_is_in_the_summary_once(deals: list[Life]) -> None:
    tables = tables_of(deals)
    for by in ("stage", "status", "owner", "source"):
        table = insight.summary(tables, by=by).table
        assert table["deals"].sum() == tables.deals.height
        assert table["value"].sum() == tables.deals["value"].sum()


def test_the_summary_compares_with_the_figures_of_then() -> None:
    summary = insight.summary(tables_of([NEW], hours=48), compared_with=dt.timedelta(hours=36))
    changes = rows(summary, "stage", "deals_before", "deals_change", "value_change")
    assert changes[:2] == [("new", 1, -1, Decimal(-100)), ("working", 0, 1, Decimal(100))]
    named = insight.summary(tables_of([NEW], hours=48), compared_with=after(12))
    assert named.table.equals(summary.table)


def test_value_days_are_the_area_under_the_value() -> None:
    grown = Life(
        "a",
        ((0, "new"), (48, "working"), (96, "won")),
        ((0, {"value": Decimal(100), **EUR}), (24, {"value": Decimal(300)})),
    )
    held = insight.bottlenecks(tables_of([grown]))
    assert rows(held, "stage", "visits", "deal_days", "value_days", "share") == [
        ("new", 1, 2.0, Decimal(400), 0.4),
        ("working", 1, 2.0, Decimal(600), 0.6),
    ]


@settings(max_examples=60)
@given(deals=lives())
def test_value_days_are_those_counted_hour_by_hour(deals: list[Life]) -> None:
    hours = 24 * 41
    found = {
        (stage, code): held
        for stage, code, held in value_days(tables_of(deals, hours=hours))
        .filter(pl.col("value_days") > 0)
        .select("stage", "currency", "value_days")
        .iter_rows()
    }
    counted: dict[tuple[str, str | None], Fraction] = {}
    for one in deals:
        for hour in range(hours):
            _count(counted, one, hour)
    assert found == {key: _written(held) for key, held in counted.items() if held}


def _written(exact: Fraction) -> Decimal:
    """Return it as amounts are written: ten decimal places, rounded half to even."""
    return Decimal(round(exact * 10**10)).scaleb(-10, Context(prec=60))


STAYS_OF_ANY_LENGTH = st.lists(
    st.tuples(
        st.one_of(
            st.decimals(0, 10**6, places=2),
            st.sampled_from([Decimal("0.0000000001"), Decimal(10) ** 17, Decimal(10**17) / 3]),
        ).map(lambda value: round(value, 10)),
        st.one_of(st.integers(1, 100_000), st.integers(1, 10 * 365 * DAY)),
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=60)
@given(stays=STAYS_OF_ANY_LENGTH)
def test_value_days_are_exact_for_any_amount_and_any_length(
    stays: list[tuple[Decimal, int]],
) -> None:
    deals = [
        life(f"d{n}", (0, "new"), (lasted / 3_600_000_000, "won"), value=value, **EUR)
        for n, (value, lasted) in enumerate(stays)
    ]
    tables = tables_of(deals, hours=24 * 365 * 11)
    held = tables.visits.filter(pl.col("stage") == "new").sort("deal")
    exact = [
        Fraction(value) * ((row["left_at"] - row["entered_at"]) // dt.timedelta(microseconds=1))
        for (value, _), row in zip(stays, held.to_dicts(), strict=True)
    ]
    (found,) = value_days(tables)["value_days"]
    assert found == _written(sum(exact, Fraction(0)) / DAY)


def test_what_lasts_a_moment_is_held_too() -> None:
    """A thousand deals of a million lie 0.04 seconds each: 462.962963 value-days."""
    moment = 0.04 / 3600
    deals = [
        life(f"d{n:04}", (n, "new"), (n + moment, "won"), value=Decimal(10**6), **EUR)
        for n in range(1000)
    ]
    (row,) = insight.bottlenecks(tables_of(deals)).table.to_dicts()
    assert float(row["value_days"]) == pytest.approx(1000 * 10**6 * 0.04 / 86400, abs=1e-9)


def _count(counted: dict[tuple[str, str | None], Fraction], one: Life, hour: int) -> None:
    stages = [stage for at, stage in one.stays if at <= hour]
    known: dict[str, Any] = {}
    for at, changed in one.changes:
        known = known | changed if at <= hour else known
    if stages and stages[-1] not in ("won", "lost"):
        key = (stages[-1], known.get("currency"))
        counted[key] = counted.get(key, Fraction(0)) + Fraction(known.get("value") or 0) / 24


@settings(max_examples=40)
@given(deals=lives())
def test_every_visit_of_an_open_stage_is_held_once(deals: list[Life]) -> None:
    tables = tables_of(deals)
    held = lasting(standing(tables).visits)
    expected = held.filter(~pl.col("stage").is_in(["won", "lost"])).height
    assert insight.bottlenecks(tables).table["visits"].sum() == expected


def test_only_steps_down_the_ladder_turn_back() -> None:
    wanderer = life(
        "a", (0, "new"), (1, "offer"), (2, "working"), (3, "gone"), (4, "new"), (5, "won"),
        (6, "offer"), (7, "lost"), (8, "new"),
    )  # fmt: skip
    assert rows(insight.turning_back(tables_of([wanderer])), "out_of", "into", "share") == [
        ("offer", "working", 0.5),
        ("won", "offer", 1.0),
    ]


@settings(max_examples=40)
@given(deals=lives())
def test_what_became_of_a_timer_s_deals_adds_up_to_how_often_it_fired(deals: list[Life]) -> None:
    tables = tables_of(deals)
    table = insight.timers(tables).table
    parts = ("open", "won", "abandoned", "lost", "still_there")
    assert (table.select(pl.sum_horizontal(parts)).to_series() == table["fired"]).all()
    fired = tables.moves.filter(pl.col("trigger") == "timer").height
    assert table["fired"].sum() == fired


def test_a_timer_s_deal_that_came_back_and_was_won_is_both() -> None:
    saved = attrs.evolve(
        life("a", (0, "new"), (48, "gone"), (60, "new"), (70, "won")), timers=frozenset([1])
    )
    assert rows(
        insight.timers(tables_of([saved])), "rule", "into", "fired", "open", "won_in_the_end"
    ) == [("timer-gone", "gone", 1, 1, 1)]


IDLE = Life(
    "idle",
    ((0, "new"), (24 * 10, "working")),
    ((0, {"value": Decimal(5), **EUR}), (24 * 25, {})),
)


@pytest.mark.parametrize(
    ("anchor", "days"), [("stage", 30.0), ("activity", 15.0), ("opening", 40.0)]
)
def test_idleness_counts_from_the_anchor(anchor: Any, days: float) -> None:
    report = insight.stale_deals(
        tables_of([IDLE], hours=24 * 40), anchor=anchor, after=dt.timedelta(days=1)
    )
    assert rows(report, "deal", "idle_days") == [("idle", days)]


def test_a_deal_is_stale_only_after_its_stage_s_own_time() -> None:
    tables = tables_of([IDLE], hours=24 * 40)
    for days, expected in ((30, 0), (29, 1)):
        patience = {"working": dt.timedelta(days=days)}
        report = insight.stale(tables, anchor="stage", after=patience)
        assert rows(report, "stage", "deals", "stale") == [("working", 1, expected)]


def test_closed_deals_never_go_stale() -> None:
    done = [life("a", (0, "won")), life("b", (0, "new"), (1, "lost"))]
    assert insight.stale_deals(tables_of(done)).table.is_empty()


def test_impatience_of_no_length_is_refused() -> None:
    with pytest.raises(DefinitionError, match="would call every deal stale"):
        insight.stale(tables_of([IDLE]), after=dt.timedelta())


@settings(max_examples=40)
@given(deals=lives())
def test_every_deal_arrives_once(deals: list[Life]) -> None:
    tables = tables_of(deals)
    for every in ("day", "week", "month", "quarter", "year"):
        assert insight.arrivals(tables, every=every).table["deals"].sum() == tables.deals.height


def test_arrivals_are_told_by_month_and_source() -> None:
    deals = [
        life("a", (0, "new"), source="fair"),
        life("b", (1, "new"), (2, "lost"), (24 * 30, "new"), source="fair"),
        life("c", (24 * 30, "new")),
    ]
    assert rows(insight.arrivals(tables_of(deals)), "start", "source", "deals") == [
        (dt.date(2026, 1, 1), "fair", 2),
        (dt.date(2026, 2, 1), None, 1),
    ]


def test_deals_without_a_date_are_left_out_and_told_of() -> None:
    tables = tables_of([NEW])
    undated = tables.deals.with_columns(
        deal=pl.lit("b"), opened_at=None, entered_at=None, last_event_at=None
    ).cast(pl.Schema(tables.deals.schema))
    with_both: Tables = attrs.evolve(tables, deals=pl.concat([tables.deals, undated]), undated=1)
    report = insight.arrivals(with_both)
    assert report.table["deals"].sum() == 1
    assert report.notes[0]["en"] == "1 deal has no date, and is left out."


def test_stages_stand_in_the_order_of_the_ladder() -> None:
    deals = [life(stage, (0, stage.key), **EUR) for stage in reversed(LADDER)]
    table = insight.summary(tables_of(deals)).table
    assert table["stage"].to_list() == [stage.key for stage in LADDER]

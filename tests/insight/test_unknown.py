"""Unknown is not zero: a deal that nobody told the value of is counted, and in no sum or mean."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings

from ladderpipe import Board, Event, ManualClock, insight
from ladderpipe.insight import Rates
from ladderpipe.templates import new_to_won
from tests.insight.lives import START, Life, life, lives, tables_of

EUR = {"currency": "EUR"}
KNOWN = life("a", (0, "new"), (240, "won"), value=Decimal(1000), **EUR)
UNKNOWN = life("b", (0, "new"), (240, "won"), **EUR)
LEAD = life("c", (24, "new"), **EUR)
NEITHER = life("d", (24, "lost"))
FREE = life("e", (24, "working"), value=Decimal(0), **EUR)
ALL = [KNOWN, UNKNOWN, LEAD, NEITHER, FREE]


def row(report: Any, **where: Any) -> dict[str, Any]:
    (found,) = report.table.filter(**where).to_dicts()
    return dict(found)


def test_sums_leave_out_what_is_not_known_and_say_how_much_is() -> None:
    report = insight.summary(tables_of(ALL))
    won = row(report, stage="won", currency="EUR")
    assert (won["deals"], won["valued"], won["value"]) == (2, 1, Decimal(1000))
    new = row(report, stage="new", currency="EUR")
    assert (new["deals"], new["valued"], new["value"], new["weighted_value"]) == (1, 0, None, None)
    free = row(report, stage="working", currency="EUR")
    assert (free["valued"], free["value"]) == (1, Decimal(0))
    empty = row(report, stage="offer", currency="EUR")
    assert (empty["deals"], empty["value"]) == (0, Decimal(0))
    assert report.notes[0]["en"].startswith("3 deals have no value")


def test_a_change_from_or_to_something_unknown_is_unknown() -> None:
    now = insight.summary(tables_of(ALL), compared_with=START + dt.timedelta(hours=12))
    new = row(now, stage="new", currency="EUR")
    # Then a and b were new, worth 1,000 and nobody knows what; now it is c, of unknown value.
    assert (new["value_before"], new["value"], new["value_change"]) == (Decimal(1000), None, None)
    assert (new["deals_before"], new["deals_change"]) == (2, -1)


def test_means_and_bands_are_of_the_known_ones() -> None:
    tables = tables_of(ALL)
    assert row(insight.velocity(tables), currency="EUR")["average_value"] == Decimal(1000)
    bands = insight.win_rate(tables, by="value_band").table.filter(pl.col("won") > 0)
    assert bands.select("value_band", "won").sort("value_band", nulls_last=True).rows() == [
        ("1,000 – 10,000", 1), (None, 1),
    ]  # fmt: skip


def test_value_that_lay_unknown_is_unknown_and_its_days_are_counted() -> None:
    only = tables_of([LEAD])
    (held,) = insight.bottlenecks(only).table.to_dicts()
    assert (held["visits"], held["value_days"], held["share"]) == (1, None, None)
    assert held["deal_days"] == 59.0


@pytest.mark.parametrize("history", [True, False])
def test_a_deal_without_amount_and_currency_stops_no_conversion(history: bool) -> None:
    dollars = life("z", (0, "won"), value=Decimal(10), currency="USD")
    rates = Rates.of({("EUR", START.date()): "2"}, into="USD", max_age=dt.timedelta(days=99))
    converted = insight.convert(tables_of([*ALL, dollars]), rates, history=history)
    found = {deal: money for deal, *money in converted.deals.select(
        "deal", "value", "currency"
    ).iter_rows()}  # fmt: skip
    assert found["a"] == [Decimal(2000), "USD"]
    assert found["d"] == [None, None]
    assert found["e"] == [Decimal(0), "USD"]
    strange = life("s", (0, "new"), value=Decimal(0))
    assert insight.convert(tables_of([strange]), rates).deals["value"].to_list() == [Decimal(0)]


@settings(max_examples=40, deadline=None)
@given(deals=lives())
def test_a_deal_of_unknown_value_changes_no_sum_and_no_mean(deals: list[Life]) -> None:
    """What the reports say of money is the same without it."""
    known = [one for one in deals if all(d.get("value") is not None for _, d in one.changes)]
    money = ("value", "average_value", "velocity")
    for report in (insight.summary, insight.currencies, insight.loss_reasons):
        with_all = _by_keys(report(tables_of([*known, LEAD, NEITHER])), money)
        without = _by_keys(report(tables_of(known)), money)
        for key, told in without.items():
            assert with_all[key] == told


def _by_keys(report: Any, money: tuple[str, ...]) -> dict[Any, Any]:
    table = report.table
    keys = [name for name in table.columns if table.schema[name] == pl.String]
    shown = [name for name in money if name in table.columns]
    return {
        tuple(one[key] for key in keys): [one[name] for name in shown]
        for one in table.to_dicts()
        if one.get("valued", 1)
    }


def test_a_board_says_the_same_as_an_export_of_it() -> None:
    """Two leads won, of one of which nobody ever told the value, and one that is open."""
    board = Board(new_to_won("en"), clock=ManualClock("2026-03-01T00:00Z"))
    for day, deal, kind, data in (
        ("01-05", "a", "lead.created", {"value": "1000", **EUR}),
        ("01-05", "b", "lead.created", EUR),
        ("01-06", "c", "lead.created", EUR),
        ("01-15", "a", "deal.won", {}),
        ("01-15", "b", "deal.won", {}),
    ):
        at = f"2026-{day}T09:00Z"
        board.handle(Event(kind, deal=deal, id=f"{deal}{kind}", at=at, data=data))
    tables = insight.tables(board)
    assert tables.deals["value"].to_list() == [Decimal(1000), None, None]
    won = row(insight.summary(tables), stage="won")
    assert (won["deals"], won["valued"], won["value"]) == (2, 1, Decimal(1000))
    assert row(insight.velocity(tables))["average_value"] == Decimal(1000)
    assert insight.summary(tables).notes[0]["en"].startswith("2 deals have no value")
    rates = Rates.of({("EUR", dt.date(2026, 1, 14)): "2", ("EUR", dt.date(2026, 2, 27)): "2"},
                     into="USD")  # fmt: skip
    converted = insight.convert(tables, rates, history=False)
    assert converted.deals["value"].to_list() == [Decimal(2000), None, None]

"""Conversion: the latest rate of the right day, on the row, or a clear refusal."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from ladderpipe import insight
from ladderpipe.insight import RateError, Rates
from tests.insight.lives import START, life, tables_of

DAY = START.date()
USD = life("a", (0, "new"), value=Decimal("100"), currency="USD")
EUR = life("b", (0, "new"), value=Decimal("7"), currency="EUR")


def on(days: int) -> dt.date:
    return DAY + dt.timedelta(days=days)


def test_the_rate_and_its_day_are_on_the_row() -> None:
    rates = {("USD", on(3)): "0.9", ("USD", on(8)): "0.8"}
    deals = insight.convert(tables_of([USD, EUR], hours=24 * 5), rates_for(rates)).deals
    columns = ("value", "currency", "value_was", "currency_was", "rate", "rate_on")
    assert deals.select(columns).rows() == [
        (Decimal(90), "EUR", Decimal(100), "USD", Decimal("0.9"), on(3)),
        (Decimal(7), "EUR", Decimal(7), "EUR", Decimal(1), on(5)),
    ]


def rates_for(rates: Any) -> Rates:
    return Rates.of({("USD", on(0)): 1, **rates}, into="EUR")


def test_a_closed_deal_keeps_the_rate_of_the_day_it_was_closed() -> None:
    won = life("a", (0, "new"), (24 * 3, "won"), value=Decimal("100"), currency="USD")
    rates = rates_for({("USD", on(3)): "0.9", ("USD", on(4)): "0.8"})
    assert insight.convert(tables_of([won]), rates).deals["value"].to_list() == [Decimal(90)]


def test_amounts_are_exact_up_to_ten_decimals() -> None:
    odd = life("a", (0, "new"), value=Decimal("0.10"), currency="USD")
    rates = {("USD", DAY): Decimal("0.1234567895")}
    converted = insight.convert(tables_of([odd], hours=1), rates)
    assert converted.deals["value"].to_list() == [Decimal("0.0123456790")]


def test_a_table_of_rates_does_as_well() -> None:
    frame = pl.DataFrame({"currency": ["USD"], "date": [DAY], "rate": [0.5]})
    converted = insight.convert(tables_of([USD], hours=1), frame, into="EUR")
    assert converted.deals["value"].to_list() == [Decimal(50)]


def test_a_missing_rate_names_the_currency_and_the_day() -> None:
    with pytest.raises(RateError, match=rf"no rate from USD into EUR for {on(2)}.*: add"):
        insight.convert(tables_of([USD], hours=50), {("CHF", DAY): "1.1"})


def test_a_rate_of_long_ago_is_no_rate() -> None:
    rates = {("USD", DAY): "0.9"}
    tables = tables_of([USD], hours=24 * 9)
    with pytest.raises(RateError, match="at most 7 days older"):
        insight.convert(tables, rates)
    assert insight.convert(tables, rates, max_age=dt.timedelta(days=9)).deals.height == 1


@pytest.mark.parametrize(
    "rates", [{("USD", DAY): "0"}, {("USD", DAY): "-1"}], ids=["zero", "negative"]
)
def test_a_rate_that_is_none_is_refused(rates: Any) -> None:
    with pytest.raises(RateError, match="is not above zero"):
        Rates.of(rates, into="EUR")


def test_two_rates_for_one_day_are_refused() -> None:
    frame = pl.DataFrame({"currency": ["USD", "USD"], "date": [DAY, DAY], "rate": [0.5, 0.6]})
    with pytest.raises(RateError, match="is given twice"):
        Rates.of(frame, into="EUR")


def test_without_rates_each_currency_has_its_own_row() -> None:
    table = insight.currencies(tables_of([USD, EUR])).table
    assert table.select("currency", "deals", "value").rows() == [
        ("EUR", 1, Decimal(7)),
        ("USD", 1, Decimal(100)),
    ]


def test_only_a_report_of_the_history_needs_the_rates_of_its_days() -> None:
    tables = tables_of([USD], hours=24 * 30)
    rates = Rates.of({("USD", on(30)): "0.9"}, into="EUR")
    assert insight.summary(tables, rates=rates).table["value"].sum() == Decimal(90)
    with pytest.raises(RateError, match=str(DAY)):
        insight.bottlenecks(tables, rates=rates)

"""Conversion of amounts into one currency, by a table of dated rates.

Nothing in the reports adds one currency to another. Whoever wants one total gives the rates, and
finds on every row which one was used.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

import attrs
import polars as pl

from ...errors import LadderError
from ...model.money import MOST_PLACES, currency_code
from .schema import INSTANT, MONEY
from .tables import Tables

__all__ = ["RateError", "Rates", "convert"]

RATE: Final = pl.Decimal(38, 10)
WEEK: Final = dt.timedelta(days=7)


class RateError(LadderError, LookupError):
    """A rate that a conversion needs and that the table of rates does not have."""


@attrs.frozen(eq=False)
class Rates:
    """What a unit of each currency is worth in one of them, by date.

    Attributes:
        table: columns ``currency``, ``date`` and ``rate``, sorted by both.
        into: the currency that amounts become.
        max_age: how much older than the day it is used on a rate may be. Central banks publish
            none at weekends and on holidays; a rate of last year says nothing about today.
    """

    table: pl.DataFrame
    into: str
    max_age: dt.timedelta = WEEK

    @classmethod
    def of(
        cls,
        rates: pl.DataFrame | Mapping[tuple[str, dt.date], Decimal | str | float],
        *,
        into: str,
        max_age: dt.timedelta = WEEK,
    ) -> Rates:
        """Build from a table with ``currency``, ``date``, ``rate``, or from a mapping.

        Args:
            rates: a rate is how much of *into* one unit of the currency is worth.
            into: a code of ISO 4217.

        Raises:
            RateError: a rate is not above zero, or there are two for one currency and date.
            InvalidEventError: a currency is no code of ISO 4217.
        """
        table = rates if isinstance(rates, pl.DataFrame) else _tabled(rates)
        table = table.select(
            pl.col("currency").cast(pl.String),
            pl.col("date").cast(pl.Date),
            pl.col("rate").cast(RATE),
        ).sort("currency", "date")
        for code in (into, *table["currency"].unique()):
            currency_code(code)
        _refuse_bad(table)
        return cls(table, into, max_age)


def _tabled(rates: Mapping[tuple[str, dt.date], Decimal | str | float]) -> pl.DataFrame:
    rows = [(currency, date, Decimal(str(rate))) for (currency, date), rate in rates.items()]
    return pl.DataFrame(
        rows, schema={"currency": pl.String, "date": pl.Date, "rate": RATE}, orient="row"
    )


def _refuse_bad(table: pl.DataFrame) -> None:
    wrong = table.filter(pl.col("rate").is_null() | (pl.col("rate") <= 0))
    twice = table.filter(pl.struct("currency", "date").is_duplicated())
    for rows, why in ((wrong, "is not above zero"), (twice, "is given twice")):
        if rows.height:
            currency, date, rate = rows.row(0)
            raise RateError(
                f"the rate {rate} for {currency} on {date} {why}: give one rate above zero "
                "for each currency and date"
            )


def convert(
    tables: Tables,
    rates: Rates | pl.DataFrame | Mapping[tuple[str, dt.date], Decimal | str | float],
    *,
    into: str = "EUR",
    max_age: dt.timedelta = WEEK,
    history: bool = True,
) -> Tables:
    """Return the tables with every amount in one currency.

    A deal's value is converted at the rate of the day it was closed, an open one's at that of
    ``as_of``; the rows of ``changes`` at that of their own day. The rate is the latest dated on or
    before that day. Amounts are rounded to six decimals. ``deals`` and ``changes`` gain
    ``value_was``, ``currency_was``, ``rate`` and ``rate_on`` (its date).

    Args:
        rates: a :class:`Rates`, or what :meth:`Rates.of` takes.
        into: and its ``max_age``: not used when *rates* is a :class:`Rates`.
        history: whether ``changes`` is converted, too, which needs a rate for every day on which
            a deal changed; otherwise it stays in the currencies it is in.

    Raises:
        RateError: there is no rate for a currency on a day, or the one there is is too old.
    """
    given = rates if isinstance(rates, Rates) else Rates.of(rates, into=into, max_age=max_age)
    closing = pl.coalesce("closed_at", pl.lit(tables.as_of, dtype=INSTANT))
    converted = attrs.evolve(tables, deals=_converted(tables.deals, closing, given))
    if not history:
        return converted
    return attrs.evolve(converted, changes=_converted(tables.changes, pl.col("at"), given))


def _converted(frame: pl.DataFrame, when: pl.Expr, rates: Rates) -> pl.DataFrame:
    dated = frame.with_columns(
        # Joining by date sorts the rows; the number takes them back into their order.
        row=pl.int_range(pl.len()),
        value_was="value",
        currency_was="currency",
        day=when.dt.date(),
    )
    own = pl.col("currency") == rates.into
    found = _with_rates(dated, rates).with_columns(
        rate=pl.when(own).then(pl.lit(Decimal(1), dtype=RATE)).otherwise("rate"),
        rate_on=pl.when(own).then("day").otherwise("rate_on"),
    )
    _refuse_missing(found, rates)
    priced = pl.col("value").is_not_null()
    return (
        found.with_columns(
            value=_times(pl.col("value"), pl.when(pl.col("value") == 0).then(0).otherwise("rate")),
            # No amount and no currency stays nothing: it was not converted into anything.
            currency=pl.when(pl.col("currency").is_null() & ~priced)
            .then(None)
            .otherwise(pl.lit(rates.into)),
        )
        .sort("row")
        .drop("row", "day")
    )


def _with_rates(dated: pl.DataFrame, rates: Rates) -> pl.DataFrame:
    known = rates.table.rename({"date": "rate_on"}).sort("rate_on")
    return dated.sort("day").join_asof(
        known,
        left_on="day",
        right_on="rate_on",
        by="currency",
        strategy="backward",
        tolerance=rates.max_age,
        coalesce=False,
        check_sortedness=False,
    )


def _times(value: pl.Expr, rate: pl.Expr) -> pl.Expr:
    # Polars multiplies decimals at the larger scale, which leaves too few digits for large sums.
    return (value * rate).round(MOST_PLACES).cast(MONEY)


def _refuse_missing(found: pl.DataFrame, rates: Rates) -> None:
    # Nothing is nothing in any currency.
    missing = found.filter(pl.col("rate").is_null() & (pl.col("value") != 0))
    if missing.height:
        currency, day = missing.select("currency", "day").row(0)
        raise RateError(
            f"there is no rate from {currency or 'no currency'} into {rates.into} for {day}, nor "
            f"one at most {rates.max_age.days} days older, which {missing.height} amounts need: "
            f"add ({currency!r}, {day}, rate) to the rates, or allow a greater max_age"
        )

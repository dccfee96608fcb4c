"""From a report's table to cells: what is printed, and what it is sorted by."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final, Protocol, TypeAlias

import attrs
import polars as pl
import polars.selectors as cs

from ...formats import Format
from ..words import NOTHING, TOLD, Labels, Words, called

__all__ = ["Cell", "Cells", "Column", "cells_of", "printable"]

MOST_ROWS: Final = 500
"""How many rows of a table stand on the page at most; the others are counted."""

WITHOUT_CENTS: Final = 100_000
"""From what amount on the money of a table is written without decimals."""

WIDE: Final = 8
"""More columns than that are hard to read at once."""

SHARES: Final = frozenset(
    ("share", "conversion", "from_first", "win_rate", "lower", "upper", "survival", "skill",
     "mean_probability", "won_share", "covered_80", "covered_95")
)  # fmt: skip
DURATIONS: Final = frozenset(
    ("after_days", "closed_only_mean", "closed_only_median", "cycle_days", "days", "idle_days",
     "longest_days", "median_days", "median_lower", "median_upper", "open_days", "q25_days",
     "q75_days", "q90_days")
)  # fmt: skip
"""Days of one deal, told in the unit that fits; deal-days of many are a unit of their own."""

NUMBERS: Final[Mapping[str, int | None]] = {
    "brier": 4, "quantity": None, "rate": 6, "value_days": 0, "wins": 1,
}  # fmt: skip
CURRENCY_OF: Final[Mapping[str, str]] = {"value_was": "currency_was"}

_IN_DAYS: Final = re.compile(r" \((days|giorni)\)$")
_UNPRINTABLE: Final = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control characters but the end of a line, and those that change the direction of writing."""

Row: TypeAlias = dict[str, Any]
Writer: TypeAlias = Callable[[Any, Row], str]


class Printed(Protocol):
    """What is printed: a report, as far as it is asked here."""

    @property
    def table(self) -> pl.DataFrame:
        """The figures."""

    @property
    def columns(self) -> Mapping[str, Words]:
        """What each column is called."""

    @property
    def labels(self) -> Labels:
        """What values are called."""


@attrs.frozen
class Column:
    """A column's heading, and whether it holds figures."""

    title: str
    is_number: bool


@attrs.frozen
class Cell:
    """What is printed, and the number it is sorted by: ``None`` for text and for nothing."""

    text: str
    key: float | None = None


@attrs.frozen
class Cells:
    """A table ready for print.

    Attributes:
        left_out: how many rows more the table has.
    """

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    left_out: int


def cells_of(report: Printed, form: Format) -> Cells:
    """Return the first rows of a report's table as they are printed in a language."""
    table = report.table.head(MOST_ROWS)
    names = called(table, report.labels, form.language)
    kept = _worth_a_column(report.table)
    digits = _digits(report.table)
    writers = {name: _writer(name, report.table[name].dtype, digits, form) for name in kept}
    columns = tuple(
        Column(_heading(name, report, form), _is_figure(table.schema[name])) for name in kept
    )
    rows = tuple(
        tuple(Cell(printable(writers[name](shown[name], raw)), _key(raw[name])) for name in kept)
        for raw, shown in zip(table.iter_rows(named=True), names.iter_rows(named=True), strict=True)
    )
    return Cells(columns, rows, report.table.height - table.height)


def told_amounts(table: pl.DataFrame, form: Format) -> pl.DataFrame:
    """Add ``<name>_told`` for each column of amounts: as they are printed, for charts."""
    names = [name for name, kind in table.schema.items() if kind.is_decimal()]
    amounts = [name for name in names if name not in NUMBERS]
    digits = _digits(table)
    rows = table.select(*amounts, pl.col("^currency.*$")).rows(named=True) if amounts else ()
    return table.with_columns(
        pl.Series(
            f"{name}{TOLD}",
            [_writer(name, table.schema[name], digits, form)(row[name], row) for row in rows],
            dtype=pl.String,
        )
        for name in amounts
    )


def _heading(name: str, report: Printed, form: Format) -> str:
    title = report.columns[name][form.language]
    # Each cell says its own unit.
    return _IN_DAYS.sub("", title) if _is_duration(name) else title


def _is_duration(name: str) -> bool:
    return name in DURATIONS or name.startswith("days_in_")


def _worth_a_column(table: pl.DataFrame) -> list[str]:
    """Return the columns of a table; of a wide one, those that hold anything."""
    if table.width <= WIDE:
        return table.columns
    return [name for name in table.columns if table[name].null_count() < table.height]


def printable(text: str) -> str:
    """Return *text* without what could hide or turn round what is read: it came from outside."""
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def _is_figure(kind: pl.DataType) -> bool:
    return kind.is_numeric() or kind.is_temporal()


def _key(value: Any) -> float | None:
    if isinstance(value, dt.datetime):
        return value.timestamp()
    if isinstance(value, dt.date):
        return float(value.toordinal())
    return float(value) if isinstance(value, int | float | Decimal) else None


def _digits(table: pl.DataFrame) -> int | None:
    """Return how many decimals the amounts of a table have; ``None`` for those of the currency.

    All its columns alike: one row never says €0 and €0.00.
    """
    money = table.select(cs.decimal() & cs.exclude(*NUMBERS))
    largest: Any = max((column.abs().max() or 0 for column in money), default=0)
    return 0 if largest >= WITHOUT_CENTS else None


def _writer(name: str, kind: pl.DataType, digits: int | None, form: Format) -> Writer:
    if name in NUMBERS:
        return lambda value, row: form.number(value, NUMBERS[name])
    if kind.is_decimal():
        by = CURRENCY_OF.get(name, "currency")
        return lambda value, row: form.money(value, row.get(by), digits)
    if _is_duration(name) and kind.is_float():
        return lambda value, row: form.duration(_lasted(value), brief=True)
    if kind.is_float():
        return lambda value, row: (form.share if name in SHARES else form.days)(value)
    if kind.is_integer():
        return lambda value, row: form.number(value)
    if kind == pl.Date:
        return lambda value, row: (form.month if name == "month" else form.day)(value)
    if kind.is_temporal():
        return lambda value, row: form.moment(value)
    return lambda value, row: NOTHING if value is None else str(value)


def _lasted(days: float | None) -> dt.timedelta | None:
    return None if days is None else dt.timedelta(days=days)

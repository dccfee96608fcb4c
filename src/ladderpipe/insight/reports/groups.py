"""What reports group deals by: a column as it is, a calendar month, a band of value."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import attrs
import polars as pl

from ...errors import DefinitionError
from ...formats import ENGLISH, ITALIAN, Format
from ..frames.schema import INSTANT, MONEY
from ..frames.tables import Tables
from ..words import Words, said

__all__ = [
    "By",
    "Every",
    "GroupedBy",
    "band_labels",
    "begin",
    "each_group",
    "grouped_by",
    "named",
]

By = Literal["owner", "source", "lost_from", "month", "value_band"]
Every = Literal["day", "week", "month", "quarter", "year"]

GroupedBy = Literal["owner", "source"]
"""What every report can be made for each of; a deal belongs where it says so at ``as_of``."""

FRAMES: Final = ("deals", "visits", "moves", "changes")

_TRUNCATED: Final = {"day": "1d", "week": "1w", "month": "1mo", "quarter": "1q", "year": "1y"}


def grouped_by(
    deals: pl.DataFrame,
    by: By | None,
    *,
    instant: str,
    zone: str = "UTC",
    bands: Sequence[int | Decimal | str] = (),
) -> tuple[list[str], pl.DataFrame]:
    """Return the columns to group by, and the deals with them.

    Args:
        instant: the column whose month is meant.
    """
    if by is None:
        return [], deals
    if by == "month":
        return ["month"], deals.with_columns(month=begin(pl.col(instant), "month", zone))
    if by == "value_band":
        return ["currency", "band", "value_band"], _banded(deals, _checked(bands))
    return [by], deals


def each_group(tables: Tables, by: GroupedBy | None) -> Iterator[tuple[str | None, Tables]]:
    """Yield the tables of each owner's (source's) deals, those without one last.

    Without deals, or where nothing is grouped by, they are one group.
    """
    if by is None or tables.deals.is_empty():
        yield None, tables
        return
    whose = tables.deals.select("deal", _group=by)

    def split(frame: pl.DataFrame) -> Mapping[tuple[object, ...], pl.DataFrame]:
        mine = frame.join(whose, on="deal", maintain_order="left")
        return mine.partition_by("_group", as_dict=True, include_key=False)

    parts = {name: split(getattr(tables, name)) for name in FRAMES}
    for group in whose["_group"].unique().sort(nulls_last=True):
        frames = {
            name: part.get((group,), getattr(tables, name).clear()) for name, part in parts.items()
        }
        yield group, attrs.evolve(tables, **frames)


def named(table: pl.DataFrame, by: GroupedBy | None, group: str | None) -> pl.DataFrame:
    """Return a group's rows with its name in front; as they are where nothing is grouped by."""
    if by is None:
        return table
    return table.select(pl.lit(group, dtype=pl.String).alias(by), pl.all())


def begin(instants: pl.Expr, every: Every, zone: str) -> pl.Expr:
    """Return the first day of each instant's month (week, …) in the calendar of a time zone.

    Raises:
        DefinitionError: there is no such zone.
    """
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        raise DefinitionError(
            f"{zone!r} is no time zone, so its months are not known: name one of the IANA "
            "database, for example 'Europe/Rome'"
        ) from None
    return instants.dt.convert_time_zone(zone).dt.date().dt.truncate(_TRUNCATED[every])


def running(tables: Tables, every: Every, zone: str) -> dt.date:
    """Return the first day of the month (week, …) that is not over at ``as_of``."""
    found: dt.date = (
        pl.select(begin(pl.lit(tables.as_of, dtype=INSTANT), every, zone)).to_series().item()
    )
    return found


def unfinished(tables: Tables, found: pl.Series, every: Every, zone: str) -> tuple[Words, ...]:
    """Return the note that the last month (week, …) of a table is not over; none if it is."""
    start = running(tables, every, zone)
    if start not in found.to_list():
        return ()
    told = {
        form.language: form.month(start) if every == "month" else form.day(start)
        for form in (ENGLISH, ITALIAN)
    }
    until = {
        form.language: attrs.evolve(form, zone=zone).moment(tables.as_of)
        for form in (ENGLISH, ITALIAN)
    }
    return (
        said(
            f"Not over yet: {told['en']}, with figures up to {until['en']}.",
            f"Non ancora finito: {told['it']}, con cifre fino al {until['it']}.",
        ),
    )


def _checked(bands: Sequence[int | Decimal | str]) -> list[Decimal]:
    limits = [Decimal(str(limit)) for limit in bands]
    if not limits or limits != sorted(set(limits)):
        raise DefinitionError(
            f"value bands that begin at {', '.join(map(str, limits)) or 'nothing'} do not ascend: "
            "give amounts from the smallest to the greatest"
        )
    return limits


def _banded(deals: pl.DataFrame, limits: list[Decimal]) -> pl.DataFrame:
    """Add the number of each deal's band and what it is called; null for no value."""
    above = [(pl.col("value") >= pl.lit(limit, dtype=MONEY)).cast(pl.Int64) for limit in limits]
    band = pl.sum_horizontal(above)
    known = deals.with_columns(band=pl.when(pl.col("value").is_not_null()).then(band))
    return known.with_columns(
        value_band=pl.col("band").replace_strict(
            dict(enumerate(_names(limits, ENGLISH))), default=None, return_dtype=pl.String
        )
    )


def _names(limits: list[Decimal], form: Format) -> list[str]:
    first, *_, last = written = [form.number(limit, digits=None) for limit in limits]
    return [f"< {first}", *(f"{low} – {high}" for low, high in pairwise(written)), f"≥ {last}"]


def band_labels(bands: Sequence[int | Decimal | str], found: pl.Series) -> dict[str, Words]:
    """Return what the bands that were found are called, in every language."""
    limits = _checked(bands)
    names = zip(_names(limits, ENGLISH), _names(limits, ITALIAN), strict=True)
    called = {english: said(english, italian) for english, italian in names}
    return {band: called[band] for band in found.drop_nulls().unique(maintain_order=True)}

"""The few figures a report opens with: what is open, what was won, how often, how soon."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from zoneinfo import ZoneInfo

import attrs
import polars as pl

from ..frames.tables import Tables
from ..reports.intervals import wilson
from ..reports.velocity import velocity
from ..reports.win_rate import decided, seldom_lost, win_rate

__all__ = ["Amount", "Headline", "Rate", "headline"]


@attrs.frozen
class Amount:
    """What deals of one currency come to; ``deals`` is ``None`` where it is not about deals."""

    currency: str | None
    value: Decimal | None
    deals: int | None = None


@attrs.frozen
class Rate:
    """A share of the decided deals with its interval; ``None`` where nothing is decided."""

    rate: float | None
    lower: float | None
    upper: float | None
    won: int
    closed: int


@attrs.frozen
class Headline:
    """The key figures, each currency for itself.

    Attributes:
        open: what is open.
        won_since: the first day of the calendar month that ``as_of`` lies in.
        won: what was won since then.
        conversion: won ÷ all that were opened.
        win_rate: won ÷ (won + lost).
        seldom_lost: whether so few losses are on record that the win rate is no rate of success.
        with_abandoned: the same with abandoned deals as lost; ``None`` if none is abandoned.
        cycle: median time from opening to winning.
        velocity: money per day, as expected of the open deals.
        won_per_day: what was really won per day, so far.
    """

    open: tuple[Amount, ...]
    won_since: dt.date
    won: tuple[Amount, ...]
    conversion: Rate
    win_rate: Rate
    seldom_lost: bool
    with_abandoned: Rate | None
    cycle: dt.timedelta | None
    velocity: tuple[Amount, ...]
    won_per_day: tuple[Amount, ...]


def headline(tables: Tables, zone: str = "UTC") -> Headline:
    """Return the key figures of tables whose amounts are in the currencies they shall be in."""
    now = tables.as_of.astimezone(ZoneInfo(zone))
    month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    won = tables.deals.filter(pl.col("status") == "won")
    money = velocity(tables).table
    some_abandoned = (tables.deals["status"] == "abandoned").any()
    return Headline(
        open=_amounts(tables.deals.filter(pl.col("status") == "open")),
        won_since=month.date(),
        won=_amounts(won.filter(pl.col("closed_at") >= month.astimezone(dt.UTC))),
        conversion=_conversion(tables),
        win_rate=_rate(tables, abandoned_as_lost=False),
        seldom_lost=bool(seldom_lost(tables, decided(tables))),
        with_abandoned=_rate(tables, abandoned_as_lost=True) if some_abandoned else None,
        cycle=_median_cycle(won),
        velocity=_velocities(money, "velocity"),
        won_per_day=_velocities(money, "won_per_day"),
    )


def _amounts(deals: pl.DataFrame) -> tuple[Amount, ...]:
    summed = deals.group_by("currency").agg(
        pl.when(pl.col("value").count() > 0).then(pl.col("value").sum()).alias("value"),
        pl.len().cast(pl.Int64).alias("deals"),
    )
    ordered = summed.sort("deals", "currency", descending=[True, False], nulls_last=True)
    return tuple(Amount(*row) for row in ordered.iter_rows())


def _rate(tables: Tables, *, abandoned_as_lost: bool) -> Rate:
    table = win_rate(tables, abandoned_as_lost=abandoned_as_lost).table
    columns = ("win_rate", "lower", "upper", "won", "closed")
    rows = table.select(columns).rows()
    return Rate(*rows[0]) if rows and rows[0][-1] else Rate(None, None, None, 0, 0)


def _conversion(tables: Tables) -> Rate:
    won, opened = int((tables.deals["status"] == "won").sum()), tables.deals.height
    if not opened:
        return Rate(None, None, None, 0, 0)
    counted = pl.DataFrame({"won": [won], "opened": [opened]})
    lower, upper = counted.select(wilson("won", "opened")).row(0)
    return Rate(won / opened, lower, upper, won, opened)


def _median_cycle(won: pl.DataFrame) -> dt.timedelta | None:
    lasted = (won["closed_at"] - won["opened_at"]).median()
    return lasted if isinstance(lasted, dt.timedelta) else None


def _velocities(table: pl.DataFrame, name: str) -> tuple[Amount, ...]:
    # Side by side on the page: what is not expected in a currency has no counterpart either.
    known = table.drop_nulls("velocity").select("currency", name)
    return tuple(Amount(*row) for row in known.iter_rows())

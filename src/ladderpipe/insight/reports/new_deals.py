"""How many deals come in, when and from where."""

from __future__ import annotations

import datetime as dt
import functools
from typing import Any, Final, get_args

import polars as pl

from ..frames.snapshot import Instant, Period, Source, checked_period, refuse_unknown, standing
from ..frames.tables import Tables
from ..optional import alt
from ..report import Report, Titles
from ..words import NOTHING, Language, Words, noted, said
from . import charts
from .groups import Every, begin, running, unfinished

__all__ = ["arrivals"]

MOST_SOURCES: Final = 7
STEPS: Final = {"day": "1d", "week": "1w", "month": "1mo", "quarter": "3mo", "year": "1y"}


def arrivals(
    source: Source,
    *,
    as_of: Instant | None = None,
    every: Every = "month",
    period: Period | None = None,
    zone: str = "UTC",
) -> Report:
    """Report how many deals were opened in each month, by the source they name.

    A deal counts in the month it was opened, once, whatever became of it; reopening it is no new
    arrival. Its source is what it says at ``as_of``.

    Args:
        every: another stretch of the calendar than the month.
        period: when the deals were opened; always when left out.
        zone: whose calendar it is.

    Raises:
        DefinitionError: the period holds no instant, or there is no such time zone.
        ClockError: the tables do not reach so far.
    """
    refuse_unknown("every", every, get_args(Every))
    tables = standing(source, as_of)
    start, end = checked_period(tables, period)
    dated = tables.deals.drop_nulls("opened_at").filter(
        pl.col("opened_at").is_between(start, end, closed="left")
    )
    table = (
        dated.with_columns(start=begin(pl.col("opened_at"), every, zone))
        .group_by("start", "source")
        .agg(pl.len().cast(pl.Int64).alias("deals"))
        .with_columns(share=pl.col("deals") / pl.col("deals").sum().over("start"))
        .sort("start", "deals", "source", descending=[False, True, False], nulls_last=True)
    )
    return Report(
        name="arrivals",
        titles=TITLES[every],
        definitions=DEFINITION,
        as_of=tables.as_of,
        table=table,
        labels={"source": {}},
        notes=(*unfinished(tables, table["start"], every, zone), *_undated(tables)),
        draw=functools.partial(_draw, every=every, running=running(tables, every, zone)),
    )


def _undated(tables: Tables) -> tuple[Words, ...]:
    return noted(
        tables.deals["opened_at"].null_count(),
        ("deal has no date, and is left out.", "deals have no date, and are left out."),
        ("trattativa non ha data, ed è esclusa.", "trattative non hanno data, e sono escluse."),
    )


def _draw(
    table: pl.DataFrame, titles: Titles, language: Language, *, every: Every, running: dt.date
) -> Any:
    by_size = (
        table.group_by("source")
        .agg(pl.col("deals").sum())
        .sort("deals", "source", descending=[True, False])["source"]
        .to_list()
    )
    named = by_size if len(by_size) <= MOST_SOURCES + 1 else by_size[:MOST_SOURCES]
    shown = (
        table.with_columns(
            source=pl.when(pl.col("source").is_in(named))
            .then("source")
            .otherwise(pl.lit(OTHERS[language]))
        )
        .group_by("start", "source")
        .agg(pl.col("deals").sum())
        .with_columns(until=pl.col("start").dt.offset_by(STEPS[every]))
        .sort("start", "source")
    )
    order = [*named, OTHERS[language]] if len(named) < len(by_size) else named
    colours = alt.Scale(domain=order, range=list(charts.SERIES[: len(order)]))
    piled = _piled(shown, order).with_columns(over=pl.col("start") < running)
    bars = (
        alt.Chart(piled)
        .mark_rect()
        .encode(
            x=charts.calendar("start", piled["start"], titles["start"], PATTERNS[every]),
            x2="until:T",
            y=alt.Y(
                "low:Q", axis=charts.number_axis(titles["deals"], piled["high"].max(), language)
            ),
            y2="high:Q",
            color=alt.Color("source:N", scale=colours, sort=order, title=titles["source"]),
            # The stretch that is not over is pale.
            opacity=alt.condition("datum.over", alt.value(1), alt.value(0.45)),
            tooltip=[
                alt.Tooltip("start:T", title=titles["start"], format="%d %b %Y"),
                *charts.hover(titles, "source", deals=","),
            ],
        )
        .properties(width=charts.WIDTH + 80, height=240)
    )
    return charts.themed(bars)


def _piled(shown: pl.DataFrame, order: list[str]) -> pl.DataFrame:
    """Pile the sources of each stretch upon one another, the largest at the bottom."""
    places = {name: place for place, name in enumerate(order)}
    lasts = pl.col("until") - pl.col("start")
    sorted_rows = shown.sort("start", pl.col("source").replace_strict(places))
    return sorted_rows.with_columns(high=pl.col("deals").cum_sum().over("start")).with_columns(
        low=pl.col("high") - pl.col("deals"),
        # A gap between the bars: months are not equally long, so Vega's own padding would drift.
        until=(pl.col("start").cast(pl.Datetime("ms")) + lasts * 0.92),
    )


PATTERNS: Final = {
    "day": "%d %b", "week": "%d %b", "month": "%b %Y", "quarter": "%b %Y", "year": "%Y",
}  # fmt: skip
OTHERS: Final = said("others", "altre")

TITLES: Final = {
    "day": said("New deals per day", "Nuove trattative al giorno"),
    "week": said("New deals per week", "Nuove trattative alla settimana"),
    "month": said("New deals per month", "Nuove trattative al mese"),
    "quarter": said("New deals per quarter", "Nuove trattative al trimestre"),
    "year": said("New deals per year", "Nuove trattative all'anno"),
}

DEFINITION: Final = said(
    "Deals by when they were opened and by the source they name at the instant of the report; "
    f"“{NOTHING}” names none. Each deal counts once; reopening is no new arrival. Share: of the "
    "deals of the same stretch of time.",
    "Trattative secondo quando sono state aperte e la provenienza indicata all'istante del "
    f"rapporto; “{NOTHING}” se manca. Ognuna conta una volta; riaprire non è un nuovo arrivo. "
    "Quota: delle trattative dello stesso tratto di tempo.",
)

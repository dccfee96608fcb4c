"""Deals that nothing has happened to for too long."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, Final, Literal

import polars as pl

from ...errors import DefinitionError
from ...formats import ENGLISH, ITALIAN
from ...model.stage import CLOSED
from ..frames.rates import Rates
from ..frames.schema import INSTANT
from ..frames.snapshot import (
    Instant,
    Source,
    chosen_stages,
    days,
    in_order,
    known_sum,
    refuse_unknown,
    stage_labels,
    standing,
    unvalued,
)
from ..frames.tables import Tables
from ..optional import alt
from ..report import Report, Titles
from ..words import Language, Words, said, titles_of
from . import charts

__all__ = ["stale", "stale_deals"]

Anchor = Literal["stage", "activity", "opening"]
Patience = dt.timedelta | Mapping[str, dt.timedelta]

_ANCHORS: Final = {"stage": "entered_at", "activity": "active_at", "opening": "opened_at"}
MONTH: Final = dt.timedelta(days=30)


def stale(
    source: Source,
    *,
    as_of: Instant | None = None,
    anchor: Anchor = "activity",
    after: Patience = MONTH,
    rates: Rates | None = None,
) -> Report:
    """Report, stage by stage, how many of the deals that are not closed have gone stale.

    Args:
        anchor: from when a deal's idleness counts: from entering its stage, from its last
            event that is activity (what corrects it is none), or from its opening.
        after: how long is too long; for every stage, or by stage (stages it does not name never
            go stale).

    Raises:
        DefinitionError: a duration is not above zero, or the ladder has no such stage.
        ClockError: the tables do not reach so far.
        RateError: a rate that is needed is missing.
    """
    tables = standing(source, as_of, rates)
    watched = _idle(tables, anchor, after)
    table = watched.group_by("stage", "currency").agg(
        pl.len().cast(pl.Int64).alias("deals"),
        pl.col("stale").sum().cast(pl.Int64),
        known_sum(pl.col("value").filter(pl.col("stale"))),
        pl.col("idle_days").filter(pl.col("stale")).median().alias("median_days"),
        pl.col("idle_days").filter(pl.col("stale")).max().alias("longest_days"),
    )
    table = in_order(table, tables, "stage", "currency").with_columns(
        share=pl.col("stale") / pl.col("deals")
    )
    return Report(
        name="stale",
        titles=said("Stale deals", "Trattative ferme"),
        definitions=_definition(anchor, after),
        as_of=tables.as_of,
        table=table,
        columns=titles_of(table, value=said("Value of the stale", "Valore delle ferme")),
        labels={"stage": stage_labels(tables), "currency": {}},
        notes=unvalued(watched.filter("stale")),
        draw=_draw,
    )


def stale_deals(
    source: Source,
    *,
    as_of: Instant | None = None,
    anchor: Anchor = "activity",
    after: Patience = MONTH,
    rates: Rates | None = None,
) -> Report:
    """List the deals that have gone stale, the most idle first.

    With *rates*, the rate that was used and the value before stand on each row. The arguments and
    errors are those of :func:`stale`.
    """
    tables = standing(source, as_of, rates)
    exchanged = [] if rates is None else ["value_was", "currency_was", "rate", "rate_on"]
    rotten = _idle(tables, anchor, after).filter("stale")
    table = rotten.sort("idle_days", "deal", descending=[True, False]).select(
        "deal",
        "title",
        "stage",
        "owner",
        "value",
        "currency",
        *exchanged,
        "idle_since",
        "idle_days",
    )
    return Report(
        name="stale_deals",
        titles=said("Stale deals, one by one", "Trattative ferme, una per una"),
        definitions=_definition(anchor, after),
        as_of=tables.as_of,
        table=table,
        labels={"stage": stage_labels(tables), "currency": {}, "owner": {}, "title": {}},
        notes=unvalued(table),
    )


def _idle(tables: Tables, anchor: Anchor, after: Patience) -> pl.DataFrame:
    """Return the deals that are not closed, with how long they have been idle."""
    refuse_unknown("anchor", anchor, _ANCHORS)
    limits = _limits(tables, after)
    known = ("last_event_at", "entered_at") if anchor == "activity" else ("entered_at",)
    since = pl.coalesce(_ANCHORS[anchor], *known)
    idle = (pl.lit(tables.as_of, dtype=INSTANT) - pl.col("idle_since")).dt.total_microseconds()
    too_long = pl.col("stage").replace_strict(limits, default=None, return_dtype=pl.Int64)
    return (
        tables.deals.filter(~pl.col("status").is_in(CLOSED))
        .with_columns(idle_since=since)
        .with_columns(idle_days=days(idle), stale=(idle > too_long).fill_null(False))
    )


def _limits(tables: Tables, after: Patience) -> dict[str, int]:
    if isinstance(after, dt.timedelta):
        limits = {stage.key: after for stage in tables.stages}
    else:
        keys = chosen_stages(tables, [str(key) for key in after])
        limits = dict(zip(keys, after.values(), strict=True))
    for key, limit in limits.items():
        if limit <= dt.timedelta():
            raise DefinitionError(
                f"after={limit} for {key!r} would call every deal stale: give more than nothing"
            )
    return {key: limit // dt.timedelta(microseconds=1) for key, limit in limits.items()}


def _draw(table: pl.DataFrame, titles: Titles, language: Language) -> Any:
    fresh, rotten = FRESH[language], titles["stale"]

    summed = table.group_by("stage", maintain_order=True).agg(pl.col("deals", "stale").sum())
    long = summed.with_columns(
        (pl.col("deals") - pl.col("stale")).alias(fresh), pl.col("stale").alias(rotten)
    ).unpivot([rotten, fresh], index=["stage", "deals"], variable_name="part", value_name="count")
    scale = alt.Scale(domain=[rotten, fresh], range=[charts.COLOURS["lost"], charts.PALE])
    bars = charts.bars(
        long,
        y=charts.listed("stage", summed["stage"], titles["stage"]),
        x=alt.X(
            "count:Q", axis=charts.number_axis(titles["deals"], summed["deals"].max(), language)
        ),
        color=alt.Color("part:N", scale=scale, sort=None, title=None),
        order=alt.Order("part:N", sort="descending" if rotten > fresh else "ascending"),
        tooltip=[
            alt.Tooltip("stage:N", title=titles["stage"]),
            alt.Tooltip("part:N", title=STATE[language]),
            alt.Tooltip("count:Q", title=titles["deals"], format=","),
        ],
    )
    return charts.themed(bars)


STATE: Final = said("State", "Stato")
FRESH: Final = said("Alive", "Vive")

_SINCE: Final = {
    "stage": said("since they entered their stage", "da quando sono entrate nella fase"),
    "activity": said("since their last event", "dal loro ultimo evento"),
    "opening": said("since they were opened", "dall'apertura"),
}


def _definition(anchor: Anchor, after: Patience) -> Words:
    if isinstance(after, dt.timedelta):
        en, it = ENGLISH.duration(after), ITALIAN.duration(after)
    else:
        en, it = "the time set for their stage", "il tempo fissato per la fase"
    since = _SINCE[anchor]
    return said(
        "Deals that are neither won nor lost at the instant of the report. Stale: those for which "
        f"more than {en} have passed {since['en']}. Median and longest: of the stale ones, in "
        "days. Value: of the stale ones, each currency for itself.",
        "Trattative né vinte né perse all'istante del rapporto. Ferme: quelle per cui sono "
        f"passati più di {it} {since['it']}. Mediana e massimo: delle ferme, in giorni. Valore: "
        "delle ferme, ogni valuta per sé.",
    )

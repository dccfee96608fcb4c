"""How much of what is decided is won, and why the rest is lost."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final, Literal

import polars as pl

from ...formats import ENGLISH, ITALIAN
from ..frames.rates import Rates
from ..frames.snapshot import (
    CLOSED,
    Instant,
    Period,
    Source,
    checked_confidence,
    checked_period,
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
from ..words import NOTHING, Language, Words, counted, noted, said
from . import charts
from .groups import By, band_labels, grouped_by, running, unfinished
from .intervals import wilson

__all__ = ["decided", "loss_reasons", "seldom_lost", "win_rate"]

SELDOM: Final = 0.05
"""Below what share of lost ones a win rate says more of the book-keeping than of the sales."""

BANDS: Final = (100, 1_000, 10_000, 100_000)


def win_rate(
    source: Source,
    *,
    as_of: Instant | None = None,
    by: Literal["owner", "source", "month", "value_band"] | None = None,
    period: Period | None = None,
    abandoned_as_lost: bool = False,
    bands: Sequence[int | Decimal | str] = BANDS,
    zone: str = "UTC",
    confidence: float = 0.95,
    rates: Rates | None = None,
) -> Report:
    """Report won ÷ (won + lost), with the interval of Wilson (1927).

    Args:
        by: what to group by; ``"month"`` is the month of the decision.
        period: when the deals were decided; always when left out.
        abandoned_as_lost: whether a deal that is abandoned now counts as lost, decided when it
            was abandoned. For carts, which nobody ever marks as lost, only this says much.
        bands: where value bands begin, for ``by="value_band"``; each currency for itself.
        zone: whose calendar months are.
        confidence: of the interval.
        rates: put the values into one currency before they are sorted into bands.

    Raises:
        DefinitionError: the period holds no instant, or the bands do not ascend.
        ClockError: the tables do not reach so far.
    """
    refuse_unknown("by", by, (None, "owner", "source", "month", "value_band"))
    tables = standing(source, as_of, rates)
    deals = decided(tables, period, abandoned_as_lost=abandoned_as_lost)
    keys, grouped = grouped_by(deals, by, instant="decided_at", zone=zone, bands=bands)
    won = pl.col("status") == "won"
    table = _in_full(
        grouped.group_by(keys) if keys else grouped.group_by(pl.lit(0).alias("all")),
        won,
    ).with_columns(wilson("won", "closed", checked_confidence(confidence)))
    if by in ("owner", "source"):
        table = table.sort("closed", by, descending=[True, False], nulls_last=True)
    else:
        table = table.sort(keys, nulls_last=True) if keys else table.drop("all")
    table = table.drop("band", strict=False)
    is_no_rate = seldom_lost(tables, deals)
    labels: dict[str, Any] = {key: {} for key in keys if table.schema.get(key) == pl.String}
    if by == "value_band":
        labels["value_band"] = band_labels(bands, table["value_band"])
    return Report(
        name="win_rate",
        titles=said("Win rate", "Tasso di vincita"),
        definitions=ABANDONED if abandoned_as_lost else DEFINITION,
        as_of=tables.as_of,
        table=table,
        labels=labels,
        notes=(
            *is_no_rate,
            *(unfinished(tables, table["month"], "month", zone) if by == "month" else ()),
            *_undecided(tables, abandoned_as_lost),
            *(unvalued(deals) if by == "value_band" else ()),
        ),
        # Bars at 100 % would be taken for a rate of success, whatever the note says.
        draw=None
        if is_no_rate or not deals.height
        else functools.partial(_draw, by=by, running=running(tables, "month", zone)),
    )


def decided(
    tables: Tables, period: Period | None = None, *, abandoned_as_lost: bool = False
) -> pl.DataFrame:
    """Return the deals that are won or lost now, by when they were: ``decided_at``.

    A deal that was reopened is open: it is not among them.
    """
    start, end = checked_period(tables, period)
    statuses = [*CLOSED, "abandoned"] if abandoned_as_lost else list(CLOSED)
    # Only deals abandoned now have no closing: they were decided when they were abandoned.
    when = pl.coalesce("closed_at", "entered_at")
    counted = pl.col("status").is_in(statuses)
    if period is not None:
        counted &= when.is_between(start, end, closed="left")
    return tables.deals.filter(counted).with_columns(decided_at=when)


def seldom_lost(tables: Tables, deals: pl.DataFrame) -> tuple[Words, ...]:
    """Return the note on a rate that says little because hardly any loss is on record.

    Where nobody marks a deal as lost, everything decided is won; the deals that were not won stay
    open for ever, and are not among the decided.

    Args:
        deals: the decided ones.
    """
    closed, everyone = deals.height, tables.deals.height
    lost = closed - int((deals["status"] == "won").sum())
    if not closed or closed == everyone or lost >= closed * SELDOM:
        return ()
    won = int((tables.deals["status"] == "won").sum())
    share = won / everyone
    return (
        said(
            f"Hardly any deal was ever marked as lost ({ENGLISH.number(lost)} of "
            f"{ENGLISH.number(closed)} decided), so this is no rate of success. Of all "
            f"{ENGLISH.number(everyone)} deals opened, {ENGLISH.number(won)} "
            f"({ENGLISH.share(share)}) are won.",
            f"Quasi nessuna trattativa è mai stata segnata come persa ({ITALIAN.number(lost)} su "
            f"{ITALIAN.number(closed)} decise): non è un tasso di successo. Di tutte le "
            f"{ITALIAN.number(everyone)} trattative aperte finora, {ITALIAN.number(won)} "
            f"({ITALIAN.share(share)}) sono vinte.",
        ),
    )


def _in_full(groups: Any, won: pl.Expr) -> pl.DataFrame:
    table: pl.DataFrame = groups.agg(
        won.sum().cast(pl.Int64).alias("won"),
        (~won).sum().cast(pl.Int64).alias("lost"),
        pl.len().cast(pl.Int64).alias("closed"),
    ).with_columns(win_rate=pl.when(pl.col("closed") > 0).then(pl.col("won") / pl.col("closed")))
    return table


def _undecided(tables: Tables, abandoned_as_lost: bool) -> list[Words]:
    left_out = ["open"] if abandoned_as_lost else ["open", "abandoned"]
    number = int(tables.deals["status"].is_in(left_out).sum())
    return [
        counted(
            number,
            (
                "deal is not decided yet, and left out.",
                "deals are not decided yet, and left out.",
            ),
            (
                "trattativa non è ancora decisa, ed è esclusa.",
                "trattative non sono ancora decise, e sono escluse.",
            ),
        )
    ]


def loss_reasons(
    source: Source,
    *,
    as_of: Instant | None = None,
    by: Literal["lost_from", "owner", "source", "month"] | None = None,
    period: Period | None = None,
    zone: str = "UTC",
    rates: Rates | None = None,
) -> Report:
    """Report why deals were lost: how many, which share of the lost ones, and what they were worth.

    Args:
        by: what to group by besides; ``"lost_from"`` is the stage a deal was lost in.
        period: when the deals were lost; always when left out.
        zone: whose calendar months are.

    Raises:
        DefinitionError: the period holds no instant.
        ClockError: the tables do not reach so far.
        RateError: a rate that is needed is missing.
    """
    refuse_unknown("by", by, (None, "lost_from", "owner", "source", "month"))
    tables = standing(source, as_of, rates)
    lost = decided(tables, period).filter(pl.col("status") == "lost")
    keys, grouped = grouped_by(lost, by, instant="decided_at", zone=zone)
    table = grouped.group_by(*keys, "loss_reason", "currency").agg(
        pl.len().cast(pl.Int64).alias("deals"), known_sum("value")
    )
    whole = pl.col("deals").sum().over(keys) if keys else pl.col("deals").sum()
    table = in_order(
        table.with_columns(share=pl.col("deals") / whole).sort(
            "deals", "loss_reason", "currency", descending=[True, False, False], nulls_last=True
        ),
        tables,
        *keys,
    )
    labels: dict[str, Any] = {"loss_reason": {}, "currency": {}}
    if by is not None and by != "month":
        labels[by] = stage_labels(tables) if by == "lost_from" else {}
    return Report(
        name="loss_reasons",
        titles=said("Loss reasons", "Motivi di perdita"),
        definitions=LOST,
        as_of=tables.as_of,
        table=table,
        labels=labels,
        notes=(*_unexplained(lost), *unvalued(lost)),
        draw=_draw_reasons,
    )


def _unexplained(lost: pl.DataFrame) -> tuple[Words, ...]:
    return noted(
        lost["loss_reason"].null_count(),
        ("lost deal says no reason.", "lost deals say no reason."),
        ("trattativa persa senza motivo.", "trattative perse senza motivo."),
    )


def _draw(
    table: pl.DataFrame, titles: Titles, language: Language, *, by: By | None, running: dt.date
) -> Any:
    column = by or "all"
    shown = table if by else table.with_columns(pl.lit(ALL[language]).alias("all"))
    if "currency" in shown.columns:
        shown = shown.with_columns(pl.format("{} {}", "value_band", "currency").alias("value_band"))
    if by in ("owner", "source"):
        shown = charts.crowded(shown, column, "closed")
    first = (
        alt.Tooltip("month:T", title=titles["month"], format="%b %Y")
        if by == "month"
        else alt.Tooltip(f"{column}:N", title=titles.get(column, ""))
    )
    tooltip = [
        first,
        *charts.hover(titles, won=",", closed=",", win_rate=".1%", lower=".1%", upper=".1%"),
    ]
    base = alt.Chart(shown)
    axis = charts.share_axis(titles["win_rate"])
    whole = alt.Scale(domain=[0, 1])
    if by == "month":
        x = charts.calendar("month", shown["month"], titles["month"])
        band = base.mark_area(color=charts.PALE).encode(
            x=x, y=alt.Y("lower:Q", axis=axis, scale=whole), y2="upper:Q"
        )
        line = base.mark_line(color=charts.MAIN).encode(x=x, y="win_rate:Q")
        # The month that is not over is hollow.
        points = (
            alt.Chart(shown.with_columns(over=pl.col("month") < running))
            .mark_point(color=charts.MAIN, size=60, opacity=1)
            .encode(
                x=x,
                y="win_rate:Q",
                fill=alt.condition("datum.over", alt.value(charts.MAIN), alt.value("transparent")),
                tooltip=tooltip,
            )
        )
        layers = alt.layer(band, line, points).properties(width=charts.WIDTH, height=220)
        return charts.themed(layers)
    y = charts.listed(column, shown[column], titles.get(column))
    rule = base.mark_rule(color=charts.PALE, strokeWidth=6, strokeCap="round").encode(
        y=y, x=alt.X("lower:Q", axis=axis, scale=whole), x2="upper:Q", tooltip=tooltip
    )
    point = base.mark_point(color=charts.MAIN, filled=True, size=80, opacity=1).encode(
        y=y, x="win_rate:Q", tooltip=tooltip
    )
    title = charts.parted(table, column, language) if by in ("owner", "source") else {}
    return charts.themed(charts.listing(alt.layer(rule, point)).properties(**title))


def _draw_reasons(table: pl.DataFrame, titles: Titles, language: Language) -> Any:
    summed = table.group_by("loss_reason").agg(pl.col("deals").sum())
    shown = charts.crowded(summed, "loss_reason", "deals").sort(
        "deals", "loss_reason", descending=[True, False]
    )
    bars = charts.bars(
        shown,
        charts.COLOURS["lost"],
        y=charts.listed("loss_reason", shown["loss_reason"], titles["loss_reason"]),
        x=alt.X(
            "deals:Q", axis=charts.number_axis(titles["deals"], shown["deals"].max(), language)
        ),
        tooltip=charts.hover(titles, "loss_reason", deals=","),
    )
    return charts.themed(bars.properties(**charts.parted(summed, "loss_reason", language)))


ALL: Final = said("all deals", "tutte")

DEFINITION: Final = said(
    "Win rate = won ÷ (won + lost), of the deals that are won or lost at the instant of the "
    "report and were decided in the period. A deal that was reopened is open again and is not "
    "counted; nor are open and abandoned ones. The interval is Wilson's (1927): it says how far "
    "chance alone could have moved the figure.",
    "Tasso di vincita = vinte ÷ (vinte + perse), fra le trattative che all'istante del rapporto "
    "sono vinte o perse e sono state decise nel periodo. Una trattativa riaperta è di nuovo "
    "aperta e non conta; non contano nemmeno le aperte e le abbandonate. L'intervallo è di Wilson "
    "(1927): dice di quanto il caso da solo può aver spostato la cifra.",
)

ABANDONED: Final = said(
    DEFINITION["en"].replace("; nor are open and abandoned ones", "; nor are open ones")
    + " Deals that are abandoned now count as lost.",
    DEFINITION["it"].replace("nemmeno le aperte e le abbandonate", "nemmeno le aperte")
    + " Le trattative ora abbandonate contano come perse.",
)

LOST: Final = said(
    "Deals that are lost at the instant of the report and were lost in the period, by the reason "
    f"given; “{NOTHING}” where none was. Share: of the lost deals of the group, in all "
    "currencies. Value: as it was when the deal was lost, each currency for itself.",
    "Trattative che all'istante del rapporto sono perse e lo sono diventate nel periodo, secondo "
    f"il motivo indicato; “{NOTHING}” se manca. Quota: delle trattative perse del gruppo, in "
    "tutte le valute. Valore: quello di quando la trattativa è stata persa, ogni valuta per sé.",
)

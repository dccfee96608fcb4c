"""How long deals stay in a stage, those that are still there included."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Sequence
from typing import Any, Final, Literal, get_args

import polars as pl

from ...errors import DefinitionError
from ..frames.schema import INSTANT
from ..frames.snapshot import (
    Instant,
    Source,
    checked_confidence,
    chosen_stages,
    days,
    in_order,
    ladder,
    lasting,
    numbered,
    refuse_unknown,
    stage_labels,
    standing,
)
from ..frames.tables import Tables
from ..report import Report
from ..words import said
from . import kaplan_meier
from .groups import GroupedBy as By
from .groups import each_group, named
from .time_in_stage_chart import draw_curve, draw_times

__all__ = ["survival", "time_in_stage"]

Measure = Literal["current", "latest", "cumulative"]

SHARES: Final = (0.25, 0.5, 0.75, 0.9)
POINTS: Final = 100
DRAWN: Final = 400
"""Into how many parts a curve of many steps is cut, as a table and as drawn."""


def time_in_stage(
    source: Source,
    *,
    as_of: Instant | None = None,
    stage: str | Sequence[str] | None = None,
    measure: Measure = "latest",
    by: By | None = None,
    confidence: float = 0.95,
) -> Report:
    """Report how many days deals stay in each stage, by Kaplan and Meier.

    A deal that is still in the stage has stayed *at least* so long: it is censored, neither left
    out nor taken as having left. Beside it stand the median and mean of the deals that left, which
    most tools show and which are too short: the deals that take longest are missing from them.

    Args:
        stage: one or several; those that are not closed when left out.
        measure: ``"latest"``: each deal's last stay in the stage; ``"cumulative"``: the sum of all
            its stays there; ``"current"``: how long the deals that are there now have been there
            (plain quantiles, since none of them has left).
        by: rows for each owner or source, by what the deals say at ``as_of``.
        confidence: of the interval around the median.

    Raises:
        DefinitionError: the ladder has no such stage, or an argument is out of range.
        ClockError: the tables do not reach so far.
    """
    refuse_unknown("measure", measure, get_args(Measure))
    refuse_unknown("by", by, (None, *get_args(By)))
    tables = standing(source, as_of)
    keys = _stages(tables, stage)
    estimate = _plain if measure == "current" else _estimated
    checked_confidence(confidence)
    table = pl.concat(
        named(in_order(_named(estimate(times, confidence), part, keys), part, "stage"), by, group)
        for group, part in each_group(tables, by)
        for times in (durations(part, measure, keys),)
    )
    # An owner has no row for a stage that none of theirs was ever in.
    table = table.filter(pl.col("deals") > 0) if by is not None else table
    return Report(
        name="time_in_stage",
        titles=said("Time in stage", "Tempo nella fase"),
        definitions=DEFINITIONS[measure],
        as_of=tables.as_of,
        table=table,
        labels={"stage": stage_labels(tables), **({} if by is None else {by: {}})},
        draw=functools.partial(draw_times, by=by),
    )


def durations(tables: Tables, measure: Measure, stages: Sequence[str]) -> pl.DataFrame:
    """Return how long each deal stayed in each stage: ``rung``, ``lasted`` (µs), ``left``."""
    rungs = {stage.key: rung for rung, stage in enumerate(tables.stages) if stage.key in stages}
    end = pl.coalesce("left_at", pl.lit(tables.as_of, dtype=INSTANT))
    stays = (
        numbered(lasting(tables.visits).select("deal", "stage", "entered_at", "left_at"))
        .select(
            "number",
            rung=pl.col("stage").replace_strict(rungs, default=None, return_dtype=pl.Int64),
            lasted=(end - pl.col("entered_at")).dt.total_microseconds(),
            left=pl.col("left_at").is_not_null(),
        )
        .drop_nulls("rung")
    )
    if measure == "current":
        return stays.filter(~pl.col("left")).drop("number")
    by_deal = stays.group_by("number", "rung")
    if measure == "latest":
        return by_deal.agg(pl.col("lasted", "left").last()).drop("number")
    return by_deal.agg(pl.col("lasted").sum(), pl.col("left").all()).drop("number")


def _stages(tables: Tables, stage: str | Sequence[str] | None) -> list[str]:
    if stage is None:
        return [rung.key for rung in tables.stages if not rung.is_closed]
    return chosen_stages(tables, stage if isinstance(stage, str) else list(stage))


def _counts() -> list[pl.Expr]:
    return [
        pl.len().cast(pl.Int64).alias("deals"),
        pl.col("left").sum().cast(pl.Int64),
        (~pl.col("left")).sum().cast(pl.Int64).alias("still_there"),
        days(pl.col("lasted").sum()).alias("total_days"),
        days(pl.col("lasted").max()).alias("longest_days"),
    ]


def _estimated(times: pl.DataFrame, confidence: float) -> pl.DataFrame:
    curves = kaplan_meier.curve(times, "rung", confidence=confidence)
    ended = pl.col("lasted").filter(pl.col("left"))
    seen = times.group_by("rung").agg(
        *_counts(),
        closed_only_median=days(ended.median()),
        closed_only_mean=days(ended.mean()),
    )
    median = [
        kaplan_meier.quantiles(curves, "rung", [0.5], bound).rename({"q50": f"median_{bound}"})
        for bound in ("lower", "upper")
    ]
    table = kaplan_meier.quantiles(curves, "rung", SHARES).rename({"q50": "median"})
    for further in median:
        table = table.join(further, on="rung", how="left")
    in_days = table.select(
        "rung",
        *(days(name).alias(f"{name}_days") for name in ("q25", "median", "q75", "q90")),
        *(days(f"median_{bound}").alias(f"median_{bound}") for bound in ("lower", "upper")),
    )
    return seen.join(in_days, on="rung")


def _plain(times: pl.DataFrame, confidence: float) -> pl.DataFrame:
    names = {0.25: "q25_days", 0.5: "median_days", 0.75: "q75_days", 0.9: "q90_days"}
    nothing = pl.lit(None, dtype=pl.Float64)
    return times.group_by("rung").agg(
        *_counts(),
        *(days(pl.col("lasted").quantile(share, "lower")).alias(names[share]) for share in SHARES),
        *(
            nothing.alias(name)
            for name in ("median_lower", "median_upper", "closed_only_median", "closed_only_mean")
        ),
    )


def _named(figures: pl.DataFrame, tables: Tables, keys: Sequence[str]) -> pl.DataFrame:
    every = ladder(tables).filter(pl.col("stage").is_in(list(keys))).select("stage", "rung")
    counts = pl.col("deals", "left", "still_there").fill_null(0)
    return (
        every.join(figures, on="rung", how="left")
        .with_columns(counts, pl.col("total_days").fill_null(0.0))
        .select(
            "stage", "deals", "left", "still_there", "median_days", "median_lower", "median_upper",
            "q25_days", "q75_days", "q90_days", "longest_days", "closed_only_median",
            "closed_only_mean", "total_days",
        )
    )  # fmt: skip


def survival(
    source: Source,
    stage: str,
    *,
    as_of: Instant | None = None,
    measure: Literal["latest", "cumulative"] = "latest",
    every: dt.timedelta | None = None,
    confidence: float = 0.95,
) -> Report:
    """Report which share of the deals is still in a stage after so many days: the whole curve.

    Args:
        stage: whose curve.
        measure: as for :func:`time_in_stage`.
        every: how far apart the rows are; when left out, the rows are the estimate's own steps,
            and where it has more than a hundred, those at which it passes a whole percent. The
            chart draws the steps either way.
        confidence: of the band at each row.

    Raises:
        DefinitionError: the ladder has no such stage, or an argument is out of range.
        ClockError: the tables do not reach so far.
    """
    refuse_unknown("measure", measure, ("latest", "cumulative"))
    tables = standing(source, as_of)
    (key,) = chosen_stages(tables, stage)
    times = durations(tables, measure, [key])
    curve = kaplan_meier.curve(times, "rung", confidence=checked_confidence(confidence))
    if every is None:
        rows = kaplan_meier.steps(curve, POINTS)
    else:
        rows = kaplan_meier.survival_at(curve, _instants(curve["lasted"].max(), every))
    table = rows.select(days("lasted").alias("days"), *_SHARES)
    title = stage_labels(tables)[key]
    return Report(
        name="survival",
        titles=said(f"Still in {title['en']} after", f"Ancora in {title['it']} dopo"),
        definitions=SURVIVAL,
        as_of=tables.as_of,
        table=table,
        draw=functools.partial(draw_curve, steps=kaplan_meier.steps(curve, DRAWN)),
    )


def _instants(longest: Any, every: dt.timedelta) -> pl.Series:
    if every <= dt.timedelta():
        raise DefinitionError(f"every={every} gives no rows: write how far apart they are")
    step = every // dt.timedelta(microseconds=1)
    return pl.Series(range(0, int(longest or 0) + step, step), dtype=pl.Int64)


_SHARES: Final = ("survival", "lower", "upper", "at_risk")

_CENSORED: Final = said(
    "Median and quantiles are Kaplan and Meier's: the first duration t at which S(t), the product "
    "over u ≤ t of 1 − left(u) ÷ still there(u), is down to the share; deals that are still in "
    "the stage count as censored. No figure: too many are still there to tell. “Ended only” "
    "leaves them out, as most tools do, and is too short. In the chart the bar goes from the "
    "duration by which a quarter has left to that by which three quarters have (or to the "
    "longest seen).",
    "Mediana e quantili sono di Kaplan e Meier: la prima durata t alla quale S(t), il prodotto "
    "per u ≤ t di 1 − uscite(u) ÷ presenti(u), scende alla quota; le trattative ancora nella fase "
    "valgono come censurate. Nessuna cifra: troppe sono ancora lì per dirlo. “Solo finite” le "
    "tralascia, come fanno quasi tutti gli strumenti, ed è troppo breve. Nel grafico la barra va "
    "dalla durata entro cui un quarto è uscito a quella entro cui lo sono tre quarti (o alla più "
    "lunga vista).",
)

DEFINITIONS: Final = {
    "latest": said(
        "For each deal that has been in the stage, how long its latest stay lasted. "
        + _CENSORED["en"],
        "Per ogni trattativa passata dalla fase, quanto è durata la sua ultima permanenza. "
        + _CENSORED["it"],
    ),
    "cumulative": said(
        "For each deal that has been in the stage, how long all its stays there lasted together. "
        + _CENSORED["en"],
        "Per ogni trattativa passata dalla fase, quanto sono durate in tutto le sue permanenze. "
        + _CENSORED["it"],
    ),
    "current": said(
        "For each deal that is in the stage now, how long it has been there so far; plain "
        "quantiles. None of these deals has left, so this says how old the stage's deals are and "
        "not how long it takes to get through.",
        "Per ogni trattativa che è ora nella fase, da quanto vi si trova; quantili semplici. "
        "Nessuna di queste è uscita: la cifra dice quanto sono vecchie le trattative della fase e "
        "non quanto ci vuole a passarla.",
    ),
}

SURVIVAL: Final = said(
    "The share of deals still in the stage so long after entering it (Kaplan and Meier), with "
    "deals that are still there counted as censored, and a confidence band (exponential "
    "Greenwood). Still followed: how many had been watched so long without leaving. The curve "
    "comes down where somebody left, and is level in between.",
    "La quota di trattative ancora nella fase tanto tempo dopo l'entrata (Kaplan e Meier), con "
    "quelle ancora lì contate come censurate, e una banda di confidenza (Greenwood esponenziale). "
    "Ancora osservate: quante lo erano da tanto senza essere uscite. La curva scende quando "
    "qualcuna esce, e nel mezzo è piana.",
)

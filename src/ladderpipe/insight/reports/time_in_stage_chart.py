"""Time in stage as pictures: the middle half of each stage's durations, and a stage's curve."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any, Final

import polars as pl

from ...formats import Format
from ..frames.snapshot import DAY
from ..optional import alt
from ..report import Titles
from ..words import Language, said
from . import charts

__all__ = ["draw_curve", "draw_times"]

MEASURED: Final = ("q25_days", "median_days", "q75_days", "closed_only_median")


def draw_times(
    table: pl.DataFrame, titles: Titles, language: Language, *, by: str | None = None
) -> Any:
    """Draw for each stage from when to when the middle half leaves, and the medians."""
    return charts.by_group(table, by, "deals", lambda rows: _times(rows, titles, language))


def _times(table: pl.DataFrame, titles: Titles, language: Language) -> Any:
    longest = max((v for name in MEASURED if (v := table[name].max()) is not None), default=0.0)
    factor, unit = charts.in_days(longest, language)
    shown = charts.durations_told(table, language, *MEASURED).with_columns(
        pl.col("^(.*_days|.*_lower|.*_upper|closed_only_(mean|median))$") * factor
    )
    # Where fewer than three quarters have left, the bar ends open: at the longest stay seen.
    shown = shown.with_columns(until=pl.coalesce("q75_days", "longest_days"))
    base = charts.listing(alt.Chart(shown))
    y = charts.listed("stage", table["stage"], titles["stage"])
    tooltip = [
        *charts.hover(titles, "stage", deals=",", still_there=","),
        *(alt.Tooltip(f"{name}_told:N", title=MARKS[name][language]) for name in MEASURED),
    ]
    names = [MARKS[name][language] for name in ("median_days", "closed_only_median")]
    colours = alt.Scale(domain=names, range=[charts.MAIN, charts.COLOURS["lost"]])
    shapes = alt.Scale(domain=names, range=["circle", "diamond"])

    def point(name: str) -> Any:
        named = base.properties(data=shown.with_columns(mark=pl.lit(MARKS[name][language])))
        return named.mark_point(size=90, filled=True, opacity=1).encode(
            y=y,
            x=f"{name}:Q",
            color=alt.Color("mark:N", scale=colours, title=None),
            shape=alt.Shape("mark:N", scale=shapes, title=None),
            tooltip=tooltip,
        )

    spread = base.mark_bar(color=charts.PALE, height={"band": 0.35}).encode(
        y=y,
        x=alt.X("q25_days:Q", axis=_plain_axis(unit, language), scale=alt.Scale(zero=True)),
        x2="until:Q",
        tooltip=tooltip,
    )
    return alt.layer(spread, point("closed_only_median"), point("median_days"))


def draw_curve(
    table: pl.DataFrame, titles: Titles, language: Language, *, steps: pl.DataFrame
) -> Any:
    """Draw the estimate by its own steps, each where it is and not where the next row is."""
    lasted = steps.with_columns(days=pl.col("lasted") / DAY)
    x, shown = _time_axis(charts.durations_told(lasted, language, "days"), language)
    share = charts.share_axis(titles["survival"])
    tooltip = [
        alt.Tooltip("days_told:N", title=titles["days"].split(" (")[0]),
        *charts.hover(titles, survival=".1%", lower=".1%", upper=".1%", at_risk=","),
    ]
    base = alt.Chart(shown).properties(width=charts.WIDTH, height=240)
    band = base.mark_area(color=charts.PALE, interpolate="step-after").encode(
        x=x, y=alt.Y("lower:Q", axis=share, scale=alt.Scale(domain=[0, 1])), y2="upper:Q"
    )
    line = base.mark_line(color=charts.MAIN, interpolate="step-after").encode(x=x, y="survival:Q")
    touch = base.mark_point(opacity=0, size=60).encode(x=x, y="survival:Q", tooltip=tooltip)
    return charts.themed(alt.layer(band, line, touch))


def _plain_axis(unit: str, language: Language) -> Any:
    return alt.Axis(title=f"{TIME[language]} ({unit})", tickCount=8, labelOverlap=True)


def _time_axis(steps: pl.DataFrame, language: Language) -> tuple[Any, pl.DataFrame]:
    """Return the horizontal axis and the steps in its unit.

    Where half have left in a small part of the longest time, even steps of time would press the
    curve against the edge: then the axis grows by factors, and its marks are named one by one.
    """
    longest = float(steps["days"].max() or 0)  # type: ignore[arg-type]
    half = steps.filter(pl.col("survival") <= 0.5)["days"]
    if half.is_empty() or not 0 < float(half[0]) < longest / WIDE:
        factor, unit = charts.in_days(longest, language)
        x = alt.X("days:Q", axis=_plain_axis(unit, language))
        return x, steps.with_columns(pl.col("days") * factor)
    seconds = steps.with_columns(days=pl.col("days") * 86_400)
    first = float(seconds.filter(pl.col("days") > 0)["days"].min())  # type: ignore[arg-type]
    # Nothing on such an axis is at 0: the curve begins a little before its first step.
    begin = pl.when(pl.col("days") > 0).then("days").otherwise(pl.lit(first / 2)).alias("days")
    marks = [mark for mark in MARKED if first / 2 <= mark <= longest * 86_400]
    form = Format(language)
    names = {mark: form.duration(dt.timedelta(seconds=mark), brief=True) for mark in marks}
    called = " : ".join(f"datum.value == {mark} ? {json.dumps(names[mark])}" for mark in marks)
    axis = alt.Axis(values=marks, labelExpr=f"{called} : ''" if marks else "''", labelOverlap=True)
    scale = alt.Scale(type="log", nice=False)
    return alt.X("days:Q", title=GROWING[language], axis=axis, scale=scale), seconds.with_columns(
        begin
    )


WIDE: Final = 25
MARKED: Final = (
    0.001, 0.01, 0.1, 1, 10, 60, 600, 3_600, 6 * 3_600, 86_400, 7 * 86_400, 30 * 86_400,
    365 * 86_400,
)  # fmt: skip
"""Seconds that are marked on an axis that grows by factors."""

GROWING: Final = said(
    "Time in stage (each mark several times the one before)",
    "Tempo nella fase (ogni tacca è più volte la precedente)",
)
TIME: Final = said("Time in stage", "Tempo nella fase")
MARKS: Final = {
    "median_days": said("median", "mediana"),
    "closed_only_median": said("median of those that left", "mediana di chi è uscito"),
    "q25_days": said("a quarter left by", "un quarto uscito entro"),
    "q75_days": said("three quarters left by", "tre quarti usciti entro"),
}

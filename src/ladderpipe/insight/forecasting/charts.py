"""How forecasts and what came of them are drawn."""

from __future__ import annotations

from typing import Any, Final

import polars as pl
import polars.selectors as cs

from ..optional import alt
from ..report import Titles
from ..reports import charts
from ..words import NOTHING, Language
from .words import COVERED

__all__ = ["ENDS", "draw_calibration", "draw_forecast", "draw_money", "draw_scores"]

ENDS: Final = ("lower_80", "upper_80", "lower_95", "upper_95")
_DAYS: Final = {"en": "days", "it": "giorni"}


def _shown(table: pl.DataFrame, language: Language) -> pl.DataFrame:
    """Return the table with amounts as plain numbers and ``within``: the horizon in words."""
    return table.with_columns(
        cs.decimal().cast(pl.Float64),
        within=pl.format("{} " + _DAYS[language], "horizon_days"),
    )


def _with_horizon(titles: Titles) -> Titles:
    return {**titles, "within": titles["horizon_days"]}


def draw_forecast(table: pl.DataFrame, titles: Titles, language: Language) -> Any:
    """Draw what is expected within each horizon, with both intervals and the weighted value."""
    titles = _with_horizon(titles)
    return charts.by_currency(
        _shown(table, language), lambda rows, code: _forecast(rows, code, titles, language)
    )


def _forecast(table: pl.DataFrame, code: str, titles: Titles, language: Language) -> Any:
    y = charts.listed("within", table["within"], None)
    money = titles["expected"] + ("" if code == NOTHING else f" ({code})")
    amounts = dict.fromkeys(("expected", *ENDS, "weighted_value"), charts.AMOUNT)
    tooltip = charts.hover(titles, "within", **amounts)
    names = [titles["weighted_value"], titles["expected"]]
    names += [COVERED[share][language] for share in (80, 95)]
    colours = [charts.COLOURS["abandoned"], charts.INK, charts.MAIN, charts.PALE]
    scale = alt.Scale(domain=names, range=colours)

    def layer(part: str) -> Any:
        return alt.Chart(table.with_columns(part=pl.lit(part))).encode(
            y=y, color=alt.Color("part:N", scale=scale, title=None), tooltip=tooltip
        )

    def bar(share: int, thick: float) -> Any:
        drawn = layer(COVERED[share][language]).mark_bar(height={"band": thick}, opacity=1)
        axis = charts.money_axis(money, language)
        lower = alt.X(f"lower_{share}:Q", axis=axis, scale=alt.Scale(zero=True))
        return drawn.encode(x=lower, x2=f"upper_{share}:Q")

    middle = layer(titles["expected"]).mark_tick(thickness=3, height={"band": 0.75}, opacity=1)
    weighted = layer(titles["weighted_value"]).mark_point(
        size=90, filled=True, opacity=1, shape="diamond"
    )
    layers = [bar(95, 0.5), bar(80, 0.28), middle.encode(x="expected:Q")]
    layers.append(weighted.encode(x="weighted_value:Q"))
    return alt.layer(*layers).properties(width=charts.WIDTH, height=alt.Step(charts.STEP * 1.4))


def _methods(table: pl.DataFrame, legend: alt.Legend | None) -> alt.Color:
    names = list(dict.fromkeys(table["method"].to_list()))
    scale = alt.Scale(domain=names, range=list(charts.SERIES[: len(names)]))
    return alt.Color("method:N", scale=scale, title=None, legend=legend)


def draw_scores(table: pl.DataFrame, titles: Titles, language: Language) -> Any:
    """Draw the Brier score of each method, horizon beside horizon."""
    titles = _with_horizon(titles)
    shown = _shown(table.unique(["method", "horizon_days"], maintain_order=True), language)
    chart = (
        alt.Chart(shown)
        .mark_bar()
        .encode(
            y=charts.listed("method", shown["method"], None),
            x=alt.X("brier:Q", title=titles["brier"], axis=alt.Axis(tickCount=5)),
            color=_methods(shown, None),
            tooltip=charts.hover(
                titles, "method", "within", brier=".4f", skill=".1%", forecasts=","
            ),
        )
        .properties(width=charts.WIDTH, height=alt.Step(charts.STEP * 0.8))
    )
    rows = alt.Row("within:N", sort=shown["within"].to_list(), title=None)
    return charts.themed(chart.facet(row=rows.header(labelAnchor="start", labelOrient="top")))


def draw_calibration(table: pl.DataFrame, titles: Titles, language: Language) -> Any:
    """Draw the share won against the probability given, a panel for each horizon."""
    shown = _shown(table, language)
    whole = alt.Scale(domain=[0, 1])
    x = alt.X("mean_probability:Q", axis=charts.share_axis(titles["mean_probability"]), scale=whole)
    y = alt.Y("won_share:Q", axis=charts.share_axis(titles["won_share"]), scale=whole)
    tooltip = charts.hover(
        titles,
        "method",
        mean_probability=".1%",
        won_share=".1%",
        lower=".1%",
        upper=".1%",
        forecasts=",",
    )

    def panel(within: str) -> Any:
        rows = shown.filter(within=within)
        base = alt.Chart(rows).encode(x=x, color=_methods(shown, alt.Legend()))
        diagonal = (
            alt.Chart(pl.DataFrame({"given": [0.0, 1.0]}))
            .mark_line(color=charts.INK, strokeDash=[4, 4], strokeWidth=1)
            .encode(x="given:Q", y="given:Q")
        )
        spread = base.mark_rule().encode(y=alt.Y("lower:Q", scale=whole), y2="upper:Q")
        line = base.mark_line(point=alt.OverlayMarkDef(size=45)).encode(y=y, tooltip=tooltip)
        return alt.layer(diagonal, spread, line).properties(width=240, height=240, title=within)

    panels = dict.fromkeys(shown["within"].to_list())
    return charts.themed(alt.hconcat(*(panel(within) for within in panels)))


def draw_money(table: pl.DataFrame, titles: Titles, language: Language) -> Any:
    """Draw what was expected at each month-end and what came, a panel for each horizon.

    Only of the first method: its intervals, over those of the others, could not be read.
    """
    shown = _shown(table.filter(pl.col("method") == table["method"][0]), language)
    return charts.by_currency(
        shown.with_columns(deals=pl.lit(1)),
        lambda rows, code: _money(rows, code, titles, language),
    )


def _money(table: pl.DataFrame, code: str, titles: Titles, language: Language) -> Any:
    money = titles["expected"] + ("" if code == NOTHING else f" ({code})")
    names = [
        titles["actual"],
        titles["expected"],
        *(COVERED[share][language] for share in (80, 95)),
    ]
    colours = [charts.COLOURS["lost"], charts.INK, charts.MAIN, charts.PALE]
    scale = alt.Scale(domain=names, range=colours)
    tooltip = [
        alt.Tooltip("at:T", title=titles["at"], format="%-d %b %Y"),
        *charts.hover(titles, **dict.fromkeys(("expected", "actual", *ENDS), charts.AMOUNT)),
    ]

    method = table["method"][0]

    def panel(within: str) -> Any:
        rows = table.filter(within=within)
        x = charts.calendar("at", rows["at"], titles["at"])

        def layer(part: str) -> Any:
            return alt.Chart(rows.with_columns(part=pl.lit(part))).encode(
                x=x, color=alt.Color("part:N", scale=scale, title=None), tooltip=tooltip
            )

        def bar(share: int, thick: int) -> Any:
            lower = alt.Y(f"lower_{share}:Q", axis=charts.money_axis(money, language))
            drawn = layer(COVERED[share][language]).mark_bar(size=thick, opacity=1)
            return drawn.encode(y=lower, y2=f"upper_{share}:Q")

        middle = (
            layer(titles["expected"])
            .mark_tick(thickness=3, size=18, opacity=1)
            .encode(y="expected:Q")
        )
        came = layer(titles["actual"]).mark_point(size=80, filled=True, opacity=1, shape="diamond")
        layers = (bar(95, 14), bar(80, 7), middle, came.encode(y="actual:Q"))
        return alt.layer(*layers).properties(
            width=charts.WIDTH, height=180, title=f"{method}: {within}"
        )

    panels = dict.fromkeys(table["within"].to_list())
    return alt.vconcat(*(panel(within) for within in panels))

"""Velocity's picture: its four factors and what they come to, beside what was really won."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

import polars as pl
import polars.selectors as cs

from ...formats import Format
from ..optional import alt
from ..report import Titles
from ..words import Language
from . import charts
from .velocity_words import A_DAY, SPEED, WON_PER_DAY

__all__ = ["draw_velocity"]

FIGURE: Final = 116
"""The width of a figure, in pixels."""


def draw_velocity(
    table: pl.DataFrame, titles: Titles, language: Language, *, by: str | None, cycle: str
) -> Any:
    """Draw the factors as figures; by groups, a bar for what is expected and one for what came."""
    shown = table.drop_nulls("velocity")
    if by is not None:
        return _by_group(shown, titles, language, by)
    form = Format(language)

    def panel(rows: pl.DataFrame, code: str) -> Any:
        per_day = f"({code} {A_DAY[language]})"
        row = rows.row(0, named=True)
        parts = [
            _figure([titles["deals"], " "], form.number(row["deals"])),
            _figure([titles["win_rate"], " "], form.share(row["win_rate"])),
            _figure([titles["average_value"], f"({code})"], form.short(row["average_value"])),
            _figure(
                [titles[cycle].split(" (")[0], " "], form.duration(dt.timedelta(days=row[cycle]))
            ),
            _figure([SPEED[language], per_day], form.short(row["velocity"]), charts.MAIN),
            _figure(
                [WON_PER_DAY[language].split(" (")[0], per_day], form.short(row["won_per_day"])
            ),
        ]
        return alt.hconcat(*parts, spacing=18)

    return charts.by_currency(shown, panel)


def _figure(title: list[str], text: str, colour: str = charts.INK) -> Any:
    return (
        alt.Chart(pl.DataFrame({"text": [text]}))
        .mark_text(
            fontSize=24 if len(text) < 9 else 16, color=colour, align="left", baseline="top",
            x=0, y=0,
        )
        .encode(text="text:N", tooltip=alt.Tooltip("text:N", title=" ".join(title).strip()))
        .properties(width=FIGURE, height=34, title=alt.TitleParams(title, fontSize=11))
    )  # fmt: skip


def _by_group(table: pl.DataFrame, titles: Titles, language: Language, by: str) -> Any:
    shown = charts.crowded(table, by, "deals").with_columns(cs.decimal().cast(pl.Float64))

    def panel(rows: pl.DataFrame, code: str) -> Any:
        tooltip = charts.hover(
            titles,
            by,
            deals=",",
            win_rate=".1%",
            velocity=charts.AMOUNT,
            won_per_day=charts.AMOUNT,
        )
        base = charts.listing(alt.Chart(rows), width=charts.WIDTH / 2)
        most: Any = rows.select(pl.max_horizontal(pl.col("velocity", "won_per_day").max())).item()
        same = alt.Scale(domain=[0, most or 1], nice=True)

        def bars(name: str, colour: str, y: Any) -> Any:
            title = f"{titles[name].split(' (')[0]} ({code})"
            return base.mark_bar(color=colour, height={"band": 0.7}).encode(
                y=y,
                x=alt.X(f"{name}:Q", axis=charts.money_axis(title, language), scale=same),
                tooltip=tooltip,
            )

        listed = charts.listed(by, rows[by], titles[by])
        bare = alt.Y(f"{by}:N", sort=rows[by].to_list(), axis=None)
        return alt.hconcat(
            bars("velocity", charts.MAIN, listed), bars("won_per_day", charts.INK, bare)
        )

    return charts.by_currency(shown, panel)

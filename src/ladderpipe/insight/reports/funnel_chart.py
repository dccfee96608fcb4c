"""The funnel's picture: a bar a step, parted by what became of those who entered it."""

from __future__ import annotations

from typing import Any, Final

import polars as pl

from ..optional import alt
from ..report import Titles
from ..words import OUTCOMES, Language, said
from . import charts

__all__ = ["draw_funnel"]

PARTS: Final = ("advanced", "won", "open", "turned_back", "abandoned", "lost")
BECAME: Final = said("What became of them", "Che ne è stato")


def draw_funnel(
    table: pl.DataFrame, titles: Titles, language: Language, *, by: str | None = None
) -> Any:
    """Draw the steps from the first down, each with its conversion at the end of the bar."""
    return charts.by_group(table, by, "entered", lambda rows: _steps(rows, titles, language))


def _steps(table: pl.DataFrame, titles: Titles, language: Language) -> Any:
    names = {part: OUTCOMES[part][language] for part in PARTS}
    bars = charts.parted_bars(table, titles, "stage", "entered", names, BECAME[language], language)
    texts = (
        alt.Chart(table.select("stage", "entered", "conversion"))
        .mark_text(align="left", dx=5)
        .encode(
            y=charts.listed("stage", table["stage"], titles["stage"]),
            x="entered:Q",
            text=alt.Text("conversion:Q", format=".0%"),
        )
        .transform_filter("isValid(datum.conversion) && datum.conversion > 0")
    )
    return charts.listing(alt.layer(bars, texts))

"""The funnel's picture: a bar a step, parted by what became of those who entered it."""

from __future__ import annotations

from typing import Any, Final

import polars as pl

from ..optional import alt
from ..report import Language
from ..words import OUTCOMES, said, titles_of
from . import charts

__all__ = ["draw_funnel"]

PARTS: Final = ("advanced", "won", "open", "turned_back", "abandoned", "lost")
BECAME: Final = said("What became of them", "Che ne è stato")


def draw_funnel(table: pl.DataFrame, language: Language) -> Any:
    """Draw the steps from the first down, each with its conversion at the end of the bar."""
    titles = {name: words[language] for name, words in titles_of(table).items()}
    names = {part: OUTCOMES[part][language] for part in PARTS}
    long = table.unpivot(
        list(PARTS), index=["stage", "entered"], variable_name="part", value_name="count"
    ).with_columns(
        place=pl.col("part").replace_strict({p: i for i, p in enumerate(PARTS)}),
        part=pl.col("part").replace(names),
    )
    y = charts.listed("stage", table["stage"], titles["stage"])
    most = table["entered"].max()
    bars = (
        alt.Chart(long.filter(pl.col("count") > 0))
        .mark_bar(height={"band": 0.7})
        .encode(
            y=y,
            x=alt.X("count:Q", axis=charts.number_axis(titles["entered"], most)),
            color=charts.outcome_colours(names, BECAME[language]),
            order="place:Q",
            tooltip=[
                alt.Tooltip("stage:N", title=titles["stage"]),
                alt.Tooltip("part:N", title=BECAME[language]),
                alt.Tooltip("count:Q", title=titles["entered"], format=","),
            ],
        )
    )
    texts = (
        alt.Chart(table.select("stage", "entered", "conversion"))
        .mark_text(align="left", dx=5)
        .encode(y=y, x="entered:Q", text=alt.Text("conversion:Q", format=".0%"))
        .transform_filter("isValid(datum.conversion) && datum.conversion > 0")
    )
    chart = alt.layer(bars, texts).properties(width=charts.WIDTH, height=alt.Step(charts.STEP))
    return charts.themed(chart)

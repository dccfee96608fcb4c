"""How reports are drawn: one look, readable on a light page and on a dark one.

Every chart is drawn from a few aggregated rows, never from deals, so it weighs the same for five
deals and for five hundred thousand.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

import polars as pl

from ...formats import Format
from ..optional import alt
from ..report import Titles
from ..words import NOTHING, TOLD, Language, Words, said

__all__ = [
    "AMOUNT",
    "COLOURS",
    "INK",
    "MAIN",
    "MOST_ROWS",
    "PALE",
    "bars",
    "by_currency",
    "by_group",
    "calendar",
    "crowded",
    "durations_told",
    "hover",
    "in_days",
    "listed",
    "listing",
    "money_axis",
    "number_axis",
    "parted",
    "parted_bars",
    "share_axis",
    "themed",
]

Chart: TypeAlias = "alt.TopLevelMixin"

INK: Final = "#7b8190"
"""Text and rules: it stands out enough from white and from black."""

MAIN: Final = "#2a9d8f"
PALE: Final = "#8fcfc6"
"""Bands and intervals; solid, since PNG of translucent fills on no background come out grey."""

COLOURS: Final[Mapping[str, str]] = {
    "still_there": "#8a8f98",
    "advanced": "#2a9d8f",
    "won": "#4c9f38",
    "came_back": "#2a9d8f",
    "open": "#7aa6d8",
    "away": "#7aa6d8",
    "turned_back": "#9b7fc7",
    "abandoned": "#e0a33a",
    "lost": "#d2603f",
    "overdue": "#d2603f",
    "due_soon": "#e0a33a",
    "due_later": "#7aa6d8",
}
"""What an outcome is drawn in, everywhere; told apart without red against green."""

AMOUNT: Final = "amount"

SERIES: Final = (
    "#2a9d8f", "#e0a33a", "#7aa6d8", "#9b7fc7", "#d2603f", "#4c9f38", "#c77fa5", "#8a8f98",
)  # fmt: skip

MOST_ROWS: Final = 20
CLOCK: Final = ("hours", "minutes", "seconds")
MOST_CURRENCIES: Final = 4
MOST_GROUPS: Final = 6
MOST_MARKS: Final = 8
WIDTH: Final = 420
STEP: Final = 28


def themed(chart: Any) -> Chart:
    """Return the chart in the look of all charts."""
    quiet = {"domainColor": INK, "tickColor": INK, "labelColor": INK, "titleColor": INK}
    themed: Chart = (
        chart.configure(background="transparent", font="system-ui, 'DejaVu Sans', sans-serif")
        .configure_view(stroke=None)
        .configure_axis(
            gridColor=INK, gridOpacity=0.18, labelLimit=180, titleFontWeight="normal", **quiet
        )
        .configure_axisLeft(
            titleAngle=0, titleAlign="left", titleAnchor="end", titleX=-34, titleY=-10
        )
        .configure_legend(labelColor=INK, titleColor=INK, orient="bottom", columns=6)
        .configure_title(color=INK, anchor="start", fontWeight="normal", subtitleColor=INK)
        .configure_header(labelColor=INK, titleColor=INK)
        .configure_text(color=INK)
        .configure_range(category=list(SERIES))
    )
    return themed


def by_currency(
    table: pl.DataFrame, draw: Callable[[pl.DataFrame, str], Any], *, size: str = "deals"
) -> Chart:
    """Draw a chart for each currency, one above the other: their amounts share no axis.

    Args:
        draw: from the rows of a currency and its name (``"–"`` for none) to a chart.
        size: by which the largest currencies come first.
    """
    sizes = table.group_by("currency").agg(pl.col(size).sum())
    kept = sizes.sort(size, "currency", descending=[True, False])["currency"].to_list()
    drawn = [
        # Null is a currency of its own here; plain equality would lose its rows.
        draw(table.filter(pl.col("currency").eq_missing(pl.lit(code))), code or NOTHING)
        for code in kept[:MOST_CURRENCIES]
    ]
    return themed(alt.vconcat(*drawn)) if len(drawn) != 1 else themed(drawn[0])


def by_group(
    table: pl.DataFrame, by: str | None, size: str, draw: Callable[[pl.DataFrame], Any]
) -> Chart:
    """Draw a chart for each of the largest groups, one above the other, each under its name.

    Args:
        by: the column of the groups; ``None`` for one chart of all rows.
        size: by which the largest groups come first.
    """
    if by is None:
        return themed(draw(table))
    largest = table.group_by(by).agg(pl.col(size).sum())
    names = largest.sort(size, by, descending=[True, False], nulls_last=True)[by][:MOST_GROUPS]
    return themed(
        alt.vconcat(
            *(
                draw(table.filter(pl.col(by).eq_missing(pl.lit(name)))).properties(
                    title=name or NOTHING
                )
                for name in names
            )
        )
    )


def crowded(table: pl.DataFrame, category: str, size: str) -> pl.DataFrame:
    """Return the rows of the largest categories, as many as can be read."""
    if table[category].n_unique() <= MOST_ROWS:
        return table
    # By name where they are as large, and in the order of the table: it shows the same ones.
    summed = table.group_by(category).agg(pl.col(size).sum())
    largest = summed.sort(size, category, descending=[True, False], nulls_last=True)[:MOST_ROWS]
    return table.join(
        largest.select(category), on=category, how="semi", nulls_equal=True, maintain_order="left"
    )


def parted(table: pl.DataFrame, category: str, language: Language) -> dict[str, Any]:
    """Return the title of a chart that draws some categories only: ``20 of 54``."""
    whole = table[category].n_unique()
    if whole <= MOST_ROWS:
        return {}
    form = Format(language)
    text = PARTED[language].format(shown=form.number(MOST_ROWS), whole=form.number(whole))
    return {"title": alt.TitleParams(text, fontSize=11, anchor="start")}


PARTED: Final = said("{shown} of {whole}, the largest", "{shown} di {whole}, le maggiori")


def in_days(longest: Any, language: Language) -> tuple[float, str]:
    """Return by what to multiply days, and the unit that suits the longest duration shown."""
    return next(
        (factor, unit[language])
        for least, factor, unit in _UNITS
        if (longest or 0.0) >= least / factor
    )


_UNITS: Final[tuple[tuple[float, float, Words], ...]] = (
    (2, 1, said("days", "giorni")),
    (2, 24, said("hours", "ore")),
    (2, 24 * 60, said("minutes", "minuti")),
    (0, 24 * 60 * 60, said("seconds", "secondi")),
)
"""From how many on a unit is used, how many make a day, and what it is called."""


def durations_told(table: pl.DataFrame, language: Language, *names: str) -> pl.DataFrame:
    """Add ``<name>_told``: each number of days as people say it, in the unit that fits it."""
    form = Format(language)
    return table.with_columns(
        pl.Series(
            f"{name}_told",
            [form.duration(None if d is None else dt.timedelta(days=d)) for d in table[name]],
            dtype=pl.String,
        )
        for name in names
    )


def hover(titles: Titles, *names: str, **figures: str) -> list[alt.Tooltip]:
    """Return what is shown beside the pointer: names, then figures, each by its format.

    ``AMOUNT`` as a format means an amount as the table tells it, with its currency.
    """
    return [
        *(alt.Tooltip(f"{name}:N", title=titles[name]) for name in names),
        *(
            alt.Tooltip(f"{name}{TOLD}:N", title=titles[name])
            if pattern == AMOUNT
            else alt.Tooltip(f"{name}:Q", title=titles[name], format=pattern)
            for name, pattern in figures.items()
        ),
    ]


def listing(chart: Any, *, width: float = WIDTH, tall: float = 1) -> Any:
    """Return the chart with a line of one height for each of its names, however many."""
    return chart.properties(width=width, height=alt.Step(STEP * tall))


def bars(table: pl.DataFrame, colour: str | None = None, **channels: Any) -> Any:
    """Return a bar for each row, one below the other."""
    mark: dict[str, Any] = {} if colour is None else {"color": colour}
    drawn = alt.Chart(table).mark_bar(height={"band": 0.7}, **mark).encode(**channels)
    return listing(drawn)


def parted_bars(
    table: pl.DataFrame,
    titles: Titles,
    category: str,
    whole: str,
    parts: Mapping[str, str],
    title: str,
    language: Language,
) -> Any:
    """Return a bar for each category, parted by what became of those in it.

    Args:
        whole: the column of what the parts add up to.
        parts: what the columns with the parts are called, in the order they are drawn.
        title: what the parts are.
    """
    places = {part: place for place, part in enumerate(parts)}
    long = table.unpivot(
        list(parts), index=[category, whole], variable_name="part", value_name="count"
    ).with_columns(
        place=pl.col("part").replace_strict(places), part=pl.col("part").replace(dict(parts))
    )
    return bars(
        long.filter(pl.col("count") > 0),
        y=listed(category, table[category], titles[category]),
        x=alt.X("count:Q", axis=number_axis(titles[whole], table[whole].max(), language)),
        color=outcome_colours(parts, title),
        order="place:Q",
        tooltip=hover(
            {**titles, "part": title, "count": titles[whole]}, category, "part", count=","
        ),
    )


def money_axis(title: str, language: Language) -> alt.Axis:
    """Return an axis of amounts: 1.2K, 3M; in Italian 1.200, 3 Mln."""
    return alt.Axis(title=title, labelExpr=_short(language), tickCount=5)


def number_axis(title: str, most: Any, language: Language) -> alt.Axis:
    """Return an axis of counts up to *most*, without halves."""
    ticks = max(1, min(5, most or 1))
    return alt.Axis(title=title, labelExpr=_short(language), tickMinStep=1, tickCount=ticks)


def _short(language: Language) -> str:
    """Return Vega's expression for a number in few letters; signs are its locale's."""
    told = "format(datum.value, ',~r')"
    for power, word in sorted(Format(language).short_words().items()):
        least = 10**power
        part = f"format(datum.value / {least}, ',.6~r') + '{word}'"
        # What is larger is asked first.
        told = f"abs(datum.value) >= {least} ? {part} : {told}"
    return told


def outcome_colours(names: Mapping[str, str], title: str) -> alt.Color:
    """Return the colours of outcomes, by what each is called; the legend lists them in order."""
    scale = alt.Scale(domain=list(names.values()), range=[COLOURS[name] for name in names])
    return alt.Color("part:N", scale=scale, sort=None, title=title)


def share_axis(title: str) -> alt.Axis:
    """Return an axis from 0 % to 100 %."""
    return alt.Axis(title=title, format="%", tickCount=5)


def calendar(column: str, begins: pl.Series, title: str, pattern: str = "%b %Y") -> alt.X:
    """Return a horizontal axis with a mark where months (or other stretches) begin."""
    days = sorted(set(begins.to_list()))
    marked = days[:: max(1, -(-len(days) // MOST_MARKS))]
    values = [
        alt.DateTime(
            year=day.year,
            month=day.month,
            date=day.day,
            # To the second: a mark before the first figure would lie outside the axis.
            **{part: getattr(day, part[:-1]) for part in CLOCK if isinstance(day, dt.datetime)},
            **({"utc": True} if isinstance(day, dt.datetime) and day.tzinfo else {}),
        )
        for day in marked
    ]
    axis = alt.Axis(values=values, format=pattern, labelOverlap=True, grid=False)
    return alt.X(f"{column}:T", title=title, axis=axis)


def listed(column: str, names: pl.Series, title: str | None) -> alt.Y:
    """Return a vertical axis that lists names in the order given, its title above them."""
    axis = alt.Axis(labelLimit=340, titleAlign="right", titleX=-8)
    order = list(dict.fromkeys(names.to_list()))
    return alt.Y(f"{column}:N", sort=order, title=title, axis=axis)

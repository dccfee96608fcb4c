"""A what-if for people: its tables as reports, and a chart of where deals spend their time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Final

import polars as pl

from ...model.stage import Stage
from ..optional import alt
from ..report import Drawing, Labels, Report, Titles, called
from ..reports import charts
from ..words import STATUSES, Language, Words, said, titles_of
from .words import COLUMNS, DEFINITIONS, TITLES

__all__ = ["reports_of"]

_HOUR: Final = 3_600_000_000
"""Microseconds."""


def reports_of(
    tables: Mapping[str, pl.DataFrame],
    stages: Sequence[Stage],
    as_of: dt.datetime,
    notes: tuple[Words, ...],
) -> tuple[Report, ...]:
    """Return the tables as reports, by their names; those without rows left out."""
    always = ("what_if_outcomes", "what_if_stages")
    labels = _labels(stages)
    closed = [stage.key for stage in stages if stage.is_closed]
    return tuple(
        Report(
            name=name,
            titles=TITLES[name],
            definitions=DEFINITIONS[name],
            as_of=as_of,
            table=shown,
            columns=titles_of(shown, **COLUMNS),
            labels=labels,
            notes=notes,
            draw=_drawing(shown.filter(~pl.col("stage").is_in(closed)), labels)
            if name == "what_if_stages"
            else None,
        )
        for name, shown in ((name, _in_hours(table)) for name, table in tables.items())
        if shown.height or name in always
    )


def _labels(stages: Sequence[Stage]) -> Labels:
    titles = {stage.key: said(stage.title_in("en"), stage.title_in("it")) for stage in stages}
    named = dict.fromkeys(("stage", "into", "stage_before", "stage_after"), titles)
    statuses = dict.fromkeys(("status_before", "status_after"), STATUSES)
    return {**named, **statuses, "trigger": _TRIGGERS, "direction": _DIRECTIONS}


_TRIGGERS: Final[dict[str, Words]] = {
    "event": said("event", "evento"),
    "timer": said("timer", "timer"),
    "hand": said("hand", "a mano"),
    "override": said("override", "forzatura"),
}
_DIRECTIONS: Final[dict[str, Words]] = {
    "into": said("into", "in entrata"),
    "out_of": said("out of", "in uscita"),
}


def _in_hours(table: pl.DataFrame) -> pl.DataFrame:
    """Return the table with durations as hours, for people."""
    columns = [name for name in table.columns if table.schema[name] == pl.Duration]
    return table.with_columns(
        pl.col(name).dt.total_microseconds() / _HOUR for name in columns
    ).rename(
        {
            name: f"{name}_hours" if name == "after" else name.replace("time", "hours", 1)
            for name in columns
        }
    )


def _drawing(open_stages: pl.DataFrame, labels: Labels) -> Drawing | None:
    """Return what draws the stages that are not closed: time in won or lost says nothing."""
    # A ladder of closed stages only has no time to show.
    if open_stages.is_empty():
        return None
    return lambda _, titles, language: _draw(
        called(open_stages, labels, language), titles, language
    )


def _draw(table: pl.DataFrame, titles: Titles, language: Language) -> Any:
    sides = {"hours_before": _SIDES["before"][language], "hours_after": _SIDES["after"][language]}
    factor, unit = charts.in_days(_longest(table) / 24, language)
    long = (
        table.rename(sides)
        .unpivot(list(sides.values()), index="stage", variable_name="side", value_name="hours")
        .with_columns(time=pl.col("hours") / 24 * factor)
    )
    bars = (
        alt.Chart(long)
        .mark_bar()
        .encode(
            y=charts.listed("stage", table["stage"], titles["stage"]),
            yOffset=alt.YOffset("side:N", sort=list(sides.values())),
            x=alt.X("time:Q", axis=alt.Axis(title=f"{_TIME[language]} ({unit})", format="~s")),
            color=alt.Color(
                "side:N",
                sort=None,
                title=None,
                scale=alt.Scale(
                    domain=list(sides.values()), range=[charts.COLOURS["still_there"], charts.MAIN]
                ),
            ),
            tooltip=[
                alt.Tooltip("stage:N", title=titles["stage"]),
                alt.Tooltip("side:N", title=" "),
                alt.Tooltip("time:Q", title=f"{_TIME[language]} ({unit})", format=",.1f"),
            ],
        )
        .properties(width=charts.WIDTH, height=alt.Step(charts.STEP / 2))
    )
    return charts.themed(bars)


def _longest(table: pl.DataFrame) -> float:
    longest = table.select(pl.max_horizontal("hours_before", "hours_after").max()).item()
    return float(longest or 0.0)


_SIDES: Final = {"before": said("before", "prima"), "after": said("after", "dopo")}
_TIME: Final = said("Time in stage, all deals", "Tempo nella fase, tutte le trattative")

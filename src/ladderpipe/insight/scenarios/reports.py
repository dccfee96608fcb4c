"""A what-if for people: its tables as reports, and a chart of where deals spend their time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import polars as pl

from ..report import Language, Report, Words, called
from ..words import STATUSES, said, titles_of
from .words import COLUMNS, DEFINITIONS, TITLES

if TYPE_CHECKING:
    from .what_if import WhatIf

__all__ = ["reports_of"]

_HOUR: Final = 3_600_000_000
"""Microseconds."""


def reports_of(found: WhatIf) -> tuple[Report, ...]:
    """Return the tables as reports, those without rows left out."""
    tables = {
        "what_if_outcomes": found.outcomes,
        "what_if_stages": _in_hours(found.stages, "time", "hours"),
        "what_if_rules": found.rules,
        "what_if_reminders": _in_hours(found.reminders, "after", "after_hours"),
        "what_if_hooks": found.hooks,
        "what_if_deals": found.different,
    }
    always = ("what_if_outcomes", "what_if_stages")
    return tuple(
        _report(found, name, table)
        for name, table in tables.items()
        if table.height or name in always
    )


def _report(found: WhatIf, name: str, table: pl.DataFrame) -> Report:
    labels = _labels(found)
    titles = {column: COLUMNS[column] for column in table.columns if column in COLUMNS}
    drawn = _that_end(found, table) if name == "what_if_stages" else table.clear()
    return Report(
        name=name,
        titles=TITLES[name],
        definitions=DEFINITIONS[name],
        as_of=found.as_of,
        table=table,
        columns=titles_of(table, **titles),
        labels=labels,
        notes=found.notes,
        draw=(lambda language: _draw(called(drawn, labels, language), language))
        if drawn.height
        else None,
    )


def _that_end(found: WhatIf, table: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of stages that are not closed: time in won or lost says nothing."""
    closed = [stage.key for stage in found.pipeline.stages if stage.is_closed]
    return table.filter(~pl.col("stage").is_in(closed))


def _labels(found: WhatIf) -> dict[str, Any]:
    stages = {
        stage.key: said(stage.title_in("en"), stage.title_in("it"))
        for stage in found.pipeline.stages
    }
    named = dict.fromkeys(("stage", "into", "stage_before", "stage_after"), stages)
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


def _in_hours(table: pl.DataFrame, prefix: str, renamed: str) -> pl.DataFrame:
    """Return the table with durations as hours, for people."""
    columns = [name for name in table.columns if table.schema[name] == pl.Duration]
    return table.with_columns(
        pl.col(name).dt.total_microseconds() / _HOUR for name in columns
    ).rename({name: name.replace(prefix, renamed, 1) for name in columns})


def _draw(table: pl.DataFrame, language: Language) -> Any:
    import altair as alt

    from ..reports import charts

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
            y=charts.listed("stage", table["stage"], _STAGE[language]),
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
                alt.Tooltip("stage:N", title=_STAGE[language]),
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
_STAGE: Final = said("Stage", "Fase")

"""Two ladders' histories of the same deals beside each other: the tables of a what-if."""

from __future__ import annotations

import datetime as dt
import functools
import operator
from typing import Any, Final, Literal, get_args

import polars as pl

from ...model.calendar import CalendarSpan, usual_length
from ...model.stage import DoStep
from ...pipeline import Pipeline
from .folding import Side, Sides

__all__ = [
    "deals_of",
    "hooks_of",
    "in_ladder_order",
    "outcomes_of",
    "reminders_of",
    "rules_of",
    "stages_of",
    "times_of",
]

Direction = Literal["into", "out_of"]

_LASTED: Final = pl.Duration("us")
_STEPS: Final[dict[str, Any]] = {
    "row": pl.Int64,
    "stage": pl.String,
    "effect": pl.String,
    "after": _LASTED,
    "to_completion": pl.Boolean,
}


def deals_of(sides: Sides) -> pl.DataFrame:
    """Return a row for every deal that either ladder opens."""
    standing = _beside(
        *(
            side.called(side.deals, "stage").select("deal", "stage", "status", moves="visit")
            for side in (sides.before, sides.after)
        ),
        on=["deal"],
    )
    hands = _beside(
        *(
            sides.hands_that_moved(side).group_by("deal").agg(hands=pl.len())
            for side in (sides.before, sides.after)
        ),
        on=["deal"],
    )
    reminders = _beside(
        *(
            _reminders(side, sides).group_by("deal").agg(reminders=pl.col("sent").sum())
            for side in (sides.before, sides.after)
        ),
        on=["deal"],
    )
    return (
        standing.join(hands, on="deal", how="left")
        .join(reminders, on="deal", how="left")
        .join(_first_differences(sides), on="deal", how="left")
        .with_columns(_counts("moves", "hands", "reminders"))
        .sort("deal")
    )


def times_of(sides: Sides) -> pl.DataFrame:
    """Return a row for every deal and stage that it was in on either side."""
    lasted = pl.col("left_at").fill_null(sides.as_of) - pl.col("entered_at")
    both = _beside(
        *(
            side.called(side.visits, "stage")
            .group_by("deal", "stage")
            .agg(visits=pl.len(), time=lasted.sum())
            for side in (sides.before, sides.after)
        ),
        on=["deal", "stage"],
    )
    return both.with_columns(*_counts("visits"), *_zero_durations("time"))


def stages_of(times: pl.DataFrame, deals: pl.DataFrame, changed: Pipeline) -> pl.DataFrame:
    """Return the deals' visits and times added up by stage, and the difference."""
    every = pl.DataFrame({"stage": [stage.key for stage in changed.stages]})
    standing = _beside(
        *(
            deals.group_by(stage=f"stage_{side}").agg(deals=pl.len()).drop_nulls("stage")
            for side in ("before", "after")
        ),
        on=["stage"],
    )
    added = times.group_by("stage").agg(pl.col(*_both("visits", "time")).sum())
    return (
        every.join(added, on="stage", how="full", coalesce=True)
        .join(standing, on="stage", how="left")
        .with_columns(*_counts("visits", "deals"), *_zero_durations("time"))
        .with_columns(_difference("visits"), _difference("time"), _difference("deals"))
        .select("stage", *(c for name in ("deals", "visits", "time") for c in _columns(name)))
    )


def outcomes_of(deals: pl.DataFrame) -> pl.DataFrame:
    """Return how many deals end in which status on either side."""
    return (
        deals.group_by("status_before", "status_after")
        .agg(deals=pl.len().cast(pl.Int64))
        .sort("status_before", "status_after", nulls_last=True)
    )


def rules_of(before: Side, after: Side) -> pl.DataFrame:
    """Return how often each rule moved a deal."""
    both = _beside(
        *(
            side.called(side.moves, "into").group_by("rule", "trigger", "into").agg(moves=pl.len())
            for side in (before, after)
        ),
        on=["rule", "trigger", "into"],
    )
    return both.with_columns(_counts("moves")).with_columns(_difference("moves"))


def reminders_of(sides: Sides) -> pl.DataFrame:
    """Return how often each effect of a sequence was asked for, and came due in time."""
    both = _beside(
        *(
            side.called(_reminders(side, sides), "stage")
            .group_by("stage", "effect", "after")
            .agg(asked=pl.len(), sent=pl.col("sent").sum())
            for side in (sides.before, sides.after)
        ),
        on=["stage", "effect", "after"],
    )
    return both.with_columns(_counts("asked", "sent")).with_columns(_difference("sent"))


def hooks_of(sides: Sides) -> pl.DataFrame:
    """Return how often each hook would have been called."""
    both = _beside(
        *(side.called(_hook_calls(side), "stage") for side in (sides.before, sides.after)),
        on=["stage", "direction", "hook"],
    )
    return both.with_columns(_counts("calls")).with_columns(_difference("calls"))


def in_ladder_order(table: pl.DataFrame, pipeline: Pipeline, *columns: str) -> pl.DataFrame:
    """Return the table sorted, its stages by the ladder and those that it lacks at the end."""
    rungs = {stage.key: rung for rung, stage in enumerate(pipeline.stages)}
    keys = []
    for name in columns:
        if name in ("stage", "into"):
            rung = pl.col(name).replace_strict(rungs, default=None, return_dtype=pl.Int64)
            keys.append(rung.fill_null(len(rungs)))
        keys.append(pl.col(name))
    return table.sort(keys)


def _first_differences(sides: Sides) -> pl.DataFrame:
    """Return of every deal whose moves are not all the same when the first other one was."""
    same = ["deal", "n"]
    both = _beside(
        *(
            side.called(side.moves, "into").select(*same, "into", "at")
            for side in (sides.before, sides.after)
        ),
        on=same,
    )
    is_other = pl.any_horizontal(
        pl.col(f"{name}_before").ne_missing(pl.col(f"{name}_after")) for name in ("into", "at")
    )
    first = pl.min_horizontal("at_before", "at_after").min()
    return both.filter(is_other).group_by("deal").agg(differs_at=first)


def _reminders(side: Side, sides: Sides) -> pl.DataFrame:
    """Return a row for every effect that a visit's sequence asks for, and whether it came due.

    A worker that never sleeps is assumed: what is due before its visit ends is sent.
    """
    steps, waits = _steps(side.pipeline)
    asked = side.visits.join(steps, on="stage", how="inner")
    entered = asked["entered_at"]
    due = entered + asked["after"]
    if waits:  # how long business hours are depends on when they begin
        counted = [
            usual if row not in waits else functools.reduce(operator.add, waits[row], at)
            for row, at, usual in zip(asked["row"], entered, due, strict=True)
        ]
        due = pl.Series(counted, dtype=due.dtype)
    in_time = pl.when(pl.col("left_at").is_null() | pl.col("to_completion"))
    return asked.with_columns(
        sent=in_time.then(due <= sides.as_of).otherwise(due < pl.col("left_at"))
    )


def _steps(pipeline: Pipeline) -> tuple[pl.DataFrame, dict[int, list[dt.timedelta | CalendarSpan]]]:
    """Return a row for each effect, and the waits of those rows that count on a calendar."""
    rows: list[tuple[Any, ...]] = []
    waits: dict[int, list[dt.timedelta | CalendarSpan]] = {}
    for stage in pipeline.stages:
        waited: list[dt.timedelta | CalendarSpan] = []
        for step in stage.sequence:
            if not isinstance(step, DoStep):
                waited.append(step.delay)
                continue
            if any(isinstance(each, CalendarSpan) for each in waited):
                waits[len(rows)] = [*waited]
            after = sum(map(usual_length, waited), dt.timedelta())
            rows.append((len(rows), stage.key, step.name, after, step.run_to_completion))
    return pl.DataFrame(rows, schema=_STEPS, orient="row"), waits


def _hook_calls(side: Side) -> pl.DataFrame:
    """Return how often the moves of a side would have called each of its ladder's hooks."""
    directions: tuple[Direction, ...] = get_args(Direction)
    rows = []
    for direction in directions:
        moved = dict(side.moves.group_by(direction).len().iter_rows())
        for stage in side.pipeline.stages:
            for hook in side.pipeline.hooks(direction, stage):
                rows.append((stage.key, direction, _name_of(hook), moved.get(stage.key, 0)))
    names = ("stage", "direction", "hook")
    schema = {**dict.fromkeys(names, pl.String), "calls": pl.Int64}
    calls = pl.DataFrame(rows, schema=schema, orient="row")
    return calls.group_by(names).agg(pl.col("calls").sum())


def _name_of(hook: Any) -> str:
    return getattr(hook, "__qualname__", None) or repr(hook)


def _beside(before: pl.DataFrame, after: pl.DataFrame, *, on: list[str]) -> pl.DataFrame:
    """Return both frames in one, what they do not share named ``_before`` and ``_after``."""
    named = [
        frame.rename({name: f"{name}_{side}" for name in frame.columns if name not in on})
        for side, frame in (("before", before), ("after", after))
    ]
    return named[0].join(named[1], on=on, how="full", coalesce=True)


def _both(*names: str) -> list[str]:
    return [f"{name}_{side}" for name in names for side in ("before", "after")]


def _columns(name: str) -> list[str]:
    return [*_both(name), f"{name}_change"]


def _counts(*names: str) -> list[pl.Expr]:
    return [pl.col(column).fill_null(0).cast(pl.Int64) for column in _both(*names)]


def _zero_durations(name: str) -> list[pl.Expr]:
    return [pl.col(column).fill_null(pl.duration()) for column in _both(name)]


def _difference(name: str) -> pl.Expr:
    return (pl.col(f"{name}_after") - pl.col(f"{name}_before")).alias(f"{name}_change")

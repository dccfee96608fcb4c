"""How deals climb from step to step: conversion by three named definitions."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Mapping, Sequence
from typing import Final, Literal, get_args

import polars as pl

from ...errors import DefinitionError
from ..frames.snapshot import (
    Instant,
    Period,
    Source,
    checked_period,
    chosen_stages,
    numbered,
    refuse_unknown,
    stage_labels,
    standing,
)
from ..frames.tables import Tables
from ..report import Report
from ..words import Words, noted, said, titles_of
from .funnel_chart import draw_funnel
from .funnel_words import AGAIN, definition_of
from .groups import GroupedBy as By
from .groups import each_group, named

__all__ = ["PARTS", "funnel"]

Definition = Literal["opened", "entries", "snapshot"]
Order = Literal["any", "strict"]
Entry = Literal["first", "every"]

PARTS: Final = ("advanced", "turned_back", "open", "won", "abandoned", "lost")
"""What becomes of those who entered a step: every one of them is in exactly one part."""


def funnel(
    source: Source,
    *,
    as_of: Instant | None = None,
    definition: Definition = "opened",
    period: Period | None = None,
    order: Order = "any",
    entry: Entry = "first",
    steps: Sequence[str] | None = None,
    by: By | None = None,
) -> Report:
    """Report how many reached each step of the ladder, and what became of the others.

    Args:
        definition: ``"opened"`` follows the deals opened in the period from the first step on;
            ``"entries"`` follows whatever entered a step in the period, from that step on;
            ``"snapshot"`` looks only at where the deals opened in the period stand now.
        period: from an instant up to, not including, another; everything when left out.
        order: ``"any"``: who reached a later step has passed the earlier ones, visited or not;
            ``"strict"``: a step counts only after all before it, visited in their order.
        entry: ``"first"`` counts a deal once; ``"every"`` counts a deal that turned back and
            climbs again as a new climb. A snapshot knows no entries.
        steps: stages in the order they are climbed; those that are open or won when left out.
        by: a funnel for each owner or source, by what the deals say at ``as_of``.

    Raises:
        DefinitionError: an argument is none of its definitions, a stage is not on the ladder or
            named twice, or the period holds no instant.
        ClockError: the tables do not reach so far.
    """
    for name, choice, known in (
        ("definition", definition, get_args(Definition)),
        ("order", order, get_args(Order)),
        ("entry", entry, get_args(Entry)),
        ("by", by, (None, *get_args(By))),
    ):
        refuse_unknown(name, choice, known)
    tables = standing(source, as_of)
    keys = _steps(tables, steps)
    start, end = checked_period(tables, period)
    outside, found = 0, []
    for group, part in each_group(tables, by):
        climbs = _Climbs(part, keys)
        counted, missed = _counted(climbs, start, end, definition, order, entry)
        outside += missed
        found.append(named(_finished(counted, climbs, start, end, definition), by, group))
    table = pl.concat(found)
    return Report(
        name="funnel",
        titles=said("Funnel", "Imbuto"),
        definitions=definition_of(definition, order, entry),
        as_of=tables.as_of,
        table=table,
        columns=titles_of(table, came_back=AGAIN),
        labels={"stage": stage_labels(tables), **({} if by is None else {by: {}})},
        notes=_never_on_a_step(outside),
        draw=functools.partial(draw_funnel, by=by),
    )


def _counted(
    climbs: _Climbs, start: dt.datetime, end: dt.datetime, definition: str, order: str, entry: str
) -> tuple[pl.DataFrame, int]:
    """Return the parts of every step, and how many deals reached none."""
    if definition == "entries":
        return _follow_entries(climbs, start, end, order, entry), 0
    reached = climbs.reached(definition, start, end, order, entry)
    outside = reached.filter(pl.col("furthest") < 0).height
    return _count_reached(reached, len(climbs.steps)), outside


def _steps(tables: Tables, steps: Sequence[str] | None) -> list[str]:
    if steps is None:
        return [stage.key for stage in tables.stages if stage.status in ("open", "won")]
    keys = chosen_stages(tables, list(steps))
    if len(set(keys)) < len(keys):
        raise DefinitionError(
            f"the steps {', '.join(keys)} name a stage twice, so its entries would count twice: "
            "name each once"
        )
    return keys


class _Climbs:
    """The stays on the steps of the ladder, in the order of each deal's life.

    A climb goes up step by step; it ends where its deal enters the same step again or a lower one.
    """

    def __init__(self, tables: Tables, steps: list[str]) -> None:
        self.steps = steps
        stays = numbered(tables.visits.select("deal", "stage", "entered_at", "left_at"))
        position = {key: step for step, key in enumerate(steps)}
        self.deals = _whole_lives(stays, tables, position)
        on_steps = stays.select(
            "number",
            "entered_at",
            step=pl.col("stage").replace_strict(position, default=None, return_dtype=pl.Int64),
        ).drop_nulls("step")
        # In one number that grows from deal to deal, the highest step so far needs no grouping.
        mark = pl.col("number") * len(steps) + pl.col("step")
        same_deal = pl.col("number") == pl.col("number").shift(1).fill_null(-1)
        fell = same_deal & (pl.col("step") <= pl.col("step").shift(1))
        self.stays = on_steps.with_columns(
            again=(same_deal & (mark <= mark.cum_max().shift(1))).fill_null(False),
            climb=(~same_deal | fell.fill_null(False)).cum_sum(),
        )

    def opened(self, start: dt.datetime, end: dt.datetime) -> pl.DataFrame:
        """Return the deals opened in a period."""
        return self.deals.filter(pl.col("opened_at").is_between(start, end, closed="left"))

    def reached(
        self, definition: str, start: dt.datetime, end: dt.datetime, order: str, entry: str
    ) -> pl.DataFrame:
        """Return how far each deal, or each climb, came (-1: no step), and what became of it."""
        unit = "climb" if entry == "every" and definition == "opened" else "number"
        came = self._furthest(definition, unit, order)
        found = self.opened(start, end).join(came, on="number", how="left").sort("number", unit)
        ended = pl.col("number") == pl.col("number").shift(-1).fill_null(-1)
        return found.select(
            pl.col("furthest").fill_null(-1),
            outcome=pl.when(ended | _stands_below("furthest"))
            .then(pl.lit("turned_back"))
            .otherwise("status"),
        )

    def _furthest(self, definition: str, unit: str, order: str) -> pl.DataFrame:
        step, number = pl.col("step"), pl.col("number").last()
        owner = [] if unit == "number" else [number]
        if definition == "snapshot":
            return self.stays.group_by("number").agg(furthest=step.last())
        if order == "any":
            return self.stays.group_by(unit).agg(*owner, furthest=step.max())
        came = _in_strict_order(self.stays, unit, len(self.steps))
        return came.join(self.stays.group_by(unit).agg(*owner), on=unit) if owner else came


def _stands_below(step: str) -> pl.Expr:
    """Whether a deal is open on a lower step than the one that it came to."""
    lower = pl.col("stands") < pl.col(step)
    return ((pl.col("status") == "open") & lower).fill_null(False)


def _whole_lives(stays: pl.DataFrame, tables: Tables, position: Mapping[str, int]) -> pl.DataFrame:
    """Return when each deal was opened, how it stands, and on which step if on one."""
    status = {stage.key: stage.status for stage in tables.stages}
    first = pl.col("number") != pl.col("number").shift(1).fill_null(-1)
    return stays.select(
        pl.col("number").filter(first),
        opened_at=pl.col("entered_at").filter(first),
        stage=pl.col("stage").filter(pl.col("left_at").is_null()),
    ).select(
        "number",
        "opened_at",
        status=pl.col("stage").replace_strict(status, return_dtype=pl.String),
        stands=pl.col("stage").replace_strict(position, default=None, return_dtype=pl.Int64),
    )


def _in_strict_order(stays: pl.DataFrame, unit: str, steps: int) -> pl.DataFrame:
    """Return how far each unit came through the steps one after the other."""
    rows = stays.select(unit, "step", row=pl.int_range(pl.len()))
    passed = rows.select(unit, since=pl.lit(-1, dtype=pl.Int64)).unique()
    came = []
    for step in range(steps):
        passed = (
            rows.filter(pl.col("step") == step)
            .join(passed, on=unit)
            .filter(pl.col("row") > pl.col("since"))
            .group_by(unit)
            .agg(since=pl.col("row").min())
        )
        came.append(passed.select(unit, furthest=pl.lit(step, dtype=pl.Int64)))
    nowhere = rows.select(unit, furthest=pl.lit(-1, dtype=pl.Int64)).unique()
    return pl.concat([nowhere, *came]).group_by(unit).agg(pl.col("furthest").max())


def _count_reached(reached: pl.DataFrame, steps: int) -> pl.DataFrame:
    """Return the parts of every step, from how far each came."""
    ended = reached.group_by("furthest", "outcome").agg(pl.len().cast(pl.Int64).alias("count"))
    table = pl.DataFrame({"step": range(steps)}, schema={"step": pl.Int64})
    here = pl.col("furthest") == pl.col("step")
    beyond = pl.col("furthest") > pl.col("step")

    def part(name: str) -> pl.Expr:
        return pl.col("count").filter(here & (pl.col("outcome") == name)).sum().alias(name)

    return (
        (
            table.join(ended, how="cross")
            .group_by("step")
            .agg(
                pl.col("count").filter(here | beyond).sum().alias("entered"),
                pl.col("count").filter(beyond).sum().alias("advanced"),
                *(part(name) for name in PARTS[1:]),
            )
        )
        if ended.height
        else table.with_columns(
            pl.lit(0, dtype=pl.Int64).alias(name) for name in ("entered", *PARTS)
        )
    )


def _follow_entries(
    climbs: _Climbs, start: dt.datetime, end: dt.datetime, order: str, entry: str
) -> pl.DataFrame:
    """Return the parts of every step, from what followed each entry into it."""
    then = _after_first_entry if entry == "first" else _after_every_entry
    steps = range(len(climbs.steps))
    followed = pl.concat([then(climbs.stays, step, order) for step in steps]).filter(
        pl.col("entered_at").is_between(start, end, closed="left")
    )
    outcome = (
        pl.when("goes_on").then(pl.lit("advanced"))
        .when(pl.col("returns") | _stands_below("step")).then(pl.lit("turned_back"))
        .otherwise("status")
    )  # fmt: skip
    named = followed.join(climbs.deals, on="number").select("step", outcome=outcome)
    parts = [(pl.col("outcome") == name).sum().cast(pl.Int64).alias(name) for name in PARTS]
    counted = named.group_by("step").agg(pl.len().cast(pl.Int64).alias("entered"), *parts)
    every = pl.DataFrame({"step": steps}, schema={"step": pl.Int64})
    return every.join(counted, on="step", how="left").fill_null(0)


def _on_or_after(stays: pl.DataFrame, step: int, order: str) -> pl.DataFrame:
    further = pl.col("step") == step + 1 if order == "strict" else pl.col("step") > step
    return stays.filter((pl.col("step") == step) | further)


def _after_every_entry(stays: pl.DataFrame, step: int, order: str) -> pl.DataFrame:
    """Say of every entry whether its deal went on before it entered the step again."""
    same_deal = pl.col("number") == pl.col("number").shift(-1)
    following = pl.when(same_deal).then(pl.col("step").shift(-1)).fill_null(-1)
    return (
        _on_or_after(stays, step, order)
        .select("number", "step", "entered_at", goes_on=following > step, returns=following == step)
        .filter(pl.col("step") == step)
    )


def _after_first_entry(stays: pl.DataFrame, step: int, order: str) -> pl.DataFrame:
    """Say of each deal's first entry whether it ever went on."""
    rows = _on_or_after(stays, step, order).with_columns(row=pl.int_range(pl.len()))
    here = pl.col("step") == step
    entered = rows.filter(here).unique("number", keep="first")
    last_beyond = rows.filter(~here).group_by("number").agg(beyond=pl.col("row").max())
    return entered.join(last_beyond, on="number", how="left").select(
        "number",
        "step",
        "entered_at",
        goes_on=(pl.col("beyond") > pl.col("row")).fill_null(False),
        returns=pl.lit(False),
    )


def _finished(
    table: pl.DataFrame, climbs: _Climbs, start: dt.datetime, end: dt.datetime, definition: str
) -> pl.DataFrame:
    aside = _skipped_and_back(climbs, start, end, definition)
    whole = table.join(aside, on="step", how="left").sort("step")
    entered = pl.col("entered")
    return whole.select(
        pl.Series("stage", climbs.steps, dtype=pl.String),
        "entered",
        *PARTS,
        conversion=pl.when((entered > 0) & (pl.col("step") < len(climbs.steps) - 1)).then(
            pl.col("advanced") / entered
        ),
        from_first=pl.when(entered.first() > 0).then(entered / entered.first()),
        skipped=pl.col("skipped").fill_null(0),
        came_back=pl.col("came_back").fill_null(0),
    )


def _skipped_and_back(
    climbs: _Climbs, start: dt.datetime, end: dt.datetime, definition: str
) -> pl.DataFrame:
    """Return how many deals passed a step without visiting it, and how many came back to it."""
    stays = climbs.stays
    if definition == "entries":
        stays = stays.filter(pl.col("entered_at").is_between(start, end, closed="left"))
    else:
        cohort = climbs.opened(start, end)
        stays = stays.join(cohort, on="number", how="semi")
    bit = pl.lit(1, dtype=pl.Int64)
    masks = (
        stays.group_by("number")
        .agg((bit * 2 ** pl.col("step")).cast(pl.Int64).bitwise_or().alias("mask"))
        .group_by("mask")
        .agg(pl.len().cast(pl.Int64).alias("deals"))
    )
    back = stays.filter("again").group_by("step").agg(came_back=pl.col("number").n_unique())
    skipped = pl.DataFrame(
        [(step, _skipping(masks, step)) for step in range(len(climbs.steps))],
        schema={"step": pl.Int64, "skipped": pl.Int64},
        orient="row",
    )
    return skipped.join(
        back.with_columns(pl.col("came_back").cast(pl.Int64)), on="step", how="left"
    )


def _skipping(masks: pl.DataFrame, step: int) -> int:
    later = pl.col("mask") >= 2 ** (step + 1)
    here = (pl.col("mask") // 2**step) % 2 == 1
    return int(masks.filter(later & ~here)["deals"].sum())


def _never_on_a_step(number: int) -> tuple[Words, ...]:
    return noted(
        number,
        ("of the period reached no step of the funnel.",) * 2,
        ("del periodo senza nemmeno un passo dell'imbuto.",) * 2,
    )

"""What is to be done next: open tasks by owner, and open deals for which there is nothing to do."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

import polars as pl

from ...board.board import Board
from ...model.clock import instant
from ..frames.schema import INSTANT, MONEY
from ..frames.snapshot import days, unvalued
from ..report import Report, Titles
from ..words import Language, said, titles_of
from . import charts

__all__ = ["no_next_step", "open_tasks"]

SOON: Final = dt.timedelta(days=1)


def no_next_step(board: Board) -> Report:
    """List the open deals that have no open task and no timer due: nobody will look at them.

    The longest without an event come first.
    """
    now = instant(board.clock.now())
    busy = {task.deal for task in board.tasks()}
    rows = [
        (
            deal.id,
            deal.title,
            deal.stage.key,
            deal.owner,
            deal.value,
            deal.currency,
            deal.last_event_at,
            (now - deal.last_event_at) // dt.timedelta(microseconds=1),
        )
        for deal in board.deals(status="open")
        if deal.due_at is None and deal.id not in busy
    ]
    table = (
        pl.DataFrame(rows, schema=DEALS, orient="row")
        .with_columns(idle_days=days("idle_days"))
        .sort("idle_days", "deal", descending=[True, False])
    )
    stages = {
        stage.key: said(stage.title_in("en"), stage.title_in("it"))
        for stage in board.pipeline.stages
    }
    return Report(
        name="no_next_step",
        titles=said("Open deals without a next step", "Trattative aperte senza un prossimo passo"),
        definitions=NOTHING_NEXT,
        as_of=now,
        table=table,
        labels={"stage": stages, "owner": {}, "currency": {}, "title": {}},
        notes=unvalued(table),
    )


def open_tasks(board: Board) -> Report:
    """Report how many open tasks each owner has: overdue, due within a day, and later."""
    now = instant(board.clock.now())
    rows = [
        (task.owner, task.deal, task.due_at, (now - task.due_at) // dt.timedelta(microseconds=1))
        for task in board.tasks()
    ]
    late = pl.col("late") > 0
    soon = ~late & (pl.col("late") >= -(SOON // dt.timedelta(microseconds=1)))
    table = (
        pl.DataFrame(rows, schema=TASKS, orient="row")
        .group_by("owner")
        .agg(
            pl.len().cast(pl.Int64).alias("tasks"),
            late.sum().cast(pl.Int64).alias("overdue"),
            soon.sum().cast(pl.Int64).alias("due_soon"),
            (~late & ~soon).sum().cast(pl.Int64).alias("due_later"),
            pl.col("deal").n_unique().cast(pl.Int64).alias("deals"),
            days(pl.col("late").filter(late).max()).alias("longest_days"),
        )
        .sort("tasks", "owner", descending=[True, False], nulls_last=True)
    )
    return Report(
        name="open_tasks",
        titles=said("Open tasks by owner", "Attività aperte per responsabile"),
        definitions=TO_DO,
        as_of=now,
        table=table,
        columns=titles_of(table, longest_days=LONGEST),
        labels={"owner": {}},
        draw=_draw,
    )


DEALS: Final[dict[str, Any]] = {
    "deal": pl.String,
    "title": pl.String,
    "stage": pl.String,
    "owner": pl.String,
    "value": MONEY,
    "currency": pl.String,
    "idle_since": INSTANT,
    "idle_days": pl.Int64,
}
TASKS: Final[dict[str, Any]] = {
    "owner": pl.String,
    "deal": pl.String,
    "due_at": INSTANT,
    "late": pl.Int64,
}


def _draw(table: pl.DataFrame, titles: Titles, language: Language) -> Any:
    shown = charts.crowded(table, "owner", "tasks")
    parts = {name: titles[name] for name in ("overdue", "due_soon", "due_later")}
    bars = charts.parted_bars(shown, titles, "owner", "tasks", parts, DUE[language], language)
    return charts.themed(bars.properties(**charts.parted(table, "owner", language)))


DUE: Final = said("When it is due", "Quando scade")
LONGEST: Final = said("Longest overdue (days)", "In ritardo da, al massimo (giorni)")

NOTHING_NEXT: Final = said(
    "Deals in an open stage, as they are stored now, that have neither an open task nor a timer "
    "that is due some day: nothing will happen to them unless somebody thinks of it. Idle: since "
    "their last event.",
    "Trattative in una fase aperta, come sono ora, che non hanno né un'attività aperta né un timer "
    "in scadenza: non succederà nulla se qualcuno non se ne ricorda. Ferma: dall'ultimo evento.",
)
TO_DO: Final = said(
    "Tasks that are open now, by whose they are: the task's owner, or the deal's where it names "
    "none. Overdue: due before this instant; due soon: within 24 hours. The three add up to the "
    "tasks. Longest overdue: of the overdue ones.",
    "Attività aperte ora, secondo di chi sono: il responsabile dell'attività, o quello della "
    "trattativa se manca. In ritardo: scadute prima di questo istante; in scadenza: entro 24 ore. "
    "Le tre, sommate, danno le attività. In ritardo da, al massimo: di quelle in ritardo.",
)

"""(i) Reports on ten million moves, against Polars written by hand for the same figures."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ladderpipe import Stage, insight
from ladderpipe.insight.frames.derive import deals_of, visits_of
from ladderpipe.insight.frames.schema import CHANGES, MOVES
from ladderpipe.insight.frames.tables import Tables

from . import reports_by_hand as by_hand
from .harness import Report, Row, compare, rate, timed

METHOD = """\
Made-up histories of four to twelve moves a deal, each deal with three changes of value, a seller
among forty and a source among eight. Both sides begin with the same tables in memory and end with
the same figures, which are compared once. Ours are whole reports without their charts: tables with
definitions and notes. By hand is only the table with the figures in question.\
"""

START = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
AS_OF = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
MICROSECONDS = 1_000_000
YEAR = 365 * 86_400 * MICROSECONDS
STAGES = (
    Stage("new", probability=0.1),
    Stage("talking", probability=0.3),
    Stage("offer", probability=0.6),
    Stage("cold", status="abandoned", probability=0.05),
    Stage("won", status="won"),
    Stage("lost", status="lost"),
)
OPEN = 4
CHANGES_EACH = 3

Figures = Callable[[Tables], Any]

CASES: dict[str, tuple[Figures, Figures]] = {
    "pipeline summary": (insight.summary, by_hand.summary),
    "funnel, deals opened, any order": (insight.funnel, by_hand.funnel),
    "time in stage, Kaplan–Meier": (insight.time_in_stage, by_hand.time_in_stage),
    "win rate by owner": (
        lambda tables: insight.win_rate(tables, by="owner"),
        by_hand.win_rate,
    ),
    "bottlenecks, value-days": (insight.bottlenecks, by_hand.value_days),
    "new deals per month and source": (insight.arrivals, by_hand.arrivals),
}


def run(quick: bool, folder: Path) -> Report:
    tables = made_up(10_000 if quick else 1_250_000)
    rows = [_row(name, tables, *case, 3 if quick else 5) for name, case in CASES.items()]
    return Report(f"Reports on {tables.moves.height:,} moves", METHOD, rows)


def _row(name: str, tables: Tables, ours: Figures, theirs: Figures, rounds: int) -> Row:
    _assert_same(ours(tables).table, theirs(tables))
    pair = compare(timed(lambda: ours(tables)), timed(lambda: theirs(tables)), rounds)
    moves = tables.moves.height
    speeds = f"{rate(moves, pair.ours, 'moves')} : {rate(moves, pair.theirs, 'moves')}"
    return Row(f"{name}: time over that by hand", speeds, 1 / pair.speed, 1.5, at_most=True)


def _assert_same(ours: pl.DataFrame, theirs: pl.DataFrame) -> None:
    """Compare the figures worked out by hand with those of the report, row by row."""
    keys = [name for name in theirs.columns if theirs.schema[name] in (pl.String, pl.Date)]
    both = theirs.join(ours, on=keys, how="left", nulls_equal=True, suffix="_ours")
    for name in theirs.columns:
        if name not in keys:
            pairs = both.select(f"{name}_ours", name).iter_rows()
            assert all(math.isclose(mine, their, rel_tol=1e-9) for mine, their in pairs), name


def made_up(deals: int, seed: int = 1) -> Tables:
    """Return the tables of that many deals, about eight moves each."""
    random = np.random.default_rng(seed)
    names = "deal-" + pl.Series(np.arange(deals)).cast(pl.String).str.zfill(8)
    moves = _moves(random, names, random.integers(4, 13, deals))
    opened = moves.filter(pl.col("n") == 1)["at"]
    changes = _changes(random, names, opened)
    visits = visits_of(moves)
    return Tables(
        pipeline="made-up",
        stages=STAGES,
        as_of=AS_OF,
        deals=deals_of(visits, changes, STAGES),
        visits=visits,
        moves=moves,
        changes=changes,
    )


def _moves(random: np.random.Generator, names: pl.Series, lengths: np.ndarray) -> pl.DataFrame:
    deal = np.repeat(np.arange(len(lengths)), lengths)
    last = np.cumsum(lengths) - 1
    first = np.r_[0, last[:-1] + 1]
    # Never the stage it is in: each move goes one to three stages further round.
    step = random.integers(1, OPEN, len(deal))
    step[first] = 0
    turned = np.cumsum(step)
    stage = (turned - np.repeat(turned[first], lengths)) % OPEN
    stage[last] = np.where(
        random.random(len(last)) < 0.8, random.integers(4, 6, len(last)), stage[last]
    )
    pause = random.integers(1, 20 * 86_400, len(deal)) * MICROSECONDS
    pause[first] = random.integers(0, YEAR // 4, len(first))
    since = np.cumsum(pause)
    begun = np.repeat(since[first] - pause[first], lengths)
    at = pl.Series(int(START.timestamp()) * MICROSECONDS + since - begun).cast(MOVES["at"])
    into = pl.Series([s.key for s in STAGES]).gather(stage)
    is_first = pl.Series(np.isin(np.arange(len(deal)), first))
    n = np.arange(len(deal)) - np.repeat(first, lengths) + 1
    timer = pl.Series(stage == 3)
    frame = pl.DataFrame({"deal": names.gather(deal), "n": n, "into": into, "at": at})
    return frame.with_columns(
        out_of=pl.when(~is_first).then(pl.col("into").shift(1)),
        recorded_at="at",
        rule=pl.when(timer).then(pl.lit("after 48 h")).otherwise(pl.lit("on event")),
        trigger=pl.when(timer).then(pl.lit("timer")).otherwise(pl.lit("event")),
        event_type=pl.when(~timer).then(pl.lit("event")),
        event_source=pl.when(~timer).then(pl.lit("shop")),
        event_id=pl.when(~timer).then(pl.lit("e")),
        event_seq=pl.when(~timer).then(pl.lit(0)),
    ).select(list(MOVES)).cast(pl.Schema(MOVES))  # fmt: skip


def _changes(random: np.random.Generator, names: pl.Series, opened: pl.Series) -> pl.DataFrame:
    deals = len(names)
    deal = np.repeat(np.arange(deals), CHANGES_EACH)
    later = random.integers(1, 60 * 86_400, (deals, CHANGES_EACH)) * MICROSECONDS
    later[:, 0] = 0
    later.sort(axis=1)
    owners = pl.Series([f"seller {n:02}" for n in range(40)]).gather(random.integers(0, 40, deals))
    sources = pl.Series([f"source {n}" for n in range(8)]).gather(random.integers(0, 8, deals))
    columns = {
        "deal": names.gather(deal),
        "at": opened.gather(deal).cast(pl.Int64) + pl.Series(later.ravel()),
        "title": names.gather(deal),
        "value": pl.Series(random.integers(1, 1_000_000, deals * CHANGES_EACH) / 100),
        "currency": pl.repeat("EUR", deals * CHANGES_EACH, eager=True),
        "owner": owners.gather(deal),
        "source": sources.gather(deal),
        "loss_reason": pl.repeat(None, deals * CHANGES_EACH, eager=True),
    }
    columns["active_at"] = columns["at"]
    return pl.DataFrame(columns).select(list(CHANGES)).cast(pl.Schema(CHANGES))

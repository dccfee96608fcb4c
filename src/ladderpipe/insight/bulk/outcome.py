"""What a replay found, as frames: the moves, the deals as they stand at the end, and visits."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

import attrs
import numpy as np
import polars as pl

from ...ladder.rules import ByHand, OnEvents, Rule
from ...model.event import OVERRIDE
from ...model.history import SetAside
from ...pipeline import Pipeline
from ..frames.derive import counting
from ..frames.schema import INSTANT, MONEY, VISITS
from ..frames.schema import MOVES as TOLD
from .arrange import Arranged
from .arrays import MONEY_PLACES, NEVER, NOTHING, Flags, Ints, Numbers
from .folded import Folded, Passages
from .program import Program

__all__ = ["FINAL", "MOVES", "Names", "Replayed", "frames_of", "visits_of"]

CODES: Final = pl.Categorical()
"""Few different texts in very many rows: a number in each."""

_IN_CODES: Final = ("out_of", "into", "rule", "trigger", "event_type", "event_source")

MOVES: Final[dict[str, Any]] = {**TOLD, **dict.fromkeys(_IN_CODES, CODES)}
"""The columns of :data:`~ladderpipe.insight.tables.MOVES`, with stages, rules, types and sources as
categories."""

FINAL: Final[dict[str, Any]] = {
    "deal": pl.String,
    "stage": CODES,
    "status": CODES,
    "visit": pl.Int64,
    "entered_at": INSTANT,
    "opened_at": INSTANT,
    "closed_at": INSTANT,
    "last_event_at": INSTANT,
    "due_at": INSTANT,
    "lost_from": CODES,
    "value": MONEY,
    "currency": CODES,
}
"""A row for every deal that was opened, as it stands at the end."""


@attrs.frozen(eq=False)
class Replayed:
    """The histories of many deals, sorted by deal.

    Attributes:
        moves: a row for every move, in the layout of :data:`~ladderpipe.insight.tables.MOVES`,
            with stages, rules, types and sources as categories; ``recorded_at`` is null, as in a
            bare fold.
        deals: a row for every deal that was opened: :data:`FINAL`.
        columnar: whether the ladder was folded in columns.
        why_not: what forced the ordinary fold, in words; empty when nothing did.
        one_by_one: how many deals took the ordinary fold: all of them when the ladder forces it,
            otherwise those with an event told twice, an amount too fine or too large, a baseline,
            or very many events.
        carried: visits that baselines began in, which no move of these histories begins.
        aside: events that could not be used, each with the reason.
        compiled: whether the columns were folded by the loop that the extra ``bulk`` brings.
        pipeline: the ladder; ``None`` where whoever replayed has not said it.
        until: the instant up to which was replayed; ``None`` where every history ends with its
            deal's last event.
    """

    moves: pl.DataFrame
    deals: pl.DataFrame
    columnar: bool
    why_not: tuple[str, ...] = ()
    one_by_one: int = 0
    carried: pl.DataFrame = attrs.field(factory=lambda: pl.DataFrame(schema=VISITS))
    aside: tuple[SetAside, ...] = ()
    compiled: bool = False
    pipeline: Pipeline | None = None
    until: dt.datetime | None = None

    @functools.cached_property
    def visits(self) -> pl.DataFrame:
        """A row for every visit, worked out from the moves when first asked for."""
        return visits_of(self.moves, self.carried)


def visits_of(moves: pl.DataFrame, carried: pl.DataFrame) -> pl.DataFrame:
    """Return the visits that *moves*, sorted by deal and number, begin and end."""
    begun = moves.select(
        "deal",
        "n",
        pl.col("into").alias("stage"),
        pl.col("at").alias("entered_at"),
        "rule",
        pl.col("out_of").alias("from_stage"),
        "event_seq",
    )
    if len(carried):
        told = carried.select(pl.col(name).cast(begun[name].dtype) for name in begun.columns[:-1])
        begun = pl.concat([begun, told], how="diagonal").sort("deal", "n")
    goes_on = pl.col("deal").shift(-1) == pl.col("deal")
    ended = {"left_at": "entered_at", "into_stage": "stage", "left_by": "rule"}
    visits = begun.with_columns(
        pl.when(goes_on).then(pl.col(began).shift(-1)).alias(end) for end, began in ended.items()
    )
    return visits.with_columns(counting(visits)).select(*VISITS)


@attrs.frozen(eq=False)
class Names:
    """What stands for the numbers of rungs and ways, and from 1 for those of triggers."""

    rungs: pl.Series
    statuses: pl.Series
    stages: pl.Series
    rules: pl.Series
    kinds: pl.Series
    types: pl.Series

    @classmethod
    def of(cls, program: Program) -> Names:
        """Return the names that a pipeline has for them."""
        pipeline = program.pipeline
        stages = pipeline.stages
        triggers = zip(program.triggers, program.is_hand, strict=True)
        kinds = [_kind(rule) for rule in pipeline.rules]
        rungs = _texts([None, *(stage.key for stage in stages)])
        return cls(
            rungs,
            _texts([None, *(stage.status for stage in stages)]),
            _named(rungs, program.into),
            _texts([*(rule.key for rule in pipeline.rules), *(OVERRIDE for _ in stages)]),
            _texts([*kinds, *("override" for _ in stages)]),
            _texts([None, *(name.partition(":")[0] if hand else name for name, hand in triggers)]),
        )


def _kind(rule: Rule) -> str:
    if isinstance(rule.trigger, OnEvents):
        return "event"
    return "hand" if isinstance(rule.trigger, ByHand) else "timer"


def frames_of(names: Names, events: Arranged, folded: Folded) -> tuple[pl.DataFrame, ...]:
    """Return the moves and the deals of those that were folded, without those left out."""
    return _moves(events, folded.moves, names), _deals(events, folded, names)


def _moves(events: Arranged, made: Passages, names: Names) -> pl.DataFrame:
    row = _masked(made.row, made.row < 0).cast(pl.UInt32)
    frame = events.frame
    columns = {
        "deal": _named(events.deals, made.deal),
        "n": pl.Series(made.number).cast(pl.Int64),
        "out_of": _named(names.rungs, made.out_of),
        "into": _named(names.stages, made.way),
        "at": pl.Series(made.at).cast(INSTANT),
        "recorded_at": pl.Series([None], dtype=INSTANT).new_from_index(0, len(made.at)),
        "rule": _named(names.rules, made.way),
        "trigger": _named(names.kinds, made.way),
        "event_type": _named(names.types, made.trigger + 1),
        "event_source": frame["source"].gather(row),
        "event_id": frame["id"].gather(row).cast(pl.String),
        "event_seq": frame["seq"].gather(row),
    }
    return pl.DataFrame(columns).select(*MOVES)


def _deals(events: Arranged, folded: Folded, names: Names) -> pl.DataFrame:
    kept = np.flatnonzero(folded.number)
    deal, rung = folded.first + kept, folded.rung[kept]
    last = events.rows[events.first[deal] + events.length[deal] - 1]
    currencies = _texts([None, *events.told.currencies])
    columns = {
        "deal": _named(events.deals, deal),
        "stage": _named(names.rungs, rung),
        "status": _named(names.statuses, rung),
        "visit": pl.Series(folded.number[kept]),
        "entered_at": pl.Series(folded.entered_at[kept]).cast(INSTANT),
        "opened_at": pl.Series(folded.opened_at[kept]).cast(INSTANT),
        "closed_at": _instants(folded.closed_at[kept], NOTHING),
        "last_event_at": pl.Series(events.at[last]).cast(INSTANT),
        "due_at": _instants(folded.due_at[kept], NEVER),
        "lost_from": _named(names.rungs, folded.lost_from[kept]),
        "value": _money(folded.value[kept]),
        "currency": _named(currencies, folded.currency[kept] + 1),
    }
    return pl.DataFrame(columns).select(*FINAL)


def _texts(values: Sequence[str | None]) -> pl.Series:
    return pl.Series(values, dtype=CODES)


def _named(names: pl.Series, places: Numbers) -> pl.Series:
    """Return the names at these places, none of which is negative."""
    return names.gather(pl.Series(np.ascontiguousarray(places, np.uint32)))


def _instants(microseconds: Ints, missing: int) -> pl.Series:
    return _masked(microseconds, microseconds == missing).cast(INSTANT)


def _masked(numbers: Numbers, missing: Flags) -> pl.Series:
    series = pl.Series(np.ascontiguousarray(numbers))
    return series.set(pl.Series(missing), None) if missing.any() else series


def _money(value: Ints) -> pl.Series:
    """Return amounts as :data:`~ladderpipe.insight.tables.MONEY` has them."""
    unit = pl.lit(Decimal(1).scaleb(-MONEY_PLACES), pl.Decimal(38, MONEY_PLACES))
    whole = _masked(value, value == NOTHING).alias("value").to_frame()
    return whole.select((pl.col("value").cast(pl.Decimal(38, 0)) * unit).cast(MONEY)).to_series()

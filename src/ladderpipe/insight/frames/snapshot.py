"""How deals stand on a ladder at an instant: what every report begins with."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final, TypeAlias

import attrs
import polars as pl

from ...board.board import Board
from ...errors import DefinitionError
from ...model.clock import instant
from ..buckets.folder import ReplayedFolder
from ..bulk.outcome import Replayed
from ..words import Words, noted, said
from .from_board import tables as read
from .later import Later, then
from .rates import Rates, convert
from .schema import MONEY
from .tables import Tables

__all__ = [
    "CLOSED",
    "DAY",
    "Instant",
    "Period",
    "Source",
    "checked_confidence",
    "checked_period",
    "chosen_stages",
    "days",
    "in_order",
    "known_sum",
    "ladder",
    "lasting",
    "money_mean",
    "numbered",
    "refuse_unknown",
    "stage_labels",
    "standing",
    "unvalued",
]

DAY: Final = 86_400_000_000
"""Microseconds."""

CLOSED: Final = ("won", "lost")

Source: TypeAlias = Tables | Board | Replayed | ReplayedFolder
"""What reports are worked out from: a board, a replay, or tables of one or of an export."""

Instant: TypeAlias = dt.datetime | str
"""An instant with its time zone, or ISO 8601 text of one."""

Period: TypeAlias = tuple[Instant, Instant]
"""From an instant up to, not including, another."""


def standing(
    source: Source,
    as_of: Instant | None = None,
    rates: Rates | None = None,
    *,
    history: bool = False,
) -> Tables:
    """Return the tables of a board, or those given, as of an instant and in one currency.

    Args:
        history: whether the changes of value need to be in that currency, too.

    Raises:
        ClockError: the tables do not reach so far.
        RateError: a rate that is needed is missing.
    """
    tables = source if isinstance(source, Tables) else read(source)
    if as_of is not None and instant(as_of) != tables.as_of:
        tables = tables.at(as_of)
    tables = _with_what_counts(_without_merged(tables))
    return tables if rates is None else convert(tables, rates, history=history)


def _without_merged(tables: Tables) -> Tables:
    """Leave out deals that were merged into others: what became of them is told of those."""
    if all(stage.status != "merged" for stage in tables.stages):
        return tables

    def unmerged(table: pl.DataFrame) -> pl.DataFrame:
        merged = tables.deals.filter(pl.col("status") == "merged").select("deal")
        return table.join(merged, on="deal", how="anti", maintain_order="left")

    names = ("deals", "visits", "moves", "changes")
    kept: dict[str, Any] = {name: then(tables.raw(name), unmerged) for name in names}
    return attrs.evolve(tables, **kept)


def _with_what_counts(tables: Tables) -> Tables:
    """Leave out the visits that do not count; each of the others ends where the next begins."""
    visits = tables.raw("visits")
    if isinstance(visits, Later):
        return attrs.evolve(tables, visits=then(visits, _what_counts))
    return tables if _all_count(visits) else attrs.evolve(tables, visits=_what_counts(visits))


def _all_count(visits: pl.DataFrame) -> bool:
    return "counts" not in visits.columns or bool(visits["counts"].all())


def _what_counts(visits: pl.DataFrame) -> pl.DataFrame:
    if _all_count(visits):
        return visits
    ends = {"left_at": "entered_at", "into_stage": "stage", "left_by": "rule"}
    deal, stage = pl.col("deal"), pl.col("stage")
    return visits.filter("counts").with_columns(
        *(
            pl.when(deal == deal.shift(-1)).then(pl.col(began).shift(-1)).alias(end)
            for end, began in ends.items()
        ),
        from_stage=pl.when(deal == deal.shift(1)).then(stage.shift(1)),
    )


def lasting(visits: pl.DataFrame) -> pl.DataFrame:
    """Return the visits that durations are told of: those without length have none."""
    return visits.filter((pl.col("left_at") != pl.col("entered_at")).fill_null(True))


def ladder(tables: Tables) -> pl.DataFrame:
    """Return the stages, bottom first: ``stage``, ``rung``, ``status``, ``probability``."""
    return pl.DataFrame(
        [
            (stage.key, rung, stage.status, _exact(stage.probability))
            for rung, stage in enumerate(tables.stages)
        ],
        schema={
            "stage": pl.String,
            "rung": pl.Int64,
            "status": pl.String,
            "probability": MONEY,
        },
        orient="row",
    )


def _exact(probability: float | None) -> Decimal | None:
    return None if probability is None else Decimal(str(probability))


def stage_labels(tables: Tables) -> dict[str, Words]:
    """Return what the stages are called."""
    return {stage.key: said(stage.title_in("en"), stage.title_in("it")) for stage in tables.stages}


def in_order(table: pl.DataFrame, tables: Tables, *columns: str) -> pl.DataFrame:
    """Return the table sorted by columns, of which those that hold stages go by the ladder."""
    rungs = {stage.key: rung for rung, stage in enumerate(tables.stages)}
    stages = {"stage", "out_of", "into", "lost_from"}
    keys = [
        # Stages that the ladder does not know any more come last, after all that it knows.
        pl.col(name).replace_strict(rungs, default=len(rungs), return_dtype=pl.Int64)
        if name in stages
        else pl.col(name)
        for name in columns
    ]
    return table.sort(keys, nulls_last=True, maintain_order=True)


def chosen_stages(tables: Tables, chosen: str | list[str] | tuple[str, ...]) -> list[str]:
    """Return the keys of the stages that were asked for, in the order asked.

    Raises:
        DefinitionError: the ladder has no such stage.
    """
    known = [stage.key for stage in tables.stages]
    keys = [str(chosen)] if isinstance(chosen, str) else [str(key) for key in chosen]
    for key in keys:
        if key not in known:
            raise DefinitionError(
                f"{tables.pipeline!r} has no stage {key!r}, so there is nothing to report on it: "
                f"choose among {', '.join(known)}"
            )
    return keys


def refuse_unknown(name: str, choice: object, known: Iterable[object]) -> None:
    """Refuse an argument that is none of its definitions.

    Raises:
        DefinitionError: it is not.
    """
    names = list(known)
    if choice not in names:
        raise DefinitionError(
            f"{name}={choice!r} is no definition of this report: choose among "
            f"{', '.join(map(repr, names))}"
        )


def checked_confidence(confidence: float) -> float:
    """Return the confidence of an interval.

    Raises:
        DefinitionError: it does not lie between 0 and 1.
    """
    if not 0 < confidence < 1:
        raise DefinitionError(
            f"confidence={confidence!r} must lie between 0 and 1: write 0.95 for 95 %"
        )
    return confidence


def checked_period(tables: Tables, period: Period | None) -> tuple[dt.datetime, dt.datetime]:
    """Return the period as instants; left out, it is everything up to ``as_of``, inclusive.

    Raises:
        DefinitionError: it ends before it begins.
    """
    # The ends of time rather than None, so that every report compares in one way.
    if period is None:
        return dt.datetime.min.replace(tzinfo=dt.UTC), dt.datetime.max.replace(tzinfo=dt.UTC)
    start, end = instant(period[0]), instant(period[1])
    if end <= start:
        raise DefinitionError(
            f"a period from {start.isoformat()} to {end.isoformat()} holds no instant: "
            "give the earlier one first"
        )
    return start, end


def days(microseconds: str | pl.Expr) -> pl.Expr:
    """Return whole microseconds as days."""
    lasted = pl.col(microseconds) if isinstance(microseconds, str) else microseconds
    return lasted / DAY


def money_mean(value: pl.Expr) -> pl.Expr:
    """Return the mean of an amount, exact to the six decimals of money; null for none."""
    amounts = value.drop_nulls()
    # Polars works out the quotient of an empty group, too, before it drops it.
    number = amounts.len().clip(lower_bound=1).cast(MONEY)
    return pl.when(amounts.len() > 0).then(amounts.sum() / number)


def known_sum(value: str | pl.Expr) -> pl.Expr:
    """Return the sum of the amounts that are known; null where there are some and none is."""
    amounts = pl.col(value) if isinstance(value, str) else value
    return pl.when((amounts.count() > 0) | (amounts.len() == 0)).then(amounts.sum())


def numbered(frame: pl.DataFrame) -> pl.DataFrame:
    """Add ``number``: of the deal in a frame sorted by deal; whole numbers group faster."""
    return frame.with_columns(number=pl.col("deal").rle_id().cast(pl.Int64))


def unvalued(deals: pl.DataFrame) -> tuple[Words, ...]:
    """Return the note on deals whose value is not known; none if there are none."""
    return noted(
        deals["value"].null_count(),
        (
            "deal has no value; it is counted, and adds nothing to the money.",
            "deals have no value; they are counted, and add nothing to the money.",
        ),
        (
            "trattativa non ha valore: è contata, ma non aggiunge denaro.",
            "trattative non hanno valore: sono contate, ma non aggiungono denaro.",
        ),
    )

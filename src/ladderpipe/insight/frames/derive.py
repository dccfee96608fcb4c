"""Visits out of moves, and deals out of visits and changes: what follows from what.

Every table comes about here, wherever its moves are from, so that all of them agree. Moves have
to be sorted by deal and ``n``, changes by deal and instant.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, get_args

import polars as pl

from ...model.stage import Stage, Status
from .schema import DEALS, VISITS

__all__ = ["counting", "deals_of", "visits_of"]

_STATUS: Final = pl.Enum(get_args(Status))
_LAST: Final = (pl.col("deal") != pl.col("deal").shift(-1)).fill_null(True)
_FIRST: Final = (pl.col("deal") != pl.col("deal").shift(1)).fill_null(True)
_RUN: Final = (
    pl.when(_FIRST | (pl.col("status") != pl.col("status").shift(1)))
    .then(pl.int_range(pl.len()))
    .forward_fill()
)
"""For every visit, the number of the row at which its unbroken run of one status began."""


def visits_of(moves: pl.DataFrame) -> pl.DataFrame:
    """Return the stays that *moves* begin; each ends where its deal's next one begins."""
    ended = ~_LAST
    # Tables that were kept from before moves had it do without.
    seq = pl.col("event_seq") if "event_seq" in moves.columns else pl.lit(None, dtype=pl.Int64)
    visits = moves.select(
        "deal",
        "n",
        stage="into",
        entered_at="at",
        left_at=pl.when(ended).then(pl.col("at").shift(-1)),
        rule="rule",
        from_stage="out_of",
        into_stage=pl.when(ended).then(pl.col("into").shift(-1)),
        left_by=pl.when(ended).then(pl.col("rule").shift(-1)),
        event_seq=seq,
    )
    return visits.with_columns(counting(visits)).select(*VISITS).cast(pl.Schema(VISITS))


def counting(visits: pl.DataFrame) -> pl.Series:
    """Return ``counts``: which of all *visits* reports know; ``event_seq`` is what began them.

    One that ended within the instant in which it began does if events with different ``seq`` made
    it: otherwise only their ids, or a timer, decided that there was one at all. Where it led back
    into the stage that it came from, that stay was never left, and the next is none of its own.
    """
    seq = pl.col("event_seq")
    numbered = (seq != seq.shift(-1)).fill_null(False)
    lasts = (pl.col("left_at") != pl.col("entered_at")).fill_null(True)
    real = visits.select(counts=lasts | numbered).to_series()
    if real.all():
        return real
    known = visits.select("deal", "stage", real=real).with_columns(
        before=pl.when("real").then(pl.int_range(pl.len())).forward_fill().shift(1)
    )
    goes_on = (
        ~pl.col("real").shift(1)
        & (pl.col("deal").gather(pl.col("before")) == pl.col("deal"))
        & (pl.col("stage").gather(pl.col("before")) == pl.col("stage"))
    ).fill_null(False)
    return known.select(counts=pl.col("real") & ~goes_on).to_series()


def deals_of(visits: pl.DataFrame, changes: pl.DataFrame, stages: Sequence[Stage]) -> pl.DataFrame:
    """Return where the deals stand after their last visit and their last change.

    Closing and losing are noted as the fold does: ``closed_at`` is set on entering a closed
    stage, kept from won to won and null elsewhere; ``lost_from`` is the stage from which a deal
    went into its present row of lost stages.
    """
    rungs = visits["stage"].cast(pl.Enum([stage.key for stage in stages])).to_physical()
    status = pl.Series([stage.status for stage in stages], dtype=_STATUS).gather(rungs)
    first, last = _ends(visits)
    run = visits.select("deal", status=status).select(_run=_RUN).to_series().gather(last)
    won, lost = pl.col("status") == "won", pl.col("status") == "lost"
    merged = pl.col("status") == "merged"
    facts = changes[_ends(changes)[1]].rename({"at": "last_event_at"})
    return (
        visits.select("deal", "stage", "entered_at", visit="n", status=status)[last]
        .with_columns(
            opened_at=visits["entered_at"].gather(first),
            run_at=visits["entered_at"].gather(run),
            run_from=visits["from_stage"].gather(run),
        )
        .with_columns(
            closed_at=pl.when(won).then("run_at").when(lost | merged).then("entered_at"),
            lost_from=pl.when(lost).then("run_from"),
        )
        .join(facts, on="deal", how="left", maintain_order="left")
        .select(list(DEALS))
        .cast(pl.Schema(DEALS))
    )


def _ends(table: pl.DataFrame) -> tuple[pl.Series, pl.Series]:
    """Return the numbers of each deal's first row and of its last."""
    return (
        table.select(_FIRST.arg_true()).to_series(),
        table.select(_LAST.arg_true()).to_series(),
    )

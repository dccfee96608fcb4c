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

__all__ = ["deals_of", "visits_of"]

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
    return moves.select(
        "deal",
        "n",
        stage="into",
        entered_at="at",
        left_at=pl.when(ended).then(pl.col("at").shift(-1)),
        rule="rule",
        from_stage="out_of",
        into_stage=pl.when(ended).then(pl.col("into").shift(-1)),
        left_by=pl.when(ended).then(pl.col("rule").shift(-1)),
    ).cast(pl.Schema(VISITS))


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

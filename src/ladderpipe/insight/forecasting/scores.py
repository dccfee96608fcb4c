"""How good forecasts were: scores of probabilities, of intervals and of money.

Brier, G. W. (1950), "Verification of forecasts expressed in terms of probability", Monthly
Weather Review 78(1), 1-3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl

from ..reports.intervals import wilson

__all__ = ["brier", "calibration", "money_errors", "skill"]

BINS: Final = 10


def brier(forecasts: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """Return the mean of (``probability`` - ``won``)², by group, with the count ``forecasts``.

    0 is perfect; always saying a half is 0.25.
    """
    missed = (pl.col("probability") - pl.col("won").cast(pl.Float64)) ** 2
    return forecasts.group_by(keys).agg(
        pl.len().cast(pl.Int64).alias("forecasts"),
        missed.mean().alias("brier"),
        pl.col("probability").mean().alias("mean_probability"),
        pl.col("won").mean().alias("won_share"),
    )


def skill(score: pl.Expr, share: pl.Expr) -> pl.Expr:
    """Return by how much a score is better than that of knowing the share won beforehand.

    1 - Brier ÷ (share · (1 - share)): 1 is perfect, 0 as good as that constant, below it worse;
    null if all were won or none.
    """
    constant = share * (1 - share)
    return pl.when(constant > 0).then(1 - score / constant)


def calibration(forecasts: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """Return, for each tenth of probability, which share was won of the deals given one in it.

    Returns:
        A row per group and tenth that has any: ``bin`` (from 0), ``forecasts``,
        ``mean_probability``, ``won``, ``won_share`` and its interval, ``lower`` and ``upper``.
    """
    tenth = (pl.col("probability") * BINS).floor().clip(0, BINS - 1).cast(pl.Int64)
    counted = (
        forecasts.with_columns(bin=tenth)
        .group_by(*keys, "bin")
        .agg(
            pl.len().cast(pl.Int64).alias("forecasts"),
            pl.col("probability").mean().alias("mean_probability"),
            pl.col("won").sum().cast(pl.Int64),
        )
    )
    return (
        counted.with_columns(won_share=pl.col("won") / pl.col("forecasts"))
        .with_columns(wilson("won", "forecasts"))
        .sort(*keys, "bin")
    )


def money_errors(windows: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """Return how far the money forecast was from the money that came, by group.

    Args:
        windows: ``expected``, ``actual`` and the ends of the intervals, ``lower_80`` and so on.

    Returns:
        ``windows`` (how many) and ``intervals`` (how many of them had one), ``mean_error`` (of
        the absolute error), ``bias`` (of expected less actual: above zero, too much was
        promised), ``mean_actual``, ``covered_80`` and ``covered_95`` (the share of the intervals
        that held the money; null for none).
    """
    error = pl.col("expected").cast(pl.Float64) - pl.col("actual").cast(pl.Float64)
    return windows.group_by(keys).agg(
        pl.len().cast(pl.Int64).alias("windows"),
        pl.col("lower_80").count().cast(pl.Int64).alias("intervals"),
        error.abs().mean().alias("mean_error"),
        error.mean().alias("bias"),
        pl.col("actual").cast(pl.Float64).mean().alias("mean_actual"),
        *(
            pl.col("actual").is_between(f"lower_{share}", f"upper_{share}").mean()
            .alias(f"covered_{share}")
            for share in (80, 95)
        ),
    )  # fmt: skip

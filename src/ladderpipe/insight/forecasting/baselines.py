"""What a forecast has to beat: stage probabilities, constant shares, naive Bayes.

Each returns a row per deal and horizon: ``deal``, ``horizon``, ``won`` (null where it has nothing
to say) and ``variance`` (of ``won``, for want of history, where that is known).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl

from ...model.stage import Stage
from ..frames.snapshot import DAY
from .features import Outcome, Snapshot

__all__ = ["base_rate", "naive_bayes", "stage_probability", "win_rate"]

AGES: Final = (7, 14, 30, 60, 90, 180, 365)
"""Where the ages that naive Bayes tells apart begin, in days."""


def stage_probability(
    seen: Snapshot, horizons: Sequence[int], stages: Sequence[Stage]
) -> pl.DataFrame:
    """Give every deal the probability its stage was declared with, whatever the horizon."""
    declared = {stage.key: stage.probability for stage in stages}
    won = pl.col("stage").replace_strict(declared, default=None, return_dtype=pl.Float64)
    return _crossed(seen.deals.select("deal", won=won, variance=pl.lit(0.0)), horizons)


def win_rate(seen: Snapshot, horizons: Sequence[int], *, minimum: int) -> pl.DataFrame:
    """Give every deal the share of the decided deals that was won, whatever the horizon."""
    won, lost = seen.decided
    return _crossed(_constant(seen, won, won + lost, minimum), horizons)


def base_rate(
    seen: Snapshot, horizons: Sequence[int], past: Sequence[Outcome], *, minimum: int
) -> pl.DataFrame:
    """Give every deal the share of earlier snapshots' deals that was won within the horizon."""
    found = []
    for horizon in horizons:
        known = [one.deals["won"] for one in past if one.horizon == horizon]
        won, trials = sum(int(one.sum()) for one in known), sum(one.len() for one in known)
        found.append(_crossed(_constant(seen, won, trials, minimum), [horizon]))
    return pl.concat(found).sort("deal", "horizon")


def _constant(seen: Snapshot, successes: int, trials: int, minimum: int) -> pl.DataFrame:
    share = successes / trials if trials >= max(minimum, 1) else None
    spread = None if share is None else share * (1 - share) / trials
    return seen.deals.select(
        "deal",
        won=pl.lit(share, dtype=pl.Float64),
        variance=pl.lit(spread, dtype=pl.Float64),
    )


def _crossed(deals: pl.DataFrame, horizons: Sequence[int]) -> pl.DataFrame:
    asked = pl.DataFrame({"horizon": list(horizons)}, schema={"horizon": pl.Int64})
    crossed = deals.join(asked, how="cross").sort("deal", "horizon")
    return crossed.select("deal", "horizon", "won", "variance")


def naive_bayes(
    seen: Snapshot,
    horizons: Sequence[int],
    past: Sequence[Outcome],
    *,
    by: Sequence[str],
    minimum: int,
) -> pl.DataFrame:
    """Learn from earlier snapshots which stages, ages, bands (and so on) were won in time.

    P(won | x) is proportional to P(won) · Π P(x_i | won), each factor the share among the won
    with one added to every count (Laplace), the features taken as independent.

    Args:
        past: what became of earlier snapshots; of those of a horizon at least *minimum* deals.
    """
    features = ("stage", "aged", "band", *by)
    asked = _aged(seen.deals)
    found = []
    for horizon in horizons:
        known = [
            _aged(one.snapshot.deals).with_columns(won=one.deals["won"])
            for one in past
            if one.horizon == horizon
        ]
        taught = pl.concat(known) if known else None
        enough = taught is not None and taught.height >= max(minimum, 1)
        won = _posterior(taught, asked, features) if taught is not None and enough else None
        deals = seen.deals.select(
            "deal", won=pl.lit(None, pl.Float64) if won is None else won, variance=pl.lit(0.0)
        )
        found.append(_crossed(deals, [horizon]))
    return pl.concat(found).sort("deal", "horizon")


def _aged(deals: pl.DataFrame) -> pl.DataFrame:
    older = [(pl.col("age") >= days * DAY).cast(pl.Int64) for days in AGES]
    return deals.with_columns(aged=pl.sum_horizontal(older))


def _posterior(taught: pl.DataFrame, asked: pl.DataFrame, features: Sequence[str]) -> pl.Series:
    """Return the probability of being won that naive Bayes gives each row of *asked*."""
    yes, no = int(taught["won"].sum()), int((~taught["won"]).sum())
    odds = pl.Series([yes + 1]).log()[0] - pl.Series([no + 1]).log()[0]
    total = pl.repeat(odds, asked.height, dtype=pl.Float64, eager=True)
    for name in features:
        total = total + _evidence(taught, asked, name, yes, no)
    return (1 / (1 + (-total).exp())).alias("won")


def _evidence(taught: pl.DataFrame, asked: pl.DataFrame, name: str, yes: int, no: int) -> pl.Series:
    """Return by how much a feature's value moves the logarithm of the odds of being won."""
    kinds = taught[name].n_unique() + 1  # one for values that were never seen
    counts = taught.group_by(name).agg(
        yes=pl.col("won").sum().cast(pl.Float64), no=(~pl.col("won")).sum().cast(pl.Float64)
    )
    seen = asked.select(name).join(
        counts, on=name, how="left", nulls_equal=True, maintain_order="left"
    )
    return seen.select(
        ((pl.col("yes").fill_null(0.0) + 1) / (yes + kinds)).log()
        - ((pl.col("no").fill_null(0.0) + 1) / (no + kinds)).log()
    ).to_series()

"""When deals are won and when they are lost, with those still undecided censored: competing risks.

The estimate of Aalen and Johansen: Aalen, O. O. and Johansen, S. (1978), "An empirical transition
matrix for non-homogeneous Markov chains based on censored observations", Scandinavian Journal of
Statistics 5(3), 141-150. Which visits it is made from is said elsewhere.
"""

from __future__ import annotations

import polars as pl

from ..reports import kaplan_meier

__all__ = ["CAUSES", "aalen_johansen", "incidence_at"]

CAUSES = ("won", "lost")


def aalen_johansen(times: pl.DataFrame, group: str) -> pl.DataFrame:
    """Return the share that was won, and the share that was lost, by each duration, by group.

    The incidence of a cause is I(t) = Σ S(u-) · ended by it(u) / at risk(u) over the durations
    u <= t, where S is the Kaplan-Meier estimate of being undecided; so I of won, I of lost and S
    add up to 1. Several that end at one duration are counted together.

    Args:
        times: columns *group*, ``lasted`` (whole microseconds) and ``cause`` (``"won"``,
            ``"lost"``, or null: undecided when last seen).

    Returns:
        A row per group and duration, in order: ``at_risk``, ``undecided``, ``won``, ``lost``.
    """
    ended = times.with_columns(left=pl.col("cause").is_not_null())
    undecided = kaplan_meier.curve(ended, group).rename({"survival": "undecided"})
    counts = times.group_by(group, "lasted").agg(
        (pl.col("cause") == cause).sum().alias(cause) for cause in CAUSES
    )
    before = pl.col("undecided").shift(1, fill_value=1.0).over(group)
    return undecided.join(counts, on=[group, "lasted"], maintain_order="left").select(
        group,
        "lasted",
        "at_risk",
        "undecided",
        *(
            (before * pl.col(name) / pl.col("at_risk")).cum_sum().over(group).alias(name)
            for name in CAUSES
        ),
    )


def incidence_at(curves: pl.DataFrame, group: str, asked: pl.DataFrame) -> pl.DataFrame:
    """Return *asked* (columns *group*, ``lasted``) with ``undecided``, ``won`` and ``lost``.

    Beyond the last duration of a group the curves stay where they are: whether it was followed
    so far is for the caller to know.
    """
    steps = curves.drop("at_risk").sort("lasted")
    found = asked.sort("lasted").join_asof(
        steps, on="lasted", by=group, strategy="backward", check_sortedness=False
    )
    return found.with_columns(pl.col("undecided").fill_null(1.0), pl.col(*CAUSES).fill_null(0.0))

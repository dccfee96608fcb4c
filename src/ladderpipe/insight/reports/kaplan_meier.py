"""How long things last when some have not ended yet: the Kaplan-Meier estimate, in Polars.

Kaplan, E. L. and Meier, P. (1958), "Nonparametric estimation from incomplete observations",
Journal of the American Statistical Association 53(282), 457-481. It is worked out here rather than
by ``lifelines``, which agrees to 1e-9, because millions of visits are first counted by duration.
"""

from __future__ import annotations

from collections.abc import Iterable
from statistics import NormalDist

import polars as pl

__all__ = ["curve", "quantiles", "steps", "survival_at"]

ROUNDING = 1e-12
"""By how much a survival of exactly one half may miss it in floating point."""

FEW = 8
"""Up to so many groups one by one are faster than all at once: nothing is looked up by row."""


def curve(times: pl.DataFrame, group: str, *, confidence: float = 0.95) -> pl.DataFrame:
    """Return the share that has lasted longer than each duration, by group.

    S(t) is the product over the durations u <= t of ``1 - left(u) / at_risk(u)``. The band is the
    exponential ("log-log") form of Greenwood's: ``S ** exp(±z·√V / ln S)``, V being the sum of
    ``left / (at_risk · (at_risk - left))``; it stays between 0 and 1.

    Args:
        times: columns *group*, ``lasted`` (whole microseconds), ``left`` (whether it ended then;
            otherwise it was still going on: censored) and, if there is one, ``weight`` (how many
            such there are).
        confidence: of the band at each duration, pointwise.

    Returns:
        A row per group and duration, in order: ``at_risk``, ``left``, ``survival``, ``lower``,
        ``upper``. At a duration at which only censored ones end, ``left`` is 0.
    """
    counted = _counted(times, group).sort(group, "lasted")
    columns = (group, "lasted", "at_risk", "left", "survival", "lower", "upper")
    if counted[group].n_unique() > FEW:
        return _estimate(counted, confidence, group).select(columns)
    estimated = [_estimate(one, confidence) for one in counted.partition_by(group)]
    return pl.concat(estimated or [_estimate(counted, confidence)]).select(columns)


def _estimate(counted: pl.DataFrame, confidence: float, group: str | None = None) -> pl.DataFrame:
    """Return the curves of groups, or of the one there is, counted by duration and sorted by it."""

    def each(running: pl.Expr) -> pl.Expr:
        return running if group is None else running.over(group)

    hazards = counted.with_columns(
        at_risk=each(pl.col("ended").cum_sum(reverse=True))
    ).with_columns(
        kept=1 - pl.col("left") / pl.col("at_risk"),
        variance=pl.col("left") / (pl.col("at_risk") * (pl.col("at_risk") - pl.col("left"))),
    )
    # Where all at risk leave, Greenwood's term is infinite; S is 0 and has no band anyway.
    finite = pl.when(pl.col("kept") > 0).then("variance").otherwise(0.0)
    return hazards.with_columns(
        survival=each(pl.col("kept").cum_prod()), variance=each(finite.cum_sum())
    ).with_columns(_band(confidence))


def _counted(times: pl.DataFrame, group: str) -> pl.DataFrame:
    weight = pl.col("weight") if "weight" in times.columns else pl.lit(1)
    left = (pl.col("left").cast(pl.Int64) * weight).sum()
    ended = pl.len() if "weight" not in times.columns else weight.sum()
    return times.group_by(group, "lasted").agg(left=left, ended=ended.cast(pl.Int64))


def _band(confidence: float) -> tuple[pl.Expr, pl.Expr]:
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    log = pl.col("survival").log()
    spread = z * pl.col("variance").sqrt() / log
    certain = (pl.col("survival") >= 1) | (pl.col("survival") <= 0)

    def bound(sign: int) -> pl.Expr:
        power = pl.col("survival") ** (sign * spread).exp()
        return pl.when(certain).then("survival").otherwise(power)

    return bound(-1).alias("lower"), bound(1).alias("upper")


def quantiles(
    curves: pl.DataFrame, group: str, shares: Iterable[float], bound: str = "survival"
) -> pl.DataFrame:
    """Return, by group, after how many microseconds each share has left: ``q50`` for a half.

    The quantile is the first duration at which the curve is at or below ``1 - share``; null where
    it never comes down so far, because too many are still going on.

    Args:
        curves: what :func:`curve` returned.
        shares: between 0 and 1.
        bound: read another line of the curve: the quantile of ``lower`` is the lower end of the
            quantile's confidence interval, that of ``upper`` the upper end.
    """
    return curves.group_by(group).agg(
        pl.col("lasted")
        .filter((pl.col(bound) <= 1 - share + ROUNDING) & (pl.col("survival") < 1))
        .min()
        .alias(f"q{round(100 * share)}")
        for share in shares
    )


def steps(curves: pl.DataFrame, most: int) -> pl.DataFrame:
    """Return the curve of one group by its own steps, from 1 at duration 0 to the longest seen.

    Each row is where the curve comes down, and what it comes down to; it is level between them.
    Of more than *most* steps those stay at which it passes another of *most* equal parts, so that
    a curve drawn by them is nowhere further off than one part.
    """
    ordered = curves.sort("lasted").drop("left")
    fallen = ordered.filter(pl.col("survival") < pl.col("survival").shift(1, fill_value=1.0))
    if fallen.height > most:
        part = (pl.col("survival") * most).ceil()
        fallen = fallen.filter(part < part.shift(1, fill_value=float(most + 1)))
    begin = ordered.head(1).with_columns(
        pl.lit(0, dtype=pl.Int64).alias("lasted"),
        *(pl.lit(1.0).alias(name) for name in ("survival", "lower", "upper")),
    )
    rows = pl.concat([begin, fallen, ordered.tail(1)])
    return rows.unique(["lasted", "survival"], keep="first").sort(
        "lasted", "survival", descending=[False, True]
    )


def survival_at(curves: pl.DataFrame, instants: pl.Series) -> pl.DataFrame:
    """Return the curve of one group read at the given durations (whole microseconds, ascending).

    ``at_risk`` is how many had neither left nor been censored before that duration. The survival
    is 1 before the first duration seen.
    """
    asked = pl.DataFrame({"lasted": instants.cast(pl.Int64)})
    before = asked.join_asof(
        curves.sort("lasted").drop("at_risk", "left"), on="lasted", strategy="backward"
    ).with_columns(pl.col("survival", "lower", "upper").fill_null(1.0))
    ahead = curves.sort("lasted").select("lasted", "at_risk")
    return before.join_asof(ahead, on="lasted", strategy="forward").with_columns(
        pl.col("at_risk").fill_null(0)
    )

"""How far chance alone may have moved a share."""

from __future__ import annotations

from statistics import NormalDist

import polars as pl

__all__ = ["wilson"]


def wilson(successes: str, trials: str, confidence: float = 0.95) -> list[pl.Expr]:
    """Return the ends of the score interval of a share, ``lower`` and ``upper``.

    With p = successes/n and z the normal quantile:
    (p + z²/2n ± z √(p(1-p)/n + z²/4n²)) / (1 + z²/n); null for no trials. Wilson, E. B. (1927),
    "Probable inference, the law of succession, and statistical inference", Journal of the
    American Statistical Association 22(158), 209-212.
    """
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    n = pl.when(pl.col(trials) > 0).then(pl.col(trials))
    share = pl.col(successes) / n
    centre = share + z**2 / (2 * n)
    spread = z * (share * (1 - share) / n + z**2 / (4 * n**2)).sqrt()
    whole = 1 + z**2 / n
    return [
        ((centre - spread) / whole).clip(0, 1).alias("lower"),
        ((centre + spread) / whole).clip(0, 1).alias("upper"),
    ]

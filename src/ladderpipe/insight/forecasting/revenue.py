"""From the probabilities of single deals to the money of all of them, with an interval.

What one deal brings is its value or nothing, so the sum is drawn many times; how uncertain the
probabilities themselves are is drawn with it, one way for all deals of a stage at a time, since
they rest on the same history. What the past has shown beyond that (deals that are won or lost
together: a season, a price rise) widens the interval.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Final

import attrs
import numpy as np
import numpy.typing as npt
import polars as pl

from .features import Snapshot

__all__ = ["COVERAGES", "WINDOWS", "Money", "Replayed", "drawn", "student", "widened"]

COVERAGES: Final = (0.8, 0.95)
"""How often each interval should hold the money that came."""

CELLS: Final = 4_000_000
"""How many single draws are held at once."""

WINDOWS: Final = 3
"""With fewer past windows to test them by, no interval is given."""


@attrs.frozen
class Money:
    """What a snapshot's deals in one currency are expected to bring within a horizon.

    Attributes:
        deals: how many are in the currency; ``wins``: Σ probability over those that have one.
        forecast_of: how many have a value and a probability; the rest of the figures is of these.
        value: what they are worth together; ``expected``: Σ probability · value.
        deviation: of the draws.
        ends: lower and upper end by coverage; none where too few past windows test them.
        tested: how many past windows the ends were widened by.
    """

    horizon: int
    currency: str | None
    deals: int
    forecast_of: int
    value: float
    wins: float | None
    expected: float | None
    deviation: float
    ends: Mapping[float, tuple[float, float]]
    tested: int = 0


@attrs.frozen
class Replayed:
    """A past forecast of money beside what came."""

    money: Money
    actual: float

    @property
    def excess(self) -> float | None:
        """By how much more than chance explains it missed, squared, as a share of what it said.

        ((actual - expected)² - deviation²) / expected²; below zero if it missed by less. ``None``
        if the forecast said nothing, or nothing was expected.
        """
        if not self.money.expected:
            return None
        missed = (self.actual - self.money.expected) ** 2 - self.money.deviation**2
        return float(missed / self.money.expected**2)


@attrs.frozen(eq=False)
class _Holding:
    """The deals of a snapshot in one currency that have a value and a probability."""

    horizon: int
    currency: str | None
    deals: int
    wins: float | None
    won: npt.NDArray[np.float64]
    deviation: npt.NDArray[np.float64]
    value: npt.NDArray[np.float64]
    rows: npt.NDArray[np.int64]
    stages: npt.NDArray[np.int64]


def drawn(
    seen: Snapshot, estimates: pl.DataFrame, horizons: Sequence[int], *, draws: int, seed: int
) -> list[Money]:
    """Return what a snapshot's deals are expected to bring, by horizon and currency.

    Args:
        estimates: per deal and horizon ``won`` and ``variance``.
        draws: how many times the sum is drawn.
        seed: the same one gives the same draws, for every method and horizon.
    """
    holdings = list(_holdings(seen, estimates, horizons))
    sums = _sums(holdings, seen, draws, seed)
    return [_money(holding, drawn) for holding, drawn in zip(holdings, sums, strict=True)]


def _holdings(
    seen: Snapshot, estimates: pl.DataFrame, horizons: Sequence[int]
) -> Sequence[_Holding]:
    numbered = seen.deals.with_row_index("row").with_columns(
        code=pl.col("stage").rank("dense").cast(pl.Int64) - 1
    )
    found = []
    for horizon in horizons:
        known = estimates.filter(horizon=horizon).select("deal", "won", "variance")
        all_deals = numbered.join(known, on="deal", how="left", maintain_order="left")
        for (currency,), deals in sorted(
            all_deals.group_by(["currency"], maintain_order=True), key=lambda one: str(one[0][0])
        ):
            held = deals.drop_nulls(["won", "value"])
            found.append(
                _Holding(
                    horizon=horizon,
                    currency=None if currency is None else str(currency),
                    deals=deals.height,
                    wins=_sum(deals["won"]),
                    won=held["won"].to_numpy(),
                    deviation=held["variance"].fill_null(0.0).sqrt().to_numpy(),
                    value=held["value"].cast(pl.Float64).to_numpy(),
                    rows=held["row"].cast(pl.Int64).to_numpy(),
                    stages=held["code"].to_numpy(),
                )
            )
    return found


def _sum(known: pl.Series) -> float | None:
    return float(known.sum()) if known.count() else None


def _sums(
    holdings: Sequence[_Holding], seen: Snapshot, draws: int, seed: int
) -> list[npt.NDArray[np.float64]]:
    """Draw the sum of each holding; a deal that is won early is won in the longer horizon too."""
    chance = np.random.default_rng(seed)
    stages = seen.deals["stage"].n_unique()
    # One shift a stage: deals of a stage rest on one history, which errs for all of them alike.
    shifts = chance.standard_normal((stages, draws))
    sums = [np.zeros(draws) for _ in holdings]
    step = max(1, CELLS // max(seen.deals.height, 1))
    for start in range(0, draws, step):
        part = slice(start, min(start + step, draws))
        # The same luck for every horizon: whoever is won within 30 days is won within 60, too.
        luck = chance.random((seen.deals.height, part.stop - part.start))
        for holding, total in zip(holdings, sums, strict=True):
            moved = shifts[holding.stages, part] * holding.deviation[:, None]
            won = luck[holding.rows] < holding.won[:, None] + moved
            total[part] = holding.value @ won
    return sums


def _money(holding: _Holding, sums: npt.NDArray[np.float64]) -> Money:
    total = float(holding.value.sum())
    # Sums of floats may come out a hair above the whole.
    mean = min(float(holding.value @ holding.won), total)
    return Money(
        horizon=holding.horizon,
        currency=holding.currency,
        deals=holding.deals,
        forecast_of=int(holding.won.size),
        value=total,
        wins=holding.wins,
        expected=mean if holding.won.size else None,
        deviation=float(sums.std()),
        ends={share: _ends(sums, share) for share in COVERAGES},
    )


def _ends(sums: npt.NDArray[np.float64], share: float) -> tuple[float, float]:
    lower, upper = np.quantile(sums, [(1 - share) / 2, (1 + share) / 2])
    return float(lower), float(upper)


def widened(money: Money, past: Sequence[Replayed]) -> Money:
    """Return the forecast with its ends as far apart as past forecasts need.

    What moves many deals at once is taken as a factor on the whole sum, of variance τ²: the mean
    excess of the k past windows, zero if that is below zero. Each half d of the interval becomes
    √(d² + (t · τ · expected)²), t being the quantile of Student's distribution with k degrees of
    freedom. The ends stay between nothing and all that the deals are worth.
    """
    missed = [excess for one in past if (excess := one.excess) is not None]
    if money.expected is None or len(missed) < WINDOWS:
        return attrs.evolve(money, ends={}, tested=len(missed))
    shared = money.expected * max(0.0, sum(missed) / len(missed)) ** 0.5
    ends = {}
    for share, (lower, upper) in money.ends.items():
        # Student's and not the normal quantile: τ is estimated from a handful of windows.
        common = shared * student((1 + share) / 2, len(missed))
        below = math.hypot(max(0.0, money.expected - lower), common)
        above = math.hypot(max(0.0, upper - money.expected), common)
        ends[share] = (max(0.0, money.expected - below), min(money.value, money.expected + above))
    return attrs.evolve(money, ends=ends, tested=len(missed))


def student(share: float, freedom: int) -> float:
    """Return a quantile of Student's distribution, to about 1 % from three degrees of freedom on.

    Abramowitz, M. and Stegun, I. A. (1964), "Handbook of Mathematical Functions", 26.7.5.
    """
    z = NormalDist().inv_cdf(share)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / float(freedom**power) for power, term in enumerate(terms, start=1))

"""Forecast from the ladder's own history: what became of visits that had lasted as long.

For a deal that has been in a stage for so long, the visits to that stage that lasted longer are
followed from that age on, through whatever stages came next, until the deal was won or lost. This
is the landmark form of the Aalen-Johansen estimate: Putter, H. and Spitoni, C. (2018),
"Non-parametric estimation of transition probabilities in non-Markov multi-state models: the
landmark Aalen-Johansen estimator", Statistical Methods in Medical Research 27(7), 2081-2092. On a
ladder with one stage it is (I(a+h) - I(a)) / S(a).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl

from ..frames.snapshot import DAY
from .competing_risks import CAUSES, aalen_johansen, incidence_at
from .features import Snapshot

__all__ = ["from_history"]

LANDMARKS: Final = 64
ROWS: Final = 4_000_000
"""How many followed visits are laid out at once."""


def from_history(
    seen: Snapshot, horizons: Sequence[int], *, by: Sequence[str], minimum: int
) -> pl.DataFrame:
    """Return the probability of being won, and lost, within each horizon, deal by deal.

    The estimate of a stage at an age is drawn towards by those of its value band and then of each
    further column, a finer one weighing n / (n + *minimum*), where n is how many of its visits
    lasted longer and began early enough to be watched to the longest horizon.

    Args:
        horizons: in days, ascending.
        minimum: below so many such visits to a stage, or so many decided ones, nothing is said;
            a deal older than so many ever were is taken as of the oldest age that so many were.

    Returns:
        A row per deal and horizon: ``deal``, ``horizon``, ``won``, ``lost``, ``variance`` (of
        won, for want of history), ``watched`` (n of the stage) and ``older`` (whether its age
        was taken as less); the probabilities are null where nothing is said.
    """
    reach = _reach(seen.visits, horizons, minimum)
    deals = _landmarked(seen.deals, _oldest(seen.visits, reach, minimum))
    visits = seen.visits.join(reach, on="stage")
    rows = deals.join(pl.DataFrame({"horizon": list(horizons)}), how="cross")
    blended: pl.DataFrame | None = None
    for number in range(len(by) + 2):
        keys = ["stage", *["band", *by][:number]]
        finer = _estimated(visits, deals.select(*keys, "landmark").unique(), keys, horizons)
        found = rows.join(
            finer, on=[*keys, "landmark", "horizon"], how="left", nulls_equal=True
        ).sort("deal", "horizon")
        blended = _first(found) if blended is None else _blended(blended, found, minimum)
    assert blended is not None
    return _told(blended)


def _reach(visits: pl.DataFrame, horizons: Sequence[int], minimum: int) -> pl.DataFrame:
    """Return, by stage, the longest horizon that enough visits could be watched for."""
    enough = [
        pl.when((pl.col("watched") >= days * DAY).sum() >= minimum).then(days * DAY)
        for days in horizons
    ]
    decided = pl.col("cause").count() >= minimum
    reach = pl.max_horizontal(enough).cast(pl.Int64)
    return (
        visits.group_by("stage")
        .agg(reach=reach, decided=decided)
        .filter(pl.col("decided"), pl.col("reach").is_not_null())
        .drop("decided")
    )


def _oldest(visits: pl.DataFrame, reach: pl.DataFrame, minimum: int) -> pl.DataFrame:
    """Return, by stage, the oldest age at which enough visits were still there and watched on."""
    followed = visits.join(reach, on="stage").select(
        "stage", "reach", until=pl.min_horizontal("stay", pl.col("watched") - pl.col("reach") + 1)
    )
    oldest = pl.col("until").top_k(minimum).min() - 1
    found = followed.group_by("stage").agg(oldest=oldest, reach=pl.col("reach").first())
    return found.filter(pl.col("oldest") >= 0)


def _landmarked(deals: pl.DataFrame, oldest: pl.DataFrame) -> pl.DataFrame:
    """Add ``landmark``: of the at most so many ages of a stage, the next not above the deal's."""
    # At most LANDMARKS ages a stage: each landmark follows all visits anew, and ages that lie close
    # together follow almost the same ones.
    capped = deals.join(oldest, on="stage", how="left", maintain_order="left").with_columns(
        capped=pl.when(pl.col("oldest").is_not_null()).then(pl.min_horizontal("age", "oldest"))
    )
    ages = pl.col("capped").n_unique().over("stage")
    part = (pl.col("capped").rank("dense").over("stage") - 1).cast(pl.Int64) * LANDMARKS // ages
    exact = pl.when(ages <= LANDMARKS).then("capped").otherwise(part)
    return capped.with_columns(part=exact).with_columns(
        # The lowest age of its part: rounded up, a deal would be taken for older than it is.
        landmark=pl.col("capped").min().over("stage", "part"),
        older=pl.col("age") > pl.col("oldest"),
    )


def _estimated(
    visits: pl.DataFrame, cells: pl.DataFrame, keys: Sequence[str], horizons: Sequence[int]
) -> pl.DataFrame:
    """Return won and lost within each horizon, and n, for every cell: group and landmark."""
    sizes = visits.group_by(keys).len("size")
    marked = (
        cells.drop_nulls("landmark")
        .join(sizes, on=keys, nulls_equal=True)
        .with_row_index("mark")
        # Landmarks times visits would not fit into memory at once.
        .with_columns(part=pl.col("size").cum_sum() // ROWS)
    )
    columns = (*keys, "stay", "lasted", "watched", "reach", "cause")
    parts = [
        _followed_on(part.join(visits.select(columns), on=keys, nulls_equal=True), horizons)
        for part in marked.partition_by("part")
    ]
    empty = pl.DataFrame(
        schema={"mark": pl.UInt32, "horizon": pl.Int64}
        | dict.fromkeys(CAUSES, pl.Float64)
        | {"n": pl.Int64}
    )
    found = pl.concat([empty, *parts])
    return marked.join(found, on="mark").select(*keys, "landmark", "horizon", *CAUSES, "n")


def _followed_on(visits: pl.DataFrame, horizons: Sequence[int]) -> pl.DataFrame:
    there = visits.filter(pl.col("stay") > pl.col("landmark"))
    on = there.select("mark", "cause", lasted=pl.col("lasted") - pl.col("landmark"))
    # Visits that began too late to be watched to the end say little, and do not count for n.
    long_enough = pl.col("watched") >= pl.col("landmark") + pl.col("reach")
    n = there.group_by("mark").agg(n=long_enough.sum().cast(pl.Int64))
    asked = n.join(pl.DataFrame({"horizon": list(horizons)}), how="cross").with_columns(
        lasted=pl.col("horizon") * DAY
    )
    read = incidence_at(aalen_johansen(on, "mark"), "mark", asked)
    return read.select("mark", "horizon", *CAUSES, "n")


def _first(found: pl.DataFrame) -> pl.DataFrame:
    # Beyond what was watched, the curve would be drawn on as if nothing happened any more.
    within = pl.col("horizon") * DAY <= pl.col("reach")
    known = found.with_columns(pl.when(within).then(pl.col(*CAUSES)))
    return known.with_columns(watched=pl.col("n"), variance=_binomial())


def _binomial() -> pl.Expr:
    return pl.col("won") * (1 - pl.col("won")) / pl.max_horizontal(pl.col("n"), pl.lit(1))


def _blended(coarser: pl.DataFrame, finer: pl.DataFrame, minimum: int) -> pl.DataFrame:
    """Draw a finer group's figures towards the coarser one's, the more so the fewer they are."""
    n = finer["n"].fill_null(0)
    weight = n / (n + minimum)
    moved = {
        name: weight * finer[name].fill_null(0.0) + (1 - weight) * coarser[name] for name in CAUSES
    }
    spread = finer.select(_binomial().fill_null(0.0)).to_series()
    # As if they were independent, though the coarser holds the finer's visits, too: what that
    # leaves out of the interval, the past windows put back.
    variance = weight**2 * spread + (1 - weight) ** 2 * coarser["variance"]
    return coarser.with_columns(**moved, variance=variance)


def _told(blended: pl.DataFrame) -> pl.DataFrame:
    return blended.select(
        "deal",
        pl.col("horizon").cast(pl.Int64),
        *CAUSES,
        "variance",
        pl.col("watched").fill_null(0),
        pl.col("older").fill_null(False),
    )

"""Ladders whose deals are won and lost at known rates, so that what a forecast says has a truth."""

from __future__ import annotations

import datetime as dt
import math

import attrs
import numpy as np
import polars as pl

from ladderpipe import Stage
from ladderpipe.insight.frames.derive import deals_of, visits_of
from ladderpipe.insight.frames.schema import CHANGES, MOVES
from ladderpipe.insight.frames.tables import Tables

START = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)

STAGES = (
    Stage("working", probability=0.5),
    Stage("won", status="won"),
    Stage("lost", status="lost"),
)


@attrs.frozen
class World:
    """Deals that open evenly and, each day, are won and lost with fixed probabilities.

    Attributes:
        season: by how much a month's wins vary, all deals together: the standard deviation of
            the logarithm of a factor drawn for every thirty days.
    """

    deals: int = 300
    days: int = 400
    won: float = 0.01
    lost: float = 0.01
    season: float = 0.0

    def share_won(self, horizon: int) -> float:
        """Return the probability that an undecided deal is won within so many days."""
        ended = self.won + self.lost
        return self.won / ended * (1 - (1 - ended) ** horizon)

    def lived(self, seed: int) -> Tables:
        """Return one history of it."""
        chance = np.random.default_rng(seed)
        factor = np.exp(self.season * chance.standard_normal(math.ceil(self.days / 30)))
        daily = np.minimum(self.won * np.repeat(factor, 30)[: self.days], 0.5)
        opened = np.sort(chance.integers(0, self.days, self.deals))
        luck = chance.random((self.deals, self.days))
        alive = np.arange(self.days) > opened[:, None]
        won, ended = alive & (luck < daily), alive & (luck < daily + self.lost)
        closed = np.where(ended.any(axis=1), ended.argmax(axis=1), -1)
        wins = np.take_along_axis(won, np.maximum(closed, 0)[:, None], axis=1)[:, 0]
        values = chance.integers(1, 50, self.deals) * 100
        return _tables(opened, closed, wins, values, self.days)


def _tables(
    opened: np.ndarray, closed: np.ndarray, won: np.ndarray, values: np.ndarray, days: int
) -> Tables:
    deals = pl.DataFrame(
        {"opened": opened, "closed": closed, "won": won, "value": values}
    ).with_columns(deal=pl.format("deal-{}", pl.int_range(pl.len()).cast(pl.String).str.zfill(6)))
    openings = deals.select("deal", n=1, into=pl.lit("working"), day="opened")
    closings = deals.filter(pl.col("closed") >= 0).select(
        "deal",
        n=2,
        out_of=pl.lit("working"),
        into=pl.when("won").then(pl.lit("won")).otherwise(pl.lit("lost")),
        day="closed",
    )
    moved = pl.concat([openings, closings], how="diagonal").with_columns(
        at=pl.lit(START) + pl.duration(days="day"), rule=pl.lit("told"), trigger=pl.lit("event")
    )
    moves = _framed(moved, MOVES).sort("deal", "n")
    changed = deals.select(
        "deal", "value", at=pl.lit(START) + pl.duration(days="opened"), currency=pl.lit("EUR")
    )
    changes = _framed(changed, CHANGES).sort("deal", "at")
    visits = visits_of(moves)
    return Tables(
        pipeline="hazards",
        stages=STAGES,
        as_of=START + dt.timedelta(days=days),
        deals=deals_of(visits, changes, STAGES),
        visits=visits,
        moves=moves,
        changes=changes,
    )


def _framed(frame: pl.DataFrame, schema: dict[str, pl.DataType]) -> pl.DataFrame:
    missing = [pl.lit(None).alias(name) for name in schema if name not in frame.columns]
    return frame.with_columns(missing).select(list(schema)).cast(pl.Schema(schema))

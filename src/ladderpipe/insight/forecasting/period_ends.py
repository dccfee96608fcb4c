"""The past as it looked from the ends of its months, and forecasts made from there.

A forecast as of an instant is given what was known by then and nothing else: the tables cut
there, and what had become of earlier snapshots by then.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Final, Literal

import attrs
import polars as pl

from ..frames.rates import Rates
from ..frames.snapshot import standing
from ..frames.tables import Tables
from ..reports.groups import begin
from .features import Outcome, Snapshot, outcome, snapshot
from .methods import Method, Plan, estimated
from .revenue import Money, Replayed, drawn, widened

__all__ = [
    "Every",
    "Look",
    "Past",
    "beside_what_came",
    "calibrated",
    "looked",
    "period_ends",
    "recall",
]

Every = Literal["week", "month", "quarter"]

_STEPS: Final = {"week": "1w", "month": "1mo", "quarter": "1q"}


@attrs.frozen(eq=False)
class Past:
    """Snapshots of the past, oldest first, and what had become of them."""

    snapshots: tuple[Snapshot, ...]
    outcomes: tuple[Outcome, ...]

    def known_by(self, at: dt.datetime) -> list[Outcome]:
        """Return the outcomes that were known at an instant."""
        return [one for one in self.outcomes if one.known_at <= at]


@attrs.frozen(eq=False)
class Look:
    """A forecast of a snapshot's deals: one by one, and their money, not widened."""

    snapshot: Snapshot
    estimates: pl.DataFrame
    money: tuple[Money, ...]


def period_ends(tables: Tables, every: Every, zone: str) -> list[dt.datetime]:
    """Return the last microseconds of the months (weeks, …) before the tables' end, ascending.

    Raises:
        DefinitionError: there is no such time zone.
    """
    if tables.moves.is_empty():
        return []
    first = tables.moves.select(begin(pl.col("at").min(), every, zone)).item()
    days = pl.date_range(first, tables.as_of.date(), _STEPS[every], eager=True)
    # A month may begin in an hour that clocks skip, in zones that change at midnight: left out.
    starts = days.cast(pl.Datetime("us")).dt.replace_time_zone(zone, non_existent="null")
    # The last microsecond before: what happens at midnight belongs to the new month.
    ends = starts.drop_nulls().dt.convert_time_zone("UTC") - dt.timedelta(microseconds=1)
    opened = tables.moves["at"].min()
    return ends.filter((ends >= opened) & (ends < tables.as_of)).to_list()


def recall(
    source: Tables, ends: Iterable[dt.datetime], plan: Plan, rates: Rates | None = None
) -> Past:
    """Return what was known at each of the instants, and what became of it."""
    snapshots = tuple(snapshot(standing(source, at, rates), plan.by) for at in ends)
    outcomes = []
    for horizon in plan.horizons:
        for seen in snapshots:
            then = seen.at + dt.timedelta(days=horizon)
            if then <= source.as_of:
                reached = source if rates is None else standing(source, then, rates)
                outcomes.append(outcome(reached, seen, horizon))
    return Past(snapshots, tuple(one for one in outcomes if one is not None))


def looked(method: Method, seen: Snapshot, past: Past, plan: Plan) -> Look:
    """Forecast a snapshot's deals by what was known when it was taken."""
    known = past.known_by(seen.at)
    estimates = estimated(method, seen, known, plan)
    money = drawn(seen, estimates, plan.horizons, draws=plan.draws, seed=plan.seed)
    return Look(seen, estimates, tuple(money))


def beside_what_came(looks: Sequence[Look], past: Past) -> list[tuple[Outcome, Replayed]]:
    """Return past forecasts of money beside the money that came, each with its outcome."""
    by_instant = {look.snapshot.at: look for look in looks}
    found = []
    for one in past.outcomes:
        look = by_instant[one.snapshot.at]
        came = _came(look, one)
        found += [
            (one, Replayed(money, came.get(money.currency, 0.0)))
            for money in look.money
            if money.horizon == one.horizon
        ]
    return found


def _came(look: Look, one: Outcome) -> dict[str | None, float]:
    """Return the money that the deals with a value and a probability had brought, by currency."""
    said = look.estimates.filter(horizon=one.horizon).drop_nulls("won").select("deal")
    deals = look.snapshot.deals.select("deal", "currency", "value").drop_nulls("value")
    brought = deals.join(said, on="deal", how="semi").join(
        one.deals.select("deal", "revenue"), on="deal"
    )
    sums = brought.group_by("currency").agg(pl.col("revenue").sum().cast(pl.Float64))
    return dict(sums.iter_rows())


def calibrated(
    money: Iterable[Money], at: dt.datetime, past: Sequence[tuple[Outcome, Replayed]]
) -> list[Money]:
    """Return forecasts made at an instant, widened by those that were known to have missed."""
    return [
        widened(
            one,
            [
                test
                for earlier, test in past
                if earlier.known_at <= at
                and (test.money.horizon, test.money.currency) == (one.horizon, one.currency)
            ],
        )
        for one in money
    ]

"""What is known of deals at an instant, and what had become of them so many days later.

Everything here reads no further than the instant it is asked about.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Final

import attrs
import polars as pl

from ...errors import DefinitionError
from ..frames.schema import DEALS, INSTANT, MONEY
from ..frames.snapshot import CLOSED
from ..frames.tables import Tables

__all__ = ["Outcome", "Snapshot", "opened_since", "outcome", "snapshot"]

BANDS: Final = 3
_DATED: Final = ("owner", "source")


@attrs.frozen(eq=False)
class Snapshot:
    """What is known at an instant.

    Attributes:
        at: the instant.
        visits: every stay in a stage that is not closed. Durations are in microseconds since
            ``entered_at``: ``stay`` (in the stage, so far), ``lasted`` (until the deal was
            decided, or so far), ``watched`` (up to the instant); ``cause`` is ``won``, ``lost``
            or null for a deal that is not decided; ``band`` and what else it is grouped by are
            as they were known on entering.
        deals: those that are not decided, with the figures of their present visit, ``age`` in
            microseconds, and their present ``value`` and ``currency``; sorted by deal.
        decided: how many deals stand as won, and as lost.
    """

    at: dt.datetime
    visits: pl.DataFrame
    deals: pl.DataFrame
    decided: tuple[int, int]


@attrs.frozen(eq=False)
class Outcome:
    """What had become of a snapshot's deals some days later.

    Attributes:
        snapshot: which deals.
        horizon: in days.
        known_at: the instant at which it was known.
        deals: a row per deal of the snapshot, in their order: ``deal``, ``won`` (whether it
            stood as won), ``revenue`` (its value then if it did, else 0; null if not known).
    """

    snapshot: Snapshot
    horizon: int
    known_at: dt.datetime
    deals: pl.DataFrame


def snapshot(tables: Tables, by: Sequence[str] = ()) -> Snapshot:
    """Return what the tables know at their end.

    Args:
        by: further columns to tell deals apart by: ``owner`` and ``source``, or what else stands
            in the deals of an export.

    Raises:
        DefinitionError: there is no such column.
    """
    closed = [stage.key for stage in tables.stages if stage.is_closed]
    visits = _banded(_with_facts(tables, tables.visits.filter(~pl.col("stage").is_in(closed)), by))
    seen = _followed(visits, tables)
    counts = [tables.deals.filter(status=status).height for status in CLOSED]
    return Snapshot(tables.as_of, seen, _present(seen, tables, by), (counts[0], counts[1]))


def _with_facts(tables: Tables, visits: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    dated = [name for name in by if name in _DATED]
    further = [name for name in by if name not in _DATED]
    for name in further:
        if name not in tables.deals.columns or name in DEALS:
            known = sorted(name for name in tables.deals.columns if name not in DEALS)
            raise DefinitionError(
                f"deals cannot be told apart by {name!r}, which they do not have or which changes "
                f"with what became of them: choose among {', '.join([*_DATED, *known])}"
            )
    # As known on entering: what was learnt later would let the forecast peek at the outcome.
    changes = tables.changes.select("deal", "at", "value", "currency", *dated)
    return visits.join_asof(
        changes,
        left_on="entered_at",
        right_on="at",
        by="deal",
        strategy="backward",
        coalesce=True,
        check_sortedness=False,
    ).join(tables.deals.select("deal", *further), on="deal", how="left", maintain_order="left")


def _banded(visits: pl.DataFrame) -> pl.DataFrame:
    """Add ``band``: which third of the values in its currency a visit's value is in."""
    edge = [
        pl.col("value").cast(pl.Float64).quantile(part / BANDS, "lower").over("currency")
        for part in range(1, BANDS)
    ]
    value = pl.col("value").cast(pl.Float64)
    band = pl.sum_horizontal((value > limit).cast(pl.Int64) for limit in edge)
    known = pl.when(pl.col("value").is_not_null()).then(band)
    return visits.with_columns(band=known).drop("value", "currency")


def _followed(visits: pl.DataFrame, tables: Tables) -> pl.DataFrame:
    end = pl.lit(tables.as_of, dtype=INSTANT)
    standing = tables.deals.select(
        "deal", "closed_at", cause=pl.when(pl.col("status").is_in(CLOSED)).then("status")
    )

    def since(instant: pl.Expr) -> pl.Expr:
        return (instant - pl.col("entered_at")).dt.total_microseconds()

    return visits.join(standing, on="deal", how="left", maintain_order="left").with_columns(
        stay=since(pl.coalesce("left_at", end)),
        lasted=since(pl.coalesce("closed_at", end)),
        watched=since(end),
    )


def _present(seen: pl.DataFrame, tables: Tables, by: Sequence[str]) -> pl.DataFrame:
    now = seen.filter(pl.col("left_at").is_null()).select(
        "deal", "stage", "entered_at", "band", *by, age="watched"
    )
    facts = tables.deals.select("deal", "status", "value", "currency")
    return now.join(facts, on="deal", how="left", maintain_order="left")


def outcome(tables: Tables, seen: Snapshot, horizon: int) -> Outcome | None:
    """Return what had become of a snapshot's deals *horizon* days later; ``None`` if unknown.

    A deal that was won and taken up again by then is not won.

    Args:
        tables: any that reach so far; nothing later than the horizon is read.
    """
    then = seen.at + dt.timedelta(days=horizon)
    if then > tables.as_of:
        return None
    stood = _standing(tables, seen.deals.select("deal"), then)
    return Outcome(seen, horizon, then, stood.select("deal", "won", "revenue"))


def opened_since(tables: Tables, at: dt.datetime, horizon: int) -> pl.DataFrame:
    """Return what deals opened after an instant had brought *horizon* days later, by currency."""
    then = at + dt.timedelta(days=horizon)
    opened = tables.deals.filter(pl.col("opened_at") > at, pl.col("opened_at") <= then)
    stood = _standing(tables, opened.select("deal"), then).filter("won")
    return stood.group_by("currency").agg(pl.col("revenue").sum())


def _standing(tables: Tables, deals: pl.DataFrame, at: dt.datetime) -> pl.DataFrame:
    """Return the deals with whether each stood as won, and what it was worth, at an instant."""
    won = [stage.key for stage in tables.stages if stage.status == "won"]
    asked = deals.with_columns(asked_at=pl.lit(at, dtype=INSTANT))
    visits = tables.visits.select("deal", "stage", asked_at="entered_at")
    facts = tables.changes.select("deal", "value", "currency", asked_at="at")
    for known in (visits, facts):
        asked = asked.join_asof(
            known, on="asked_at", by="deal", strategy="backward", check_sortedness=False
        )
    # Null for a deal that was not there yet: it had brought nothing.
    stands = pl.col("stage").is_in(won).fill_null(False)
    return asked.select(
        "deal",
        "currency",
        won=stands,
        revenue=pl.when(stands).then("value").otherwise(pl.lit(0).cast(MONEY)),
    )

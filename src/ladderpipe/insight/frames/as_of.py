"""Tables as they stood at an earlier instant."""

from __future__ import annotations

import datetime as dt

import attrs
import polars as pl

from ...errors import ClockError
from .derive import deals_of, visits_of
from .tables import DEALS, Tables

__all__ = ["cut"]


def cut(tables: Tables, as_of: dt.datetime) -> Tables:
    """Return *tables* without what was later than *as_of*.

    Raises:
        ClockError: *as_of* is later than the tables reach.
    """
    if as_of == tables.as_of:
        return tables
    if as_of > tables.as_of:
        raise ClockError(
            f"these tables end at {tables.as_of.isoformat()} and know nothing of "
            f"{as_of.isoformat()}: read them anew, or ask for an earlier instant"
        )
    moves = tables.moves.filter(pl.col("at") <= as_of)
    changes = tables.changes.filter(pl.col("at") <= as_of)
    visits = visits_of(moves)
    deals = deals_of(visits, changes, tables.stages)
    further = [name for name in tables.deals.columns if name not in DEALS]
    if further:
        known = tables.deals.select("deal", *further)
        deals = deals.join(known, on="deal", how="left", maintain_order="left")
    return attrs.evolve(
        tables, as_of=as_of, deals=deals, visits=visits, moves=moves, changes=changes
    )

"""From what a bulk replay found to tables; from a folder, each when it is first asked for."""

from __future__ import annotations

import datetime as dt

import polars as pl
import polars.selectors as cs

from ...errors import DefinitionError
from ...model.clock import instant
from ...pipeline import Pipeline
from ..buckets.folder import ReplayedFolder
from ..bulk.outcome import Replayed
from .later import Frame, Later, then
from .schema import CHANGES, DEALS, MOVES, VISITS
from .tables import Tables

__all__ = ["tables_of"]


def tables_of(found: Replayed | ReplayedFolder, as_of: dt.datetime | str | None) -> Tables:
    """Return the tables of a replay; see :func:`~.from_board.tables`."""
    pipeline = _pipeline_of(found)
    if found.until is None:
        raise DefinitionError(
            "in this replay each history ends with its own deal's last event, so there is no "
            "instant at which all of them stand: replay with until=, for example the log's end"
        )
    deals = _frame(found, "deals")
    tables = Tables(
        pipeline=pipeline.name,
        stages=pipeline.stages,
        as_of=found.until,
        deals=then(deals, _deals),
        visits=then(_frame(found, "visits"), lambda table: table.cast(pl.Schema(VISITS))),
        moves=then(_frame(found, "moves"), lambda table: table.cast(pl.Schema(MOVES))),
        changes=then(deals, _changes),
        titles=pipeline.titles,
    )
    return tables if as_of is None else tables.at(instant(as_of))


def _pipeline_of(found: Replayed | ReplayedFolder) -> Pipeline:
    pipeline = found.ladder() if isinstance(found, ReplayedFolder) else found.pipeline
    if pipeline is None:
        raise DefinitionError(
            "nobody knows which ladder this is a replay of: take what insight.replay returned"
        )
    return pipeline


def _frame(found: Replayed | ReplayedFolder, name: str) -> Frame:
    if isinstance(found, Replayed):
        table: pl.DataFrame = getattr(found, name)
        return table
    scan: pl.LazyFrame = getattr(found, name)
    keys = ["deal"] if name == "deals" else ["deal", "n"]
    return Later(lambda: scan.sort(keys).collect())


def _deals(final: pl.DataFrame) -> pl.DataFrame:
    missing = [pl.lit(None).alias(name) for name in DEALS if name not in final.columns]
    plain = final.with_columns(cs.categorical().cast(pl.String), *missing)
    return plain.select(list(DEALS)).cast(pl.Schema(DEALS))


def _changes(final: pl.DataFrame) -> pl.DataFrame:
    """Return the little that a replay knows of when: at the end, what a deal is worth then."""
    last = final.select(
        "deal", "value", currency=pl.col("currency").cast(pl.String), at="last_event_at"
    )
    opened = final.filter(pl.col("opened_at") < pl.col("last_event_at")).select(
        "deal", at="opened_at"
    )
    told = pl.concat([opened, last], how="diagonal")
    missing = [pl.lit(None).alias(name) for name in CHANGES if name not in told.columns]
    return (
        told.with_columns(missing).select(list(CHANGES)).cast(pl.Schema(CHANGES)).sort("deal", "at")
    )

"""What folds one bucket, wherever its rows come from."""

from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl

from ...pipeline import Pipeline
from ..bulk import replay
from ..bulk.outcome import Replayed
from ..frames.schema import INSTANT

__all__ = ["fold_bucket"]


def fold_bucket(
    pipeline: Pipeline,
    events: Any,
    until: dt.datetime | str | None = None,
    *,
    workers: int | None = None,
) -> Replayed:
    """Return the histories of the deals in one bucket, as ``insight.replay`` gives them.

    Every engine that cuts a log by deal folds its parts with this, so that all of them give the
    same moves: ``insight.replay(…, buckets=…)`` a file, Spark a group of its rows. A bucket holds
    *all* events of each of its deals; :func:`~.assign.bucket_numbers` says which bucket that is.

    Args:
        pipeline: the ladder.
        events: the columns that ``insight.replay`` takes, in any order of rows: a Polars frame, or
            whatever hands over Arrow data (``__arrow_c_stream__``), such as a ``pyarrow.Table``
            made of all batches of the bucket. An instant of Arrow may name any time zone, and is
            the same instant in UTC.
        until: as in ``insight.replay``.
        workers: threads; 1 where the engine runs a process for each core.

    Raises:
        InvalidEventError: a column, or an event in it, is not what it should be.
        EventConflictError: one identity, two contents.
        GuardError: a guard raised.
    """
    frame = events if isinstance(events, pl.DataFrame) else pl.DataFrame(events)
    kind = frame.schema.get("at")
    if isinstance(kind, pl.Datetime) and kind.time_zone is not None and kind.time_unit != "ns":
        frame = frame.with_columns(pl.col("at").cast(INSTANT))
    return replay(pipeline, frame, until, workers=workers)

"""The fold of a frame of Spark's: events to the buckets of their deals, each folded by itself."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Final, Literal

from ..extras import how_to_install
from ..insight.bulk.carried import carried
from ..model.clock import instant
from ..pipeline import Pipeline
from .columns import COLUMNS, schema_of, selected
from .one_bucket import table_of_bucket

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["fold"]

BUCKETS: Final = 200
"""As many parts as Spark cuts a frame into by itself."""


def fold(
    frame: DataFrame,
    pipeline: Pipeline,
    *,
    buckets: int = BUCKETS,
    until: dt.datetime | str | None = None,
    table: Literal["moves", "deals", "aside"] = "moves",
    strict: bool = True,
) -> DataFrame:
    """Return the moves that :func:`ladderpipe.insight.replay` gives, folded by Spark's workers.

    Events go to the bucket that the hash of their deal names, and each bucket is folded in columns
    by one task. The moves hang on nothing else: not on partitions, batches or the order of events,
    nor on the time zone of the session. Nothing is computed before Spark is asked for rows; they
    come in no order, as Spark's do.

    Workers get the ladder as its definition, and need ladderpipe with the extra ``spark`` and every
    module that the definition names.

    Args:
        frame: events, in the columns that :func:`ladderpipe.insight.replay` takes; ``at`` is a
            timestamp. Other columns are left out.
        pipeline: the ladder; its hooks stay here.
        buckets: into how many parts deals are cut. A task holds one in memory.
        until: leave out later events, and fire timers due up to and at it. Without it every
            history ends with its deal's last event.
        table: ``moves``, or ``deals`` as they stand at the end, each with the columns of
            :class:`ladderpipe.insight.Replayed`, texts instead of categories; or ``aside``, the
            events that cannot be used at their place, each with the reason.
        strict: let Spark's action fail, with the number of them in the bucket, where events cannot
            be used; else they are left aside as a replay leaves them, and ``table="aside"`` is
            where they are. That table is never refused.

    Raises:
        InvalidEventError: a column is missing, or of a type that says something else.
        DefinitionError: the ladder has a function that workers cannot import.
        ImportError: PySpark is not installed.
        TypeError: it is no frame of Spark's.
        ValueError: fewer buckets than one, a table that there is not, or a stream.
    """
    if buckets < 1:
        raise ValueError(f"{buckets} buckets hold no deals: give 1 or more")
    if table not in COLUMNS:
        raise ValueError(f"there is no table {table!r}: ask for one of {', '.join(COLUMNS)}")
    functions = _functions_of(frame)
    ladder, limit = carried(pipeline), None if until is None else instant(until)
    refuse_aside = strict and table != "aside"
    events, names = selected(frame)

    def of_bucket(events: Any) -> Any:
        return table_of_bucket(events, ladder, names, limit, table, refuse_aside)

    # As `insight.buckets` has it.
    bucket = functions.crc32("deal") % buckets
    return events.groupBy(bucket.alias("bucket")).applyInArrow(of_bucket, schema_of(table))


def _functions_of(frame: object) -> Any:
    try:
        from pyspark.sql import DataFrame, functions
    except ModuleNotFoundError as error:
        raise ImportError(
            f"ladderpipe.spark needs PySpark, which is not installed: {how_to_install('spark')}"
        ) from error
    if not isinstance(frame, DataFrame):
        raise TypeError(
            f"a {type(frame).__name__} is no frame of Spark's: insight.replay folds frames of "
            "Polars, and spark.read.parquet(…) reads files as a frame of Spark's"
        )
    if frame.isStreaming:
        raise ValueError(
            "this frame is a stream, of which every batch would be folded without those before it: "
            "write the events into a table first, and fold that"
        )
    return functions

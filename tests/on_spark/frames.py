"""Events as frames of Spark's, and what comes of them as frames of Polars."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import polars as pl

from ladderpipe import Event
from ladderpipe.insight import Replayed
from ladderpipe.insight.bulk.event_frame import read_events

KEYS = {"moves": ("deal", "n"), "deals": ("deal",), "aside": ("deal", "source", "id")}


def on_spark(spark: Any, events: pl.DataFrame | Iterable[Event], partitions: int = 2) -> Any:
    """Return events as a frame of Spark's."""
    frame = read_events(events, None) if not isinstance(events, pl.DataFrame) else events
    plain = frame.with_columns(pl.col(pl.Categorical).cast(pl.String))
    return spark.createDataFrame(plain.to_arrow()).repartition(partitions)


def collected(frame: Any, table: str = "moves") -> pl.DataFrame:
    """Return the rows of a table in their order; instants are told in UTC again."""
    found = pl.DataFrame(frame.toArrow())
    return found.with_columns(
        pl.col(name).cast(pl.Datetime("us", "UTC"))
        for name, kind in found.schema.items()
        if isinstance(kind, pl.Datetime)
    ).sort(KEYS[table])


def replayed(found: Replayed, table: str = "moves") -> pl.DataFrame:
    """Return a table of a replay as Spark has it: texts instead of categories."""
    frame: pl.DataFrame = getattr(found, table)
    return frame.with_columns(pl.col(pl.Categorical).cast(pl.String)).sort(KEYS[table])


@contextmanager
def configured(spark: Any, **settings: object) -> Iterator[None]:
    """Let settings of the session, with ``__`` for dots, hold while the block lasts."""
    names = {name.replace("__", "."): str(value) for name, value in settings.items()}
    before = {name: spark.conf.get(name) for name in names}
    try:
        for name, value in names.items():
            spark.conf.set(name, value)
        yield
    finally:
        for name, value in before.items():
            spark.conf.set(name, value)

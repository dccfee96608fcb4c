"""Events as columns: what a frame of events must look like, and reading one from anywhere."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, TypeAlias

import polars as pl

from ...errors import InvalidEventError
from ...model.event import DISCARDED, MAX_NAME, WITHDRAW, Event
from ..frames.schema import INSTANT
from .payload_columns import FIELDS, PROPERTY

__all__ = [
    "AMOUNT",
    "EVENTS",
    "PROPERTY_VALUE",
    "TEXT",
    "EventSource",
    "data_columns",
    "read_events",
    "wanted",
]

EventSource: TypeAlias = "pl.DataFrame | pl.LazyFrame | str | Path | Iterable[pl.DataFrame | Event]"
"""A frame, a Parquet file, frames to be read one after another, or events."""

EVENTS: Final[dict[str, Any]] = {
    "deal": pl.String,
    "type": pl.String,
    "at": INSTANT,
    "seq": pl.Int64,
    "source": pl.String,
    "id": pl.String,
}
"""The columns of every event; ``seq`` and ``source`` may be left out, as in ``Event``."""

TEXT: Final = "text"
PROPERTY_VALUE: Final = "text, true or false, or numbers"
AMOUNT: Final = "numbers, or text such as 899.00"
"""What columns of data may hold, as it is said to people."""

_LEFT_OUT: Final[dict[str, Any]] = {
    "seq": pl.lit(0, pl.Int64),
    "source": pl.lit("").cast(pl.Categorical),
}
_TEXTS: Final = ("sku", "line_title", "currency", "into", "by", "reason", "title", *FIELDS)
_AMOUNTS: Final = ("value", "quantity", "unit_price")


def read_events(source: EventSource, until: dt.datetime | None) -> pl.DataFrame:
    """Return the events up to *until* as one frame with all the columns of :data:`EVENTS`.

    Raises:
        InvalidEventError: a column is missing, or is not what it should be.
    """
    frame = _as_frame(source)
    missing = [name for name in ("deal", "type", "at", "id") if name not in frame.columns]
    if missing:
        raise InvalidEventError(
            f"these events have no column {', '.join(missing)}: every event needs a deal, a "
            "type, an instant (at) and an identity (id); rename what you have"
        )
    _check_instants(frame)
    frame = frame.with_columns(
        value.alias(name) for name, value in _LEFT_OUT.items() if name not in frame.columns
    ).with_columns(pl.col("at").cast(INSTANT), pl.col("seq").cast(pl.Int64))
    _check_texts(frame, (name for name, kind in EVENTS.items() if kind == pl.String))
    _check_data(frame)
    frame = frame.filter(pl.col("type") != DISCARDED)
    if until is None:
        return frame
    # A withdrawal has no place in time.
    return frame.filter((pl.col("at") <= until) | (pl.col("type") == WITHDRAW))


def data_columns(frame: pl.DataFrame) -> list[str]:
    """Return the columns of *frame* that carry data of events."""
    return [name for name in frame.columns if wanted(name) and name != "data"]


def wanted(name: str) -> str | None:
    """Return what a column of this name has to hold, if it carries data of events."""
    if name.startswith(PROPERTY):
        return PROPERTY_VALUE
    if name in (*_TEXTS, "data"):
        return TEXT
    return AMOUNT if name in _AMOUNTS else None


def _as_frame(source: EventSource) -> pl.DataFrame:
    if isinstance(source, pl.DataFrame):
        return source
    if isinstance(source, pl.LazyFrame):
        return source.collect()
    if isinstance(source, str | Path):
        return pl.read_parquet(source)
    parts = list(source)
    frames = [part for part in parts if isinstance(part, pl.DataFrame)]
    if frames and len(frames) == len(parts):
        return pl.concat(frames)
    events = [part for part in parts if isinstance(part, Event)]
    if len(events) < len(parts):
        raise InvalidEventError(
            "these are neither events nor frames of events: give Event objects, Polars frames, "
            "or the path of a Parquet file"
        )
    return _of_events(events)


def _of_events(events: list[Event]) -> pl.DataFrame:
    columns = {name: [getattr(event, name) for event in events] for name in EVENTS}
    texts = [event.data_text() if event.data else None for event in events]
    return pl.DataFrame(
        {**columns, "data": texts}, schema={**EVENTS, "data": pl.String}, strict=True
    )


def _check_instants(frame: pl.DataFrame) -> None:
    kind = frame.schema["at"]
    if not isinstance(kind, pl.Datetime) or kind.time_zone is None:
        raise InvalidEventError(
            f"the column at is {kind}, which names no instants: make it a datetime with a time "
            'zone, for example pl.col("at").dt.replace_time_zone("UTC")'
        )
    if kind.time_unit == "ns":
        raise InvalidEventError(
            "the column at counts nanoseconds, and events have microseconds: say which with "
            'pl.col("at").dt.cast_time_unit("us")'
        )
    if frame["at"].null_count():
        raise InvalidEventError("an event has no instant (at is null): fill it in, or leave it out")


def _check_texts(frame: pl.DataFrame, names: Iterable[str]) -> None:
    for name in names:
        column = frame[name]
        if not _is_text(column.dtype):
            raise InvalidEventError(
                f"the column {name} is {column.dtype}: cast it to text, so that every process "
                "writes it in the same way"
            )
        if column.null_count():
            raise InvalidEventError(f"an event has no {name} (null): fill it in, or leave it out")
        if column.dtype == pl.String and len(column):
            sizes = column.str.len_bytes()
            least, most = sizes.min(), sizes.max()
            assert isinstance(least, int) and isinstance(most, int)
            if (not least and name != "source") or most > MAX_NAME:
                _check_names(column.filter((sizes == 0) | (sizes > MAX_NAME)), name)


def _check_names(column: pl.Series, name: str) -> None:
    """Refuse as ``Event`` does, which counts characters."""
    sizes = column.str.len_chars()
    if (sizes > MAX_NAME).any() or (name != "source" and (sizes == 0).any()):
        raise InvalidEventError(
            f"an event has a {name} that is empty or has more than {MAX_NAME} characters: "
            "give it one that can be a key"
        )


def _check_data(frame: pl.DataFrame) -> None:
    columns = data_columns(frame)
    if "data" in frame.columns:
        if columns:
            raise InvalidEventError(
                f"these events have data as JSON text and in columns ({', '.join(columns)}): "
                "drop one, since they might say different things"
            )
        columns = ["data"]
    for name in columns:
        kind, needed = frame.schema[name], wanted(name)
        is_right = kind == pl.Null or _is_text(kind)
        if needed != TEXT:
            is_right |= kind.is_numeric() or (needed == PROPERTY_VALUE and kind == pl.Boolean)
        if not is_right:
            raise InvalidEventError(f"the column {name} is {kind}: cast it to {needed}")


def _is_text(kind: pl.DataType) -> bool:
    return kind == pl.String or isinstance(kind, pl.Categorical | pl.Enum)

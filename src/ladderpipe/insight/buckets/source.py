"""A log as frames that memory holds, one after another; and what it is known by.

A file is known by its name's end, its size and its footer, which says where everything in it
stands; whatever is no file, by its content.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import glob
import hashlib
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import polars as pl
import polars.selectors as cs

from ...errors import InvalidEventError
from ...model.event import Event
from ..bulk.event_frame import EventSource, read_events
from .event_log import EventLog

__all__ = ["CHUNK", "Content", "LogSource", "chunks", "files_of", "identity_of", "rows_of"]

LogSource: TypeAlias = "EventSource | EventLog"
"""What a replay into a folder takes."""

CHUNK: Final = 4_000_000
"""So many events are cut together."""

_EVENTS_AT_ONCE: Final = 50_000
"""Of ``Event`` objects, which are much larger than their rows."""

_TAIL: Final = 1 << 16
"""Bytes at a file's end that are part of what it is known by: of Parquet, its footer."""


def files_of(source: LogSource) -> list[Path] | None:
    """Return the files that *source* names; ``None`` if it is no name of files.

    Raises:
        FileNotFoundError: there is none.
    """
    if isinstance(source, EventLog):
        return list(source.paths)
    if not isinstance(source, str | Path):
        return None
    path = Path(source)
    if path.is_dir():
        found = sorted(path.rglob("*.parquet"))
    elif path.exists():
        found = [path]
    else:
        found = sorted(map(Path, glob.glob(str(source), recursive=True)))
    if not found:
        raise FileNotFoundError(
            f"{source} is no Parquet file, and no folder with any: check the name"
        )
    return found


def identity_of(source: LogSource) -> list[Any] | None:
    """Return what files are known by, wherever they lie: name, size and the end of their bytes.

    ``None`` of a source that is no files. Of logs with a map, the map is part of it.
    """
    files = files_of(source)
    if files is None:
        return None
    meaning = [source.known_by()] if isinstance(source, EventLog) else []
    return [*map(_identity, files), *meaning]


def _identity(path: Path) -> dict[str, Any]:
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - _TAIL))
        end = hashlib.blake2b(file.read(), digest_size=16).hexdigest()
    return {"name": path.name, "bytes": size, "end": end}


def rows_of(source: LogSource) -> int | None:
    """Return how many events *source* holds, as far as that can be told without reading them."""
    if isinstance(source, EventLog):
        return None
    files = files_of(source)
    if files is not None:
        return _rows_in(files)
    if isinstance(source, pl.LazyFrame):
        return int(source.select(pl.len()).collect().item())
    if isinstance(source, pl.DataFrame):
        return source.height
    if not isinstance(source, list | tuple):
        return None
    return sum(part.height if isinstance(part, pl.DataFrame) else 1 for part in source)


def chunks(
    source: EventSource, until: dt.datetime | None, spare: Path, size: int | None = None
) -> Iterator[pl.DataFrame]:
    """Yield the events of *source* up to *until*, checked, at most *size* rows at a time.

    Args:
        spare: a file that may be written and is removed: a query that Polars runs while it streams
            has to write its rows somewhere before they can be taken a part at a time.
        size: :data:`CHUNK` when left out.

    Raises:
        InvalidEventError: a column is missing, or is not what it should be; frames differ.
    """
    first: pl.Schema | None = None
    for frame in _raw(source, spare, size or CHUNK):
        if first is None:
            first = frame.schema
        elif frame.schema != first:
            raise InvalidEventError(
                f"these frames do not have the same columns: one has {_told(first)}, another "
                f"{_told(frame.schema)}; give all of them the same, cast to the same types"
            )
        yield read_events(frame, until)


def _told(schema: pl.Schema) -> str:
    return ", ".join(f"{name} ({kind})" for name, kind in schema.items())


def _raw(source: EventSource, spare: Path, size: int) -> Iterator[pl.DataFrame]:
    files = files_of(source)
    if files is not None:
        yield from _of_files(files, size)
    elif isinstance(source, pl.DataFrame):
        yield from source.iter_slices(size) if source.height else (source,)
    elif isinstance(source, pl.LazyFrame):
        try:
            source.sink_parquet(spare)
            yield from _of_files([spare], size)
        finally:
            spare.unlink(missing_ok=True)
    else:
        assert not isinstance(source, str | Path)
        yield from _filled(_frames(source), size)


def _of_files(files: list[Path], size: int) -> Iterator[pl.DataFrame]:
    rows = _rows_in(files)
    for start in range(0, max(rows, 1), size):
        with _as_one(files):
            frame = pl.scan_parquet(files).slice(start, size).collect()
        yield frame


def _rows_in(files: list[Path]) -> int:
    with _as_one(files):
        return int(pl.scan_parquet(files).select(pl.len()).collect().item())


@contextlib.contextmanager
def _as_one(files: list[Path]) -> Iterator[None]:
    try:
        yield
    except pl.exceptions.PolarsError as error:
        what = files[0] if len(files) == 1 else f"the {len(files)} files from {files[0]} on"
        raise InvalidEventError(
            f"{what} cannot be read ({str(error).splitlines()[0]}): give Parquet files, all with "
            "the same columns of the same types"
        ) from error


def _frames(source: Iterable[pl.DataFrame | Event]) -> Iterator[pl.DataFrame]:
    """Yield frames as they come, and events by the thousand as frames."""
    for is_frame, parts in itertools.groupby(source, lambda part: isinstance(part, pl.DataFrame)):
        if is_frame:
            yield from parts  # type: ignore[misc]
            continue
        while some := list(itertools.islice(parts, _EVENTS_AT_ONCE)):
            yield read_events(some, None)


def _filled(frames: Iterable[pl.DataFrame], size: int) -> Iterator[pl.DataFrame]:
    """Yield the rows of *frames*, *size* at a time."""
    held: list[pl.DataFrame] = []
    rows = 0
    for frame in frames:
        if held and frame.schema != held[0].schema:
            # Whoever compares the frames sees both, and refuses them.
            yield pl.concat(held)
            held, rows = [], 0
        held.append(frame)
        rows += frame.height
        while rows >= size:
            whole = pl.concat(held)
            yield whole.head(size)
            held, rows = [whole.tail(rows - size)], rows - size
    if rows or held:
        yield pl.concat(held)


class Content:
    """What events are known by that are in no file: how many, and a sum over all of them."""

    def __init__(self) -> None:
        self._rows = 0
        self._sum = np.uint64(0)

    def add(self, frame: pl.DataFrame) -> None:
        """Add rows; their order, and how they are cut, does not matter."""
        # A category's number is this process's own.
        plain = frame.select(sorted(frame.columns)).with_columns(cs.categorical().cast(pl.String))
        self._rows += plain.height
        with np.errstate(over="ignore"):
            self._sum += plain.hash_rows(seed=1).to_numpy().sum(dtype=np.uint64)

    def told(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"rows": self._rows, "sum": f"{int(self._sum):016x}"}

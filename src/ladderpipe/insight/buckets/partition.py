"""A log cut into buckets: every chunk of it into a file for each bucket that it has events of."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import polars as pl

from ...ladder.ladder import Ladder
from ...logs.replay import ReplayReport
from ...logs.rows import BadLine
from .assign import bucket_numbers
from .event_log import EventLog, as_json
from .manifest import BAD_LINES, Folder, refusing
from .source import Content

__all__ = ["cut_log", "frames_of_logs"]

_BUCKET: Final = "bucket of its deal"
"""A column's name, until the cut is made; no event has such a one."""


def cut_log(
    folder: Folder,
    chunks: Iterable[pl.DataFrame],
    buckets: int,
    content: Content | None,
    logs: Callable[[], list[Any]] | None = None,
) -> dict[str, Any]:
    """Write the events of each bucket into its own files; return how many each has.

    Args:
        content: is told of every row, where nothing else says what log this is.
        logs: says at the end what became of the files that the events are from.

    Raises:
        StoreError: the disk is full, or the folder cannot be written.
    """
    rows: Counter[int] = Counter()
    for chunk, frame in enumerate(chunks):
        if content is not None:
            content.add(frame)
        numbered = frame.with_columns(bucket_numbers(frame["deal"], buckets).alias(_BUCKET))
        parts = numbered.partition_by(_BUCKET, as_dict=True, include_key=False)
        for (number,), part in parts.items():
            rows[number] += part.height
            place = folder.part(number, chunk)
            with refusing(folder.path):
                place.parent.mkdir(parents=True, exist_ok=True)
                part.write_parquet(place, compression="lz4")
    told: dict[str, Any] = {"rows": [rows[number] for number in range(buckets)]}
    if content is not None:
        told["content"] = content.told()
    with refusing(folder.path):
        if logs is not None:
            told["logs"] = logs()
        folder.note_cut(told)
    return told


@contextlib.contextmanager
def frames_of_logs(
    folder: Folder, log: EventLog, ladder: Ladder
) -> Iterator[tuple[Iterator[pl.DataFrame], Callable[[], list[Any]]]]:
    """Give the events of logs, and what says in the end what became of each.

    Bad lines go into the folder, so that a run that was killed after the cut can still tell them.
    """
    reports: list[ReplayReport] = []
    aside = folder.spare()
    with refusing(folder.path):
        file = aside.open("w", encoding="utf-8")
    with file:

        def note(path: Path, bad: BadLine) -> None:
            with refusing(folder.path):
                file.write(json.dumps([str(path), bad.number, bad.reason]) + "\n")

        def told() -> list[Any]:
            file.close()
            aside.replace(folder.path / BAD_LINES)
            return [as_json(report) for report in reports]

        try:
            yield log.frames(ladder, reports, note), told
        finally:
            aside.unlink(missing_ok=True)

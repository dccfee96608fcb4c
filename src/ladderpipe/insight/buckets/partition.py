"""A log cut into buckets: every chunk of it into a file for each bucket that it has events of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

import polars as pl

from .assign import bucket_numbers
from .manifest import Folder, refusing
from .source import Content

__all__ = ["cut_log"]

_BUCKET: Final = "bucket of its deal"
"""A column's name, until the cut is made; no event has such a one."""


def cut_log(
    folder: Folder, chunks: Iterable[pl.DataFrame], buckets: int, content: Content | None
) -> dict[str, Any]:
    """Write the events of each bucket into its own files; return how many each has.

    Args:
        content: is told of every row, where nothing else says what log this is.

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
        folder.note_cut(told)
    return told

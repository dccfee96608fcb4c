"""Which bucket a deal is in: the same in every process, on every machine, in every version."""

from __future__ import annotations

from zlib import crc32

import numpy as np
import polars as pl

from ..bulk.codes import coded

__all__ = ["bucket_numbers"]


def bucket_numbers(deals: pl.Series, buckets: int) -> pl.Series:
    """Return for each deal the number of its bucket: CRC-32 of its name in UTF-8, modulo *buckets*.

    CRC-32 as in ISO 3309, which is ``zlib.crc32`` in Python, ``crc32`` in Spark SQL, and the same
    elsewhere; so another engine that groups by it cuts the same log into the same buckets.

    Args:
        deals: texts, as a column of events has them; none is null.
        buckets: how many there are, from 1.
    """
    places, names = coded(deals)
    numbers = np.array([crc32(name.encode()) % buckets for name in names], np.uint32)
    return pl.Series("bucket", numbers[places] if len(places) else numbers, pl.UInt32)

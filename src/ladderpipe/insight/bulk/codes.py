"""Columns of a frame as whole numbers: texts by their place among the distinct ones, amounts."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from ...errors import InvalidEventError
from ...model.money import amount
from .arrays import LARGEST, NOTHING, Flags, Ints, Numbers, either, is_constant, none_of, scaled

__all__ = ["amounts", "coded"]

_EXACT_FLOATS = 10**15
"""A decimal of at most fifteen digits is the shortest text of the float nearest to it."""


def coded(series: pl.Series) -> tuple[Numbers, pl.Series]:
    """Return the place of each value among the distinct ones, −1 for null; and those, in order."""
    if not len(series) or series.null_count() == len(series):
        return np.full(len(series), -1, np.int32), series.head(0)
    if series.dtype == pl.String:
        # In categories of its own no text of another column leaves a gap in the numbers.
        numbered = series.cast(pl.Categorical(pl.Categories.random()))
    elif isinstance(series.dtype, pl.Categorical | pl.Enum):
        numbered = series
    else:
        distinct = series.unique().drop_nulls()
        places = pl.Series(np.arange(len(distinct), dtype=np.int32))
        found = series.replace_strict(distinct, places, default=None, return_dtype=pl.Int32)
        return found.fill_null(-1).to_numpy(), distinct
    # What is looked up all over a column takes much longer in many pieces.
    numbered = numbered.rechunk()
    codes = _without_gaps(numbered.to_physical().cast(pl.UInt32))
    return codes, _one_of_each(numbered, codes)


def _without_gaps(physical: pl.Series) -> Numbers:
    """Return the numbers that Polars gives to texts, none of which is left out; −1 for null."""
    most = physical.max()
    assert isinstance(most, int)
    filled = physical.fill_null(most + 1).to_numpy()
    is_seen = np.bincount(filled, minlength=most + 2) > 0
    # The last place is that of null.
    if is_seen[:-1].all() and not is_seen[-1]:
        return filled.view(np.int32)
    places = np.cumsum(is_seen, dtype=np.int32) - np.int32(1)
    places[-1] = -1
    return places.take(filled)


def _one_of_each(numbered: pl.Series, codes: Numbers) -> pl.Series:
    rows = np.zeros(int(codes.max()) + 2, np.uint32)
    rows[codes] = np.arange(len(codes), dtype=np.uint32)
    return numbered.gather(pl.Series(rows[:-1])).cast(pl.String)


def amounts(series: pl.Series, places: int, largest: int = LARGEST) -> tuple[Ints, Flags]:
    """Return amounts scaled by ``10**places``, ``NOTHING`` for null; and which are unreadable."""
    if series.dtype.is_integer():
        numbers, bad = _of_integers(series.cast(pl.Int64), places, largest)
    elif series.dtype.is_float():
        numbers, bad = _of_floats(series.fill_null(0.0).to_numpy(), places, largest)
    else:
        return _of_texts(series.cast(pl.String), places, largest)
    if series.null_count():
        numbers[series.is_null().to_numpy()] = NOTHING
    return numbers, bad


def _of_integers(series: pl.Series, places: int, largest: int) -> tuple[Ints, Flags]:
    # Compared before it is scaled: the product might not fit into 64 bits.
    limit = largest // 10**places
    found = series.fill_null(0).to_numpy()
    bad = _beyond(found, limit)
    return (found if is_constant(bad) else np.where(bad, 0, found)) * 10**places, bad


def _of_floats(found: Any, places: int, largest: int) -> tuple[Ints, Flags]:
    with np.errstate(invalid="ignore"):
        shifted = found * 10.0**places
        np.rint(shifted, out=shifted)
        # NaN is not itself, so that it counts as bad.
        bad = shifted / 10.0**places != found
        bad = either(bad, _beyond(shifted, min(largest, _EXACT_FLOATS)))
        if not bad.any():
            return shifted.astype(np.int64), none_of(len(bad))
        shifted[bad] = 0
    return shifted.astype(np.int64), bad


def _beyond(numbers: Numbers, limit: int) -> Flags:
    """Return which numbers are as far from zero as *limit*, or farther."""
    # Nearly always none is, and the two ends tell so several times faster.
    if not len(numbers) or (-limit < numbers.min() and numbers.max() < limit):
        return none_of(len(numbers))
    found: Flags = (numbers >= limit) | (numbers <= -limit)
    return found


def _of_texts(series: pl.Series, places: int, largest: int) -> tuple[Ints, Flags]:
    codes, distinct = coded(series)
    known = [_of_text(text, places, largest) for text in distinct]
    numbers = np.array([*(0 if n is None else n for n in known), NOTHING], np.int64)
    bad = np.array([*(n is None for n in known), False])
    return numbers[codes], bad[codes]


def _of_text(text: str, places: int, largest: int) -> int | None:
    try:
        return scaled(amount(text, "amount"), places, largest)
    except InvalidEventError:
        return None

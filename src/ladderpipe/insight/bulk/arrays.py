"""The arrays that the bulk replay computes with, and the numbers that stand for "nothing"."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = [
    "LARGEST",
    "LAST",
    "MONEY_PLACES",
    "NEVER",
    "NOTHING",
    "PRICE_PLACES",
    "QUANTITY_PLACES",
    "Flags",
    "Ints",
    "Numbers",
    "as_instant",
    "either",
    "in_microseconds",
    "is_constant",
    "none_of",
    "scaled",
]

Ints: TypeAlias = npt.NDArray[np.int64]
"""Amounts, instants, and places in other arrays."""

Numbers: TypeAlias = npt.NDArray[Any]
"""Whole numbers of whatever width their column has."""

Flags: TypeAlias = npt.NDArray[np.bool_]

NOTHING: Final = np.iinfo(np.int64).min
"""Stands for ``None`` among amounts and instants."""

NEVER: Final = np.iinfo(np.int64).max
"""Stands for "no timer is due"."""

QUANTITY_PLACES: Final = 3
PRICE_PLACES: Final = 4
MONEY_PLACES: Final = QUANTITY_PLACES + PRICE_PLACES
"""Amounts are whole numbers of thousandths (quantities), of ten-thousandths (prices), and of
their product, so that nothing is ever rounded; a finer amount sends its deal to the ordinary
fold."""

LARGEST: Final = 2**53
"""Amounts that, scaled, do not stay below it go to the ordinary fold as well."""

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND: Final = dt.timedelta(microseconds=1)


def in_microseconds(value: dt.datetime | dt.timedelta) -> int:
    """Return an instant, counted from 1970, or a delay, as a number of microseconds."""
    passed = value - _EPOCH if isinstance(value, dt.datetime) else value
    return passed // _MICROSECOND


LAST: Final = in_microseconds(dt.datetime.max.replace(tzinfo=dt.UTC))
"""A timer due beyond the calendar is never due."""


def as_instant(microseconds: int) -> dt.datetime:
    """Return the instant that :func:`in_microseconds` wrote."""
    return _EPOCH + int(microseconds) * _MICROSECOND


def none_of(count: int) -> Flags:
    """Return flags of which none is set: a constant."""
    return np.broadcast_to(np.False_, count)


def is_constant(column: Numbers) -> bool:
    """Return whether a column is one number for all rows, which takes no memory."""
    return column.strides == (0,)


def either(first: Flags, *others: Flags) -> Flags:
    """Return where any is set; constants are taken for what :func:`none_of` returned."""
    for other in others:
        if not is_constant(other):
            first = first | other
    return first


def scaled(number: Decimal, places: int, largest: int = LARGEST) -> int | None:
    """Return *number* in units of ``10**-places``, ``None`` when it is too fine or too large."""
    shifted = number.scaleb(places)
    if shifted != shifted.to_integral_value() or abs(shifted) >= largest:
        return None
    return int(shifted)

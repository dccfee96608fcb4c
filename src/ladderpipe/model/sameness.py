"""Whether two tellings of one event say the same, however each sender has written it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ..errors import InvalidEventError
from .money import amount

__all__ = ["same_data", "stands_for_amount"]

_AMOUNTS: Final = frozenset(
    (
        "amount",
        "discount",
        "price",
        "quantity",
        "refunded",
        "shipping",
        "tax",
        "total",
        "unit_price",
        "value",
    )
)
_NO_AMOUNTS_WITHIN: Final = frozenset(("company", "contact", "properties"))
"""At the top of data: what stands in there means what its sender says, and text is text."""


def same_data(one: Any, other: Any, path: tuple[str, ...] = ()) -> bool:
    """Return whether two JSON values are the same.

    1 and 1.0 are one number. Where an amount stands, text that reads as one is that amount.
    """
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(
            same_data(part, other[name], (*path, name)) for name, part in one.items()
        )
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(
            same_data(a, b, path) for a, b in zip(one, other, strict=True)
        )
    # True equals 1 in Python, and is no number in JSON.
    if one == other and isinstance(one, bool) == isinstance(other, bool):
        return True
    return stands_for_amount(path) and _same_amount(one, other)


def stands_for_amount(path: Sequence[str]) -> bool:
    """Return whether an amount is expected where these names of an event's data lead."""
    return bool(path) and path[-1] in _AMOUNTS and path[0] not in _NO_AMOUNTS_WITHIN


def _same_amount(one: Any, other: Any) -> bool:
    try:
        return amount(one, "amount") == amount(other, "amount")
    except InvalidEventError:
        return False

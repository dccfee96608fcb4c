"""Reading many deals at once, and apart where one of them cannot be read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from ...board.boundary import UNREADABLE
from ...errors import LadderError, StoreError

__all__ = ["read_apart", "why_unreadable"]

Found = TypeVar("Found")


def read_apart(
    read: Callable[[Sequence[int]], Mapping[int, Found]], ids: Sequence[int]
) -> tuple[Mapping[int, Found], dict[int, str]]:
    """Return what *read* finds of deals, by their numbers, and why some could not be read.

    Raises:
        StoreError: the store itself failed.
    """
    try:
        return read(ids), {}
    except UNREADABLE as error:
        if isinstance(error, StoreError):
            raise
        if len(ids) == 1:
            return {}, {ids[0]: why_unreadable(error)}
    found: dict[int, Found] = {}
    reasons: dict[int, str] = {}
    for id in ids:
        one, why = read_apart(read, [id])
        found.update(one)
        reasons.update(why)
    return found, reasons


def why_unreadable(error: Exception) -> str:
    """Return in words why a deal cannot be read."""
    if isinstance(error, LadderError):
        return str(error)
    return f"what is stored of it cannot be read ({type(error).__name__}: {error})"

"""Cursors: short texts that say where to read on, and that are checked when they come back."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import hashlib
import json
from typing import Any, Final, NamedTuple

from ..errors import CursorError
from ..model.canonical import is_storable
from ..stores.listing import Order, Place

__all__ = ["Since", "Told"]

_LONGEST: Final = 1_000
_CHECK: Final = 4
"""Bytes that tell a text that was cut or mistyped."""
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICRO: Final = dt.timedelta(microseconds=1)
_LARGEST: Final = 2**63


class Since(NamedTuple):
    """How far changes were read.

    Attributes:
        at: when the last of them was recorded.
        id: its number.
        again: from when on they are read once more when all are read; ``None`` if none are.
        seen: digest of what was behind this place already; empty when nothing was.
    """

    at: dt.datetime = _EPOCH
    id: int = 0
    again: dt.datetime | None = None
    seen: str = ""


class Told(NamedTuple):
    """How far moves were published.

    Attributes:
        changes: cursor of the deals that were read; ``None`` before the first.
        settled: moves that were recorded by then are all told; ``None`` when none need be.
    """

    changes: str | None = None
    settled: dt.datetime | None = None


def place_text(order: Order, place: Place) -> str:
    """Return the cursor of a place in an order."""
    key = place.key
    if key is not None and order.is_by_instant:
        key = tuple(map(_micros, key))
    return _text(["page", order.name, None if key is None else list(key), place.id])


def place_of(text: str, order: Order) -> Place:
    """Return the place that a cursor says.

    Raises:
        CursorError: it is none, or one of another order.
    """
    name, key, number = _parts(text, "page", 3)
    if name != order.name:
        raise CursorError(
            f"this cursor was given for sort={name!r} and not for {order.name!r}: pass the sort "
            "that it was given for, or begin without a cursor"
        )
    kind = str if order.columns == ("title",) else int
    if not _is_number(number) or not (key is None or _is_key(key, kind, len(order.columns))):
        raise _unknown(text)
    if key is None:
        return Place(None, number)
    return Place(tuple(map(_instant, key)) if order.is_by_instant else tuple(key), number)


def task_place_text(at: dt.datetime, key: str) -> str:
    """Return the cursor of a place among tasks: by when it is to be done, and its key."""
    return _text(["tasks", _micros(at), key])


def task_place_of(text: str) -> tuple[dt.datetime, str]:
    """Return the place among tasks that a cursor says.

    Raises:
        CursorError: it is none.
    """
    at, key = _parts(text, "tasks", 2)
    if not _is_number(at) or not isinstance(key, str) or not is_storable(key):
        raise _unknown(text)
    return _instant(at), key


def since_text(since: Since) -> str:
    """Return the cursor of how far changes were read."""
    again = None if since.again is None else _micros(since.again)
    return _text(["changes", _micros(since.at), since.id, again, since.seen])


def since_of(text: str) -> Since:
    """Return how far a cursor says that changes were read.

    Raises:
        CursorError: it is none.
    """
    at, number, again, seen = _parts(text, "changes", 4)
    numbers = [at, number] if again is None else [at, number, again]
    if not all(map(_is_number, numbers)) or not isinstance(seen, str):
        raise _unknown(text)
    return Since(_instant(at), number, None if again is None else _instant(again), seen)


def told_text(told: Told) -> str:
    """Return the cursor of how far moves were published."""
    settled = None if told.settled is None else _micros(told.settled)
    return _text(["moves", told.changes, settled])


def told_of(text: str) -> Told:
    """Return how far a cursor says that moves were published.

    Raises:
        CursorError: it is none.
    """
    changes, settled = _parts(text, "moves", 2)
    if not isinstance(changes, str) or not (settled is None or _is_number(settled)):
        raise _unknown(text)
    return Told(changes, None if settled is None else _instant(settled))


def _text(parts: list[Any]) -> str:
    told = json.dumps(parts, separators=(",", ":"), ensure_ascii=False).encode()
    return base64.urlsafe_b64encode(_check(told) + told).decode().rstrip("=")


def _parts(text: str, kind: str, length: int) -> list[Any]:
    if not isinstance(text, str) or len(text) > _LONGEST or not text.isascii():
        raise _unknown(text)
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        check, told = raw[:_CHECK], raw[_CHECK:]
        parts = json.loads(told) if check == _check(told) else None
    except (binascii.Error, ValueError, RecursionError):
        parts = None
    if not isinstance(parts, list) or parts[:1] != [kind] or len(parts) != length + 1:
        raise _unknown(text)
    return parts[1:]


def _check(told: bytes) -> bytes:
    return hashlib.blake2b(told, digest_size=_CHECK).digest()


def _unknown(text: object) -> CursorError:
    shown = repr(text)
    shown = shown if len(shown) <= 80 else f"{shown[:80]}…"
    return CursorError(
        f"{shown} is no cursor for this: pass on what the last answer said, to the letter, or "
        "begin without one"
    )


def _is_number(value: Any) -> bool:
    return type(value) is int and -_LARGEST <= value < _LARGEST


def _is_key(key: Any, kind: type, length: int) -> bool:
    if not isinstance(key, list) or len(key) != length:
        return False
    if kind is str:
        return all(isinstance(part, str) and is_storable(part) for part in key)
    return all(map(_is_number, key))


def _micros(at: dt.datetime) -> int:
    return (at - _EPOCH) // _MICRO


def _instant(micros: int) -> dt.datetime:
    try:
        return _EPOCH + micros * _MICRO
    except OverflowError as error:
        raise CursorError("this cursor says a time that there is not: begin without one") from error

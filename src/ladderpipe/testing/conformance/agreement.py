"""Where a history is not what a case says of it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from itertools import starmap
from typing import Any, Final

from ladderpipe import History

__all__ = ["as_data", "difference"]

_AMOUNTS: Final = frozenset(("value", "quantity", "unit_price"))
_WHOLE: Final = frozenset(("contact", "properties", "company"))
"""What a case says as a whole; of other mappings it leaves out what it will."""


def as_data(found: History | Mapping[str, Any]) -> dict[str, Any]:
    """Return a history as JSON has it, events by their ids."""
    written = found.to_dict() if isinstance(found, History) else dict(found)
    moves = [{**move, "event": _id(move["event"])} for move in written["moves"]]
    aside = sorted(_id(each) for each in written["aside"])
    return {**written, "moves": moves, "aside": aside}


def _id(told: Any) -> Any:
    """Return the id of an event that stands in a move, or in what was set aside."""
    event = told.get("event", told) if isinstance(told, Mapping) else told
    return event["id"] if isinstance(event, Mapping) else event


def difference(expected: Any, found: Any, place: str) -> str | None:
    """Return where what was found is not what is expected, and how; ``None`` for nowhere."""
    name = place.rpartition(".")[2]
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        pairs = enumerate(zip(expected, found, strict=True))
        parts = [(one, other, f"{place}[{n}]") for n, (one, other) in pairs]
        return next(filter(None, starmap(difference, parts)), None)
    if isinstance(expected, Mapping) and isinstance(found, Mapping) and name not in _WHOLE:
        parts = [(each, found.get(name), f"{place}.{name}") for name, each in expected.items()]
        return next(filter(None, starmap(difference, parts)), None)
    if name in _AMOUNTS and None not in (expected, found):
        expected, found = Decimal(expected), Decimal(found)
    return None if expected == found else f"{place}: expected {expected!r}, found {found!r}"

"""Copies of an event as other senders would tell it: the same thing, and not the same objects.

A queue numbers its messages anew, a data frame's times and texts are subclasses of Python's, a
serialiser writes 100 as 100.0 or as text. What is delivered twice comes back like that.
"""

from __future__ import annotations

import collections
import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from hypothesis import strategies as st

from ladderpipe import Event
from ladderpipe.errors import InvalidEventError
from ladderpipe.model.event import MAX_SEQ
from ladderpipe.model.money import amount
from ladderpipe.model.sameness import stands_for_amount

from .strategies import Pick, picker

__all__ = ["copies", "disguised"]


class Stamp(dt.datetime):
    """A time that counts nanoseconds beside what a ``datetime`` holds, as data frames' do."""

    nanosecond = 789

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stamp) and super().__eq__(other)

    def __gt__(self, other: Any) -> bool:
        beyond = not isinstance(other, Stamp) and super().__eq__(other)
        return bool(super().__gt__(other) or beyond)

    def __ge__(self, other: Any) -> bool:
        return bool(self > other or self == other)

    def __lt__(self, other: Any) -> bool:
        return bool(super().__lt__(other))

    def __le__(self, other: Any) -> bool:
        return bool(self < other or self == other)

    def __hash__(self) -> int:
        return hash((super().__hash__(), self.nanosecond))

    def isoformat(self, sep: str = "T", timespec: str = "auto") -> str:
        return f"{super().isoformat(sep, timespec)}[{self.nanosecond}]"

    def utcoffset(self) -> dt.timedelta | None:
        return super().utcoffset()


class Text(str):
    """Text that shows itself otherwise than it is, as a member of an enumeration does."""

    __slots__ = ()

    def __str__(self) -> str:
        return f"Text.{super().__str__()}"

    __repr__ = __str__

    def __format__(self, spec: str) -> str:
        return str(self)


class Whole(int):
    """A whole number that shows itself otherwise than it is."""

    __slots__ = ()

    def __str__(self) -> str:
        return "Whole"

    __repr__ = __str__

    def __int__(self) -> int:
        return 0

    __index__ = __int__


class Broken(float):
    """A float that shows itself otherwise than it is."""

    __slots__ = ()

    def __str__(self) -> str:
        return "Broken"

    __repr__ = __str__

    def __float__(self) -> float:
        return 0.0


class Exact(Decimal):
    """A decimal that shows itself otherwise than it is."""

    def __str__(self) -> str:
        return "Exact"

    __repr__ = __str__


class Bag(Mapping[str, Any]):
    """A mapping that is no ``dict``."""

    def __init__(self, held: Mapping[str, Any]) -> None:
        self._held = held

    def __getitem__(self, name: str) -> Any:
        return self._held[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._held)

    def __len__(self) -> int:
        return len(self._held)


class Row(list[Any]):
    """A list that shows itself otherwise than it is."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Row"


_MAPPINGS = (dict, collections.OrderedDict, collections.UserDict, MappingProxyType, Bag)
_DISGUISES: Mapping[type, Callable[[Any], Any]] = {
    str: Text,
    int: Whole,
    float: Broken,
    Decimal: Exact,
}
_SEQS = (0, 0, 1, -1, 1001, MAX_SEQ, -MAX_SEQ)
_ZONES = tuple(dt.timezone(dt.timedelta(minutes=minutes)) for minutes in (0, 60, -330))


@st.composite
def copies(draw: st.DrawFn, event: Event) -> Event:
    """Return the event as another delivery may tell it: any ``seq``, and other objects.

    Amounts may be written otherwise: 100, 100.0 and ``"100"`` are the same amount.
    """
    pick = picker(draw)
    return _told_again(pick, event, seq=pick(_SEQS), amounts=True)


@st.composite
def disguised(draw: st.DrawFn, event: Event) -> Event:
    """Return an event that equals *event*, built of subclasses and other kinds of mappings."""
    return _told_again(picker(draw), event, seq=event.seq, amounts=False)


def _told_again(pick: Pick, event: Event, *, seq: int, amounts: bool) -> Event:
    text, whole = pick([str, Text]), pick([int, Whole])
    return Event(
        text(event.type),
        deal=text(event.deal),
        id=text(event.id),
        source=text(event.source),
        seq=whole(seq),
        at=_instant(pick, event.at),
        data=_value(pick, event.data, amounts, ()),
    )


def _instant(pick: Pick, at: dt.datetime) -> Any:
    how = pick(["as it is", "stamp", "text", "small letters"])
    if how == "as it is":
        return at
    at = at.astimezone(pick(_ZONES))
    if how == "stamp":
        return Stamp.combine(at.date(), at.timetz())
    text = at.isoformat().replace("+00:00", "Z")
    return text.lower() if how == "small letters" else Text(text)


def _value(pick: Pick, value: Any, amounts: bool, path: tuple[str, ...]) -> Any:
    """Return another object that is the same JSON value, or the same amount where one stands."""
    if isinstance(value, Mapping):
        key = pick([str, Text])
        names = pick([list, reversed])(list(value))
        return pick(_MAPPINGS)({key(n): _value(pick, value[n], amounts, (*path, n)) for n in names})
    if isinstance(value, list):
        return pick([list, tuple, Row])([_value(pick, part, amounts, path) for part in value])
    if amounts and stands_for_amount(path):
        value = pick(_ways_to_write(value))
    disguise = _DISGUISES.get(type(value))
    return value if disguise is None else pick([_as_it_is, disguise])(value)


def _as_it_is(value: Any) -> Any:
    return value


def _ways_to_write(value: Any) -> list[Any]:
    try:
        exact = amount(value, "amount")
    except InvalidEventError:
        return [value]
    ways: list[Any] = [value, exact, str(exact), f"{exact:.10f}"]
    if amount(float(exact), "amount") == exact:
        ways.append(float(exact))
    if exact == int(exact):
        ways.append(int(exact))
    return ways

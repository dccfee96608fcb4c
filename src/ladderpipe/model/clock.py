"""Instants and clocks. Every time in the library is an aware UTC datetime with microseconds."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from typing import Any, Final, Protocol, runtime_checkable

from ..errors import ClockError, InstantError
from ..public import publish

__all__ = ["Clock", "ManualClock", "SystemClock", "instant", "instant_text"]

UTC = dt.UTC


def instant(value: dt.datetime | str) -> dt.datetime:
    """Return *value* as an aware UTC datetime of Python's own class, with microseconds.

    Args:
        value: an aware datetime, of whatever subclass, or ISO 8601 text with an offset or ``Z``;
            small letters are taken, too.

    Raises:
        InstantError: *value* is naive, or is no time at all.

    >>> instant("2026-01-05T10:00:00+01:00")
    datetime.datetime(2026, 1, 5, 9, 0, tzinfo=datetime.timezone.utc)
    """
    if type(value) is not dt.datetime:
        value = _plain(value)
    if value.tzinfo is UTC:
        return value
    if value.utcoffset() is None:
        raise InstantError(
            f"{value.isoformat()} has no time zone, so it names no instant: "
            "use datetime.now(timezone.utc), or value.replace(tzinfo=...) with the zone it is in"
        )
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise InstantError(f"{value.isoformat()} is out of range in UTC") from None


def instant_text(at: dt.datetime) -> str:
    """Return a UTC instant as records write it, RFC 3339: ``2026-01-05T09:00:00Z``."""
    return at.isoformat().replace("+00:00", "Z")


def _plain(value: Any) -> dt.datetime:
    """Return what is no plain datetime as one."""
    if isinstance(value, str):
        return _read(str.__str__(value))
    if isinstance(value, dt.datetime):
        if value != value:
            raise InstantError(f"{value!r} stands for a time that is missing: leave it out")
        # What a subclass counts beside microseconds, no store could keep.
        return dt.datetime.combine(dt.datetime.date(value), dt.datetime.timetz(value))
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        raise InstantError(_no_time(value))
    raise InstantError(f"{value!r} is not a time: give an aware datetime or ISO 8601 text")


def _read(text: str) -> dt.datetime:
    try:
        # RFC 3339 allows small letters, which Python reads only in some places.
        return dt.datetime.fromisoformat(text.upper())
    except ValueError:
        pass
    if re.fullmatch(r"\d{1,20}(\.\d{1,20})?", text, re.ASCII):
        raise InstantError(_no_time(Decimal(text)))
    raise InstantError(f"{text!r} is not a time: {_WRITE}")


_WRITE: Final = "write ISO 8601 with an offset, for example 2026-01-05T09:00:00Z"
_UNITS: Final = (
    (Decimal(10) ** 8, "seconds", ""),
    (Decimal(10) ** 11, "milliseconds", " / 1_000"),
    (Decimal(10) ** 14, "microseconds", " / 1_000_000"),
    (Decimal(10) ** 17, "nanoseconds", " / 1_000_000_000"),
)
"""From what size on a number is taken for a count since 1970 in this unit: from 1973 to 5138."""


def _no_time(number: float | Decimal) -> str:
    """Say that a number is no time, and how to write the one it seems to count."""
    size = Decimal(float.__repr__(number) if isinstance(number, float) else number)
    shown = f"{size:.20g}"
    for least, unit, divided in _UNITS:
        if size.is_finite() and least <= size < least * 1000:
            return (
                f"{shown} is not a time; it looks like {unit} since 1970: "
                f"write datetime.fromtimestamp({shown}{divided}, tz=UTC)"
            )
    return f"{shown} is a number, not a time: {_WRITE}"


@runtime_checkable
class Clock(Protocol):
    """Tells a board the time."""

    def now(self) -> dt.datetime:
        """Return the current instant, aware."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> dt.datetime:
        """Return the current instant in UTC."""
        return dt.datetime.now(UTC)

    def __repr__(self) -> str:
        return "SystemClock()"


class ManualClock:
    """A clock that stands still until it is told to go on; for tests, demos and simulations.

    >>> clock = ManualClock("2026-01-05T09:00:00Z")
    >>> clock.advance(hours=49)
    datetime.datetime(2026, 1, 7, 10, 0, tzinfo=datetime.timezone.utc)
    """

    def __init__(self, start: dt.datetime | str) -> None:
        self._now = instant(start)

    def now(self) -> dt.datetime:
        """Return the instant the clock stands at, in UTC."""
        return self._now

    def advance(
        self,
        by: dt.timedelta | None = None,
        *,
        weeks: float = 0,
        days: float = 0,
        hours: float = 0,
        minutes: float = 0,
        seconds: float = 0,
        microseconds: float = 0,
    ) -> dt.datetime:
        """Go forward by *by*, or by the sum of the units, and return the new instant.

        Raises:
            ClockError: the sum is negative.
        """
        step = (by or dt.timedelta()) + dt.timedelta(
            weeks=weeks,
            days=days,
            hours=hours,
            minutes=minutes,
            seconds=seconds,
            microseconds=microseconds,
        )
        return self.set(self._now + step)

    def set(self, to: dt.datetime | str) -> dt.datetime:
        """Go forward to *to* and return it.

        Raises:
            ClockError: *to* is earlier than where the clock stands.
            InstantError: *to* has no time zone.
        """
        to = instant(to)
        if to < self._now:
            raise ClockError(
                f"the clock stands at {self._now.isoformat()} and cannot go back to "
                f"{to.isoformat()}: make a new ManualClock for an earlier time"
            )
        self._now = to
        return to

    def __repr__(self) -> str:
        return f"ManualClock({self._now.isoformat()!r})"


publish("ladderpipe", Clock, ManualClock, SystemClock)

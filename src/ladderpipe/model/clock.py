"""Instants and clocks. Every time in the library is an aware UTC datetime with microseconds."""

from __future__ import annotations

import datetime as dt
from typing import Protocol, runtime_checkable

from ..errors import ClockError, InstantError

__all__ = ["Clock", "ManualClock", "SystemClock", "instant", "instant_text"]

UTC = dt.UTC


def instant(value: dt.datetime | str) -> dt.datetime:
    """Return *value* as an aware UTC datetime.

    Args:
        value: an aware datetime, or ISO 8601 text with an offset or ``Z``.

    Raises:
        InstantError: *value* is naive, or is no time at all.

    >>> instant("2026-01-05T10:00:00+01:00")
    datetime.datetime(2026, 1, 5, 9, 0, tzinfo=datetime.timezone.utc)
    """
    if isinstance(value, str):
        try:
            value = dt.datetime.fromisoformat(value)
        except ValueError:
            raise InstantError(
                f"{value!r} is not a time: write ISO 8601 with an offset, "
                "for example 2026-01-05T09:00:00Z"
            ) from None
    if not isinstance(value, dt.datetime):
        raise InstantError(f"{value!r} is not a time: give an aware datetime or ISO 8601 text")
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

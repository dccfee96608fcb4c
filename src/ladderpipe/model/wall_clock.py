"""What the clocks on a zone's walls show: times that are skipped, and times that come twice."""

from __future__ import annotations

import datetime as dt
import functools
from typing import TYPE_CHECKING, Final

from ..errors import DefinitionError

if TYPE_CHECKING:
    import zoneinfo

__all__ = [
    "change_between",
    "checked_zone",
    "first_instant",
    "has_been",
    "latest_wall",
    "offset_at",
    "utc_of",
    "wall_at",
]

_SECOND: Final = dt.timedelta(seconds=1)


@functools.lru_cache(maxsize=1024)
def checked_zone(name: str) -> zoneinfo.ZoneInfo:
    """Return a time zone by its IANA name.

    Raises:
        DefinitionError: there is none of that name.
    """
    import zoneinfo  # few programs have a zone, and all import this

    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, TypeError, OSError):
        raise DefinitionError(
            f"zone={name!r} is no time zone that this machine knows: write Europe/Rome or UTC "
            "(where it knows none, install the package tzdata)"
        ) from None


def offset_at(zone: zoneinfo.ZoneInfo, at: dt.datetime) -> dt.timedelta:
    """Return how far the wall is ahead of UTC at an instant."""
    return at.astimezone(zone).utcoffset() or dt.timedelta()


def wall_at(at: dt.datetime, offset: dt.timedelta) -> dt.datetime:
    """Return what a wall shows that is so far ahead, without a zone."""
    return at.replace(tzinfo=None) + offset


def utc_of(wall: dt.datetime, offset: dt.timedelta) -> dt.datetime:
    """Return when a wall that is so far ahead shows that time."""
    return (wall - offset).replace(tzinfo=dt.UTC)


def change_between(zone: zoneinfo.ZoneInfo, before: dt.datetime, after: dt.datetime) -> dt.datetime:
    """Return when the clocks were changed between two instants; they are at full seconds."""
    offset = offset_at(zone, before)
    while after - before > _SECOND:
        middle = before + (after - before) / 2
        if offset_at(zone, middle) == offset:
            before = middle
        else:
            after = middle
    return after.replace(microsecond=0)


def latest_wall(zone: zoneinfo.ZoneInfo, at: dt.datetime) -> dt.datetime:
    """Return the latest time that the wall has shown until then.

    In an hour that comes twice it stays, the second time, at the end of that hour: so whoever
    comes later never counts from an earlier time.
    """
    there = at.astimezone(zone)
    if not there.fold:
        return there.replace(tzinfo=None)
    before = there.replace(fold=0).utcoffset() or dt.timedelta()
    back = before - (there.utcoffset() or dt.timedelta())
    return wall_at(change_between(zone, at - back, at), before)


def has_been(zone: zoneinfo.ZoneInfo, date: dt.date) -> bool:
    """Return whether the date was in the zone: Samoa had no 30 December 2011."""
    noon = dt.datetime.combine(date, dt.time(12), zone)
    return noon.astimezone(dt.UTC).astimezone(zone).date() == date


def first_instant(zone: zoneinfo.ZoneInfo, wall: dt.datetime) -> dt.datetime:
    """Return when the wall first shows that time, or a later one where it is skipped."""
    there = wall.replace(tzinfo=zone)
    at = there.astimezone(dt.UTC)
    if at.astimezone(zone).replace(tzinfo=None, fold=0) == wall:
        return at
    # PEP 495: of a time that is skipped, fold 0 has the offset before the change, fold 1 after.
    ahead = there.astimezone(dt.UTC) - there.replace(fold=1).astimezone(dt.UTC)
    return change_between(zone, at - ahead, at)

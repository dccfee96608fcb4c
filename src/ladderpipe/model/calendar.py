"""When a business is open: hours of the week and holidays on a zone's clocks, and waits by them.

A calendar is a value: it holds its dates, and asks nobody. One rule says everything else: *an
instant is open when the clocks on the wall then show a time within the hours of that date*. So an
hour that the clocks skip is no opening, and one that comes twice is open twice.
"""

from __future__ import annotations

import datetime as dt
import functools
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import attrs

from ..errors import DefinitionError
from ..public import publish
from .clock import instant
from .wall_clock import (
    change_between,
    checked_zone,
    first_instant,
    has_been,
    latest_wall,
    offset_at,
    utc_of,
    wall_at,
)

if TYPE_CHECKING:
    import zoneinfo

__all__ = [
    "Calendar",
    "CalendarSpan",
    "by_name",
    "checked_zone",
    "clocks",
    "counted",
    "span",
    "usual_length",
]

Hours: TypeAlias = Mapping[str, str | Iterable[str]]
"""From days (``"mon-fri"``, ``"sat"``) to their hours (``["09:00-13:00", "14:00-18:00"]``)."""

Week: TypeAlias = tuple[tuple[tuple[int, int], ...], ...]
"""For each weekday its hours, as minutes of the day."""

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
LONGEST_SPAN: Final = dt.timedelta(days=3_660)
"""No wait on a calendar is longer: its days are counted one by one."""

_DAY: Final = dt.timedelta(days=1)
_WEEK: Final = dt.timedelta(days=7)
_TICK: Final = dt.timedelta.resolution
_MINUTE: Final = dt.timedelta(minutes=1)
_NAME = re.compile(r"[A-Za-z_][\w-]*", re.ASCII)
_HOURS = re.compile(r"(\d\d):(\d\d)\s*-\s*(\d\d):(\d\d)")
_ROUND_THE_CLOCK: Final[Week] = (((0, 24 * 60),),) * 7


def _zone_name(given: str | zoneinfo.ZoneInfo) -> str:
    name = given if isinstance(given, str) else str(getattr(given, "key", given))
    checked_zone(name)
    return name


def _week(given: Hours | Week) -> Week:
    if isinstance(given, tuple):
        return given
    if not isinstance(given, Mapping):
        raise DefinitionError(f'hours={given!r}: write hours={{"mon-fri": ["09:00-18:00"]}}')
    week: list[tuple[tuple[int, int], ...]] = [()] * 7
    for days, hours in given.items():
        for day in _weekdays(days):
            if week[day]:
                raise DefinitionError(f"hours: {DAYS[day]} is named twice: once by {days!r}")
            week[day] = _day_hours(days, [hours] if isinstance(hours, str) else list(hours))
    if not any(week):
        raise DefinitionError('hours: it is never open: write hours={"mon-fri": ["09:00-18:00"]}')
    return tuple(week)


def _weekdays(text: str) -> range:
    first, _, last = text.partition("-") if isinstance(text, str) else (text, "", "")
    try:
        start = DAYS.index(first)
        end = DAYS.index(last) if last else start
    except ValueError:
        start, end = 1, 0
    if start > end:
        raise DefinitionError(
            f"hours: {text!r} names no days: write one of {', '.join(DAYS)}, or the first and "
            "the last of several, mon-fri"
        )
    return range(start, end + 1)


def _day_hours(days: str, texts: list[str]) -> tuple[tuple[int, int], ...]:
    found = []
    for text in texts:
        match = _HOURS.fullmatch(text.strip()) if isinstance(text, str) else None
        parts = [0, 0, 0, 0] if match is None else list(map(int, match.groups()))
        opens, closes = parts[0] * 60 + parts[1], parts[2] * 60 + parts[3]
        if not opens < closes <= 24 * 60 or max(parts[1], parts[3]) > 59:
            raise DefinitionError(
                f'hours: {text!r} of {days!r}: write "09:00-13:00", the earlier time first; '
                'until midnight is "20:00-24:00", and what follows stands at the next day'
            )
        found.append((opens, closes))
    found.sort()
    for (_, closes), (opens, _) in itertools.pairwise(found):
        if opens < closes:
            raise DefinitionError(f"hours: those of {days!r} overlap: {', '.join(texts)}")
    return tuple(found)


def _dates(given: Iterable[dt.date | str]) -> frozenset[dt.date]:
    if isinstance(given, str):
        raise DefinitionError(f"holidays={given!r}: give a list of dates, [{given!r}]")
    return frozenset(map(_date, given))


def _date(given: dt.date | str) -> dt.date:
    try:
        if isinstance(given, str):
            return dt.date.fromisoformat(given)
        return dt.date(given.year, given.month, given.day)
    except (ValueError, AttributeError):
        raise DefinitionError(
            f'holidays has {given!r}: give dates, date(2026, 12, 25) or "2026-12-25"'
        ) from None


@attrs.frozen
class Calendar:
    """When a business is open: weekly hours and holidays, on the clocks of a zone.

    An instant is open when the clocks of the zone then show a time within the hours of that date,
    the opening included and the closing not. It is a value: the same calendar gives the same
    answer whatever is installed, but for what the zone database says of a zone's clocks.

    Args:
        name: what definitions and messages call it, such as ``"office"``.
        zone: IANA name of the zone, ``"Europe/Rome"``.
        hours: by day, or first and last of several, the hours of the day: ``{"mon-fri":
            ["09:00-13:00", "14:00-18:00"], "sat": "09:00-12:30"}``. Other days are closed.
        holidays: dates on which it is closed all day. :func:`ladderpipe.public_holidays` knows
            those of a country.

    Raises:
        DefinitionError: a part of it is not what it should be.
    """

    name: str
    zone: str = attrs.field(kw_only=True, converter=_zone_name)
    hours: Week = attrs.field(kw_only=True, converter=_week)
    holidays: frozenset[dt.date] = attrs.field(
        kw_only=True, default=frozenset(), converter=_dates, repr=lambda days: f"<{len(days)}>"
    )

    def __attrs_post_init__(self) -> None:
        """Check the name, which only the clocks of a zone do without."""
        is_bare = self.name == "" and self.hours == _ROUND_THE_CLOCK
        if not is_bare and not (isinstance(self.name, str) and _NAME.fullmatch(self.name)):
            raise DefinitionError(
                f"a calendar called {self.name!r}: use letters, digits, '_' and '-', beginning "
                "with a letter, for example 'office'"
            )

    def __str__(self) -> str:
        return self.name or self.zone

    def is_open(self, at: dt.datetime | str) -> bool:
        """Return whether it is open at an instant.

        Raises:
            InstantError: *at* has no time zone.
        """
        at = instant(at)
        return self.opens_at(at) == at

    def opens_at(self, at: dt.datetime | str) -> dt.datetime:
        """Return the first open instant, *at* or after, in UTC.

        Raises:
            InstantError: *at* has no time zone.
        """
        return next(self._openings(instant(at)))[0]

    def after(
        self, at: dt.datetime | str, *, days: float = 0, hours: float = 0, minutes: float = 0
    ) -> dt.datetime:
        """Return the instant, in UTC, when so much of the time it is open has passed since *at*.

        Args:
            days: whole business days: the same time of day so many open dates later, counted from
                when it is next open; a time at which it is closed there counts as its next
                opening.
            hours: business hours, after those days.
            minutes: the same.

        Raises:
            DefinitionError: a number is negative, or the days are not whole.
            InstantError: *at* has no time zone.
        """
        return instant(at) + span("after", self, days=days, hours=hours, minutes=minutes)

    def span(self, *, days: float = 0, hours: float = 0, minutes: float = 0) -> CalendarSpan:
        """Return a length of time on this calendar, for a stage's ``rots_after``.

        Raises:
            DefinitionError: it is negative, or nothing, or the days are not whole.
        """
        found = span("span", self, days=days, hours=hours, minutes=minutes)
        if not found:
            raise DefinitionError("span() is of no length: write span(hours=8)")
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return it, without its name, as it stands in a definition file."""
        hours: dict[str, list[str]] = {}
        day = 0
        while day < 7:
            last = day
            while last < 6 and self.hours[last + 1] == self.hours[day]:
                last += 1
            if self.hours[day]:
                name = DAYS[day] if day == last else f"{DAYS[day]}-{DAYS[last]}"
                hours[name] = [
                    f"{_clock_text(opens)}-{_clock_text(closes)}"
                    for opens, closes in self.hours[day]
                ]
            day = last + 1
        written: dict[str, Any] = {"zone": self.zone, "hours": hours}
        if self.holidays:
            written["holidays"] = [day.isoformat() for day in sorted(self.holidays)]
        return written

    def _hours_of(self, date: dt.date) -> tuple[tuple[int, int], ...]:
        return () if date in self.holidays else self.hours[date.weekday()]

    def _openings(self, at: dt.datetime) -> Iterator[tuple[dt.datetime, dt.datetime]]:
        """Yield when it is open from *at* on, stretch after stretch, in UTC.

        Between two changes of the clocks the wall and UTC go by the same step, so that nothing
        needs a second look at what a time that is skipped or comes twice may mean.
        """
        zone = checked_zone(self.zone)
        offset = offset_at(zone, at)
        while True:
            ends = at + _DAY
            next_offset = offset_at(zone, ends)
            if next_offset != offset:
                ends = change_between(zone, at, ends)
            begins_there, ends_there = wall_at(at, offset), wall_at(ends, offset)
            midnight = dt.datetime.combine(begins_there, dt.time())
            while midnight < ends_there:
                for opens, closes in self._hours_of(midnight.date()):
                    start = max(midnight + opens * _MINUTE, begins_there)
                    end = min(midnight + closes * _MINUTE, ends_there)
                    if start < end:
                        yield utc_of(start, offset), utc_of(end, offset)
                midnight += _DAY
            at, offset = ends, next_offset

    def _passed(self, at: dt.datetime, time: dt.timedelta) -> dt.datetime:
        """Return when so much open time has passed; a closing is in time for what ends there."""
        if not time:
            begins, ends = next(self._openings(at - _TICK))
            return at if begins <= at <= ends else max(begins, at)
        for begins, ends in self._openings(at):
            if time <= ends - begins:
                return begins + time
            time -= ends - begins
        raise AssertionError("there is always another opening")

    def _days_later(self, at: dt.datetime, days: int) -> dt.datetime:
        """Return the same time of day so many open dates later; that time may be closed there."""
        zone = checked_zone(self.zone)
        wall = self._next_open_wall(zone, latest_wall(zone, at))
        date = wall.date()
        for _ in range(days):
            date += _DAY
            while not self._hours_of(date) or not has_been(zone, date):
                date += _DAY
        return first_instant(zone, dt.datetime.combine(date, wall.time()))

    def _next_open_wall(self, zone: zoneinfo.ZoneInfo, wall: dt.datetime) -> dt.datetime:
        midnight = dt.datetime.combine(wall, dt.time())
        while True:
            for opens, closes in self._hours_of(midnight.date()):
                if wall < midnight + closes * _MINUTE and has_been(zone, midnight.date()):
                    return max(wall, midnight + opens * _MINUTE)
            midnight += _DAY


@attrs.frozen
class CalendarSpan:
    """A length of time on a calendar. Added to an instant it gives the instant when it is over."""

    calendar: Calendar
    days: int = 0
    time: dt.timedelta = dt.timedelta()

    def __radd__(self, at: dt.datetime) -> dt.datetime:
        at = at.astimezone(dt.UTC)
        if self.days:
            at = self.calendar._days_later(at, self.days)
        return self.calendar._passed(at, self.time)

    def __bool__(self) -> bool:
        return bool(self.days or self.time)

    def __str__(self) -> str:
        business = "business " if self.calendar.name else ""
        parts = [_count(self.days, f"{business}day")] if self.days else []
        if self.time or not parts:
            minutes = self.time / _MINUTE
            unit, count = ("hour", minutes / 60) if minutes % 60 == 0 else ("minute", minutes)
            parts.append(_count(count, f"{business}{unit}"))
        return " and ".join(parts) + f" ({self.calendar})"


@functools.lru_cache(maxsize=1024)
def clocks(zone: str) -> Calendar:
    """Return the calendar that is always open: what is left of it are the clocks of a zone.

    Raises:
        DefinitionError: there is no such zone.
    """
    return Calendar("", zone=zone, hours=_ROUND_THE_CLOCK)


def span(
    what: str,
    calendar: Calendar | str,
    *,
    weeks: float = 0,
    days: float = 0,
    hours: float = 0,
    minutes: float = 0,
    seconds: float = 0,
) -> CalendarSpan:
    """Return a span on a calendar, or on the clocks of a zone.

    Args:
        what: who asks, for a refusal.
        weeks: only on a zone's clocks; of a calendar nobody knows how many business days one has.

    Raises:
        DefinitionError: it is no calendar, or the span is not a length of time on one.
    """
    if isinstance(calendar, str):
        calendar, days = clocks(calendar), days + 7 * weeks
    elif not isinstance(calendar, Calendar):
        raise DefinitionError(f"{what}: {calendar!r} is no calendar: give a Calendar")
    elif weeks:
        raise DefinitionError(
            f"{what}: weeks={weeks} on calendar {calendar.name!r}: say how many business days, "
            "days=5"
        )
    try:
        time = dt.timedelta(hours=hours, minutes=minutes, seconds=seconds)
        whole = int(days)
    except (OverflowError, ValueError, TypeError) as error:
        raise DefinitionError(f"{what}: {error}: give numbers") from None
    if whole != days:
        raise DefinitionError(f"{what}: days={days} on calendar {calendar}: whole days, or hours")
    if whole < 0 or time < dt.timedelta():
        raise DefinitionError(f"{what}: {days} days and {time} are negative; give zero or more")
    if whole > LONGEST_SPAN.days or time > LONGEST_SPAN:
        raise DefinitionError(f"{what}: {days} days and {time} on a calendar: ten years at most")
    return CalendarSpan(calendar, whole, time)


def counted(
    what: str, other: object, calendar: Calendar | None, zone: str | None, **units: float
) -> CalendarSpan:
    """Return the span that a rule or a wait names by its units and a calendar, or a zone.

    Args:
        what: who asks, for a refusal.
        other: what was given beside the units, which no calendar can count.

    Raises:
        DefinitionError: it is not one span on one calendar.
    """
    if other is not None:
        raise DefinitionError(
            f"{what} has {other!r} beside a calendar or zone, which has to know of days and hours: "
            "write days=2 or hours=16"
        )
    if calendar is not None and zone is not None:
        raise DefinitionError(f"{what} has a calendar and a zone: a calendar has its own zone")
    found = span(what, calendar if zone is None else zone, **units)  # type: ignore[arg-type]
    if not found:
        raise DefinitionError(f"{what} has no delay: say how long, hours=8")
    return found


def usual_length(delay: dt.timedelta | CalendarSpan) -> dt.timedelta:
    """Return how long a delay is, on average where it counts on a calendar, holidays left out."""
    if isinstance(delay, dt.timedelta):
        return delay
    week = [sum(closes - opens for opens, closes in hours) for hours in delay.calendar.hours]
    hours_of_one = _WEEK / (sum(week) * _MINUTE)
    return delay.days * _WEEK / sum(map(bool, week)) + delay.time * hours_of_one


def by_name(calendars: Iterable[Calendar], pipeline: str) -> dict[str, Calendar]:
    """Return the calendars that have a name, under it.

    Raises:
        DefinitionError: two different ones have the same.
    """
    found: dict[str, Calendar] = {}
    for calendar in calendars:
        if calendar.name and found.setdefault(calendar.name, calendar) != calendar:
            raise DefinitionError(
                f"pipeline {pipeline!r} has two calendars {calendar.name!r} that differ: give "
                "each its own name"
            )
    return found


def _count(number: float, unit: str) -> str:
    return f"{number:.15g} {unit}" + ("" if number == 1 else "s")


def _clock_text(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


publish("ladderpipe", Calendar, CalendarSpan)

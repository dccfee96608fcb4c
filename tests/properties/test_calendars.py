"""Business hours: a due instant is never outside of them, whatever the clocks do."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

from hypothesis import assume, example, given
from hypothesis import strategies as st

from ladderpipe import Calendar, Event, Pipeline, Stage, after, on

MINUTE = dt.timedelta(minutes=1)
TICK = dt.timedelta.resolution
ZONES = {
    "UTC": ["2026-01-05T00:00Z"],
    "Europe/Rome": ["2026-03-29T01:00Z", "2026-10-25T01:00Z"],
    "America/New_York": ["2026-03-08T07:00Z", "2026-11-01T06:00Z"],
    "America/Sao_Paulo": ["2018-11-04T03:00Z", "2019-02-17T02:00Z"],  # at midnight, of Saturday
    "America/St_Johns": ["2010-03-14T03:31Z", "2010-11-07T02:31Z"],  # at 00:01, into yesterday
    "Australia/Lord_Howe": ["2026-04-04T15:00Z", "2026-10-03T15:30Z"],  # by half an hour
    "Africa/Casablanca": ["2026-02-15T02:00Z", "2026-03-22T02:00Z"],  # for Ramadan
    "Pacific/Apia": ["2011-12-30T10:00Z"],  # a day is missing
}
"""Zones, and when their clocks were changed."""

SKIPPED_AND_TWICE = {"mon-sun": ["00:00-00:45", "01:30-02:30", "02:45-03:15", "23:15-24:00"]}


@st.composite
def weeks(draw: st.DrawFn) -> dict[str, list[str]]:
    """Hours of the week, on full quarters; at least one day is open."""
    if draw(st.integers(0, 4)) == 0:
        return SKIPPED_AND_TWICE
    found = {}
    for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun"):
        bounds = sorted(draw(st.sets(st.integers(0, 96), max_size=4)))
        pairs = zip(bounds[::2], bounds[1::2], strict=False)
        found[day] = [f"{_time(opens)}-{_time(closes)}" for opens, closes in pairs]
    assume(any(found.values()))
    return found


def _time(quarters: int) -> str:
    return f"{quarters // 4:02}:{quarters % 4 * 15:02}"


@st.composite
def calendars(draw: st.DrawFn) -> tuple[Calendar, dt.datetime]:
    """A calendar, and a full minute within some days of a change of its clocks."""
    zone = draw(st.sampled_from(sorted(ZONES)))
    change = dt.datetime.fromisoformat(draw(st.sampled_from(ZONES[zone])))
    near = st.one_of(st.integers(-200, 200), st.integers(-5 * 1440, 3 * 1440))
    start = change + draw(near) * MINUTE
    holidays = draw(st.sets(st.integers(-3, 9), max_size=4))
    dates = [change.date() + dt.timedelta(days=day) for day in holidays]
    return Calendar("office", zone=zone, hours=draw(weeks()), holidays=dates), start


def is_open(calendar: Calendar, at: dt.datetime) -> bool:
    """What the calendar promises, in the words of its documentation."""
    there = at.astimezone(ZoneInfo(calendar.zone))
    minute = there.hour * 60 + there.minute
    hours = () if there.date() in calendar.holidays else calendar.hours[there.weekday()]
    return any(opens <= minute < closes for opens, closes in hours)


def is_in_hours(calendar: Calendar, due: dt.datetime) -> bool:
    return is_open(calendar, due) or is_open(calendar, due - TICK)


amounts = st.integers(1, 20 * 60)
numbers_of_days = st.integers(1, 8)


@given(calendars(), st.integers(0, 400))
def test_hours_are_the_open_minutes_counted_one_by_one(found, minutes):
    calendar, start = found
    due, left = start, minutes
    while left:
        left -= is_open(calendar, due)
        due += MINUTE
        assume(due - start < dt.timedelta(days=12))
    if not minutes:
        while not is_in_hours(calendar, due):
            due += MINUTE
    assert calendar.after(start, minutes=minutes) == due


@given(calendars(), st.integers(0, 8), st.integers(0, 600), st.integers(0, 59_999_999))
def test_what_is_due_is_never_outside_the_hours(found, days, minutes, micros):
    calendar, start = found
    start += micros * TICK
    due = calendar.after(start, days=days, minutes=minutes)
    assert due >= start
    assert due.tzinfo is dt.UTC
    assert is_in_hours(calendar, due)


@given(calendars(), st.integers(0, 3 * 1440), st.integers(0, 8), st.integers(0, 600))
def test_whoever_comes_later_is_never_due_earlier(found, later, days, minutes):
    calendar, start = found
    first = calendar.after(start, days=days, minutes=minutes)
    assert first <= calendar.after(start + later * MINUTE, days=days, minutes=minutes)


@given(calendars(), st.integers(0, 2_000), st.integers(0, 2_000))
def test_waiting_twice_is_waiting_for_the_sum(found, one, other):
    calendar, start = found
    twice = calendar.after(calendar.after(start, minutes=one), minutes=other)
    assert twice == calendar.after(start, minutes=one + other)


@given(calendars(), st.integers(1, 4), st.integers(1, 4))
def test_days_add_up_where_every_day_has_the_same_hours(found, one, other):
    calendar, start = found
    same = Calendar(
        "same", zone=calendar.zone, hours={"mon-fri": "09:00-18:00"}, holidays=calendar.holidays
    )
    twice = same.after(same.after(start, days=one), days=other)
    assert twice == same.after(start, days=one + other)


@given(calendars(), numbers_of_days)
def test_business_days_keep_the_time_of_day_and_leave_out_what_is_closed(found, days):
    calendar, start = found
    same = Calendar(
        "same", zone=calendar.zone, hours={"mon-fri": "09:00-18:00"}, holidays=calendar.holidays
    )
    zone = ZoneInfo(calendar.zone)
    begins = same.opens_at(start).astimezone(zone)
    due = same.after(start, days=days).astimezone(zone)
    assert due.time() == begins.time()
    between = (
        begins.date() + dt.timedelta(n + 1) for n in range((due.date() - begins.date()).days)
    )
    open_dates = [day for day in between if day.weekday() < 5 and day not in same.holidays]
    never_came = zone.key == "Pacific/Apia" and dt.date(2011, 12, 30) in open_dates
    assert len(open_dates) - never_came == days


@given(calendars(), st.integers(0, 40), st.integers(0, 2_000))
def test_on_a_calendar_that_never_closes_hours_are_hours(found, days, minutes):
    always = Calendar("always", zone=found[0].zone, hours={"mon-sun": "00:00-24:00"})
    _, start = found
    assert always.after(start, minutes=minutes) == start + minutes * MINUTE
    assert always.is_open(start)


@given(calendars(), st.integers(0, 2 * 1440))
def test_the_next_opening_is_the_first_open_minute(found, minutes):
    calendar, start = found
    opens = calendar.opens_at(start)
    assert calendar.is_open(opens)
    assert is_open(calendar, opens)
    between = start + minutes * MINUTE
    if between < opens:
        assert not is_open(calendar, between)
    assert calendar.is_open(start) == is_open(calendar, start)


@given(calendars(), st.integers(1, 12), st.integers(0, 23), st.integers(0, 59))
@example(
    (Calendar("x", zone="Europe/Rome", hours=SKIPPED_AND_TWICE), dt.datetime(2026, 3, 27)), 2, 9, 0
)
def test_days_on_a_zones_clocks_keep_nine_o_clock(found, days, hour, minute):
    calendar, near = found
    zone = ZoneInfo(calendar.zone)
    begins = dt.datetime.combine(near.date(), dt.time(hour, minute), zone)
    low, high = Stage("low"), Stage("high")
    rules = [
        on("opened", into=low, opens=True),
        after(days=days, zone=calendar.zone, out_of=low, into=high),
    ]
    history = Pipeline("p", stages=[low, high], rules=rules).fold(
        [Event("opened", deal="d", id="e", at=begins)]
    )
    due = history.deal.due_at.astimezone(zone)
    begins = begins.astimezone(dt.UTC).astimezone(zone)
    date = begins.date() + dt.timedelta(days=days)
    if zone.key == "Pacific/Apia" and begins.date() < dt.date(2011, 12, 30) <= date:
        date += dt.timedelta(days=1)  # 30 December was none
    wanted = dt.datetime.combine(date, begins.time(), zone)
    exists = wanted.astimezone(dt.UTC).astimezone(zone).replace(fold=0) == wanted.replace(fold=0)
    if exists and not begins.fold:
        assert due.replace(tzinfo=None, fold=0) == wanted.replace(tzinfo=None)
    else:  # the time is skipped there, or came twice here: the first that is not earlier
        assert due.replace(tzinfo=None) >= wanted.replace(tzinfo=None)
        assert due - wanted <= dt.timedelta(days=1)


@given(calendars())
def test_a_calendar_reads_back_from_its_plain_form(found):
    calendar, _ = found
    written = calendar.to_dict()
    assert Calendar(calendar.name, **written) == calendar

"""Instants and clocks."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from ladderpipe import Clock, ManualClock, SystemClock
from ladderpipe.errors import ClockError, InstantError
from ladderpipe.model.clock import instant

NINE = dt.datetime(2026, 1, 5, 9, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    "value",
    [
        "2026-01-05T09:00:00Z",
        "2026-01-05T10:00:00+01:00",
        "2026-01-05 09:00:00+00:00",
        dt.datetime(2026, 1, 5, 10, tzinfo=ZoneInfo("Europe/Rome")),
    ],
)
def test_every_way_to_write_an_instant_names_the_same_one(value: dt.datetime | str) -> None:
    found = instant(value)
    assert found == NINE
    assert found.tzinfo is dt.UTC


def test_microseconds_are_kept() -> None:
    assert instant("2026-01-05T09:00:00.000001Z").microsecond == 1


def test_a_naive_time_is_refused_and_the_error_says_how_to_mend_it() -> None:
    with pytest.raises(InstantError, match=r"replace\(tzinfo="):
        instant(dt.datetime(2026, 1, 5, 9))


@pytest.mark.parametrize("value", ["yesterday", "2026-13-01T00:00:00Z", "", 5, None])
def test_what_is_no_time_is_refused(value: object) -> None:
    with pytest.raises(InstantError):
        instant(value)  # type: ignore[arg-type]


def test_a_time_that_utc_cannot_express_is_refused() -> None:
    first = dt.datetime.min.replace(tzinfo=dt.timezone(dt.timedelta(hours=2)))
    with pytest.raises(InstantError, match="out of range"):
        instant(first)


def test_a_manual_clock_stands_still_until_told() -> None:
    clock = ManualClock("2026-01-05T09:00:00Z")
    assert clock.now() == clock.now() == NINE
    assert clock.advance(hours=1, minutes=30) == NINE + dt.timedelta(minutes=90)
    assert clock.advance(dt.timedelta(days=1), seconds=1) == clock.now()
    assert clock.set("2026-02-01T00:00:00Z") == dt.datetime(2026, 2, 1, tzinfo=dt.UTC)


def test_a_manual_clock_never_goes_back() -> None:
    clock = ManualClock(NINE)
    with pytest.raises(ClockError, match="cannot go back"):
        clock.set("2026-01-05T08:59:59Z")
    with pytest.raises(ClockError):
        clock.advance(seconds=-1)
    assert clock.now() == NINE


def test_both_clocks_are_clocks_and_tell_utc() -> None:
    for clock in (SystemClock(), ManualClock(NINE)):
        assert isinstance(clock, Clock)
        assert clock.now().tzinfo is dt.UTC

"""Instants and clocks."""

from __future__ import annotations

import datetime as dt
import math
from zoneinfo import ZoneInfo

import pytest

from ladderpipe import Clock, ManualClock, SystemClock
from ladderpipe.errors import ClockError, InstantError
from ladderpipe.model.clock import instant
from ladderpipe.testing.copies import Stamp

NINE = dt.datetime(2026, 1, 5, 9, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    "value",
    [
        "2026-01-05T09:00:00Z",
        "2026-01-05T10:00:00+01:00",
        "2026-01-05 09:00:00+00:00",
        "2026-01-05t09:00:00z",
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


@pytest.mark.parametrize(
    ("number", "unit", "written"),
    [
        (1767603600, "seconds", "fromtimestamp(1767603600, tz=UTC)"),
        (1767603600.5, "seconds", "fromtimestamp(1767603600.5, tz=UTC)"),
        ("1767603600", "seconds", "fromtimestamp(1767603600, tz=UTC)"),
        (1767603600123, "milliseconds", "fromtimestamp(1767603600123 / 1_000, tz=UTC)"),
        (1767603600123456, "microseconds", "fromtimestamp(1767603600123456 / 1_000_000, tz=UTC)"),
        (1767603600123456789, "nanoseconds", "/ 1_000_000_000, tz=UTC)"),
    ],
)
def test_a_number_is_refused_with_a_hint_at_its_unit(
    number: object, unit: str, written: str
) -> None:
    with pytest.raises(InstantError, match=f"looks like {unit} since 1970") as refused:
        instant(number)  # type: ignore[arg-type]
    assert written in str(refused.value)


@pytest.mark.parametrize(
    "number",
    [0, -1, 1e300, math.nan, math.inf, pytest.param(10**5_000, id="long"), "5", True],
)
def test_a_number_that_counts_nothing_we_know_is_refused_without_a_hint(number: object) -> None:
    with pytest.raises(InstantError, match="not a time") as refused:
        instant(number)  # type: ignore[arg-type]
    assert "1970" not in str(refused.value)


def test_a_subclass_becomes_a_datetime_and_keeps_its_microseconds() -> None:
    rome = ZoneInfo("Europe/Rome")
    found = instant(Stamp(2026, 10, 25, 2, 30, 0, 5, rome, fold=1))
    assert type(found) is dt.datetime
    assert found.isoformat() == "2026-10-25T01:30:00.000005+00:00"


def test_a_subclass_that_stands_for_no_time_is_refused() -> None:
    class Missing(dt.datetime):
        def __ne__(self, other: object) -> bool:
            return True

    with pytest.raises(InstantError, match="missing"):
        instant(Missing(1, 1, 1))


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

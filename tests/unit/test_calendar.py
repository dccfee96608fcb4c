"""Calendars: what they take, what they refuse, and what of them a store compares."""

from __future__ import annotations

import datetime as dt
import json
import pickle
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ladderpipe import Board, Calendar, Event, ManualClock, Pipeline, Stage, after, on
from ladderpipe import public_holidays as known_holidays
from ladderpipe.errors import DefinitionError, PipelineChangedError
from tests.properties.test_calendars import SKIPPED_AND_TWICE

ROME = ZoneInfo("Europe/Rome")
OFFICE = Calendar(
    "office",
    zone="Europe/Rome",
    hours={"mon-fri": ["09:00-13:00", "14:00-18:00"]},
    holidays=["2026-04-06"],
)
NIGHT = Calendar("night", zone="Europe/Rome", hours=SKIPPED_AND_TWICE)


def rome(text: str, fold: int = 0) -> dt.datetime:
    # In UTC: an hour that comes twice is equal to none of another zone.
    return dt.datetime.fromisoformat(text).replace(tzinfo=ROME, fold=fold).astimezone(dt.UTC)


def local(at: dt.datetime) -> str:
    return f"{at.astimezone(ROME):%a %d %b %H:%M}"


def ladder(calendar: Calendar = OFFICE, **delay: Any) -> Pipeline:
    quote, stale = Stage("quote"), Stage("stale", status="abandoned")
    return Pipeline(
        "quotes",
        stages=[quote, stale],
        rules=[
            on("quote.sent", into=quote, opens=True),
            after(**(delay or {"hours": 8}), calendar=calendar, out_of=quote, into=stale),
        ],
    )


@pytest.mark.parametrize(
    ("start", "span", "due"),
    [
        ("2026-02-02T09:00", {"hours": 8}, "Mon 02 Feb 18:00"),
        ("2026-02-02T10:00", {"hours": 8}, "Tue 03 Feb 10:00"),
        ("2026-02-06T17:30", {"hours": 1}, "Mon 09 Feb 09:30"),
        ("2026-02-06T19:30", {"minutes": 30}, "Mon 09 Feb 09:30"),
        ("2026-02-02T12:30", {"hours": 1}, "Mon 02 Feb 14:30"),
        ("2026-04-03T17:00", {"hours": 2}, "Tue 07 Apr 10:00"),  # over Easter
        ("2026-03-27T17:00", {"hours": 9}, "Mon 30 Mar 18:00"),  # over the change of the clocks
        ("2026-02-05T16:15", {"days": 2}, "Mon 09 Feb 16:15"),
        ("2026-02-07T16:15", {"days": 1}, "Tue 10 Feb 09:00"),  # it counts from Monday's opening
        ("2026-02-05T13:30", {"days": 1}, "Fri 06 Feb 14:00"),
        ("2026-04-02T11:00", {"days": 2}, "Tue 07 Apr 11:00"),
        ("2026-02-05T17:00", {"days": 1, "hours": 2}, "Mon 09 Feb 10:00"),
    ],
)
def test_business_hours_and_days(start: str, span: dict[str, float], due: str) -> None:
    assert local(OFFICE.after(rome(start), **span)) == due


def test_an_hour_that_does_not_exist_is_no_opening() -> None:
    """On 29 March 2026 Rome's clocks go from 2 to 3: of 01:30 to 02:30 half an hour is left."""
    assert local(NIGHT.after(rome("2026-03-29T01:30"), minutes=31)) == "Sun 29 Mar 03:01"


def test_an_hour_that_comes_twice_is_open_twice() -> None:
    """On 25 October 2026 it is 2 o'clock twice: 01:30 to 02:30 and 02:45 to 03:15 are open so."""
    start = rome("2026-10-25T01:30")
    assert NIGHT.after(start, minutes=61) == rome("2026-10-25T02:46")
    assert NIGHT.after(start, minutes=75 + 1) == rome("2026-10-25T02:01", fold=1)
    assert NIGHT.after(start, minutes=75 + 31) == rome("2026-10-25T02:46", fold=1)


def test_closing_time_is_in_time_and_no_opening() -> None:
    closing = rome("2026-02-02T18:00")
    assert not OFFICE.is_open(closing)
    assert OFFICE.is_open(closing - dt.timedelta.resolution)
    assert OFFICE.is_open(rome("2026-02-02T09:00"))
    assert local(OFFICE.opens_at(closing)) == "Tue 03 Feb 09:00"


def test_a_calendar_is_a_value() -> None:
    same = Calendar(
        "office",
        zone="Europe/Rome",
        hours={
            "mon-wed": ["14:00-18:00", "09:00-13:00"],
            "thu-fri": ["09:00-13:00", "14:00-18:00"],
        },
        holidays=[dt.date(2026, 4, 6)],
    )
    assert same == OFFICE
    assert hash(same) == hash(OFFICE)
    assert pickle.loads(pickle.dumps(same)) == OFFICE
    assert same.to_dict() == {
        "zone": "Europe/Rome",
        "hours": {"mon-fri": ["09:00-13:00", "14:00-18:00"]},
        "holidays": ["2026-04-06"],
    }


@pytest.mark.parametrize(
    ("given", "refusal"),
    [
        ({"hours": {}}, "never open"),
        ({"hours": {"mon": []}}, "never open"),
        ({"hours": {"monday": "09:00-18:00"}}, "names no days"),
        ({"hours": {"fri-mon": "09:00-18:00"}}, "names no days"),
        ({"hours": {"mon-wed": "09:00-18:00", "wed": "09:00-12:00"}}, "wed is named twice"),
        ({"hours": {"mon": "22:00-02:00"}}, "the earlier time first"),
        ({"hours": {"mon": "09:00-24:01"}}, "the earlier time first"),
        ({"hours": {"mon": "09:00-10:60"}}, "the earlier time first"),
        ({"hours": {"mon": "9-18"}}, "the earlier time first"),
        ({"hours": {"mon": ["09:00-13:00", "12:00-18:00"]}}, "overlap"),
        ({"hours": "09:00-18:00"}, "write hours="),
        ({"zone": "Europe/Roma"}, "no time zone"),
        ({"holidays": "2026-12-25"}, "a list of dates"),
        ({"holidays": ["25 December"]}, "give dates"),
        ({"name": "the office"}, "a calendar called"),
        ({"name": ""}, "a calendar called"),
    ],
)
def test_what_is_no_calendar_is_refused(given: dict[str, Any], refusal: str) -> None:
    usual: dict[str, Any] = {"name": "office", "zone": "UTC", "hours": {"mon": "09:00-18:00"}}
    arguments = usual | given
    with pytest.raises(DefinitionError, match=refusal):
        Calendar(arguments.pop("name"), **arguments)


@pytest.mark.parametrize(
    ("given", "refusal"),
    [
        ({"calendar": OFFICE}, "has no delay"),
        ({"calendar": OFFICE, "weeks": 1}, "how many business days"),
        ({"calendar": OFFICE, "days": 1.5}, "whole days"),
        ({"calendar": OFFICE, "days": -1}, "negative"),
        ({"calendar": OFFICE, "hours": -1}, "negative"),
        ({"calendar": OFFICE, "days": 4000}, "ten years"),
        ({"calendar": OFFICE, "hours": float("nan")}, "give numbers"),
        ({"calendar": OFFICE, "timer": dt.timedelta(hours=8)}, "has to know of days and hours"),
        ({"calendar": OFFICE, "zone": "UTC", "days": 1}, "has its own zone"),
        ({"calendar": OFFICE.to_dict(), "days": 1}, "is no calendar"),
        ({"zone": "Mars/Base", "days": 1}, "no time zone"),
    ],
)
def test_a_delay_that_no_calendar_can_count_is_refused(given: dict[str, Any], refusal: str) -> None:
    with pytest.raises(DefinitionError, match=refusal):
        after(into=Stage("stale"), **given)


def test_two_calendars_of_one_name_are_refused() -> None:
    other = Calendar("office", zone="UTC", hours={"mon": "09:00-18:00"})
    low, high = Stage("low"), Stage("high")
    with pytest.raises(DefinitionError, match="two calendars 'office'"):
        Pipeline(
            "p",
            stages=[low, high],
            rules=[
                on("x", into=low, opens=True),
                after(hours=8, calendar=OFFICE, out_of=low, into=high),
                after(hours=8, calendar=other, out_of=high, into=low),
            ],
        )


def test_a_rule_says_what_it_waits_for() -> None:
    assert ladder().rules[1].trigger_text == "after 8 business hours (office)"
    assert ladder(days=1).rules[1].trigger_text == "after 1 business day (office)"
    both = after(weeks=1, minutes=30, zone="Europe/Rome", since="activity", into=Stage("x"))
    assert both.trigger_text == "after 7 days and 30 minutes (Europe/Rome) without activity"


def test_it_is_due_in_hours_also_when_it_was_due_before_the_visit() -> None:
    """Counted from the opening, 1 hour is over long before the deal comes into the stage."""
    low, high, top = Stage("low"), Stage("high"), Stage("top")
    pipeline = Pipeline(
        "p",
        stages=[low, high, top],
        rules=[
            on("opened", into=low, opens=True),
            on("climbed", into=high),
            after(hours=1, calendar=OFFICE, since="opened", out_of=high, into=top),
        ],
    )
    history = pipeline.fold(
        [
            Event("opened", deal="d", id="1", at=rome("2026-02-02T10:00")),
            Event("climbed", deal="d", id="2", at=rome("2026-02-03T22:00")),
        ]
    )
    assert history is not None
    assert local(history.deal.due_at) == "Wed 04 Feb 09:00"


# -- definitions and stores --------------------------------------------------------------------


def test_a_definition_reads_back() -> None:
    written = json.loads(json.dumps(ladder(days=2, hours=1).to_dict()))
    assert written["calendars"] == {"office": OFFICE.to_dict()}
    assert written["rules"][1]["after"] == {"days": 2, "hours": 1, "calendar": "office"}
    again = Pipeline.from_dict(written)
    assert again.rules == ladder(days=2, hours=1).rules
    assert again.fingerprint == ladder(days=2, hours=1).fingerprint


def definition(**office: Any) -> dict[str, Any]:
    written = ladder().to_dict()
    written["calendars"]["office"] |= office
    return written


def test_a_definition_may_name_a_country_and_what_is_written_are_its_dates() -> None:
    holidays = {"country": "IT", "subdivision": "BZ", "years": [2026, 2027], "also": ["2026-08-14"]}
    read = Pipeline.from_dict(definition(holidays=holidays))
    [found] = read.ladder.calendars.values()
    assert {dt.date(2026, 5, 25), dt.date(2027, 5, 17), dt.date(2026, 8, 14)} <= found.holidays
    assert dt.date(2028, 1, 1) not in found.holidays
    assert "country" not in json.dumps(read.to_dict())
    assert Pipeline.from_dict(read.to_dict()).fingerprint == read.fingerprint


@pytest.mark.parametrize(
    ("holidays", "refusal"),
    [
        ({"country": "XX", "years": [2026, 2027]}, "country 'XX' are not known"),
        ({"country": "IT", "subdivision": "ZZ", "years": [2026, 2027]}, "no subdivision 'ZZ'"),
        ({"country": "IT", "years": [2027, 2026]}, "the first year and the last"),
        ({"country": "IT", "years": [2026]}, "the first year and the last"),
        ({"country": "IT"}, "'years' is missing"),
        (["yesterday"], "give dates"),
    ],
)
def test_holidays_that_nobody_knows_are_refused_by_their_place(holidays: Any, refusal: str) -> None:
    with pytest.raises(DefinitionError, match=rf"^calendars\.office.*{refusal}"):
        Pipeline.from_dict(definition(holidays=holidays))


def test_a_calendar_that_is_not_described_is_refused_by_its_place() -> None:
    written = ladder().to_dict()
    written["rules"][1]["after"]["calendar"] = "ofice"
    with pytest.raises(
        DefinitionError, match=r"rules\[1\]\.after\.calendar.*did you mean 'office'"
    ):
        Pipeline.from_dict(written)


def test_other_holidays_are_a_changed_ladder_and_never_a_silent_one() -> None:
    """As when a newer version of the package of holidays knows another date."""
    clock = ManualClock("2026-02-02T08:00:00Z")
    board = Board(ladder(), clock=clock)
    board.handle(Event("quote.sent", deal="d", id="e", at=clock.now()))
    moved = Pipeline.from_dict(definition(holidays=["2026-02-02"]))
    with pytest.raises(PipelineChangedError) as refused:
        Board(moved, store=board.store, clock=clock)
    message = str(refused.value)
    assert "calendar 'office': holidays that are no more: 2026-04-06" in message
    assert "calendar 'office': holidays that are new: 2026-02-02" in message


def test_hours_that_changed_are_told() -> None:
    clock = ManualClock("2026-02-02T08:00:00Z")
    board = Board(ladder(), clock=clock)
    changed = Pipeline.from_dict(definition(hours={"mon-fri": ["09:00-12:00"]}))
    with pytest.raises(PipelineChangedError, match="calendar 'office': hours was"):
        Board(changed, store=board.store, clock=clock)


def test_holidays_of_a_country() -> None:
    found = known_holidays("IT", years=2026)
    assert list(found) == sorted(found)
    assert dt.date(2026, 4, 6) in found
    assert dt.date(2026, 12, 7) not in found
    assert dt.date(2026, 12, 7) in known_holidays("IT", "MI", years=[2026])
    with pytest.raises(DefinitionError, match="say which"):
        known_holidays("IT", years=[])


def test_timers_on_calendars_that_chase_a_deal_for_ever_are_found() -> None:
    low, high = Stage("low"), Stage("high")
    chased = Pipeline(
        "p",
        stages=[low, high],
        rules=[
            on("x", into=low, opens=True),
            after(hours=8, calendar=OFFICE, out_of=low, into=high),
            after(days=1, calendar=OFFICE, out_of=high, into=low),
        ],
    )
    assert [each.severity for each in chased.check() if each.code == "L004"] == ["error"]

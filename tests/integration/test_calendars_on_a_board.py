"""Waits, tasks and quiet hours by a calendar, on each store."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any
from zoneinfo import ZoneInfo

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ladderpipe import (
    Board,
    Calendar,
    Event,
    ManualClock,
    Pipeline,
    Stage,
    by_hand,
    do,
    on,
    schema,
    wait,
)
from ladderpipe.errors import DefinitionError, HookError
from ladderpipe.ladder.policy import next_time
from ladderpipe.model.wall_clock import checked_zone
from ladderpipe.policy import Policy, at_most
from ladderpipe.web.reading import is_rotting
from tests.properties.test_calendars import calendars, is_in_hours, is_open

ROME = ZoneInfo("Europe/Rome")
OFFICE = Calendar(
    "office",
    zone="Europe/Rome",
    hours={"mon-fri": ["09:00-13:00", "14:00-18:00"]},
    holidays=["2026-04-06"],
)
FRIDAY = "2026-03-27T17:00:00+01:00"  # before the clocks are changed, on Sunday


def local(at: dt.datetime | None) -> str:
    assert at is not None
    return f"{at.astimezone(ROME):%a %d %b %H:%M}"


def ladder(*sequence: Any, send: Policy | None = None) -> Pipeline:
    stage = Stage("asked", sequence=sequence, rots_after=OFFICE.span(days=2))
    rules = [on("asked", into=stage, opens=True), by_hand(into=stage, reenter=True)]
    return Pipeline("p", stages=[stage], rules=rules, send=send)


def asked(pipeline: Pipeline, store: Any, at: str = FRIDAY) -> tuple[Board, ManualClock]:
    clock = ManualClock(at)
    board = Board(pipeline, store=store, clock=clock)
    contact = {"email": "ada@example.com"}
    board.handle(Event("asked", deal="d", id="e", at=clock.now(), data={"contact": contact}))
    return board, clock


def test_waits_of_a_sequence_count_business_hours_and_days(store: Any) -> None:
    pipeline = ladder(
        do("first"),
        wait(hours=2, calendar=OFFICE),
        do("second"),
        wait(days=1, calendar=OFFICE),
        do("third"),
        wait(hours=1),
        do("fourth"),
        wait(weeks=1, zone="Europe/Rome"),
        do("fifth"),
    )
    board, _ = asked(pipeline, store)
    dues = [local(effect.due_at) for effect in board.effects("d")]
    [again] = board.options("d")
    assert [local(each.due_at) for each in again.starts] == dues
    assert dues == [
        "Fri 27 Mar 17:00",
        "Mon 30 Mar 10:00",
        "Tue 31 Mar 10:00",
        "Tue 31 Mar 11:00",
        "Tue 07 Apr 11:00",
    ]


def test_a_task_is_to_be_done_within_business_hours(store: Any) -> None:
    pipeline = ladder(do("task", title="Call", due_hours=4, calendar=OFFICE))
    board, _ = asked(pipeline, store)
    [task] = board.tasks()
    assert local(task.due_at) == "Mon 30 Mar 12:00"
    assert board.tasks(due_by="2026-03-30T11:59:00+02:00") == []
    assert len(board.tasks(due_by="2026-03-30T12:00:00+02:00")) == 1


def test_a_hook_asks_by_the_calendar_too(store: Any) -> None:
    pipeline = ladder()

    @pipeline.move_into(pipeline.stage("asked"))
    def ask(ctx: Any) -> None:
        ctx.do("letter", wait=OFFICE.span(hours=2))
        ctx.do("task", title="Call", due_hours=2, calendar=OFFICE)

    board, _ = asked(pipeline, store)
    [letter] = [effect for effect in board.effects("d") if effect.name == "letter"]
    [task] = board.tasks()
    assert local(letter.due_at) == local(task.due_at) == "Mon 30 Mar 10:00"


def test_a_hook_that_asks_for_what_no_calendar_can_count_is_refused(store: Any) -> None:
    pipeline = ladder()

    @pipeline.move_into(pipeline.stage("asked"))
    def ask(ctx: Any) -> None:
        ctx.do("letter", calendar=OFFICE)

    with pytest.raises(HookError, match="a calendar is for a task's due_hours"):
        asked(pipeline, store)


def test_nothing_is_sent_outside_the_hours(store: Any) -> None:
    mail = do("email", to="customer", template="hello")
    pipeline = ladder(mail, send=Policy(quiet=OFFICE))
    board, clock = asked(pipeline, store, "2026-04-03T18:00:00+02:00")
    sent = []
    board.handle_effect("email", lambda delivery: sent.append(local(clock.now())))
    for _ in range(6 * 24):
        board.deliver()
        clock.advance(hours=1)
    assert sent == ["Tue 07 Apr 09:00"]  # over Easter
    [effect] = board.effects("d")
    assert "office is closed" in json.dumps([each.to_dict() for each in effect.decisions])


def test_what_is_transactional_is_sent_at_once(store: Any) -> None:
    mail = do("email", to="customer", template="thanks", purpose="transactional")
    board, clock = asked(
        ladder(mail, send=Policy(quiet=OFFICE)), store, "2026-04-03T23:00:00+02:00"
    )
    sent = []
    board.handle_effect("email", lambda delivery: sent.append(local(clock.now())))
    board.deliver()
    assert sent == ["Fri 03 Apr 23:00"]


@given(calendars(), st.lists(st.integers(0, 60 * 24 * 3), max_size=4))
def test_the_next_time_is_open_and_keeps_the_caps(found: Any, ago: list[int]) -> None:
    calendar, now = found
    policy = Policy(quiet=calendar, caps=[at_most(1, hours=5), at_most(2, days=1)])
    sent = [now - dt.timedelta(minutes=minutes) for minutes in ago]
    at, because = next_time(policy, sent, now, checked_zone("UTC"))
    assert at >= now
    assert bool(because) == (at > now)
    assert is_open(calendar, at)
    for cap in policy.caps:
        assert sum(when > at - cap.span for when in sent) < cap.n


@given(calendars(), st.integers(1, 600), st.integers(0, 3), st.integers(1, 300))
def test_each_wait_and_each_task_ends_within_the_hours(
    found: Any, first: int, days: int, minutes: int
) -> None:
    calendar, start = found
    steps = [
        wait(minutes=first, calendar=calendar),
        do("one"),
        wait(days=days, minutes=minutes, calendar=calendar),
        do("other"),
        do("task", due_hours=minutes / 60, calendar=calendar),
    ]
    stage = Stage("asked", sequence=steps)
    pipeline = Pipeline("p", stages=[stage], rules=[on("asked", into=stage, opens=True)])
    with Board(pipeline, clock=ManualClock(start)) as board:
        board.handle(Event("asked", deal="d", id="e", at=start))
        one, other, task = board.effects("d")
        [listed] = board.tasks()
    assert one.due_at == calendar.after(start, minutes=first)
    assert other.due_at == calendar.after(one.due_at, days=days, minutes=minutes)
    assert listed.due_at == calendar.after(task.due_at, minutes=minutes)
    assert all(is_in_hours(calendar, at) for at in (one.due_at, other.due_at, listed.due_at))


# -- definitions ---------------------------------------------------------------------------------


def everything() -> Pipeline:
    return ladder(
        do("first"),
        wait(hours=2, calendar=OFFICE),
        do("task", title="Call", due_hours=4, calendar=OFFICE),
        wait(days=3, zone="Europe/Rome"),
        do("last"),
        send=Policy(quiet=OFFICE),
    )


def test_all_of_it_stands_in_a_definition_and_reads_back() -> None:
    written = json.loads(json.dumps(everything().to_dict()))
    assert written["calendars"] == {"office": OFFICE.to_dict()}
    assert written["send"] == {"quiet": "office"}
    [stage] = written["stages"]
    assert stage["rots_after"] == {"days": 2, "calendar": "office"}
    assert stage["sequence"][1] == {"wait": {"hours": 2, "calendar": "office"}}
    assert stage["sequence"][2]["calendar"] == "office"
    assert stage["sequence"][3] == {"wait": {"days": 3, "zone": "Europe/Rome"}}
    jsonschema.validate(written, schema())
    again = Pipeline.from_dict(written)
    assert again.to_dict() == written
    assert again.stages[0].sequence == everything().stages[0].sequence
    assert again.stages[0].rots_after == OFFICE.span(days=2)
    assert again.send == everything().send


def test_what_changes_no_history_is_in_no_fingerprint() -> None:
    """Waits, tasks, quiet hours and what rots may have other hours without a migration."""
    stage = Stage("asked")
    rules = [on("asked", into=stage, opens=True), by_hand(into=stage, reenter=True)]
    bare = Pipeline("p", stages=[stage], rules=rules)
    assert everything().fingerprint == bare.fingerprint


@pytest.mark.parametrize(
    ("asked_for", "refusal"),
    [
        (lambda: wait(calendar=OFFICE), "has no delay"),
        (lambda: wait(dt.timedelta(hours=2), calendar=OFFICE), "has to know of days and hours"),
        (lambda: wait(days=0.5, calendar=OFFICE), "whole days"),
        (lambda: wait(days=1, calendar=OFFICE, zone="UTC"), "has its own zone"),
        (lambda: do("email", calendar=OFFICE), "a calendar is for a task's due_hours"),
        (lambda: do("task", calendar=OFFICE), "a calendar is for a task's due_hours"),
        (lambda: do("task", due_hours=-1, calendar=OFFICE), "negative"),
        (lambda: do("task", due_hours=4, calendar="office"), "is no Calendar"),
        (lambda: OFFICE.span(), "of no length"),
    ],
)
def test_what_no_calendar_can_count_is_refused(asked_for: Any, refusal: str) -> None:
    with pytest.raises(DefinitionError, match=refusal):
        asked_for()


def test_one_name_is_one_calendar_in_the_whole_pipeline() -> None:
    other = Calendar("office", zone="UTC", hours={"mon": "09:00-18:00"})
    with pytest.raises(DefinitionError, match="two calendars 'office'"):
        ladder(wait(hours=1, calendar=other), do("letter"))
    with pytest.raises(DefinitionError, match="two calendars 'office'"):
        ladder(send=Policy(quiet=other))


def test_a_deal_rots_by_the_days_that_were_open(store: Any) -> None:
    board, clock = asked(ladder(), store)
    deal = board.deal("d")
    clock.set("2026-03-31T16:59:00+02:00")  # Friday 17:00, two business days on: Tuesday 17:00
    assert not is_rotting(deal, clock.now())
    clock.advance(minutes=2)
    assert is_rotting(deal, clock.now())

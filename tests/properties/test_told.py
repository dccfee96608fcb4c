"""S13a: what another system told is taken as it was; from there on the ladder's rules hold."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ladderpipe import Board, Event, ManualClock, MemoryStore, Move, Pipeline, Stage, verify
from ladderpipe.errors import DealNotFoundError
from ladderpipe.model.event import TOLD
from tests.ladders import ladders, ladders_and_events

START = dt.datetime(2026, 1, 5, 9, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


def telling(stage: Stage, n: int, at: dt.datetime, **data: Any) -> Event:
    data = {"stage": stage.key, **data}
    return Event(TOLD, deal="deal-1", id=f"told {n}", at=at, source="crm", data=data)


@st.composite
def told_histories(draw: st.DrawFn, pipeline: Pipeline) -> list[Event]:
    """Return what another system tells of a deal that entered a stage every now and then."""
    stages = draw(st.lists(st.sampled_from(pipeline.stages), min_size=1, max_size=6))
    at, found = START, []
    for n, stage in enumerate(stages):
        found.append(telling(stage, n, at))
        at += draw(st.integers(1, 200)) * HOUR
    return found


@given(data=st.data(), pipeline=ladders())
def test_a_told_history_is_taken_as_it_was_whatever_the_ladder_would_have_made_of_it(
    data: st.DataObject, pipeline: Pipeline
):
    told = data.draw(told_histories(pipeline))
    history = pipeline.fold(data.draw(st.permutations(told)))
    assert history is not None
    entered = [told[0], *(b for a, b in pairwise(told) if a.data != b.data)]
    assert [(visit.stage, visit.entered_at) for visit in history.visits] == [
        (event.data["stage"], event.at) for event in entered
    ]
    assert history.deal.due_at is None or history.deal.due_at >= told[-1].at


@given(data=st.data(), pipeline=ladders())
def test_from_the_last_telling_on_timers_fire_but_not_before_it_says(
    data: st.DataObject, pipeline: Pipeline
):
    told = data.draw(told_histories(pipeline))
    since = told[-1].at + data.draw(st.integers(-5, 300)) * HOUR
    last = telling(pipeline.stage(told[-1].data["stage"]), 99, told[-1].at, timers_from=str(since))
    until = max(since, last.at) + data.draw(st.integers(0, 100)) * HOUR
    history = pipeline.fold([*told[:-1], last], until=until)
    assert history is not None
    fired = [move.at for move in history.moves if move.event is None]
    assert all(max(since, last.at) <= at <= until for at in fired)


@given(found=ladders_and_events(min_size=1), data=st.data())
def test_a_telling_that_cannot_be_read_changes_nothing(
    found: tuple[Pipeline, list[Event]], data: st.DataObject
):
    pipeline, events = found
    at = max(e.at for e in events) + data.draw(st.integers(1, 200)) * HOUR
    unread = telling(data.draw(st.sampled_from(pipeline.stages)), 99, at, timers_from="soon")
    expected = pipeline.fold(events, until=at - dt.timedelta(microseconds=1))
    history = pipeline.fold(data.draw(st.permutations([*events, unread])))
    if expected is None:
        assert history is None
        return
    assert history is not None
    assert history.moves == expected.moves
    assert [each for each in history.aside if each.event != unread] == list(expected.aside)
    assert len(history.aside) == len(expected.aside) + 1


@given(found=ladders_and_events(min_size=1), data=st.data())
def test_a_board_that_is_told_in_any_order_holds_the_fold(
    found: tuple[Pipeline, list[Event]], data: st.DataObject
):
    pipeline, events = found
    told = data.draw(told_histories(pipeline))
    events = [*(e for e in events if not e.type.startswith("ladder.")), *told]
    clock = ManualClock(max(e.at for e in events) + HOUR)
    with Board(pipeline, store=MemoryStore(), clock=clock) as board:
        for event in data.draw(st.permutations(events)):
            board.handle(event, hold=True)
            clock.advance(hours=data.draw(st.integers(0, 5)))
            if data.draw(st.booleans()):
                board.tick()
        board.tick()
        assert not verify(board).differences
        board.handle_many(events)
        before = board.events("deal-1")
        board.handle_many(events)
        assert board.events("deal-1") == before
        history = pipeline.fold(events, until=clock.now())
        assert moves_of(board) == (() if history is None else tuple(history.moves))


def moves_of(board: Board) -> tuple[Move, ...]:
    """Return the moves of the one deal as a bare fold has them, which nobody recorded."""
    try:
        moves = board.history("deal-1").moves
    except DealNotFoundError:
        return ()
    return tuple(move._replace(recorded_at=None) for move in moves)

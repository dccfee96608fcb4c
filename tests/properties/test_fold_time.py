"""One stage at every instant, and sweeping changes nothing."""

from __future__ import annotations

import datetime as dt

from hypothesis import assume, given
from hypothesis import strategies as st

from ladderpipe import Event, Pipeline
from ladderpipe.fold.order import in_order
from ladderpipe.fold.withdrawals import standing
from ladderpipe.testing import assert_single_stage
from ladderpipe.testing.strategies import START
from tests.ladders import ladders_and_events

Case = tuple[Pipeline, list[Event]]


@st.composite
def sweeps(draw: st.DrawFn, events: list[Event]) -> list[dt.datetime]:
    """Return moments to sweep at: at events, a little beside them, and whole hours on."""
    at = st.builds(
        lambda event, hours, microseconds: (
            event.at + dt.timedelta(hours=hours, microseconds=microseconds)
        ),
        st.sampled_from(events),
        st.sampled_from([0, 0, 1, 2, 3, 5, 8, 48]),
        st.sampled_from([0, 0, 1, -1]),
    )
    return sorted(draw(st.lists(at, min_size=1, max_size=5)))


@given(ladders_and_events(min_size=1), st.data())
def test_a_deal_is_in_one_stage_at_every_instant(case: Case, data: st.DataObject) -> None:
    pipeline, events = case
    until = data.draw(st.one_of(st.none(), sweeps(events).map(lambda found: found[-1])))
    history = pipeline.fold(events, until)
    assume(history is not None)
    assert history is not None
    assert_single_stage(history)
    assert history.stage_at(history.deal.opened_at - dt.timedelta(microseconds=1)) is None
    for visit in history.visits:
        last_of_instant = [v for v in history.visits if v.entered_at == visit.entered_at][-1]
        assert history.stage_at(visit.entered_at) == last_of_instant.stage
        if visit.left_at is None or visit.left_at > visit.entered_at:
            just_before = (visit.left_at or dt.datetime.max.replace(tzinfo=dt.UTC)) - dt.timedelta(
                microseconds=1
            )
            assert history.stage_at(just_before) == visit.stage


@given(ladders_and_events(min_size=1), st.data())
def test_what_was_visible_at_an_instant_stays_true(case: Case, data: st.DataObject) -> None:
    """A later look at the same events finds the same moves up to the earlier one."""
    pipeline, told = case
    # No timer fires before what another system tells, so that this changes what was seen before.
    events = [event for event in told if event.type != "ladder.told"]
    assume(events)
    moments = data.draw(sweeps(events))
    final = pipeline.fold(events, moments[-1])
    for at in moments:
        seen = pipeline.fold(events, at)
        moves = () if seen is None else seen.moves
        later = () if final is None else final.moves
        assert moves == tuple(move for move in later if move.at <= at)
        assert (seen and seen.stage_at(at)) == (final and final.stage_at(at))


@given(ladders_and_events(min_size=1))
def test_a_history_without_a_sweep_ends_with_the_last_event(case: Case) -> None:
    pipeline, events = case
    # What is taken back, and what takes it back, has no place in time.
    left = standing(in_order(pipeline.ladder, events)).events
    last = max((event.at for event in left), default=START)
    ended, swept = pipeline.fold(events), pipeline.fold(events, last)
    if swept is None:
        assert ended is None
        return
    assert ended is not None
    assert ended.moves == swept.moves[: len(ended.moves)]
    extra = swept.moves[len(ended.moves) :]
    assert all(move.event is None and move.at == last for move in extra)


@given(ladders_and_events(min_size=1), st.data())
def test_nothing_more_happens_before_the_next_timer_is_due(case: Case, data: st.DataObject) -> None:
    pipeline, events = case
    last = max(event.at for event in events)
    until = last + dt.timedelta(hours=data.draw(st.integers(0, 10)))
    history = pipeline.fold(events, until)
    assume(history is not None)
    assert history is not None
    due = history.deal.due_at
    if due is None:
        assert pipeline.fold(events, until + dt.timedelta(days=2)) == history
    else:
        assert due > until
        assert pipeline.fold(events, due - dt.timedelta(microseconds=1)) == history

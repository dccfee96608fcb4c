"""The fold against a naive one written from the text: every move, every field of the deal."""

from __future__ import annotations

import datetime as dt

import attrs
from hypothesis import event, given
from hypothesis import strategies as st

from ladderpipe import Event, Pipeline
from ladderpipe.testing.copies import copies
from tests.ladders import ladders_and_events
from tests.properties import reference


@given(ladders_and_events(min_size=1), st.data())
def test_the_fold_does_what_the_text_says(
    case: tuple[Pipeline, list[Event]], data: st.DataObject
) -> None:
    pipeline, events = case
    again = data.draw(st.lists(st.sampled_from(events).flatmap(copies), max_size=3))
    events = data.draw(st.permutations([*events, *again])) if again else events
    hours = data.draw(st.sampled_from([None, 0, 1, 2, 3, 5, 48]))
    until = None
    if hours is not None:
        until = data.draw(st.sampled_from(events)).at + dt.timedelta(hours=hours)
    expected = reference.fold(pipeline, events, until)
    history = pipeline.fold(events, until)
    if expected is None:
        event("never opened")
        assert history is None
        return
    assert history is not None
    assert history.moves == expected.moves
    assert attrs.evolve(history.deal, unread=()) == reference.as_deal(pipeline, expected)
    unread = tuple((each.part, each.event) for each in history.deal.unread)
    assert sorted(unread) == sorted(expected.data.unread)

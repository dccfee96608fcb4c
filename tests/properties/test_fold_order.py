"""A history is a function of the set of events: no order, no repetition shows in it."""

from __future__ import annotations

from itertools import pairwise

import attrs
from hypothesis import given
from hypothesis import strategies as st

from ladderpipe import Event, Pipeline
from ladderpipe.testing.copies import disguised
from tests.ladders import ladders_and_events

Case = tuple[Pipeline, list[Event]]


@given(ladders_and_events(min_size=2), st.data())
def test_any_order_and_any_repetition_make_the_same_history(
    case: Case, data: st.DataObject
) -> None:
    pipeline, events = case
    shuffled = data.draw(st.permutations(events))
    repeated = data.draw(st.lists(st.sampled_from(events).flatmap(disguised), max_size=5))
    assert pipeline.fold([*shuffled, *repeated]) == pipeline.fold(events)


@given(ladders_and_events(min_size=2), st.data())
def test_an_event_delivered_last_goes_where_it_belongs(case: Case, data: st.DataObject) -> None:
    pipeline, events = case
    withheld = data.draw(st.sampled_from(events))
    rest = [event for event in events if event is not withheld]
    assert pipeline.fold([*rest, withheld]) == pipeline.fold(events)


@given(ladders_and_events(min_size=2))
def test_at_one_instant_what_leads_higher_comes_later_and_hands_come_last(case: Case) -> None:
    pipeline, events = case
    history = pipeline.fold(events)
    made = [] if history is None else [m.event for m in history.moves if m.event is not None]
    for one, next_one in pairwise(made):
        if one.at == next_one.at:
            places = [
                (
                    e.type in ("ladder.by_hand", "ladder.override"),
                    e.seq,
                    pipeline.ladder.rung_of_event(e),
                    e.source,
                    e.id,
                )
                for e in (one, next_one)
            ]
            assert places == sorted(places)


@given(ladders_and_events())
def test_many_deals_fold_as_each_alone(case: Case) -> None:
    pipeline, events = case
    others = [attrs.evolve(event, deal="another") for event in events]
    mixed = [event for pair in zip(others, events, strict=True) for event in pair]
    histories = {history.deal.id: history for history in pipeline.replay(mixed)}
    assert histories.get("deal-1") == pipeline.fold(events)
    assert histories.get("another") == pipeline.fold(others)

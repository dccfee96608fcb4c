"""What the semantics promise of every history, one sentence of them at a time."""

from __future__ import annotations

import datetime as dt
from collections import Counter

from hypothesis import assume, given
from hypothesis import strategies as st

from ladderpipe import ANY, Event, History, Pipeline, Rule, VisitTimes
from ladderpipe.ladder.rules import ByHand, OnEvents
from ladderpipe.model.clock import instant
from tests.ladders import ladders_and_events
from tests.properties import reference

HOUR = dt.timedelta(hours=1)

PAST_THE_RULES = ("ladder.override", "ladder.told")


@st.composite
def histories(draw: st.DrawFn) -> tuple[Pipeline, list[Event], History]:
    pipeline, events = draw(ladders_and_events(min_size=1))
    hours = draw(st.sampled_from([None, 0, 1, 3, 10]))
    until = None if hours is None else max(event.at for event in events) + hours * HOUR
    history = pipeline.fold(events, until)
    assume(history is not None)
    assert history is not None
    return pipeline, events, history


def rules_by_key(pipeline: Pipeline) -> dict[str, Rule]:
    return {rule.key or "": rule for rule in pipeline.rules}


@given(histories())
def test_one_event_makes_at_most_one_move(case: tuple[Pipeline, list[Event], History]) -> None:
    _, _, history = case
    moved = Counter((m.event.source, m.event.id) for m in history.moves if m.event is not None)
    assert all(count == 1 for count in moved.values())


@given(histories())
def test_a_move_is_made_by_a_rule_that_says_so(
    case: tuple[Pipeline, list[Event], History],
) -> None:
    pipeline, _, history = case
    rules = rules_by_key(pipeline)
    for move in history.moves:
        if move.rule in PAST_THE_RULES:
            assert move.event is not None
            assert move.event.type == move.rule
            continue
        rule = rules[move.rule]
        assert move.into is rule.into
        if isinstance(rule.trigger, OnEvents):
            assert move.event is not None
            assert move.event.type in rule.trigger.types
        elif isinstance(rule.trigger, ByHand):
            assert move.event is not None
            assert move.event.type == "ladder.by_hand"
        else:
            assert move.event is None


@given(histories())
def test_a_closed_stage_is_left_only_by_a_rule_that_names_it(
    case: tuple[Pipeline, list[Event], History],
) -> None:
    pipeline, _, history = case
    rules = rules_by_key(pipeline)
    for move in history.moves:
        if move.out_of is not None and move.out_of.is_closed and move.rule in rules:
            out_of = rules[move.rule].out_of
            assert out_of is ANY or (out_of is not None and move.out_of in out_of)


@given(histories())
def test_no_rule_moves_a_deal_into_the_stage_it_is_in_unless_it_reenters(
    case: tuple[Pipeline, list[Event], History],
) -> None:
    pipeline, _, history = case
    rules = rules_by_key(pipeline)
    for move in history.moves:
        if move.out_of == move.into and move.rule in rules:
            assert rules[move.rule].reenter


@given(histories())
def test_only_a_rule_that_opens_or_what_goes_past_the_rules_opens(
    case: tuple[Pipeline, list[Event], History],
) -> None:
    pipeline, _, history = case
    opening = history.moves[0]
    assert opening.rule in PAST_THE_RULES or rules_by_key(pipeline)[opening.rule].opens


@given(histories())
def test_an_override_always_moves_unless_it_was_taken_back(
    case: tuple[Pipeline, list[Event], History],
) -> None:
    _, events, history = case
    taken_back = {found.event for found in history.withdrawn}
    overrides = {event for event in events if event.type == "ladder.override"}
    assert overrides - taken_back == {m.event for m in history.moves if m.rule == "ladder.override"}


@given(histories())
def test_a_timer_moves_when_it_is_due_or_right_at_an_event_that_moved_nothing(
    case: tuple[Pipeline, list[Event], History],
) -> None:
    pipeline, events, history = case
    rules = rules_by_key(pipeline)
    made_a_move = {move.event for move in history.moves if move.event is not None}
    stayed = {event.at for event in events if event not in made_a_move}
    for move, left in zip(history.moves[1:], history.visits, strict=False):
        if move.event is not None:
            continue
        activity = [e.at for e in events if left.entered_at <= e.at <= move.at]
        trigger = rules[move.rule].trigger
        assert not isinstance(trigger, OnEvents | ByHand)
        dues = {
            max(due, left.entered_at)
            for active in [left.entered_at, *activity]
            if (due := trigger.due_at(VisitTimes(left.entered_at, active, history.deal.opened_at)))
        }
        # What another system told may say from when on the timers of its visit count.
        waits = {instant(t) for e in events if (t := e.data.get("timers_from"))}
        assert move.at in dues or (move.at in stayed | waits and min(dues) <= move.at)


@given(histories())
def test_a_timer_rule_fires_at_most_once_in_an_instant(
    case: tuple[Pipeline, list[Event], History],
) -> None:
    _, _, history = case
    fired = Counter((move.rule, move.at) for move in history.moves if move.event is None)
    assert all(count == 1 for count in fired.values())


@given(histories())
def test_closing_times_follow_the_stages(case: tuple[Pipeline, list[Event], History]) -> None:
    _, _, history = case
    closed_at, lost_from = None, None
    for move in history.moves:
        was = move.out_of.status if move.out_of is not None else None
        if not move.into.is_closed:
            closed_at = None
        elif not (was == move.into.status == "won"):
            closed_at = move.at
        if move.into.status != "lost":
            lost_from = None
        elif was != "lost":
            lost_from = move.out_of
    assert history.deal.closed_at == closed_at
    assert history.deal.lost_from == lost_from


@given(ladders_and_events(min_size=1), st.data())
def test_only_a_correction_changes_the_cart_of_a_closed_deal(
    case: tuple[Pipeline, list[Event]], data: st.DataObject
) -> None:
    pipeline, events = case
    ordered = sorted({event.at for event in events})
    cut = data.draw(st.sampled_from(ordered))
    events = [event for event in events if event.at <= cut or not reference.is_correction(event)]
    before = pipeline.fold(events, cut)
    if before is None or not before.deal.stage.is_closed:
        return  # assuming it would throw away most examples
    later = next((at for at in ordered if at > cut), cut)
    after = pipeline.fold(events, later)
    assert after is not None
    if all(move.into.is_closed for move in after.moves[len(before.moves) :]):
        assert after.deal.cart == before.deal.cart
        assert after.deal.value == before.deal.value

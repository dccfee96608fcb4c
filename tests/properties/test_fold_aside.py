"""An event that cannot be used at its place is set aside there, whenever and however it arrives."""

from __future__ import annotations

import attrs
from hypothesis import assume, given
from hypothesis import event as label
from hypothesis import strategies as st

from ladderpipe import Board, Deal, Event, ManualClock, Outcome, Pipeline
from ladderpipe.board.verify import verify
from ladderpipe.errors import GuardError, InvalidEventError
from ladderpipe.fold.deal_data import DealData
from ladderpipe.fold.draft import Draft
from ladderpipe.fold.fold import last_telling, step
from ladderpipe.fold.moves import NewMoves
from ladderpipe.fold.order import in_order
from ladderpipe.fold.reducer import cart_reducer
from ladderpipe.ladder.guards import guard
from ladderpipe.model.event import WITHDRAW
from ladderpipe.testing.strategies import START
from tests.ladders import ladders_and_events

OFFER = "offer"


def fragile_reducer(deal: DealData, event: Event) -> None:
    """Raise, after having written, when the same offer is told twice in a row."""
    offer = event.data.get(OFFER)
    if offer is not None:
        before, deal.properties[OFFER] = deal.properties.get(OFFER), offer
        deal.properties.setdefault("offers", []).append(offer)
        if before == offer:
            raise ValueError(f"offer {offer} again")
    cart_reducer(deal, event)


def fragile_guard(deal: Deal, event: Event | None) -> bool:
    """Raise for what an event asks while the third offer stands; timers are answered."""
    if event is not None and deal.properties.get(OFFER) == 3:
        raise LookupError("no answer to the third offer")
    return True


def fragile(pipeline: Pipeline) -> Pipeline:
    """Return a ladder whose reducer, and the guards of every other rule, may raise."""
    asks = guard(fragile_guard)
    rules = [
        attrs.evolve(rule, when=asks if rule.when is None else rule.when & asks)
        if place % 2
        else rule
        for place, rule in enumerate(pipeline.rules)
    ]
    return Pipeline("fragile", stages=pipeline.stages, rules=rules, reducer=fragile_reducer)


@st.composite
def fragile_cases(draw: st.DrawFn, hands: bool = True) -> tuple[Pipeline, list[Event]]:
    pipeline, drawn = draw(ladders_and_events(min_size=1, hands=hands))
    # Withdrawals stand aside by another rule, and have tests of their own.
    events = [event for event in drawn if event.type != WITHDRAW]
    assume(events)
    told = [
        event
        if event.type.startswith("ladder.") or not (offer := draw(st.integers(0, 3)))
        else attrs.evolve(event, data={**event.data, OFFER: offer})
        for event in events
    ]
    return fragile(pipeline), told


def usable(pipeline: Pipeline, events: list[Event]) -> tuple[list[Event], list[Event]]:
    """Ask every event in turn, after those before it that could be used: the slow definition."""
    taken: list[Event] = []
    left_out: list[Event] = []
    ordered = in_order(pipeline.ladder, events)
    telling = last_telling(pipeline.ladder, ordered)
    for event in ordered:
        draft = Draft(pipeline.ladder, event.deal)
        draft.telling = telling
        try:
            step(draft, [*taken, event], NewMoves(draft))
        except (GuardError, InvalidEventError):
            left_out.append(event)
        else:
            taken.append(event)
    # The one that says until when no timer fires is no offer, and asks no guard.
    assert telling is None or telling in taken
    return taken, left_out


@given(fragile_cases(), st.data())
def test_the_fold_leaves_out_what_cannot_be_used_in_any_order(
    case: tuple[Pipeline, list[Event]], data: st.DataObject
) -> None:
    pipeline, events = case
    taken, left_out = usable(pipeline, events)
    label(f"{min(len(left_out), 3)} set aside")
    history = pipeline.fold(data.draw(st.permutations(events)))
    if history is None:
        assert pipeline.fold(taken) is None
        return
    bare = pipeline.fold(taken, max(event.at for event in events))
    assert [each.event for each in history.aside] == left_out
    assert all(each.reason for each in history.aside)
    # What was due before an event that was set aside last has fired all the same.
    assert bare is not None
    assert history.moves == bare.moves[: len(history.moves)]
    assert all(move.event is None for move in bare.moves[len(history.moves) :])


@given(fragile_cases(), st.data())
def test_a_stepped_fold_sets_the_same_aside(
    case: tuple[Pipeline, list[Event]], data: st.DataObject
) -> None:
    pipeline, events = case
    unfolding = pipeline.open(events[0].deal)
    for event in data.draw(st.permutations(events)):
        unfolding.add(event, hold=True)
    assert unfolding.history() == pipeline.fold(events)
    again = type(unfolding).from_state(pipeline, unfolding.to_state())
    assert again.history() == pipeline.fold(events)


@given(fragile_cases(hands=False), st.data())
def test_a_board_that_holds_ends_the_same_in_any_order(
    case: tuple[Pipeline, list[Event]], data: st.DataObject
) -> None:
    pipeline, events = case
    order = data.draw(st.permutations(events))
    last = max(event.at for event in events)
    with Board(pipeline, clock=ManualClock(max(START, last))) as board:
        if data.draw(st.booleans()):
            report = board.handle_many(order, hold=True)
            assert not report.failures
        else:
            for event in order:
                receipt = board.handle(event, hold=True)
                # What moved nothing for want of a required property has a reason, too.
                assert receipt.outcome is not Outcome.HELD or receipt.reason
        expected = pipeline.fold(events)
        if expected is not None:
            found = board.history(events[0].deal)
            assert [move._replace(recorded_at=None) for move in found.moves] == list(expected.moves)
            assert found.deal == expected.deal
            assert found.aside == expected.aside
            assert [held.event for held in board.held()] == sorted(
                (each.event for each in expected.aside), key=[h.event for h in board.held()].index
            )
        assert verify(board).agrees

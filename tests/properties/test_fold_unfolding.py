"""A deal's fold that is stepped, in whatever order and through whatever state, is the fold."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from hypothesis import event as label
from hypothesis import given
from hypothesis import strategies as st

from ladderpipe import Event, Outcome, Pipeline
from ladderpipe.errors import EventConflictError, GuardError
from ladderpipe.fold.order import in_order
from ladderpipe.fold.unfolding import Unfolding
from ladderpipe.fold.withdrawals import standing
from ladderpipe.model.move import Move
from ladderpipe.testing.strategies import START
from tests.ladders import guarded_ladder, ladders_and_events

HOUR = dt.timedelta(hours=1)


class Stepped:
    """An unfolding beside all that it was told, so that both can be compared at every step."""

    def __init__(self, pipeline: Pipeline, deal: str) -> None:
        self.pipeline = pipeline
        self.unfolding = pipeline.open(deal)
        self.told: list[Event] = []
        self.moves: list[Move] = []
        self.swept_to: dt.datetime | None = None

    def add(self, event: Event) -> bool:
        """Add an event; return whether it could be appended."""
        self.told.append(event)
        change = self.unfolding.add(event)
        self._apply(change.undone, change.moves)
        return not change.refolded

    def advance(self, until: dt.datetime) -> None:
        self.swept_to = until if self.swept_to is None else max(self.swept_to, until)
        change = self.unfolding.advance(until)
        self._apply(change.undone, change.moves)

    def _apply(self, undone: tuple[Move, ...], made: tuple[Move, ...]) -> None:
        if undone:
            assert tuple(self.moves[-len(undone) :]) == undone
            del self.moves[-len(undone) :]
        self.moves += made

    def check(self) -> None:
        left = standing(in_order(self.pipeline.ladder, self.told)).events
        last = max((event.at for event in left), default=None)
        until = None if last is None or not self.swept_to else max(self.swept_to, last)
        history = self.pipeline.fold(self.told, until if until == self.swept_to else None)
        assert self.unfolding.history() == history
        if history is not None:
            assert self.moves == list(history.moves), "the changes add up to the history"
            assert self.unfolding.due_at == history.deal.due_at


def tell(stepped: Stepped, events: list[Event], sweeps: list[int | None]) -> None:
    """Add *events* one by one, advancing some hours after those that say so."""
    now = START
    for event, hours in zip(events, sweeps, strict=True):
        label("appended" if stepped.add(event) else "folded again")
        now = max(now, event.at)
        if hours is not None:
            now += hours * HOUR
            stepped.advance(now)
        stepped.check()


def hours_after(events: list[Event]) -> st.SearchStrategy[list[int | None]]:
    hours = st.sampled_from([None, None, 0, 1, 2, 5])
    return st.lists(hours, min_size=len(events), max_size=len(events))


@given(ladders_and_events(min_size=1), st.data())
def test_appended_in_order_with_sweeps_between(
    case: tuple[Pipeline, list[Event]], data: st.DataObject
) -> None:
    pipeline, told = case
    # What takes something back, or tells what was, changes the past, wherever it stands.
    events = [e for e in told if e.type not in ("ladder.withdraw", "ladder.told")]
    stepped = Stepped(pipeline, told[0].deal)
    for event in in_order(pipeline.ladder, events):
        assert stepped.add(event), "an event in order is appended"
        if data.draw(st.booleans()):
            # Not beyond the next event: a timer due at its instant comes after it.
            stepped.advance(event.at - dt.timedelta(microseconds=1))
        stepped.check()
    assert stepped.unfolding.history() == pipeline.fold(events)


@given(ladders_and_events(min_size=1), st.data())
def test_added_in_any_order_with_sweeps_between(
    case: tuple[Pipeline, list[Event]], data: st.DataObject
) -> None:
    pipeline, events = case
    sweeps = data.draw(hours_after(events))
    tell(Stepped(pipeline, events[0].deal), data.draw(st.permutations(events)), sweeps)


@given(ladders_and_events(min_size=2), st.data())
def test_one_event_withheld_and_added_last(
    case: tuple[Pipeline, list[Event]], data: st.DataObject
) -> None:
    pipeline, events = case
    withheld = data.draw(st.sampled_from(events))
    order = [*(event for event in events if event is not withheld), withheld]
    tell(Stepped(pipeline, events[0].deal), order, data.draw(hours_after(events)))


@given(ladders_and_events(min_size=1), st.data())
def test_it_goes_on_from_its_state(case: tuple[Pipeline, list[Event]], data: st.DataObject) -> None:
    pipeline, events = case
    stepped = Stepped(pipeline, events[0].deal)
    for event in data.draw(st.permutations(events)):
        stepped.add(event)
        if data.draw(st.booleans()):
            stepped.advance(event.at + HOUR)
        state = json.loads(json.dumps(stepped.unfolding.to_state()))
        stepped.unfolding = Unfolding.from_state(pipeline, state)
        stepped.check()


@given(ladders_and_events(min_size=1), st.data())
def test_a_second_copy_changes_nothing(
    case: tuple[Pipeline, list[Event]], data: st.DataObject
) -> None:
    pipeline, events = case
    unfolding = pipeline.open(events[0].deal, data.draw(st.permutations(events)))
    before = unfolding.to_state()
    for event in events:
        assert unfolding.add(event).outcome is Outcome.DUPLICATE
    assert unfolding.to_state() == before


def test_what_cannot_be_added_changes_nothing() -> None:
    pipeline = guarded_ladder()
    unfolding = pipeline.open("d", [Event("opened", deal="d", id="1", at=START)])
    before = unfolding.to_state(), unfolding.history()
    with pytest.raises(GuardError):
        unfolding.add(Event("asked", deal="d", id="2", at=START + HOUR))
    with pytest.raises(EventConflictError):
        unfolding.add(Event("other", deal="d", id="1", at=START))
    with pytest.raises(ValueError, match="about deal"):
        unfolding.add(Event("opened", deal="e", id="3", at=START))
    assert (unfolding.to_state(), unfolding.history()) == before
    assert unfolding.add(Event("noted", deal="d", id="4", at=START)).outcome is Outcome.STAYED

"""Appending to a draft, with sweeps in between, ends where one fold of everything does."""

from __future__ import annotations

import datetime as dt
from typing import Any

import attrs
from hypothesis import event as label
from hypothesis import given
from hypothesis import strategies as st

from ladderpipe import Event, History, Pipeline
from ladderpipe.fold import fold as folding
from ladderpipe.fold.draft import Draft, order_key
from ladderpipe.testing.strategies import START
from tests.ladders import ladders_and_events

HOUR = dt.timedelta(hours=1)


@attrs.define
class Keeper:
    """What a board keeps of one deal, without a store."""

    pipeline: Pipeline
    events: list[Event] = attrs.Factory(list)
    swept_to: dt.datetime | None = None
    draft: Draft | None = None
    moves: list[Any] = attrs.Factory(list)

    def handle(self, event: Event) -> bool:
        """Take an event; return whether it could be appended."""
        self.events.append(event)
        draft = self.draft or Draft(self.pipeline, event.deal)
        self.draft = draft
        if not folding.sorts_after_all(draft, order_key(self.pipeline, event)):
            self.draft, self.moves, _ = self.pipeline.run(self.events, self.until)
            return False
        folding.step(draft, [event], self.moves)
        if self.swept_to is not None and event.at <= self.swept_to:
            folding.advance(draft, self.swept_to, self.moves)
        return True

    def tick(self, now: dt.datetime) -> None:
        self.swept_to = now
        if self.draft is not None:
            folding.advance(self.draft, now, self.moves)

    @property
    def until(self) -> dt.datetime | None:
        """What a board stores is the fold until the sweep, or until the last event if later."""
        last = max((event.at for event in self.events), default=None)
        return (
            None if last is None or self.swept_to is None or last > self.swept_to else self.swept_to
        )

    @property
    def history(self) -> History | None:
        draft = self.draft
        return None if draft is None or draft.stage is None else History(draft, self.moves)


def deliver(keeper: Keeper, events: list[Event], sweeps: list[int | None]) -> None:
    """Handle *events* one by one, sweeping some hours on after those that say so."""
    now = START
    for event, hours in zip(events, sweeps, strict=True):
        label("appended" if keeper.handle(event) else "folded again")
        now = max(now, event.at)
        if hours is not None:
            now += hours * HOUR
            keeper.tick(now)
        assert keeper.history == keeper.pipeline.fold(keeper.events, keeper.until)


@given(ladders_and_events(min_size=1), st.data())
def test_appended_in_order_with_sweeps_between(
    case: tuple[Pipeline, list[Event]], data: st.DataObject
) -> None:
    pipeline, events = case
    keeper = Keeper(pipeline)
    now: dt.datetime | None = None
    for event in folding.in_order(pipeline, events):
        assert keeper.handle(event), "an event in order is appended"
        if data.draw(st.booleans()):
            # Not beyond the next event: a timer due at its instant comes after it.
            now = event.at - dt.timedelta(microseconds=1)
            keeper.tick(now)
        assert keeper.history == pipeline.fold(keeper.events, keeper.until)
    assert keeper.history == pipeline.fold(events)


@given(ladders_and_events(min_size=1), st.data())
def test_delivered_in_any_order_with_sweeps_between(
    case: tuple[Pipeline, list[Event]], data: st.DataObject
) -> None:
    pipeline, events = case
    hours = st.sampled_from([None, None, 0, 1, 2, 5])
    sweeps = data.draw(st.lists(hours, min_size=len(events), max_size=len(events)))
    keeper = Keeper(pipeline)
    deliver(keeper, data.draw(st.permutations(events)), sweeps)


@given(ladders_and_events(min_size=2), st.data())
def test_one_event_withheld_and_delivered_last(
    case: tuple[Pipeline, list[Event]], data: st.DataObject
) -> None:
    pipeline, events = case
    withheld = data.draw(st.sampled_from(events))
    order = [*(event for event in events if event is not withheld), withheld]
    hours = st.sampled_from([None, None, 0, 1, 2, 5])
    sweeps = data.draw(st.lists(hours, min_size=len(events), max_size=len(events)))
    deliver(Keeper(pipeline), order, sweeps)

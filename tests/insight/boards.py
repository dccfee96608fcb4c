"""Boards that were told something, as steps that can be told again to another board."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Sequence
from typing import Any
from unittest import mock

import attrs
import polars as pl
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from ladderpipe import Board, Event, ManualClock, Pipeline
from ladderpipe.errors import LadderError
from ladderpipe.insight import Tables
from ladderpipe.testing.strategies import START, events_of_many_deals
from tests.ladders import ladders

DEALS = ("deal-1", "deal-2", "deal-3")
FRAMES = ("deals", "visits", "moves", "changes")


@attrs.frozen
class Step:
    """An event that is delivered, or a hand, or a sweep; some minutes after the step before."""

    minutes: int
    event: Event | None = None
    hand: tuple[str, str] | None = None

    def take(self, board: Board, clock: ManualClock) -> None:
        """Let it happen; what the board refuses has not happened."""
        clock.advance(minutes=self.minutes)
        try:
            if self.event is not None:
                clock.set(max(self.event.at, clock.now()))
                board.handle(self.event)
            elif self.hand is not None:
                deal, into = self.hand
                board.override(deal, into, by="Ada", properties={"loss_reason": "price"})
            else:
                board.tick()
        except LadderError:
            pass


@attrs.frozen
class Story:
    """A ladder, and what a board of it is told."""

    pipeline: Pipeline
    steps: tuple[Step, ...]

    def told(self, store: Any = None, *, steps: int | None = None) -> Board:
        """Return a board that was told it, or its first *steps*."""
        clock = ManualClock(START)
        board = Board(self.pipeline, store=store, clock=clock)
        numbers = itertools.count(1)
        with mock.patch("os.urandom", lambda size: next(numbers).to_bytes(size, "big")):
            for step in self.steps[:steps]:
                step.take(board, clock)
        return board

    def instants(self, board: Board) -> st.SearchStrategy[dt.datetime]:
        """Return a strategy for instants that matter to a board that was told it."""
        found = [event.at for deal in DEALS for event in board.events(deal)]
        found += [move.at for deal in board.deals() for move in board.history(deal.id).moves]
        found += [deal.due_at for deal in board.deals() if deal.due_at is not None]
        now = board.clock.now()
        edge = dt.timedelta(microseconds=1)
        near = {at + shift for at in found for shift in (-edge, 0 * edge, edge)}
        return st.sampled_from(sorted({now, *(at for at in near if at <= now)}))


@st.composite
def stories(draw: st.DrawFn, *, hands: bool = True) -> Story:
    """Return a story of three deals on a random ladder, its events delivered in any order."""
    pipeline = draw(ladders())
    events = draw(events_of_many_deals(pipeline, deals=DEALS, max_size=6))
    later = st.sampled_from([1, 1, 60, 240])
    steps = [
        Step(draw(later), event)
        for event in draw(st.one_of(st.just(events), st.permutations(events)))
    ]
    others = [st.builds(Step, later)]
    if hands:
        deal, stage = st.sampled_from(DEALS), st.sampled_from([s.key for s in pipeline.stages])
        others.append(st.builds(Step, later, st.none(), st.tuples(deal, stage)))
    for other in draw(st.lists(st.one_of(others), max_size=4)):
        steps.insert(draw(st.integers(0, len(steps))), other)
    return Story(pipeline, tuple(steps))


def assert_same_tables(
    one: Tables, other: Tables, *, but: Sequence[str] = (), frames: Sequence[str] = FRAMES
) -> None:
    """Assert that two tables are equal, *but* for some columns."""
    assert one.as_of == other.as_of
    for name in frames:
        left, right = getattr(one, name), getattr(other, name)
        assert_frame_equal(left.drop(but, strict=False), right.drop(but, strict=False))


def rows(frame: pl.DataFrame, **columns: Any) -> list[dict[str, Any]]:
    """Return the rows in which columns have these values."""
    return frame.filter(**columns).to_dicts() if columns else frame.to_dicts()

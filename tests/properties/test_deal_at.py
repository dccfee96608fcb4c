"""A deal in the middle of its history is what the fold of the events up to there ends with."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ladderpipe import Board, Event, History, ManualClock, Pipeline
from ladderpipe.testing import events, events_and_hands, pipelines
from tests.ladders import sales_ladder

LADDER = sales_ladder()


@given(st.data(), pipelines())
def test_at_an_instant_it_is_the_fold_until_then(data: st.DataObject, pipeline: Pipeline) -> None:
    told = data.draw(events_and_hands(pipeline, min_size=1))
    history = pipeline.fold(told)
    if history is None:
        return
    end = max(event.at for event in told)
    instants = st.sampled_from([event.at for event in told] + [move.at for move in history.moves])
    at = data.draw(instants)
    expected = pipeline.fold(told, min(at, end))
    assert history.deal_at(at) == (None if expected is None else expected.deal)


@given(st.data(), pipelines())
def test_after_a_move_it_stands_in_its_stage_and_after_the_last_in_the_last(
    data: st.DataObject, pipeline: Pipeline
) -> None:
    told = data.draw(events_and_hands(pipeline, min_size=1))
    history = pipeline.fold(told, told[-1].at)
    if history is None:
        return
    for move in history.moves:
        deal = history.deal_at(move)
        assert deal is not None
        assert (deal.stage, deal.visit, deal.entered_at) == (move.into, move.n, move.at)


@given(st.lists(st.integers(1, 9), min_size=2, max_size=6))
def test_it_has_the_value_that_it_had_then(prices: list[int]) -> None:
    clock = ManualClock("2026-01-05T09:00:00Z")
    with Board(LADDER, clock=clock) as board:
        for n, price in enumerate(prices):
            lines = [{"sku": "A", "quantity": 1, "unit_price": price}]
            data = {"cart": {"lines": lines}}
            event = Event("cart.updated", deal="d", id=f"e{n}", at=clock.now(), data=data)
            board.handle(event)
            clock.advance(hours=60)
            board.tick()
        history = board.history("d")
        values = [history.deal_at(move) for move in history.moves if move.event is not None]
    assert [deal and deal.value for deal in values] == prices


@given(events(LADDER, min_size=4))
def test_a_board_and_a_bare_fold_agree(told: list[Event]) -> None:
    with Board(LADDER, clock=ManualClock(told[-1].at)) as board:
        board.handle_many(told, hold=True)
        folded = LADDER.fold(told)
        if folded is None:
            return
        stored = board.history("deal-1")
        for one, other in zip(stored.moves, folded.moves, strict=True):
            assert stored.deal_at(one) == folded.deal_at(other)


def test_what_is_not_in_it_is_refused() -> None:
    event = Event("order.confirmed", deal="d", id="e", at="2026-01-05T09:00:00Z")
    history = LADDER.fold([event])
    assert history is not None
    (move,) = history.moves
    with pytest.raises(LookupError, match="has no such move"):
        history.deal_at(move._replace(n=7))
    with pytest.raises(LookupError, match="does not hold the events"):
        History.from_dict(history.to_dict(), LADDER.stages).deal_at(move)
    assert history.deal_at("2026-01-05T08:00:00Z") is None

"""What is taken back, told twice, late or shuffled: the deal is as if it had never been told."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ladderpipe import Board, EffectState, Event, ManualClock, Outcome, Pipeline, verify
from ladderpipe.errors import DealNotFoundError
from ladderpipe.testing.copies import copies
from ladderpipe.testing.strategies import events as events_of
from tests.ladders import ladders
from tests.properties.reference import taken_back


@st.composite
def told_and_taken_back(draw: st.DrawFn) -> tuple[Pipeline, list[Event]]:
    """Return a ladder, and what another system tells of a deal and takes back, in any order."""
    pipeline = draw(ladders(sequences=True))
    told = draw(events_of(pipeline, min_size=1, max_size=8))
    for number in range(draw(st.integers(1, 4))):
        named = draw(st.sampled_from([*(event.identity for event in told), ("", "nothing")]))
        at = draw(st.sampled_from([event.at for event in told]))
        data = {"source": named[0], "id": named[1]}
        given = {"deal": "deal-1", "id": f"w{number}", "source": "crm", "at": at, "data": data}
        told.append(Event("ladder.withdraw", **given))
    return pipeline, draw(st.permutations(told))


def left_of(told: list[Event]) -> list[Event]:
    gone = taken_back(sorted(told, key=lambda event: (event.at, event.seq, event.source, event.id)))
    return [
        event
        for event in told
        if event.type != "ladder.withdraw" and (event.source, event.id) not in gone
    ]


def shape(history: Any) -> Any:
    if history is None:
        return None
    moves = [move._replace(recorded_at=None) for move in history.moves]
    return history.deal, moves, history.visits


@given(case=told_and_taken_back())
def test_the_fold_is_as_if_what_was_taken_back_had_never_been_told(
    case: tuple[Pipeline, list[Event]],
):
    pipeline, told = case
    assert shape(pipeline.fold(told)) == shape(pipeline.fold(left_of(told)))


@given(case=told_and_taken_back(), data=st.data())
@settings(max_examples=settings().max_examples // 2)
def test_a_board_ends_the_same_in_whatever_order_it_is_told(
    case: tuple[Pipeline, list[Event]], data: st.DataObject
):
    pipeline, told = case
    clock = ManualClock(max(event.at for event in told))
    with closing(Board(pipeline, clock=clock)) as board:
        waiting = list(told)
        while waiting:
            size = data.draw(st.integers(1, 3), label="batch")
            batch, waiting = waiting[:size], waiting[size:]
            again = [data.draw(copies(batch[0]))] if data.draw(st.booleans()) else []
            if size == 1:
                board.handle(batch[0])
                for copy in again:
                    assert board.handle(copy).outcome is Outcome.DUPLICATE
            else:
                board.handle_many([*batch, *again])
        board.tick()
        expected = pipeline.fold(told, clock.now())
        try:
            found = board.history("deal-1")
        except DealNotFoundError:
            found = None
        assert shape(found) == shape(expected)
        if found is not None and expected is not None:
            assert found.withdrawn == expected.withdrawn
            current = found.visits[-1].key
            for effect in board.effects(states=[EffectState.PENDING, EffectState.OPEN]):
                assert effect.run_to_completion or effect.visit_key == current
        assert not verify(board).differences
        before = board.events("deal-1")
        for event in told:
            assert board.handle(event).outcome is Outcome.DUPLICATE
        assert board.events("deal-1") == before


@given(case=told_and_taken_back(), data=st.data())
@settings(max_examples=settings().max_examples // 2)
def test_taking_back_what_took_back_brings_it_back(
    case: tuple[Pipeline, list[Event]], data: st.DataObject
):
    pipeline, told = case
    facts = [event for event in told if event.type != "ladder.withdraw"]
    clock = ManualClock(max(event.at for event in facts))
    with closing(Board(pipeline, clock=clock)) as board:
        board.handle_many(facts)
        board.tick()
        before = _history(board)
        taken = data.draw(st.lists(st.sampled_from(facts), min_size=1, max_size=3, unique=True))
        receipts = [board.withdraw(event, by="Ada") for event in taken]
        left = [event for event in facts if event not in taken]
        assert shape(_history(board)) == shape(pipeline.fold(left, clock.now()) if left else None)
        for receipt in receipts:
            assert receipt.event is not None
            board.withdraw(receipt.event, by="Ada")
        assert shape(_history(board)) == shape(before)
        assert not verify(board).differences


def _history(board: Board) -> Any:
    try:
        return board.history("deal-1")
    except DealNotFoundError:
        return None

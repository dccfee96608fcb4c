"""What a hand is offered, dates back or undoes, on random ladders and whatever went before."""

from __future__ import annotations

import datetime as dt
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ladderpipe import Board, Event, ManualClock, Outcome, Pipeline, verify
from ladderpipe.errors import MoveNotAllowedError
from ladderpipe.testing.strategies import events_and_hands
from tests.ladders import ladders

MINUTE = dt.timedelta(minutes=1)


def board_at(pipeline: Pipeline, events: list[Event], hours: int) -> Board:
    """Return a board that was told *events*, hands among them, some hours after the last."""
    clock = ManualClock("2026-01-05T09:00:00Z")
    board = Board(pipeline, clock=clock)
    for event in sorted(events, key=lambda event: event.at):
        clock.set(max(event.at, clock.now()))
        if not event.type.startswith("ladder.") or event.type == "ladder.told":
            board.handle(event, hold=True)
        else:
            try:
                move = board.move if event.type == "ladder.by_hand" else board.override
                move(event.deal, event.data["into"], by="Ada", properties=event.data["properties"])
            except (LookupError, MoveNotAllowedError, KeyError):
                pass
    clock.advance(hours=hours)
    return board


@given(data=st.data(), hours=st.integers(0, 60))
@settings(max_examples=settings().max_examples // 2)
def test_a_stage_is_offered_exactly_if_a_hand_may_move_the_deal_there(
    data: st.DataObject, hours: int
):
    pipeline = data.draw(ladders(sequences=True))
    events = data.draw(events_and_hands(pipeline, max_size=8))
    offered = board_at(pipeline, events, hours).options("deal-1", by="Ada")
    assert [option.into for option in offered] == list(pipeline.stages)
    for option in offered:
        board = board_at(pipeline, events, hours)
        assert moved(board, option.into, None) == option.allowed
        assert (option.why is None) == option.allowed
        if option.is_possible:
            filled: dict[str, Any] = dict.fromkeys(option.missing, "given")
            assert option.allowed or moved(board, option.into, filled) or not filled


def moved(board: Board, into: Any, properties: dict[str, Any] | None) -> bool:
    before = board.events("deal-1")
    try:
        receipt = board.move("deal-1", into, by="Ada", properties=properties)
    except MoveNotAllowedError as error:
        refused = error
    else:
        return receipt.outcome in (Outcome.MOVED, Outcome.OPENED)
    assert board.events("deal-1") == before
    assert properties or refused.options == board.options("deal-1", by="Ada")
    return False


@given(data=st.data(), hours=st.integers(0, 60))
@settings(max_examples=settings().max_examples // 2)
def test_a_hand_dated_in_the_past_is_at_its_place_or_leaves_no_trace(
    data: st.DataObject, hours: int
):
    pipeline = data.draw(ladders())
    events = data.draw(events_and_hands(pipeline, min_size=1, max_size=8))
    board = board_at(pipeline, events, hours)
    before = board.events("deal-1")
    told = [event.at for event in before] or [board.clock.now()]
    at = data.draw(st.sampled_from(told)) + data.draw(st.integers(-1, 90)) * MINUTE
    at = min(at, board.clock.now())
    into = data.draw(st.sampled_from(pipeline.stages))
    move = data.draw(st.sampled_from([board.move, board.override]))
    try:
        receipt = move("deal-1", into, by="Ada", at=at, id="dated")
    except (MoveNotAllowedError, LookupError):
        assert board.events("deal-1") == before
        return
    history = board.history("deal-1")
    mine = [made for made in history.moves if made.event and made.event.id == "dated"]
    assert [(made.into, made.at) for made in mine] == [(into, at)]
    assert (receipt.reason is None) == (history.moves[-1] == mine[0])
    assert not verify(board).differences
    again = board.move if move == board.move else board.override
    assert again("deal-1", into, by="Ada", id="dated").outcome is Outcome.DUPLICATE


@given(data=st.data(), hours=st.integers(0, 60))
@settings(max_examples=settings().max_examples // 4)
def test_undoing_a_move_gives_back_the_deal_that_was(data: st.DataObject, hours: int):
    pipeline = data.draw(ladders(sequences=True))
    events = data.draw(events_and_hands(pipeline, min_size=1, max_size=6))
    board = board_at(pipeline, events, hours)
    board.tick()
    if not board.events("deal-1"):
        return
    before = board.explain("deal-1").stage and board.history("deal-1")
    into = data.draw(st.sampled_from(pipeline.stages))
    drag = board.override("deal-1", into, by="Ada")
    board.undo("deal-1", by="Ada", event=drag.event)
    if before:
        after = board.history("deal-1")
        assert (after.deal, after.moves, after.visits) == (
            *(before.deal, before.moves, before.visits),
        )
    assert not verify(board).differences

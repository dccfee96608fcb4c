"""What a hand is offered is what it may do, on random ladders and whatever went before."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ladderpipe import Board, Event, ManualClock, Outcome, Pipeline
from ladderpipe.errors import MoveNotAllowedError
from ladderpipe.testing.strategies import events_and_hands
from tests.ladders import ladders


def board_at(pipeline: Pipeline, events: list[Event], hours: int) -> Board:
    """Return a board that was told *events*, hands among them, some hours after the last."""
    clock = ManualClock("2026-01-05T09:00:00Z")
    board = Board(pipeline, clock=clock)
    for event in sorted(events, key=lambda event: event.at):
        clock.set(max(event.at, clock.now()))
        if not event.type.startswith("ladder."):
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

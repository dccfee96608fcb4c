"""What the type checker knows of events, deals and histories. Checked by mypy, never run."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import assert_type

from ladderpipe import Board, Deal, Event, History, ManualClock, Move, Pipeline, Stage, Visit


def reads(pipeline: Pipeline, board: Board, event: Event) -> None:
    history = pipeline.fold([event], until="2026-01-05T09:00:00Z")
    assert_type(history, History | None)
    history.deal  # type: ignore[union-attr]
    assert history is not None
    assert_type(history.deal, Deal)
    assert_type(history.moves, Sequence[Move])
    assert_type(history.visits, Sequence[Visit])
    history.moves[0] = history.moves[1]  # type: ignore[index]
    assert_type(history.visits[0].left_at, dt.datetime | None)
    assert_type(history.stage_at("2026-01-05T09:00:00Z"), Stage | None)
    assert_type(history.deal.value, Decimal | None)
    assert_type(history.deal.stage, Stage)
    assert_type(history.moves[0].event, Event | None)
    assert_type(board.handle(event).deal, Deal)
    assert_type(board.handle(event).deal_or_none, Deal | None)
    assert_type(board.deal("cart-42"), Deal)


def changes(deal: Deal, event: Event, move: Move) -> None:
    deal.stage = Stage("won")  # type: ignore[misc]
    event.type = "other"  # type: ignore[misc]
    move.n = 2  # type: ignore[misc]


def calls(board: Board) -> None:
    Event("a", deal="d", id="1")  # type: ignore[call-arg]
    Event("a", "d", "1", "2026-01-05T09:00:00Z")  # type: ignore[call-arg]
    Event("a", deal="d", id=1, at="2026-01-05T09:00:00Z")  # type: ignore[arg-type]
    board.handle("cart.saved")  # type: ignore[arg-type]
    board.move("cart-42", Stage("lost"))  # type: ignore[call-arg]
    board.deals(status="pending")  # type: ignore[arg-type]
    Board(board.pipeline, clock="now")  # type: ignore[arg-type]
    Board(board.pipeline, clock=ManualClock("2026-01-05T09:00:00Z"))

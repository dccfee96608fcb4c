"""What another system told, on boards: hooks and effects, timers, late arrival, identity."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from ladderpipe import (
    ANY,
    Board,
    Event,
    HookContext,
    ManualClock,
    Outcome,
    Pipeline,
    Stage,
    after,
    by_hand,
    do,
    on,
    verify,
    wait,
)
from ladderpipe.errors import InvalidEventError

NOW = dt.datetime(2026, 3, 2, 9, tzinfo=dt.UTC)


def ladder() -> Pipeline:
    lead = Stage("lead")
    offer = Stage("offer", sequence=[wait(days=2), do("task", title="Call")])
    won = Stage("won", status="won")
    lost = Stage("lost", status="lost", requires=["loss_reason"])
    return Pipeline(
        "sales",
        stages=[lead, offer, won, lost],
        rules=[
            on("lead.created", into=lead, opens=True),
            on("offer.sent", into=offer),
            by_hand(into=won),
            by_hand(into=lost),
            by_hand(into=lead, out_of=ANY),
            after(days=14, out_of=offer, into=lead, key="cold"),
        ],
    )


def told(stage: str | None, days_ago: float, id: str = "", **data: Any) -> Event:
    if stage is not None:
        data["stage"] = stage
    return Event(
        "ladder.told",
        deal="d",
        id=id or f"{stage} {days_ago}",
        at=NOW - dt.timedelta(days=days_ago),
        source="crm",
        data=data,
    )


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def board(clock: ManualClock) -> Board:
    return Board(ladder(), clock=clock)


def stages_of(board: Board) -> list[str]:
    return [visit.stage.key for visit in board.history("d").visits]


def test_what_is_required_and_guarded_is_no_matter_to_a_past_that_was(board: Board):
    board.handle_many([told("lead", 90), told("offer", 60), told("lost", 20)])
    board.tick()
    assert stages_of(board) == ["lead", "offer", "lost"]
    assert board.deal("d").lost_from == "offer"
    assert not verify(board).differences


def test_a_timer_that_was_overdue_fires_when_the_telling_says(board: Board, clock: ManualClock):
    from_now = NOW + dt.timedelta(days=7)
    board.handle_many([told("lead", 90), told("offer", 60, timers_from=from_now.isoformat())])
    board.tick()
    assert board.deal("d").due_at == from_now
    clock.advance(days=7)
    board.tick()
    assert [(m.into, m.at) for m in board.history("d").moves][-1] == ("lead", from_now)
    clock.advance(hours=1)
    board.handle(Event("offer.sent", deal="d", id="again", at=clock.now()))
    assert board.deal("d").due_at == clock.now() + dt.timedelta(days=14)
    assert not verify(board).differences


def test_a_late_telling_has_no_timer_fire_before_it(board: Board):
    board.handle(told("offer", 60))
    board.tick()
    assert stages_of(board) == ["offer", "lead"]
    receipt = board.handle(told("won", 1))
    assert (receipt.outcome, receipt.refolded) == (Outcome.MOVED, True)
    assert stages_of(board) == ["offer", "won"]
    assert board.handle(told("won", 1)).outcome is Outcome.DUPLICATE
    assert not verify(board).differences


def test_only_the_present_visit_runs_hooks_and_counts_its_sequence_from_when_it_began(
    clock: ManualClock,
):
    pipeline = ladder()
    ran: list[tuple[str, str]] = []

    @pipeline.move_into(pipeline.stage("lead"))
    def into(ctx: HookContext) -> None:
        ran.append(("into", ctx.deal.stage.key))

    @pipeline.move_out_of(pipeline.stage("lead"))
    def out_of(ctx: HookContext) -> None:
        ran.append(("out_of", ctx.deal.stage.key))

    board = Board(pipeline, clock=clock)
    board.handle_many([told("lead", 9), told("offer", 1)], quiet=True)
    assert ran == []
    assert [(task.due_at, task.state.value) for task in board.effects()] == [
        (NOW + dt.timedelta(days=1), "open")
    ]
    board.move("d", "lead", by="Ada")
    assert ran == [("into", "lead")]


def test_a_sequence_may_count_from_the_move_over(board: Board):
    board.handle_many(
        [told("lead", 90), told("offer", 9, sequence_from=NOW.isoformat())], quiet=True
    )
    assert [(task.due_at, task.state.value) for task in board.effects()] == [
        (NOW + dt.timedelta(days=2), "open")
    ]


def test_what_is_told_without_a_stage_moves_nothing_and_counts_on_a_closed_deal(board: Board):
    board.handle_many([told("lead", 9, value="10", currency="EUR"), told("won", 5)])
    receipt = board.handle(told(None, 0, id="facts", value="90", currency="EUR", owner="Ada"))
    assert (receipt.outcome, board.deal("d").owner) == (Outcome.STAYED, "Ada")
    assert board.deal("d").value == 90
    assert board.deal("d").last_event_at == NOW


def test_a_stage_that_the_ladder_does_not_have_is_set_aside(board: Board):
    with pytest.raises(InvalidEventError, match="does not have"):
        board.handle(told("gone", 3))
    assert board.handle(told("gone", 3), hold=True).outcome is Outcome.HELD
    board.handle(told("offer", 60))
    assert stages_of(board) == ["offer", "lead"]


@pytest.mark.parametrize("data", [{"stage": 3}, {"stage": ""}, {"timers_from": "tomorrow"}])
def test_a_telling_that_says_nothing_is_refused(board: Board, data: dict[str, Any]):
    with pytest.raises(InvalidEventError):
        board.handle(Event("ladder.told", deal="d", id="1", at=NOW, data=data))


def test_it_is_explained(board: Board):
    board.handle_many([told("offer", 60), told("offer", 50, id="again")])
    text = str(board.explain("d"))
    assert "ladder.told" in text
    assert "the deal was in 'offer' already" in text

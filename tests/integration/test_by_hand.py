"""S13: a hand's move is an event like any other, checked under the deal's lock after a sweep."""

from __future__ import annotations

from typing import Any

import pytest

from ladderpipe import ANY, Outcome, Pipeline, Stage, after, by_hand, on
from ladderpipe.errors import (
    DealNotFoundError,
    GuardError,
    InvalidEventError,
    MissingPropertyError,
    MoveNotAllowedError,
)
from tests.shops import Shop, assert_is_the_fold, contents, lead_ladder, register


@pytest.fixture
def shop(store: Any) -> Shop:
    return Shop(lead_ladder(), store)


def test_a_move_is_in_the_history_with_actor_and_reason(shop: Shop):
    shop.tell("lead")
    shop.wait(1)
    receipt = shop.board.move("d", "lost", by="Bea", reason="too dear", properties={"why": "price"})
    assert receipt.outcome is Outcome.MOVED
    (move,) = receipt.moves
    assert (move.out_of, move.into, move.at) == ("new", "lost", shop.clock.now())
    event = shop.board.history("d").moves[-1].event
    assert event.data == {
        "into": "lost",
        "by": "Bea",
        "reason": "too dear",
        "properties": {"why": "price"},
    }
    assert shop.board.deal("d").properties == {"why": "price"}
    assert shop.board.deal("d").lost_from == "new"
    assert_is_the_fold(shop.board)


def test_a_stage_object_may_be_given(shop: Shop):
    shop.board.move("d", shop.pipeline.stage("new"), by="Bea")
    assert shop.stage == "new"


def test_a_hand_may_open_a_deal(shop: Shop):
    receipt = shop.board.move("fresh", "new", by="Bea")
    assert receipt.outcome is Outcome.OPENED
    assert shop.board.deal("fresh").title == "fresh"
    assert_is_the_fold(shop.board, ["fresh"])


def test_a_hand_that_opens_a_deal_counts_what_was_waiting(shop: Shop):
    shop.tell("assigned", owner="Bea")
    shop.wait(1)
    shop.board.move("d", "new", by="Bea")
    assert shop.board.deal("d").owner == "Bea"
    assert_is_the_fold(shop.board)


def test_a_move_that_no_rule_allows_says_where_the_deal_may_go(shop: Shop):
    shop.tell("lead")
    before = contents(shop.store)
    with pytest.raises(MoveNotAllowedError) as refused:
        shop.board.move("d", "won", by="Bea")
    message = str(refused.value)
    assert "deal 'd' is in new" in message
    assert "no by_hand rule leads there" in message
    assert "it may go into lost" in message
    assert "board.override" in message
    assert contents(shop.store) == before


def test_a_refused_move_does_not_even_leave_a_trace_of_a_deal(shop: Shop):
    before = contents(shop.store)
    with pytest.raises(MoveNotAllowedError, match="deal 'nobody' is not open"):
        shop.board.move("nobody", "won", by="Bea")
    assert contents(shop.store) == before


def test_a_move_without_what_the_stage_requires_says_what_is_missing(shop: Shop):
    shop.tell("lead")
    shop.wait(1)
    before = contents(shop.store)
    with pytest.raises(MissingPropertyError, match=r"without why: pass properties=\{'why': ...\}"):
        shop.board.move("d", "lost", by="Bea")
    assert contents(shop.store) == before
    shop.tell("told", properties={"why": "price"})
    shop.board.move("d", "lost", by="Bea")
    assert shop.stage == "lost"


def test_a_guard_is_asked_and_named_when_it_refuses(store: Any):
    def is_hot(deal: Any, event: Any) -> bool:
        return bool(deal.properties.get("hot"))

    new, talking = Stage("new"), Stage("talking")
    pipeline = Pipeline(
        "guarded",
        stages=[new, talking],
        rules=[on("lead", into=new, opens=True), by_hand(into=talking, when=is_hot)],
    )
    shop = Shop(pipeline, store)
    shop.tell("lead")
    with pytest.raises(MoveNotAllowedError, match=r"the guard does not hold .*is_hot"):
        shop.board.move("d", talking, by="Bea")
    assert shop.board.move("d", talking, by="Bea", properties={"hot": True}).outcome == "moved"


def test_a_guard_that_raises_stores_nothing(store: Any):
    def broken(deal: Any, event: Any) -> bool:
        raise KeyError("hot")

    new, talking = Stage("new"), Stage("talking")
    pipeline = Pipeline(
        "broken",
        stages=[new, talking],
        rules=[on("lead", into=new, opens=True), by_hand(into=talking, when=broken)],
    )
    shop = Shop(pipeline, store)
    shop.tell("lead")
    before = contents(store)
    with pytest.raises(GuardError, match="for deal 'd'"):
        shop.board.move("d", talking, by="Bea")
    assert contents(store) == before


def test_a_move_first_fires_the_timers_that_are_due(shop: Shop):
    shop.tell("lead")
    shop.wait(73)
    receipt = shop.board.move("d", "lost", by="Bea", properties={"why": "silence"})
    assert [(m.out_of, m.into) for m in receipt.moves] == [("new", "cold"), ("cold", "lost")]
    assert shop.board.deal("d").lost_from == "cold"
    assert_is_the_fold(shop.board)


def test_a_move_may_be_refused_because_a_timer_went_first(store: Any):
    new, talking, cold = Stage("new"), Stage("talking"), Stage("cold")
    pipeline = Pipeline(
        "timers",
        stages=[new, talking, cold],
        rules=[
            on("lead", into=new, opens=True),
            after(hours=1, out_of=new, into=cold),
            by_hand(into=talking, out_of=new),
        ],
    )
    shop = Shop(pipeline, store)
    shop.tell("lead")
    shop.wait(1)
    before = contents(store)
    with pytest.raises(MoveNotAllowedError, match="deal 'd' is in cold"):
        shop.board.move("d", talking, by="Bea")
    assert contents(store) == before, "neither the hand nor the sweep is recorded"


def test_a_hand_comes_after_everything_the_deal_has_seen(shop: Shop):
    shop.tell("lead", hours=4 / 60)
    receipt = shop.board.move("d", "lost", by="Bea", properties={"why": "x"})
    assert not receipt.refolded
    assert receipt.moves[0].at > shop.clock.now(), "the deal's last event is a little ahead"
    assert_is_the_fold(shop.board)


def test_two_hands_at_one_instant_keep_their_order(shop: Shop):
    for into in ("new", "lost"):
        shop.board.move("d", into, by="Bea", properties={"why": "x"})
    with pytest.raises(MoveNotAllowedError):
        shop.board.move("d", "new", by="Bea")
    shop.board.override("d", "cold", by="Bea")
    shop.board.move("d", "new", by="Bea")
    shop.board.move("d", "lost", by="Bea")
    assert shop.stages == ["new", "lost", "cold", "new", "lost"]
    assert len({move.at for move in shop.board.history("d").moves}) == 1
    assert_is_the_fold(shop.board)


def test_an_event_at_the_instant_of_a_hand_goes_before_it(shop: Shop):
    shop.tell("lead")
    shop.wait(1)
    shop.board.move("d", "lost", by="Bea", properties={"why": "x"})
    assert shop.tell("call").refolded
    assert shop.stages == ["new", "talking", "lost"]
    assert_is_the_fold(shop.board)


def test_into_the_same_stage_is_no_move(shop: Shop):
    shop.tell("lead")
    with pytest.raises(MoveNotAllowedError):
        shop.board.move("d", "new", by="Bea")


# -- override -----------------------------------------------------------------------------------


def test_an_override_goes_past_the_rules_and_says_so(shop: Shop):
    shop.tell("lead")
    shop.wait(1)
    receipt = shop.board.override("d", "won", by="Bea", reason="paid in cash")
    assert receipt.outcome is Outcome.MOVED
    move = shop.board.history("d").moves[-1]
    assert move.rule == "ladder.override"
    assert move.event.data == {"into": "won", "by": "Bea", "reason": "paid in cash"}
    assert_is_the_fold(shop.board)


def test_an_override_needs_no_required_property_and_may_reenter(shop: Shop):
    shop.tell("lead")
    shop.board.override("d", "lost", by="Bea")
    shop.board.override("d", "lost", by="Bea")
    assert shop.stages == ["new", "lost", "lost"]
    assert_is_the_fold(shop.board)


def test_an_override_opens_a_deal_that_waits(shop: Shop):
    shop.tell("call")
    assert shop.board.override("d", "talking", by="Bea").outcome is Outcome.OPENED
    assert_is_the_fold(shop.board)


def test_an_override_of_a_deal_nobody_heard_of_is_refused(shop: Shop):
    before = contents(shop.store)
    with pytest.raises(DealNotFoundError, match="'nobody'"):
        shop.board.override("nobody", "won", by="Bea")
    assert contents(shop.store) == before


def test_an_override_survives_a_refold(shop: Shop):
    shop.tell("lead")
    shop.wait(2)
    shop.board.override("d", "won", by="Bea")
    shop.tell("call", hours=-1)
    assert shop.stages == ["new", "talking", "won"]
    assert_is_the_fold(shop.board)


# -- what a hand may not say --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"by": ""}, "say who moves the deal"),
        ({"by": None}, "say who moves the deal"),
        ({"by": "Bea", "reason": 1}, "must be text"),
        ({"by": "Bea", "properties": ["x"]}, "must map names to values"),
        ({"by": "Bea", "properties": {"x": object()}}, "not JSON"),
        ({"by": "Bea\x00"}, "NUL"),
    ],
)
def test_a_hand_says_who_and_in_json(shop: Shop, given: dict[str, Any], message: str):
    shop.tell("lead")
    before = contents(shop.store)
    with pytest.raises(InvalidEventError, match=message):
        shop.board.move("d", "lost", **given)
    assert contents(shop.store) == before


@pytest.mark.parametrize("act", ["move", "override"])
def test_a_stage_that_is_not_there_is_refused(shop: Shop, act: str):
    shop.tell("lead")
    with pytest.raises(MoveNotAllowedError, match="has no stage 'moon'"):
        getattr(shop.board, act)("d", "moon", by="Bea")


def test_nobody_but_the_board_writes_hands(shop: Shop):
    for kind in ("ladder.by_hand", "ladder.override", "ladder.baseline", "ladder.more"):
        with pytest.raises(InvalidEventError, match=r"use board\.move or board\.override"):
            shop.tell(kind, into="won", by="me")


def test_a_hand_moves_a_deal_out_of_a_closed_stage_only_where_a_rule_says_so(store: Any):
    new, won = Stage("new"), Stage("won", status="won")
    pipeline = Pipeline(
        "closed",
        stages=[new, won],
        rules=[on("lead", into=new, opens=True), on("order", into=won), by_hand(into=new)],
    )
    shop = Shop(pipeline, store)
    shop.tell("lead")
    shop.tell("order")
    with pytest.raises(MoveNotAllowedError, match="no hand may move it"):
        shop.board.move("d", new, by="Bea")
    again = Pipeline(
        "reopened",
        stages=[new, won],
        rules=[
            on("lead", into=new, opens=True),
            on("order", into=won),
            by_hand(into=new, out_of=ANY),
        ],
    )
    reopened = Shop(again, store)
    reopened.tell("lead", id="x")
    reopened.tell("order", id="y")
    reopened.board.move("d", new, by="Bea")
    deal = reopened.board.deal("d")
    assert (deal.stage, deal.closed_at) == ("new", None)


def test_hooks_of_a_hand_see_actor_and_reason(store: Any):
    seen = []
    pipeline = register(lead_ladder(), into_lost=lambda ctx: seen.append(ctx.event.data["by"]))
    shop = Shop(pipeline, store)
    shop.tell("lead")
    shop.board.move("d", "lost", by="Bea", properties={"why": "x"})
    assert seen == ["Bea"]

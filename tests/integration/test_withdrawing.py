"""S13: what was told can be taken back, by a hand or from outside, whenever that arrives."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from ladderpipe import (
    ANY,
    Event,
    HeldKind,
    Identity,
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
from ladderpipe.errors import (
    DealNotFoundError,
    EventConflictError,
    EventNotFoundError,
    InvalidEventError,
    MoveNotAllowedError,
)
from tests.shops import Shop, assert_is_the_fold, contents

QUOTE = Stage(
    "quote",
    sequence=[
        do("email", template="first"),
        wait(days=2),
        do("task", title="Call"),
        do("email", template="second"),
        wait(days=1),
        do("email", template="third"),
    ],
)
TALKS = Stage("talks", sequence=[do("email", template="talks")])
ABANDONED, WON = Stage("abandoned", status="abandoned"), Stage("won", status="won")


def ladder() -> Pipeline:
    return Pipeline(
        "taken-back",
        stages=[ABANDONED, QUOTE, TALKS, WON],
        rules=[
            on("lead", into=QUOTE, opens=True),
            on("order", into=WON, out_of=ANY),
            after(days=10, out_of=QUOTE, into=ABANDONED),
            by_hand(into=QUOTE, out_of=ANY),
            by_hand(into=TALKS, out_of=ANY),
        ],
    )


@pytest.fixture
def shop(store: Any) -> Shop:
    found = Shop(ladder(), store)
    found.tell("lead", id="lead", contact={"email": "a@b.it"})
    found.work()
    return found


def sound(shop: Shop) -> None:
    assert_is_the_fold(shop.board)
    assert not verify(shop.board).differences


# -- a card in the wrong column -----------------------------------------------------------------


def test_an_undone_drag_leaves_no_trace_but_in_the_record(shop: Shop):
    due, entered = shop.board.deal("d").due_at, shop.board.deal("d").entered_at
    shop.wait(40)
    drag = shop.board.move("d", TALKS, by="ann")
    assert shop.states()["talks"] == "pending"
    shop.clock.advance(seconds=10)
    undone = shop.board.undo("d", by="ann", event=drag.event, reason="wrong column")
    assert (undone.outcome, undone.deal.stage, undone.refolded) == (Outcome.MOVED, "quote", True)
    assert (undone.deal.due_at, undone.deal.entered_at) == (due, entered)
    assert shop.states() == {
        "first": "delivered",
        "Call": "open",
        "second": "pending",
        "third": "pending",
        "talks": "cancelled",
    }
    shop.work()
    assert shop.mails == ["first"]
    history = shop.board.history("d")
    assert [str(visit.stage) for visit in history.visits] == ["quote"]
    [(event, by)] = history.withdrawn
    assert (event.identity, by.data["by"], by.data["reason"]) == (drag.event, "ann", "wrong column")
    told = str(shop.board.explain("d"))
    assert "hand: ann → 'talks'" in told
    assert "taken back by ann" in told
    assert "withdrawal: ann takes back" in told
    sound(shop)


def test_a_double_click_undoes_one(shop: Shop):
    shop.wait(1)
    first = shop.board.move("d", TALKS, by="ann")
    shop.wait(1)
    second = shop.board.move("d", QUOTE, by="ann")
    assert shop.board.undo("d", by="ann", expecting=QUOTE).deal.stage == "talks"
    before = contents(shop.store)
    with pytest.raises(MoveNotAllowedError, match="is in talks and not, as expected, in quote"):
        shop.board.undo("d", by="ann", expecting=QUOTE)
    again = shop.board.undo("d", by="ann", event=second.event)
    assert (again.outcome, again.deal.stage) == (Outcome.DUPLICATE, "talks")
    assert contents(shop.store) == before
    assert shop.board.undo("d", by="ann", expecting=TALKS).deal.stage == "quote"
    assert first.event is not None
    with pytest.raises(MoveNotAllowedError, match="nothing was done"):
        shop.board.undo("d", by="ann", expecting=QUOTE)
    sound(shop)


def test_a_double_click_on_an_edit_undoes_one(shop: Shop):
    for owner in ("carla", "dan", "eve"):
        shop.wait(1)
        shop.board.edit("d", by="ann", owner=owner)
    shop.wait(1)
    assert shop.board.undo("d", by="ann", expecting=QUOTE).deal.owner == "dan"
    with pytest.raises(MoveNotAllowedError, match=r"taken back already by ann .* name it with"):
        shop.board.undo("d", by="ann", expecting=QUOTE)
    assert shop.board.deal("d").owner == "dan"
    sound(shop)


def test_a_retried_undo_undoes_nothing_twice(shop: Shop):
    shop.wait(1)
    shop.board.move("d", TALKS, by="ann", id="drag-1")
    shop.wait(1)
    shop.board.move("d", QUOTE, by="ann", id="drag-2")
    shop.wait(1)
    first = shop.board.undo("d", by="ann", expecting=QUOTE, id="undo-1")
    before = contents(shop.store)
    again = shop.board.undo("d", by="ann", expecting=QUOTE, id="undo-1")
    assert (again.outcome, again.event) == (Outcome.DUPLICATE, first.event)
    with pytest.raises(EventConflictError):
        shop.board.undo("d", by="ann", event="drag-1", id="undo-1")
    assert contents(shop.store) == before
    assert shop.board.undo("d", by="ann", event="drag-1").deal.stage == "quote"


def test_an_undo_says_what_or_where(shop: Shop):
    with pytest.raises(InvalidEventError, match="neither event= nor expecting="):
        shop.board.undo("d", by="ann")
    with pytest.raises(InvalidEventError, match=r"board\.withdraw takes any event back"):
        shop.board.undo("d", by="ann", event=Identity("", "lead"))
    with pytest.raises(DealNotFoundError):
        shop.board.undo("nobody", by="ann", expecting=QUOTE)


def test_an_override_and_what_it_opened_can_be_undone(shop: Shop):
    shop.wait(1)
    shop.board.override("d", WON, by="ann", id="o")
    assert shop.board.undo("d", by="bea", event="o").deal.closed_at is None
    shop.tell("noted", "other")
    opened = shop.board.override("other", TALKS, by="ann")
    undone = shop.board.undo("other", by="ann", event=opened.event)
    assert undone.deal_or_none is None
    sound(shop)


# -- what was told and never happened -----------------------------------------------------------


def test_an_order_that_never_was_is_taken_back(shop: Shop):
    shop.wait(24)
    order = shop.event("order", id="o1")
    receipt = shop.board.handle(order)
    assert shop.stage == "won"
    shop.wait(24)
    assert shop.board.withdraw(receipt.event, by="ann", reason="test order").deal.stage == "quote"
    before = contents(shop.store)
    assert shop.board.withdraw(order, by="bea").outcome is Outcome.DUPLICATE
    assert contents(shop.store) == before
    sound(shop)


def test_who_insists_on_a_withdrawn_order_is_a_finding(shop: Shop):
    shop.wait(1)
    order, note = shop.event("order", id="o1"), shop.event("noted", id="n1")
    shop.board.handle_many([order, note])
    shop.board.withdraw("o1", by="ann")
    shop.board.withdraw("n1", by="ann")
    for _ in range(2):
        assert shop.board.handle(order).outcome is Outcome.DUPLICATE
        assert shop.board.handle(note).outcome is Outcome.DUPLICATE
        assert shop.board.handle_many([order]).outcomes == {Outcome.DUPLICATE: 1}
    [held] = shop.board.held()
    assert (held.kind, held.event.id, held.told) == (HeldKind.CONFLICT, "o1", 4)
    assert "taken back" in held.reason
    assert any(finding.code == "H013" for finding in shop.board.health().findings)
    assert shop.stage == "quote"
    shop.board.discard(held, by="ann", reason="a test order")
    assert shop.board.handle(order).outcome is Outcome.DUPLICATE
    assert shop.board.held() == []
    sound(shop)


def test_timers_that_then_had_fired_fire_and_one_mail_of_a_name_goes_out(shop: Shop):
    shop.wait(1)
    shop.tell("order", id="o1")
    shop.wait(24 * 5)
    shop.board.withdraw("o1", by="ann")
    assert shop.stage == "quote"
    assert shop.states() == {
        "first": "delivered",
        "Call": "open",
        "second": "expired",
        "third": "pending",
    }
    shop.work()
    assert shop.mails == ["first", "third"]
    shop.tell("order", id="o2")
    shop.wait(24 * 20)
    shop.board.withdraw("o2", by="ann")
    deal = shop.board.deal("d")
    assert deal.stage == "abandoned"
    assert deal.entered_at == dt.datetime(2026, 1, 15, 9, tzinfo=dt.UTC)
    sound(shop)


def test_another_system_takes_back_what_it_told_before_it_arrives(shop: Shop):
    shop.wait(24)
    taken = Event(
        "ladder.withdraw",
        deal="d",
        id="w1",
        source="crm",
        at=shop.clock.now(),
        data={"source": "crm", "id": "o1"},
    )
    receipt = shop.board.handle(taken)
    assert receipt.outcome is Outcome.STAYED
    assert "this deal does not have" in (receipt.reason or "")
    assert [held.kind for held in shop.board.held()] == [HeldKind.ASIDE]
    last = shop.board.deal("d").last_event_at
    order = Event("order", deal="d", id="o1", source="crm", at=shop.clock.now())
    assert shop.board.handle(order).outcome is Outcome.STAYED
    assert (shop.stage, shop.board.deal("d").last_event_at) == ("quote", last)
    assert shop.board.held() == []
    assert shop.board.handle(order).outcome is Outcome.DUPLICATE
    assert shop.board.handle(taken).outcome is Outcome.DUPLICATE
    sound(shop)


def test_a_withdrawal_says_what_it_takes_back(shop: Shop):
    for data in ({}, {"id": 3}, {"id": "x", "source": None}):
        told = Event("ladder.withdraw", deal="d", id="w", at=shop.clock.now(), data=data)
        with pytest.raises(InvalidEventError, match="does not say which"):
            shop.board.handle(told)


def test_a_withdrawal_can_be_taken_back(shop: Shop):
    shop.tell("order", id="o1")
    first = shop.board.withdraw("o1", by="ann")
    assert shop.stage == "quote"
    assert first.event is not None
    assert shop.board.withdraw(first.event, by="bea").deal.stage == "won"
    again = shop.board.withdraw("o1", by="ann")
    assert (again.outcome, again.deal.stage) == (Outcome.MOVED, "quote")
    sound(shop)


def test_in_a_batch_a_withdrawal_counts_too(store: Any):
    shop = Shop(ladder(), store)
    told = [
        shop.event("ladder.withdraw", id="w", source="", target="x"),
        shop.event("lead", id="l"),
        shop.event("order", id="o"),
    ]
    told[0] = Event("ladder.withdraw", deal="d", id="w", at=shop.clock.now(), data={"id": "o"})
    report = shop.board.handle_many(told)
    assert report.accepted == 3
    assert shop.stage == "quote"
    sound(shop)


def test_what_nobody_told_cannot_be_taken_back(shop: Shop):
    with pytest.raises(EventNotFoundError, match="'nothing'"):
        shop.board.withdraw("nothing", by="ann")
    with pytest.raises(InvalidEventError, match="names no event"):
        shop.board.withdraw(3, by="ann")  # type: ignore[arg-type]


def test_a_held_event_that_is_withdrawn_is_put_aside(shop: Shop):
    shop.wait(1)
    early = shop.event("order", hours=5, id="soon")
    assert shop.board.handle(early, hold=True).outcome is Outcome.HELD
    [held] = shop.board.held()
    shop.board.withdraw(held, by="ann", reason="a mistake")
    assert shop.board.held() == []
    shop.wait(10)
    shop.board.tick()
    assert shop.stage == "quote"
    assert shop.board.handle(early).outcome is Outcome.DUPLICATE
    shop.board.discard(shop.board.held()[0], by="ann", reason="a mistake all the same")
    conflict = Event("order", deal="d", id="lead", at=shop.clock.now())
    assert shop.board.handle(conflict, hold=True).outcome is Outcome.HELD
    [held] = shop.board.held()
    shop.board.withdraw(held, by="ann")
    assert shop.board.held() == []
    assert shop.stage == "quote", "the event that has the name stays"
    sound(shop)


def test_what_a_baseline_holds_cannot_be_taken_back(shop: Shop):
    shop.wait(1)
    shop.board.move("d", TALKS, by="ann", id="drag-1")
    shop.wait(1)
    shop.board.forget(email="a@b.it")
    for act in (
        lambda: shop.board.withdraw("lead", by="ann"),
        lambda: shop.board.undo("d", by="ann", event="drag-1"),
    ):
        with pytest.raises(MoveNotAllowedError, match=r"board\.edit, or move it with board\.over"):
            act()


def test_what_another_system_takes_back_and_a_baseline_holds_stays(shop: Shop):
    shop.wait(1)
    shop.board.forget(email="a@b.it")
    before = shop.board.deal("d")
    data = {"id": "lead"}
    taken = Event("ladder.withdraw", deal="d", id="w", at=shop.clock.now(), data=data)
    receipt = shop.board.handle(taken)
    assert "stands in what a baseline carries" in (receipt.reason or "")
    assert shop.board.deal("d") == before
    assert shop.board.history("d").withdrawn == ()
    assert [held.event.id for held in shop.board.held()] == ["w"]
    assert not verify(shop.board).differences


def test_what_was_taken_back_before_a_baseline_comes_back_after_it(shop: Shop):
    shop.wait(1)
    shop.tell("order", id="o1")
    shop.wait(1)
    taken = shop.board.withdraw("o1", by="ann")
    shop.wait(1)
    shop.board.forget(email="a@b.it")
    assert shop.stage == "quote"
    assert taken.event is not None
    shop.board.withdraw(taken.event, by="bea")
    assert shop.stage == "won"
    assert not verify(shop.board).differences


def test_after_a_withdrawal_life_goes_on(shop: Shop):
    shop.wait(1)
    shop.tell("order", id="o1")
    shop.board.withdraw("o1", by="ann")
    shop.wait(1)
    assert not shop.tell("noted", owner="dan").refolded
    shop.board.move("d", TALKS, by="ann")
    shop.wait(1)
    shop.tell("order", id="o2")
    assert shop.stages == ["quote", "talks", "won"]
    sound(shop)


def test_what_was_believed_before_the_withdrawal_is_still_known(shop: Shop):
    insight = pytest.importorskip("ladderpipe.insight")
    shop.wait(24)
    shop.tell("order", id="o1")
    monday = shop.clock.now()
    shop.wait(24)
    shop.board.withdraw("o1", by="ann")
    believed = insight.tables(shop.board, as_of=monday, believed_at=monday).deals
    assert believed["stage"].to_list() == ["won"]
    now = insight.tables(shop.board, as_of=monday).deals
    assert now["stage"].to_list() == ["quote"]


def test_an_archived_deal_comes_back_with_what_was_taken_back(shop: Shop, tmp_path: Any):
    shop.wait(1)
    drag = shop.board.move("d", TALKS, by="ann")
    shop.board.undo("d", by="ann", event=drag.event)
    shop.wait(1)
    shop.tell("order", id="o1")
    shop.wait(24)
    withdrawn = shop.board.history("d").withdrawn
    shop.board.archive(before=shop.clock.now(), to=tmp_path / "old.jsonl")
    shop.board.restore(tmp_path / "old.jsonl")
    assert shop.board.history("d").withdrawn == withdrawn
    assert shop.board.undo("d", by="ann", event=drag.event).outcome is Outcome.DUPLICATE
    sound(shop)

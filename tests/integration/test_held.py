"""A fact is never refused: what cannot be used yet is held with the reason, on every store."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from ladderpipe import ANY, Board, Event, ManualClock, Outcome, Pipeline, Stage, after, on
from ladderpipe.board.verify import verify
from ladderpipe.errors import (
    EventConflictError,
    EventFromFutureError,
    HeldNotFoundError,
    HookError,
    InvalidEventError,
)
from ladderpipe.fold.deal_data import DealData
from ladderpipe.fold.reducer import cart_reducer
from ladderpipe.model.delivery import Backoff
from ladderpipe.model.held import HeldKind

START = dt.datetime(2026, 1, 5, 9, tzinfo=dt.UTC)


class Shop:
    """A shop whose reducer minds a broken size, and whose hook can be told to fail."""

    def __init__(self, store: Any) -> None:
        self.hook_fails = False
        self.sizes = {"S", "M"}
        quote, abandoned = Stage("quote"), Stage("abandoned", status="abandoned")
        self.won = Stage("won", status="won")
        pipeline = Pipeline(
            "shop",
            stages=[quote, abandoned, self.won],
            rules=[
                on("order.confirmed", into=self.won, out_of=ANY, opens=True),
                on("cart.filled", into=quote, opens=True),
                after(hours=48, out_of=quote, into=abandoned),
            ],
            reducer=self.reduce,
        )

        @pipeline.move_into(self.won)
        def thank(ctx: Any) -> None:
            if self.hook_fails:
                raise RuntimeError("the warehouse does not answer")

        self.clock = ManualClock(START)
        backoff = Backoff(first=60.0, factor=1.0)
        self.board = Board(pipeline, store=store, clock=self.clock, backoff=backoff)

    def reduce(self, deal: DealData, event: Event) -> None:
        size = event.data.get("size")
        if size is not None and size not in self.sizes:
            raise ValueError(f"no size {size}")
        cart_reducer(deal, event)

    def tell(self, kind: str, id: str, at: dt.datetime | None = None, **data: Any) -> Any:
        event = Event(kind, deal="d", id=id, at=at or self.clock.now(), data=data)
        return self.board.handle(event, hold=True)

    def kinds(self) -> list[HeldKind]:
        return [held.kind for held in self.board.held()]


@pytest.fixture
def shop(store: Any) -> Shop:
    return Shop(store)


def test_what_the_reducer_cannot_use_is_set_aside_and_the_deal_goes_on(shop: Shop) -> None:
    shop.tell("cart.filled", "1")
    receipt = shop.tell("cart.filled", "2", size="XXL")
    assert (receipt.outcome, receipt.deal.stage) == (Outcome.HELD, "quote")
    assert "no size XXL" in receipt.reason
    [held] = shop.board.held()
    assert (held.kind, held.event.id, held.deal) == (HeldKind.ASIDE, "2", "d")
    assert shop.tell("order.confirmed", "3").outcome is Outcome.MOVED
    assert [each.event.id for each in shop.board.history("d").aside] == ["2"]
    assert "no size XXL" in str(shop.board.explain("d"))
    assert verify(shop.board).agrees


def test_told_again_it_is_a_duplicate(shop: Shop) -> None:
    shop.tell("cart.filled", "1")
    shop.tell("cart.filled", "2", at=START, size="XXL")
    assert shop.tell("cart.filled", "2", at=START, size="XXL").outcome is Outcome.DUPLICATE
    assert len(shop.board.held()) == 1


def test_by_default_it_is_refused_and_nothing_is_stored(shop: Shop) -> None:
    shop.tell("cart.filled", "1")
    with pytest.raises(InvalidEventError, match="no size XXL"):
        shop.board.handle(Event("cart.filled", deal="d", id="2", at=START, data={"size": "XXL"}))
    assert not shop.board.held()
    assert [event.id for event in shop.board.events("d")] == ["1"]


def test_what_becomes_usable_counts_as_soon_as_it_is_released(shop: Shop) -> None:
    shop.tell("order.confirmed", "1", size="XXL")
    [held] = shop.board.held()
    assert shop.board.release(held).outcome is Outcome.HELD
    shop.sizes.add("XXL")
    assert shop.board.release(held).outcome is Outcome.OPENED
    assert shop.board.deal("d").stage == "won"
    assert not shop.board.held()
    assert verify(shop.board).agrees


def test_an_order_under_a_known_name_is_held_until_it_has_its_own(shop: Shop) -> None:
    shop.tell("cart.filled", "1", at=START)
    receipt = shop.tell("order.confirmed", "1", at=START)
    assert (receipt.outcome, shop.kinds()) == (Outcome.HELD, [HeldKind.CONFLICT])
    [held] = shop.board.held()
    with pytest.raises(InvalidEventError, match="id="):
        shop.board.release(held)
    assert shop.board.release(held, id="order-1").outcome is Outcome.MOVED
    assert not shop.board.held()


def test_another_copy_is_kept_once_with_a_count(shop: Shop) -> None:
    shop.tell("cart.filled", "1", at=START)
    for note in ("a", "b", "b"):
        assert shop.tell("cart.filled", "1", at=START, note=note).outcome is Outcome.HELD
    [held] = shop.board.held()
    assert (held.kind, held.told, held.retry_at) == (HeldKind.COPY, 3, None)


def test_what_is_still_to_come_is_taken_when_it_has_come(shop: Shop) -> None:
    shop.tell("cart.filled", "1")
    soon = START + dt.timedelta(minutes=6)
    assert shop.tell("order.confirmed", "2", at=soon).outcome is Outcome.HELD
    assert shop.kinds() == [HeldKind.FUTURE]
    with pytest.raises(EventFromFutureError):
        shop.board.release(shop.board.held()[0])
    shop.clock.advance(minutes=2)
    assert shop.board.tick().released == 1
    assert shop.board.deal("d").stage == "won"
    assert not shop.board.held()


def test_a_hook_that_raises_holds_the_event_back_and_is_tried_again(shop: Shop) -> None:
    shop.tell("cart.filled", "1")
    shop.hook_fails = True
    receipt = shop.tell("order.confirmed", "2")
    assert (receipt.outcome, shop.kinds()) == (Outcome.HELD, [HeldKind.FAILED])
    shop.clock.advance(minutes=2)
    assert shop.board.tick().released == 0
    assert shop.board.held()[0].failures == 1
    with pytest.raises(HookError):
        shop.board.release(shop.board.held()[0])
    shop.hook_fails = False
    shop.clock.advance(minutes=2)
    assert shop.board.tick().released == 1
    assert shop.board.deal("d").stage == "won"
    assert shop.board.deal("d").entered_at == START
    assert verify(shop.board).agrees


def test_a_worker_wakes_for_what_is_held(shop: Shop) -> None:
    shop.tell("order.confirmed", "1", at=START + dt.timedelta(minutes=6))
    with shop.board.store.transaction(write=False) as transaction:
        number = transaction.pipeline("shop").id
        assert transaction.next_wake(number, []) == START + dt.timedelta(minutes=1)


def test_discarded_for_good_it_is_known_and_changes_nothing(shop: Shop) -> None:
    shop.tell("cart.filled", "1")
    shop.tell("cart.filled", "2", at=START, size="XXL")
    shop.tell("order.confirmed", "3", at=START + dt.timedelta(minutes=6))
    shop.tell("order.confirmed", "1", at=START)
    for held in shop.board.held():
        shop.board.discard(held, by="Bea", reason="a test order")
        with pytest.raises(HeldNotFoundError):
            shop.board.release(held)
    assert not shop.board.held()
    shop.sizes.add("XXL")
    shop.clock.advance(hours=1)
    shop.board.tick()
    assert shop.tell("cart.filled", "2", at=START, size="XXL").outcome is Outcome.DUPLICATE
    told = shop.tell("order.confirmed", "3", at=START + dt.timedelta(minutes=6))
    assert told.outcome is Outcome.DUPLICATE
    assert shop.tell("order.confirmed", "1", at=START).outcome is Outcome.DUPLICATE
    assert shop.board.deal("d").stage == "quote"
    assert "a test order" in str(shop.board.explain("d"))
    assert verify(shop.board).agrees


def test_who_and_why_must_be_said(shop: Shop) -> None:
    shop.tell("order.confirmed", "1", size="XXL")
    for by, reason in (("", "because"), ("Bea", "  ")):
        with pytest.raises(InvalidEventError):
            shop.board.discard(shop.board.held()[0], by=by, reason=reason)


def test_a_batch_ends_as_if_told_one_by_one(shop: Shop) -> None:
    def event(kind: str, id: str, minutes: int, **data: Any) -> Event:
        at = START - dt.timedelta(hours=1) + dt.timedelta(minutes=minutes)
        return Event(kind, deal="d", id=id, at=at, data=data)

    batch = [
        event("order.confirmed", "4", 4),
        event("cart.filled", "1", 1),
        event("cart.filled", "2", 2, size="XXL"),
        event("order.confirmed", "1", 1),
        event("order.confirmed", "9", 90),
    ]
    report = shop.board.handle_many(batch, hold=True)
    assert not report.failures
    assert report.outcomes[Outcome.HELD] == 3
    assert sorted(shop.kinds()) == [HeldKind.ASIDE, HeldKind.CONFLICT, HeldKind.FUTURE]
    assert [visit.stage for visit in shop.board.history("d").visits] == ["quote", "won"]


def test_what_only_the_board_writes_is_refused_even_so(shop: Shop) -> None:
    forged = Event("ladder.override", deal="d", id="1", at=START, data={"into": "won"})
    with pytest.raises(InvalidEventError):
        shop.board.handle(forged, hold=True)
    assert len(shop.board.handle_many([forged], hold=True).failures) == 1
    assert not shop.board.held()


def test_an_archive_keeps_what_was_set_aside(shop: Shop, tmp_path: Path) -> None:
    shop.tell("cart.filled", "1")
    shop.tell("cart.filled", "2", at=START, size="XXL")
    shop.tell("order.confirmed", "3")
    shop.clock.advance(days=1)
    before = shop.board.history("d")
    report = shop.board.archive(before=shop.clock.now(), to=tmp_path / "old.jsonl.gz")
    assert (report.removed, shop.board.held()) == (1, [])
    shop.board.restore(tmp_path / "old.jsonl.gz")
    assert shop.board.history("d") == before
    assert [held.event.id for held in shop.board.held()] == ["2"]
    assert verify(shop.board).agrees


def test_an_identity_that_conflicts_is_refused_by_default(shop: Shop) -> None:
    shop.tell("cart.filled", "1", at=START)
    with pytest.raises(EventConflictError):
        shop.board.handle(Event("order.confirmed", deal="d", id="1", at=START))
    assert not shop.board.held()

"""S14a: a deal that goes on in another one is closed as merged: neither won nor lost."""

from __future__ import annotations

import itertools
from contextlib import closing
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ladderpipe import (
    Board,
    Event,
    ManualClock,
    MemoryStore,
    Outcome,
    Pipeline,
    SqliteStore,
    Stage,
    after,
    do,
    on,
    verify,
)
from ladderpipe.stores import PostgresStore
from tests.shops import HOUR, START, Shop

_numbers = itertools.count()


def merging() -> Pipeline:
    """Return a ladder of carts that may be merged, and are reminded after two days."""
    cart = Stage("cart")
    left = Stage("left", status="abandoned", sequence=[do("email", template="remind")])
    paid = Stage("paid", status="won")
    merged = Stage("merged", status="merged")
    return Pipeline(
        "merging",
        stages=[cart, left, paid, merged],
        rules=[
            on("order", into=paid),
            on("cart.merged", into=merged, out_of=[cart, left]),
            on("cart", into=cart, out_of=[left], opens=True),
            after(hours=48, out_of=cart, into=left),
        ],
    )


@pytest.fixture
def shop(store: Any) -> Shop:
    return Shop(merging(), store)


def test_a_merged_deal_is_closed_and_neither_won_nor_lost(shop: Shop):
    shop.tell("cart", "a")
    shop.tell("cart", "b")
    assert shop.tell("cart.merged", "a", into="b", hours=0.01).outcome is Outcome.MOVED
    deal = shop.board.deal("a")
    assert (deal.status, deal.stage.is_closed, deal.stage.probability) == ("merged", True, 0.0)
    assert deal.closed_at is not None
    assert deal.lost_from is None
    assert not shop.board.health().findings


def test_its_reminders_stop_and_the_other_deals_go_on(shop: Shop):
    shop.tell("cart", "a")
    shop.tell("cart", "b")
    shop.wait(48)
    shop.board.tick()
    shop.tell("cart.merged", "a", into="b")
    shop.work()
    assert [delivery.deal.id for delivery in shop.sent] == ["b"]
    assert shop.states("a") == {"remind": "cancelled"}


def test_a_merge_into_itself_does_nothing(shop: Shop):
    shop.tell("cart", "a")
    assert shop.tell("cart.merged", "a", into="a", hours=0.01).outcome is Outcome.STAYED
    assert shop.board.deal("a").stage == "cart"
    assert "merged into itself" in str(shop.board.explain("a"))


def test_a_merge_into_a_deal_that_is_not_there_is_a_finding_until_it_is(shop: Shop):
    shop.tell("cart", "a")
    shop.tell("cart.merged", "a", into="b", hours=0.01)
    assert [finding.code for finding in shop.board.health().findings] == ["H017"]
    shop.tell("cart", "b")
    assert not shop.board.health().findings


@pytest.mark.parametrize("together", [False, True])
def test_of_a_circle_the_earlier_merge_does_not_count(shop: Shop, together: bool):
    for deal in "ab":
        shop.tell("cart", deal)
    later = shop.event("cart.merged", "b", into="a", hours=0.02)
    earlier = shop.event("cart.merged", "a", into="b", hours=0.01)
    if together:
        shop.board.handle_many([later, earlier])
    else:
        shop.board.handle(later)
        receipt = shop.board.handle(earlier)
        assert receipt.outcome is Outcome.STAYED
        assert "circle" in (receipt.reason or "")
    assert shop.board.deal("a").status == "open"
    assert shop.board.deal("b").status == "merged"
    assert "circle" in str(shop.board.explain("a"))
    assert shop.board.handle(earlier).outcome is Outcome.DUPLICATE
    assert not verify(shop.board).differences


@st.composite
def merges(draw: st.DrawFn) -> list[Event]:
    start = ManualClock(START).now()
    events = [Event("cart", deal=deal, id=f"cart {deal}", at=start) for deal in "abcd"]
    for number, minute in enumerate(draw(st.lists(st.integers(1, 6), min_size=1, max_size=5))):
        deal, into = draw(st.sampled_from("abcd")), draw(st.sampled_from("abcdx"))
        at = start + minute * HOUR / 60
        events.append(Event("cart.merged", deal=deal, id=str(number), at=at, data={"into": into}))
    return events


@given(events=merges(), data=st.data())
@settings(
    max_examples=settings().max_examples // 4,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_no_deal_goes_in_a_circle_and_one_merge_each_ends_alike_in_any_order(
    postgres_url: str, events: list[Event], data: st.DataObject
):
    merged = [event.deal for event in events if event.type == "cart.merged"]
    ends: list[Any] = []
    for store in (
        MemoryStore(),
        SqliteStore(":memory:"),
        PostgresStore(postgres_url, prefix=f"g{next(_numbers)}_", pool_size=2),
    ):
        clock = ManualClock("2026-01-05T10:00:00Z")
        with closing(Board(merging(), store=store, clock=clock)) as board:
            for event in data.draw(st.permutations(events)):
                board.handle(event)
            for event in events:
                assert board.handle(event).outcome is Outcome.DUPLICATE
            into = into_of(board)
            for deal in into:
                assert deal not in chain(into, deal), "a circle"
            assert not verify(board).differences
            ends.append(into)
    if len(set(merged)) == len(merged):
        assert ends[0] == ends[1] == ends[2]


def into_of(board: Board) -> dict[str, str]:
    found = {}
    for deal in board.deals(status="merged"):
        event = board.history(deal.id).moves[-1].event
        assert event is not None
        found[deal.id] = event.data["into"]
    return found


def chain(into: dict[str, str], deal: str) -> list[str]:
    """Return where a deal went on, and where that went on, as long as it leads somewhere new."""
    found: list[str] = []
    while (deal := into.get(deal, "")) and deal not in found:
        found.append(deal)
    return found

"""Events that came to nothing are counted, lately and in all, on every store."""

from __future__ import annotations

import asyncio
import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from ladderpipe import AsyncBoard, Board, Event, ManualClock, Outcome, Stage
from ladderpipe.board.health import examine_store
from ladderpipe.board.verify import verify
from ladderpipe.stores import MemoryStore
from ladderpipe.templates import kanban, sales_management

START = dt.datetime(2026, 1, 5, 9, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
CART = {
    "cart": {"currency": "EUR", "lines": [{"sku": "a", "quantity": 1, "unit_price": "5"}]},
    "contact": {"email": "ada@example.com"},
}
ORDER = Event("order.confirmed", deal="cart-1", id="o", at=START + HOUR, data=CART)
COMES_BACK = Event("cart.updated", deal="cart-1", id="again", at=START + 2 * HOUR, data=CART)


def board_on(store: Any) -> Board:
    return Board(sales_management("en"), store=store, clock=ManualClock(START + 3 * HOUR))


def counts(board: Board) -> tuple[int, int] | None:
    found = board.health().after_closing
    return None if found is None else (found.told, found.lately)


def codes(board: Board) -> list[str]:
    found = (finding.code for finding in board.health().findings)
    return [code for code in found if code in ("H021", "H022")]


def test_a_customer_who_comes_back_under_the_id_of_a_closed_deal_is_found(store: Any) -> None:
    board = board_on(store)
    board.handle(ORDER)
    assert counts(board) is None
    assert board.handle(COMES_BACK).outcome is Outcome.STAYED
    board.handle(COMES_BACK)
    assert counts(board) == (1, 1)
    (finding,) = (f for f in board.health().findings if f.code == "H021")
    assert finding.severity == "warning"
    assert "'cart-1'" in finding.message
    (health,) = examine_store(store)  # which goes by the system's clock
    assert health.after_closing is not None
    assert (health.after_closing.told, health.after_closing.deal) == (1, "cart-1")


def test_after_a_week_it_is_only_counted(store: Any) -> None:
    board = board_on(store)
    board.handle_many([ORDER, COMES_BACK])
    assert isinstance(board.clock, ManualClock)
    board.clock.advance(days=7)
    assert counts(board) == (1, 1)
    board.clock.advance(seconds=1)
    assert counts(board) == (1, 0)
    assert codes(board) == []


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("cart.emptied", {}),
        ("cart.updated", {"cart": {"currency": "EUR", "lines": []}}),
        ("cart.item_removed", {"line": {"sku": "a", "quantity": 1}}),
        ("order.confirmed", CART),
        ("page.viewed", {}),
    ],
)
def test_what_a_shop_tells_of_a_bought_cart_is_no_lost_deal(
    store: Any, kind: str, data: Any
) -> None:
    board = board_on(store)
    two = {**CART["cart"], "lines": [*CART["cart"]["lines"], {"sku": "b", "quantity": 1}]}  # type: ignore[dict-item]
    board.handle(Event("order.confirmed", deal="c", id="o", at=START, data={"cart": two}))
    board.handle(Event(kind, deal="c", id="e", at=START + HOUR, data=data))
    assert counts(board) is None


def test_a_reopening_told_late_takes_it_back(store: Any) -> None:
    board = board_on(store)
    board.handle_many([ORDER, COMES_BACK])
    assert counts(board) == (1, 1)
    at = START + HOUR + HOUR / 2
    hand = board.override("cart-1", "quote_requested", by="Bea", at=at).event
    assert counts(board) is None
    board.withdraw(hand, by="Bea", reason="no")
    assert counts(board) == (1, 1)
    board.withdraw(COMES_BACK.identity, by="Bea", reason="a test")
    assert counts(board) is None
    assert verify(board).agrees


def test_an_order_told_late_makes_a_lost_deal_of_what_was_told_before(store: Any) -> None:
    board = board_on(store)
    board.handle(COMES_BACK)
    assert counts(board) is None
    board.handle(ORDER)
    assert counts(board) == (1, 1)


def test_what_came_late_behind_a_baseline_and_changed_nothing_is_counted(store: Any) -> None:
    board = board_on(store)
    board.handle(ORDER)
    board.forget(email="ada@example.com")
    late = Event("cart.saved", deal="cart-1", id="late", at=START)
    assert board.handle(late).outcome is Outcome.LATE
    board.handle(late)
    found = board.health().late
    assert found == (1, 1, "cart-1")
    assert codes(board) == ["H022"]
    board.forget(email="ada@example.com")
    assert board.health().late == found


def test_a_changed_ladder_keeps_what_was_counted(store: Any) -> None:
    board = board_on(store)
    board.handle_many([ORDER, COMES_BACK])
    changed = board.pipeline.extended(stages=[Stage("annex")])
    with Board(changed, store=store, clock=board.clock, adopting=True) as adopting:
        adopting.migrate({})
        # The baseline holds it: what comes late is folded behind that.
        adopting.handle(Event("cart.saved", deal="cart-1", id="late", at=START))
        assert counts(adopting) == (1, 1)
        assert adopting.health().late == (1, 1, "cart-1")


def test_an_archive_takes_it_along_and_brings_it_back(store: Any, tmp_path: Path) -> None:
    board = board_on(store)
    board.handle_many([ORDER, COMES_BACK])
    found = board.health().after_closing
    assert isinstance(board.clock, ManualClock)
    board.clock.advance(days=1)
    board.archive(before=board.clock.now(), to=tmp_path / "old")
    assert counts(board) is None
    again = board_on(MemoryStore())
    again.restore(tmp_path / "old")
    board.restore(tmp_path / "old")
    assert again.health().after_closing == found
    assert board.health().after_closing == found
    assert board.restore(tmp_path / "old").present == 1


def test_what_fails_leaves_no_remark(store: Any) -> None:
    board = board_on(store)
    board.handle(ORDER)
    bad = Event("cart.updated", deal="cart-1", id="b", at=START + 2 * HOUR, data={"cart": 5})
    report = board.handle_many([COMES_BACK, bad])
    assert len(report.failures) == 1
    assert counts(board) == (1, 1)
    board.remove("cart-1")
    assert counts(board) is None


def test_each_pipeline_is_counted_by_itself(store: Any) -> None:
    board = board_on(store)
    board.handle_many([ORDER, COMES_BACK])
    other = Board(kanban("en"), store=store, clock=board.clock)
    assert counts(other) is None


def test_an_awaited_board_counts_the_same(store: Any) -> None:
    async def main() -> None:
        clock = ManualClock(START + 3 * HOUR)
        async with AsyncBoard(sales_management("en"), store=store, clock=clock) as board:
            await board.handle(COMES_BACK)
            await board.handle(ORDER)
            assert (await board.health()).after_closing == (1, 1, "cart-1")

    asyncio.run(main())

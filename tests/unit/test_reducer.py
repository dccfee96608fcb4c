"""What the standard events do to a deal's data."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ladderpipe import Event
from ladderpipe.errors import InvalidEventError
from ladderpipe.fold.deal_data import DealData
from ladderpipe.fold.reducer import cart_reducer
from ladderpipe.testing import events
from tests.ladders import sales_ladder


def reduced(*steps: tuple[str, dict[str, Any]]) -> DealData:
    deal = DealData()
    for index, (kind, data) in enumerate(steps):
        at = f"2026-01-05T09:00:{index:02}Z"
        cart_reducer(deal, Event(kind, deal="cart-42", id=f"e{index}", at=at, data=data))
    return deal


def added(sku: str = "A", **line: Any) -> tuple[str, dict[str, Any]]:
    return "cart.item_added", {"line": {"sku": sku, **line}}


def removed(sku: str = "A", **line: Any) -> tuple[str, dict[str, Any]]:
    return "cart.item_removed", {"line": {"sku": sku, **line}}


def snapshot(*lines: dict[str, Any], **cart: Any) -> tuple[str, dict[str, Any]]:
    return "cart.updated", {"cart": {"lines": list(lines), **cart}}


def quantities(deal: DealData) -> dict[str, Decimal]:
    return {line.sku or line.key: line.quantity for line in deal.cart.values()}


def test_the_same_product_is_one_line_at_the_last_known_price() -> None:
    deal = reduced(added(quantity=2, unit_price="10"), added(unit_price="12"), added())
    assert quantities(deal) == {"A": 4}
    assert deal.value == 48


def test_a_product_without_a_price_adds_no_value() -> None:
    deal = reduced(added(quantity=3), added("B", unit_price="1.50"))
    assert deal.value == Decimal("1.50")


def test_a_removal_without_a_quantity_is_the_whole_line() -> None:
    assert quantities(reduced(added(quantity=5), added("B"), removed())) == {"B": 1}


def test_a_removal_stops_at_zero_and_may_be_of_what_was_never_seen() -> None:
    deal = reduced(removed("C"), added(quantity=2), removed(quantity=3))
    assert not deal.cart
    assert quantities(reduced(added(quantity="2.5"), removed(quantity=1))) == {"A": Decimal("1.5")}


def test_a_snapshot_replaces_the_cart() -> None:
    deal = reduced(added("A"), snapshot({"sku": "B", "quantity": 2}, {"sku": "C", "quantity": 0}))
    assert quantities(deal) == {"B": 2}
    assert not reduced(added(), snapshot()).cart


def test_an_emptied_cart_is_empty() -> None:
    assert not reduced(added(), ("cart.emptied", {})).cart


def test_an_explicit_value_outranks_the_cart_until_it_is_withdrawn() -> None:
    deal = reduced(added(unit_price="10"), ("quoted", {"value": "7.50"}))
    assert deal.value == Decimal("7.50")
    assert reduced(added(unit_price="10"), ("q", {"value": 7}), ("q", {"value": None})).value == 10


def test_any_event_may_carry_the_deal_s_own_fields() -> None:
    deal = reduced(
        ("called", {"owner": "Ada", "contact": {"email": "a@example.com"}, "company": "Rossi"}),
        ("called", {"contact": {"phone": "1"}, "properties": {"hot": True}, "source": "fair"}),
        ("called", {"properties": {"region": "north"}, "owner": None, "unheard": "of"}),
    )
    assert (deal.owner, deal.company, deal.source) == (None, "Rossi", "fair")
    assert deal.contact == {"email": "a@example.com", "phone": "1"}
    assert deal.properties == {"hot": True, "region": "north"}


@pytest.mark.parametrize(
    "step",
    [
        ("cart.item_added", {}),
        ("order.refunded", {"value": 5, "refunded": 5}),
        ("cart.updated", {}),
        ("cart.updated", {"cart": {"lines": {}}}),
        snapshot(currency="euro"),
        ("called", {"owner": 5}),
        ("called", {"contact": "Ada"}),
        ("called", {"company": 5}),
        ("called", {"properties": []}),
        ("called", {"value": "much"}),
    ],
)
def test_what_the_reducer_cannot_understand_is_refused(step: tuple[str, dict[str, Any]]) -> None:
    with pytest.raises(InvalidEventError):
        reduced(step)


@given(events(sales_ladder()), st.integers(0, 20))
def test_a_deal_s_data_survives_the_way_to_json_and_back(found: list[Event], cut: int) -> None:
    deal, again = DealData(), DealData()
    for index, event in enumerate(found):
        cart_reducer(deal, event)
        cart_reducer(again, event)
        if index == cut:
            again = DealData.from_dict(again.to_dict())
    assert again.to_dict() == deal.to_dict()
    assert again.unread == deal.unread
    assert again.cart.freeze() == deal.cart.freeze()

"""Guards answer from a deal's data alone, and combine."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ladderpipe import Deal, Event
from ladderpipe.errors import DefinitionError
from ladderpipe.ladder.guards import (
    Guard,
    cart_has_items,
    cart_is_empty,
    guard,
    property_equals,
    property_is_set,
    value_at_least,
    value_at_most,
)
from tests.ladders import sales_ladder

FULL = {"line": {"sku": "A", "quantity": 2, "unit_price": "10"}}


def deal(**data: Any) -> Deal:
    event = Event("order.confirmed", deal="d", id="e", at="2026-01-05T09:00:00Z", data=data)
    if "line" in data:
        event = Event("cart.item_added", deal="d", id="e", at=event.at, data=data)
    history = sales_ladder().fold([event])
    assert history is not None
    return history.deal


def test_a_cart_is_empty_or_has_items() -> None:
    assert cart_has_items.holds(deal(**FULL), None)
    assert not cart_is_empty.holds(deal(**FULL), None)
    assert cart_is_empty.holds(deal(), None)


@pytest.mark.parametrize(
    ("wanted", "holds"),
    [
        (value_at_least("20"), True),
        (value_at_least("20.01"), False),
        (value_at_least(20, "EUR"), True),
        (value_at_least(20, "USD"), False),
        (value_at_most("20"), True),
        (value_at_most("19.99"), False),
        (value_at_most(20, "EUR"), True),
        (value_at_most(20, "USD"), False),
    ],
)
def test_a_value_is_compared_in_one_currency(wanted: Guard, holds: bool) -> None:
    assert wanted.holds(deal(**FULL, currency="EUR"), None) is holds


@pytest.mark.parametrize("amount", ["-1000000", "0", "1000000"])
def test_an_unknown_value_is_neither_at_least_nor_at_most(amount: str) -> None:
    unknown = deal(currency="EUR")
    assert not value_at_least(amount).holds(unknown, None)
    assert not value_at_most(amount).holds(unknown, None)


@pytest.mark.parametrize(
    ("found", "expected", "holds"),
    [(True, True, True), (1, True, False), ("1", 1, False), ([1], [1], True), (None, None, True)],
)
def test_a_property_equals_only_the_same_json_value(found: Any, expected: Any, holds: bool) -> None:
    assert property_equals("p", expected).holds(deal(properties={"p": found}), None) is holds


@pytest.mark.parametrize(("value", "holds"), [(0, True), (False, True), ("", False), (None, False)])
def test_a_property_is_set_unless_it_is_empty(value: Any, holds: bool) -> None:
    assert property_is_set("p").holds(deal(properties={"p": value}), None) is holds


@given(st.booleans(), st.booleans())
def test_guards_and_functions_combine_as_and_or_not(one: bool, other: bool) -> None:
    first = guard(lambda deal, event: one)
    asked = deal()
    assert (first & (lambda deal, event: other)).holds(asked, None) is (one and other)
    assert ((lambda deal, event: other) | first).holds(asked, None) is (one or other)
    assert (~first).holds(asked, None) is (not one)


def test_a_combined_guard_reads_as_a_sentence() -> None:
    both = (cart_has_items | property_is_set("hot")) & ~value_at_least(10, "EUR")
    assert str(both) == "(the cart has items or hot is set) and not the value is at least 10 EUR"


@pytest.mark.parametrize(
    "build",
    [
        lambda: value_at_least("much"),
        lambda: value_at_least(1, "euro"),
        lambda: value_at_most("much"),
        lambda: value_at_most(1, "euro"),
        lambda: property_equals("", 1),
        lambda: property_equals("p", object()),
        lambda: property_is_set(""),
        lambda: guard(lambda deal: True),
        lambda: guard(None),  # type: ignore[arg-type]
    ],
)
def test_what_is_no_guard_is_refused(build: Any) -> None:
    with pytest.raises(DefinitionError):
        build()

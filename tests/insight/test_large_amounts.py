"""What the door accepts, the reports hold: large amounts and many decimal places."""

from __future__ import annotations

import contextlib
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ladderpipe import Event, MemoryStore, insight
from ladderpipe.board.verify import verify
from ladderpipe.errors import InvalidEventError
from tests.ladders import sales_ladder
from tests.shops import START, Shop

digits = st.integers(1, 10**15 - 1)
places = st.integers(0, 10)


@st.composite
def amounts(draw: st.DrawFn) -> str:
    """Return an amount that the door accepts, often at its edges."""
    many = st.sampled_from([10**15 - 1, 10**14, 1, 5])
    number = Decimal(draw(st.one_of(many, digits))).scaleb(-draw(places))
    return format(number, "f")


lines = st.lists(
    st.fixed_dictionaries(
        {
            "sku": st.sampled_from(["A", "B", "C"]),
            "quantity": amounts(),
            "unit_price": st.builds(str.__add__, st.sampled_from(["", "-"]), amounts()),
        }
    ),
    max_size=4,
)


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), lines), max_size=5))
def test_every_amount_that_is_accepted_is_in_the_reports(told: Any) -> None:
    shop = Shop(sales_ladder(), MemoryStore())
    shop.tell("cart.item_added", "bystander", line={"sku": "X", "unit_price": "10"})
    for deal, some in told:
        for line in some:
            with contextlib.suppress(InvalidEventError):
                shop.tell("cart.item_added", deal, line=line, currency="EUR")
    shop.wait(1)
    tables = insight.tables(shop.board)
    assert tables.problems == ()
    values = dict(tables.deals.select("deal", "value").rows())
    assert values == {deal.id: deal.value for deal in shop.board.deals()}
    assert insight.summary(tables).table["value"].sum() is not None
    assert insight.bottlenecks(tables).table.height
    events = [event for deal in ("bystander", "a", "b", "c") for event in shop.board.events(deal)]
    replayed = dict(insight.replay(sales_ladder(), events).deals.select("deal", "value").rows())
    assert replayed == values
    assert verify(shop.board).differences == ()


def cart(*lines: tuple[Any, Any], kind: str = "cart.updated") -> Event:
    written = [
        {"sku": f"S{n}", "quantity": quantity, "unit_price": price}
        for n, (quantity, price) in enumerate(lines)
    ]
    data = {"line": written[0]} if kind == "cart.item_added" else {"cart": {"lines": written}}
    return Event(kind, deal="d", id="e", at=START, data=data)


HUGE = 10**15 - 1

TOO_MUCH = {
    "a line": (cart((HUGE, HUGE)), "line 'S0'"),
    "an added line": (cart((HUGE, HUGE), kind="cart.item_added"), "line 'S0'"),
    "a discount": (cart((HUGE, -HUGE)), "line 'S0'"),
    "many lines": (cart(*[(1000, HUGE - 1)] * 2), "the cart"),
}


@pytest.mark.parametrize(("event", "what"), TOO_MUCH.values(), ids=TOO_MUCH)
def test_what_no_report_could_add_up_is_refused_at_the_door(event: Event, what: str) -> None:
    shop = Shop(sales_ladder(), MemoryStore())
    with pytest.raises(InvalidEventError, match=f"{what}.* comes to .*totals stay below"):
        shop.board.handle(event)
    assert shop.board.events("d") == []


def test_quantities_do_not_grow_without_end() -> None:
    line = {"sku": "A", "quantity": HUGE}
    events = [
        Event("cart.item_added", deal="d", id=f"e{n}", at=START, data={"line": line})
        for n in range(1_100)
    ]
    history = sales_ladder().fold(events)
    assert history is not None
    assert len(history.aside) == 100
    assert all("the quantity of line 'A'" in aside.reason for aside in history.aside)


def test_a_line_is_rounded_half_to_even_at_the_tenth_place() -> None:
    shop = Shop(sales_ladder(), MemoryStore())
    shop.tell("cart.item_added", line={"sku": "A", "quantity": "0.5", "unit_price": "0.0000000003"})
    assert shop.board.deal("d").value == Decimal("0.0000000002")

"""Carts as shops tell them, what was bought, and what comes after the purchase."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from ladderpipe import ANY, Board, Deal, Event, History, ManualClock, Pipeline, Stage, on, verify
from ladderpipe.guards import value_at_least

CART = ("cart.updated", "cart.item_added", "cart.item_removed", "cart.emptied")


def till() -> Pipeline:
    cart, won = Stage("cart"), Stage("won", status="won")
    lost = Stage("lost", status="lost")
    return Pipeline(
        "till",
        stages=[lost, cart, won],
        rules=[
            on("order.confirmed", into=won, out_of=ANY, opens=True),
            on(*CART, "quoted", into=cart, opens=True),
            on("order.cancelled", into=lost, out_of=won),
            on("given_up", into=lost),
            on("back", into=cart, out_of=[won, lost]),
        ],
    )


def told(*steps: tuple[Any, ...]) -> History:
    """Tell events: (minute, type) or (minute, type, data)."""
    events = []
    for n, (minute, kind, *data) in enumerate(steps):
        at = f"2026-01-05T{9 + minute // 60:02}:{minute % 60:02}:00Z"
        events.append(Event(kind, deal="d", id=f"e{n}", at=at, data=data[0] if data else {}))
    history = till().fold(events)
    assert history is not None
    return history


def deal(*steps: tuple[Any, ...]) -> Deal:
    return told(*steps).deal


def line(sku: Any = "A", price: Any = "10", quantity: Any = 1, **more: Any) -> dict[str, Any]:
    return {"sku": sku, "quantity": quantity, "unit_price": price, **more}


def cart(*lines: Any, currency: str | None = "EUR", **more: Any) -> dict[str, Any]:
    return {"cart": {"currency": currency, "lines": list(lines)}, **more}


def lines_of(found: Deal) -> list[tuple[str, str, str | None]]:
    return [
        (line.key, str(line.quantity), None if line.unit_price is None else str(line.unit_price))
        for line in found.cart
    ]


# -- lines ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told_line", "key"),
    [
        ({"sku": "NB-15", "id": 4}, "sku:NB-15"),
        ({"sku": 123}, "sku:123"),
        ({"sku": 123.0}, "sku:123"),
        ({"sku": "", "variant_id": 39072856}, "variant_id:39072856"),
        ({"sku": None, "key": "c4ca42", "id": 1}, "key:c4ca42"),
        ({"sku": "  ", "id": 7, "title": "Mug"}, "id:7"),
        ({"title": "Mug"}, "title:Mug"),
    ],
)
def test_a_line_says_what_it_is_of(told_line: dict[str, Any], key: str) -> None:
    found = deal((0, "cart.updated", cart({**told_line, "quantity": 2, "unit_price": "3"})))
    assert (lines_of(found), found.value) == ([(key, "2", "3")], 6)


def test_lines_of_one_key_and_price_are_one_and_other_prices_stand_beside() -> None:
    found = deal((0, "cart.updated", cart(line(), line("B"), line(price="8"), line(quantity=2))))
    assert lines_of(found) == [("sku:A", "3", "10"), ("sku:B", "1", "10"), ("sku:A", "1", "8")]
    assert found.value == 48


def test_a_removal_takes_from_the_line_told_last() -> None:
    two_prices = (0, "cart.updated", cart(line(quantity=2), line(price="8", quantity=2)))
    removal = (1, "cart.item_removed", {"line": {"sku": "A", "quantity": 3}})
    assert lines_of(deal(two_prices, removal)) == [("sku:A", "1", "10")]
    whole_line = (1, "cart.item_removed", {"line": {"sku": "A"}})
    assert lines_of(deal(two_prices, whole_line)) == [("sku:A", "2", "10")]
    told_again = (1, "cart.item_added", {"line": line()})
    last = (2, "cart.item_removed", {"line": {"sku": "A", "quantity": 1}})
    assert lines_of(deal(two_prices, told_again, last))[0] == ("sku:A", "2", "10")


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (line(quantity=-1), "less than nothing"),
        (line(quantity="many"), "many"),
        (line(price="on request"), "on request"),
        (line(sku=None), "sku, variant_id, key, id, title"),
        ("A", "no cart line"),
        (line(currency="USD"), "never summed"),
    ],
)
def test_a_line_that_cannot_be_read_is_kept_aside_and_named(bad: Any, reason: str) -> None:
    snapshot = (0, "cart.updated", cart(line("B", "5"), bad))
    found = deal(snapshot)
    assert (lines_of(found), found.value) == ([("sku:B", "1", "5")], 5)
    (unread,) = found.unread
    assert (unread.part, unread.event) == ("line", "e0")
    assert reason in unread.reason
    added = deal((0, "cart.updated", cart(line("B", "5"))), (1, "cart.item_added", {"line": bad}))
    assert (added.value, [part.event for part in added.unread]) == (5, ["e1"])
    assert deal(snapshot, (1, "cart.updated", cart(line("B", "5")))).unread == ()
    event = Event("cart.updated", deal="d", id="e0", at="2026-01-05T09:00Z", data=snapshot[2])
    assert reason in str(till().explain([event]))


def test_a_negative_price_is_a_discount() -> None:
    assert deal((0, "cart.updated", cart(line(price="100"), line("DISC", "-10.5")))).value == 89.5


def test_a_cart_with_lines_that_have_no_price_says_that_it_is_not_complete() -> None:
    found = deal((0, "cart.updated", cart(line(), line("B", None), line("C", ""))))
    assert (found.value, found.cart.is_complete) == (10, False)
    assert deal((0, "cart.updated", cart(line()))).cart.is_complete


def test_amounts_finer_than_ten_places_are_rounded_half_to_even() -> None:
    """WooCommerce sends PHP's floats with 15 digits."""
    found = deal((0, "cart.updated", cart(line("P", 10.799999999999999, 3))))
    assert found.value == Decimal("32.4")


def test_an_amount_that_nobody_told_is_unknown_and_not_zero() -> None:
    """Guards on amounts are false then, whatever the amount they ask about."""
    asked = deal((0, "quoted", {"currency": "EUR"}))
    assert (asked.value, asked.currency, asked.weighted_value) == (None, "EUR", None)
    assert (asked.to_dict()["value"], Deal.from_dict(asked.to_dict(), till().stages)) == (
        None,
        asked,
    )
    assert not value_at_least("-1").holds(asked, None)
    unpriced = (0, "cart.updated", cart(line("A", None), line("B", "")))
    assert (deal(unpriced).value, deal(unpriced).cart.is_complete) == (None, False)
    assert deal((0, "cart.updated", cart(line(quantity=-1)))).value is None
    assert deal((0, "cart.updated", cart())).value == 0
    assert deal(unpriced, (1, "cart.emptied")).value == 0
    assert (
        deal(unpriced, (1, "order.confirmed"), (2, "order.refunded", {"refunded": 1})).value is None
    )


# -- the explicit value ----------------------------------------------------------------------------


def test_a_value_stands_until_another_cart_is_told() -> None:
    """A checkout names its total, with tax and shipping; then the cart changes."""
    begun = (
        (0, "cart.updated", cart(line(quantity=4))),
        (1, "checkout.started", {"value": "42.18"}),
    )
    same = (2, "cart.updated", cart(line(quantity=4, title="told with a title")))
    assert deal(*begun, same).value == Decimal("42.18")
    assert deal(*begun, same, (3, "cart.updated", cart(line(quantity=1)))).value == 10
    assert deal(*begun, (2, "cart.item_added", {"line": line("B", "1")})).value == 41
    assert deal(*begun, (2, "cart.item_removed", {"line": {"sku": "X"}})).value == Decimal("42.18")
    assert deal(*begun, (2, "cart.item_removed", {"line": {"sku": "A", "quantity": 1}})).value == 30
    assert deal(*begun, (2, "cart.emptied")).value == 0
    assert deal(*begun, (2, "cart.updated", cart(line(), value="7"))).value == 7


def test_a_deal_that_never_had_lines_is_worth_what_it_was_said_to_be() -> None:
    quoted = (0, "quoted", {"value": "5000", "currency": "EUR"})
    assert deal(quoted, (1, "cart.emptied"), (2, "cart.updated", cart())).value == 5000


# -- what was bought -------------------------------------------------------------------------------


def test_an_order_is_worth_the_cart_that_its_confirmation_emptied() -> None:
    filled = (0, "cart.updated", cart(line(), line("B", "5")))
    for removals in (
        [(10, "cart.emptied")],
        [(10, "cart.updated", cart())],
        [
            (9, "cart.item_removed", {"line": {"sku": "B"}}),
            (10, "cart.item_removed", {"line": {"sku": "A"}}),
        ],
    ):
        for minute in (10, 24):
            found = deal(filled, *removals, (minute, "order.confirmed"))
            assert (found.stage, found.value, len(found.cart)) == ("won", 15, 2)
        assert deal(filled, *removals, (25, "order.confirmed")).value == 0
        refilled = (11, "cart.item_added", {"line": line("C", "1")})
        assert deal(filled, *removals, refilled, (12, "order.confirmed")).value == 1
    total = (5, "checkout.started", {"value": "17.50"})
    found = deal(filled, total, (10, "cart.emptied"), (10, "order.confirmed"))
    assert found.value == Decimal("17.50")


def test_an_order_s_own_cart_and_amounts_are_what_was_bought() -> None:
    filled = (0, "cart.updated", cart(line(), currency="CHF"))
    own = cart(line("X", "3", 2), currency="EUR")
    found = deal(filled, (1, "order.confirmed", own))
    assert (found.value, found.currency, found.cart.currency) == (6, "EUR", "EUR")
    found = deal(filled, (1, "order.confirmed", {"value": "101.50", "currency": "EUR"}))
    assert (found.value, found.currency) == (Decimal("101.5"), "EUR")
    assert (lines_of(found), found.cart.currency) == ([("sku:A", "1", "10")], "CHF")
    assert deal((0, "order.confirmed", own)).value == 6


def test_a_won_deal_s_cart_is_frozen_and_orders_correct_it() -> None:
    won = ((0, "cart.updated", cart(line())), (1, "order.confirmed"))
    assert deal(*won, (2, "cart.updated", cart(line("Z", "99")))).value == 10
    assert deal(*won, (2, "quoted", {"value": "99"})).value == 10
    edited = deal(*won, (2, "order.edited", cart(line("B", "7"), currency=None)))
    assert (edited.stage, edited.value, lines_of(edited)) == ("won", 7, [("sku:B", "1", "7")])
    assert deal(*won, (2, "order.edited", {"value": "8"})).value == 8
    assert deal(*won, (2, "deal.edited", {"value": "9"})).value == 9


def test_a_correction_in_another_currency_is_kept_aside_and_a_hand_relabels() -> None:
    won = ((0, "cart.updated", cart(line())), (1, "order.confirmed"))
    found = deal(*won, (2, "order.edited", {"value": "8", "currency": "USD"}))
    assert (found.value, found.currency, found.unread[0].event) == (10, "EUR", "e2")
    found = deal(*won, (2, "deal.edited", {"currency": "USD"}))
    assert (found.value, found.currency, found.cart.currency) == (10, "USD", "USD")


# -- after the purchase ----------------------------------------------------------------------------


def test_a_refund_says_what_is_left_or_what_went_back() -> None:
    won = ((0, "cart.updated", cart(line(quantity=10))), (1, "order.confirmed"))
    assert deal(*won, (2, "order.refunded", {"value": "60"})).value == 60
    back = (2, "order.refunded", {"refunded": "30", "currency": "EUR"})
    assert deal(*won, back, (3, "order.refunded", {"refunded": 30})).value == 40
    assert deal(*won, back, (3, "order.refunded", {"refunded": 300})).value == 0
    assert deal(*won, (2, "order.refunded")).value == 0
    both = told(*won, (2, "order.refunded", {"value": 1, "refunded": 2}))
    assert (both.deal.value, len(both.aside)) == (100, 1)
    dollars = deal(*won, (2, "order.refunded", {"refunded": "30", "currency": "USD"}))
    assert (dollars.value, dollars.unread[0].part) == (100, "refunded")


def test_a_cancellation_follows_its_confirmation_in_the_same_second() -> None:
    history = told(
        (0, "cart.updated", cart(line())), (5, "order.cancelled"), (5, "order.confirmed")
    )
    assert [visit.stage for visit in history.visits] == ["cart", "won", "lost"]


# -- currency --------------------------------------------------------------------------------------


def test_a_whole_cart_may_bring_another_currency_and_a_line_or_an_amount_may_not() -> None:
    filled = (0, "cart.updated", cart(line()))
    found = deal(filled, (1, "cart.updated", cart(line(price="9"), currency="CHF")))
    assert (found.value, found.currency) == (9, "CHF")
    dollars = {"line": line("B"), "currency": "USD"}
    found = deal(filled, (1, "cart.item_added", dollars), (2, "quoted", {"currency": "USD"}))
    assert (found.value, found.currency) == (10, "EUR")
    assert [part.part for part in found.unread] == ["line", "currency"]
    found = deal(filled, (1, "quoted", {"value": "1", "currency": "USD"}))
    assert (found.value, found.currency, found.unread[0].told) == (10, "EUR", "1")


def test_a_currency_told_alone_is_that_of_amounts_that_have_none() -> None:
    found = deal((0, "quoted", {"value": "5"}), (1, "quoted", {"currency": "EUR"}))
    assert (found.value, found.currency, found.unread) == (5, "EUR", ())


# -- the contact -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("known", "told_contact", "found"),
    [
        (
            {"email": "a@x.it", "name": "Ada"},
            {"email": None, "phone": "1", "name": ""},
            {"email": "a@x.it", "name": "Ada", "phone": "1"},
        ),
        ({"email": "a@x.it"}, {"email": " A@X.it ", "id": 1}, {"email": " A@X.it ", "id": 1}),
        ({"id": 1, "email": "a@x.it", "phone": "1"}, {"id": 2}, {"id": 2}),
        ({"email": "a@x.it", "phone": "1"}, {"email": "b@x.it"}, {"email": "b@x.it"}),
        (
            {"id": 1, "email": "a@x.it"},
            {"id": "1", "email": "b@x.it"},
            {"id": "1", "email": "b@x.it"},
        ),
        ({"name": "Ada"}, {}, {"name": "Ada"}),
    ],
)
def test_a_contact_is_merged_field_by_field_unless_it_is_another_person(
    known: dict[str, Any], told_contact: dict[str, Any], found: dict[str, Any]
) -> None:
    steps = ((0, "quoted", {"contact": known}), (1, "note", {"contact": told_contact}))
    assert deal(*steps).contact == found
    assert deal(*steps, (2, "note", {"contact": None})).contact == found


def test_a_correction_erases_fields_of_the_contact() -> None:
    known = (0, "quoted", {"contact": {"email": "a@x.it", "phone": "1"}})
    found = deal(known, (1, "deal.edited", {"contact": {"phone": None, "email": "b@x.it"}}))
    assert found.contact == {"email": "b@x.it"}


def test_what_is_not_known_adds_nothing_to_a_board_s_totals_and_is_counted() -> None:
    board = Board(till(), clock=ManualClock("2026-01-06T09:00Z"))
    for n, data in enumerate(({"value": "5", "currency": "EUR"}, {"currency": "EUR"}, {})):
        at = "2026-01-05T09:00Z"
        board.handle(Event("quoted", deal=f"d{n}", id=f"e{n}", at=at, data=data))
    totals = [(row.currency, row.count, row.unvalued, row.value) for row in board.summary()]
    assert totals == [(None, 1, 1, 0), ("EUR", 2, 1, 5)]
    assert verify(board).agrees

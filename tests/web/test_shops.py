"""What each of the example shops promises its customers and salespeople, over HTTP."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.web.servers import WebShop, wait_until

CLICKS = 20


def at_once(times: int, work: Any) -> list[Any]:
    """Do something so many times at once."""
    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(work, range(times)))


def where_it_is_noon() -> str:
    """Return a time zone in which nobody is woken by a mail now."""
    return f"Etc/GMT{dt.datetime.now(dt.UTC).hour - 12:+d}"


def filled_long_ago(cart: str, hours: float) -> dict[str, Any]:
    """Return the CloudEvent of a cart that was filled some hours ago, by Ada."""
    line = {"sku": "NB-15", "title": "Notebook 15", "quantity": 2, "unit_price": "899.00"}
    contact = {
        "name": "Ada Rossi",
        "email": f"{cart}@example.com",
        "language": "en",
        "zone": where_it_is_noon(),
    }
    return {
        "specversion": "1.0",
        "id": f"{cart}-1",
        "source": "/till",
        "type": "cart.item_added",
        "subject": cart,
        "time": (dt.datetime.now(dt.UTC) - dt.timedelta(hours=hours)).isoformat(),
        "data": {"line": line, "currency": "EUR", "contact": contact},
    }


# -- the ladder ------------------------------------------------------------------------------


def test_a_cart_climbs_from_the_first_click_to_the_order(shop: WebShop, cart: str):
    climbed = []
    for response in (
        shop.fill(cart),
        shop.client.delete(f"/carts/{cart}/items"),
        shop.fill(cart),
        shop.post(f"/carts/{cart}/checkout", {}),
    ):
        climbed.append(response.raise_for_status().json()["deal"]["stage"])
    assert climbed == ["quote_requested", "cart_parked", "quote_requested", "order_review"]
    ordered = shop.order(cart)
    assert (ordered.status_code, ordered.json()["total"]) == (201, "1798.00")
    assert (shop.stage(cart), shop.orders(cart)) == ("order_confirmed", 1)


def test_salespeople_see_a_cart_in_one_column_until_it_is_ordered(shop: WebShop, cart: str):
    def columns() -> int:
        return shop.client.get("/board").text.count(cart)

    shop.post("/events", filled_long_ago(cart, hours=1))
    shown = columns()
    assert shown
    shop.post(f"/carts/{cart}/checkout", {})
    assert columns() == shown
    shop.order(cart)
    assert columns() == 0


def test_a_deal_nobody_has_opened_is_not_found(shop: WebShop, cart: str):
    response = shop.client.get(f"/deals/{cart}")
    assert response.status_code == 404
    assert cart in response.json()["detail"]


# -- one transaction -------------------------------------------------------------------------


def test_an_order_that_the_shops_table_refuses_leaves_no_move(shop: WebShop, cart: str):
    # Emptied so long ago that the order is not for what was in it.
    emptied = {**filled_long_ago(cart, hours=1), "type": "cart.emptied", "data": {}}
    shop.post("/events", filled_long_ago(cart, hours=2)).raise_for_status()
    shop.post("/events", {**emptied, "id": f"{cart}-emptied"}).raise_for_status()
    refused = shop.order(cart)
    assert (refused.status_code, refused.json()["detail"]) == (
        409,
        "this cart is empty, or has been ordered already",
    )
    assert (shop.stage(cart), shop.orders(cart)) == ("cart_parked", 0)
    assert shop.events(cart, "order.confirmed") == 0


def test_an_order_out_of_nothing_opens_no_deal(shop: WebShop, cart: str):
    assert shop.order(cart).status_code == 409
    assert (shop.stage(cart), shop.orders(cart)) == (None, 0)


def test_a_hook_that_refuses_leaves_no_order(shop: WebShop, cart: str):
    shop.fill(cart, price="40000.00")
    refused = shop.order(cart)
    assert refused.status_code == 409
    assert "need a salesperson" in refused.json()["detail"]
    assert (shop.stage(cart), shop.orders(cart)) == ("quote_requested", 0)
    assert shop.events(cart, "order.confirmed") == 0


def test_what_was_refused_can_be_ordered_later(shop: WebShop, cart: str):
    assert shop.order(cart, key="mine").status_code == 409
    shop.fill(cart)
    assert shop.order(cart, key="mine").status_code == 201


# -- once ------------------------------------------------------------------------------------


def test_a_request_that_is_sent_again_changes_nothing(shop: WebShop, cart: str):
    first, again = (shop.fill(cart, key="click-1").json() for _ in range(2))
    assert (first["outcome"], again["outcome"]) == ("opened", "duplicate")
    assert again["deal"] == first["deal"]


def test_an_order_that_is_sent_again_is_the_same_order(shop: WebShop, cart: str):
    shop.fill(cart)
    first, again = (shop.order(cart, key="order-1") for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    assert (shop.orders(cart), shop.events(cart, "order.confirmed")) == (1, 1)


def test_a_key_that_names_another_request_is_refused(shop: WebShop, cart: str):
    shop.fill(cart, key="click-1")
    assert shop.fill(cart, price="1.00", key="click-1").status_code == 409
    assert shop.client.get(f"/deals/{cart}").json()["value"] == "1798.00"


def test_customers_may_use_the_same_key(shop: WebShop, cart: str):
    for customer in ("ada", "bruno"):
        assert shop.fill(f"{cart}-{customer}", key="1").json()["outcome"] == "opened"


def test_twenty_confirmations_at_once_are_one_order(shop: WebShop, cart: str):
    shop.fill(cart)
    answers = Counter(at_once(CLICKS, lambda n: shop.order(cart, key=f"k{n}").status_code))
    assert answers == {201: 1, 409: CLICKS - 1}
    assert (shop.stage(cart), shop.orders(cart)) == ("order_confirmed", 1)
    assert shop.events(cart, "order.confirmed") == 1


def test_twenty_deliveries_of_one_confirmation_are_one_order(shop: WebShop, cart: str):
    shop.fill(cart)
    answers = Counter(at_once(CLICKS, lambda n: shop.order(cart, key="k").status_code))
    assert answers[201] == 1
    assert set(answers) <= {200, 201, 409}, "one that is still being answered may be refused"
    assert shop.order(cart, key="k").status_code == 200
    assert (shop.orders(cart), shop.events(cart, "order.confirmed")) == (1, 1)


def test_twenty_carts_are_ordered_at_once(shop: WebShop, cart: str):
    carts = [f"{cart}-{n}" for n in range(CLICKS)]
    at_once(CLICKS, lambda n: shop.fill(carts[n]))
    assert set(at_once(CLICKS, lambda n: shop.order(carts[n]).status_code)) == {201}
    assert {(shop.stage(c), shop.orders(c)) for c in carts} == {("order_confirmed", 1)}


# -- by hand ---------------------------------------------------------------------------------


def test_a_salesperson_gives_a_deal_up_with_a_reason(shop: WebShop, cart: str):
    shop.fill(cart)
    refused = shop.move(cart, "lost")
    assert refused.status_code == 422
    assert "loss_reason" in refused.json()["detail"]
    assert shop.stage(cart) == "quote_requested"
    shop.move(cart, "lost", properties={"loss_reason": "price"}).raise_for_status()
    assert shop.stage(cart) == "lost"


def test_no_hand_makes_an_order(shop: WebShop, cart: str):
    shop.fill(cart)
    refused = shop.move(cart, "order_confirmed")
    assert refused.status_code == 409
    assert "no by_hand rule leads there" in refused.json()["detail"]
    assert shop.stage(cart) == "quote_requested"


# -- from other systems ----------------------------------------------------------------------


def test_who_left_a_cart_is_reminded_and_who_ordered_is_thanked(shop: WebShop, cart: str):
    left, ordered = f"{cart}-left", f"{cart}-ordered"
    shop.post("/events", filled_long_ago(left, hours=49)).raise_for_status()
    shop.post("/events", filled_long_ago(ordered, hours=47)).raise_for_status()
    shop.order(ordered).raise_for_status()
    wait_until(lambda: shop.mails(left) and shop.mails(ordered))
    assert shop.mails(left) == ["Your cart is waiting for you"]
    assert shop.mails(ordered) == ["Thank you for your order"]
    assert shop.stage(left) == "checkout_abandoned"


@pytest.mark.parametrize(
    ("change", "status"),
    [({"time": "2026-01-05T09:00:00"}, 422), ({"subject": ""}, 422), ({"data": [1]}, 422)],
)
def test_a_message_that_makes_no_sense_is_refused(
    shop: WebShop, cart: str, change: dict[str, Any], status: int
):
    response = shop.post("/events", filled_long_ago(cart, hours=1) | change)
    assert response.status_code == status
    assert response.json()["detail"]


def test_a_message_from_the_future_is_for_later(shop: WebShop, cart: str):
    told = shop.post("/events", filled_long_ago(cart, hours=-1))
    assert (told.status_code, told.json()["outcome"]) == (202, "held")
    assert shop.stage(cart) is None

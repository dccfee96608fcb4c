"""What shops send, in the shape of their documentation; written for these tests."""

from __future__ import annotations

from typing import Any


def line(sku: str = "NB-15", quantity: int = 2, unit_price: str = "899.00") -> dict[str, Any]:
    return {"sku": sku, "title": "Notebook 15", "quantity": quantity, "unit_price": unit_price}


# -- Shopify ------------------------------------------------------------------------------------


def money(shop: str, customer: str | None = None) -> dict[str, Any]:
    """An amount in both currencies: the shop's euros and the customer's francs."""
    return {
        "shop_money": {"amount": shop, "currency_code": "EUR"},
        "presentment_money": {"amount": customer or shop, "currency_code": "CHF"},
    }


def item(**told: Any) -> dict[str, Any]:
    return {
        "id": 704912,
        "key": "704912:c3b2",
        "variant_id": 704912,
        "product_id": 61,
        "sku": "NB-15",
        "title": "Notebook 15",
        "quantity": 2,
        "price": "899.00",
        "grams": 1500,
        "gift_card": False,
        "properties": None,
    } | told


def cart(**told: Any) -> dict[str, Any]:
    """A cart knows neither whose it is nor, in older versions, in which currency."""
    return {
        "id": "c1-9f3a",
        "token": "c1-9f3a",
        "note": None,
        "created_at": "2026-01-05T08:50:00Z",
        "updated_at": "2026-01-05T08:59:58.000Z",
        "line_items": [item()],
    } | told


def customer() -> dict[str, Any]:
    return {"id": 7301, "email": "ada@example.com", "first_name": "Ada", "last_name": "Rossi"}


def checkout(**told: Any) -> dict[str, Any]:
    return {
        "id": 98123,
        "token": "k7",
        "cart_token": "c1-9f3a",
        "email": "ada@example.com",
        "phone": None,
        "customer_locale": "it-IT",
        "created_at": "2026-01-05T09:50:00+01:00",
        "updated_at": "2026-01-05T09:55:00+01:00",
        "currency": "EUR",
        "presentment_currency": "EUR",
        "line_items": [item()],
        "total_price": "1803.00",
        "completed_at": None,
        "customer": customer(),
    } | told


def order(**told: Any) -> dict[str, Any]:
    return {
        "id": 5501,
        "name": "#1001",
        "test": False,
        "token": "o55",
        "cart_token": "c1-9f3a",
        "checkout_token": "k7",
        "email": "ada@example.com",
        "customer_locale": "it-IT",
        "created_at": "2026-01-05T09:58:00+01:00",
        "updated_at": "2026-01-05T09:58:04+01:00",
        "cancelled_at": None,
        "currency": "EUR",
        "presentment_currency": "CHF",
        "total_price": "1803.00",
        "current_total_price": "1803.00",
        "total_price_set": money("1803.00", "1690.50"),
        "financial_status": "paid",
        "line_items": [item(id=9901, price_set=money("899.00", "842.75"), current_quantity=2)],
        "refunds": [],
        "customer": customer(),
    } | told


def refund(id: int, amount: str, at: str = "2026-01-08T10:00:00+01:00") -> dict[str, Any]:
    paid = {"id": id + 1, "kind": "refund", "status": "success", "amount": amount}
    tried = {"id": id + 2, "kind": "refund", "status": "failure", "amount": amount}
    return {"id": id, "created_at": at, "refund_line_items": [], "transactions": [tried, paid]}


# -- WooCommerce --------------------------------------------------------------------------------


def woo_item(**told: Any) -> dict[str, Any]:
    return {
        "id": 315,
        "name": "Notebook 15",
        "product_id": 93,
        "variation_id": 0,
        "quantity": 2,
        "subtotal": "1798.00",
        "total": "1798.00",
        "total_tax": "0.00",
        "sku": "NB-15",
        "price": 899,
    } | told


def woo_order(status: str = "processing", **told: Any) -> dict[str, Any]:
    return {
        "id": 727,
        "parent_id": 0,
        "number": "727",
        "order_key": "wc_order_58d2d042d1d",
        "status": status,
        "currency": "EUR",
        "date_created": "2026-01-05T09:58:00",
        "date_created_gmt": "2026-01-05T08:58:00",
        "date_modified": "2026-01-05T09:58:10",
        "date_modified_gmt": "2026-01-05T08:58:10",
        "total": "1803.00",
        "customer_id": 26,
        "billing": {
            "first_name": "Ada",
            "last_name": "Rossi",
            "email": "ada@example.com",
            "phone": "",
        },
        "line_items": [woo_item()],
        "refunds": [],
    } | told


# -- Stripe -------------------------------------------------------------------------------------


def stripe_event(type: str, subject: dict[str, Any], **told: Any) -> dict[str, Any]:
    return {
        "id": "evt_1",
        "object": "event",
        "api_version": "2026-09-30",
        "created": 1767603480,
        "livemode": True,
        "type": type,
        "data": {"object": subject},
    } | told


def stripe_session(type: str = "checkout.session.completed", **told: Any) -> dict[str, Any]:
    session = {
        "id": "cs_1",
        "object": "checkout.session",
        "client_reference_id": "cart-42",
        "amount_total": 180300,
        "currency": "eur",
        "customer": "cus_9",
        "customer_details": {"email": "ada@example.com", "name": "Ada Rossi", "phone": None},
        "locale": "it",
        "metadata": {},
        "mode": "payment",
        "payment_status": "paid",
        "status": "complete",
    }
    return stripe_event(type, session | told)


def stripe_charge(**told: Any) -> dict[str, Any]:
    charge = {
        "id": "ch_1",
        "object": "charge",
        "amount": 180300,
        "amount_refunded": 20300,
        "currency": "eur",
        "metadata": {"deal": "cart-42"},
        "refunded": False,
    }
    return stripe_event("charge.refunded", charge | told)

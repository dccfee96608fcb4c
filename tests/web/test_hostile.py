"""What comes over the wire is answered in so many words, whatever it is."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from tests.web.servers import WebShop

BODIES: list[Any] = [
    [],
    "text",
    None,
    17,
    {"line": []},
    {"line": {"sku": 1, "quantity": "many"}},
    {"line": {"sku": "A", "quantity": -1, "unit_price": "1.00"}},
    {"line": {"sku": "A", "quantity": 1, "unit_price": "NaN"}},
    {"line": {"sku": "A", "quantity": 1, "unit_price": "1e999999999"}},
    {"line": {"sku": "\x00", "quantity": 1, "unit_price": "1.00"}},
    {"line": {"sku": "\ud800", "quantity": 1, "unit_price": "1.00"}},
    {"into": [], "by": {}},
    {"into": "lost", "by": "carla", "properties": []},
    {"into": "lost\x00", "by": "carla"},
    {"into": "lost", "by": "\x00", "properties": {"loss_reason": "\ud800"}},
    {"specversion": "1.0", "id": {}, "source": [], "type": 1, "subject": 2, "time": 3},
    {"specversion": "1.0", "id": "1", "source": "/", "type": "x", "subject": "c", "time": "never"},
]
PATHS = ["/carts/{}/items", "/carts/{}/checkout", "/carts/{}/order", "/deals/{}/move", "/events"]


@pytest.mark.parametrize("path", PATHS)
def test_a_body_that_makes_no_sense_is_no_mistake_of_the_shops(shop: WebShop, cart: str, path: str):
    for body in BODIES:
        assert shop.post(path.format(cart), body).status_code != 500, body


@pytest.mark.parametrize("path", PATHS)
def test_neither_is_a_body_that_is_no_json(shop: WebShop, cart: str, path: str):
    for content in (b"{", b"\xff", b'{"a": NaN}', b"[" * 5000):
        assert shop.send(path.format(cart), content).status_code != 500, content


@pytest.mark.parametrize(
    "hostile", ["'; DROP TABLE orders; --", "a\nb", "“Größe” 🛒", "x" * 3000, " "]
)
def test_names_are_kept_as_they_are_or_refused(shop: WebShop, cart: str, hostile: str):
    name = f"{cart}{hostile}"
    filled = shop.fill(quote(name, safe=""))
    if filled.is_success:
        assert filled.json()["deal"]["id"] == name
        assert shop.order(quote(name, safe="")).status_code == 201
        assert shop.orders(name) == 1
    else:
        assert filled.json()["detail"]


def test_so_are_keys(shop: WebShop, cart: str):
    for key in ("'; --", "x" * 5000, "é"):
        headers = {"Idempotency-Key": key.encode()}
        response = shop.client.request("DELETE", f"/carts/{cart}/items", headers=headers)
        assert response.status_code != 500, key

"""Shops that keep what is done in them: they send webhooks of it, and answer over HTTP when asked.

Each has a cart that is filled, emptied, taken to the checkout, bought, and what comes of an order.
``deliveries`` are its webhooks, each with the instant at which it was sent.
"""

from __future__ import annotations

import abc
import contextlib
import datetime as dt
import http.server
import json
import threading
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Final
from urllib.parse import parse_qs, urlsplit

import attrs

from ladderpipe import Clock
from ladderpipe.connect import Connector, Shopify, StandardWebhooks, Stripe, WooCommerce
from ladderpipe.connect.standard_webhooks import StandardWebhooks as Signed

from . import payloads
from .senders import SECRET, Delivery, shopify, standard, stripe, woocommerce

TOKEN: Final = "token"
PAGE: Final = 2
"""How many a page holds, so that there are several."""


def text(at: dt.datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


@attrs.define
class Order:
    """A cart, and what becomes of it."""

    number: int
    made: dt.datetime
    lines: dict[str, int] = attrs.field(factory=dict)
    state: str = "cart"
    changed: dt.datetime = attrs.field(init=False)
    history: list[tuple[str, dt.datetime]] = attrs.field(factory=list)
    back: int = 0

    def __attrs_post_init__(self) -> None:
        self.changed = self.made

    @property
    def total(self) -> int:
        return 10 * sum(self.lines.values())

    def when(self, state: str) -> dt.datetime | None:
        return dict(self.history).get(state)


STATES: Final = {
    "fill": ("cart", "checkout"),
    "empty": ("cart",),
    "check out": ("cart",),
    "decline": ("checkout",),
    "buy": ("checkout", "declined"),
    "cancel": ("bought",),
    "refund a part": ("bought",),
    "refund": ("bought",),
}
"""What can be done, and to an order in which state."""


class SimulatedShop(abc.ABC):
    """A shop; its kinds differ in what they send and how they answer."""

    abilities: ClassVar[Sequence[str]] = tuple(STATES)

    def __init__(self) -> None:
        self.orders: dict[int, Order] = {}
        self.deliveries: list[tuple[dt.datetime, Any]] = []
        self.troubles: list[int] = []
        """What is answered to the next questions, instead of an answer."""

    def do(self, action: str, number: int, at: dt.datetime, quantity: int) -> None:
        """Do something to an order, if it can be done; webhooks tell of it."""
        order = self.orders.get(number)
        if order is None:
            if action != "fill":
                return
            order = self.orders[number] = Order(number, at)
        if action not in self.abilities or order.state not in STATES[action]:
            return
        if action == "fill" and order.state == "cart":
            order.lines[f"S{quantity}"] = quantity
        elif action == "empty":
            order.lines.clear()
        elif action == "check out" and order.lines:
            order.state = "checkout"
        elif action == "decline":
            order.state = "declined"
        elif action == "buy":
            order.state = "bought"
        elif action == "cancel":
            order.state = "cancelled"
        elif action == "refund a part":
            order.state, order.back = "refunded in part", 5
        elif action == "refund":
            order.state, order.back = "refunded", order.total
        else:
            return
        order.changed = at
        order.history.append((order.state, at))
        self.deliveries += [(at, each) for each in self.told_of(order)]

    def since(self, then: dt.datetime) -> list[Order]:
        """Return what was changed since, what was changed first in front."""
        found = (order for order in self.orders.values() if order.changed >= then)
        return sorted(found, key=lambda order: (order.changed, order.number))

    @abc.abstractmethod
    def told_of(self, order: Order) -> list[Any]:
        """Return the webhooks that a change of an order sends."""

    @abc.abstractmethod
    def signed(self, told: Any, now: dt.datetime) -> Delivery:
        """Return a webhook as it is sent now."""

    @abc.abstractmethod
    def connector(self, url: str, clock: Clock) -> Connector:
        """Return what receives this shop's webhooks and asks it, at this address."""

    @abc.abstractmethod
    def answer(
        self, path: str, query: dict[str, str], headers: Any, url: str
    ) -> tuple[Any, dict[str, str]] | None:
        """Return the JSON and the headers of an answer, ``None`` for who has no token."""


class SimulatedShopify(SimulatedShop):
    abilities = ("fill", "empty", "check out", "buy", "cancel", "refund a part", "refund")

    def told_of(self, order: Order) -> list[Any]:
        if order.state in ("cart", "checkout"):
            return [("checkouts/update", self.checkout(order))]
        return [("orders/updated", self.order(order))]

    def signed(self, told: Any, now: dt.datetime) -> Delivery:
        topic, payload = told
        return shopify(payload, topic, X_Shopify_Triggered_At=payload["updated_at"])

    def connector(self, url: str, clock: Clock) -> Connector:
        return Shopify(secrets=[SECRET], shop="x.myshopify.com", token=TOKEN, url=url, clock=clock)

    def lines(self, order: Order) -> list[Any]:
        return [
            payloads.item(sku=sku, quantity=quantity, price="10.00")
            for sku, quantity in order.lines.items()
        ]

    def checkout(self, order: Order) -> Any:
        return payloads.checkout(
            cart_token=f"c{order.number}",
            token=f"k{order.number}",
            updated_at=text(order.changed),
            line_items=self.lines(order),
        )

    def order(self, order: Order) -> Any:
        bought = order.when("bought")
        assert bought is not None
        cancelled = order.when("cancelled")
        refunds = [payloads.refund(1, f"{order.back}.00", text(order.changed))]
        return payloads.order(
            id=order.number,
            cart_token=f"c{order.number}",
            created_at=text(bought),
            updated_at=text(order.changed),
            cancelled_at=text(cancelled) if cancelled else None,
            total_price=f"{order.total}.00",
            current_total_price=f"{order.total}.00",
            total_price_set=payloads.money(f"{order.total}.00"),
            line_items=self.lines(order),
            refunds=refunds if order.back else [],
        )

    def answer(
        self, path: str, query: dict[str, str], headers: Any, url: str
    ) -> tuple[Any, dict[str, str]] | None:
        if headers["X-Shopify-Access-Token"] != TOKEN:
            return None
        kind = path.rpartition("/")[2].removesuffix(".json")
        since, _, seen = query.get("page_info", f"{query.get('updated_at_min')}|0").partition("|")
        found = [
            self.checkout(order) if kind == "checkouts" else self.order(order)
            for order in self.since(dt.datetime.fromisoformat(since))
            if (order.state in ("cart", "checkout")) == (kind == "checkouts")
        ]
        first = int(seen)
        page = found[first : first + PAGE]
        more = {}
        if len(found) > first + PAGE:
            following = f"{since}|{first + PAGE}".replace("+", "%2B")
            more["Link"] = f'<https://elsewhere.example{path}?page_info={following}>; rel="next"'
        return {kind: page}, more


class SimulatedWooCommerce(SimulatedShop):
    STATUS: Final = {
        "cart": "checkout-draft",
        "checkout": "pending",
        "declined": "failed",
        "bought": "processing",
        "refunded in part": "completed",
    }

    def told_of(self, order: Order) -> list[Any]:
        return [self.order(order)]

    def signed(self, told: Any, now: dt.datetime) -> Delivery:
        return woocommerce(told)

    def connector(self, url: str, clock: Clock) -> Connector:
        return WooCommerce(
            secrets=[SECRET], shop="shop.example", url=url, token=("ck", "cs"), clock=clock
        )

    def order(self, order: Order) -> Any:
        bought = order.when("bought")
        return payloads.woo_order(
            self.STATUS.get(order.state, order.state),
            id=order.number,
            number=str(order.number),
            date_created_gmt=text(order.made)[:-1],
            date_modified_gmt=text(order.changed)[:-1],
            date_paid_gmt=text(bought)[:-1] if bought else None,
            total=f"{order.total}.00",
            line_items=[
                payloads.woo_item(id=n, sku=sku, quantity=quantity, price=10)
                for n, (sku, quantity) in enumerate(order.lines.items())
            ],
            refunds=[{"id": 1, "total": f"-{order.back}.00"}] if order.back else [],
        )

    def answer(
        self, path: str, query: dict[str, str], headers: Any, url: str
    ) -> tuple[Any, dict[str, str]] | None:
        if headers["Authorization"] != "Basic Y2s6Y3M=":
            return None
        if query["status"] != "any":
            return [], {}
        after = dt.datetime.fromisoformat(query["modified_after"] + "+00:00")
        found = [
            order for order in self.since(after) if order.changed.replace(microsecond=0) > after
        ]
        size = int(query["per_page"])
        first = (int(query["page"]) - 1) * size
        return [self.order(each) for each in found[first : first + size]], {}


class SimulatedStripe(SimulatedShop):
    """The carts are those of a shop of one's own, which always gets through to its board."""

    abilities = ("fill", "check out", "decline", "buy", "refund a part", "refund")

    def __init__(self) -> None:
        super().__init__()
        self.log: list[Any] = []

    def told_of(self, order: Order) -> list[Any]:
        names = {"client_reference_id": f"cart-{order.number}"}
        meta = {"metadata": {"deal": f"cart-{order.number}"}}
        told = {
            "id": f"evt_{len(self.log):04}",
            "created": int(order.changed.timestamp()),
        }
        if order.state == "bought":
            event = payloads.stripe_session(amount_total=100 * order.total, **names)
        elif order.state == "declined":
            event = payloads.stripe_session(
                "checkout.session.async_payment_failed", payment_status="unpaid", **names
            )
        elif order.back:
            event = payloads.stripe_charge(
                amount=100 * order.total, amount_refunded=100 * order.back, **meta
            )
        else:
            return []
        self.log.append(event | told)
        return [event | told]

    def signed(self, told: Any, now: dt.datetime) -> Delivery:
        return stripe(told, at=now)

    def connector(self, url: str, clock: Clock) -> Connector:
        return Stripe(secrets=[SECRET], token=TOKEN, url=url, clock=clock)

    def answer(
        self, path: str, query: dict[str, str], headers: Any, url: str
    ) -> tuple[Any, dict[str, str]] | None:
        if headers["Authorization"] != f"Bearer {TOKEN}":
            return None
        found = [one for one in self.log[::-1] if one["created"] >= int(query["created[gte]"])]
        if after := query.get("starting_after"):
            found = found[[one["id"] for one in found].index(after) + 1 :]
        return {"object": "list", "data": found[:PAGE], "has_more": len(found) > PAGE}, {}


class SimulatedSender(SimulatedShop):
    """A shop that sends Standard Webhooks, and answers which ones it would send."""

    def told_of(self, order: Order) -> list[Any]:
        return [
            message
            for message in self.messages(order, order.changed)
            if message["timestamp"] == order.changed.isoformat()
        ]

    def signed(self, told: Any, now: dt.datetime) -> Delivery:
        message = {name: it for name, it in told.items() if name != "id"}
        return standard(message, id=told["id"], at=now)

    def connector(self, url: str, clock: Clock) -> Connector:
        return StandardWebhooks(secrets=[SECRET], source="shop", url=f"{url}/messages", clock=clock)

    def messages(self, order: Order, read: dt.datetime) -> list[Any]:
        lines = [payloads.line(sku, quantity, "10.00") for sku, quantity in order.lines.items()]
        cart = {"cart": {"currency": "EUR", "lines": lines}}
        told: list[Any] = []

        def tell(type: str, at: dt.datetime, data: Any) -> None:
            told.append(
                {
                    "id": f"{order.number}:{type}@{at.isoformat()}",
                    "type": type,
                    "timestamp": at.isoformat(),
                    "deal": f"cart-{order.number}",
                    "data": data,
                }
            )

        if order.state == "cart":
            tell("cart.updated", read, cart)
        for state, at in order.history:
            if state == "checkout":
                tell("cart.updated", at, cart)
                tell("checkout.started", at, {})
            elif state == "declined":
                tell("payment.failed", at, {})
            elif state == "bought":
                tell("order.confirmed", at, cart | {"value": order.total, "currency": "EUR"})
            elif state == "cancelled":
                tell("order.cancelled", at, {})
            elif state.startswith("refunded"):
                tell("order.refunded", at, {"refunded": order.back})
        return told

    def answer(
        self, path: str, query: dict[str, str], headers: Any, url: str
    ) -> tuple[Any, dict[str, str]] | None:
        now = dt.datetime.fromtimestamp(int(headers["webhook-timestamp"]), dt.UTC)
        try:
            Signed(secrets=[SECRET]).verify(headers, urlsplit(url).query.encode(), now)
        except ValueError:
            return None
        found = self.since(dt.datetime.fromisoformat(query["since"]))
        found = [order for order in found if order.number > int(query.get("after", -1))]
        page = sorted(found, key=lambda order: order.number)[:PAGE]
        following = str(page[-1].number) if len(found) > PAGE else None
        told = [message for order in page for message in self.messages(order, now)]
        return {"messages": told, "next": following}, {}


KINDS: Final = (SimulatedShopify, SimulatedWooCommerce, SimulatedStripe, SimulatedSender)


@contextlib.contextmanager
def serving(shops: dict[str, SimulatedShop]) -> Iterator[str]:
    """Serve shops, each below ``/<name>``; those that come later, too."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

        def do_GET(self) -> None:
            asked = urlsplit(self.path)
            _, name, path = asked.path.split("/", 2)
            shop = shops[name]
            query = {key: values[-1] for key, values in parse_qs(asked.query).items()}
            status, more, content = 200, {}, None
            if shop.troubles:
                status = shop.troubles.pop(0)
                more = {"Retry-After": "3"} if status == 429 else {}
            else:
                found = shop.answer(f"/{path}", query, self.headers, self.path)
                content, more = (None, {}) if found is None else found
                status = 401 if found is None else 200
            body = json.dumps(content).encode()
            self.send_response(status)
            for key, value in {"Content-Length": str(len(body)), **more}.items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(body)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

"""Shopify: carts, checkouts and orders.

A shop signs the body and nothing else; topic, shop and times stand in headers beside it.
See https://shopify.dev/docs/apps/build/webhooks and https://shopify.dev/docs/api/webhooks.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any, Final, Literal, TypeAlias

from ..errors import DefinitionError, InvalidEventError
from ..model.clock import Clock
from ..model.event import Event
from . import payload as read
from .api import Api, Wait, each_told
from .connector import MAX_BYTES, Connector, Refused
from .payload import Payload, filled, name_of, part, parts, price, when, word
from .request import Headers, base64_hmac, is_one_of

__all__ = ["Shopify"]

Tell: TypeAlias = Callable[..., Event]

_TOPICS: Final = {
    "carts": ("create", "update"),
    "checkouts": ("create", "update"),
    "orders": ("create", "updated", "paid", "cancelled", "fulfilled", "partially_fulfilled"),
}
"""What tells a whole cart, checkout or order; others tell an id, or a change without the rest."""
_ADMIN: Final = "/admin/api/2026-10"
"""In this version; once it is gone, Shopify answers in the oldest one that is left."""
_ASKED_FOR: Final = {"checkouts": "open", "orders": "any"}
"""What is asked for, of which status."""
_IN_ONE_SECOND: Final = {
    kind: place * 10**16
    for place, kind in enumerate(
        ("order.confirmed", "order.edited", "order.cancelled", "order.refunded"), 1
    )
}
"""How facts of an order follow each other in one second, which is all that their times tell, and
its cart before them; more than there are microseconds since 1970. A fact that is told otherwise,
say since a name was changed, is triggered later and stays where it is."""
_NEVER: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class Shopify(Connector):
    """Webhooks of Shopify with topics of ``carts``, ``checkouts`` and ``orders``.

    A deal is ``<shop>/<cart token>``; without a cart its checkout, without that its order. A cart
    is told whole, as of its ``updated_at``. An order tells each time what is known of it:
    confirmed, refunded, cancelled, edited, each of them once in the same words.

    Args:
        secrets: the client secret of the app, or the key that the shop's settings show.
        shop: the one shop that is listened to, ``"x.myshopify.com"``; every one, if left out.
        money: which amounts count, those in the shop's currency or in the customer's.
        test_orders: whether orders marked as tests are told.
        deal: returns a payload's deal, where it is not the one above, or ``None`` where it is.
        token: an access token of the Admin API that may read orders, for ``reconcile``.
        url: where that API is, if not at the shop's address.

    Raises:
        DefinitionError: there is no secret, or one of them is empty.
    """

    def __init__(
        self,
        *,
        secrets: Sequence[str],
        shop: str | None = None,
        money: Literal["shop", "presentment"] = "shop",
        test_orders: bool = False,
        deal: Callable[[Payload], str | None] | None = None,
        token: str | None = None,
        url: str | None = None,
        clock: Clock | None = None,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        super().__init__(secrets=secrets, clock=clock, max_bytes=max_bytes)
        self._shop, self._money, self._test_orders, self._deal = shop, money, test_orders, deal
        self._token, self._url = token, url

    def check(self, headers: Headers, body: bytes, now: dt.datetime) -> None:
        """Refuse what none of the secrets has signed, and other shops."""
        signed = [base64_hmac(key, body) for key in self._keys]
        if not is_one_of(signed, [_header(headers, "hmac-sha256")]):
            raise Refused(
                "X-Shopify-Hmac-Sha256 is no signature of this body by any of the secrets"
            )
        shop = _header(headers, "shop-domain")
        if self._shop not in (None, shop):
            raise Refused(f"this delivery is of the shop {shop!r}; we listen to {self._shop!r}")

    def read(self, headers: Headers, body: bytes, received_at: dt.datetime) -> list[Event]:
        """Return what a cart, a checkout or an order tells."""
        kind, _, happened = _header(headers, "topic").partition("/")
        if happened not in _TOPICS.get(kind, ()):
            return []
        shop = self._shop or _header(headers, "shop-domain")
        triggered = when(_header(headers, "triggered-at"), _NEVER)
        return self._told_by(kind, read.loaded_object(body), shop, triggered, received_at)

    def reconcile(self, since: dt.datetime, wait: Wait = time.sleep) -> Iterator[Event]:
        """Return what checkouts and orders tell that were changed since then.

        Carts without a checkout, and checkouts that were completed, have no API; an order tells
        all that there is of the latter.

        Raises:
            DefinitionError: *shop* or *token* is missing.
            Unreachable: while the events are read.
        """
        if not self._shop or not self._token:
            raise DefinitionError(
                "Shopify is asked as one shop, with a token: Shopify(shop=…, token=…); look "
                "whether its environment variable is set"
            )
        secret = {"X-Shopify-Access-Token": self._token}
        api = Api(self._url or f"https://{self._shop}", secret, wait=wait)
        return self._changed(api, self._shop, since)

    def _changed(self, api: Api, shop: str, since: dt.datetime) -> Iterator[Event]:
        for kind, status in _ASKED_FOR.items():
            params: Mapping[str, str] | None = {
                "status": status,
                "updated_at_min": since.isoformat(),
                "limit": "250",
            }
            while params is not None:
                # What is read is at least as new as all that was triggered before.
                asked = self._instant(None)
                page = api.get(f"{_ADMIN}/{kind}.json", params)
                told = partial(self._told_by, kind, shop=shop, triggered=asked, read_at=asked)
                yield from each_told(part(page.content).get(kind), told, self)
                params = page.next

    def _told_by(
        self, kind: str, payload: Payload, shop: str, triggered: dt.datetime, read_at: dt.datetime
    ) -> list[Event]:
        deal = self._deal(payload) if self._deal else None
        # Times of carts and orders have whole seconds.
        microsecond = (triggered - _NEVER) // dt.timedelta(microseconds=1)

        def tell(type: str, **told: Any) -> Event:
            return Event(
                type,
                deal=deal or name_of(shop, _deal_of(kind, payload)),
                source=name_of("shopify", shop),
                seq=_IN_ONE_SECOND.get(type, 0) + microsecond,
                **told,
            )

        version = when(payload.get("updated_at"), read_at)
        if kind == "orders":
            return self._order(tell, payload, version)
        return self._cart(tell, kind, payload, version)

    def _cart(self, tell: Tell, kind: str, payload: Payload, at: dt.datetime) -> list[Event]:
        token = _token(payload, "token", "id")
        whose = {} if kind == "carts" else _contact(payload)
        data = filled(cart=self._cart_of(payload), contact=whose)
        # One second may hold several versions, and each may come under several delivery ids.
        id = name_of(kind, f"{token}@{at.isoformat()}", read.digest(data))
        found = [tell("cart.updated", id=id, at=at, data=data)]
        if kind == "checkouts":
            # As of this version, too: a checkout may be the first that is heard of a cart.
            found.append(tell("checkout.started", id=name_of(id, "started"), at=at))
        return found

    def _order(self, tell: Tell, payload: Payload, version: dt.datetime) -> list[Event]:
        if payload.get("test") is True and not self._test_orders:
            return []
        order = f"order:{word(payload.get('id')) or read.digest(payload)}"
        value, told = self._amount(payload, "total_price")
        code = read.currency(told, payload.get("currency"))
        data = filled(
            cart=self._cart_of(payload),
            value=value,
            currency=code,
            contact=_contact(payload),
            properties=filled(order_number=word(payload.get("name"))),
        )
        made = when(payload.get("created_at"), version)
        # Told again otherwise, say after an edit, it is another event of that instant.
        found = [tell("order.confirmed", id=name_of(order, read.digest(data)), at=made, data=data)]
        for refund in parts(payload.get("refunds")):
            if back := self._refunded(refund):
                id = name_of(order, "refund", word(refund.get("id")) or read.digest(refund))
                at = when(refund.get("created_at"), version)
                found.append(
                    tell("order.refunded", id=id, at=at, data=filled(refunded=back, currency=code))
                )
        left, _ = self._amount(payload, "current_total_price")
        if payload.get("cancelled_at"):
            at = when(payload["cancelled_at"], version)
            found.append(tell("order.cancelled", id=name_of(order, "cancelled"), at=at))
        elif len(found) == 1 and left not in (None, value):
            now = self._cart_of(payload, "current_quantity")
            data = filled(cart=now, value=left, currency=code)
            id = name_of(order, f"edited@{version.isoformat()}", read.digest(data))
            found.append(tell("order.edited", id=id, at=version, data=data))
        return found

    def _refunded(self, refund: Payload) -> Decimal:
        back = [
            self._amount(one, "amount")[0] or Decimal()
            for one in parts(refund.get("transactions"))
            if (one.get("kind"), one.get("status")) == ("refund", "success")
        ]
        return sum(back, Decimal())

    def _cart_of(self, payload: Payload, quantity: str = "quantity") -> dict[str, Any]:
        lines, codes = [], []
        for item in parts(payload.get("line_items")):
            each = "discounted_price" if "discounted_price" in item else "price"
            told, code = self._told(item, each)
            codes.append(code)
            line = read.line(
                sku=item.get("sku"),
                variant_id=item.get("variant_id"),
                title=item.get("title"),
                quantity=item.get(quantity, item.get("quantity")),
                unit_price=told,
            )
            if "sku" not in line and "variant_id" not in line:
                line |= read.line(key=item.get("key"), id=item.get("id"))
            lines.append(line)
        code = read.currency(*codes, payload.get("currency"))
        return {"lines": lines} | filled(currency=code)

    def _amount(self, holder: Payload, name: str) -> tuple[Decimal | None, Any]:
        told, code = self._told(holder, name)
        return price(told), code

    def _told(self, holder: Payload, name: str) -> tuple[Any, Any]:
        """Return an amount as it was told, and its currency where that stands beside it."""
        both = holder.get(f"{name}_set")
        if not both:
            return holder.get(name), None
        chosen = part(both, f"{self._money}_money")
        return chosen.get("amount", holder.get(name)), chosen.get("currency_code")


def _header(headers: Headers, name: str) -> str:
    # Newer deliveries leave the X- out.
    return headers.get(f"x-shopify-{name}") or headers.get(f"shopify-{name}") or ""


def _deal_of(kind: str, payload: Payload) -> str:
    if kind == "carts":
        return _token(payload, "token", "id")
    if kind == "checkouts":
        return _token(payload, "cart_token", "token")
    order = f"order:{word(payload.get('id')) or read.digest(payload)}"
    return _token(payload, "cart_token", "checkout_token", otherwise=order)


def _token(payload: Payload, *names: str, otherwise: str = "") -> str:
    """Return the first of these tokens, without the key that newer ones end with."""
    found = word(*(payload.get(name) for name in names)) or otherwise
    if not found:
        raise InvalidEventError(
            f"this delivery has no {' or '.join(names)}, so nobody knows whose it is: "
            "leave the token among the fields that the webhook includes"
        )
    return found.partition("?")[0]


def _contact(payload: Payload) -> dict[str, Any]:
    customer, address = part(payload, "customer"), part(payload, "billing_address")
    return read.contact(
        id=customer.get("id"),
        email=word(payload.get("email"), payload.get("contact_email"), customer.get("email")),
        phone=word(payload.get("phone"), customer.get("phone"), address.get("phone")),
        name=read.words(customer.get("first_name"), customer.get("last_name"))
        or address.get("name"),
        language=payload.get("customer_locale"),
    )

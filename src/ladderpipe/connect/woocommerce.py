"""WooCommerce: orders, by their status.

See https://woocommerce.github.io/woocommerce-rest-api-docs/#webhooks and #order-properties.
"""

from __future__ import annotations

import datetime as dt
import html
import re
import time
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

from ..errors import DefinitionError
from ..model.clock import Clock
from ..model.event import Event
from . import payload as read
from .api import Api, Wait, each_told
from .connector import MAX_BYTES, Connector, Refused
from .payload import Payload, filled, name_of, part, parts, price, when, word
from .request import Headers, HeadersLike, base64_hmac, is_one_of

__all__ = ["WooCommerce"]

_TOLD_BY: Final = {
    "checkout-draft": ("cart.updated", "checkout.started"),
    "pending": ("cart.updated", "checkout.started"),
    "failed": ("cart.updated", "payment.failed"),
    "on-hold": ("order.confirmed",),
    "processing": ("order.confirmed",),
    "completed": ("order.confirmed",),
    "cancelled": ("order.cancelled",),
    "trash": ("order.cancelled",),
    "refunded": ("order.refunded",),
}
"""What an order's status says, in the order in which statuses follow each other in one second."""

_SUMS: Final = 10**12
_SECOND: Final = dt.timedelta(seconds=1)
_OLDEST_FIRST: Final[dict[str, Any]] = {
    "dates_are_gmt": "true",
    "orderby": "modified",
    "order": "asc",
    "per_page": 100,
}

_PING: Final = re.compile(rb"webhook_id=\d{1,20}")
_ENTITY: Final = re.compile(
    r"&(?:amp|lt|gt|quot|#0*(?:34|38|39|60|62)|#x0*(?:22|26|27|3c|3e));", re.I
)


class WooCommerce(Connector):
    """Webhooks of WooCommerce about orders, whatever their topic.

    A deal is ``<shop>/order:<number>``: an order does not say of which cart it was. Each version of
    an order tells the state that it is in, as of ``date_modified_gmt``. Statuses that a plugin adds
    tell nothing, unless *statuses* says what.

    Args:
        secrets: the secret of the webhook; with the entities or without, as it was copied.
        shop: the shop's address in deals; the host that the webhook names, if left out.
        statuses: what further statuses mean, for example ``{"shipped": "completed"}``.
        deal: returns a payload's deal, where it is not the one above, or ``None`` where it is.
        url: where the shop is, ``"https://shop.example"``, for ``reconcile``.
        token: a key of its REST API that may read, ``("ck_…", "cs_…")``, for ``reconcile``.

    Raises:
        DefinitionError: there is no secret, or one of them is empty.
    """

    def __init__(
        self,
        *,
        secrets: Sequence[str],
        shop: str | None = None,
        statuses: dict[str, str] | None = None,
        deal: Callable[[Payload], str | None] | None = None,
        url: str | None = None,
        token: tuple[str, str] | None = None,
        clock: Clock | None = None,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        super().__init__(secrets=secrets, clock=clock, max_bytes=max_bytes)
        self._url, self._token = url, token
        self._shop, self._statuses, self._deal = shop, dict(statuses or {}), deal

    def key(self, secret: str) -> bytes:
        """Return the key of a secret: the shop decodes five characters before it signs."""
        return _ENTITY.sub(lambda found: html.unescape(found[0]), secret).encode()

    def is_ping(self, headers: HeadersLike, body: bytes) -> bool:
        """Return whether this is the unsigned form that a webhook sends when it is saved."""
        told = Headers.of(headers)
        return "x-wc-webhook-signature" not in told and _PING.fullmatch(body) is not None

    def check(self, headers: Headers, body: bytes, now: dt.datetime) -> None:
        """Refuse what none of the secrets has signed."""
        signed = [base64_hmac(key, body) for key in self._keys]
        if not is_one_of(signed, [headers.get("x-wc-webhook-signature", "")]):
            raise Refused("X-WC-Webhook-Signature is no signature of this body by any secret")

    def read(self, headers: Headers, body: bytes, received_at: dt.datetime) -> list[Event]:
        """Return what an order's status says, and what was refunded of it."""
        payload = read.loaded_object(body)
        if headers.get("x-wc-webhook-resource", "order") != "order" or "status" not in payload:
            return []
        shop = self._shop or urlsplit(headers.get("x-wc-webhook-source", "")).netloc
        return self._told_by(payload, shop, received_at)

    def reconcile(self, since: dt.datetime, wait: Wait = time.sleep) -> Iterator[Event]:
        """Return what orders tell that were changed since then, those in the trash too.

        Raises:
            DefinitionError: *url* or *token* is missing.
            Unreachable: while the events are read.
        """
        if not self._url or not self._token or not all(self._token):
            raise DefinitionError(
                "WooCommerce is asked at its address, with a key: WooCommerce(url=…, token=(…, …))"
                "; look whether the environment variables are set"
            )
        api = Api(self._url, auth=self._token, wait=wait)
        return self._changed(api, self._shop or urlsplit(self._url).netloc, since)

    def _changed(self, api: Api, shop: str, since: dt.datetime) -> Iterator[Event]:
        for status in ("any", "trash"):
            after, page = since.astimezone(dt.UTC) - _SECOND, 1
            while True:
                asked = self._instant(None)
                params = _OLDEST_FIRST | {
                    "status": status,
                    "modified_after": after.strftime("%Y-%m-%dT%H:%M:%S"),
                    "page": page,
                }
                told = partial(self._with_its_past, shop=shop, received_at=asked)
                orders = parts(api.get("/wp-json/wc/v3/orders", params).content)
                yield from each_told(orders, told, self)
                if len(orders) < _OLDEST_FIRST["per_page"]:
                    break
                # Pages shift when an order is changed meanwhile; a time does not. Only where one
                # second fills a whole page, it has to be turned.
                last = when(orders[-1].get("date_modified_gmt"), after, zone="Z") - _SECOND
                after, page = (last, 1) if last > after else (after, page + 1)

    def _with_its_past(self, payload: Payload, shop: str, received_at: dt.datetime) -> list[Event]:
        """Return what an order tells, and, taken back, what it was before, if nobody heard."""
        status = self._status(payload)
        paid, made = payload.get("date_paid_gmt"), payload.get("date_created_gmt")
        before = {"status": "processing" if paid or status == "refunded" else "pending"}
        told = self._told_by(payload, shop, received_at)
        if status not in ("cancelled", "trash", "refunded") or not (paid or made):
            return told
        past = {**payload, **before, "refunds": [], "date_modified_gmt": paid or made}
        return self._told_by(past, shop, received_at) + told

    def _status(self, payload: Payload) -> str:
        told = word(payload.get("status")) or ""
        return self._statuses.get(told, told).removeprefix("wc-")

    def _told_by(self, payload: Payload, shop: str, received_at: dt.datetime) -> list[Event]:
        told = word(payload.get("status")) or ""
        status = self._status(payload)
        types = list(_TOLD_BY.get(status, ()))
        order = f"order:{word(payload.get('id')) or read.digest(payload)}"
        at = when(payload.get("date_modified_gmt"), received_at, zone="Z")
        deal = self._deal(payload) if self._deal else None
        tell = partial(
            Event,
            deal=deal or name_of(shop, order),
            source=name_of("woocommerce", shop),
            at=at,
        )
        value, back = price(payload.get("total")), _refunded(payload)
        # Of two versions of one status, the one with the larger refunds is the later.
        version = min(int(back * 1000), _SUMS - 1)
        seq = (list(_TOLD_BY).index(status) * _SUMS + version) * 10 if types else 0
        if types == ["order.confirmed"] and back:
            types.append("order.refunded")
        found = []
        for place, type in enumerate(types):
            data = _data(type, payload, value, back)
            id = name_of(order, type, f"{told}@{at.isoformat()}", read.digest(data))
            found.append(tell(type, id=id, seq=seq + place, data=data))
        return found


def _data(type: str, payload: Payload, value: Decimal | None, back: Decimal) -> dict[str, Any]:
    code = read.currency(payload.get("currency"))
    if type == "order.refunded":
        # A status of its own says that all of it went back, without saying how much that was.
        left = value - back if value is not None and back else Decimal()
        return filled(value=max(left, Decimal()), currency=code)
    if type not in ("cart.updated", "order.confirmed"):
        return {}
    data: dict[str, Any] = {"contact": _contact(payload)}
    lines = [_line(item) for item in parts(payload.get("line_items"))]
    data["cart"] = {"lines": lines} | filled(currency=code)
    if type == "order.confirmed":
        data |= {"value": value, "currency": code}
        data["properties"] = filled(order_number=word(payload.get("number"), payload.get("id")))
    return filled(**data)


def _line(item: Payload) -> dict[str, Any]:
    return read.line(
        sku=item.get("sku"),
        variant_id=item.get("variation_id") or item.get("product_id") or None,
        id=item.get("id"),
        title=item.get("name"),
        quantity=item.get("quantity"),
        unit_price=item.get("price"),
    )


def _refunded(payload: Payload) -> Decimal:
    """Return how much went back so far; the shop writes it with a minus."""
    back = [price(one.get("total")) or Decimal() for one in parts(payload.get("refunds"))]
    return abs(sum(back, Decimal()))


def _contact(payload: Payload) -> dict[str, Any]:
    billing = part(payload, "billing")
    return read.contact(
        id=payload.get("customer_id") or None,
        email=billing.get("email"),
        phone=billing.get("phone"),
        name=read.words(billing.get("first_name"), billing.get("last_name")),
    )

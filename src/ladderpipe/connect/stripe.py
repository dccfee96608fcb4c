"""Stripe Checkout: what is paid, and what is not.

See https://docs.stripe.com/webhooks and https://docs.stripe.com/currencies.
"""

from __future__ import annotations

import datetime as dt
import hmac
import re
import time
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from functools import partial
from typing import Any, Final

from ..errors import DefinitionError
from ..model.clock import Clock
from ..model.event import Event
from . import payload as read
from .api import Api, Wait, each_told
from .connector import MAX_BYTES, TOLERANCE, Connector, Refused
from .payload import Payload, filled, name_of, part, parts, word
from .request import Headers, is_one_of

__all__ = ["Stripe"]

_WHOLE: Final = "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF"
_THOUSANDTHS: Final = "BHD JOD KWD OMR TND"
"""The others, ISK and UGX too, come in hundredths."""
_TOLD_BY: Final = {
    "checkout.session.completed": "order.confirmed",
    "checkout.session.async_payment_succeeded": "order.confirmed",
    "checkout.session.async_payment_failed": "payment.failed",
    "payment_intent.payment_failed": "payment.failed",
    "charge.refunded": "order.refunded",
}

_IN_ONE_SECOND: Final = ("checkout.started", "payment.failed", "order.confirmed", "order.refunded")
"""How facts follow each other in one second, which is all that ``created`` tells."""
_SUMS: Final = 10**12


class Stripe(Connector):
    """Webhooks of Stripe: Checkout sessions, failed payments, refunds.

    A deal is the session's ``client_reference_id``, as the shop set it. Payments and refunds do
    not know it: they are told if ``metadata`` holds it as ``deal``, which Stripe copies from a
    session's ``payment_intent_data``.

    Args:
        secrets: the endpoint's, ``whsec_…``.
        deal: returns the deal of an event's object, where it is not the one above, or ``None``.
        token: a restricted key, ``rk_…``, that may read events, for ``reconcile``.
        url: where the API is.

    Raises:
        DefinitionError: there is no secret, or one of them is empty.
    """

    def __init__(
        self,
        *,
        secrets: Sequence[str],
        deal: Callable[[Payload], str | None] | None = None,
        token: str | None = None,
        url: str = "https://api.stripe.com",
        clock: Clock | None = None,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        super().__init__(secrets=secrets, clock=clock, max_bytes=max_bytes)
        self._deal, self._token, self._url = deal, token, url

    def check(self, headers: Headers, body: bytes, now: dt.datetime) -> None:
        """Refuse what none of the secrets has signed within five minutes of *now*."""
        told = [one.partition("=") for one in headers.get("stripe-signature", "").split(",")]
        times = [value for name, _, value in told if name.strip() == "t"]
        if len(times) != 1 or not re.fullmatch(r"\d{1,12}", times[0], re.ASCII):
            raise Refused("Stripe-Signature has no time, t=…, in seconds since 1970")
        if abs(now.timestamp() - int(times[0])) > TOLERANCE.total_seconds():
            raise Refused("Stripe-Signature was made more than five minutes from now")
        signed = times[0].encode() + b"." + body
        right = [hmac.digest(key, signed, "sha256").hex() for key in self._keys]
        if not is_one_of(right, [value for name, _, value in told if name.strip() == "v1"]):
            raise Refused("Stripe-Signature is no signature of this body by any of the secrets")

    def read(self, headers: Headers, body: bytes, received_at: dt.datetime) -> list[Event]:
        """Return what a session, a payment or a refund tells."""
        return self._told_by(read.loaded_object(body), received_at)

    def reconcile(self, since: dt.datetime, wait: Wait = time.sleep) -> Iterator[Event]:
        """Return what Stripe's events tell since then; it keeps them for 30 days.

        Raises:
            DefinitionError: *token* is missing.
            Unreachable: while the events are read.
        """
        if not self._token:
            raise DefinitionError(
                "Stripe is asked with a key: Stripe(token=…); look whether its environment "
                "variable is set"
            )
        api = Api(self._url, {"Authorization": f"Bearer {self._token}"}, wait=wait)
        return self._changed(api, int(since.timestamp()))

    def _changed(self, api: Api, since: int) -> Iterator[Event]:
        params: dict[str, Any] = {"created[gte]": since, "types[]": list(_TOLD_BY), "limit": 100}
        while True:
            asked = self._instant(None)
            page = part(api.get("/v1/events", params).content)
            found = parts(page.get("data"))
            # The newest come first; told the other way round, nothing has to be folded again.
            yield from each_told(found[::-1], partial(self._told_by, received_at=asked), self)
            last = word(found[-1].get("id")) if found else None
            if page.get("has_more") is not True or last in (None, params.get("starting_after")):
                return
            params["starting_after"] = last

    def _told_by(self, payload: Payload, received_at: dt.datetime) -> list[Event]:
        subject = part(payload, "data", "object")
        told = _told(word(payload.get("type")) or "", subject)
        deal = self._deal(subject) if self._deal else None
        deal = deal or word(
            subject.get("client_reference_id"), part(subject, "metadata").get("deal")
        )
        if deal is None and subject.get("object") == "checkout.session":
            deal = name_of("stripe", word(subject.get("id")) or read.digest(subject))
        if told is None or deal is None:
            return []
        event = Event(
            told,
            deal=name_of(deal),
            id=name_of(word(payload.get("id")) or read.digest(payload)),
            at=_second(payload.get("created"), received_at),
            source=name_of("stripe", word(payload.get("account"))),
            seq=_place(told, subject),
            data=_data(told, subject),
        )
        return [event]


def _told(type: str, subject: Payload) -> str | None:
    if type == "checkout.session.completed" and subject.get("payment_status") == "unpaid":
        return "checkout.started"  # a bank takes days to say whether it pays
    return _TOLD_BY.get(type)


def _place(type: str, subject: Payload) -> int:
    """Return the place of a fact in its second: of two refunds the larger sum is the later."""
    back = subject.get("amount_refunded")
    told = back if isinstance(back, int) and 0 <= back < _SUMS else 0
    return _IN_ONE_SECOND.index(type) * _SUMS + told


def _second(since_1970: Any, otherwise: dt.datetime) -> dt.datetime:
    try:
        return dt.datetime.fromtimestamp(since_1970, dt.UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return otherwise


def _data(type: str, subject: Payload) -> dict[str, Any]:
    code = read.currency(subject.get("currency"))
    if type == "order.refunded":
        paid, back = (_major(subject.get(name), code) for name in ("amount", "amount_refunded"))
        left = None if paid is None or back is None else paid - back
        return filled(value=left, currency=code if left is not None else None)
    details = part(subject, "customer_details")
    data = filled(
        contact=read.contact(
            id=subject.get("customer"),
            email=word(details.get("email"), subject.get("customer_email")),
            phone=details.get("phone"),
            name=details.get("name"),
            language=subject.get("locale"),
        )
    )
    if type == "order.confirmed":
        data |= filled(value=_major(subject.get("amount_total"), code), currency=code)
    return data


def _major(minor: Any, code: str | None) -> Decimal | None:
    """Return an amount in its currency, from one in the currency's smallest unit."""
    if not isinstance(minor, int) or isinstance(minor, bool) or code is None:
        return None
    places = 0 if code in _WHOLE else 3 if code in _THOUSANDTHS else 2
    return read.price(Decimal(minor).scaleb(-places))

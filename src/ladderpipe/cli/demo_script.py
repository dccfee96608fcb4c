"""The script of the demo: who the customers are, and what they do in one week of January 2026.

Only facts stand here. Where a deal goes is left to the ladder, and `demo_week` tells it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, Final

import attrs

from ..model.clock import instant

__all__ = ["CUSTOMERS", "END", "MAIL_DOWN", "SCRIPT", "START", "Said", "Scene"]


@attrs.frozen
class Scene:
    """Something that happens to a deal.

    Attributes:
        at: when the shop hears of it.
        says: what happens, in words.
        because: why the deal goes where it goes, in words.
        happened_at: when it happened, if that was earlier.
        repeats: whether it is a second delivery of the scene before.
        by: the salesperson, if it is a move by hand; ``into`` says where.
    """

    at: dt.datetime = attrs.field(converter=instant)
    deal: str
    type: str
    says: str
    because: str
    data: Mapping[str, Any] = attrs.field(factory=dict)
    happened_at: dt.datetime | None = attrs.field(
        default=None, converter=attrs.converters.optional(instant), kw_only=True
    )
    repeats: bool = attrs.field(default=False, kw_only=True)
    by: str | None = attrs.field(default=None, kw_only=True)
    into: str | None = attrs.field(default=None, kw_only=True)


@attrs.frozen
class Said:
    """Something that happens to no deal."""

    at: dt.datetime = attrs.field(converter=instant)
    says: str


def _customer(
    name: str, company: str, email: str | None = None, owner: str = "Marta"
) -> dict[str, Any]:
    contact = {"name": name} | ({"email": email} if email else {})
    return {
        "contact": contact,
        "company": company,
        "title": company,
        "owner": owner,
        "currency": "EUR",
    }


def _added(sku: str, title: str, quantity: int, price: str) -> dict[str, Any]:
    return {"line": {"sku": sku, "title": title, "quantity": quantity, "unit_price": price}}


CUSTOMERS: Final = {
    "cart-0": _customer("A guest", "A guest"),
    "cart-1": _customer("Ada Rossi", "Officine Rossi", "ada@rossi.example"),
    "cart-2": _customer("Bruno Conti", "Studio Conti", "bruno@conti.example"),
    "cart-3": _customer("Carla Verdi", "Verdi Design", "carla@verdi.example"),
    "cart-4": _customer("Dario Greco", "Greco Impianti", "dario@greco.example"),
    "cart-5": _customer("Elena Fabbri", "Fabbri Arredi", "elena@fabbri.example"),
    "cart-6": _customer("Franco Neri", "Neri Trasporti", "franco@neri.example"),
    "cart-7": _customer("Gina Moro", "Moro Tessuti"),
    "cart-8": _customer("Hugo Sala", "Sala Grafica", "hugo@sala.example"),
    "cart-9": _customer("Ida Longo", "Longo Vini", "ida@longo.example"),
}

START: Final = instant("2026-01-05T09:00Z")
END: Final = instant("2026-01-11T18:00Z")
MAIL_DOWN: Final = (instant("2026-01-08T10:50Z"), instant("2026-01-08T12:00Z"))

_FILLED = "a filled cart asks for a quote"
_ORDERED = "an order wins from anywhere"

SCRIPT: Final[tuple[Scene | Said, ...]] = (
    Scene(
        "2026-01-05T09:12Z",
        "cart-1",
        "cart.item_added",
        "Ada fills her cart: 2 notebooks",
        _FILLED,
        _added("NB-15", "Notebook 15", 2, "899.00"),
    ),
    Scene(
        "2026-01-05T10:30Z",
        "cart-2",
        "cart.item_added",
        "Bruno fills his cart: 6 office chairs",
        _FILLED,
        _added("CH-02", "Office chair", 6, "145.00"),
    ),
    Scene(
        "2026-01-05T10:41Z",
        "cart-2",
        "checkout.started",
        "Bruno goes to the checkout",
        "one rung up",
    ),
    Scene(
        "2026-01-05T10:46Z",
        "cart-2",
        "order.confirmed",
        "Bruno orders",
        _ORDERED,
        {"properties": {"order_number": "2026-0107"}},
    ),
    Scene(
        "2026-01-05T14:00Z",
        "cart-3",
        "cart.item_added",
        "Carla fills her cart: 3 monitors",
        _FILLED,
        _added("MO-27", "Monitor 27", 3, "249.00"),
    ),
    Scene(
        "2026-01-05T14:05Z",
        "cart-3",
        "cart.emptied",
        "Carla empties it again",
        "an empty cart is parked",
    ),
    Scene(
        "2026-01-06T09:00Z",
        "cart-3",
        "cart.item_added",
        "Carla is back, for 4 monitors",
        "the cart is filled again",
        _added("MO-27", "Monitor 27", 4, "249.00"),
    ),
    Scene(
        "2026-01-06T09:10Z",
        "cart-3",
        "cart.saved",
        "Carla saves the cart for later",
        "it may wait here, no timer runs",
    ),
    Scene(
        "2026-01-06T11:00Z",
        "cart-4",
        "cart.item_added",
        "Dario fills his cart: 10 routers",
        _FILLED,
        _added("RT-10", "Router", 10, "119.00"),
    ),
    Scene(
        "2026-01-07T10:00Z",
        "cart-6",
        "cart.item_added",
        "Franco fills his cart: 40 phones",
        _FILLED,
        _added("PH-06", "Phone 6", 40, "210.00"),
    ),
    Scene(
        "2026-01-08T10:05Z",
        "cart-1",
        "cart.item_added",
        "Ada comes back, and adds a mouse",
        "an abandoned cart may climb again",
        _added("MS-03", "Mouse", 1, "25.00"),
    ),
    Scene(
        "2026-01-08T10:20Z",
        "cart-1",
        "checkout.started",
        "Ada goes to the checkout",
        "one rung up",
    ),
    Scene(
        "2026-01-08T10:31Z",
        "cart-1",
        "order.confirmed",
        "Ada orders",
        _ORDERED,
        {"properties": {"order_number": "2026-0112"}},
    ),
    Said("2026-01-08T10:50Z", "The mail server goes down until noon. The ladder does not mind."),
    Scene(
        "2026-01-08T11:20Z",
        "cart-4",
        "order.confirmed",
        "Dario orders by phone, while his reminder waits",
        _ORDERED,
        {"properties": {"order_number": "2026-0113"}},
    ),
    Said("2026-01-08T12:00Z", "The mail server is back, and mails that still make sense go out."),
    Scene(
        "2026-01-08T16:00Z",
        "cart-6",
        "",
        "Franco tells Marta that he has bought elsewhere",
        "moved by hand, with a reason",
        {"loss_reason": "price"},
        by="Marta",
        into="lost",
    ),
    Scene(
        "2026-01-09T08:45Z",
        "cart-2",
        "order.refunded",
        "Bruno's chairs come back, and his money goes back",
        "nothing of the sale is left",
    ),
    Scene(
        "2026-01-09T09:30Z",
        "cart-7",
        "cart.item_added",
        "Gina fills her cart, without an address: 3 looms",
        _FILLED,
        _added("LM-11", "Hand loom", 3, "640.00"),
    ),
    Scene(
        "2026-01-10T10:00Z",
        "cart-5",
        "cart.item_added",
        "Elena fills her cart: 8 desks",
        _FILLED,
        _added("DE-16", "Desk 160", 8, "320.00"),
    ),
    Scene(
        "2026-01-10T11:05Z",
        "cart-5",
        "cart.item_added",
        "Elena adds 8 lamps",
        "more of the same moves nothing",
        _added("LA-01", "Desk lamp", 8, "39.00"),
    ),
    Scene(
        "2026-01-10T14:00Z",
        "cart-5",
        "checkout.started",
        "A webhook comes late: Elena began the checkout at 10:30",
        "put where it belongs, before the lamps",
        happened_at="2026-01-10T10:30Z",
    ),
    Scene(
        "2026-01-10T14:01Z",
        "cart-5",
        "checkout.started",
        "The same webhook comes again",
        "it is known, so nothing changes",
        happened_at="2026-01-10T10:30Z",
        repeats=True,
    ),
    Scene(
        "2026-01-10T15:00Z",
        "cart-0",
        "cart.item_added",
        "A guest fills a cart: 2 bookcases",
        _FILLED,
        _added("BK-02", "Bookcase", 2, "210.00"),
    ),
    Scene(
        "2026-01-10T15:20Z",
        "cart-0",
        "cart.merged",
        "The guest signs in, and is Elena: her carts become one",
        "it goes on as cart-5, with what was in it",
        {"into": "cart-5"},
    ),
    Scene(
        "2026-01-10T15:20Z",
        "cart-5",
        "cart.item_added",
        "Elena's cart has the 2 bookcases now",
        "more of the same moves nothing",
        _added("BK-02", "Bookcase", 2, "210.00"),
    ),
    Scene(
        "2026-01-10T18:00Z",
        "cart-9",
        "cart.item_added",
        "Ida fills her cart: a label printer",
        _FILLED,
        _added("LP-04", "Label printer", 1, "380.00"),
    ),
    Scene(
        "2026-01-10T18:10Z",
        "cart-9",
        "cart.emptied",
        "Ida empties it again",
        "an empty cart is parked",
    ),
    Scene(
        "2026-01-11T17:00Z",
        "cart-8",
        "cart.item_added",
        "Hugo fills his cart: 2 plotters",
        _FILLED,
        _added("PL-24", "Plotter 24", 2, "1450.00"),
    ),
)

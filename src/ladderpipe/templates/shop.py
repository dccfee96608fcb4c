"""The ladder of a B2B shop: a deal is a cart, and it climbs towards an order."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from ..ladder.guards import cart_has_items, cart_is_empty
from ..ladder.rules import ANY, after, by_hand, on
from ..model.stage import Stage, wait
from ..pipeline import Pipeline
from .hooks import ask_for_mail, ask_for_reminder
from .wording import Language, Wording

if TYPE_CHECKING:
    from ..model.hook import HookContext

__all__ = ["sales_management"]

CART = ("cart.updated", "cart.item_added", "cart.item_removed", "cart.emptied")


def sales_management(language: Language = "it") -> Pipeline:
    """Return the ladder of a shop whose customers fill carts and whose salespeople help.

    It is driven by the standard events: ``cart.updated``, ``cart.item_added``,
    ``cart.item_removed``, ``cart.emptied``, ``cart.saved``, ``checkout.started`` and
    ``order.confirmed``. A cart with items that nobody touches into another stage for 48 hours is
    abandoned; a filled cart that is touched again comes back. ``lost`` is entered by hand and
    needs the property ``loss_reason``; a confirmed order brings a deal back even from there.

    Customers with an e-mail address are written to when a cart is saved (and three days later),
    when it is abandoned (and three days later) and when the order is confirmed. An
    ``order_number`` among the properties is told in the thanks.
    """
    say = Wording(language)
    quote = Stage(
        "quote_requested",
        title=say.title("Richiesta preventivo", "Quote requested"),
        probability=0.20,
        sequence=[
            wait(hours=24),
            say.task("Chiamare il cliente per il preventivo", "Call the customer about the quote"),
        ],
    )
    parked = Stage(
        "cart_parked", title=say.title("Carrello parcheggiato", "Cart parked"), probability=0.05
    )
    saved = Stage(
        "cart_saved",
        title=say.title("Carrello salvato", "Cart saved"),
        probability=0.30,
        sequence=[
            wait(days=5),
            say.task(
                "Chiedere al cliente se il carrello salvato va bene",
                "Ask the customer whether the saved cart is right",
            ),
        ],
    )
    review = Stage(
        "order_review",
        title=say.title("Riepilogo ordine", "Order review"),
        probability=0.80,
        sequence=[
            wait(hours=4),
            say.task(
                "Aiutare il cliente, fermo al riepilogo, a concludere l'ordine",
                "Help the customer, who stopped at the review, to complete the order",
            ),
        ],
    )
    confirmed = Stage(
        "order_confirmed", title=say.title("Ordine confermato", "Order confirmed"), status="won"
    )
    abandoned = Stage(
        "checkout_abandoned",
        title=say.title("Check Out abbandonato", "Checkout abandoned"),
        status="abandoned",
        probability=0.10,
        sequence=[
            wait(hours=24),
            say.task(
                "Chiamare il cliente: carrello abbandonato", "Call the customer: cart abandoned"
            ),
        ],
    )
    lost = Stage(
        "lost",
        title=say.title("Trattativa persa", "Deal lost"),
        status="lost",
        requires=["loss_reason"],
    )
    pipeline = Pipeline(
        "sales-management",
        title=say.title("Gestione vendite", "Sales management"),
        stages=[quote, parked, saved, review, confirmed, abandoned, lost],
        rules=[
            on("order.confirmed", into=confirmed, out_of=ANY, opens=True),
            on("checkout.started", into=review),
            on("cart.saved", into=saved, when=cart_has_items),
            on(*CART, into=parked, when=cart_is_empty),
            on(*CART, into=quote, out_of=[parked, abandoned], when=cart_has_items, opens=True),
            after(hours=48, out_of=quote, into=abandoned, when=cart_has_items),
            by_hand(into=lost),
        ],
    )
    pipeline.move_into(saved)(tell_that_the_cart_is_saved)
    pipeline.move_into(abandoned)(remind_of_the_cart)
    pipeline.move_into(confirmed)(thank_for_the_order)
    return pipeline


def tell_that_the_cart_is_saved(ctx: HookContext) -> None:
    """Confirm that the cart is kept, and come back to it three days later."""
    ask_for_mail(ctx, "cart-saved")
    ask_for_reminder(ctx, "cart-saved-reminder", wait=dt.timedelta(days=3))


def remind_of_the_cart(ctx: HookContext) -> None:
    """Remind at once and three days later; whoever comes back hears no more of it."""
    ask_for_reminder(ctx, "cart-reminder")
    ask_for_reminder(ctx, "cart-last-reminder", wait=dt.timedelta(days=3))


def thank_for_the_order(ctx: HookContext) -> None:
    """Thank whoever ordered."""
    ask_for_mail(ctx, "order-thanks")

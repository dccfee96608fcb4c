"""What shops have met in the field: each public report is a test here, on every store.

The stories and the numbers are ours; the docstring of each test names the report that it comes
from. All of them are told to the ready shop ladder as it is shipped.
"""

from __future__ import annotations

import datetime as dt
import itertools
import uuid
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest

from ladderpipe import Board, Deal, Delivery, Event, ManualClock, Outcome, Pipeline, on, templates
from ladderpipe.model.clock import instant

START = instant("2026-01-05T09:00:00Z")
SECOND, MINUTE, HOUR, DAY = (
    dt.timedelta(seconds=1),
    dt.timedelta(minutes=1),
    dt.timedelta(hours=1),
    dt.timedelta(days=1),
)
REMINDERS = ("cart-reminder", "cart-last-reminder")


def line(sku: Any = "CHAIR", price: Any = "120.00", quantity: Any = 1, **more: Any) -> Any:
    return {"sku": sku, "title": "Chair", "quantity": quantity, "unit_price": price, **more}


def cart(*lines: Any, currency: str = "EUR") -> dict[str, Any]:
    return {"cart": {"currency": currency, "lines": list(lines)}}


class Shop:
    """A shop on the ready ladder, a worker that looks every two hours, and what was mailed."""

    def __init__(self, store: Any, pipeline: Pipeline | None = None) -> None:
        self.clock = ManualClock(START)
        ladder = pipeline or templates.sales_management("en")
        self.board = Board(ladder, store=store, clock=self.clock)
        self.mails: list[tuple[str, str]] = []
        self.mail_server_is_up = True
        self.board.handle_effect("email", self._mail)
        self._numbers = itertools.count(1)

    def _mail(self, delivery: Delivery) -> None:
        if not self.mail_server_is_up:
            raise OSError("the mail server does not answer")
        self.mails.append((delivery.deal.id, delivery.payload["template"]))

    def event(
        self,
        kind: str,
        deal: str = "c",
        at: dt.datetime | None = None,
        id: str | None = None,
        email: str | None = "ada@example.com",
        seq: int = 0,
        **data: Any,
    ) -> Event:
        contact = {"contact": {"name": "Ada", "email": email}} if email else {}
        return Event(
            kind,
            deal=deal,
            id=id or f"e{next(self._numbers)}",
            at=at or self.clock.now(),
            source="shop",
            seq=seq,
            data={**contact, **data},
        )

    def tell(self, kind: str, deal: str = "c", **told: Any) -> Any:
        """Tell what happened, as a webhook does: whatever it is, it is taken."""
        return self.board.handle(self.event(kind, deal, **told), hold=True)

    def fill(self, deal: str = "c", **told: Any) -> None:
        """Put a chair into a cart."""
        self.tell("cart.updated", deal, **{**cart(line()), **told})

    def sleep(self, time: dt.timedelta) -> None:
        """Let time pass while nobody looks."""
        self.clock.advance(seconds=time.total_seconds())

    def wait(self, time: dt.timedelta) -> None:
        """Let time pass while the worker works."""
        end = self.clock.now() + time
        while self.clock.now() < end:
            self.sleep(min(end - self.clock.now(), 2 * HOUR))
            self.board.tick()
            self.board.deliver()

    def deal(self, deal: str = "c") -> Deal:
        return self.board.deal(deal)

    def stages(self, deal: str = "c") -> list[str]:
        return [visit.stage.key for visit in self.board.history(deal).visits]

    @property
    def reminders(self) -> list[tuple[str, str]]:
        return [mail for mail in self.mails if mail[1] in REMINDERS]

    @property
    def thanks(self) -> list[str]:
        return [deal for deal, template in self.mails if template == "order-thanks"]


@pytest.fixture
def shop(store: Any) -> Shop:
    return Shop(store)


# -- reminded after the purchase ----------------------------------------------------------------


def test_an_order_that_is_told_after_the_cut_off_counts_from_when_it_was_placed(shop: Shop) -> None:
    """TycheSoftwares/woocommerce-abandoned-cart#874."""
    shop.fill()
    placed = shop.clock.now() + 30 * HOUR
    shop.sleep(51 * HOUR)
    shop.tell("order.confirmed", at=placed)
    shop.wait(10 * DAY)
    assert shop.stages() == ["quote_requested", "order_confirmed"]
    assert shop.reminders == []


def test_an_order_that_is_told_after_the_first_reminder_stops_the_second(shop: Shop) -> None:
    """TycheSoftwares/woocommerce-abandoned-cart#875: what was sent cannot be recalled."""
    shop.fill()
    placed = shop.clock.now() + 47 * HOUR
    shop.wait(60 * HOUR)
    assert shop.reminders == [("c", "cart-reminder")]
    shop.tell("order.confirmed", at=placed)
    shop.wait(10 * DAY)
    assert shop.stages() == ["quote_requested", "order_confirmed"]
    assert shop.reminders == [("c", "cart-reminder")]


def test_whoever_orders_within_the_hour_is_never_in_the_queue_of_reminders(shop: Shop) -> None:
    """mailchimp/mc-magento2#431."""
    shop.fill()
    shop.sleep(40 * MINUTE)
    shop.tell("order.confirmed")
    shop.wait(30 * DAY)
    assert shop.reminders == []
    assert not any(
        "reminder" in effect.payload.get("template", "") for effect in shop.board.effects()
    )


def test_an_order_that_comes_while_the_reminder_waits_to_be_sent_stops_it(shop: Shop) -> None:
    """mailchimp/mc-magento#403: it is looked at when it is sent, not when it was asked for."""
    shop.fill()
    shop.mail_server_is_up = False
    shop.wait(49 * HOUR)
    assert shop.deal().stage == "checkout_abandoned"
    shop.tell("order.confirmed")
    shop.mail_server_is_up = True
    shop.wait(10 * DAY)
    assert shop.mails == [("c", "order-thanks")]


def test_a_guest_who_registers_while_ordering_is_not_reminded_of_the_guests_cart(
    shop: Shop,
) -> None:
    """TycheSoftwares/woocommerce-abandoned-cart#166."""
    shop.fill("guest")
    shop.sleep(2 * MINUTE)
    shop.tell("order.confirmed", "account", **cart(line()))
    shop.wait(10 * DAY)
    assert shop.deal("guest").stage == "checkout_abandoned"
    assert shop.mails == [("account", "order-thanks")]


def test_whoever_unsubscribes_by_the_first_reminder_gets_no_second_for_any_cart(
    shop: Shop,
) -> None:
    """TycheSoftwares/woocommerce-abandoned-cart#207: each cart repeats the contact."""
    shop.fill()
    shop.wait(49 * HOUR)
    assert shop.reminders == [("c", "cart-reminder")]
    shop.tell("contact.unsubscribed")
    shop.wait(4 * DAY)
    shop.fill(**cart(line(quantity=2)))
    shop.fill("another")
    shop.wait(10 * DAY)
    assert shop.reminders == [("c", "cart-reminder")]


def test_an_address_that_is_learnt_after_the_cut_off_still_brings_the_reminder(
    shop: Shop,
) -> None:
    """No report: what a form asks for on the way out comes later than the cart."""
    shop.fill(email=None)
    shop.wait(50 * HOUR)
    assert shop.reminders == []
    shop.tell("contact.known")
    shop.wait(4 * HOUR)
    assert shop.reminders == [("c", "cart-reminder")]


def test_three_carts_of_one_person_are_one_mail_a_day_and_three_a_month(shop: Shop) -> None:
    """No report: telephone, tablet and desk, and each of them has a cart."""
    for deal in ("a", "b", "c"):
        shop.fill(deal)
        shop.sleep(MINUTE)
    shop.wait(2 * DAY + HOUR)
    assert len(shop.reminders) == 1
    shop.wait(29 * DAY)
    assert 1 < len(shop.reminders) <= 3


# -- told more than once ------------------------------------------------------------------------


def test_five_webhooks_of_one_order_at_the_same_moment_thank_once(shop: Shop) -> None:
    """nozzlegear/ShopifySharp#919: each with an id of its own, and all at once."""
    shop.fill()
    shop.sleep(5 * MINUTE)
    copies = [shop.event("order.confirmed", id=f"webhook-{n}") for n in range(5)]
    with ThreadPoolExecutor(5) as pool:
        list(pool.map(lambda copy: shop.board.handle(copy, hold=True), copies))
    shop.wait(DAY)
    assert shop.stages() == ["quote_requested", "order_confirmed"]
    assert shop.thanks == ["c"]


def test_a_second_notification_of_an_order_a_minute_later_thanks_nobody_again(shop: Shop) -> None:
    """Shopify/shopify-api-js#916."""
    shop.fill()
    placed = shop.clock.now()
    shop.tell("order.confirmed", at=placed)
    shop.wait(MINUTE)
    shop.tell("order.confirmed", at=placed)
    shop.wait(DAY)
    assert (shop.thanks, shop.stages()) == (["c"], ["quote_requested", "order_confirmed"])


def test_an_order_that_is_sent_again_all_day_is_known_each_time(shop: Shop) -> None:
    """Shopify/shopify_app#1173: the receiver has answered, and it comes nevertheless."""
    shop.fill()
    order = shop.event("order.confirmed", id="order-77")
    outcomes = []
    for _ in range(5):
        outcomes.append(shop.board.handle(order, hold=True).outcome)
        shop.wait(4 * HOUR)
    assert outcomes == [Outcome.MOVED, *[Outcome.DUPLICATE] * 4]
    assert shop.thanks == ["c"]


def test_copies_that_the_receiver_has_to_name_itself_start_no_second_wait(shop: Shop) -> None:
    """stlk/django-shopify-webhook#13: the webhook's own id does not reach the code."""
    told = shop.clock.now()
    for minutes in (0, 3, 40):
        shop.fill(id=str(uuid.uuid4()), at=told)
        shop.wait(minutes * MINUTE)
    shop.wait(told + 48 * HOUR - shop.clock.now())
    assert shop.stages() == ["quote_requested", "checkout_abandoned"]
    assert shop.board.history("c").visits[0].duration == 48 * HOUR


# -- within one second --------------------------------------------------------------------------


def test_an_order_and_the_emptied_cart_of_one_second_are_worth_what_was_bought(shop: Shop) -> None:
    """woocommerce/woocommerce-ios, Networking/NetworkingTests/Responses: whole seconds only."""
    shop.fill(**cart(line(price="649.50", quantity=2)))
    shop.sleep(7 * MINUTE)
    shop.tell("order.confirmed")
    shop.tell("cart.emptied")
    assert (shop.deal().status, shop.deal().value) == ("won", Decimal("1299.00"))


def test_an_order_of_nothing_is_won_and_worth_nothing(shop: Shop) -> None:
    """craftcms/commerce#996: the last product was removed before the payment."""
    shop.fill()
    shop.sleep(MINUTE)
    shop.tell("checkout.started")
    shop.sleep(MINUTE)
    shop.tell("cart.item_removed", line={"sku": "CHAIR"})
    shop.sleep(HOUR)
    shop.tell("order.confirmed", value="0.00", currency="EUR")
    assert (shop.deal().status, shop.deal().value) == ("won", 0)


def test_two_tellings_of_one_second_keep_the_order_that_the_source_numbers(shop: Shop) -> None:
    """Shopify/shopify-app-js#603: close pairs, and the first one arrives last."""
    told = shop.clock.now()
    shop.fill(at=told, seq=2, **cart(line(quantity=3)))
    shop.fill(at=told, seq=1, **cart(line(quantity=1)))
    assert [str(one.quantity) for one in shop.deal().cart] == ["3"]


# -- currencies ---------------------------------------------------------------------------------


def test_an_order_in_the_shops_currency_wins_a_cart_in_the_customers(shop: Shop) -> None:
    """microsoft/BCApps#4336."""
    shop.fill(**cart(line(price="1340.00"), currency="SEK"))
    shop.sleep(9 * MINUTE)
    shop.tell("order.confirmed", value="117.20", currency="EUR")
    shop.wait(4 * DAY)
    deal = shop.deal()
    assert (deal.status, deal.value, deal.currency) == ("won", Decimal("117.20"), "EUR")
    assert shop.reminders == []


def test_an_order_that_brings_its_lines_in_another_currency_is_worth_those(shop: Shop) -> None:
    """microsoft/BCApps#5596."""
    shop.fill(**cart(line(price="80.00"), currency="EUR"))
    shop.sleep(MINUTE)
    shop.tell("order.confirmed", **cart(line(price="935.00", quantity=2), currency="NOK"))
    deal = shop.deal()
    assert (deal.status, deal.value, deal.currency) == ("won", 1870, "NOK")


def test_carts_of_two_currencies_are_listed_apart_and_never_summed(shop: Shop) -> None:
    """PrestaShop/PrestaShop#15637."""
    shop.fill("a", **cart(line(price="30.00"), currency="EUR"))
    shop.fill("b", **cart(line(price="500.00"), currency="CZK"))
    totals = {(total.currency, total.value) for total in shop.board.summary() if total.count}
    assert totals == {("EUR", 30), ("CZK", 500)}


def test_a_customer_who_switches_the_currency_at_the_checkout_stays_there(shop: Shop) -> None:
    """solidusio/solidus#1515."""
    shop.fill()
    shop.sleep(MINUTE)
    shop.tell("checkout.started")
    shop.sleep(MINUTE)
    shop.fill(**cart(line(price="101.00"), currency="GBP"))
    deal = shop.deal()
    assert (deal.stage, deal.value, deal.currency) == ("order_review", 101, "GBP")


def test_a_shop_that_empties_the_cart_on_switching_fills_it_in_the_new_currency(shop: Shop) -> None:
    """solidusio/solidus#4012."""
    shop.fill()
    shop.sleep(MINUTE)
    shop.tell("cart.emptied")
    shop.sleep(MINUTE)
    shop.fill(**cart(line(price="131.00"), currency="USD"))
    deal = shop.deal()
    assert (deal.stage, deal.value, deal.currency) == ("quote_requested", 131, "USD")


def test_a_currency_that_is_switched_and_switched_back_ends_as_it_began(shop: Shop) -> None:
    """Automattic/woocommerce-payments#2001."""
    for price, currency in (("120.00", "EUR"), ("113.00", "CHF"), ("121.00", "EUR")):
        shop.fill(**cart(line(price=price), currency=currency))
        shop.sleep(MINUTE)
    shop.tell("order.confirmed", value="121.00", currency="EUR")
    deal = shop.deal()
    assert (deal.status, deal.value, deal.currency) == ("won", 121, "EUR")


def test_an_abandoned_cart_has_the_prices_of_the_currency_it_was_left_in(shop: Shop) -> None:
    """TycheSoftwares/woocommerce-abandoned-cart#639."""
    shop.fill()
    shop.sleep(MINUTE)
    shop.fill(**cart(line(price="113.00", quantity=2), currency="CHF"))
    shop.wait(3 * DAY)
    deal = shop.deal()
    assert (deal.stage, deal.value, deal.currency) == ("checkout_abandoned", 226, "CHF")
    assert shop.reminders == [("c", "cart-reminder")]


def test_one_line_in_another_currency_is_not_summed_with_the_others(shop: Shop) -> None:
    """scandipwa/scandipwa#908."""
    shop.fill()
    shop.sleep(MINUTE)
    shop.tell("cart.item_added", line=line("LAMP", "40.00"), currency="USD")
    deal = shop.deal()
    assert (deal.value, deal.currency) == (120, "EUR")
    assert len(deal.unread) == 1


# -- orders that are taken back -----------------------------------------------------------------


def test_an_order_that_the_shop_rolls_back_is_no_revenue(shop: Shop) -> None:
    """medusajs/medusa#15122: told too early, and compensated two seconds later."""
    shop.fill()
    shop.sleep(MINUTE)
    shop.tell("order.confirmed")
    shop.sleep(2 * SECOND)
    shop.tell("order.cancelled")
    assert shop.deal().status == "open"
    shop.wait(3 * DAY)
    assert shop.deal().stage == "checkout_abandoned"
    assert shop.reminders == [("c", "cart-reminder")]


def test_a_customer_who_turns_back_at_the_payment_and_then_pays_has_bought_once(shop: Shop) -> None:
    """paynl/magento2-plugin#199: the cart is active again, and the second try succeeds."""
    shop.fill()
    for kind in ("checkout.started", "order.confirmed", "order.cancelled"):
        shop.sleep(MINUTE)
        shop.tell(kind)
    shop.sleep(MINUTE)
    shop.fill()
    shop.tell("checkout.started")
    shop.sleep(MINUTE)
    shop.tell("order.confirmed")
    shop.wait(30 * DAY)
    assert (shop.deal().status, shop.deal().value) == ("won", 120)
    assert shop.reminders == []


def test_a_cart_that_is_restored_after_a_failed_payment_is_what_it_was(shop: Shop) -> None:
    """mollie/magento2#487."""
    shop.fill(**cart(line(quantity=2)))
    shop.sleep(MINUTE)
    shop.tell("order.confirmed")
    shop.sleep(MINUTE)
    shop.tell("order.cancelled")
    assert (shop.deal().stage, shop.deal().value) == ("quote_requested", 240)
    shop.sleep(MINUTE)
    shop.fill(**cart(line(quantity=2), line("LAMP", "40.00")))
    assert (shop.deal().stage, shop.deal().value) == ("quote_requested", 280)


def test_a_cancellation_that_arrives_before_its_order_still_follows_it(shop: Shop) -> None:
    """amzn/amazon-payments-magento-2-plugin#1120."""
    shop.fill()
    ordered = shop.clock.now() + MINUTE
    shop.sleep(HOUR)
    shop.tell("order.cancelled", at=ordered + 4 * SECOND)
    shop.tell("order.confirmed", at=ordered)
    assert shop.stages() == ["quote_requested", "order_confirmed", "quote_requested"]
    assert shop.deal().status == "open"


# -- nearest to money ---------------------------------------------------------------------------


def test_a_checkout_that_is_left_is_reminded_of(shop: Shop) -> None:
    """dotmailer/dotmailer-magento2-extension#582."""
    shop.fill()
    shop.sleep(MINUTE)
    shop.tell("checkout.started")
    shop.wait(3 * DAY)
    assert shop.reminders == [("c", "cart-reminder")]


def test_a_worker_that_slept_for_weeks_still_reminds_of_the_checkout(shop: Shop) -> None:
    """dotmailer/dotmailer-magento2-extension#582."""
    shop.fill()
    shop.tell("checkout.started")
    shop.sleep(25 * DAY)
    shop.wait(HOUR)
    assert shop.reminders[0] == ("c", "cart-reminder")


def test_an_unpaid_order_that_the_shop_cancels_by_itself_is_reminded_of(shop: Shop) -> None:
    """TycheSoftwares/woocommerce-abandoned-cart#625: the stock was held for an hour."""
    shop.fill()
    shop.tell("checkout.started")
    shop.sleep(2 * MINUTE)
    shop.tell("payment.failed")
    shop.sleep(HOUR)
    shop.tell("order.cancelled")
    shop.wait(3 * DAY)
    assert shop.reminders == [("c", "cart-reminder")]


def test_an_order_on_hold_whose_payment_fails_is_no_sale_and_reminded_of(shop: Shop) -> None:
    """TycheSoftwares/woocommerce-abandoned-cart#722."""
    shop.fill()
    shop.sleep(MINUTE)
    shop.tell("order.confirmed")
    shop.wait(DAY)
    shop.tell("payment.failed")
    assert shop.deal().status == "open"
    shop.wait(3 * DAY)
    assert shop.reminders == [("c", "cart-reminder")]


def test_a_failed_payment_after_which_nobody_returns_ends_as_abandoned(shop: Shop) -> None:
    """Sylius/Sylius#5382: the session is lost, and nothing is told any more."""
    shop.fill()
    shop.sleep(MINUTE)
    shop.tell("payment.failed")
    shop.wait(3 * DAY)
    assert shop.stages() == ["quote_requested", "order_review", "checkout_abandoned"]


# -- lines as they are sent ---------------------------------------------------------------------


def test_a_sku_on_the_first_and_the_third_line_is_two_pieces(shop: Shop) -> None:
    """magento/magento2#30342."""
    shop.fill(**cart(line("A", "10.00"), line("B", "5.00"), line("A", "10.00")))
    assert shop.deal().value == 25
    assert {one.sku: one.quantity for one in shop.deal().cart} == {"A": 2, "B": 1}


def test_a_cart_whose_api_does_not_merge_lines_is_worth_all_of_them(shop: Shop) -> None:
    """magento/magento2#32269."""
    shop.fill(**cart(*[line("A", "19.90")] * 3))
    assert shop.deal().value == Decimal("59.70")


def test_one_sku_at_two_prices_is_two_lines(shop: Shop) -> None:
    """ten24/slatwall#1925: the second is engraved."""
    shop.fill(**cart(line("RING", "50.00"), line("RING", "62.00")))
    assert [one.unit_price for one in shop.deal().cart] == [50, 62]
    assert shop.deal().value == 112


def test_a_sku_that_is_added_twice_is_two_pieces(shop: Shop) -> None:
    """productdevbook/tezgah#136."""
    for _ in range(2):
        shop.tell("cart.item_added", line=line("A", "10.00"), currency="EUR")
        shop.sleep(SECOND)
    assert (len(shop.deal().cart), shop.deal().value) == (1, 20)


def test_a_checkout_that_repeats_a_sku_is_taken_whole(shop: Shop) -> None:
    """Shopify's own sample of checkouts/create."""
    shop.fill(**cart(line("POD", "299.00"), line("POD", "299.00")))
    shop.tell("checkout.started")
    assert (shop.deal().stage, shop.deal().value) == ("order_review", 598)


def test_lines_without_a_sku_are_known_by_their_id_or_title(shop: Shop) -> None:
    """woocommerce/woocommerce-ios, Networking/NetworkingTests/Responses/order*.json."""
    shop.fill(
        **cart(
            {"id": 890, "sku": "", "title": "Fruits Basket", "quantity": 2, "unit_price": "30.00"},
            {"sku": None, "title": "Delivery", "quantity": 1, "unit_price": "7.00"},
            line(31, 10.799999999999999, 3),
        )
    )
    assert len(shop.deal().cart) == 3
    assert abs(shop.deal().value - Decimal("99.40")) < Decimal("0.0001")


def test_a_line_that_is_known_by_its_variant_is_taken(shop: Shop) -> None:
    """Shopify/shopify_python_api, test/fixtures/carts.json."""
    shop.fill(**cart({"variant_id": 4410, "sku": "", "quantity": 1, "unit_price": "25.00"}))
    assert (len(shop.deal().cart), shop.deal().value) == (1, 25)


# -- orders on their own ------------------------------------------------------------------------


def test_an_order_that_had_no_cart_is_worth_its_own_lines(shop: Shop) -> None:
    """Shopify's sample of orders/create, whose cart_token is null."""
    shop.tell("order.confirmed", "o", **cart(line("A", "60.00", 2)))
    deal = shop.deal("o")
    assert (deal.status, deal.value, deal.currency) == ("won", 120, "EUR")
    assert [one.quantity for one in deal.cart] == [2]


def test_a_renewal_of_a_subscription_is_a_deal_of_its_own(shop: Shop) -> None:
    """woocommerce/woocommerce-ios, order-with-subscription-renewal.json."""
    for month in ("2026-01", "2026-02"):
        shop.tell("order.confirmed", f"renewal-{month}", **cart(line("PLAN", "14.00")))
        shop.wait(31 * DAY)
    won = shop.board.deals(status="won")
    assert sorted((deal.id, deal.value) for deal in won) == [
        ("renewal-2026-01", 14),
        ("renewal-2026-02", 14),
    ]
    assert len(shop.thanks) == 2


def test_an_order_that_was_taken_by_telephone_wins_without_a_cart(shop: Shop) -> None:
    """TycheSoftwares/woocommerce-abandoned-cart#104."""
    shop.tell("order.confirmed", "o", value="75.00", currency="EUR")
    shop.wait(5 * DAY)
    assert (shop.deal("o").status, shop.deal("o").value) == ("won", 75)
    assert shop.reminders == []


def test_a_total_of_the_checkout_gives_way_to_the_cart_that_changes_later(shop: Shop) -> None:
    """Shopify's sample of checkouts/update, with tax and shipping, and carts/update without."""
    shop.fill(**cart(line(quantity=4)))
    shop.sleep(MINUTE)
    shop.tell("checkout.started", value="519.80", currency="EUR")
    assert shop.deal().value == Decimal("519.80")
    shop.sleep(MINUTE)
    shop.fill(**cart(line(quantity=1)))
    assert shop.deal().value == 120
    shop.sleep(MINUTE)
    shop.tell("cart.emptied")
    assert (shop.deal().stage, shop.deal().value) == ("cart_parked", 0)


# -- less than nothing --------------------------------------------------------------------------


def test_a_negative_quantity_lowers_no_total(shop: Shop) -> None:
    """medusajs/medusa#13504."""
    shop.fill(**cart(line(), line("LAMP", "40.00", -2)))
    assert shop.deal().value == 120
    assert [one.sku for one in shop.deal().cart] == ["CHAIR"]


def test_a_line_that_a_discount_pushes_below_zero_is_taken(shop: Shop) -> None:
    """mollie/WooCommerce#1293: a cent that rounding has left over."""
    shop.fill(**cart(line(), line("COUPON", "-0.01")))
    assert shop.deal().value == Decimal("119.99")


def test_a_negative_fee_is_a_discount(shop: Shop) -> None:
    """mollie/WooCommerce#1011."""
    shop.fill(**cart(line(), line("LOYALTY", "-12.00")))
    shop.tell("checkout.started")
    shop.sleep(MINUTE)
    shop.tell("order.confirmed")
    assert (shop.deal().status, shop.deal().value) == ("won", 108)


def test_a_line_of_less_than_no_pieces_sells_nothing(shop: Shop) -> None:
    """duncanmcclean/simple-commerce#354."""
    shop.fill(**cart(line("A", "10.00", 2), line("B", "10.00", "-1")))
    shop.tell("order.confirmed")
    assert (shop.deal().value, len(shop.deal().cart)) == (20, 1)


def test_whoever_leaves_an_empty_cart_is_not_reminded(shop: Shop) -> None:
    """matomo-org/matomo#20315."""
    shop.fill()
    shop.sleep(MINUTE)
    shop.tell("cart.item_removed", line={"sku": "CHAIR"})
    shop.wait(30 * DAY)
    assert (shop.deal().stage, shop.mails) == ("cart_parked", [])


# -- names as people write them -----------------------------------------------------------------


def is_kept_and_mailed(shop: Shop, title: str) -> None:
    shop.fill(**cart(line() | {"title": title}))
    shop.wait(3 * DAY)
    assert [one.title for one in shop.deal().cart] == [title]
    assert shop.reminders == [("c", "cart-reminder")]


def test_a_title_in_cyrillic_with_markup_is_kept_to_the_letter(shop: Shop) -> None:
    """magento/magento2#12058."""
    is_kept_and_mailed(shop, "Мяч 🏀 <b>№ 5</b> & Co")


def test_a_title_with_emoji_is_kept_to_the_letter(shop: Shop) -> None:
    """craftcms/commerce#886."""
    is_kept_and_mailed(shop, "Kissen „Wölkchen“ ☁️")


def test_a_title_from_right_to_left_is_kept_to_the_letter(shop: Shop) -> None:
    """TycheSoftwares/woocommerce-abandoned-cart#305."""
    is_kept_and_mailed(shop, "كرسي ﷽ 👩🏽‍🚀")


# -- building on it -----------------------------------------------------------------------------


def test_one_rule_more_loses_no_mail(store: Any) -> None:
    """A developer who read that the ready ladders may be extended."""
    base = templates.sales_management("en")
    returned = on(
        "order.returned", into=base.stage("cart_parked"), out_of=base.stage("order_confirmed")
    )
    shop = Shop(store, base.extended(rules=[returned]))
    shop.fill()
    shop.wait(3 * DAY)
    assert shop.reminders == [("c", "cart-reminder")]
    rebuilt = Pipeline(base.name, stages=base.stages, rules=[*base.rules, returned])
    assert "L009" in {finding.code for finding in rebuilt.check()}

"""Carts that were left, and what brings them back: python examples/bring_customers_back.py

A shop reminds with a link to the very cart, gives a coupon in the last mail, lets people out with
one click, tells another system of every move, and looks at what it was worth. Nothing leaves this
machine: mails go to a list, and the links are opened as a browser would.
"""

from __future__ import annotations

import re
from email.message import EmailMessage

import httpx

from ladderpipe import ANY, Board, Event, ManualClock, Pipeline, Stage, after, do, insight, on, wait
from ladderpipe.connect import Receiver, RestoreLink, UnsubscribeLink
from ladderpipe.mail import Coupon, Coupons, MailThrough
from ladderpipe.policy import Policy, bought, unsubscribed

HOOKS = "https://hooks.shop.example"
SECRETS = ["in earnest, a long random text from the environment"]


def ladder(coupons: Coupons) -> Pipeline:
    """Return the shop's ladder: filled, left with two mails, in checkout, paid."""
    filled, checkout, paid = Stage("filled"), Stage("checkout"), Stage("paid", status="won")
    left = Stage(
        "left",
        status="abandoned",
        sequence=[
            do("email", template="cart-reminder", to="customer"),
            wait(days=2),
            do("email", template="cart-last-reminder", to="customer", coupon="10%"),
        ],
    )
    pipeline = Pipeline(
        "shop",
        stages=[filled, left, checkout, paid],
        rules=[
            on("order.confirmed", into=paid, out_of=ANY),
            on("checkout.started", into=checkout),
            on("cart.item_added", into=filled, out_of=[left], opens=True),
            after(hours=48, out_of=filled, into=left),
        ],
        send=Policy(stop_when=[bought, unsubscribed]),
    )
    coupons.lapse_on_leaving(pipeline, [left], good_in=[checkout])
    return pipeline


class CouponShop:
    """The shop's coupons, by the key that asks for them."""

    def __init__(self) -> None:
        self.codes: dict[str, str] = {}
        self.revoked: list[str] = []

    def issue(self, coupon: Coupon) -> str:
        return self.codes.setdefault(coupon.key, f"SAVE-{len(self.codes) + 1}")

    def revoke(self, coupon: Coupon) -> None:
        self.revoked.append(str(coupon.code))


def link_in(mail: EmailMessage, page: str) -> str:
    """Return the link of a mail that leads to a page of the receiver."""
    text = mail.get_body(["plain"])
    assert text is not None
    (link,) = re.findall(rf"{HOOKS}/{page}\S+", text.get_content())
    return str(link)


def main() -> None:
    """Live through a week of the shop."""
    clock, codes = ManualClock("2026-01-05T09:00:00Z"), CouponShop()
    coupons = Coupons(issue=codes.issue, revoke=codes.revoke)
    board = Board(ladder(coupons), clock=clock)
    cart_page = "https://shop.example/cart?token={token}"
    restore = RestoreLink(f"{HOOKS}/cart", secrets=SECRETS, to=cart_page, clock=clock)
    unsubscribe = UnsubscribeLink(f"{HOOKS}/unsubscribe", secrets=SECRETS, clock=clock)
    mails: list[EmailMessage] = []
    mailer = MailThrough(
        mails.append,
        sender="Shop <shop@shop.example>",
        language="en",
        link=restore.link,
        unsubscribe=unsubscribe.link,
        clock=clock,
    )
    coupons.handle(board, "email", mailer)
    receiver = Receiver(board, {"/cart": restore, "/unsubscribe": unsubscribe})
    browser = httpx.Client(transport=httpx.WSGITransport(app=receiver.wsgi))

    def tell(kind: str, cart: str, **data: object) -> None:
        at = clock.now()
        board.handle(Event(kind, deal=cart, id=f"{kind} {cart}", at=at, data=data))

    def work(**later: int) -> None:
        clock.advance(**later)
        board.tick()
        board.deliver()

    for cart, name in (("cart-1", "ada"), ("cart-2", "bruno"), ("cart-3", "carla")):
        line = {"sku": "NB", "title": "Notebook", "quantity": 1, "unit_price": "899.00"}
        contact = {"name": name.title(), "email": f"{name}@example.com"}
        tell("cart.item_added", cart, line=line, currency="EUR", contact=contact)
    work(hours=49)
    print(f"{len(mails)} reminders")
    by_name = {str(mail["To"]).split()[0]: mail for mail in mails}

    answer = browser.get(link_in(by_name["Ada"], "cart"))
    print(f"Ada clicks and is led to {answer.headers['location'][:33]}…")
    work(hours=1)
    tell("checkout.started", "cart-1")
    tell("order.confirmed", "cart-1")

    way_out = str(by_name["Bruno"]["List-Unsubscribe"]).strip("<>")
    print(f"Bruno's mail scanner opens the way out: {browser.get(way_out).status_code}")
    print(f"Bruno has had enough: {browser.post(way_out).status_code}")

    work(days=2)
    last = mails[-1]
    print(f"{len(mails) - 3} more mail, to {last['To']}, with {', '.join(codes.codes.values())}")
    browser.get(link_in(last, "cart"))
    work(hours=2)
    tell("checkout.started", "cart-3")
    work(hours=1)
    tell("order.confirmed", "cart-3")
    work(minutes=5)
    print(f"revoked after the order: {', '.join(codes.revoked)}")

    published: list[dict[str, object]] = []
    board.publish(published.append)
    print(f"{len(published)} moves told to other systems")
    report = insight.recovered_revenue(board)
    for template, deals, value in report.table.select("template", "deals", "value").iter_rows():
        print(f"recovered by {template}: {deals} order of {value:.2f}")


if __name__ == "__main__":
    main()

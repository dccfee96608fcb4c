"""What every store must keep of customers, and what a send policy asks it at the claim."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from ladderpipe import (
    ANY,
    Board,
    Delivery,
    EffectState,
    Outcome,
    Pipeline,
    Stage,
    after,
    by_hand,
    do,
    on,
)
from ladderpipe.policy import Policy, at_most, bought, in_conversation, unsubscribed

from .shop import Shop, same

__all__ = ["CUSTOMERS"]

ADA: Final = "ada@example.com"
BOB: Final = "bob@example.com"
CY: Final = "cy@example.com"
A_WHILE: Final = 0.2
"""Seconds in which whoever is kept waiting does not go on."""


def carts(send: Policy | None, name: str = "carts") -> Pipeline:
    """Return a ladder of carts whose customers are reminded after 48 hours."""
    filled, gone = Stage("filled"), Stage("gone", status="lost")
    left = Stage("left", status="abandoned", sequence=[do("remind", to="customer")])
    thanks = do("thank", to="customer", purpose="transactional")
    paid = Stage("paid", status="won", sequence=[thanks])
    return Pipeline(
        name,
        stages=[filled, left, paid, gone],
        rules=[
            on("order", into=paid, out_of=ANY, opens=True),
            on("cart", into=filled, out_of=left, opens=True),
            after(hours=48, out_of=filled, into=left),
            by_hand(into=gone),
        ],
        send=send,
    )


class _Carts:
    """A shop of carts, and what it sent to whom, in the order of sending."""

    def __init__(self, shop: Shop, send: Policy | None = None, name: str = "carts") -> None:
        self._shop = shop
        self.board = shop.board = shop.open(carts(send, name))
        self.sent: list[str] = []
        for effect in ("remind", "thank"):
            self.board.handle_effect(effect, self._note)

    def _note(self, delivery: Delivery) -> None:
        self.sent.append(delivery.deal.id)

    def tell(self, kind: str, deal: str, email: str = ADA, hours: float = 0) -> Outcome:
        """Tell of somebody's cart or order."""
        return self._shop.handle(kind, deal, hours, data={"contact": {"email": email}})

    def work(self, hours: float = 0) -> None:
        """Let time pass, then sweep and deliver."""
        self._shop.clock.advance(hours=hours)
        self.board.tick()
        self.board.deliver()

    def why(self, deal: str) -> str:
        """Return the last decision about a deal's reminder."""
        (effect,) = (each for each in self.board.effects(deal) if each.name == "remind")
        return str(effect.decisions[-1])


def found(board: Board, key: str) -> list[str]:
    """Return the deals of a customer."""
    return [deal.id for deal in board.customer(key)]


def _finds_customers(shop: Shop) -> None:
    """Deals are found under the keys that their data holds now, each once, and under no others."""
    one = _Carts(shop)
    for deal, email in (("a", "Ada@Example.com"), ("b", ADA), ("c", BOB), ("b", ADA)):
        one.tell("cart", deal, email)
    same([found(one.board, who) for who in (ADA, BOB)], [["a", "b"], ["c"]], "their deals")
    one.tell("cart", "a", BOB, hours=1)
    same([found(one.board, who) for who in (ADA, BOB)], [["b"], ["a", "c"]], "deals after a change")
    other = _Carts(shop, name="others")
    other.tell("cart", "d", hours=1)
    same(found(one.board, ADA), ["b"], "deals of one pipeline")
    keys = [f"email:{ADA}", f"email:{BOB}", "email:nobody"]
    with shop.store.transaction(write=False) as transaction:
        deals = transaction.deals_of_customer(keys, 10)
        first = transaction.deals_of_customer(keys, 1)
    told = sorted((deal.key, deal.deal, deal.stage, deal.closed_at) for deal in deals)
    expected = [(0, "b"), (0, "d"), (1, "a"), (1, "c")]
    same(told, [(keys[n], d, "filled", None) for n, d in expected], "the deals of all pipelines")
    same(sorted(deal.key for deal in first), keys[:2], "the first deal of each key")
    one.board.forget(email=BOB)
    same((found(one.board, BOB), found(one.board, ADA)), ([], ["b"]), "deals of a forgotten person")


def _counts_crowds(shop: Shop) -> None:
    """A key that more than 200 deals hold is counted, until fewer do."""
    one = _Carts(shop)
    events = [
        shop.event("order", f"d{n}", data={"contact": {"email": "till@example.com"}})
        for n in range(201)
    ]
    one.board.handle_many(events)

    def crowds() -> int:
        with shop.store.transaction(write=False) as transaction:
            return transaction.count_crowds(one.board._session.number)

    same(crowds(), 1, "the keys of crowds")
    one.tell("order", "d0", ADA, hours=1)
    same(crowds(), 0, "the keys of crowds once one deal fewer holds it")


def _waits_for_an_address(shop: Shop) -> None:
    """What has no address waits without being asked about, and goes out once there is one."""
    one = _Carts(shop)
    shop.handle("order", "a")
    one.work()
    same((one.sent, shop.states("a")), ([], {"thank": "waiting"}), "an effect without an address")
    same(one.board.health().findings != (), True, "whether anything is found")
    one.work(hours=24)
    same(shop.states("a"), {"thank": "waiting"}, "an effect that nobody woke")
    one.tell("told", "a", hours=25)
    one.work()
    same((one.sent, shop.states("a")), (["a"], {"thank": "delivered"}), "an effect with an address")


def _stops_for_a_purchase(shop: Shop) -> None:
    """Who bought with any cart, in any pipeline that is named, is not reminded of another."""
    other = _Carts(shop, name="others")
    one = _Carts(shop, Policy(stop_when=[bought("carts", "others")]))
    for deal, email in (("a", ADA), ("b", BOB), ("c", CY)):
        one.tell("cart", deal, email)
    one.tell("order", "of Ada", ADA, hours=1)
    shop.board = other.board
    other.tell("order", "of Bob", BOB, hours=2)
    one.work(hours=50)
    same(sorted(one.sent), ["c", "of Ada"], "what was sent")
    same(one.why("a"), "dropped: bought with 'of Ada'", "why it was not sent")
    same(one.why("b"), "dropped: bought with 'of Bob'", "why it was not sent")
    (sent,) = one.board.effects("c")
    same((sent.state, len(sent.decisions)), (EffectState.DELIVERED, 1), "what was decided on")


def _remembers_who_unsubscribed(shop: Shop) -> None:
    """Of what was said of an address the later counts, unless withdrawn; it outlives the deal."""
    one = _Carts(shop, Policy(stop_when=[unsubscribed]))
    mistake = shop.event("contact.unsubscribed", "z", data={"contact": {"email": CY}})
    one.board.handle(mistake)
    one.board.withdraw(mistake, by="Bea", reason="of somebody else")
    one.tell("contact.subscribed", "x", hours=2)
    one.tell("contact.unsubscribed", "x", hours=1)
    one.tell("contact.unsubscribed", "y", BOB, hours=2)
    one.board.forget(email=BOB)
    for deal, email in (("a", ADA), ("b", BOB), ("c", CY)):
        one.tell("cart", deal, email, hours=3)
    one.work(hours=50)
    same(sorted(one.sent), ["a", "c"], "what was sent")
    same(one.why("b"), "dropped: unsubscribed", "why it was not sent")


def _knows_of_hands(shop: Shop) -> None:
    """A hand on one deal of a customer silences what the visits before it ask for."""
    one = _Carts(shop, Policy(stop_when=[in_conversation]))
    for deal, email in (("a", ADA), ("b", ADA), ("c", BOB)):
        one.tell("cart", deal, email)
    shop.clock.advance(hours=49)
    one.board.tick()
    one.board.move("b", "gone", by="Bea")
    one.work()
    same(one.sent, ["c"], "what was sent")
    same(one.why("a"), "dropped: in conversation: by hand on 'b'", "why it was not sent")


def _counts_what_was_sent(shop: Shop) -> None:
    """Caps count marketing to one address over all pipelines, and of the rest the newest goes."""
    other = _Carts(shop, Policy(caps=[at_most(1, hours=24)]), "others")
    other.tell("cart", "elsewhere", BOB)
    one = _Carts(shop, Policy(caps=[at_most(1, hours=24)]))
    one.tell("order", "thanked")
    for number, deal in enumerate("abc"):
        one.tell("cart", deal, hours=number / 60)
    one.tell("cart", "d", BOB, hours=3 / 60)
    shop.clock.advance(hours=48)
    other.work()
    one.work()
    same(one.sent, ["thanked", "a"], "what goes out at once")
    same(one.why("c").startswith("delayed until "), True, "whether the newest one is delayed")
    same(shop.states("c"), {"remind": "pending"}, "the state of what is delayed")
    one.work(hours=23)
    same(one.sent, ["thanked", "a"], "what goes out in the time of the cap")
    one.work(hours=2)
    same(sorted(one.sent[2:]), ["c", "d"], "what goes out after it")
    same(one.why("b"), "dropped: a newer one goes to the same address", "why it was not sent")


def _keeps_arms(shop: Shop) -> None:
    """The arm of a customer that was noted first stays, and since when."""
    with shop.store.transaction() as transaction:
        transaction.note_arm(["1", "2"], "sent", shop.clock.now())
    first = shop.clock.now()
    shop.clock.advance(hours=1)
    with shop.store.transaction() as transaction:
        transaction.note_arm(["2", "3"], "held_out", shop.clock.now())
    with shop.store.transaction(write=False) as transaction:
        arms = transaction.arms(["1", "2", "3", "4"])
    expected = {"1": ("sent", first), "2": ("sent", first), "3": ("held_out", shop.clock.now())}
    same(dict(arms), expected, "the arms")


def _waits_for_what_is_held(shop: Shop) -> None:
    """While an event that may be about a customer is held, the customer is not reminded."""
    one = _Carts(shop, Policy(stop_when=[bought]))
    for deal, email in (("a", ADA), ("b", BOB)):
        one.tell("cart", deal, email)
    shop.handle("told", "x", id="taken")
    order = shop.event("order", "y", id="taken", data={"contact": {"email": ADA}})
    same(one.board.handle(order, hold=True).outcome, Outcome.HELD, "an identity that is taken")
    one.work(hours=49)
    same(one.sent, ["b"], "what was sent")
    (held,) = one.board.held()
    one.board.discard(held, by="Bea", reason="a test of the till")
    one.work(hours=1)
    same(one.sent, ["b", "a"], "what was sent once it was put aside")


def _decides_about_a_customer_at_one_place(shop: Shop) -> None:
    """While one transaction is at a customer, no claim and no purchase of theirs is committed."""
    one = _Carts(shop, Policy(caps=[at_most(1, hours=24)]))
    for deal in "ab":
        one.tell("cart", deal)
    shop.clock.advance(hours=49)
    one.board.tick()
    errors: list[BaseException] = []
    done: list[str] = []

    def apart(name: str, work: Callable[[], object]) -> threading.Thread:
        def run() -> None:
            try:
                work()
                done.append(name)
            except BaseException as error:
                errors.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    order = shop.event("order", "c", 49, data={"contact": {"email": ADA}})
    with shop.store.transaction() as transaction:
        key = f"email:{ADA}"
        same(transaction.lock_customers([key], wait=True), True, "whether the lock was had")
        same(transaction.lock_customers([key], wait=False), True, "whether it is had once more")
        threads = [
            apart("delivered", one.board.deliver),
            apart("bought", lambda: one.board.handle(order)),
        ]
        for thread in threads:
            thread.join(A_WHILE)
        same((one.sent, "bought" in done), ([], False), "what was done about a locked customer")
    for thread in threads:
        thread.join()
    same(errors, [], "what the threads raised")
    threads = [apart("delivered", one.board.deliver) for _ in range(4)]
    for thread in threads:
        thread.join()
    same(errors, [], "what the threads raised")
    one.work()
    same(sorted(one.sent), sorted([*{"a", "b"}.intersection(one.sent), "c"]), "what was sent")
    same(len(one.sent), 2, "mails to a customer who is sent one reminder and one thank-you")


CUSTOMERS: Final[tuple[Callable[[Shop], None], ...]] = (
    _finds_customers,
    _counts_crowds,
    _waits_for_an_address,
    _stops_for_a_purchase,
    _remembers_who_unsubscribed,
    _knows_of_hands,
    _counts_what_was_sent,
    _keeps_arms,
    _waits_for_what_is_held,
    _decides_about_a_customer_at_one_place,
)

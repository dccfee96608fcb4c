"""Who asks the shop hears what no webhook told, and nothing twice."""

from __future__ import annotations

import datetime as dt
import itertools
import threading
from collections.abc import Callable, Container, Iterator
from pathlib import Path
from typing import Any, Final, Protocol

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ladderpipe import AsyncBoard, Board, Event, ManualClock
from ladderpipe.connect import (
    CloudEvents,
    Receiver,
    Reconciled,
    Reconciler,
    Shopify,
    StandardWebhooks,
    Stripe,
    Unreachable,
    WooCommerce,
)
from ladderpipe.errors import DefinitionError
from ladderpipe.templates import sales_management

from .senders import NOW, SECRET
from .simulated_shops import (
    KINDS,
    STATES,
    SimulatedShop,
    SimulatedShopify,
    SimulatedStripe,
    SimulatedWooCommerce,
    serving,
)
from .test_receiver import over_wsgi

DAY: Final = dt.timedelta(days=1)
MORNING: Final = NOW - DAY
KIND: Final = pytest.mark.parametrize("kind", KINDS)


class Street:
    """Shops at an address of the network."""

    def __init__(self, shops: dict[str, SimulatedShop], url: str) -> None:
        self.shops, self.url, self.numbers = shops, url, itertools.count()

    def opens(self, kind: Callable[[], SimulatedShop]) -> tuple[SimulatedShop, str]:
        name = f"shop{next(self.numbers)}"
        self.shops[name] = shop = kind()
        return shop, f"{self.url}/{name}"


@pytest.fixture(scope="module")
def street() -> Iterator[Street]:
    shops: dict[str, SimulatedShop] = {}
    with serving(shops) as url:
        yield Street(shops, url)


@attrs.define
class Listener:
    """A board that a shop tells, and that may ask it."""

    shop: SimulatedShop
    url: str
    clock: ManualClock = attrs.field(factory=lambda: ManualClock(MORNING))
    board: Board = attrs.field(init=False)
    receiver: Receiver = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.board = Board(sales_management(language="en"), clock=self.clock)
        self.receiver = Receiver(self.board, {"/shop": self.connector})

    @property
    def connector(self) -> Any:
        return self.shop.connector(self.url, self.clock)

    def hears(self, told: Any) -> None:
        delivery = self.shop.signed(told, self.clock.now())
        assert over_wsgi(self.receiver, "POST", "/shop", delivery).status == 200

    def asks(self, since: dt.datetime = MORNING) -> Reconciled:
        found = Reconciler(self.board, {"shop": self.connector}).once(since)
        assert not found.failed
        return found

    def seen(self, known: Container[str] | None = None) -> dict[str, Any]:
        """Return where each deal stands, and what it is worth.

        Args:
            known: deals to somebody else; without them, carts that hold nothing are left out. Who
                has never heard of a cart while it held something has nothing to do with it.
        """
        return {
            deal.id: (deal.stage, deal.status, deal.value, deal.currency, deal.cart, deal.contact)
            for deal in self.board.deals()
            if known is None or deal.cart or deal.id in known
        }


class Told(Protocol):
    """Whoever has a board."""

    board: Board


def tell_own_carts(shop: SimulatedShop, *listeners: Told) -> None:
    """Let a shop that has Stripe for its payments tell of its carts itself."""
    if not isinstance(shop, SimulatedStripe):
        return
    for order in shop.orders.values():
        lines = [
            {"sku": sku, "quantity": quantity, "unit_price": "10.00"}
            for sku, quantity in order.lines.items()
        ]
        told = [("cart.updated", order.made, {"cart": {"currency": "EUR", "lines": lines}})]
        if (at := order.when("checkout")) is not None:
            told.append(("checkout.started", at, {}))
        for (type, at, data), listener in itertools.product(told, listeners):
            event = Event(
                type, deal=f"cart-{order.number}", id=f"{type}:{order.number}", at=at, data=data
            )
            listener.board.handle(event)


ACTIONS: Final = st.lists(
    st.tuples(
        st.sampled_from([*STATES, "fill", "check out", "buy"]),
        st.integers(0, 4),
        st.integers(1, 9),
        st.integers(1, 40),
    ),
    min_size=1,
    max_size=35,
)
"""What is done, to which order, how many, and how many minutes after the last thing."""


@KIND
@settings(max_examples=40)
@given(actions=ACTIONS, copies=st.lists(st.integers(0, 30), max_size=20))
def test_after_a_day_of_lost_doubled_and_mixed_up_webhooks_the_board_is_as_if_it_had_heard_all(
    kind: type[SimulatedShop], street: Street, actions: list[Any], copies: list[int]
) -> None:
    shop, url = street.opens(kind)
    heard, missed = Listener(shop, url), Listener(shop, url)
    with heard.board, missed.board:
        at = MORNING
        for action, number, quantity, minutes in actions:
            at += dt.timedelta(minutes=minutes)
            shop.do(action, number, at, quantity)
        for sent, told in shop.deliveries:
            heard.clock.set(max(sent, heard.clock.now()))
            heard.hears(told)
        for listener in (heard, missed):
            listener.clock.set(NOW)
        tell_own_carts(shop, heard, missed)
        # Some are lost, some come twice, and each at any time.
        for place in copies if shop.deliveries else ():
            missed.hears(shop.deliveries[place % len(shop.deliveries)][1])
        missed.asks()
        known = missed.seen()
        assert known == heard.seen(known)
        assert missed.board.held() == []

        before = {deal: missed.board.events(deal) for deal in known}
        for _, told in shop.deliveries:
            missed.hears(told)
        missed.asks()
        assert missed.seen() == heard.seen()
        for deal, events in before.items():
            kept = [event for event in missed.board.events(deal) if event in events]
            assert kept == events, "what is told again is the same"

        for listener in (heard, missed):
            listener.clock.advance(days=5)
            listener.board.tick()
        assert missed.seen() == heard.seen()


def day_of(shop: SimulatedShop) -> None:
    """Let a cart be left, one be bought, and one be bought and given back."""
    for number, actions in enumerate(
        [("fill",), ("fill", "check out", "buy"), ("fill", "check out", "buy", "refund")]
    ):
        for minutes, action in enumerate(actions, 1):
            shop.do(action, number, MORNING + dt.timedelta(minutes=minutes), 3)


@KIND
def test_what_is_asked_for_twice_is_told_once(kind: type[SimulatedShop], street: Street) -> None:
    shop, url = street.opens(kind)
    day_of(shop)
    listener = Listener(shop, url, ManualClock(NOW))
    with listener.board:
        tell_own_carts(shop, listener)
        listener.asks()
        before = {deal: listener.board.events(deal) for deal in listener.seen()}
        assert len(before) == 3
        again = listener.asks()
        assert set(again.taken["shop"]) <= {"duplicate", "unchanged"}
        assert before == {deal: listener.board.events(deal) for deal in listener.seen()}


@KIND
def test_a_shop_that_is_busy_is_asked_again_after_the_time_that_it_says(
    kind: type[SimulatedShop], street: Street
) -> None:
    shop, url = street.opens(kind)
    day_of(shop)
    shop.troubles = [429, 503, 500]
    waited: list[float] = []
    connector: Any = shop.connector(url, ManualClock(NOW))
    assert list(connector.reconcile(MORNING, waited.append))
    assert waited == [3.0, 4.0, 8.0]


def test_a_shop_that_stays_away_is_left_alone_after_five_tries(street: Street) -> None:
    shop, url = street.opens(SimulatedShopify)
    shop.troubles = [502] * 9
    waited: list[float] = []
    connector: Any = shop.connector(url, ManualClock(NOW))
    with pytest.raises(Unreachable, match="answered 502, 5 times"):
        list(connector.reconcile(MORNING, waited.append))
    assert (len(waited), len(shop.troubles)) == (4, 4)


def test_nobody_who_is_there_is_asked_as_patiently(street: Street) -> None:
    shop = Shopify(secrets=[SECRET], shop="x.myshopify.com", token="t", url="http://127.0.0.1:9")
    waited: list[float] = []
    with pytest.raises(Unreachable, match="did not answer"):
        list(shop.reconcile(MORNING, waited.append))
    assert len(waited) == 4


@KIND
def test_a_wrong_token_is_not_tried_again(kind: type[SimulatedShop], street: Street) -> None:
    shop, url = street.opens(kind)
    shop.troubles = [403]
    connector: Any = shop.connector(url, ManualClock(NOW))

    def wait(seconds: float) -> None:
        raise AssertionError("nothing gets better by waiting")

    with pytest.raises(Unreachable, match="answered 403: look whether the token"):
        list(connector.reconcile(MORNING, wait))


def test_one_shop_that_fails_keeps_no_other_from_being_heard(street: Street) -> None:
    (broken, one), (open_, other) = (street.opens(SimulatedWooCommerce) for _ in range(2))
    day_of(broken)
    day_of(open_)
    broken.troubles = [404]
    clock = ManualClock(NOW)
    with Board(sales_management(language="en"), clock=clock) as board:
        connectors: Any = {
            "broken": WooCommerce(secrets=["s"], shop="a", url=one, token=("ck", "cs")),
            "open": WooCommerce(secrets=["s"], shop="b", url=other, token=("ck", "cs")),
        }
        reconciler = Reconciler(board, connectors)
        told = reconciler.once()
        assert isinstance(told.failed["broken"], Unreachable)
        assert {deal.id[0] for deal in board.deals()} == {"b"}

        # A day later it is asked for what it could not say, though that is longer ago.
        clock.advance(days=1)
        assert reconciler.once().failed == {}
        assert {deal.id[0] for deal in board.deals()} == {"a", "b"}


def test_pages_are_turned_though_one_second_fills_several(street: Street) -> None:
    shop, url = street.opens(SimulatedWooCommerce)
    busy = MORNING + dt.timedelta(minutes=5)
    for number in range(430):
        at = busy if 60 <= number < 390 else MORNING + dt.timedelta(seconds=number)
        shop.do("fill", number, at, 1)
    listener = Listener(shop, url, ManualClock(NOW))
    with listener.board:
        listener.asks()
        assert len(listener.seen()) == 430


def test_one_order_that_cannot_be_read_keeps_none_of_the_others_back(street: Street) -> None:
    class Odd(SimulatedShopify):
        def checkout(self, order: Any) -> Any:
            odd: dict[str, Any] = {"cart_token": None, "token": None} if order.number == 1 else {}
            return super().checkout(order) | odd

    shop, url = street.opens(Odd)
    for number in range(3):
        shop.do("fill", number, MORNING, 1)
    listener = Listener(shop, url, ManualClock(NOW))
    with listener.board:
        listener.asks()
        assert len(listener.seen()) == 2


@pytest.mark.parametrize(
    ("status", "paid", "stages"),
    [
        ("cancelled", "2026-01-04T10:00:00", ["order_confirmed", "quote_requested"]),
        ("trash", "2026-01-04T10:00:00", ["order_confirmed", "quote_requested"]),
        ("refunded", "2026-01-04T10:00:00", ["order_confirmed", "refunded"]),
        ("cancelled", None, ["quote_requested", "order_review"]),
        ("refunded", None, ["order_confirmed", "refunded"]),
    ],
)
def test_who_hears_only_of_the_end_hears_what_was_before(
    street: Street, status: str, paid: str | None, stages: list[str]
) -> None:
    class Ended(SimulatedWooCommerce):
        def order(self, order: Any) -> Any:
            return super().order(order) | {"status": status, "date_paid_gmt": paid}

    shop, url = street.opens(Ended)
    for hours in (0, 2):
        shop.do("fill", 1, MORNING + dt.timedelta(hours=hours), 3)
    listener = Listener(shop, url, ManualClock(NOW))
    with listener.board:
        listener.asks()
        visits = listener.board.history("shop.example/order:1").visits
        assert [visit.stage for visit in visits] == stages


@pytest.mark.parametrize(
    ("make", "missing"),
    [
        (lambda: Shopify(secrets=["s"], shop="x.myshopify.com"), "token"),
        (lambda: Shopify(secrets=["s"], token="t"), "shop"),
        (lambda: Shopify(secrets=["s"], shop="x", token=""), "token"),
        (lambda: Shopify(secrets=["s"], shop="x", token="t", url="http://x"), "https"),
        (lambda: Shopify(secrets=["s"], shop="x", token="t", url="x.example"), "https"),
        (lambda: WooCommerce(secrets=["s"], token=("ck", "cs")), "address"),
        (lambda: WooCommerce(secrets=["s"], url="https://x", token=("ck", "")), "key"),
        (lambda: Stripe(secrets=["s"]), "key"),
        (lambda: StandardWebhooks(secrets=[SECRET]), "url"),
        (lambda: CloudEvents(secrets=["s"], by="bearer"), "no API"),
    ],
)
def test_who_cannot_ask_says_so_when_it_is_set_up(make: Any, missing: str) -> None:
    with (
        Board(sales_management(language="en")) as board,
        pytest.raises(DefinitionError, match=missing),
    ):
        Reconciler(board, {"shop": make()})


def test_a_token_is_in_no_text_of_an_error(street: Street) -> None:
    shop, url = street.opens(SimulatedStripe)
    shop.troubles = [401]
    with pytest.raises(Unreachable) as caught:
        list(Stripe(secrets=["s"], token="rk_very_secret", url=url).reconcile(MORNING))
    assert "very_secret" not in str(caught.value)


def test_an_asynchronous_board_is_none_to_ask_for() -> None:
    board: Any = AsyncBoard(sales_management(language="en"))
    with pytest.raises(DefinitionError, match="Board of its own"):
        Reconciler(board, {})


def test_a_worker_asks_as_long_as_it_works(street: Street, tmp_path: Path) -> None:
    shop, url = street.opens(SimulatedShopify)
    shop.troubles = [404]
    day_of(shop)
    ladder = sales_management(language="en")
    with Board.open(ladder, f"sqlite:///{tmp_path}/shop.db", clock=ManualClock(NOW)) as board:
        connectors: Any = {"shop": shop.connector(url, board.clock)}
        often = dt.timedelta(milliseconds=10)
        reconciler = Reconciler(board, connectors, every=often, back=2 * DAY)
        stop = threading.Event()
        with reconciler:
            worker = threading.Thread(target=board.run, kwargs={"stop": stop})
            worker.start()
            try:
                came = threading.Event()
                for _ in range(600):
                    if len(list(board.deals())) == 3 or came.wait(0.1):
                        break
            finally:
                stop.set()
                worker.join()
        assert len(list(board.deals())) == 3
        assert not any(each.name == "ladderpipe-reconcile" for each in threading.enumerate())


def test_who_waits_for_a_busy_shop_can_be_stopped(street: Street) -> None:
    shop, url = street.opens(SimulatedShopify)
    shop.troubles = [429] * 5
    with Board(sales_management(language="en"), clock=ManualClock(NOW)) as board:
        connectors: Any = {"shop": shop.connector(url, board.clock)}
        with Reconciler(board, connectors):
            pass  # and it does not take the twelve seconds that it was asked to wait

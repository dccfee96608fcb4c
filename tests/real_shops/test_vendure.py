"""A real Vendure with our plugin: what is done in the shop, the board follows.

``make test-shops`` installs the shop, a few hundred megabytes from npm, and says where it is.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import os
import subprocess
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, Final

import attrs
import httpx
import pytest

from ladderpipe import Board, Deal
from ladderpipe.connect import Reconciler, StandardWebhooks, Unreachable
from ladderpipe.templates import sales_management
from tests.connect.senders import OTHER, SECRET
from tests.connect.test_served import uvicorn_serving

from .watched import DEADLINE, HERE, PLUGINS, SHOPS, Watched, free_port

PLUGIN: Final = PLUGINS / "vendure" / "ladderpipe.js"
INSTALLED: Final = SHOPS / "vendure"

pytestmark = pytest.mark.skipif(
    not (INSTALLED / "node_modules").exists(),
    reason=f"no Vendure in {INSTALLED}: run make test-shops",
)


@attrs.frozen
class Customer:
    """Somebody with a cart of their own, who calls the shop's own interface."""

    client: httpx.Client
    interface: str = "/shop-api"

    def ask(self, query: str, **variables: Any) -> Any:
        """Ask, and return the one thing that was asked for."""
        answer = self.client.post(self.interface, json={"query": query, "variables": variables})
        if token := answer.headers.get("vendure-auth-token"):
            self.client.headers["Authorization"] = f"Bearer {token}"
        told = answer.json()
        assert "errors" not in told, told
        (found,) = told["data"].values()
        assert not isinstance(found, dict) or "errorCode" not in found, found
        return found

    def change(self, call: str) -> Any:
        """Call a mutation that returns the order."""
        wanted = "... on Order { id code state lines { id } payments { id } }"
        return self.ask(f"mutation {{ {call} {{ {wanted} ...on ErrorResult {{ errorCode }} }} }}")

    def add(self, variant: int, quantity: int = 1) -> Any:
        return self.change(f"addItemToOrder(productVariantId: {variant}, quantity: {quantity})")

    def says_who(self) -> None:
        who = 'firstName: "Ada", lastName: "Rossi", emailAddress: "ada@example.com"'
        self.change(f"setCustomerForOrder(input: {{ {who} }})")

    def signs_in(self, address: str) -> None:
        self.ask(
            f'mutation {{ login(username: "{address}", password: "correct horse") '
            "{ ... on ErrorResult { errorCode } } }"
        )

    def goes_to_pay(self) -> None:
        where = 'streetLine1: "Via Roma 1", city: "Torino", postalCode: "10100", countryCode: "IT"'
        self.change(f"setOrderShippingAddress(input: {{ {where} }})")
        (method, *_) = self.ask("{ eligibleShippingMethods { id } }")
        self.change(f"setOrderShippingMethod(shippingMethodId: [{method['id']}])")
        self.ask(
            'mutation { transitionOrderToState(state: "ArrangingPayment") '
            "{ ... on Order { id } ... on ErrorResult { errorCode message } } }"
        )

    def is_declined(self) -> None:
        answer = self.client.post(
            self.interface,
            json={
                "query": 'mutation { addPaymentToOrder(input: { method: "dummy", '
                "metadata: { shouldDecline: true } }) { ... on ErrorResult { errorCode } } }"
            },
        )
        assert answer.json()["data"]["addPaymentToOrder"]["errorCode"] == "PAYMENT_DECLINED_ERROR"

    def pays(self) -> Any:
        return self.change('addPaymentToOrder(input: { method: "dummy", metadata: {} })')


class Salesperson(Customer):
    """Somebody who works in the shop, and calls the interface for those."""

    def cancels(self, order: Any) -> None:
        self.ask(
            "mutation cancel($order: ID!) { cancelOrder(input: { orderId: $order }) "
            "{ ... on Order { id } ... on ErrorResult { errorCode message } } }",
            order=order["id"],
        )

    def refunds(self, payment: Any, minor: int) -> None:
        wanted = "... on Refund { id } ... on ErrorResult { errorCode message }"
        refund = self.ask(
            "mutation refund($payment: ID!) { refundOrder(input: { lines: [], shipping: 0, "
            f"adjustment: 0, amount: {minor}, paymentId: $payment }}) {{ {wanted} }} }}",
            payment=payment["id"],
        )
        self.ask(
            f'mutation settle($id: ID!) {{ settleRefund(input: {{ id: $id, transactionId: "t" }}) '
            f"{{ {wanted} }} }}",
            id=refund["id"],
        )


@attrs.frozen
class Shop:
    """The shop, and the board that it tells."""

    url: str
    board: Board
    receiver: Watched
    connector: StandardWebhooks
    reconciler: Reconciler
    callers: contextlib.ExitStack

    def client(self) -> httpx.Client:
        return self.callers.enter_context(httpx.Client(base_url=self.url, timeout=DEADLINE))

    def customer(self) -> Customer:
        return Customer(self.client())

    def salesperson(self) -> Salesperson:
        admin = Salesperson(self.client(), "/admin-api")
        admin.ask(
            'mutation { login(username: "superadmin", password: "superadmin") '
            "{ ... on ErrorResult { errorCode } } }"
        )
        return admin

    def types(self, deal: Deal) -> list[str]:
        return [event.type for event in self.board.events(deal.id)]

    def comes_to(self, code: str, holds: Callable[[Deal], bool]) -> Deal:
        """Wait until the deal of an order is as it should be, and return it."""
        return self.receiver.comes_to(f"shop.example/{code}", holds)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    url = f"sqlite:///{tmp_path_factory.mktemp('board')}/shop.db"
    with Board.open(sales_management(language="en"), url) as board:
        port = free_port()
        connector = StandardWebhooks(
            secrets=[SECRET], source="vendure", url=f"http://127.0.0.1:{port}/ladderpipe"
        )
        receiver = Watched(board, {"/vendure": connector})
        with uvicorn_serving(receiver) as here:
            surroundings = os.environ | {
                "NODE_PATH": str(INSTALLED / "node_modules"),
                "PLUGIN": str(PLUGIN),
                "PORT": str(port),
                "RECEIVER": f"{here}/vendure",
                "SECRET": SECRET,
                "VENDURE_DISABLE_TELEMETRY": "true",
            }
            command = ["node", str(HERE / "vendure" / "server.js")]
            with subprocess.Popen(
                command, env=surroundings, stdout=subprocess.PIPE, text=True
            ) as process:
                try:
                    assert process.stdout is not None
                    ready = any(line.startswith("READY") for line in process.stdout)
                    assert ready, "the shop ended instead of listening"
                    with contextlib.ExitStack() as callers:
                        yield Shop(
                            f"http://127.0.0.1:{port}",
                            board,
                            receiver,
                            connector,
                            Reconciler(board, {"vendure": connector}),
                            callers,
                        )
                finally:
                    process.terminate()


def test_a_cart_is_filled_and_ordered(shop: Shop) -> None:
    ada = shop.customer()
    code = ada.add(1, 2)["code"]
    ada.add(2)
    full = shop.comes_to(code, lambda deal: len(deal.cart) == 2)
    assert full.stage == "quote_requested"
    assert full.value == Decimal("2217.84")  # each price and 22 %: 2 × 1096.78 + 24.28
    assert [line.sku for line in full.cart] == ["NB-15", "MS-01"]

    ada.says_who()
    assert shop.comes_to(code, lambda deal: "email" in deal.contact).contact["name"] == "Ada Rossi"
    ada.goes_to_pay()
    shop.comes_to(code, lambda deal: deal.stage == "order_review")
    ada.pays()
    bought = shop.comes_to(code, lambda deal: deal.stage == "order_confirmed")
    assert bought.value == Decimal("2222.84")  # with shipping
    assert set(shop.receiver.answers) == {200}


def test_a_cart_that_is_emptied_at_once_is_told_though_the_shop_publishes_nothing(
    shop: Shop,
) -> None:
    ada = shop.customer()
    code = ada.add(1)["code"]
    ada.add(2)
    shop.comes_to(code, lambda deal: len(deal.cart) == 2)
    ada.change("removeAllOrderLines")
    assert shop.comes_to(code, lambda deal: not deal.cart).stage == "cart_parked"
    ada.add(2, 3)
    assert shop.comes_to(code, lambda deal: bool(deal.cart)).stage == "quote_requested"


def test_lines_are_changed_and_taken_out(shop: Shop) -> None:
    ada = shop.customer()
    order = ada.add(1)
    line = order["lines"][0]["id"]
    ada.change(f"adjustOrderLine(orderLineId: {line}, quantity: 5)")
    shop.comes_to(order["code"], lambda deal: bool(deal.cart) and deal.cart.lines[0].quantity == 5)
    ada.change(f"removeOrderLine(orderLineId: {line})")
    shop.comes_to(order["code"], lambda deal: not deal.cart)


def test_an_order_is_cancelled(shop: Shop) -> None:
    ada = shop.customer()
    code = ada.add(1)["code"]
    ada.says_who()
    ada.goes_to_pay()
    order = ada.pays()
    shop.comes_to(code, lambda deal: deal.stage == "order_confirmed")
    shop.salesperson().cancels(order)
    shop.comes_to(code, lambda deal: deal.stage != "order_confirmed")


def test_a_payment_is_declined_and_the_next_one_is_not(shop: Shop) -> None:
    ada = shop.customer()
    code = ada.add(1)["code"]
    ada.says_who()
    ada.goes_to_pay()
    ada.is_declined()
    shop.comes_to(code, lambda deal: "payment.failed" in shop.types(deal))
    ada.pays()
    assert shop.comes_to(code, lambda deal: deal.stage == "order_confirmed")


def test_a_part_goes_back(shop: Shop) -> None:
    ada = shop.customer()
    code = ada.add(1)["code"]
    ada.says_who()
    ada.goes_to_pay()
    (payment,) = ada.pays()["payments"]
    shop.salesperson().refunds(payment, 10000)
    deal = shop.comes_to(code, lambda deal: "order.refunded" in shop.types(deal))
    assert deal.value == Decimal("1101.78") - 100
    (back,) = (event for event in shop.board.events(deal.id) if event.type == "order.refunded")
    assert back.data == {"refunded": "100.00"}


def test_who_signs_in_takes_the_guests_cart_along(shop: Shop) -> None:
    address = "bea@example.com"
    at_home, on_the_train = shop.customer(), shop.customer()
    who = f'emailAddress: "{address}", password: "correct horse"'
    at_home.ask(
        f"mutation {{ registerCustomerAccount(input: {{ {who} }}) "
        "{ ... on ErrorResult { errorCode } } }"
    )
    at_home.signs_in(address)
    own = at_home.add(1)["code"]
    guests = on_the_train.add(2)["code"]
    shop.comes_to(guests, lambda deal: bool(deal.cart))
    on_the_train.signs_in(address)
    assert len(shop.comes_to(own, lambda deal: len(deal.cart) == 2).cart) == 2
    last = shop.board.events(f"shop.example/{guests}")[-1]
    assert (last.type, last.data) == ("cart.merged", {"into": f"shop.example/{own}"})


def test_customers_do_not_meet(shop: Shop) -> None:
    ada, bob = shop.customer(), shop.customer()
    one, other = ada.add(1)["code"], bob.add(2)["code"]
    assert one != other
    assert shop.comes_to(one, lambda deal: bool(deal.cart)).cart.lines[0].sku == "NB-15"
    assert shop.comes_to(other, lambda deal: bool(deal.cart)).cart.lines[0].sku == "MS-01"
    assert shop.board.held() == []


def test_a_cart_that_was_emptied_unheard_is_parked_when_the_shop_is_asked(shop: Shop) -> None:
    ada = shop.customer()
    code = ada.add(1)["code"]
    ada.add(2)
    shop.comes_to(code, lambda deal: len(deal.cart) == 2)
    shop.receiver.lost.add(code)
    ada.change("removeAllOrderLines")
    assert len(shop.board.deal(f"shop.example/{code}").cart) == 2
    assert shop.reconciler.once().failed == {}
    parked = shop.board.deal(f"shop.example/{code}")
    assert (parked.stage, len(parked.cart)) == ("cart_parked", 0)


def test_who_heard_nothing_all_day_asks_and_knows_the_same(shop: Shop) -> None:
    ada, bob, cleo = (shop.customer() for _ in range(3))
    filled = cleo.add(2, 4)["code"]
    bought = ada.add(1)["code"]
    ada.says_who()
    ada.goes_to_pay()
    ada.is_declined()
    *_, payment = ada.pays()["payments"]
    shop.salesperson().refunds(payment, 10000)
    taken_back = bob.add(1)["code"]
    bob.says_who()
    bob.goes_to_pay()
    shop.salesperson().cancels(bob.pays())
    shop.comes_to(filled, lambda deal: deal.value == Decimal("97.12"))
    shop.comes_to(bought, lambda deal: deal.value == Decimal("1001.78"))
    ends = {"order.confirmed", "order.cancelled"}
    shop.comes_to(taken_back, lambda deal: ends <= set(shop.types(deal)))

    with Board(sales_management(language="en")) as board:
        assert Reconciler(board, {"vendure": shop.connector}).once().failed == {}
        assert board.held() == []
        for code in (filled, bought, taken_back):
            heard, asked = (each.deal(f"shop.example/{code}") for each in (shop.board, board))
            assert (asked.stage, asked.value, asked.cart, asked.contact) == (
                (heard.stage, heard.value, heard.cart, heard.contact)
            )
        facts = [
            {(event.type, event.id, event.at) for event in each.events(f"shop.example/{bought}")}
            for each in (shop.board, board)
        ]
        assert facts[1] <= facts[0], "both paths name a fact alike"
        assert len(facts[1]) == 4


def test_what_was_heard_is_not_told_again(shop: Shop) -> None:
    ada = shop.customer()
    code = ada.add(1)["code"]
    ada.add(2)
    shop.comes_to(code, lambda deal: len(deal.cart) == 2)
    bob = shop.customer()
    bought = bob.add(1)["code"]
    bob.says_who()
    bob.goes_to_pay()
    bob.pays()
    shop.comes_to(bought, lambda deal: deal.stage == "order_confirmed")

    def told() -> list[str]:
        """Return what has had an effect: a cart that is read again is put aside."""
        events = (shop.board.events(f"shop.example/{each}") for each in (code, bought))
        return [each.id for each in itertools.chain(*events) if each.type != "ladder.discarded"]

    before = told()
    for _ in range(2):
        assert shop.reconciler.once().failed == {}
    assert told() == before


def test_who_has_not_signed_is_not_answered(shop: Shop) -> None:
    client = shop.client()
    asked = {"since": "2026-01-01T00:00:00Z"}
    assert client.get("/ladderpipe", params=asked).status_code == 401
    stranger = StandardWebhooks(secrets=[OTHER], url=f"{shop.url}/ladderpipe")
    with pytest.raises(Unreachable, match="401"):
        list(stranger.reconcile(dt.datetime(2026, 1, 1, tzinfo=dt.UTC)))

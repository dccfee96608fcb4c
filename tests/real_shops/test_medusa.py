"""A real Medusa with our subscriber: what is done in the shop, the board follows.

``make test-shops`` installs the shop, three quarters of a gigabyte from npm.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import attrs
import httpx
import pytest

from ladderpipe import Board
from ladderpipe.connect import Reconciler, StandardWebhooks, Unreachable
from ladderpipe.templates import sales_management
from tests.connect.senders import NOW, OTHER, SECRET
from tests.connect.test_served import uvicorn_serving
from tests.postgres import FAST, running, wheel_programs

from .watched import DEADLINE, HERE, PLUGINS, SHOPS, Watched, free_port

INSTALLED: Final = SHOPS / "medusa"
SALESPERSON: Final = {"email": "a@example.com", "password": "secret"}

pytestmark = pytest.mark.skipif(
    not (INSTALLED / "node_modules").exists() or wheel_programs() is None,
    reason=f"no Medusa in {INSTALLED}, or no PostgreSQL: run make test-shops",
)


class Salesperson:
    """Somebody who works in the shop, and sets it up: one region, one notebook."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client
        token = self.post("/auth/user/emailpass", SALESPERSON)["token"]
        client.headers["Authorization"] = f"Bearer {token}"

    def post(self, path: str, told: Any) -> Any:
        answer = self.client.post(path, json=told)
        assert answer.status_code < 300, (path, answer.text)
        return answer.json()

    def sets_up(self) -> tuple[str, str, str]:
        """Return the region, the article and the key that customers need."""
        told = {"name": "France", "currency_code": "eur", "countries": ["fr"]}
        region = self.post("/admin/regions", told | {"payment_providers": ["pp_system_default"]})[
            "region"
        ]["id"]
        channel = self.post("/admin/sales-channels", {"name": "web"})["sales_channel"]["id"]
        key = self.post("/admin/api-keys", {"title": "web", "type": "publishable"})["api_key"]
        self.post(f"/admin/api-keys/{key['id']}/sales-channels", {"add": [channel]})
        variant = {
            "title": "15 inches",
            "sku": "NB-15",
            "manage_inventory": False,
            "options": {"size": "15"},
            "prices": [{"currency_code": "eur", "amount": 899}],
        }
        product = {
            "title": "Notebook 15",
            "status": "published",
            "sales_channels": [{"id": channel}],
            "options": [{"title": "size", "values": ["15"]}],
            "variants": [variant],
        }
        made = self.post("/admin/products", product)["product"]
        return region, made["variants"][0]["id"], key["token"]

    def cancels(self, order: str) -> None:
        self.post(f"/admin/orders/{order}/cancel", {})


class Customer:
    """Somebody with a cart, who calls the interface for shop windows."""

    def __init__(self, client: httpx.Client, region: str, article: str, key: str) -> None:
        self.client, self.article = client, article
        client.headers["x-publishable-api-key"] = key
        told = {"region_id": region, "email": "ada@example.com"}
        self.cart = self.post("/store/carts", told)["cart"]["id"]

    def post(self, path: str, told: Any) -> Any:
        answer = self.client.post(path, json=told)
        assert answer.status_code < 300, (path, answer.text)
        return answer.json()

    def adds(self, quantity: int) -> str:
        told = {"variant_id": self.article, "quantity": quantity}
        found = self.post(f"/store/carts/{self.cart}/line-items", told)
        line: str = found["cart"]["items"][0]["id"]
        return line

    def takes_out(self, line: str) -> None:
        answer = self.client.delete(f"/store/carts/{self.cart}/line-items/{line}")
        assert answer.status_code == 200, answer.text

    def buys(self) -> str:
        told = self.post("/store/payment-collections", {"cart_id": self.cart})
        payment = told["payment_collection"]["id"]
        self.post(
            f"/store/payment-collections/{payment}/payment-sessions",
            {"provider_id": "pp_system_default"},
        )
        order: str = self.post(f"/store/carts/{self.cart}/complete", {})["order"]["id"]
        return order


@attrs.frozen
class Shop:
    """The shop, and the board that it tells."""

    url: str
    board: Board
    receiver: Watched
    connector: StandardWebhooks
    admin: Salesperson
    wares: tuple[str, str, str]
    callers: contextlib.ExitStack

    def customer(self) -> Customer:
        client = self.callers.enter_context(httpx.Client(base_url=self.url, timeout=DEADLINE))
        return Customer(client, *self.wares)

    def asks(self, board: Board) -> None:
        assert Reconciler(board, {"medusa": self.connector}).once().failed == {}


@contextlib.contextmanager
def medusa(folder: Path, receiver: str) -> Iterator[str]:
    """Run a shop, set up as its documentation has it, on a PostgreSQL server of its own."""
    shutil.copytree(PLUGINS / "medusa" / "src", folder / "src")
    shutil.copy(HERE / "medusa" / "medusa-config.js", folder)
    shutil.copy(HERE / "medusa" / "package.json", folder)
    (folder / "node_modules").symlink_to(INSTALLED / "node_modules")
    programs = wheel_programs()
    assert programs is not None
    database, port = free_port(), free_port()
    settings = FAST | {"listen_addresses": "127.0.0.1", "port": str(database)}
    surroundings = os.environ | {
        "DATABASE_URL": f"postgresql://postgres@127.0.0.1:{database}/postgres",
        "LADDERPIPE_SECRET": SECRET,
        "LADDERPIPE_SHOP": "shop.example",
        "LADDERPIPE_URL": receiver,
        "MEDUSA_DISABLE_TELEMETRY": "true",
        "NODE_ENV": "production",
        "PORT": str(port),
    }
    command = str(folder / "node_modules" / ".bin" / "medusa")
    log = folder / "log"
    with running(programs, **settings), log.open("w") as out:
        told: dict[str, Any] = {"env": surroundings, "cwd": folder, "stdout": out, "stderr": out}
        subprocess.run([command, "db:migrate", "--skip-scripts"], check=True, **told)
        who = ["-e", SALESPERSON["email"], "-p", SALESPERSON["password"]]
        subprocess.run([command, "user", *who], check=True, **told)
        # It starts others, which have to end with it.
        with subprocess.Popen([command, "start"], start_new_session=True, **told) as process:
            try:
                wait_for(f"http://127.0.0.1:{port}/health", process, log)
                yield f"http://127.0.0.1:{port}"
            finally:
                os.killpg(process.pid, signal.SIGTERM)


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 5 * DEADLINE
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(url).status_code == 200:
                return
        time.sleep(0.2)
    raise AssertionError(f"the shop does not listen: {log.read_text()[-3000:]}")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    url = f"sqlite:///{tmp_path_factory.mktemp('board')}/shop.db"
    with Board.open(sales_management(language="en"), url) as board:
        receiver = Watched(board, {"/medusa": StandardWebhooks(secrets=[SECRET], source="medusa")})
        with (
            uvicorn_serving(receiver) as here,
            medusa(tmp_path_factory.mktemp("medusa"), f"{here}/medusa") as there,
            contextlib.ExitStack() as callers,
        ):
            connector = StandardWebhooks(
                secrets=[SECRET], source="medusa", url=f"{there}/ladderpipe"
            )
            client = callers.enter_context(httpx.Client(base_url=there, timeout=DEADLINE))
            admin = Salesperson(client)
            wares = admin.sets_up()
            yield Shop(there, board, receiver, connector, admin, wares, callers)


def test_a_cart_is_filled_emptied_filled_and_ordered_and_the_order_cancelled(shop: Shop) -> None:
    ada = shop.customer()
    deal = f"shop.example/{ada.cart}"
    line = ada.adds(2)
    full = shop.receiver.comes_to(deal, lambda deal: deal.value == 1798)
    assert full.stage == "quote_requested"
    assert full.contact["email"] == "ada@example.com"
    assert [(each.sku, each.quantity) for each in full.cart] == [("NB-15", 2)]
    ada.takes_out(line)
    assert shop.receiver.comes_to(deal, lambda deal: not deal.cart).stage == "cart_parked"
    ada.adds(1)
    shop.receiver.comes_to(deal, lambda deal: bool(deal.cart))
    order = ada.buys()
    bought = shop.receiver.comes_to(deal, lambda deal: deal.stage == "order_confirmed")
    assert bought.value == Decimal(899)
    shop.admin.cancels(order)
    shop.receiver.comes_to(deal, lambda deal: deal.stage == "quote_requested")
    assert set(shop.receiver.answers) == {200}
    assert shop.board.held() == []


def test_a_cart_that_was_emptied_unheard_is_parked_when_the_shop_is_asked(shop: Shop) -> None:
    ada = shop.customer()
    deal = f"shop.example/{ada.cart}"
    line = ada.adds(2)
    shop.receiver.comes_to(deal, lambda deal: deal.value == 1798)
    shop.receiver.lost.add(ada.cart)
    ada.takes_out(line)
    assert len(shop.board.deal(deal).cart) == 1
    shop.asks(shop.board)
    assert shop.board.deal(deal).stage == "cart_parked"


def test_who_heard_nothing_all_day_asks_and_knows_the_same(shop: Shop) -> None:
    filled, bought, taken_back = (shop.customer() for _ in range(3))
    for customer in (filled, bought, taken_back):
        customer.adds(1)
        deal = f"shop.example/{customer.cart}"
        shop.receiver.comes_to(deal, lambda deal: bool(deal.cart))
    bought.buys()
    order = taken_back.buys()
    for customer in (bought, taken_back):
        deal = f"shop.example/{customer.cart}"
        shop.receiver.comes_to(deal, lambda deal: deal.stage == "order_confirmed")
    shop.admin.cancels(order)
    shop.receiver.comes_to(deal, lambda deal: deal.stage == "quote_requested")
    with Board(sales_management(language="en")) as board:
        shop.asks(board)
        assert board.held() == []
        for customer in (filled, bought, taken_back):
            deal = f"shop.example/{customer.cart}"
            heard, asked = (each.deal(deal) for each in (shop.board, board))
            assert (asked.stage, asked.value, asked.cart, asked.contact) == (
                (heard.stage, heard.value, heard.cart, heard.contact)
            )


def test_what_was_heard_is_not_told_again(shop: Shop) -> None:
    ada = shop.customer()
    deal = f"shop.example/{ada.cart}"
    ada.adds(1)
    shop.receiver.comes_to(deal, lambda deal: bool(deal.cart))
    ada.buys()
    shop.receiver.comes_to(deal, lambda deal: deal.stage == "order_confirmed")
    before = shop.board.events(deal)
    shop.asks(shop.board)
    assert shop.board.events(deal) == before


def test_who_has_not_signed_is_not_answered(shop: Shop) -> None:
    stranger = StandardWebhooks(secrets=[OTHER], url=f"{shop.url}/ladderpipe")
    with pytest.raises(Unreachable, match="401"):
        list(stranger.reconcile(NOW))

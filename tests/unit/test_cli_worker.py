"""``worker``: what it delivers, how it logs and how it stops."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ladderpipe import Board, Event, ManualClock, SystemClock
from ladderpipe.templates import sales_management
from tests.commands import SALES, mails_in, run, shop

SENDER = ["--sender", "Shop <shop@example.com>"]


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A shop in which an order has just been confirmed, and nobody was thanked yet."""
    url = f"sqlite:///{tmp_path}/shop.db"
    with Board.open(sales_management(), url) as board:
        contact = {"contact": {"email": "ada@example.com"}}
        now = SystemClock().now()
        board.handle(Event("order.confirmed", deal="cart-1", id="e", at=now, data=contact))
    return url


def test_a_round_delivers_what_is_due(url: str, tmp_path: Path) -> None:
    sent = tmp_path / "sent.mbox"
    told = run("worker", url, "-p", SALES, "--once", "--mailbox", sent, *SENDER)
    assert told.code == 0
    (mail,) = mails_in(sent)
    assert mail["To"] == "ada@example.com"
    assert "mail order-thanks sent" in told.err
    assert "cart-1" not in told.err
    run("worker", url, "-p", SALES, "--once", "--mailbox", sent, *SENDER)
    assert len(mails_in(sent)) == 1


def test_a_round_fires_the_timers_that_are_due(tmp_path: Path) -> None:
    url = shop(tmp_path / "shop.db")
    told = run("worker", url, "-p", SALES, "--once", "--json").json()
    assert (told["deals"], told["moves"], told["failures"]) == (1, 1, [])
    assert run("deals", url, "--stage", "checkout_abandoned", "--json").json()[1]["id"] == "cart-3"


def test_without_a_way_to_send_mails_wait(url: str) -> None:
    told = run("worker", url, "-p", SALES, "--once")
    assert "--smtp" in told.err
    with Board.open(sales_management(), url) as board:
        assert [effect.state for effect in board.effects()] == ["pending"]


def test_handlers_of_one_s_own_may_be_registered(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_handlers.py").write_text(
        "seen = []\ndef register(board):\n    board.handles('email')(seen.append)\n"
    )
    assert (
        run("worker", url, "-p", SALES, "--once", "--handlers", "own_handlers:register").code == 0
    )
    assert len(sys.modules["own_handlers"].seen) == 1
    assert (
        "own_handlers"
        in run("worker", url, "-p", SALES, "--once", "--handlers", "own_handlers:nothing").refusal()
    )


def test_shops_are_asked_before_a_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_shops.py").write_text(
        "from ladderpipe import Event, SystemClock\n"
        "class Till:\n"
        "    def reconcile(self, since, wait=None):\n"
        "        now = SystemClock().now()\n"
        "        assert since < now\n"
        "        return iter([Event('order.confirmed', deal='cart-9', id='e9', at=now)])\n"
        "shops = {'till': Till()}\n"
        "broken = {'till': 7}\n"
    )
    arguments = ["worker", url, "-p", SALES, "--once", "--reconcile"]
    assert run(*arguments, "own_shops:shops").code == 0
    with Board.open(sales_management(), url) as board:
        assert board.deal("cart-9").stage == "order_confirmed"
    broken, none = (run(*arguments, f"own_shops:{name}") for name in ("broken", "Till"))
    assert (broken.code, none.code) == (1, 1)
    assert "no API" in broken.err
    assert "mapping" in none.err


def test_a_worker_needs_the_hooks_which_the_store_does_not_keep(url: str) -> None:
    assert "--pipeline" in run("worker", url).refusal()


def test_a_typo_makes_no_database(tmp_path: Path) -> None:
    told = run("worker", f"sqlite:///{tmp_path}/typo.db", "-p", SALES, "--once")
    assert "typo.db" in told.err.splitlines()[-1]
    assert told.code == 1
    assert list(tmp_path.iterdir()) == []


def test_mails_go_one_way_only(url: str) -> None:
    ways = ["--smtp", "localhost", "--mailbox", "m"]
    run("worker", url, "-p", SALES, *ways, *SENDER).refusal(2)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_stops_cleanly_when_asked(
    url: str, tmp_path: Path, number: signal.Signals
) -> None:
    sent = tmp_path / "sent.mbox"
    arguments = ["worker", url, "-p", SALES, "--mailbox", str(sent), *SENDER, "--json"]
    worker = subprocess.Popen(
        [sys.executable, "-m", "ladderpipe.cli", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert worker.stdout is not None
    first = json.loads(worker.stdout.readline())
    worker.send_signal(number)
    _, log = worker.communicate(timeout=30)
    assert first["effects"]["delivered"] == 1
    assert worker.returncode == 0
    assert "Traceback" not in log
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ  ", line) for line in log.splitlines())


def test_a_mail_that_cannot_be_sent_is_logged_in_one_line_and_tried_again(url: str) -> None:
    arguments = ["--smtp", "localhost:1", "--security", "none", *SENDER]
    told = run("worker", url, "-p", SALES, "--once", "--json", *arguments)
    assert told.json()["effects"]["pending"] == 1
    assert "warning" in told.err
    assert "Traceback" not in told.err


def test_a_deal_that_cannot_be_swept_is_reported(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/shop.db"
    clock = ManualClock("2026-01-05T09:00:00Z")
    with Board.open(sales_management(), url, clock) as board:
        line = {"sku": "a", "quantity": 1, "unit_price": "1"}
        board.handle(
            Event("cart.item_added", deal="d", id="e", at=clock.now(), data={"line": line})
        )
    told = run("worker", url, "-p", f"{__name__}:with_a_broken_hook", "--once", "--json")
    (failure,) = told.json()["failures"]
    assert failure["deal"] == "d"
    assert "mend the hook" in failure["error"]


def with_a_broken_hook() -> object:
    ladder = sales_management()

    @ladder.move_into(ladder.stage("checkout_abandoned"))
    def fail(ctx: object) -> None:
        raise RuntimeError("no more paper")

    return ladder

"""Handlers that hang, workers that are held up while they deliver, and what always fails."""

from __future__ import annotations

import datetime as dt
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ladderpipe import Backoff, Board, Delivery, ManualClock
from ladderpipe.stores import open_store
from tests.children import ROOT
from tests.shops import START, Shop, lead_ladder, register

from .pausing import ladder

SLOWEST = 30
LEASE = dt.timedelta(minutes=5)
MakeShop = Callable[[], Shop]


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'shop.db'}"
    fixture = "mariadb_url" if request.param == "mariadb" else "postgres_url"
    return str(request.getfixturevalue(fixture))


@pytest.fixture
def make_shop(url: str) -> Iterator[MakeShop]:
    """Open one process's board after another on one database, each with a clock of its own."""
    shops: list[Shop] = []

    def make() -> Shop:
        shops.append(Shop(ladder(), open_store(url), lease=LEASE, backoff=Backoff(tries=3)))
        return shops[-1]

    yield make
    for shop in shops:
        shop.store.close()


class Hanging:
    """A handler that returns, or raises, only when it is told to."""

    def __init__(self, error: Exception | None = None) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()
        self._error = error

    def __call__(self, delivery: Delivery) -> None:
        self.begun.set()
        assert self.go_on.wait(SLOWEST)
        if self._error is not None:
            raise self._error


@pytest.mark.parametrize("error", [None, OSError("the other side hung up")], ids=["ok", "error"])
def test_what_a_handler_hangs_on_is_taken_over_when_the_lease_ends(
    make_shop: MakeShop, error: Exception | None
):
    first, second = make_shop(), make_shop()
    hanging, keys = Hanging(error), []
    first.board.handles("letter")(hanging)
    second.board.handles("letter")(lambda delivery: keys.append(delivery.key))
    first.tell("lead")
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(first.board.deliver)
        assert hanging.begun.wait(SLOWEST)
        assert second.board.deliver().counts == {}, "the lease runs"
        second.clock.advance(LEASE)
        assert second.board.deliver().delivered == 1
        hanging.go_on.set()
        assert late.result().counts == {}, "it came too late to say what became of it"
    (effect,) = second.board.effects()
    assert (effect.state, effect.attempts, effect.error) == ("delivered", 2, None)
    assert keys == [effect.key]


def test_while_one_worker_hangs_another_delivers_the_rest(make_shop: MakeShop):
    first, second = make_shop(), make_shop()
    hanging, delivered = Hanging(), []
    first.board.handles("letter")(hanging)
    second.board.handles("letter")(lambda delivery: delivered.append(delivery.deal.id))
    for deal in "abcde":
        first.tell("lead", deal)
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(first.board.deliver, 1)
        assert hanging.begun.wait(SLOWEST)
        assert second.board.deliver().delivered == 4
        hanging.go_on.set()
        assert late.result().delivered == 1
    assert len(delivered) == 4


def test_a_process_that_is_held_up_longer_than_its_lease_settles_nothing(
    make_shop: MakeShop, url: str
):
    shop = make_shop()
    shop.tell("lead")
    keys: list[str] = []
    shop.board.handles("letter")(lambda delivery: keys.append(delivery.key))
    command = [sys.executable, "-m", "tests.faults.pausing", url]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        key = process.stdout.readline().strip()
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        shop.clock.advance(LEASE)
        assert shop.board.deliver().delivered == 1
        os.kill(process.pid, signal.SIGCONT)
        assert process.stdout.read().strip() == "0"
    assert keys == [key], "delivered twice, under one key"
    (effect,) = shop.board.effects()
    assert (effect.state, effect.attempts) == ("delivered", 2)


def test_what_always_fails_becomes_a_dead_letter_and_the_rest_goes_on(make_shop: MakeShop):
    shop = make_shop()
    delivered: list[str] = []

    @shop.board.handles("letter")
    def send(delivery: Delivery) -> None:
        if delivery.deal.id == "bad":
            raise OSError("no such street")
        delivered.append(delivery.deal.id)

    for deal in ("a", "bad", "b"):
        shop.tell("lead", deal)
    for _ in range(5):
        shop.board.deliver()
        shop.wait(1)
    assert sorted(delivered) == ["a", "b"]
    (letter,) = shop.board.dead_letters()
    assert (letter.deal, letter.attempts, letter.error) == ("bad", 3, "OSError: no such street")


def test_a_hook_that_always_fails_holds_up_its_own_deal_only():
    def fail(ctx: Any) -> None:
        if ctx.deal.id == "bad":
            raise OSError("no")

    board = Board(register(lead_ladder(), into_cold=fail), clock=ManualClock(START))
    shop = Shop(board.pipeline, board.store)
    for deal in ("a", "bad", "b"):
        shop.tell("lead", deal)
    shop.wait(80)
    report = shop.board.tick()
    assert (report.moves, [failure.deal for failure in report.failures]) == (2, ["bad"])
    assert shop.board.deal("bad").stage == "new"

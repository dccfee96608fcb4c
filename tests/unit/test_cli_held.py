"""``held``: what it lists, and what becomes of an event that is released or discarded."""

from __future__ import annotations

from pathlib import Path

import pytest

from ladderpipe import Board, Event, ManualClock
from ladderpipe.templates import sales_management
from tests.commands import filled, run

LADDER = ("--pipeline", "ladderpipe.templates:sales_management")


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A store with a cart, and an order that bears the name of the event that filled it."""
    url = f"sqlite:///{tmp_path}/shop.db"
    clock = ManualClock("2026-01-05T09:00:00Z")
    with Board.open(sales_management(), url, clock) as board:
        cart = filled("cart-1", clock, owner="marta", value="12.50")
        board.handle(cart)
        order = Event("order.confirmed", deal="cart-1", id=cart.id, source=cart.source, at=cart.at)
        board.handle(order, hold=True)
    return url


def key(url: str) -> str:
    [held] = run("held", "list", url, *LADDER, "--json").json()
    return str(held["key"])


def test_it_lists_the_whole_key_and_the_reason(url: str) -> None:
    told = run("held", "list", url, *LADDER)
    assert told.code == 0, told.err
    assert key(url) in told.out
    assert "order.confirmed" in told.out
    assert "conflict" in told.out


def test_under_an_id_of_its_own_it_moves_the_deal(url: str) -> None:
    told = run("held", "release", url, key(url), "--id", "order-1", *LADDER, "--json").json()
    assert told["outcome"] == "moved"
    [deal] = run("deals", url, *LADDER, "--json").json()
    assert deal["stage"] == "order_confirmed"
    assert run("held", "list", url, *LADDER, "--json").json() == []


def test_under_the_name_of_another_event_it_stays(url: str) -> None:
    told = run("held", "release", url, key(url), *LADDER)
    assert told.code == 1
    assert "id=" in told.err


def test_discarded_it_is_held_no_more(url: str) -> None:
    reason = ("--by", "Bea", "--reason", "a test of the plugin")
    held = key(url)
    assert run("held", "discard", url, held, *reason, *LADDER, "--json").json() == [held]
    assert run("held", "list", url, *LADDER, "--json").json() == []


def test_without_a_pipeline_nothing_is_tried(url: str) -> None:
    told = run("held", "release", url, key(url))
    assert told.code == 1
    assert "--pipeline" in told.err

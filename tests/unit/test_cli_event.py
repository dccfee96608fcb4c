"""``event``: one event, told as a shop would."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commands import SALES, run, shop

PAID = ("order.confirmed", "--deal", "cart-3", "--id", "paid-3", "-p", SALES)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return shop(tmp_path / "shop.db")


def test_it_moves_the_deal_and_says_so(url: str) -> None:
    told = run("event", url, *PAID, "--at", "2026-01-07T11:00Z", "--language", "en")
    assert (told.code, told.err) == (0, "")
    assert "Quote requested → Order confirmed" in told.out
    assert run("history", url, "cart-3", "--json").json()["deal"]["stage"] == "order_confirmed"


def test_told_twice_it_changes_nothing(url: str) -> None:
    said = [*PAID, "--at", "2026-01-07T11:00Z", "--json"]
    first, again = run("event", url, *said).json(), run("event", url, *said).json()
    assert (first["outcome"], again["outcome"]) == ("moved", "duplicate")


def test_what_it_tells_is_json_or_one_thing_at_a_time(url: str) -> None:
    said = ["cart.saved", "--deal", "cart-3", "--id", "s", "-p", SALES, "--at", "2026-01-07T11:00Z"]
    told = ["--data", '{"properties": {"a": 1}}', "--set", "owner=Bea", "--set", "n:=[2]"]
    assert run("event", url, *said, *told).code == 0
    *_, event = run("history", url, "cart-3", "--json").json()["moves"]
    assert event["event"]["data"] == {"properties": {"a": 1}, "owner": "Bea", "n": [2]}
    assert run("history", url, "cart-3", "--json").json()["deal"]["owner"] == "Bea"


def test_a_type_that_nobody_declared_is_named(url: str) -> None:
    told = run("event", url, "order.confirmd", "--deal", "cart-3", "--id", "x", "-p", SALES)
    assert told.code == 0
    assert "order.confirmd" in told.out
    assert "order.confirmed" in told.out


def test_one_that_cannot_be_used_is_refused_or_held(url: str) -> None:
    known = ["cart.saved", "--deal", "cart-1", "--id", "filled-cart-1", "-p", SALES]
    assert "filled-cart-1" in run("event", url, *known).refusal()
    held = run("event", url, *known, "--hold")
    assert (held.code, held.err) == (1, "")
    assert len(run("held", "list", url, "--json").json()) == 1


@pytest.mark.parametrize("data", ["{", "[1]", "null"])
def test_data_that_is_no_object_is_one_line(url: str, data: str) -> None:
    before = run("changes", url, "--json").out
    run("event", url, *PAID, "--data", data).refusal(2)
    assert run("changes", url, "--json").out == before

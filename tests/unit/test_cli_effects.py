"""``effects`` and ``dead-letters``: what is listed, sent again and dropped."""

from __future__ import annotations

from pathlib import Path

import pytest

from ladderpipe import Backoff, Board, ManualClock
from ladderpipe.templates import sales_management
from tests.commands import filled, run, shop

WHO = ("--by", "Bea", "--reason", "she has phoned")


@pytest.fixture
def url(tmp_path: Path) -> str:
    return shop(tmp_path / "shop.db")


@pytest.fixture
def dead(tmp_path: Path) -> str:
    """A store in which a reminder could not be sent, at its only try."""
    url = f"sqlite:///{tmp_path}/dead.db"
    clock = ManualClock("2026-01-05T09:00:00Z")
    with Board.open(sales_management("en"), url, clock, backoff=Backoff(tries=1)) as board:
        board.handle(filled("cart-1", clock, owner="marta", value="1798.00"))
        clock.advance(hours=49)
        board.tick()

        @board.handles("email")
        def refuse(delivery: object) -> None:
            raise ConnectionError("mailbox is full")

        board.deliver()
    return url


def key(url: str) -> str:
    [letter] = run("dead-letters", "list", url, "--json").json()
    return str(letter["key"])


def test_effects_are_listed_by_deal_and_by_state(url: str) -> None:
    every = run("effects", url, "--json").json()
    assert {effect["deal"] for effect in every} == {"cart-1", "cart-2", "cart-3"}
    some = run("effects", url, "--deal", "cart-1", "--state", "pending", "--json").json()
    assert {(e["deal"], e["state"]) for e in some} == {("cart-1", "pending")}
    told = run("effects", url, "--deal", "cart-1").out
    assert all(e["key"] in told for e in some)
    assert "no such effects" in run("effects", url, "--state", "dead").out
    assert f"{len(every) - 1} more" in run("effects", url, "--limit", "1").out
    assert "more" not in run("effects", url, "--limit", "0").out


def test_a_dead_letter_is_listed_with_what_its_last_try_said(dead: str) -> None:
    told = run("dead-letters", "list", dead).out
    assert key(dead) in told
    assert "mailbox is full" in told
    assert "email cart-reminder" in told


@pytest.mark.parametrize("which", ["one", "all"])
def test_it_is_sent_again(dead: str, which: str) -> None:
    again = ["--all"] if which == "all" else [key(dead)]
    letter = key(dead)
    assert run("dead-letters", "send-again", dead, *again, "--json").json() == [letter]
    assert run("dead-letters", "list", dead, "--json").json() == []
    states = [e["state"] for e in run("effects", dead, "--deal", "cart-1", "--json").json()]
    assert "dead" not in states


def test_dropped_it_is_not_sent_and_the_record_says_who_and_why(dead: str) -> None:
    letter = key(dead)
    assert run("dead-letters", "drop", dead, letter, *WHO, "--json").json() == [letter]
    assert run("dead-letters", "list", dead, "--json").json() == []
    [dropped] = run("effects", dead, "--state", "dropped", "--json").json()
    assert dropped["key"] == letter
    assert "Bea" in dropped["decisions"][-1]["because"]
    assert "she has phoned" in run("effects", dead, "--state", "dropped").out
    assert letter in run("dead-letters", "drop", dead, letter, *WHO).refusal()


@pytest.mark.parametrize("keys", [[], ["--all", "k"]])
def test_which_is_sent_again_is_said_in_one_way(dead: str, keys: list[str]) -> None:
    run("dead-letters", "send-again", dead, *keys).refusal(2)
    assert key(dead)

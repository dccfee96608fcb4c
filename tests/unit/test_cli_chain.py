"""``chain``, and ``verify --head``: what they show, what they refuse, and how they end."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ladderpipe import Board, Event, MemoryStore, templates
from tests.commands import SALES, run, shop


@pytest.fixture
def url(tmp_path: Path) -> str:
    return shop(tmp_path / "shop.db")


def test_a_store_without_a_chain_is_told_how_to_begin_one(url: str) -> None:
    told = run("chain", url)
    assert told.code == 1
    assert told.out == "sales-management: no hash chain; ladderpipe chain --extend begins one\n"
    assert run("chain", url, "--json").out == "null\n"
    assert "hash chain: " not in run("verify", url).out


def test_it_is_extended_when_told_so_and_shows_its_head(url: str) -> None:
    told = run("chain", url, "--extend")
    assert told.code == 0
    first, head = told.out.splitlines()
    assert first.startswith("sales-management: ")
    assert first.endswith(" events, 1 link")
    assert head.startswith("1-")
    assert run("chain", url).out == told.out
    found = run("chain", url, "--json").json()
    assert (found["head"], found["links"], found["late"]) == (head, 1, 0)


def test_a_head_that_was_noted_is_held_to_the_chain(url: str, tmp_path: Path) -> None:
    head = run("chain", url, "--extend").out.splitlines()[-1]
    told = run("verify", url, "--head", head)
    assert (told.code, told.out.splitlines()[0][:12]) == (0, "hash chain: ")
    assert run("verify", url, "--head", head, "--json").json()[0]["chain"]["head"] == head
    assert "no head of a chain" in run("verify", url, "--head", head[:-1]).refusal()
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection, connection:
        connection.execute("UPDATE ladder_events SET seq = seq + 1")
    told = run("verify", url, "--head", head)
    assert told.code == 1
    assert "is not what it was when link 1 of the chain was made" in told.out


def test_a_round_of_a_worker_extends_a_chain_that_is_begun(url: str) -> None:
    run("worker", url, "-p", SALES, "--once")
    assert run("chain", url).code == 1
    head = run("chain", url, "--extend").out.splitlines()[-1]
    with Board.open(templates.sales_management(), url) as board:
        board.handle(Event("cart.emptied", deal="cart-9", id="new", at=board.clock.now()))
    told = run("worker", url, "-p", SALES, "--once")
    assert told.code == 0, told.err
    last = run("chain", url).out.splitlines()[-1]
    assert last.startswith("2-")
    assert run("verify", url, "--head", head).code == 0


def test_the_doctor_says_how_far_it_is_behind(url: str) -> None:
    assert run("doctor", url, "--json").out.count('"chain": null') == 1
    run("chain", url, "--extend")
    assert " behind" in run("doctor", url).out


def test_a_boards_advice_is_a_command(url: str) -> None:
    from ladderpipe.cli.advice import as_commands

    assert "ladderpipe chain URL --extend" in as_commands("call board.extend_chain() until")
    assert Board(templates.kanban(), store=MemoryStore()).chain() is None

"""``doctor``: what it says of healthy and sick stores, and how it ends."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ladderpipe import Backoff, Board, Event, ManualClock, Pipeline, Stage, SystemClock, on
from ladderpipe.templates import kanban, sales_management
from tests.commands import SALES, run


def in_shop(url: str, **settings: Any) -> Board:
    board = Board.open(sales_management("en"), url, ManualClock(SystemClock().now()), **settings)
    contact = {"email": "ada@example.com"}
    now = board.clock.now()
    board.handle(Event("order.confirmed", deal="cart-1", id="e", at=now, data={"contact": contact}))
    return board


@pytest.fixture
def healthy(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/shop.db"
    with in_shop(url) as board:
        board.handles("email")(lambda delivery: None)
        board.deliver()
    return url


@pytest.fixture
def sick(tmp_path: Path) -> str:
    """A store with a dead letter, and without the index that sweeping needs."""
    url = f"sqlite:///{tmp_path}/sick.db"
    with in_shop(url, backoff=Backoff(tries=1)) as board:

        @board.handles("email")
        def send(delivery: Any) -> None:
            raise OSError("ada@example.com does not answer")

        board.deliver()
    with closing(sqlite3.connect(tmp_path / "sick.db")) as connection:
        connection.execute("DROP INDEX ladder_deals_due")
    return url


def test_of_a_healthy_store_it_says_so(healthy: str) -> None:
    told = run("doctor", healthy)
    assert told.code == 0
    assert told.out.startswith("sales-management: healthy\n")
    states = {line[:18].strip(): line[18:].split()[0] for line in told.out.splitlines()[1:]}
    assert states["dead letters"] == "ok"
    assert set(states.values()) == {"ok"}


def test_of_a_sick_store_it_says_what_to_do(sick: str) -> None:
    told = run("doctor", sick)
    assert told.code == 1
    assert told.out.startswith("sales-management: 1 error, 1 warning\n")
    assert "CREATE INDEX ladder_deals_due ON ladder_deals (pipeline, due_at)" in told.out
    assert told.out.index("error H002") < told.out.index("warning H006")
    assert "ada@example.com" not in told.out


def test_json_holds_the_same(sick: str, healthy: str) -> None:
    told = run("doctor", sick, "--json")
    assert told.code == 1
    (record,) = json.loads(told.out)
    assert not record["ok"]
    assert [finding["code"] for finding in record["findings"]] == ["H002", "H006"]
    assert record["dead_letters"] == 1
    assert record["clock_difference_seconds"] is None


@pytest.mark.parametrize("url", ["sqlite:///nowhere.db", "nonsense", "oracle://host/shop"])
def test_a_store_that_cannot_be_opened_is_refused_with_2(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "URL" in run("doctor", url).refusal(2)
    assert list(tmp_path.iterdir()) == []


def test_a_pipeline_with_functions_of_its_own_needs_no_definition(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/own.db"
    new = Stage("new")
    rule = on("lead", into=new, opens=True, when=lambda deal, event: True)
    Board.open(Pipeline("own", stages=[new], rules=[rule]), url).close()
    assert run("doctor", url).out.startswith("own: healthy\n")


def test_a_definition_is_compared_with_the_stored_one(healthy: str) -> None:
    assert run("doctor", healthy, "-p", SALES).code == 0
    told = run("doctor", healthy, "-p", "ladderpipe.templates:kanban")
    assert "kanban" in told.refusal(1)


def test_every_pipeline_of_a_store_has_its_part(healthy: str) -> None:
    Board.open(kanban(), healthy).close()
    told = run("doctor", healthy)
    assert told.out.count(": healthy\n") == 2
    assert [r["pipeline"] for r in run("doctor", healthy, "--name", "kanban", "--json").json()] == [
        "kanban"
    ]


def test_looking_changes_nothing(sick: str, tmp_path: Path) -> None:
    def rows() -> list[str]:
        with closing(sqlite3.connect(tmp_path / "sick.db")) as connection:
            return list(connection.iterdump())

    before = rows()
    run("doctor", sick)
    assert rows() == before


def test_an_empty_database_on_postgresql_is_left_empty(postgres_url: str) -> None:
    import psycopg

    assert "no tables" in run("doctor", postgres_url).refusal(2)
    with psycopg.connect(postgres_url) as connection:
        tables = connection.execute("SELECT FROM pg_tables WHERE schemaname = 'public'")
        assert tables.fetchall() == []


def test_on_postgresql_it_says_how_far_the_clocks_are_apart(postgres_url: str) -> None:
    in_shop(postgres_url).close()
    told = run("doctor", postgres_url)
    assert told.code == 0
    assert "the database's, give or take 0.0" in told.out

"""What has changed of a deal is written, and not what is the same when it is told again."""

from __future__ import annotations

import contextlib
import datetime as dt
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ladderpipe import Board, Event, ManualClock, Pipeline, SqliteStore, Stage, on
from ladderpipe.board.verify import verify
from ladderpipe.stores import PostgresStore
from ladderpipe.templates import sales_management
from ladderpipe.testing import events
from tests.ladders import sales_ladder

START = dt.datetime(2026, 1, 5, 9, tzinfo=dt.UTC)
REFUSE = """
CREATE TRIGGER same BEFORE UPDATE ON ladder_documents WHEN old.data = new.data
BEGIN SELECT RAISE(ABORT, 'the same document is written again'); END
"""
REFUSE_COLUMNS = """
CREATE TRIGGER same_{column} BEFORE UPDATE OF {column} ON ladder_deals
WHEN old.{column} IS new.{column}
BEGIN SELECT RAISE(ABORT, 'the same {column} is written again'); END
"""
INDEXED = ("stage", "entered_at", "due_at", "last_event_at", "owner", "currency")
REFUSE_ON_POSTGRESQL = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE 'the same document is written again'; END $$;
CREATE TRIGGER same BEFORE UPDATE ON ladder_documents FOR EACH ROW
    WHEN (old.data::text = new.data::text) EXECUTE FUNCTION refuse();
"""


@pytest.fixture(params=["sqlite", "postgres"])
def board(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Board]:
    """Return a board whose database refuses to write a document that is there already."""
    if request.param == "postgres":
        url = request.getfixturevalue("postgres_url")
        store: Any = PostgresStore(url)
        with psycopg.connect(url) as connection:
            connection.execute(REFUSE_ON_POSTGRESQL)
    else:
        store = SqliteStore(tmp_path / "shop.db")
        with contextlib.closing(sqlite3.connect(tmp_path / "shop.db")) as database:
            database.execute(REFUSE)
    with Board(sales_management("en"), store=store, clock=ManualClock(START)) as found:
        yield found


def seen(n: float, **contact: str) -> Event:
    cart = {"currency": "EUR", "lines": [{"sku": "a", "quantity": 1, "unit_price": "5.00"}]}
    at = START - dt.timedelta(hours=10 - n)
    data = {"contact": contact, "cart": cart}
    return Event("cart.updated", deal="cart", id=f"e{n}", at=at, data=data)


def test_the_same_contact_and_cart_told_again_write_no_document(board: Board) -> None:
    ada = {"email": "ada@example.com", "name": "Ada"}
    for n in (1, 2, 4, 3):  # the last one comes late
        board.handle(seen(n, **ada))
    board.handle_many([seen(5, **ada), seen(6, **ada)])
    board.handle(seen(7, **ada | {"name": "Ada Rossi"}))
    assert board.deal("cart").contact["name"] == "Ada Rossi"
    assert verify(board).agrees


@given(told=events(sales_ladder()).flatmap(st.permutations))
def test_whatever_is_told_no_document_is_written_again(told: list[Event]) -> None:
    store = SqliteStore(":memory:")
    with store.transaction() as transaction:
        transaction.connection.execute(REFUSE)
    with Board(sales_ladder(), store=store, clock=ManualClock("2030-01-01T00:00:00Z")) as board:
        for event in told:
            board.handle(event, hold=True)
        board.tick()
        assert board.health().held.keys() <= {"aside", "conflict", "copy"}
        assert verify(board).agrees


def test_of_a_row_no_column_is_written_again_that_an_index_holds(tmp_path: Path) -> None:
    store, clock = SqliteStore(tmp_path / "shop.db"), ManualClock(START)
    with contextlib.closing(sqlite3.connect(tmp_path / "shop.db")) as database:
        for column in INDEXED:
            database.execute(REFUSE_COLUMNS.format(column=column))
    with Board(sales_management("en"), store=store, clock=clock) as board:
        board.handle(seen(1, email="ada@example.com"))
        board.handle_many([seen(2, email="ada@example.com"), seen(3, name="Ada")])
        board.handle(Event("page.viewed", deal="cart", id="e4", at=START - dt.timedelta(hours=5)))
        board.handle(Event("cart.saved", deal="cart", id="e5", at=START))
        board.handle(seen(2.5, phone="1"))  # late
        clock.advance(days=30)
        board.tick()
        board.edit("cart", by="ada", value="7", currency="EUR")
        assert board.deal("cart").value == 7
        assert verify(board).agrees


def test_a_deal_is_found_by_what_a_reducer_changes_in_place(tmp_path: Path) -> None:
    lead = Stage("lead")

    def note(deal: Any, event: Event) -> None:
        deal.title = "the same"
        if deal.company is None:
            deal.company = {}
        deal.company["name"] = deal.contact["name"] = event.data["name"]

    pipeline = Pipeline("p", stages=[lead], rules=[on("seen", into=lead, opens=True)], reducer=note)
    with Board(
        pipeline, store=SqliteStore(tmp_path / "shop.db"), clock=ManualClock(START)
    ) as board:
        for n, name in enumerate(("Ada", "Grace", "Grace", "Edith")):
            at = START - dt.timedelta(hours=10 - n)
            board.handle(Event("seen", deal="d", id=f"e{n}", at=at, data={"name": name}))
            found = [len(board.page(search=asked).deals) for asked in ("Ada", "Grace", "Edith")]
            assert found == [name == asked for asked in ("Ada", "Grace", "Edith")]

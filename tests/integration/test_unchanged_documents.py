"""A deal's document is written when it has changed, and not when the same is told again."""

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

from ladderpipe import Board, Event, ManualClock, SqliteStore
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


def seen(n: int, **contact: str) -> Event:
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

"""The command line on a MariaDB database, and what forgetting finds there."""

from __future__ import annotations

from contextlib import closing

import pytest

from ladderpipe import Board, Event, ManualClock
from ladderpipe.stores import MariadbStore
from ladderpipe.stores.mariadb import schema
from ladderpipe.templates import sales_management
from tests.commands import run
from tests.mariadb import MariadbServer
from tests.shops import START, Shop, lead_ladder


def test_commands_find_the_board_by_its_url(mariadb_url: str):
    with Board.open(sales_management("en"), mariadb_url, ManualClock(START)) as board:
        board.handle(Event("order.confirmed", deal="cart-1", id="e", at=START))
    told = run("doctor", mariadb_url)
    assert f"version {schema.VERSION}" in told.out
    assert "the database's, give or take 0.0" in told.out
    assert "everything agrees" in run("verify", mariadb_url).out
    assert "cart-1" in run("changes", mariadb_url).out
    assert "1 deal" in run("board", mariadb_url).out


def test_an_empty_database_is_left_empty(mariadb_url: str, mariadb_server: MariadbServer):
    assert "no tables" in run("doctor", mariadb_url).refusal(2)
    with (
        closing(mariadb_server.connect("shop")) as connection,
        connection.cursor() as cursor,
    ):
        assert cursor.execute("SHOW TABLES") == 0


@pytest.mark.parametrize("key", ["email", 'a"b', "back\\slash", "dot.dot", "é", "$", "a'b", "[0]"])
@pytest.mark.parametrize("value", ['it\'s \\ "é" %', "10", "1e22"])
def test_who_is_named_under_any_key_is_found(store: MariadbStore, key: str, value: str):
    shop = Shop(lead_ladder(), store)
    shop.tell("lead", contact={key: value})
    shop.tell("lead", "other", contact={key: f"{value} "})
    with store.transaction(write=False) as transaction:
        number = shop.board._session.number
        found = transaction.deals_with_contact(number, key, value)
        wanted = transaction.load(number, "d", create=False)[0]
    assert found == [wanted.id]


def test_a_number_is_found_as_it_was_written(store: MariadbStore):
    shop = Shop(lead_ladder(), store)
    shop.tell("lead", contact={"phone": 2**70})
    with store.transaction(write=False) as transaction:
        number = shop.board._session.number
        assert len(transaction.deals_with_contact(number, "phone", str(2**70))) == 1
        assert transaction.deals_with_contact(number, "phone", "1") == []

"""The board in the shop's own transaction, on PyMySQL's connection or one over it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pymysql
import pytest
import sqlalchemy
from pymysql.constants import CLIENT

from ladderpipe import Board, ManualClock, Outcome
from ladderpipe.errors import HookError, StoreError
from ladderpipe.stores import MariadbStore
from tests.mariadb import MariadbServer
from tests.shops import START, Shop, lead_ladder, register

READ_COMMITTED = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"
COUNTS_OTHERWISE = [0, CLIENT.FOUND_ROWS]
"""PyMySQL counts rows that an update changed; SQLAlchemy has it count those that it found."""


@pytest.fixture(params=COUNTS_OTHERWISE, ids=["changed", "found"])
def connection(
    request: pytest.FixtureRequest, shop: Shop, mariadb_server: MariadbServer
) -> Iterator[Any]:
    mariadb_server.run("CREATE TABLE orders (n INT PRIMARY KEY) ENGINE=InnoDB", database="shop")
    found = mariadb_server.connect(
        "shop", charset="utf8mb4", init_command=READ_COMMITTED, client_flag=request.param
    )
    with contextlib.closing(found):
        yield found


def orders(server: MariadbServer) -> int:
    with contextlib.closing(server.connect("shop")) as connection, connection.cursor() as cursor:
        return int(cursor.execute("SELECT n FROM orders"))


def test_the_callers_rows_and_the_move_are_stored_together(
    shop: Shop, connection: Any, mariadb_server: MariadbServer
):
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO orders VALUES (1)")
    joined = shop.board.using(connection)
    assert joined.handle(shop.event("lead")).outcome is Outcome.OPENED
    assert list(shop.board.deals()) == [], "nothing is committed yet"
    connection.commit()
    assert (shop.stage, orders(mariadb_server)) == ("new", 1)


def test_what_the_caller_rolls_back_never_was(
    shop: Shop, connection: Any, mariadb_server: MariadbServer
):
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO orders VALUES (1)")
    shop.board.using(connection).handle(shop.event("lead"))
    connection.rollback()
    assert (list(shop.board.deals()), orders(mariadb_server)) == ([], 0)


def test_the_board_may_come_first_and_is_part_of_it(shop: Shop, connection: Any):
    joined = shop.board.using(connection)
    joined.handle(shop.event("lead"))
    joined.handle_many([shop.event("lead", "e"), shop.event("call", "e")])
    connection.rollback()
    assert list(shop.board.deals()) == []


def test_a_move_that_fails_leaves_the_callers_rows(
    store: MariadbStore, shop: Shop, connection: Any, mariadb_server: MariadbServer
):
    def fail(ctx: Any) -> None:
        raise ZeroDivisionError

    failing = Shop(register(lead_ladder(), into_new=fail), store)
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO orders VALUES (1)")
    with pytest.raises(HookError):
        failing.board.using(connection).handle(shop.event("lead"))
    connection.commit()
    assert (list(shop.board.deals()), orders(mariadb_server)) == ([], 1)


def test_known_events_are_counted_alike_however_the_connection_counts(shop: Shop, connection: Any):
    events = [shop.event("lead"), shop.event("call")]
    joined = shop.board.using(connection)
    assert joined.handle_many(events).accepted == 2
    assert joined.handle_many([*events, shop.event("call")]).accepted == 1
    assert joined.handle(events[0]).outcome is Outcome.DUPLICATE
    connection.commit()


def test_a_task_is_done_in_the_callers_transaction(store: MariadbStore, connection: Any):
    shop = Shop(lead_ladder(sequence=True), store)
    shop.tell("lead")
    shop.wait(25)
    (task,) = shop.board.tasks()
    shop.board.using(connection).complete(task)
    assert len(shop.board.tasks()) == 1
    connection.commit()
    assert shop.board.tasks() == []


def test_a_hook_that_commits_is_told(store: MariadbStore, connection: Any):
    committing = Shop(register(lead_ladder(), into_new=lambda ctx: ctx.connection.commit()), store)
    with pytest.raises((StoreError, HookError), match="ended the transaction"):
        committing.board.using(connection).handle(committing.event("lead"))


def test_who_is_in_autocommit_mode_is_told_to_begin(shop: Shop, connection: Any):
    connection.autocommit(True)
    joined = shop.board.using(connection)
    with pytest.raises(StoreError, match="autocommit"):
        joined.handle(shop.event("lead"))
    assert list(joined.deals()) == [], "to read, nobody has to begin"
    connection.begin()
    joined.handle(shop.event("lead"))
    connection.commit()
    assert shop.stage == "new"


def test_a_transaction_that_would_go_on_seeing_the_past_is_refused(
    shop: Shop, mariadb_server: MariadbServer
):
    with contextlib.closing(mariadb_server.connect("shop", charset="utf8mb4")) as connection:
        with pytest.raises(StoreError, match="READ COMMITTED before it begins"):
            shop.board.using(connection).handle(shop.event("lead"))
        assert list(shop.board.using(connection).deals()) == [], "to read, it may"


def test_a_connection_that_cuts_off_what_does_not_fit_is_refused(
    shop: Shop, mariadb_server: MariadbServer
):
    settings: dict[str, Any] = {"sql_mode": "ANSI", "init_command": READ_COMMITTED}
    found = mariadb_server.connect("shop", charset="utf8mb4", **settings)
    with contextlib.closing(found) as connection, pytest.raises(StoreError, match="STRICT"):
        shop.board.using(connection).handle(shop.event("lead"))


def test_a_connection_that_cannot_hold_every_text_is_refused(
    shop: Shop, mariadb_server: MariadbServer
):
    found = mariadb_server.connect("shop", charset="latin1")
    with contextlib.closing(found) as connection, pytest.raises(StoreError, match="utf8mb4"):
        shop.board.using(connection)


def test_modes_in_which_texts_are_read_otherwise_change_nothing(
    shop: Shop, mariadb_server: MariadbServer
):
    mode = "ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT,STRICT_ALL_TABLES"
    settings: dict[str, Any] = {"sql_mode": mode, "init_command": READ_COMMITTED}
    found = mariadb_server.connect("shop", charset="utf8mb4", **settings)
    with contextlib.closing(found) as connection:
        told = {"text": 'it\'s \\ "so" \n'}
        shop.board.using(connection).handle(shop.event("lead", "d\\'\"", properties=told))
        connection.commit()
    (event,) = shop.board.events("d\\'\"")
    assert event.data["properties"] == told


def test_another_database_is_told_apart(shop: Shop, mariadb_server: MariadbServer):
    name = mariadb_server.new_database()
    found = mariadb_server.connect(name, charset="utf8mb4", init_command=READ_COMMITTED)
    with contextlib.closing(found) as connection, pytest.raises(StoreError, match="has no tables"):
        shop.board.using(connection).handle(shop.event("lead"))


@pytest.mark.parametrize("driver", [object(), None], ids=["nothing", "none"])
def test_what_is_no_connection_of_the_drivers_is_refused(shop: Shop, driver: Any):
    with pytest.raises(StoreError, match="PyMySQL"):
        shop.board.using(driver)


def test_a_connection_of_sqlalchemy_is_joined(shop: Shop, mariadb_server: MariadbServer):
    url = f"mysql+pymysql://root@localhost/shop?unix_socket={mariadb_server.socket}"
    engine = sqlalchemy.create_engine(url, isolation_level="READ COMMITTED")
    try:
        with engine.begin() as connection:
            shop.board.using(connection).handle(shop.event("lead"))
            assert list(shop.board.deals()) == []
        assert shop.stage == "new"
        with Board.open(lead_ladder(), engine=engine, clock=ManualClock(START)) as board:
            assert board.deal("d").stage == "new"
    finally:
        engine.dispose()


def test_rows_come_as_tuples_whatever_the_caller_made_of_his(
    shop: Shop, mariadb_server: MariadbServer
):
    found = mariadb_server.connect(
        "shop",
        charset="utf8mb4",
        init_command=READ_COMMITTED,
        cursorclass=pymysql.cursors.DictCursor,
    )
    with contextlib.closing(found) as connection:
        shop.board.using(connection).handle(shop.event("lead"))
        connection.commit()
    assert shop.stage == "new"

"""Making the tables, which no transaction holds together here, and what refuses to be opened."""

from __future__ import annotations

import contextlib
import threading
from typing import Any

import pymysql
import pytest

from ladderpipe import Board, ManualClock
from ladderpipe.errors import StoreError
from ladderpipe.sqlalchemy import include_name
from ladderpipe.stores import MariadbStore, open_store
from ladderpipe.stores.mariadb import schema
from ladderpipe.stores.mariadb.connection import OwnConnection
from tests.mariadb import MariadbServer
from tests.shops import START, Shop, lead_ladder


def shape(server: MariadbServer) -> list[Any]:
    """Return every table with its columns and indexes."""
    with contextlib.closing(server.connect("shop")) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name, column_name, column_type FROM information_schema.columns "
            "WHERE table_schema = 'shop' ORDER BY 1, 2"
        )
        columns = list(cursor.fetchall())
        cursor.execute(
            "SELECT table_name, index_name, column_name, seq_in_index "
            "FROM information_schema.statistics WHERE table_schema = 'shop' ORDER BY 1, 2, 4"
        )
        return [columns, list(cursor.fetchall())]


def test_tables_whose_making_was_cut_off_at_any_statement_are_made_by_the_next(
    mariadb_url: str, mariadb_server: MariadbServer, monkeypatch: pytest.MonkeyPatch
):
    MariadbStore.from_url(mariadb_url).close()
    whole = shape(mariadb_server)
    run = OwnConnection.run
    statements: list[str] = []
    end: list[int] = []

    def cut_off(connection: OwnConnection, text: str) -> Any:
        if text.startswith(("CREATE", "INSERT", "UPDATE")):
            statements.append(text)
            if end and len(statements) > end[0]:
                connection._force_close()
                raise KeyboardInterrupt
        return run(connection, text)

    monkeypatch.setattr(OwnConnection, "run", cut_off)
    mariadb_server.emptied_url()
    MariadbStore.from_url(mariadb_url).close()
    count = len(statements)
    assert count > 20
    for number in range(count):
        mariadb_server.emptied_url()
        statements.clear()
        end[:] = [number]
        with pytest.raises(KeyboardInterrupt):
            MariadbStore.from_url(mariadb_url)
        end.clear()
        with Board.open(lead_ladder(), mariadb_url, clock=ManualClock(START)) as board:
            assert list(board.deals()) == []
        assert shape(mariadb_server) == whole, number


def test_a_step_that_is_still_to_come_is_done_once(
    mariadb_url: str, mariadb_server: MariadbServer, monkeypatch: pytest.MonkeyPatch
):
    """What the next version will do: there is one version only so far."""
    with contextlib.closing(MariadbStore.from_url(mariadb_url)) as store:
        Shop(lead_ladder(), store).tell("lead")
    step = "ALTER TABLE ladder_deals ADD COLUMN IF NOT EXISTS mood INT;\n"
    monkeypatch.setattr(schema, "MIGRATIONS", {**schema.MIGRATIONS, schema.VERSION + 1: step})
    monkeypatch.setattr(schema, "VERSION", schema.VERSION + 1)
    for _ in range(2):
        with contextlib.closing(MariadbStore.from_url(mariadb_url)) as store:
            assert Shop(lead_ladder(), store).stage == "new"
    assert any(column == "mood" for _, column, _ in shape(mariadb_server)[0])
    monkeypatch.undo()
    with pytest.raises(StoreError, match="install a later ladderpipe"):
        MariadbStore.from_url(mariadb_url)


def test_alembic_is_kept_from_every_table(mariadb_url: str, mariadb_server: MariadbServer):
    MariadbStore.from_url(mariadb_url).close()
    names = {name for name, _, _ in shape(mariadb_server)[0]}
    assert "ladder_locks" in names
    assert [name for name in names if include_name(name, "table", {})] == []


def test_many_that_open_at_once_make_the_tables_once(mariadb_url: str):
    failures: list[BaseException] = []

    def start() -> None:
        try:
            MariadbStore.from_url(mariadb_url).close()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=start) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_stores_with_different_prefixes_know_nothing_of_each_other(mariadb_url: str):
    one, two = (MariadbStore.from_url(f"{mariadb_url}&prefix={p}_") for p in ("one", "two"))
    with contextlib.closing(one), contextlib.closing(two):
        Shop(lead_ladder(), one).tell("lead")
        assert len(list(Shop(lead_ladder(), one).board.deals())) == 1
        assert list(Shop(lead_ladder(), two).board.deals()) == []


def test_names_that_differ_in_case_accents_or_blanks_are_different(mariadb_url: str):
    with contextlib.closing(MariadbStore.from_url(mariadb_url)) as store:
        shop = Shop(lead_ladder(), store)
        names = ["a", "A", "a ", "á", "ａ"]
        for name in names:
            shop.tell("lead", name, id=name, source=name)
        assert sorted(deal.id for deal in shop.board.deals()) == sorted(names)
        assert [len(shop.board.events(name)) for name in names] == [1] * len(names)


@pytest.mark.parametrize("scheme", ["mariadb", "mysql", "mariadb+pymysql", "mysql+pymysql"])
def test_the_usual_schemes_open_it(mariadb_url: str, scheme: str):
    url = f"{scheme}:{mariadb_url.partition(':')[2]}"
    with contextlib.closing(open_store(url, pool_size=2)) as store:
        assert isinstance(store, MariadbStore)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("mariadb://localhost", "names no database"),
        ("mariadb://localhost/a/b", "names no database"),
        ("mariadb://localhost:x/shop", "cannot be read"),
        ("mariadb://localhost/shop?pool_size=many", "write a whole number"),
        ("mariadb://localhost/shop?create=perhaps", "write true or false"),
        ("mariadb://localhost/shop?colour=red", "no option 'colour'"),
        ("mariadb://localhost/shop?prefix=A-", "lower-case letters"),
        ("mariadb://localhost/shop?lock_timeout=0", "at least 1 second"),
    ],
)
def test_an_address_that_makes_no_sense_is_refused(url: str, why: str):
    with pytest.raises(StoreError, match=why) as raised:
        open_store(url)
    assert "secret" not in str(raised.value)


def test_a_database_without_tables_is_not_made_for_who_only_looks(mariadb_url: str):
    with pytest.raises(StoreError, match="has no tables ladder_"):
        MariadbStore.from_url(f"{mariadb_url}&create=false")


def test_what_cannot_be_reached_is_told_without_the_password(mariadb_server: MariadbServer):
    url = f"mariadb://nobody:secret@localhost/shop?socket={mariadb_server.socket}"
    with pytest.raises(StoreError, match="cannot open MariaDB database shop") as raised:
        MariadbStore.from_url(url)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("version", "why"),
    [("8.0.36", "this is MySQL 8.0.36"), ("10.5.9-MariaDB", "needs 10.6 or later")],
)
def test_a_server_that_was_never_tried_is_refused(
    mariadb_url: str, monkeypatch: pytest.MonkeyPatch, version: str, why: str
):
    rows = OwnConnection.rows

    def told(connection: OwnConnection, text: str, *values: Any) -> Any:
        return rows(connection, text.replace("version()", f"'{version}'"), *values)

    monkeypatch.setattr(OwnConnection, "rows", told)
    with pytest.raises(StoreError, match=why):
        MariadbStore.from_url(mariadb_url)


def test_the_views_tell_people_what_the_rows_hold(mariadb_url: str, mariadb_server: MariadbServer):
    with contextlib.closing(MariadbStore.from_url(mariadb_url)) as store:
        shop = Shop(lead_ladder(), store)
        shop.tell("lead", id="é", source="shop")
        shop.wait(1)
        shop.tell("call", id="2")
    with contextlib.closing(mariadb_server.connect("shop")) as connection:
        cursor = connection.cursor(pymysql.cursors.DictCursor)
        cursor.execute("SELECT * FROM ladder_events_read ORDER BY at")
        first, second = cursor.fetchall()
        assert (first["pipeline"], first["deal"], first["id"], first["type"]) == (
            *("leads", "d", "é", "lead"),
        )
        assert f"{first['at']:%FT%TZ}" == START
        assert second["type"] == "call"
        cursor.execute("SELECT out_of, into_stage, rule FROM ladder_moves_read ORDER BY n")
        assert [row["into_stage"] for row in cursor.fetchall()] == ["new", "talking"]
        cursor.execute("SELECT stage, left_at IS NULL AS stands FROM ladder_visits ORDER BY n")
        assert list(cursor.fetchall()) == [
            {"stage": "new", "stands": 0},
            {"stage": "talking", "stands": 1},
        ]


def test_an_index_that_is_missing_is_told_with_what_makes_it(
    mariadb_url: str, mariadb_server: MariadbServer
):
    mariadb_server_run = mariadb_server.run
    with contextlib.closing(MariadbStore.from_url(mariadb_url)) as store:
        with store.transaction(write=False) as transaction:
            assert transaction.structure().missing_indexes == {}
        mariadb_server_run("DROP INDEX ladder_deals_due ON ladder_deals", database="shop")
        with store.transaction(write=False) as transaction:
            missing = transaction.structure().missing_indexes
        assert list(missing) == ["ladder_deals_due"]
        mariadb_server_run(missing["ladder_deals_due"], database="shop")
        with store.transaction(write=False) as transaction:
            assert transaction.structure().missing_indexes == {}

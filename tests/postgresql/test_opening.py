"""Opening a store on PostgreSQL: addresses, names, migrations, refusals."""

from __future__ import annotations

import threading

import psycopg
import pytest

from ladderpipe import Board
from ladderpipe.errors import StoreError
from ladderpipe.stores import PostgresStore
from ladderpipe.stores.postgres import schema as postgres_schema
from tests.postgres import PostgresServer, rows_by_table
from tests.postgresql.conftest import OpenStore
from tests.shops import Shop, lead_ladder


def tables(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT schemaname || '.' || tablename FROM pg_tables "
            "WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        )
        return {name for (name,) in found}


def test_a_board_opens_by_its_url(postgres_url: str):
    with Board.open(lead_ladder(), postgres_url) as board:
        assert list(board.deals()) == []
    with Board.open(lead_ladder(), postgres_url.replace("postgresql:", "postgres:", 1)):
        pass


def test_schema_and_prefix_are_the_callers_choice(postgres_url: str):
    url = f"{postgres_url}&schema=user&prefix=crm_"
    with Board.open(lead_ladder(), url) as board:
        Shop(lead_ladder(), board.store).tell("lead")
        assert len(list(board.deals())) == 1
    assert all(name.startswith("user.crm_") for name in tables(postgres_url))


def test_several_stores_share_one_database(open_store: OpenStore):
    first, second = (Shop(lead_ladder(), open_store(f"&prefix={p}_")) for p in "ab")
    first.tell("lead")
    assert [len(list(s.board.deals())) for s in (first, second)] == [1, 0]


@pytest.mark.parametrize(
    ("option", "complaint"),
    [
        ("schema=Sales", "lower-case"),
        ("schema=s;drop", "lower-case"),
        ("prefix=%22", "lower-case"),
        ("prefix=" + "x" * 60, "too long"),
        ("pool_size=many", "whole number"),
        ("listen=perhaps", "true or false"),
        ("no_such_option=1", "no_such_option"),
    ],
)
def test_an_option_that_cannot_be_is_refused(postgres_url: str, option: str, complaint: str):
    with pytest.raises(StoreError, match=complaint):
        PostgresStore.from_url(f"{postgres_url}&{option}")


def test_a_server_that_is_not_there_is_one_clear_error_without_the_password():
    with pytest.raises(StoreError, match="cannot open PostgreSQL database shop on") as raised:
        PostgresStore("postgresql://ada:s3cret@/shop?host=/nowhere")
    assert "s3cret" not in str(raised.value)


def test_the_representation_hides_the_password(postgres_url: str):
    store = PostgresStore(postgres_url.replace("postgres@", "postgres:s3cret@"))
    assert "s3cret" not in repr(store)
    store.close()


def test_a_closed_store_says_so(store: PostgresStore):
    store.close()
    with pytest.raises(StoreError, match="is closed"), store.transaction():
        pass


def test_opening_without_creating_refuses_an_empty_database(postgres_url: str):
    with pytest.raises(StoreError, match="has no tables"):
        PostgresStore(postgres_url, create=False)
    assert tables(postgres_url) == set()


def test_processes_that_start_together_migrate_once(postgres_url: str):
    barrier = threading.Barrier(6)
    failures: list[BaseException] = []

    def open_one() -> None:
        barrier.wait()
        try:
            with Board.open(lead_ladder(), f"{postgres_url}&schema=fresh"):
                pass
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=open_one) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with psycopg.connect(postgres_url) as connection:
        found = rows_by_table(connection)
    assert found["ladder_schema"] == [(len(postgres_schema.MIGRATIONS),)]
    assert len(found["ladder_pipelines"]) == 1


def test_tables_of_an_older_version_are_brought_up_to_date(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
):
    PostgresStore(postgres_url).close()
    later = (*postgres_schema.MIGRATIONS, "CREATE TABLE {tables}later (id integer)")
    monkeypatch.setattr(postgres_schema, "MIGRATIONS", later)
    PostgresStore(postgres_url).close()
    assert "public.ladder_later" in tables(postgres_url)


def test_a_migration_that_fails_leaves_nothing_behind(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
):
    broken = (*postgres_schema.MIGRATIONS, "CREATE TABLE {tables}later (id nonsense)")
    monkeypatch.setattr(postgres_schema, "MIGRATIONS", broken)
    with pytest.raises(StoreError, match="nonsense"):
        PostgresStore(postgres_url)
    assert tables(postgres_url) == set()


def test_tables_of_a_later_version_are_refused(postgres_url: str):
    PostgresStore(postgres_url).close()
    with psycopg.connect(postgres_url) as connection:
        connection.execute("UPDATE ladder_schema SET version = 99")
    with pytest.raises(StoreError, match="install a later ladderpipe"):
        PostgresStore(postgres_url)


def test_a_database_that_cannot_hold_every_text_is_refused(postgres_server: PostgresServer):
    with psycopg.connect(postgres_server.url(), autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS narrow")
        connection.execute("CREATE DATABASE narrow ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    with pytest.raises(StoreError, match="UTF8"):
        PostgresStore(postgres_server.url("narrow"))


def test_an_old_server_is_refused(postgres_url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(postgres_schema, "OLDEST_SERVER", 990_000)
    with pytest.raises(StoreError, match="needs 14 or later"):
        PostgresStore(postgres_url)


def test_a_pool_that_is_used_up_says_so(postgres_url: str):
    store = PostgresStore(postgres_url, pool_size=1, pool_timeout=1)
    with (
        store.transaction() as transaction,
        pytest.raises(StoreError, match="no connection to"),
        store.transaction(),
    ):
        transaction.pipelines()
    store.close()

"""A store in hash partitions does what every store does."""

from __future__ import annotations

import itertools
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from ladderpipe import Event, MemoryStore
from ladderpipe.board.verify import verify
from ladderpipe.errors import StoreError
from ladderpipe.stores import PostgresStore
from ladderpipe.stores.postgres import schema
from ladderpipe.testing import assert_store_contract
from tests.integration.test_verify import lived
from tests.postgres import PostgresServer
from tests.postgresql.conftest import OpenStore
from tests.shops import Shop, lead_ladder, wide_rows

LIVED = ("d", "waits", "removed", "forgotten", "open")
"""Without the one that was moved by hand: hands have random identities."""


@pytest.fixture
def store(open_store: OpenStore) -> PostgresStore:
    return open_store("&partitions=4")


def rows_in(store: PostgresStore, table: str) -> int:
    with store.transaction(write=False) as transaction:
        found = transaction.connection.execute(f"SELECT count(*) FROM {table}".encode())
        count: int = found.fetchone()[0]
        return count


def test_it_keeps_the_contract(postgres_server: PostgresServer):
    numbers = itertools.count()
    url = postgres_server.emptied_url()
    assert_store_contract(
        lambda: PostgresStore(url, prefix=f"p{next(numbers)}_", partitions=3, pool_size=4),
        examples=5,
    )


def test_it_holds_what_memory_holds(store: PostgresStore):
    ours, memory = lived(store), lived(MemoryStore())
    assert wide_rows(store, ours.board._session.number, LIVED) == wide_rows(
        memory.store, memory.board._session.number, LIVED
    )
    assert verify(ours.board).agrees


def test_what_a_former_version_made_in_partitions_is_brought_up_to_date(
    open_store: OpenStore, monkeypatch: pytest.MonkeyPatch
):
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:12])
        open_store("&partitions=4").close()
    store = open_store("&partitions=4")
    shop = lived(store)
    assert verify(shop.board).agrees
    assert shop.board.health().structure.missing_indexes == {}
    assert rows_in(store, "ladder_visits") == rows_in(store, "ladder_moves") > 0


def test_deals_are_spread_over_the_partitions(store: PostgresStore):
    shop = Shop(lead_ladder(), store)
    shop.board.handle_many(shop.event("lead", f"deal-{n}") for n in range(100))
    for table in ("documents", "events", "moves"):
        found = [rows_in(store, f"ladder_{table}_p{n}") for n in range(4)]
        assert sum(found) == 100
        assert min(found) > 5, table


def test_an_identity_is_one_event_in_whichever_partition(store: PostgresStore):
    shop = Shop(lead_ladder(), store)
    event = shop.event("lead", "a", id="same")
    others = [shop.event("lead", f"deal-{n}", id="same") for n in range(9)]
    assert len(shop.board.handle_many([event, *others]).failures) == 9
    assert len(shop.board.handle_many(others).failures) == 9
    assert [rows_in(store, f"ladder_{name}") for name in ("events", "identities")] == [1, 1]


def test_an_identity_is_free_again_when_its_deal_was_archived(store: PostgresStore, tmp_path: Path):
    shop = Shop(lead_ladder(), store)
    shop.tell("lead")
    shop.tell("order", hours=1e-9)
    shop.wait(24)
    shop.board.archive(before=shop.clock.now(), to=tmp_path / "closed.jsonl")
    assert rows_in(store, "ladder_identities") == 0
    shop.board.restore(tmp_path / "closed.jsonl")
    assert rows_in(store, "ladder_identities") == 2
    assert verify(shop.board).agrees


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO ladder_moves SELECT * FROM ladder_moves",
        "DELETE FROM ladder_deals",
        "UPDATE ladder_events SET deal = 999",
        "INSERT INTO ladder_identities SELECT * FROM ladder_identities",
    ],
)
def test_the_database_itself_refuses(store: PostgresStore, statement: str):
    shop = Shop(lead_ladder(), store)
    shop.tell("lead")
    shop.tell("call", hours=1e-9)
    with (
        pytest.raises(psycopg.IntegrityError),
        store.transaction() as transaction,
    ):
        transaction.connection.execute(statement.encode())


def test_a_second_process_need_not_know_of_partitions(store: PostgresStore, open_store: OpenStore):
    shop = Shop(lead_ladder(), store)
    event = Event("lead", deal="d", id="e", at=shop.clock.now())
    shop.board.handle(event)
    other = Shop(lead_ladder(), open_store())
    assert other.board.events("d") == [event]
    assert other.board.health().ok
    assert open_store("&partitions=4") is not store


@pytest.mark.parametrize("first", ["", "&partitions=2"])
def test_another_number_of_partitions_is_refused(open_store: OpenStore, first: str):
    open_store(first)
    with pytest.raises(StoreError, match="were made with partitions="):
        open_store("&partitions=4")


@pytest.mark.parametrize("number", ["1", "-2", "5000", "many"])
def test_a_number_that_makes_no_sense_is_refused(open_store: OpenStore, number: str):
    with pytest.raises(StoreError, match=r"give a number from 2|write a whole number"):
        open_store(f"&partitions={number}")


def test_tables_in_partitions_are_brought_up_to_date(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:13])
        PostgresStore(postgres_url, partitions=2).close()
    with psycopg.connect(postgres_url) as connection:
        connection.execute(
            "INSERT INTO ladder_pipelines (name, fingerprint, definition) "
            "VALUES ('leads', 'f', '{}')"
        )
        connection.execute("INSERT INTO ladder_deals (pipeline, deal) VALUES (1, 'd')")
        connection.execute(
            "INSERT INTO ladder_events (deal, at, seq, source, id, pipeline, type, "
            "data, digest, recorded_at) VALUES (1, now(), 0, '', 'e', 1, 'call', '{}', 'ab', now())"
        )
    with closing(PostgresStore(postgres_url)) as store, store.transaction() as transaction:
        ((event, _),) = transaction.events(1)
        assert (event.deal, event.id, event.type) == ("d", "e", "call")
        assert not transaction.structure().missing_indexes

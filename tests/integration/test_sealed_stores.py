"""A sealed store keeps the contract that every store keeps, on each database."""

from __future__ import annotations

import itertools
from pathlib import Path

from ladderpipe import SqliteStore
from ladderpipe.stores import MariadbStore, PostgresStore, seal
from ladderpipe.testing import assert_store_contract
from tests.keyrings import MemoryRing
from tests.mariadb import MariadbServer
from tests.postgres import PostgresServer


def test_sqlite_in_memory() -> None:
    assert_store_contract(lambda: seal(SqliteStore(":memory:"), MemoryRing()))


def test_a_file_with_its_keys_in_another(tmp_path: Path) -> None:
    numbers = itertools.count()

    def make() -> object:
        n = next(numbers)
        return seal(SqliteStore(tmp_path / f"{n}.db"), f"sqlite:///{tmp_path}/{n}.keys")

    assert_store_contract(make, examples=10)  # type: ignore[arg-type]


def test_postgresql(postgres_server: PostgresServer) -> None:
    assert_store_contract(
        lambda: seal(PostgresStore(postgres_server.emptied_url()), MemoryRing()), examples=10
    )


def test_mariadb(mariadb_server: MariadbServer) -> None:
    numbers = itertools.count()
    url = mariadb_server.emptied_url()
    assert_store_contract(
        lambda: seal(MariadbStore.from_url(f"{url}&prefix=p{next(numbers)}_"), MemoryRing()),
        examples=10,
    )

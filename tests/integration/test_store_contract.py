"""Every store of the library keeps the contract that the test kit ships."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from ladderpipe import MemoryStore, SqliteStore
from ladderpipe.stores import Store
from ladderpipe.testing import assert_store_contract


def test_memory_keeps_the_contract() -> None:
    assert_store_contract(MemoryStore)


def test_sqlite_in_memory_keeps_the_contract() -> None:
    assert_store_contract(lambda: SqliteStore(":memory:"))


def test_sqlite_in_a_file_keeps_the_contract(tmp_path: Path) -> None:
    numbers = itertools.count()
    assert_store_contract(lambda: SqliteStore(tmp_path / f"{next(numbers)}.db"), examples=10)


class Forgetful(MemoryStore):
    """A store that loses every third of what it commits."""

    commits = 0

    def transaction(self, write: bool = True):  # type: ignore[no-untyped-def, override]
        self.commits += write
        if write and self.commits % 3 == 0:
            return MemoryStore().transaction()
        return super().transaction(write)


def test_a_store_that_loses_something_is_found_out() -> None:
    def make_store() -> Store:
        return Forgetful()

    with pytest.raises(Exception) as caught:  # noqa: PT011
        assert_store_contract(make_store)
    assert "the store contract asks" in caught.value.__notes__[-1]

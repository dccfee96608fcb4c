"""Every store of the library keeps the contract that the test kit ships."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from ladderpipe import MemoryStore, SqliteStore
from ladderpipe.stores import PostgresStore, Store
from ladderpipe.stores.memory import MemoryTransaction
from ladderpipe.stores.postgres.transaction import PostgresTransaction
from ladderpipe.testing import assert_store_contract
from ladderpipe.testing.customer_contract import CUSTOMERS
from ladderpipe.testing.shop import Shop


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


NOTHING_KNOWN: dict[str, Any] = {
    "deals_of_customer": [],
    "count_crowds": 0,
    "sent_to": [],
    "newer_effect": None,
    "hands_since": [],
    "last_subscription": None,
    "take_back_subscription": None,
    "held_of_customer": [],
    "note_arm": None,
    "lock_customers": False,
}


@pytest.mark.parametrize("question", list(NOTHING_KNOWN))
def test_a_store_that_knows_nothing_of_customers_is_found_out(
    monkeypatch: pytest.MonkeyPatch, question: str
) -> None:
    answer = NOTHING_KNOWN[question]
    monkeypatch.setattr(MemoryTransaction, question, lambda self, *told, **named: answer)
    assert broken(MemoryStore) != []


def test_a_store_that_lets_two_claims_at_one_customer_is_found_out(
    monkeypatch: pytest.MonkeyPatch, postgres_url: str
) -> None:
    monkeypatch.setattr(PostgresTransaction, "lock_customers", lambda self, keys, wait: True)
    prefixes = (f"p{number}_" for number in itertools.count())
    found = broken(lambda: PostgresStore(postgres_url, prefix=next(prefixes)))
    assert found == [CUSTOMERS[-1].__doc__]


def broken(make_store: Any) -> list[str | None]:
    """Return the promises to customers that a store breaks."""
    found = []
    for promise in CUSTOMERS:
        shop = Shop(make_store())
        try:
            promise(shop)
        except Exception:
            found.append(promise.__doc__)
        finally:
            shop.store.close()
    return found

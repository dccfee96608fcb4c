"""Stores and shops on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import pytest

from ladderpipe.stores import PostgresStore
from tests.shops import Shop, lead_ladder

IMPATIENT = "&options=-c%20lock_timeout%3D100ms"
"""Whoever waits for a lock gets an error instead, so that a test need not sleep to see it wait."""

OpenStore = Callable[..., PostgresStore]


@pytest.fixture
def open_store(postgres_url: str) -> Iterator[OpenStore]:
    """Return a function that opens a store on one database, and another, and another."""
    with ExitStack() as stack:
        yield lambda more="": stack.enter_context(
            closing(PostgresStore.from_url(f"{postgres_url}{more}"))
        )


@pytest.fixture
def store(open_store: OpenStore) -> PostgresStore:
    return open_store()


@pytest.fixture
def shop(store: PostgresStore) -> Shop:
    return Shop(lead_ladder(), store)


@pytest.fixture
def impatient(shop: Shop, open_store: OpenStore) -> Shop:
    """Another process on the same board, which never waits for a lock."""
    return Shop(lead_ladder(), open_store(IMPATIENT))

"""Stores and shops on MariaDB."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import pytest

from ladderpipe.stores import MariadbStore
from tests.shops import Shop, lead_ladder

IMPATIENT = "&lock_timeout=1"
"""Whoever waits for a lock gets an error after a second, the shortest that the server counts."""

OpenStore = Callable[..., MariadbStore]


@pytest.fixture
def open_store(mariadb_url: str) -> Iterator[OpenStore]:
    """Return a function that opens a store on one database, and another, and another."""
    with ExitStack() as stack:
        yield lambda more="": stack.enter_context(
            closing(MariadbStore.from_url(f"{mariadb_url}{more}"))
        )


@pytest.fixture
def store(open_store: OpenStore) -> MariadbStore:
    return open_store()


@pytest.fixture
def shop(store: MariadbStore) -> Shop:
    return Shop(lead_ladder(), store)


@pytest.fixture
def impatient(shop: Shop, open_store: OpenStore, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """Another process on the same board, which waits for a lock once, and only a second."""
    monkeypatch.setattr("ladderpipe.board.session.RETRIES", 0)
    return Shop(lead_ladder(), open_store(IMPATIENT))

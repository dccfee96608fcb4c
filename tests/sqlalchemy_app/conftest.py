"""Databases that a shop's tables and the board's share, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from ladderpipe.stores import Store, open_store
from tests.shops import Shop, lead_ladder
from tests.web.callers import engine_on


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the board's URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'shop.db'}"
    name = "postgres_url" if request.param == "postgresql" else "mariadb_url"
    found: str = request.getfixturevalue(name)
    return found


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with closing(open_store(url)) as found:
        yield found


@pytest.fixture
def shop(store: Store) -> Shop:
    return Shop(lead_ladder(sequence=True), store)


@pytest.fixture
def engine(url: str) -> Iterator[sa.Engine]:
    found = engine_on(url)
    yield found
    found.dispose()

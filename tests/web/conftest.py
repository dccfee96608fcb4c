"""Every test that asks for ``shop`` runs over each application, on SQLite and on PostgreSQL.

Starting one takes a second or two, so that the tests of a process share them: each test has carts
of its own.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from tests.web.servers import APPLICATIONS, WebShop, running

_numbers = itertools.count(1)


@pytest.fixture(
    scope="session",
    params=[(name, database) for name in APPLICATIONS for database in ("sqlite", "postgresql")],
    ids="-".join,
)
def shop(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WebShop]:
    name, database = request.param
    folder = tmp_path_factory.mktemp(f"{name}-{database}")
    if database == "sqlite":
        url = f"sqlite:///{folder / 'shop.db'}"
    else:
        url = request.getfixturevalue("postgres_server").new_database()
    with running(name, url, folder) as found:
        yield found


@pytest.fixture
def cart() -> str:
    """Return the id of a cart that nobody has touched."""
    return f"cart-{next(_numbers)}"

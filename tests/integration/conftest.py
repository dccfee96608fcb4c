"""Every test that asks for ``store`` runs over each of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ladderpipe.stores import MariadbStore, PostgresStore
from tests.shops import make_store


@pytest.fixture(params=["memory", "sqlite", "postgres", "mariadb"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    if request.param == "postgres":
        found: Any = PostgresStore(request.getfixturevalue("postgres_url"))
    elif request.param == "mariadb":
        found = MariadbStore.from_url(request.getfixturevalue("mariadb_url"))
    else:
        found = make_store(request.param, tmp_path)
    yield found
    found.close()

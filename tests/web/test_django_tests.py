"""Django's test runner works on a database of its own, and so does the board in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ladderpipe import Board
from ladderpipe.templates import sales_management
from tests.shops import contents
from tests.web.servers import EXAMPLES


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_the_tests_of_the_django_shop_leave_its_database_alone(
    request: pytest.FixtureRequest, tmp_path: Path, database: str
) -> None:
    folder = tmp_path / "django_shop"
    shutil.copytree(EXAMPLES / "django_shop", folder)
    url = f"sqlite:///{folder / 'shop.db'}"
    if database == "postgresql":
        url = request.getfixturevalue("postgres_server").new_database()
    with Board.open(sales_management(language="en"), url) as board:
        before = contents(board.store)
        done = subprocess.run(
            [sys.executable, "manage.py", "test", "--noinput"],
            cwd=folder,
            env=os.environ | {"DATABASE_URL": url},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        assert "Ran 5 tests" in done.stderr
        assert contents(board.store) == before


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_our_tables_are_told_by_their_names(
    request: pytest.FixtureRequest, tmp_path: Path, database: str
) -> None:
    """What keeps Alembic from dropping them goes by the beginning of their names."""
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    if database == "postgresql":
        url = request.getfixturevalue("postgres_url")
    with Board.open(sales_management(), url) as board:
        names = contents(board.store).keys()
    assert names
    assert all(name.startswith(("ladder_", "sqlite_")) for name in names)

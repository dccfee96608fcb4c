"""The app in a project of its own, whose tests Django runs: on each database, in its own process.

Django is set up once in a process, and other tests have it set up otherwise.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

PROJECT = Path(__file__).parent / "project"
MODULES = sorted(path.stem for path in (PROJECT / "sales" / "tests").glob("tests_*.py"))
DATABASES = ("memory", "file", "postgresql")


@pytest.fixture(params=DATABASES)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of the database that the project is developed on."""
    if request.param == "memory":
        return "sqlite:///:memory:"
    if request.param == "file":
        return f"sqlite:///{tmp_path / 'shop.db'}"
    url: str = request.getfixturevalue("postgres_server").new_database()
    return url


def manage(database: str, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command of Django's in the project."""
    return subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "manage.py", *words],
        cwd=PROJECT,
        env=os.environ | {"DATABASE_URL": database, "MAILS": str(folder / "mails")},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.parametrize("module", MODULES)
def test_djangos_tests_pass(database: str, module: str, tmp_path: Path) -> None:
    done = manage(database, tmp_path, "test", "--noinput", f"sales.tests.{module}")
    assert done.returncode == 0, done.stderr
    assert "OK" in done.stderr


def test_they_never_touch_the_database_of_development(database: str, tmp_path: Path) -> None:
    done = manage(database, tmp_path, "test", "--noinput", "sales.tests.tests_board")
    assert done.returncode == 0, done.stderr
    if database.startswith("postgresql"):
        with psycopg.connect(database) as connection:
            found = connection.execute("SELECT FROM pg_class WHERE relname ~ '^ladder_'")
            assert found.rowcount == 0
    else:
        assert not (tmp_path / "shop.db").exists()


def test_migrations_say_what_the_models_say(tmp_path: Path) -> None:
    done = manage("sqlite:///:memory:", tmp_path, "makemigrations", "--check", "--dry-run")
    assert done.returncode == 0, done.stdout + done.stderr

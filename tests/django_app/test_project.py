"""The app in a project of its own, whose tests Django runs: on each database, in its own process.

Django is set up once in a process, and other tests have it set up otherwise.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

import ladderpipe
from ladderpipe import Board, Event, Pipeline, Stage, on
from ladderpipe.stores import PostgresStore
from ladderpipe.stores.postgres import schema as postgres_schema
from ladderpipe.stores.sqlite import schema as sqlite_schema
from ladderpipe.stores.sqlite import upgrade

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


def test_there_is_a_migration_of_djangos_for_the_newest_version_of_our_tables() -> None:
    """Without one, `migrate` would have nothing to do after an upgrade."""
    folder = Path(ladderpipe.__file__).parent / "django" / "migrations"
    versions = {int(path.stem.rpartition("_")[2]) for path in folder.glob("*_schema_*.py")}
    assert max(versions) == sqlite_schema.VERSION == len(postgres_schema.MIGRATIONS)


@pytest.mark.parametrize("version", [12, 14])
def test_migrate_brings_older_tables_up_to_date(
    database: str, version: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if ":memory:" in database:
        pytest.skip("nothing older is kept in memory")
    with monkeypatch.context() as patch:
        patch.setattr(postgres_schema, "MIGRATIONS", postgres_schema.MIGRATIONS[:version])
        patch.setattr(upgrade, "MIGRATIONS", upgrade.MIGRATIONS[:version])
        if database.startswith("postgresql"):
            PostgresStore(database).close()
        else:
            with closing(sqlite3.connect(tmp_path / "shop.db", isolation_level=None)) as older:
                upgrade.upgrade(older)
    checked = manage(database, tmp_path, "check", "--database", "default")
    assert f"have schema version {version}" in checked.stderr
    assert manage(database, tmp_path, "migrate").returncode == 0
    checked = manage(database, tmp_path, "check", "--database", "default", "--fail-level", "INFO")
    assert checked.returncode == 0, checked.stderr
    with Board.open(leads_before(), database, adopting=True) as board:
        assert board.health().structure.version == sqlite_schema.VERSION


def test_a_board_that_was_there_before_is_taken_over(database: str, tmp_path: Path) -> None:
    if ":memory:" in database:
        pytest.skip("nobody was there before")
    with Board.open(leads_before(), database) as board:
        board.handle(Event("lead", deal="old", id="1", at="2026-01-05T09:00:00Z"))
    done = manage(database, tmp_path, "migrate")
    assert done.returncode == 0, done.stderr
    assert "another definition" in done.stdout
    ask = "from ladderpipe.django.models import Event; print(Event.objects.get().deal)"
    assert manage(database, tmp_path, "shell", "-v0", "-c", ask).stdout.strip() == "old"


def leads_before() -> Pipeline:
    """Return a ladder that has the name of the project's and is another one."""
    new = Stage("new", title="New")
    return Pipeline("leads", stages=[new], rules=[on("lead", into=new, opens=True)])


def test_migrations_say_what_the_models_say(tmp_path: Path) -> None:
    done = manage("sqlite:///:memory:", tmp_path, "makemigrations", "--check", "--dry-run")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_worker_stops_when_it_is_told_to(database: str, tmp_path: Path) -> None:
    if ":memory:" in database:
        pytest.skip("nobody else sees a database in memory")
    assert manage(database, tmp_path, "migrate").returncode == 0
    lead = (
        "from ladderpipe import Event; from ladderpipe.django import get_board; b = get_board(); "
        "[b.handle(Event(k, deal='d', id=k, at=b.clock.now())) for k in ('lead', 'order')]"
    )
    assert manage(database, tmp_path, "shell", "-c", lead).returncode == 0
    worker = subprocess.Popen(
        [sys.executable, "-u", "manage.py", "ladder_worker", "--poll", "0.1"],
        cwd=PROJECT,
        env=os.environ | {"DATABASE_URL": database, "MAILS": str(tmp_path / "mails")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert worker.stdout is not None
        said = [worker.stdout.readline(), worker.stdout.readline()]
        assert said == ["working on leads\n", "leads: 2 effects delivered\n"]
    finally:
        worker.terminate()
        rest, _ = worker.communicate(timeout=60)
    assert worker.returncode == 0, rest
    assert rest.endswith("stopped\n")
    assert len(list((tmp_path / "mails").iterdir())) == 1

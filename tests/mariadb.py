"""A real MariaDB server for tests, the system's."""

from __future__ import annotations

import contextlib
import functools
import os
import pwd
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pymysql

from ladderpipe.stores import MariadbStore

FAST: Final = {
    "innodb-flush-log-at-trx-commit": "0",
    "innodb-doublewrite": "0",
    "innodb-flush-method": "nosync",
    "debug-no-sync": "1",
}
"""Nothing survives a crash of the machine, which tests do not need."""

_EVERY: Final = {
    "innodb-buffer-pool-size": "64M",
    "innodb-log-file-size": "16M",
    "max-connections": "100",
    "performance-schema": "OFF",
    "skip-name-resolve": "",
    "skip-networking": "",
    "tls-version": "TLSv1.2",
}


class MariadbServer:
    """A server of its own in a new folder, reached through a socket there."""

    def __init__(self, **settings: str) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="ladderpipe-mariadb-"))
        self._user = pwd.getpwuid(os.geteuid()).pw_name
        self._settings = _EVERY | settings
        subprocess.run(
            [
                *("mariadb-install-db", "--no-defaults", f"--datadir={self._folder}/data"),
                *(f"--user={self._user}", "--auth-root-authentication-method=normal"),
                "--skip-test-db",
            ],
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self._folder,
        )
        self._process = self.start()

    @property
    def socket(self) -> str:
        return f"{self._folder}/socket"

    def start(self) -> subprocess.Popen[bytes]:
        """Start, and return when connections are taken."""
        listed = [
            f"--{name}={value}" if value else f"--{name}" for name, value in self._settings.items()
        ]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(_program(), "--no-defaults", f"--user={self._user}"),
                    *(f"--datadir={self._folder}/data", f"--socket={self.socket}"),
                    *(f"--pid-file={self._folder}/pid", *listed),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
            )
        until = time.monotonic() + 60
        # It makes the socket when it listens there; what fails to connect before leaves one open.
        while not Path(self.socket).exists():
            log_text = (self._folder / "log").read_text()
            assert self._process.poll() is None, log_text
            assert time.monotonic() < until, log_text
            time.sleep(0.02)
        return self._process

    def kill(self) -> None:
        """Do to the server what pulling the plug does."""
        self._process.kill()
        self._process.wait()
        Path(self.socket).unlink(missing_ok=True)

    def connect(self, database: str, **settings: Any) -> pymysql.Connection[Any]:
        """Return a connection of PyMySQL's, as a shop may open one."""
        return pymysql.connect(
            unix_socket=self.socket, user="root", database=database or None, **settings
        )

    def url(self, database: str) -> str:
        """Return the URL of a database, as ``Board.open`` takes it."""
        return f"mariadb://root@localhost/{database}?socket={quote(self.socket)}"

    def new_database(self) -> str:
        """Create an empty database and return its name."""
        name = f"test_{uuid.uuid4().hex}"
        self.run(f"CREATE DATABASE {name}")
        return name

    def emptied_url(self) -> str:
        """Return the URL of a database with nothing in it; who is connected to it is cut off."""
        self.cut_every_connection()
        self.run("DROP DATABASE IF EXISTS shop", "CREATE DATABASE shop")
        return self.url("shop")

    def cut_every_connection(self) -> int:
        """Let the server cut everyone else; return how many there were."""
        connection = self.connect("")
        with contextlib.closing(connection), connection.cursor() as cursor:
            cursor.execute(
                "SELECT id FROM information_schema.processlist "
                "WHERE id <> connection_id() AND user = 'root' AND command <> 'Daemon'"
            )
            numbers = [row[0] for row in cursor.fetchall()]
            for number in numbers:
                with contextlib.suppress(pymysql.OperationalError):
                    cursor.execute(f"KILL {number}")
            while numbers:
                cursor.execute(
                    "SELECT count(*) FROM information_schema.processlist WHERE id IN %s", [numbers]
                )
                if cursor.fetchone() == (0,):
                    break
        return len(numbers)

    def run(self, *statements: str, database: str = "") -> None:
        """Run statements, each by itself."""
        connection = self.connect(database, autocommit=True)
        with contextlib.closing(connection), connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def close(self) -> None:
        """Stop and remove everything."""
        self.kill()
        shutil.rmtree(self._folder)


def mariadb_rows_by_table(connection: Any) -> dict[str, list[tuple[Any, ...]]]:
    """Return every row of every table of a database, to compare before and after."""
    with pymysql.cursors.Cursor(connection) as cursor:
        cursor.execute(
            "SELECT table_name FROM information_schema.tables "
            "WHERE table_schema = database() AND table_type = 'BASE TABLE'"
        )
        names = [row[0] for row in cursor.fetchall()]
        found = {}
        for name in names:
            cursor.execute(f"SELECT * FROM `{name}`")
            found[name] = sorted(cursor.fetchall(), key=repr)
    return found


def alter_tables(store: MariadbStore, *statements: str) -> None:
    """Run statements that commit, outside of every transaction."""
    with store._pool.borrowed() as connection:
        for statement in statements:
            connection.run(statement)


@contextlib.contextmanager
def running_mariadb(**settings: str) -> Iterator[MariadbServer]:
    """Run a server while the block runs."""
    server = MariadbServer(**settings)
    try:
        yield server
    finally:
        server.close()


@functools.cache
def has_mariadb() -> bool:
    """Return whether this machine has a MariaDB server."""
    return bool(_program() and shutil.which("mariadb-install-db"))


def _program() -> str | None:
    return shutil.which("mariadbd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")

"""Proxies, servers that lose nothing, and logs for the processes of a crew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgres import PostgresServer, running, system_programs, wheel_programs
from tests.proxy import Proxy

from .crew import Logs


@pytest.fixture
def logs(tmp_path: Path) -> Logs:
    return Logs(tmp_path)


@pytest.fixture(params=["postgres", "mariadb"])
def server_url(request: pytest.FixtureRequest) -> str:
    """Return the URL of an empty database, on one kind of server and on the other."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def proxy(server_url: str) -> Iterator[Proxy]:
    proxy = Proxy(server_url)
    yield proxy
    proxy.close()


@pytest.fixture
def durable_server() -> Iterator[PostgresServer]:
    """Run a server of the test's own as a shop does: what is committed is on the disk."""
    programs = wheel_programs() or system_programs()
    if programs is None:
        pytest.skip("no PostgreSQL: make test installs one")
    with running(programs) as server:
        yield server

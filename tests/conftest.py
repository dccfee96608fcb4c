"""Hypothesis profiles, and the ladder most tests are about."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from ladderpipe import Board, ManualClock, Pipeline
from tests.ladders import sales_ladder
from tests.mariadb import FAST as FAST_MARIADB
from tests.mariadb import MariadbServer, has_mariadb, running_mariadb
from tests.postgres import FAST, PostgresServer, running, system_programs, wheel_programs

# HYPOTHESIS_PROFILE=thorough takes ten minutes; the others take one.
settings.register_profile("dev", deadline=None, max_examples=100)
settings.register_profile(
    "ci",
    deadline=None,
    max_examples=150,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("thorough", deadline=None, max_examples=2_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev"))


@pytest.fixture
def ladder_pipeline() -> Pipeline:
    return sales_ladder()


@pytest.fixture
def pipeline(ladder_pipeline: Pipeline) -> Pipeline:
    return ladder_pipeline


@pytest.fixture
def clock(ladder_clock: ManualClock) -> ManualClock:
    return ladder_clock


@pytest.fixture
def board(ladder_board: Board) -> Board:
    return ladder_board


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """Run a PostgreSQL server for this worker's tests, which survives no crash of the machine."""
    programs = wheel_programs() or system_programs()
    if programs is None:
        pytest.skip("no PostgreSQL: make test installs one")
    with running(programs, **FAST) as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> str:
    """Return the URL of an empty database."""
    return postgres_server.emptied_url()


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[MariadbServer]:
    """Run a MariaDB server for this worker's tests, which survives no crash of the machine."""
    if not has_mariadb():
        pytest.skip("no MariaDB: make system installs one")
    with running_mariadb(**FAST_MARIADB) as server:
        yield server


@pytest.fixture
def mariadb_url(mariadb_server: MariadbServer) -> str:
    """Return the URL of an empty database."""
    return mariadb_server.emptied_url()

"""The contract that every store keeps, on the PostgreSQL of the wheel and on the system's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ladderpipe.stores import PostgresStore
from ladderpipe.testing import assert_store_contract
from tests.postgres import FAST, PostgresServer, running, system_programs, wheel_programs


@pytest.fixture(params=[wheel_programs, system_programs], ids=["wheel", "system"], scope="module")
def server(request: pytest.FixtureRequest) -> Iterator[PostgresServer]:
    find: Callable[[], Path | None] = request.param
    programs = find()
    if programs is None:
        pytest.skip("this machine has none")
    with running(programs, **FAST) as found:
        yield found


def test_it_keeps_the_contract(server: PostgresServer):
    assert_store_contract(lambda: PostgresStore(server.emptied_url()), examples=10)

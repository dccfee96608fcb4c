"""The pytest plugin: a board and its clock, and ``--ladder-cov``, which says what tests reached.

Every project that has the package installed has these fixtures, so their names begin alike.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from ladderpipe import ManualClock, Pipeline

if TYPE_CHECKING:
    from ladderpipe import Board

__all__ = ["ladder_board", "ladder_clock", "ladder_pipeline"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what makes a run say which rules, stages and guards it reached."""
    group = parser.getgroup("ladderpipe", "coverage of ladders (ladderpipe)")
    group.addoption(
        "--ladder-cov",
        action="append",
        nargs="?",
        const="",
        type=_import_path,
        metavar="MODULE:PIPELINE",
        help="say what of the ladder no test reached; without a value, of the one that the fixture "
        "ladder_pipeline returns",
    )
    group.addoption(
        "--ladder-fail-under",
        type=float,
        metavar="PERCENT",
        help="fail when less of the ladder is reached than this",
    )
    parser.addini("ladder_cov", "which ladders --ladder-cov is about, module:pipeline", "linelist")
    parser.addini(
        "ladder_excuse",
        "what no test needs to reach, and why: NAME -- REASON; * stands for anything",
        "linelist",
    )


_MUTATION = "LADDERPIPE_MUTATION"


def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Have a ladder changed as it is imported, if ``ladderpipe mutate`` runs the tests."""
    if _MUTATION in os.environ:
        from .mutation.in_pytest import MutationRun

        run = MutationRun.of_environment(early_config)
        early_config.pluginmanager.register(run, "ladderpipe-mutation")


def pytest_configure(config: pytest.Config) -> None:
    """Watch ladders if that is asked for."""
    config.addinivalue_line(
        "markers",
        "ladder_excuse(name, reason): why no test needs to reach a part of the ladder",
    )
    asked = config.getoption("ladder_cov"), config.getoption("ladder_fail_under")
    if asked != (None, None) and _MUTATION not in os.environ:
        from .pytest_coverage import LadderCoverage

        config.pluginmanager.register(LadderCoverage(config), "ladderpipe-coverage")


def _import_path(named: str) -> str:
    module, _, name = named.partition(":")
    if named and not (module and name):
        raise argparse.ArgumentTypeError(
            f"{named!r} names no pipeline: write --ladder-cov=module:pipeline, or put --ladder-cov "
            "behind the tests"
        )
    return named


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

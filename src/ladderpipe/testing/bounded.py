"""The test case of a state machine: shrinking ends in time, and what was not reached is told."""

from __future__ import annotations

import contextlib
import functools
import unittest
from collections.abc import Iterator
from typing import Any, Final

from hypothesis.internal.conjecture import engine
from hypothesis.reporting import current_reporter, with_reporter
from hypothesis.stateful import RuleBasedStateMachine

from ladderpipe.public import publish

from .coverage import covering

__all__ = ["BoundedTestCase", "shrinking_within"]

_TOO_LONG: Final = "WARNING: Hypothesis has spent more than five minutes"


class BoundedTestCase:
    """Hypothesis's own test case for a state machine, run within bounds."""

    def __get__(self, machine: object, kind: Any) -> Any:
        return _test_case(kind)


@functools.cache
def _test_case(kind: Any) -> type[unittest.TestCase]:
    case: Any = RuleBasedStateMachine.__dict__["TestCase"].__get__(None, kind)

    def run(self: Any) -> None:
        watching = covering(kind.pipeline, excuse=kind.excuse)
        with shrinking_within(kind.shrink_seconds), watching as found:
            case.runTest(self)
        if kind.cover is not None:
            found.check(kind.cover)

    vars(run).update(vars(case.runTest))
    return type(case.__name__, (case,), {"runTest": run, "__qualname__": case.__qualname__})


@contextlib.contextmanager
def shrinking_within(seconds: float) -> Iterator[None]:
    """Bound, while the block runs, how long Hypothesis looks for a smaller failing example.

    It decorates a property, too: ``@shrinking_within(15)`` above ``@given(events(ladder))``.

    Its bound is a module's variable that it keeps to be set from outside. What it says then is
    about five minutes, and wants a report: this says what was the case.
    """

    def reporter(text: Any) -> None:
        if str(text).startswith(_TOO_LONG):
            text = (
                f"The example below may not be the smallest: looking for one stopped after "
                f"{seconds:g} s (shrink_seconds)."
            )
        tell(text)

    tell = current_reporter()
    limits: Any = engine
    usual = limits.MAX_SHRINKING_SECONDS
    limits.MAX_SHRINKING_SECONDS = seconds
    try:
        with with_reporter(reporter):
            yield
    finally:
        limits.MAX_SHRINKING_SECONDS = usual


publish("ladderpipe.testing", shrinking_within)

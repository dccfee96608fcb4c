"""Cases of the semantics as data, for whatever claims to keep them: a fold, a store, an engine."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from importlib import resources
from typing import Any, Final

import attrs

from ladderpipe import Event, History, ManualClock, Pipeline
from ladderpipe.model.clock import instant
from ladderpipe.public import publish

from ..assertions import assert_single_stage, expect
from .agreement import as_data, difference
from .ladders import ladder
from .steps import DEAL, OpenBoard, event_of, history_of, take, tell

__all__ = ["ConformanceCase", "conformance_cases"]

_BEFORE_ALL: Final = instant("2026-01-01T00:00:00Z")


@attrs.frozen
class ConformanceCase:
    """What the semantics say of one small course of events.

    It has either *events*, of which it says what history they make, or *steps*, which a board
    takes one after another.

    Attributes:
        section: of the page of semantics, as ``"S8"``.
        name: what the case says, in words.
        pipeline: the ladder, which calls no function of anybody's own.
        events: of one deal, in the order in which they arrive.
        until: up to when timers fire; ``None`` for up to the last event.
        history: what of their history the case says; ``None`` for no deal.
        steps: what a board is asked, and what it must answer; see the page on conformance.
    """

    section: str
    name: str
    pipeline: Pipeline = attrs.field(repr=False)
    events: tuple[Event, ...] = attrs.field(default=(), repr=False)
    until: dt.datetime | None = attrs.field(default=None, repr=False)
    history: Mapping[str, Any] | None = attrs.field(default=None, repr=False)
    steps: tuple[Mapping[str, Any], ...] = attrs.field(default=(), repr=False)

    def __str__(self) -> str:
        return f"{self.section}: {self.name}"

    def check_history(self, found: History | Mapping[str, Any] | None) -> None:
        """Assert that *found* is what the events come to; for engines of any kind.

        Args:
            found: the history, or what :meth:`~ladderpipe.History.to_dict` would write of it.

        Raises:
            AssertionError: it is not; the message says where.
        """
        if isinstance(found, History):
            assert_single_stage(found)
        written = None if found is None else as_data(found)
        problem = difference(self.history, written, "history")
        expect(problem is None, f"{self}: {problem}")

    def check_board(self, open_board: OpenBoard) -> None:
        """Assert that a board answers as the case says, or comes to the history that it says.

        Args:
            open_board: called with a pipeline and ``clock=``; opens a board on one store, which
                holds nothing at first. Some cases call it again, for the same store and another
                ladder, and one of these times with ``adopting=True``.

        Raises:
            AssertionError: the board does otherwise; the message says where.
        """
        if self.steps:
            take(self.steps, self.pipeline, open_board, str(self))
            return
        last = max((event.at for event in self.events), default=_BEFORE_ALL)
        board = open_board(self.pipeline, clock=ManualClock(self.until or last))
        for event in self.events:
            tell(board, event)
        if self.until is not None:
            board.tick()
        self.check_history(history_of(board, DEAL))


def conformance_cases() -> list[ConformanceCase]:
    """Return every case, by section."""
    folder = resources.files(__package__)
    found = []
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if file.name.startswith("S") and file.name.endswith(".json"):
            told = json.loads(file.read_text("utf-8"))
            found += [_case(told["section"], case) for case in told["cases"]]
    return found


def _case(section: str, told: Mapping[str, Any]) -> ConformanceCase:
    until = told.get("until")
    return ConformanceCase(
        section,
        told["name"],
        ladder(told["ladder"]),
        tuple(map(event_of, told.get("events", ()))),
        None if until is None else instant(until),
        told.get("history"),
        tuple(told.get("steps", ())),
    )


publish("ladderpipe.testing", ConformanceCase, conformance_cases)

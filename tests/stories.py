"""Stories: one deal on a board in memory, told event by event and day by day."""

from __future__ import annotations

import itertools
from typing import Any

from ladderpipe import Board, Event, ManualClock, Pipeline
from ladderpipe.model.clock import instant

START = "2026-01-05T09:00:00Z"
ADA = {"name": "Ada Rossi", "email": "ada@example.com"}

_numbers = itertools.count(1)


def event(kind: str, data: dict[str, Any], at: Any = START) -> Event:
    """Return an event of the deal ``d`` with a fresh identity."""
    return Event(kind, deal="d", id=f"e{next(_numbers)}", at=instant(at), data=data)


class Story:
    """A board with a clock, the mails it sent so far and what happened to its only deal."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.clock = ManualClock(START)
        self.board = Board(pipeline, clock=self.clock)
        self.mails: list[str] = []
        self.board.handles("email")(
            lambda delivery: self.mails.append(delivery.payload["template"])
        )

    def tell(self, kind: str, **data: Any) -> None:
        """Let something happen, a minute after what happened last."""
        self.clock.advance(minutes=1)
        self.board.handle(event(kind, data, self.clock.now()))

    def after(self, **time: float) -> None:
        """Let time pass, with a worker that looks every six hours and at the end."""
        end = ManualClock(self.clock.now())
        end.advance(**time)
        while (left := end.now() - self.clock.now()).total_seconds() > 0:
            self.clock.advance(seconds=min(left.total_seconds(), 6 * 3600))
            self.board.tick()
            self.board.deliver()

    @property
    def stage(self) -> str:
        return self.board.deal("d").stage.key

    @property
    def stages(self) -> list[str]:
        return [visit.stage.key for visit in self.board.history("d").visits]

    @property
    def open_tasks(self) -> list[str]:
        """Titles of the tasks that are due by now."""
        return [task.title for task in self.board.tasks(due_by=self.clock.now())]

"""The ladder of ``durable`` as one would write it for Temporal by hand: nothing but what it needs.

A dictionary of moves and one timer: no identities, no late events, no ladder that changes, no
effects. Imported into Temporal's sandbox, so it imports little.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

from temporalio import workflow
from temporalio.exceptions import ApplicationError

TWO_DAYS = dt.timedelta(hours=48)
MOVES = {
    ("opened", None): "lead",
    ("called", "lead"): "talking",
    ("quoted", "talking"): "quote",
    ("ordered", "lead"): "won",
    ("ordered", "talking"): "won",
    ("ordered", "quote"): "won",
}


@dataclass
class Told:
    """What is told of a deal."""

    type: str
    id: str
    at: str
    data: dict[str, str] = field(default_factory=dict)


@dataclass
class Answer:
    """What came of it."""

    stage: str | None
    moved: bool


@workflow.defn
class HandWrittenDeal:
    """A deal, for as long as it is not won or cold."""

    def __init__(self) -> None:
        self._stage: str | None = None
        self._moves: list[tuple[str | None, str, str]] = []
        self._due: dt.datetime | None = None
        self._taken = 0

    @workflow.run
    async def run(self) -> list[tuple[str | None, str, str]]:
        """Wait for what is told, and for the timer."""
        while self._stage != "won":
            taken, due = self._taken, self._due
            wait = None if due is None else max(dt.timedelta(), due - workflow.now())
            try:
                await workflow.wait_condition(lambda taken=taken: self._taken > taken, timeout=wait)
            except TimeoutError:
                assert due is not None
                self._enter("cold", due)
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._moves

    @workflow.update
    def handle(self, told: Told) -> Answer:
        """Take what is told."""
        into = MOVES.get((told.type, self._stage))
        if into is not None:
            self._enter(into, dt.datetime.fromisoformat(told.at))
        self._taken += 1
        return Answer(self._stage, into is not None)

    @handle.validator
    def check(self, told: Told) -> None:
        """Refuse what would stand in the way for ever."""
        try:
            at = dt.datetime.fromisoformat(told.at)
        except ValueError as error:
            raise ApplicationError(str(error), non_retryable=True) from None
        if at.tzinfo is None:
            raise ApplicationError(f"{told.at} has no offset", non_retryable=True)

    @workflow.query
    def history(self) -> list[tuple[str | None, str, str]]:
        """Return the moves."""
        return self._moves

    def _enter(self, stage: str, at: dt.datetime) -> None:
        self._moves.append((self._stage, stage, at.isoformat()))
        self._stage = stage
        self._due = at + TWO_DAYS if stage in ("lead", "talking", "quote") else None

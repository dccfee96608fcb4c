"""Steps that a board takes: what it is asked, and what it must answer."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from ladderpipe import Event, History, ManualClock, Pipeline
from ladderpipe.errors import DealNotFoundError, LadderError, MoveNotAllowedError
from ladderpipe.model.event import BY_HAND, OVERRIDE

from ..assertions import assert_single_stage, expect
from .agreement import as_data, difference
from .ladders import ladder

__all__ = ["DEAL", "OpenBoard", "event_of", "history_of", "take", "tell"]

DEAL: Final = "deal-1"
"""The deal that a case is about where it names none."""

_HANDS: Final = ("move", "override", "edit", "undo", "withdraw")
_SAID: Final = ("outcome", "refolded", "late")
"""What of a receipt a step says."""


class OpenBoard(Protocol):
    """Opens a board on one store: a :class:`~ladderpipe.Board`, or what answers as one does."""

    def __call__(self, pipeline: Pipeline, **settings: Any) -> Any:
        """Open one; the settings are those of :class:`~ladderpipe.Board`."""
        ...


def event_of(told: Mapping[str, Any]) -> Event:
    """Return an event as a case has it, which leaves out what is as ever."""
    return Event(**{"deal": DEAL, **told})


def history_of(board: Any, deal: str) -> History | None:
    """Return the history of a deal, or ``None`` if there is no such deal."""
    try:
        return board.history(deal)  # type: ignore[no-any-return]
    except DealNotFoundError:
        return None


def tell(board: Any, event: Event) -> None:
    """Tell a board an event; a hand's as a hand tells it."""
    if event.type not in (BY_HAND, OVERRIDE):
        board.handle(event, hold=True)
        return
    ask = board.move if event.type == BY_HAND else board.override
    with contextlib.suppress(MoveNotAllowedError):  # then the event is not even recorded
        ask(event.deal, at=event.at, id=event.id, **event.data)


def take(
    steps: Sequence[Mapping[str, Any]], pipeline: Pipeline, open_board: OpenBoard, case: str
) -> None:
    """Take the steps one after another.

    Raises:
        AssertionError: the board answers otherwise than a step says.
    """
    course = _Course(pipeline, open_board, ManualClock(steps[0]["at"]))
    for n, step in enumerate(steps, 1):
        try:
            course.take(step)
        except Exception as error:
            error.add_note(f"{case}, step {n}: {dict(step)}")
            raise


class _Course:
    """A board on its way through the steps of a case."""

    def __init__(self, pipeline: Pipeline, open_board: OpenBoard, clock: ManualClock) -> None:
        self._open_board = open_board
        self._clock = clock
        self._delivered: list[str] = []
        self._board = self._opened(pipeline)

    def _opened(self, pipeline: Pipeline, **settings: Any) -> Any:
        board = self._open_board(pipeline, clock=self._clock, **settings)
        for name in sorted(_effects_of(pipeline)):
            board.handle_effect(name, self._deliver)
        return board

    def _deliver(self, effect: Any) -> None:
        self._delivered.append(effect.name)

    def take(self, step: Mapping[str, Any]) -> None:
        if "at" in step:
            self._clock.set(step["at"])
        refused: LadderError | None = None
        answer: Any = None
        try:
            answer = self._ask(step)
        except LadderError as error:
            refused = error
            if "refused" not in step:
                raise
        said = None if refused is None else type(refused).__name__
        expect(said == step.get("refused"), f"expected {step.get('refused')}, found {said}")
        for name in _SAID:
            if name in step:
                found = answer.outcome.name if name == "outcome" else getattr(answer, name)
                expect(found == step[name], f"{name}: expected {step[name]}, found {found}")

    def _ask(self, step: Mapping[str, Any]) -> Any:
        board = self._board
        for hand in _HANDS:
            if hand in step:
                return self._by_hand(hand, dict(step[hand]))
        if "tell" in step:
            quiet, hold = step.get("quiet", False), step.get("hold", False)
            return board.handle(event_of(step["tell"]), hold=hold, quiet=quiet)
        if "tell_many" in step:
            report = board.handle_many([event_of(told) for told in step["tell_many"]])
            failed = [failure.event.deal for failure in report.failures]
            return expect(failed == step["failed"], f"refused were {failed}")
        if "tick" in step:
            return board.tick()
        if "deliver" in step:
            return self._deliver_all(step["deliver"])
        if "forget" in step:
            return board.forget(**step["forget"])
        if "reopen" in step:
            return self._opened(ladder(step["reopen"]))
        if "migrate" in step:
            self._board = self._opened(ladder(step["migrate"]), adopting=True)
            return self._board.migrate(step.get("renamed", {}))
        return self._look(step.get("deal", DEAL), step["expect"])

    def _by_hand(self, hand: str, asked: dict[str, Any]) -> Any:
        if hand == "withdraw":
            return self._board.withdraw(asked.pop("event"), **asked)
        return getattr(self._board, hand)(asked.pop("deal", DEAL), **asked)

    def _deliver_all(self, names: Sequence[str]) -> None:
        self._delivered.clear()
        # The first time may find that a timer was due, whose move asks for others.
        self._board.deliver()
        self._board.deliver()
        found = sorted(self._delivered)
        expect(found == sorted(names), f"expected {sorted(names)} to be delivered, found {found}")

    def _look(self, deal: str, expected: Mapping[str, Any] | None) -> None:
        history = history_of(self._board, deal)
        if history is not None:
            assert_single_stage(history)
        found = None
        if history is not None:
            held = len(self._board.held(deal))
            found = {**as_data(history), "held": held}
        problem = difference(expected, found, "board")
        expect(problem is None, str(problem))


def _effects_of(pipeline: Pipeline) -> set[str]:
    """Return the names of the effects that a ladder's sequences ask for."""
    stages = pipeline.to_dict()["stages"]
    return {step["do"] for stage in stages for step in stage.get("sequence", ()) if "do" in step}

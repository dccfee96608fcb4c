"""The moves that a ladder really allows, and so where a deal can get."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from ..model.stage import Stage
from .implication import Condition, can_hold, condition_of
from .ladder import Ladder
from .machine import NOT_OPEN, Candidate, Rung
from .rules import After

__all__ = ["Ways", "can_win", "condition_at", "into", "sooner"]


class Ways:
    """The moves that a ladder really allows: its rungs without the rules that cannot win there.

    Attributes:
        open_to: the candidates that can win, by state; ``NOT_OPEN`` is a state.
        reachable: the stages that a deal can get into.
    """

    def __init__(self, ladder: Ladder) -> None:
        self.ladder = ladder
        self.open_to = {state: _live(rung) for state, rung in ladder.rungs.items()}
        self.reachable = self.from_state(NOT_OPEN)

    def from_state(self, state: str) -> set[str]:
        """Return the stages that a deal in *state* can get into."""
        found: set[str] = set()
        waiting = [state]
        while waiting:
            for candidate in self.open_to[waiting.pop()]:
                key = into(candidate).key
                if key not in found:
                    found.add(key)
                    waiting.append(key)
        return found

    def stages(self) -> list[Stage]:
        """Return the stages that deals can get into, from the bottom up."""
        return [stage for stage in self.ladder.stages if stage in self.reachable]

    def states(self) -> Iterator[tuple[str, Rung]]:
        """Yield the states that deals can be in, not opened among them."""
        for state, rung in self.ladder.rungs.items():
            if state == NOT_OPEN or state in self.reachable:
                yield state, rung


def _live(rung: Rung) -> list[Candidate]:
    live = [
        candidate
        for candidates in rung.by_trigger.values()
        for index, candidate in enumerate(candidates)
        if can_win(candidate, candidates[:index])
    ]
    return live + [timer for timer in rung.timers if can_win(timer, sooner(timer, rung.timers))]


def can_win(candidate: Candidate, before: Iterable[Candidate]) -> bool:
    """Return whether some deal meets this candidate and none of those tried before it."""
    return can_hold([condition_at(candidate)], map(condition_at, before))


def sooner(timer: Candidate, timers: Iterable[Candidate]) -> list[Candidate]:
    """Return the timers that, if nothing holds them back, always fire before this one."""
    return [
        other
        for other in timers
        if other.order != timer.order and other.unconditional and _fires_first(other, timer)
    ]


_FROM: Final = {"opened": 0, "entered": 1, "activity": 2}


def _fires_first(one: Candidate, other: Candidate) -> bool:
    first, second = one.rule.trigger, other.rule.trigger
    if type(first) is not After or type(second) is not After:
        return False
    if not first.delay or first.since == "opened":
        return False  # it may have fired at this instant already, and be held back
    if _FROM[first.since] > _FROM[second.since] or first.delay > second.delay:
        return False
    return first.delay < second.delay or one.order < other.order


def condition_at(candidate: Candidate) -> Condition:
    """Return all that has to hold for a candidate to move a deal."""
    return condition_of(candidate.rule)


def into(candidate: Candidate) -> Stage:
    """Return the stage a candidate leads into."""
    return candidate.rule.into

"""The moves that a ladder really allows, and so where a deal can get."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from ..model.stage import Stage
from .implication import Condition, Conditions, condition_of
from .ladder import Ladder
from .machine import NOT_OPEN, Candidate, Rung
from .rules import After

__all__ = ["Ways", "condition_at", "into", "sooner"]


class Ways:
    """The moves that a ladder really allows: its rungs without the rules that cannot win there.

    Attributes:
        open_to: the candidates that can win, by state; ``NOT_OPEN`` is a state.
        orders_open_to: the numbers of their rules.
        reachable: the stages that a deal can get into.
    """

    def __init__(self, ladder: Ladder) -> None:
        self.ladder = ladder
        self._conditions = Conditions()
        self._terms = [self._conditions.read(condition_of(rule)) for rule in ladder.rules]
        self.open_to = {state: self._live(rung) for state, rung in ladder.rungs.items()}
        self.orders_open_to = {
            state: {candidate.order for candidate in live} for state, live in self.open_to.items()
        }
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

    def to_any_of(self, ends: Iterable[str]) -> set[str]:
        """Return the states from which a deal can get into one of these stages."""
        leading_into: dict[str, list[str]] = {}
        for state, candidates in self.open_to.items():
            for candidate in candidates:
                leading_into.setdefault(into(candidate).key, []).append(state)
        found: set[str] = set()
        waiting = list(ends)
        while waiting:
            for state in leading_into.pop(waiting.pop(), ()):
                if state not in found:
                    found.add(state)
                    waiting.append(state)
        return found

    def stages(self) -> list[Stage]:
        """Return the stages that deals can get into, from the bottom up."""
        return [stage for stage in self.ladder.stages if stage in self.reachable]

    def states(self) -> Iterator[tuple[str, Rung]]:
        """Yield the states that deals can be in, not opened among them."""
        for state, rung in self.ladder.rungs.items():
            if state == NOT_OPEN or state in self.reachable:
                yield state, rung

    def can_win(self, candidate: Candidate, before: Iterable[Candidate]) -> bool:
        """Return whether some deal meets this candidate and none of those tried before it."""
        return self.can_hold([candidate], before)

    def can_hold(self, holds: Iterable[Candidate], fails: Iterable[Candidate] = ()) -> bool:
        """Return whether some deal meets all that *holds* names, and none that *fails* does."""
        terms = self._terms
        return self._conditions.can_hold(
            (terms[candidate.order] for candidate in holds),
            (terms[candidate.order] for candidate in fails),
        )

    def are_too_many(self, candidates: Iterable[Candidate]) -> bool:
        """Return whether so much has to hold for these that :meth:`can_hold` does not look."""
        return self._conditions.are_too_many(self._terms[c.order] for c in candidates)

    def _live(self, rung: Rung) -> list[Candidate]:
        live = [
            candidate
            for candidates in rung.by_trigger.values()
            for index, candidate in enumerate(candidates)
            if self.can_win(candidate, candidates[:index])
        ]
        timers = rung.timers
        return live + [timer for timer in timers if self.can_win(timer, sooner(timer, timers))]


def sooner(timer: Candidate, timers: Iterable[Candidate]) -> list[Candidate]:
    """Return the timers that, if nothing holds them back, always fire before this one."""
    return [
        other
        for other in timers
        if other.unconditional and other.order != timer.order and _fires_first(other, timer)
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

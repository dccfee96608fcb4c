"""Whether a changed ladder is another one at all, and a course of events that shows it."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import attrs
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ladderpipe import Event, Pipeline
from ladderpipe.errors import LadderError
from ladderpipe.testing.strategies import Subject, events, events_and_hands

__all__ = ["Courses", "Difference", "is_the_same"]

Tells: TypeAlias = "Callable[[list[Event]], bool]"
Kind: TypeAlias = "Callable[[Pipeline], st.SearchStrategy[list[Event]]]"

_LATER = dt.timedelta(days=1000)
"""How long after the last event timers are awaited."""


@attrs.frozen
class Difference:
    """A course of events that one ladder answers otherwise than another.

    Attributes:
        events: what happens, in order.
        until: how far time goes on.
        was: what the ladder makes of it.
        now: what the changed one does.
    """

    events: tuple[Event, ...]
    until: dt.datetime
    was: tuple[str, ...]
    now: tuple[str, ...]

    def lines(self) -> Iterator[str]:
        """Yield it in words: what happens, then where the two ways part."""
        for event in self.events:
            data = f" {dict(event.data)}" if event.data else ""
            yield f"{event.at:%Y-%m-%d %H:%M:%S} {event.type}{data}"
        place = next(
            (n for n, (a, b) in enumerate(zip(self.was, self.now, strict=False)) if a != b),
            min(len(self.was), len(self.now)),
        )
        yield f"then: {_at(self.was, place)}; changed: {_at(self.now, place)}"


def _at(told: Sequence[str], place: int) -> str:
    return told[place] if place < len(told) else "nothing more"


def is_the_same(one: Pipeline, other: Pipeline) -> bool:
    """Whether two ladders cannot differ: what is looked up while folding is the same."""
    return bool(_tables(one) == _tables(other))


def _tables(pipeline: Pipeline) -> Any:
    ladder = pipeline.ladder
    rungs = {
        state: (
            {kind: [_way(way) for way in ways] for kind, ways in rung.by_trigger.items()},
            [(_way(way), way.rule.trigger) for way in rung.timers],
        )
        for state, rung in ladder.rungs.items()
    }
    stages = [
        (stage.key, stage.status, sorted(stage.requires), stage.sequence) for stage in ladder.stages
    ]
    kinds = {kind for rung in ladder.rungs.values() for kind in rung.by_trigger}
    order = {kind: ladder.rung_of(kind) for kind in kinds}
    return rungs, stages, order, ladder.activity, pipeline._hooks


def _way(way: Any) -> Any:
    return way.key, way.guard, way.into.stage, way.rule.may


class Courses:
    """Courses of events of a ladder, made once: what shows that another answers otherwise.

    Making them takes nearly all the time, folding them hardly any. A changed ladder has its own
    only where it has other types, delays, amounts or properties.
    """

    def __init__(self, pipeline: Pipeline, examples: int = 300) -> None:
        """Say of which ladder.

        Args:
            examples: how many courses to try without hands; of those with them four times as many.
        """
        self._pipeline = pipeline
        self._kinds: tuple[tuple[Kind, int], ...] = (
            (events, examples),
            (functools.partial(events_and_hands, overrides=False), 4 * examples),
            (events_and_hands, 4 * examples),
        )
        self._drawn: dict[int, list[list[Event]]] = {}

    def telling(self, other: Pipeline) -> Difference | None:
        """Look for a short course of events that another ladder answers otherwise."""
        one = self._pipeline
        tells = functools.partial(_parts, one, other)
        course = next(filter(tells, self._of(other)), None)
        if course is None:
            return None
        course = _shortened(course, tells)
        until = course[-1].at + _LATER
        was, now = _told(one, course, until), _told(other, course, until)
        return Difference(tuple(course), until, was, now)

    def _of(self, other: Pipeline) -> Iterator[list[Event]]:
        is_alike = vars(Subject(other)) == vars(Subject(self._pipeline))
        for n, (kind, many) in enumerate(self._kinds):
            if n not in self._drawn:
                self._drawn[n] = _courses(kind(self._pipeline), many)
            yield from self._drawn[n]
            if not is_alike:
                yield from _courses(kind(other), many)


def _courses(strategy: st.SearchStrategy[list[Event]], many: int) -> list[list[Event]]:
    """Draw courses, the same ones each time."""
    drawn: list[list[Event]] = []

    @settings(
        max_examples=many,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def draw(course: list[Event]) -> None:
        drawn.append(course)

    draw()
    return drawn


def _shortened(found: list[Event], tells: Tells) -> list[Event]:
    """Leave out what can be: events, the last ones first, then parts of what they tell.

    Hypothesis would do it more thoroughly, and take minutes; a fold takes microseconds.
    """
    place = len(found)
    while place:
        place -= 1
        left = found[:place] + found[place + 1 :]
        if tells(left):
            found, place = left, len(left)
    for n, event in enumerate(found):
        for key in event.data:
            data = {name: value for name, value in found[n].data.items() if name != key}
            left = [*found[:n], _with_data(found[n], data), *found[n + 1 :]]
            if tells(left):
                found = left
    return found


def _with_data(event: Event, data: Mapping[str, Any]) -> Event:
    return Event(
        event.type,
        deal=event.deal,
        id=event.id,
        at=event.at,
        source=event.source,
        seq=event.seq,
        data=data,
    )


def _parts(one: Pipeline, other: Pipeline, happened: Sequence[Event]) -> bool:
    if not happened:
        return False
    until = happened[-1].at + _LATER
    return _told(one, happened, until) != _told(other, happened, until)


def _told(pipeline: Pipeline, happened: Sequence[Event], until: dt.datetime) -> tuple[str, ...]:
    """Return in words what a ladder makes of events."""
    try:
        history = pipeline.fold(happened, until)
    except LadderError as error:
        return (f"{type(error).__name__}",)
    if history is None:
        return ("no deal",)
    moves = tuple(
        f"into {move.into.key} ({move.into.status}) at {move.at:%Y-%m-%d %H:%M:%S}"
        for move in history.moves
    )
    deal = history.deal
    return (*moves, f"at last worth {deal.value}, {len(deal.cart)} lines")

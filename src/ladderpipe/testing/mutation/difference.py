"""Whether a changed ladder is another one at all, and a course of events that shows it."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import attrs
from hypothesis import HealthCheck, Phase, find, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from ladderpipe import Event, Pipeline
from ladderpipe.errors import LadderError
from ladderpipe.testing.strategies import events, events_and_hands

__all__ = ["Difference", "is_the_same", "telling_course"]

Tells: TypeAlias = "Callable[[list[Event]], bool]"

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


def telling_course(one: Pipeline, other: Pipeline, examples: int = 300) -> Difference | None:
    """Look for a short course of events that two ladders answer otherwise.

    Args:
        examples: how many courses to try without hands; of those with them four times as many.
    """
    for courses, many in (
        (events(one), examples),
        (events(other), examples),
        (events_and_hands(one, overrides=False), 4 * examples),
        (events_and_hands(other), 4 * examples),
    ):
        found = _found(courses, functools.partial(_parts, one, other), many)
        if found is not None:
            until = found[-1].at + _LATER
            was, now = _told(one, found, until), _told(other, found, until)
            return Difference(tuple(found), until, was, now)
    return None


def _found(
    courses: st.SearchStrategy[list[Event]], tells: Tells, examples: int
) -> list[Event] | None:
    quiet = settings(
        max_examples=examples,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    try:
        return _shortened(find(courses, tells, settings=quiet), tells)
    except NoSuchExample:
        return None


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

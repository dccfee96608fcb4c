"""A pipeline as arrays: which way leads on from each rung, for each trigger and each word."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import attrs
import numpy as np

from ...fold.reducer import AFTER_THE_PURCHASE, CART_TYPES, ORDER, cart_reducer
from ...ladder.implication import is_opaque
from ...ladder.machine import HAND_PREFIX, NOT_OPEN, Candidate
from ...ladder.rules import After, AfterOpen, ByHand, OnEvents, Rule
from ...model.event import BY_HAND, OVERRIDE, PHASE_EVENT, PHASE_HAND
from ...model.stage import CLOSED
from ...pipeline import Pipeline
from .arrays import Flags, Ints, Numbers, in_microseconds
from .guard_bits import MOST_QUESTIONS, Asked, question_of, questions

__all__ = [
    "ADD",
    "BOUGHT",
    "EMPTY",
    "MENDED",
    "REMOVE",
    "REPLACE",
    "Program",
    "can_replay_in_columns",
]

ADD, REMOVE, REPLACE, EMPTY, BOUGHT, MENDED = 1, 2, 3, 4, 5, 6
"""What an event does to the cart; the last two count on closed deals, too."""

_CART_CHANGES: Final = {
    "cart.item_added": ADD,
    "cart.item_removed": REMOVE,
    "cart.updated": REPLACE,
    "cart.emptied": EMPTY,
}
MOST_TIMERS: Final = 62
"""Sets of timers are the bits of a 64-bit number."""

_OTHER, _OTHER_HAND = "", "ladder.by_hand into nowhere"
_SINCE: Final = {"entered": 0, "activity": 1, "opened": 2}
_LONGEST: Final = 10**18
"""Microseconds: beyond the end of the calendar from anywhere in it."""


def can_replay_in_columns(pipeline: Pipeline) -> list[str]:
    """Return what keeps *pipeline* from being replayed in columns; empty when nothing does."""
    return list(_reasons(pipeline))


def _reasons(pipeline: Pipeline) -> Iterator[str]:
    if pipeline.reducer is not cart_reducer:
        name = getattr(pipeline.reducer, "__name__", repr(pipeline.reducer))
        yield f"the reducer {name!r} is a function of your own"
    if pipeline.activity is not None:
        yield "it says itself what counts as activity"
    for rule in pipeline.rules:
        if rule.when is not None and is_opaque(rule.when):
            yield f"the guard of rule {rule.key!r} has a function in it"
        if isinstance(rule.trigger, AfterOpen):
            yield f"the timer of rule {rule.key!r} counts on a calendar"
        elif not isinstance(rule.trigger, OnEvents | ByHand) and type(rule.trigger) is not After:
            yield f"the timer of rule {rule.key!r} is a class of your own"
    for stage in pipeline.stages:
        if "title" in stage.requires:
            yield f"stage {stage.key!r} requires a title, which a deal is given when it opens"
    asked = len(questions(pipeline.rules))
    if asked > MOST_QUESTIONS:
        yield f"the guards ask {asked} different questions, and {MOST_QUESTIONS} is the most"
    timers = sum(isinstance(rule.trigger, After) for rule in pipeline.rules)
    if timers > MOST_TIMERS:
        yield f"there are {timers} timers, and {MOST_TIMERS} is the most"


@attrs.frozen(eq=False)
class Timers:
    """The timers of each rung, in the order of their rules: arrays by rung and place.

    Attributes:
        way: the rule; −1 where a rung has no more timers.
        delay: in microseconds.
        since: 0 counts from entering, 1 from activity, 2 from the opening.
        bit: of the rule, in sets of rules that fired.
        passes: by rung, place and word.
    """

    way: Ints
    delay: Ints
    since: Ints
    bit: Ints
    passes: Flags
    any_here: Flags
    rearms: Flags

    @property
    def most(self) -> int:
        """How many timers a rung has at most."""
        return int(self.way.shape[1])


@attrs.frozen(eq=False)
class Program:
    """A pipeline as arrays.

    Rung 0 is "not opened yet", rung *n* the stage *n* − 1. A *way* is a rule by its place, and
    after the rules an override into each stage. A trigger is an event type that the pipeline or
    its reducer knows, or a hand or an override into a stage.

    Attributes:
        triggers: event types, and hands and overrides by the stage they lead into.
        change: what an event of this trigger does to the cart.
        is_hand: whether the trigger is a hand or an override.
        phase: place of the trigger within one instant.
        height: the lowest rung the trigger leads into; see S9.
        winner: the way for every rung, trigger and word, one after the other; −1 for none.
        into: the rung that a way leads into.
    """

    pipeline: Pipeline
    asked: Asked
    triggers: dict[str, int]
    change: Numbers
    is_hand: Flags
    phase: Numbers
    height: Numbers
    winner: Numbers
    into: Ints
    closed: Flags
    won: Flags
    lost: Flags
    timers: Timers

    @classmethod
    def of(cls, pipeline: Pipeline) -> Program:
        """Compile a pipeline of which :func:`can_replay_in_columns` has nothing to say."""
        asked = Asked(questions(pipeline.rules))
        names = [_OTHER, _OTHER_HAND, *_types(pipeline), *_hands(pipeline), *_overrides(pipeline)]
        is_hand = np.array([name.startswith("ladder.") for name in names])
        statuses = ["", *(stage.status for stage in pipeline.stages)]
        places = {stage.key: place for place, stage in enumerate(pipeline.stages, start=1)}
        into = [places[rule.into.key] for rule in pipeline.rules]
        return cls(
            pipeline=pipeline,
            asked=asked,
            triggers={name: code for code, name in enumerate(names)},
            change=np.array(list(map(_change, names)), np.int8),
            is_hand=is_hand,
            phase=np.where(is_hand, PHASE_HAND, PHASE_EVENT),
            height=np.array([pipeline.ladder.rung_of(name) for name in names]),
            winner=_winners(pipeline, asked, names),
            into=np.array([*into, *places.values()], np.int64),
            closed=np.array([status in CLOSED for status in statuses]),
            won=np.array([status == "won" for status in statuses]),
            lost=np.array([status == "lost" for status in statuses]),
            timers=_timers(pipeline, asked),
        )

    def trigger_of(self, kind: str, into: str | None = None) -> int:
        """Return the trigger of an event type, of a hand or override into a stage."""
        if kind in (BY_HAND, OVERRIDE):
            return self.triggers.get(f"{kind}:{into}", self.triggers[_OTHER_HAND])
        other = ORDER if kind.startswith(ORDER) else _OTHER
        return self.triggers.get(kind, self.triggers[other])


def _types(pipeline: Pipeline) -> list[str]:
    named = (rule.trigger.types for rule in pipeline.rules if isinstance(rule.trigger, OnEvents))
    standard = (*sorted(CART_TYPES), *sorted(AFTER_THE_PURCHASE), ORDER)
    return list(dict.fromkeys((*(kind for types in named for kind in types), *standard)))


def _change(event_type: str) -> int:
    if event_type in AFTER_THE_PURCHASE:
        return MENDED
    return _CART_CHANGES.get(event_type, BOUGHT if event_type.startswith(ORDER) else 0)


def _hands(pipeline: Pipeline) -> list[str]:
    return [HAND_PREFIX + stage.key for stage in pipeline.stages]


def _overrides(pipeline: Pipeline) -> list[str]:
    return [f"{OVERRIDE}:{stage.key}" for stage in pipeline.stages]


def _winners(pipeline: Pipeline, asked: Asked, names: Sequence[str]) -> Numbers:
    states = [NOT_OPEN, *(stage.key for stage in pipeline.stages)]
    winner = np.full((len(states), len(names), asked.words), -1, np.int16)
    first_override = len(names) - len(pipeline.stages)
    for place in range(len(pipeline.stages)):
        winner[:, first_override + place, :] = len(pipeline.rules) + place
    for rung, state in enumerate(states):
        for code, name in enumerate(names):
            for candidate in reversed(pipeline.ladder.rungs[state].by_trigger.get(name, ())):
                winner[rung, code, _table(asked, candidate.rule)] = candidate.order
    return winner.ravel()


def _timers(pipeline: Pipeline, asked: Asked) -> Timers:
    states = [NOT_OPEN, *(stage.key for stage in pipeline.stages)]
    by_rung = [pipeline.ladder.rungs[state].timers for state in states]
    shape = len(states), max(map(len, by_rung))
    bits = {rule.key: 1 << n for n, rule in enumerate(filter(_is_timed, pipeline.rules))}
    table = Timers(
        way=np.full(shape, -1),
        delay=np.zeros(shape, np.int64),
        since=np.zeros(shape, np.int64),
        bit=np.zeros(shape, np.int64),
        passes=np.zeros((*shape, asked.words), np.bool_),
        any_here=np.array([bool(timers) for timers in by_rung]),
        rearms=np.array([pipeline.ladder.rungs[state].rearms for state in states]),
    )
    for rung, timers in enumerate(by_rung):
        for place, candidate in enumerate(timers):
            _write_timer(table, (rung, place), candidate, asked)
            table.bit[rung, place] = bits[candidate.key]
    return table


def _write_timer(table: Timers, where: tuple[int, int], timer: Candidate, asked: Asked) -> None:
    trigger = timer.rule.trigger
    assert isinstance(trigger, After)
    table.way[where] = timer.order
    table.delay[where] = min(in_microseconds(trigger.delay), _LONGEST)
    table.since[where] = _SINCE[trigger.since]
    table.passes[where] = _table(asked, timer.rule)


def _is_timed(rule: Rule) -> bool:
    return isinstance(rule.trigger, After)


def _table(asked: Asked, rule: Rule) -> Flags:
    return asked.table(question_of(rule))

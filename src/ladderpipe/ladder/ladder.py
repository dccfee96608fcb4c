"""The compiled ladder: a definition that was checked, with the tables that are read off it.

Fold, explanations, checks, drawings and fingerprints take this and nothing else; hooks, and the
methods that people call, are the :class:`~ladderpipe.Pipeline`'s, which holds one.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

import attrs

from ..errors import DefinitionError, InvalidEventError
from ..model.calendar import Calendar, by_name
from ..model.canonical import plain_text
from ..model.event import (
    BY_HAND,
    EDITED,
    MAX_NAME,
    OVERRIDE,
    RESERVED,
    STANDARD_TYPES,
    TOLD,
    Event,
    checked_name,
)
from ..model.stage import Stage
from .machine import NOT_OPEN, Candidate, LadderMachine, Rung, build_machine, read_rungs
from .plain import did_you_mean
from .rules import ANY, AfterOpen, ByHand, OnEvents, Rule
from .watch import Watch

__all__ = ["Ladder"]

Reducer: TypeAlias = "Callable[[Any, Event], None]"
"""What events do to a deal's data; the data's own class is the fold's."""


class Ladder:
    """Ordered stages, ordered rules, and what the fold looks up in them.

    Attributes:
        name: stable name; it is part of every key in a store.
        titles: what people see, by language code; empty when none was given.
        stages: from the bottom of the ladder to the top.
        rules: in the order in which they are tried, each with its key.
        machine: the ``transitions`` machine, the only transition table there is.
        rungs: what can happen in each state, read off the machine; ``NOT_OPEN`` is a state.
        reducer: what events do to a deal's data.
        reduces_without_data: the event types that the reducer minds although they carry no data;
            ``None`` when that may be any.
        events: the event types that were declared, ``None`` when none were said.
        activity: the event types that count as activity, ``None`` when all from outside do.
        calendars: what timers count on, by name.
        declared: those, or else the standard ones and those that rules name, in that order.
        watch: who is told what every fold and board sees of it; set on the class, of any ladder.
    """

    watch: Watch | None = None

    def __init__(
        self,
        name: str,
        *,
        stages: Iterable[Stage],
        rules: Iterable[Rule],
        titles: Mapping[str, str],
        reducer: Reducer,
        reduces_without_data: frozenset[str] | None,
        events: Iterable[str] | None = None,
        activity: Iterable[str] | None = None,
    ) -> None:
        """Check a definition and compile it.

        Raises:
            DefinitionError: it cannot work as written.
        """
        if not isinstance(name, str) or not name.strip():
            raise DefinitionError(f"a pipeline needs a name, not {name!r}")
        if len(name) > MAX_NAME:
            raise DefinitionError(
                f"the name of pipeline {name[:20]!r}… has {len(name)} characters, more than the "
                f"{MAX_NAME} a key may have"
            )
        self.name = plain_text(name)
        self.titles = dict(titles)
        self.reducer = reducer
        self.reduces_without_data = reduces_without_data
        self.stages: tuple[Stage, ...] = _checked_stages(name, stages)
        self._by_key = {stage.key: stage for stage in self.stages}
        self.rules: tuple[Rule, ...] = self._checked_rules(rules)
        self.machine: LadderMachine = build_machine(name, self.stages, self.rules)
        self.rungs: dict[str, Rung] = read_rungs(self.machine, self.stages, self.rules)
        self._rung_of_type = self._rungs_of_types()
        self.events = None if events is None else _checked_types(name, events, "events")
        self.activity = None if activity is None else _checked_types(name, activity, "activity")
        self._activity = None if self.activity is None else {*self.activity, BY_HAND, OVERRIDE}
        usual = dict.fromkeys((*STANDARD_TYPES, *self._rung_of_type))
        self.declared: tuple[str, ...] = tuple(usual) if self.events is None else self.events
        self._declared = frozenset(self.declared)
        self.calendars = self._calendars()

    def stage(self, key: str) -> Stage:
        """Return the stage with this key.

        Raises:
            DefinitionError: there is none.
        """
        try:
            return self._by_key[plain_text(key) if isinstance(key, str) else str(key)]
        except KeyError:
            raise DefinitionError(
                f"pipeline {self.name!r} has no stage {key!r}; it has {', '.join(self._by_key)}"
            ) from None

    def rung_of(self, event_type: str) -> int:
        """Return the position of the lowest stage that rules for this type lead into, or −1.

        A type whose rules lead only out of closed stages stands above the ladder: at one instant
        a cancellation comes after its confirmation.
        """
        return self._rung_of_type.get(event_type, -1)

    def rung_of_event(self, event: Event) -> int:
        """Return the rung of an event: of what another system told, its stage's; else its type's.

        A stage that the ladder does not have stands below all others.
        """
        if event.type != TOLD:
            return self._rung_of_type.get(event.type, -1)
        return self.place_of(event.data.get("stage"))

    def place_of(self, stage: object) -> int:
        """Return the position of the stage with this key, or −1."""
        return self._places.get(stage, -1)

    @functools.cached_property
    def _places(self) -> dict[object, int]:
        return {stage.key: index for index, stage in enumerate(self.stages)}

    def may_close(self, event_type: str) -> bool:
        """Return whether a rule for this type leads into a closed stage."""
        return event_type in self._closing

    @functools.cached_property
    def _closing(self) -> frozenset[str]:
        triggers = [rule.trigger for rule in self.rules if rule.into.is_closed]
        return frozenset(kind for t in triggers if isinstance(t, OnEvents) for kind in t.types)

    def is_activity(self, event_type: str) -> bool:
        """Return whether an event of this type is a sign of life; what corrects a deal is none.

        Nor is what another system tells of it, beyond the visit that this begins.
        """
        if self._activity is None:
            return event_type not in (EDITED, TOLD)
        return event_type in self._activity

    def declares(self, event_type: str) -> bool:
        """Return whether events of this type are expected; the board's own always are."""
        if event_type in self._declared:
            return True
        return event_type == EDITED or event_type.startswith(RESERVED)

    def undeclared(self, event_type: str) -> str | None:
        """Say in words that a type is not declared, and what was probably meant by it."""
        if self.declares(event_type):
            return None
        return (
            f"pipeline {self.name!r} declares no event {event_type!r}"
            f"{did_you_mean(event_type, self.declared)}"
        )

    def override_candidate(self, into: str) -> Candidate | None:
        """Return the way past the rules into a stage; ``None`` if the stage is gone."""
        return self._overrides.get(into)

    def told_candidate(self, into: str) -> Candidate | None:
        """Return the way into a stage that another system told; ``None`` if there is no such."""
        return self._told.get(into)

    @functools.cached_property
    def _overrides(self) -> dict[str, Candidate]:
        return {stage.key: self._past_the_rules(stage, OVERRIDE) for stage in self.stages}

    @functools.cached_property
    def _told(self) -> dict[str, Candidate]:
        return {stage.key: self._past_the_rules(stage, TOLD) for stage in self.stages}

    def _past_the_rules(self, stage: Stage, key: str) -> Candidate:
        rule = Rule(ByHand(), stage, ANY, reenter=key == OVERRIDE, key=key)
        return Candidate(rule, -1, self.rungs[stage.key])

    def _rungs_of_types(self) -> dict[str, int]:
        position = {stage.key: index for index, stage in enumerate(self.stages)}
        above = len(self.stages)
        lowest: dict[str, int] = {}
        others: set[str] = set()
        for rule in self.rules:
            if isinstance(rule.trigger, OnEvents):
                for kind in rule.trigger.types:
                    here = position[rule.into.key]
                    lowest[kind] = min(lowest.get(kind, here), here)
                if not _leaves_only_closed(rule):
                    others.update(rule.trigger.types)
        return {kind: here if kind in others else above for kind, here in lowest.items()}

    def _checked_rules(self, rules: Iterable[Rule]) -> tuple[Rule, ...]:
        found = tuple(rules)
        for rule in found:
            if not isinstance(rule, Rule):
                raise DefinitionError(
                    f"pipeline {self.name!r}: {rule!r} is no rule; build it with on(...), "
                    "after(...) or by_hand(...)"
                )
            self.check_own(rule.into, f"rule '{rule}'")
            if isinstance(rule.out_of, tuple):
                for stage in rule.out_of:
                    self.check_own(stage, f"rule '{rule}'")
        if not any(rule.opens for rule in found):
            raise DefinitionError(
                f"pipeline {self.name!r} has no way to open a deal: "
                "say opens=True in at least one rule on(...) or by_hand(...)"
            )
        return _with_keys(self.name, found)

    def _calendars(self) -> dict[str, Calendar]:
        spans = [rule.trigger.delay for rule in self.rules if isinstance(rule.trigger, AfterOpen)]
        return by_name((each.calendar for each in spans), self.name)

    def check_own(self, stage: Stage, what: str) -> None:
        """Refuse a stage that is not one of this ladder's own objects.

        Raises:
            DefinitionError: it is not; *what* says where it stands.
        """
        if not isinstance(stage, Stage) or self._by_key.get(stage) is not stage:
            known = ", ".join(self._by_key)
            raise DefinitionError(
                f"{what}: stage {str(stage)!r} is not one of pipeline {self.name!r}, which has "
                f"{known}: add it to stages=[...], or use the object that is in there"
            )


def _leaves_only_closed(rule: Rule) -> bool:
    named = rule.out_of if isinstance(rule.out_of, tuple) and not rule.opens else ()
    return bool(named) and all(stage.is_closed for stage in named)


def _checked_stages(name: str, stages: Iterable[Stage]) -> tuple[Stage, ...]:
    found = tuple(stages)
    for stage in found:
        if not isinstance(stage, Stage):
            raise DefinitionError(f"pipeline {name!r}: {stage!r} is no Stage: build it with Stage")
        if stage == NOT_OPEN:
            raise DefinitionError(f"stage key {NOT_OPEN!r} is taken: it means no stage yet")
    if not found:
        raise DefinitionError(f"pipeline {name!r} has no stages: give at least one")
    twice = [key for key, count in Counter(found).items() if count > 1]
    if twice:
        raise DefinitionError(
            f"pipeline {name!r} has two stages with the key {twice[0].key!r}: rename one"
        )
    return found


def _checked_types(name: str, events: Iterable[str], what: str) -> tuple[str, ...]:
    if isinstance(events, str):
        raise DefinitionError(f"pipeline {name!r}: {what}={events!r} must be a list of types")
    found = tuple(dict.fromkeys(events))
    for kind in found:
        try:
            checked_name(kind, "type")
        except InvalidEventError as error:
            raise DefinitionError(f"pipeline {name!r}, {what}: {error}") from None
        if kind.startswith(RESERVED):
            raise DefinitionError(
                f"pipeline {name!r}, {what}: {kind!r} begins with {RESERVED!r}, as only what the "
                "board writes itself does, and that needs no declaration: give it another name"
            )
    return tuple(map(plain_text, found))


def _with_keys(name: str, rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
    """Derive the keys that were not given: from trigger and target, and more where needed."""
    for describe in (_short_key, _long_key, _full_key):
        keys = [rule.key or describe(rule) for rule in rules]
        twice = [key for key, count in Counter(keys).items() if count > 1]
        if not twice:
            return tuple(attrs.evolve(r, key=key) for r, key in zip(rules, keys, strict=True))
    raise DefinitionError(
        f"pipeline {name!r} has two rules '{twice[0]}' that nothing tells apart: "
        "remove one, or give each its own key='...'"
    )


def _short_key(rule: Rule) -> str:
    return f"{rule.trigger_text} into {rule.into.key}"


def _long_key(rule: Rule) -> str:
    if rule.out_of is None:
        return _short_key(rule)
    out_of = "any" if rule.out_of is ANY else "|".join(map(str, rule.out_of))  # type: ignore[arg-type]
    return f"{rule.trigger_text} out of {out_of} into {rule.into.key}"


def _full_key(rule: Rule) -> str:
    return f"{_long_key(rule)} when {rule.when}" if rule.when else _long_key(rule)

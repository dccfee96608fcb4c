"""The changes: what may be wrong with a ladder, one thing at a time."""

from __future__ import annotations

import copy
import datetime as dt
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

import attrs

from ladderpipe import ANY, Pipeline, Rule, Stage, WaitStep
from ladderpipe.board.hooks import hook_names
from ladderpipe.ladder.guards import AllOf, AnyOf, Guard, Not, ValueAtLeast, ValueAtMost
from ladderpipe.ladder.ladder import Ladder
from ladderpipe.ladder.rules import After, AfterOpen, ByHand, OnEvents
from ladderpipe.ladder.watch import Point
from ladderpipe.model.calendar import CalendarSpan
from ladderpipe.model.stage import DoStep, attrs_of
from ladderpipe.pipeline import Direction

__all__ = ["Change", "applied", "apply", "changes", "is_reached", "take_hook"]

ANYTHING: Final[tuple[Point, ...]] = ()
_CENT: Final = Decimal("0.01")
_STATUSES: Final[Mapping[str, tuple[str, ...]]] = {
    "open": ("lost",),
    "won": ("lost", "open"),
    "lost": ("won", "open"),
    "abandoned": ("open", "lost"),
    "merged": ("open",),
}


@attrs.frozen
class Change:
    """One thing changed.

    Attributes:
        name: what excuses and reports call it by: ``"rule ordered: guard dropped"``.
        reach: beginnings of the points that a test has to see to notice it; none for any test
            that folds the ladder at all. ``*`` stands for any part.
        rules: the rules instead of those that are there.
        stage: key of the stage that is another one.
        attributes: what is other about that stage.
        hook: direction, stage and name of the hook that is gone.
        activity: the types of activity instead of those that are there.
    """

    name: str
    reach: tuple[Point, ...] = ANYTHING
    rules: tuple[Rule, ...] | None = None
    stage: str | None = None
    attributes: Mapping[str, Any] = attrs.field(factory=dict)
    hook: tuple[Direction, str, str] | None = None
    activity: tuple[str, ...] | None = None


def changes(pipeline: Pipeline) -> Iterator[Change]:
    """Yield all changes of a pipeline, in the order of its definition; each has its own name."""
    known: set[str] = set()
    for change in _all(pipeline):
        if change.name not in known:
            known.add(change.name)
            yield change


def is_reached(change: Change, seen: set[Point]) -> bool:
    """Whether what a test saw lets it notice a change."""
    if change.reach == ANYTHING:
        return bool(seen)
    return any(_begins(point, wanted) for wanted in change.reach for point in seen)


def _begins(point: Point, wanted: Point) -> bool:
    pairs = zip(point, wanted, strict=False)
    return len(point) >= len(wanted) and all(w in ("*", p) for p, w in pairs)


def applied(pipeline: Pipeline, change: Change) -> Pipeline:
    """Return a changed copy, with stages of its own.

    Raises:
        DefinitionError: it cannot work so.
    """
    found = copy.copy(pipeline)
    vars(found).pop("fingerprint", None)
    found._hooks = {place: list(hooks) for place, hooks in pipeline._hooks.items()}
    own = {stage.key: Stage(stage.key, **attrs_of(stage)) for stage in pipeline.stages}
    rules = [
        attrs.evolve(
            rule,
            into=own[rule.into.key],
            out_of=tuple(own[stage.key] for stage in rule.out_of)
            if isinstance(rule.out_of, tuple)
            else rule.out_of,
        )
        for rule in pipeline.rules
    ]
    found.ladder = _ladder(pipeline.ladder, tuple(own.values()), tuple(rules))
    own_change = next((each for each in changes(found) if each.name == change.name), change)
    apply(found, own_change)
    return found


def apply(pipeline: Pipeline, change: Change) -> None:
    """Change a pipeline itself, its stages too, so that whoever holds it holds the changed one.

    Raises:
        DefinitionError: it cannot work so.
    """
    ladder = pipeline.ladder
    if change.stage is not None:
        stage = ladder.stage(change.stage)
        for name, value in change.attributes.items():
            object.__setattr__(stage, name, value)
    if change.hook is not None:
        take_hook(pipeline, change)
    rules = ladder.rules if change.rules is None else change.rules
    activity = ladder.activity if change.activity is None else change.activity
    pipeline.ladder = _ladder(ladder, ladder.stages, rules, activity)
    vars(pipeline).pop("fingerprint", None)
    pipeline._has_sequences = any(stage.sequence for stage in ladder.stages)


def take_hook(pipeline: Pipeline, change: Change) -> bool:
    """Take the hook away that a change is about; return whether it was there."""
    assert change.hook is not None
    direction, stage, name = change.hook
    hooks = pipeline._hooks.get((direction, stage), [])
    names = hook_names(hooks)
    if name not in names:
        return False
    del hooks[names.index(name)]
    if not hooks:
        del pipeline._hooks[direction, stage]
    return True


def _ladder(
    old: Ladder,
    stages: tuple[Stage, ...],
    rules: tuple[Rule, ...],
    activity: tuple[str, ...] | None = None,
) -> Ladder:
    return Ladder(
        old.name,
        stages=stages,
        rules=rules,
        titles=old.titles,
        reducer=old.reducer,
        reduces_without_data=old.reduces_without_data,
        events=old.events,
        activity=old.activity if activity is None else activity,
    )


def _all(pipeline: Pipeline) -> Iterator[Change]:
    rules = pipeline.rules
    for place, rule in enumerate(rules):
        for what, changed in _changed_rules(pipeline, rule):
            one = () if changed is None else (changed,)
            new = (*rules[:place], *one, *rules[place + 1 :])
            yield Change(f"rule {rule.key}: {what}", _reach(rule), new)
        for other in range(place + 1, len(rules)):
            if _meet(pipeline.ladder, rule, rules[other]):
                swapped = list(rules)
                swapped.insert(place, swapped.pop(other))
                what = f"tried after {rules[other].key}"
                yield Change(f"rule {rule.key}: {what}", _reach(rule), tuple(swapped))
                break
    for stage in pipeline.stages:
        for what, attributes in _changed_stages(stage):
            reach: tuple[Point, ...] = (("stage", stage.key), ("requires", stage.key))
            if "sequence" in attributes:
                reach = (("stage", stage.key, "entered"),)
            name = f"stage {stage.key}: {what}"
            yield Change(name, reach, stage=stage.key, attributes=attributes)
    for direction, key in pipeline.hooked:
        for name in hook_names(pipeline.hooks(direction, key)):
            where = f"move {direction.replace('_', ' ')} {key}"
            hook = (direction, str(key), name)
            yield Change(f"hook {name} on {where}: removed", (("hook", *hook),), hook=hook)
    for kind in pipeline.activity or ():
        left = tuple(each for each in pipeline.activity or () if each != kind)
        yield Change(f"activity {kind}: removed", (("event", "*", kind),), activity=left)


def _reach(rule: Rule) -> tuple[Point, ...]:
    if isinstance(rule.trigger, OnEvents):
        return tuple(("event", "*", kind) for kind in rule.trigger.types)
    # A refused hand is no event, and a timer that leaves more stages is due where it never was.
    return ANYTHING


def _meet(ladder: Ladder, one: Rule, other: Rule) -> bool:
    """Whether two rules can be asked of the same event, hand or timer's instant."""
    for rung in ladder.rungs.values():
        for ways in (*rung.by_trigger.values(), rung.timers):
            asked = [way.rule for way in ways]
            if one in asked and other in asked:
                return True
    return False


def _changed_rules(pipeline: Pipeline, rule: Rule) -> Iterator[tuple[str, Rule | None]]:
    def evolve(**parts: Any) -> Rule:
        return attrs.evolve(rule, **parts)

    yield "removed", None
    if rule.when is not None:
        yield "guard dropped", evolve(when=None)
        for what, guard in _changed_guards(rule.when):
            yield f"guard {what}", evolve(when=guard)
    if isinstance(rule.trigger, OnEvents):
        types = rule.trigger.types
        for n, kind in enumerate(types):
            misspelt = (*types[:n], f"{kind}x", *types[n + 1 :])
            yield f"type {kind} misspelt", evolve(trigger=OnEvents(misspelt))
    elif not isinstance(rule.trigger, ByHand):
        for what, trigger in _changed_timers(rule.trigger):
            yield what, evolve(trigger=trigger)
    yield from _changed_sources(pipeline, rule)
    if not isinstance(rule.trigger, After | AfterOpen):
        yield ("opens dropped" if rule.opens else "opens"), evolve(opens=not rule.opens)
    yield ("reenter dropped" if rule.reenter else "reenters"), evolve(reenter=not rule.reenter)
    stages = pipeline.stages
    place = next(n for n, stage in enumerate(stages) if stage == rule.into)
    beside = dict.fromkeys((stages[place - 1], stages[(place + 1) % len(stages)]))
    for other in beside:
        if other != rule.into:
            yield f"into {other.key} instead", evolve(into=other)
    if rule.may is not None:
        yield "may dropped", evolve(may=None)


def _changed_sources(pipeline: Pipeline, rule: Rule) -> Iterator[tuple[str, Rule]]:
    named = rule.out_of
    if named is not None:
        yield "out_of lost", attrs.evolve(rule, out_of=None)
    if named is not ANY:
        yield "out_of widened to ANY", attrs.evolve(rule, out_of=ANY)
    if isinstance(named, tuple):
        for stage in named if len(named) > 1 else ():
            left = tuple(each for each in named if each != stage)
            yield f"out_of without {stage.key}", attrs.evolve(rule, out_of=left)
    else:
        for stage in pipeline.stages:
            left = tuple(each for each in pipeline.stages if rule.leaves(each) and each != stage)
            if rule.leaves(stage) and left:
                yield f"out_of without {stage.key}", attrs.evolve(rule, out_of=left)


def _changed_guards(guard: Guard) -> Iterator[tuple[str, Guard]]:
    yield "inverted", guard.inner if isinstance(guard, Not) else Not(guard)
    yield from _changed_parts(guard)


def _changed_parts(guard: Guard) -> Iterator[tuple[str, Guard]]:
    if isinstance(guard, AllOf | AnyOf):
        kind = type(guard)
        other: type[AllOf] | type[AnyOf] = AnyOf if kind is AllOf else AllOf
        joined = ("and", "or") if kind is AllOf else ("or", "and")
        yield f"'{joined[1]}' for '{joined[0]}' in '{guard}'", other(guard.parts)
        for n, part in enumerate(guard.parts):
            left = (*guard.parts[:n], *guard.parts[n + 1 :])
            yield f"without '{part}'", left[0] if len(left) == 1 else kind(left)
            for what, changed in _changed_parts(part):
                yield what, kind((*guard.parts[:n], changed, *guard.parts[n + 1 :]))
    elif isinstance(guard, Not):
        for what, changed in _changed_parts(guard.inner):
            yield what, Not(changed)
    elif isinstance(guard, ValueAtLeast):
        yield f"'{guard}' a cent more", attrs.evolve(guard, least=guard.least + _CENT)
    elif isinstance(guard, ValueAtMost):
        yield f"'{guard}' a cent less", attrs.evolve(guard, most=guard.most - _CENT)


def _changed_timers(timer: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(timer, After | AfterOpen):
        return
    for since in ("entered", "activity", "opened"):
        if since != timer.since:
            yield f"since {since}", attrs.evolve(timer, since=since)
    delay: Any = timer.delay
    evolve: Any = attrs.evolve
    if not delay and not isinstance(delay, CalendarSpan):
        yield "delay an hour", evolve(timer, delay=dt.timedelta(hours=1))
        return
    if not isinstance(delay, CalendarSpan):
        yield "delay halved", evolve(timer, delay=delay / 2)
    yield "delay doubled", evolve(timer, delay=_doubled(delay))


def _doubled(delay: dt.timedelta | CalendarSpan) -> dt.timedelta | CalendarSpan:
    if isinstance(delay, CalendarSpan):
        return attrs.evolve(delay, days=delay.days * 2, time=delay.time * 2)
    return delay * 2


def _changed_stages(stage: Stage) -> Iterator[tuple[str, dict[str, Any]]]:
    for status in _STATUSES[stage.status]:
        is_closed = status in ("won", "lost", "merged")
        yield f"status {status}", {"status": status, "is_closed": is_closed}
    for name in stage.requires:
        left = tuple(each for each in stage.requires if each != name)
        yield f"requires {name} dropped", {"requires": left}
    steps = stage.sequence
    for n, step in enumerate(steps):
        if isinstance(step, WaitStep):
            longer = attrs.evolve(step, delay=_doubled(step.delay))
            changed: tuple[Any, ...] = (*steps[:n], longer, *steps[n + 1 :])
            yield f"sequence: wait {n + 1} doubled", {"sequence": changed}
            continue
        left_steps = _without_last_wait((*steps[:n], *steps[n + 1 :]))
        yield f"sequence: {step.name} {n + 1} removed", {"sequence": left_steps}
        if step.expires is not None:
            yield (
                f"sequence: {step.name} {n + 1} never expires",
                {"sequence": (*steps[:n], attrs.evolve(step, expires=None), *steps[n + 1 :])},
            )
        other = attrs.evolve(step, run_to_completion=not step.run_to_completion)
        what = "is cancelled" if step.run_to_completion else "runs to completion"
        changed = (*steps[:n], other, *steps[n + 1 :])
        yield f"sequence: {step.name} {n + 1} {what}", {"sequence": changed}


def _without_last_wait(steps: tuple[DoStep | WaitStep, ...]) -> tuple[DoStep | WaitStep, ...]:
    while steps and isinstance(steps[-1], WaitStep):
        steps = steps[:-1]
    return steps

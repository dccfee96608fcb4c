"""What of a pipeline matters to the fold, as a short hash, and what differs between two.

A store keeps :func:`fold_definition` beside the deals. Titles, probabilities, sequences and hooks
are not in it: changing them changes no history.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ..model.stage import Stage
from .guards import AllOf, AnyOf, FunctionGuard, Guard, Not
from .ladder import Ladder
from .plain import duration, plain, span_definition
from .rules import ANY, After, AfterOpen, ByHand, OnEvents, Rule, Timer, timer_arguments

__all__ = ["differences", "fingerprint", "fold_definition", "function_name"]


def fingerprint(ladder: Ladder) -> str:
    """Return a short hash of :func:`fold_definition`, the same in every process.

    Raises:
        DefinitionError: an argument of a timer or a partial function has no plain form.
    """
    text = json.dumps(fold_definition(ladder), sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


def fold_definition(ladder: Ladder) -> dict[str, Any]:
    """Return, as JSON values, everything about a pipeline that can change a history.

    Functions stand in it by their qualified name without a module, so that one defined in a
    script is the same when the script is imported. What is inside a function is not seen.

    Raises:
        DefinitionError: an argument of a timer or a partial function has no plain form.
    """
    told = {
        "reducer": function_name(ladder.reducer),
        "stages": [_stage(stage) for stage in ladder.stages],
        "rules": [_rule(rule, ladder.stages) for rule in ladder.rules],
    }
    if ladder.activity is not None:
        told["activity"] = sorted(ladder.activity)
    if ladder.calendars:
        told["calendars"] = [
            {"key": name, **calendar.to_dict()} for name, calendar in ladder.calendars.items()
        ]
    return told


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Say in words what differs between two results of :func:`fold_definition`.

    The list is empty exactly when they are equal.
    """
    found = [*_compared("stage", old, new), *_compared("rule", old, new)]
    found += _calendars_compared(old.get("calendars", ()), new.get("calendars", ()))
    if old["reducer"] != new["reducer"]:
        found.append(f"the reducer was {old['reducer']} and is {new['reducer']}")
    was, now = _words(old, "activity"), _words(new, "activity")
    if was != now:
        found.append(f"what counts as activity was {was} and is {now}")
    return found


def _calendars_compared(
    old: Iterable[Mapping[str, Any]], new: Iterable[Mapping[str, Any]]
) -> Iterator[str]:
    was, now = ({each["key"]: each for each in some} for some in (old, new))
    yield from (f"calendar {name!r} was removed" for name in was if name not in now)
    yield from (f"calendar {name!r} is new" for name in now if name not in was)
    for name in was.keys() & now.keys():
        before, after = ({*each[name].get("holidays", ())} for each in (was, now))
        for words, dates in (("no more", before - after), ("new", after - before)):
            if dates:
                yield f"calendar {name!r}: holidays that are {words}: {', '.join(sorted(dates))}"
        yield from _changes(
            f"calendar {name!r}",
            *(
                {key: part for key, part in each[name].items() if key != "holidays"}
                for each in (was, now)
            ),
        )


def _stage(stage: Stage) -> dict[str, Any]:
    return {"key": stage.key, "status": stage.status, "requires": sorted(set(stage.requires))}


def _rule(rule: Rule, stages: tuple[Stage, ...]) -> dict[str, Any]:
    told: dict[str, Any] = {"key": rule.key, **_trigger(rule), "into": rule.into.key}
    if rule.out_of is ANY:
        told["out_of"] = "ANY"
    elif rule.out_of is not None:
        named = set(rule.out_of)  # type: ignore[arg-type]
        told["out_of"] = [stage.key for stage in stages if stage in named]
    if rule.when is not None:
        told["when"] = _guard(rule.when)
    return told | {name: True for name in ("opens", "reenter") if getattr(rule, name)}


def _trigger(rule: Rule) -> dict[str, Any]:
    trigger = rule.trigger
    if isinstance(trigger, OnEvents):
        return {"on": sorted(trigger.types)}
    if isinstance(trigger, ByHand):
        return {"by_hand": True}
    return {"after": _timer(trigger, f"rule {rule.key!r}")}


def _timer(timer: Timer, where: str) -> dict[str, Any]:
    if type(timer) is After:
        return {**duration(timer.delay), "since": timer.since}
    if type(timer) is AfterOpen:
        return {**span_definition(timer.delay), "since": timer.since}
    arguments = plain(timer_arguments(timer), where)
    return {"timer": type(timer).__qualname__, "args": arguments}


def _guard(guard: Guard) -> Any:
    if isinstance(guard, AllOf):
        return {"all": [_guard(part) for part in guard.parts]}
    if isinstance(guard, AnyOf):
        return {"any": [_guard(part) for part in guard.parts]}
    if isinstance(guard, Not):
        return {"not": _guard(guard.inner)}
    if isinstance(guard, FunctionGuard):
        return {"function": function_name(guard.function)}
    return guard.definition()


def function_name(function: Callable[..., Any]) -> str:
    """Return what stands for a function in a definition: what is inside of it is not seen."""
    if isinstance(function, functools.partial):
        name = function_name(function.func)
        given = plain([function.args, function.keywords], name)
        return name + json.dumps(given, sort_keys=True)
    return str(getattr(function, "__qualname__", type(function).__qualname__))


def _compared(what: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    was = {part["key"]: part for part in old[f"{what}s"]}
    now = {part["key"]: part for part in new[f"{what}s"]}
    yield from (f"{what} {key!r} was removed" for key in was if key not in now)
    yield from (f"{what} {key!r} is new" for key in now if key not in was)
    for key in was:
        if key in now:
            yield from _changes(f"{what} {key!r}", was[key], now[key])
    kept_was = [key for key in was if key in now]
    kept_now = [key for key in now if key in was]
    for key in _moved(kept_was, kept_now):
        yield f"{what} {key!r} stands at another place in the order"


def _changes(what: str, was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted({*was, *now}):
        before, after = _words(was, name), _words(now, name)
        if before != after:
            yield f"{what}: {name} was {before} and is {after}"


def _words(part: Mapping[str, Any], name: str) -> str:
    """Return a value as JSON text, in which 1 and true differ."""
    if name not in part:
        return "left out"
    return json.dumps(part[name], ensure_ascii=False, sort_keys=True)


def _moved(was: list[str], now: list[str]) -> list[str]:
    import difflib  # only a changed ladder needs it

    matcher = difflib.SequenceMatcher(None, was, now, autojunk=False)
    return [
        key
        for tag, _, _, start, end in matcher.get_opcodes()
        if tag in ("insert", "replace")
        for key in now[start:end]
    ]

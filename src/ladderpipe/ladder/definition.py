"""A pipeline as plain data, and back: what a definition file holds.

The form is described, for editors too, by ``pipeline.schema.json`` beside this module::

    name: sales
    stages:
      - {key: quote, title: {en: Quote, it: Preventivo}}
      - {key: won, status: won}
    rules:
      - {on: [cart.updated], into: quote, when: cart_has_items, opens: true}
      - {after: {hours: 48, since: activity}, into: won, out_of: [quote]}

What is left out has its default; nothing is ever left out by writing null. Functions stand in it
as ``module:name``. A timer of your own stands in it as ``{timer: "module:Class", args: {...}}``:
its arguments in plain form (dates as text, durations as ``{hours: 48}``, tuples and sets as
lists), which its class has to take back, for example with ``attrs`` converters. A hook that is an
object of such a class stands in it the same way, as ``{call: "module:Class", args: {...}}``.

This module writes the form; :mod:`ladderpipe.ladder.definition_reader` reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Literal

from ..errors import DefinitionError
from ..model.calendar import Calendar
from ..model.customer import CustomerKeys, contact_keys
from ..model.stage import DoStep, Stage, WaitStep
from .import_path import built_from, import_path
from .ladder import Ladder
from .plain import duration, plain, span_definition
from .rules import ANY, After, AfterOpen, ByHand, OnEvents, Rule, timer_arguments, trigger_path

__all__ = ["to_dict"]

DIRECTIONS: Final[tuple[Literal["into", "out_of"], ...]] = ("into", "out_of")


def to_dict(
    ladder: Ladder,
    usual_reducer: Callable[..., Any],
    hooks: Mapping[tuple[Literal["into", "out_of"], str], Iterable[Callable[..., Any]]],
    customer: CustomerKeys | None = contact_keys,
    calendars: Mapping[str, Calendar] | None = None,
) -> dict[str, Any]:
    """Return a definition as plain data that JSON, YAML and TOML can hold.

    Args:
        usual_reducer: the reducer that is meant where none is written.
        hooks: by direction and stage.
        customer: what works out the keys of a deal's customer.
        calendars: by name; those of the rules when left out.

    Raises:
        DefinitionError: a guard, hook, reducer or timer has no import path, or a timer does not
            take its own arguments back.
    """
    reducer = ladder.reducer
    calendars = ladder.calendars if calendars is None else calendars
    written = {
        "name": ladder.name,
        "title": _write_title(ladder.titles),
        "reducer": None if reducer is usual_reducer else import_path(reducer, "reducer"),
        "customer": _write_customer(customer),
        "calendars": {name: each.to_dict() for name, each in calendars.items()},
        "stages": [_write_stage(stage) for stage in ladder.stages],
        "rules": [_write_rule(rule) for rule in ladder.rules],
        "hooks": [
            {f"move_{direction}": stage.key, **_write_hook(hook)}
            for stage in ladder.stages
            for direction in DIRECTIONS
            for hook in hooks.get((direction, stage.key), ())
        ],
    }
    # None at all is a declaration, too: everything is moved by hand.
    lists = {"events": ladder.events, "activity": ladder.activity}
    told = {name: list(types) for name, types in lists.items() if types is not None}
    nobody = {"customer": False} if customer is None else {}
    return _given(written) | told | nobody


def _write_customer(customer: CustomerKeys | None) -> str | None:
    is_usual = customer is None or customer is contact_keys
    return None if is_usual else import_path(customer, "customer")


def _given(written: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: part
        for name, part in written.items()
        if part is not None and part is not False and part != [] and part != {}
    }


def _write_title(titles: Mapping[str, str]) -> str | dict[str, str] | None:
    return titles[""] if list(titles) == [""] else dict(titles) or None


def _write_stage(stage: Stage) -> dict[str, Any]:
    usual = Stage(stage.key, status=stage.status).probability
    return _given(
        {
            "key": stage.key,
            "title": _write_title(stage.titles),
            "status": None if stage.status == "open" else stage.status,
            "probability": None if stage.probability == usual else stage.probability,
            "requires": list(stage.requires),
            "sequence": [_write_step(step) for step in stage.sequence],
            "rots_after": None if stage.rots_after is None else span_definition(stage.rots_after),
        }
    )


def _write_step(step: DoStep | WaitStep) -> dict[str, Any]:
    if isinstance(step, WaitStep):
        return {"wait": span_definition(step.delay)}
    return _given(
        {
            "do": step.name,
            "expires": None if step.expires is None else duration(step.expires),
            "run_to_completion": step.run_to_completion,
            "purpose": None if step.purpose == "marketing" else step.purpose,
            "calendar": None if step.calendar is None else step.calendar.name,
            "payload": plain(step.payload, f"effect {step.name!r}"),
        }
    )


def _write_rule(rule: Rule) -> dict[str, Any]:
    out_of: Any = rule.out_of
    if out_of is ANY:
        out_of = "ANY"
    elif out_of is not None:
        out_of = [stage.key for stage in out_of]
    return _write_trigger(rule) | _given(
        {
            "into": rule.into.key,
            "out_of": out_of,
            "when": None
            if rule.when is None
            else plain(rule.when.definition(), f"rule {rule.key!r}"),
            "opens": rule.opens,
            "reenter": rule.reenter,
            "key": rule.key,
            "may": None if rule.may is None else import_path(rule.may, "may"),
        }
    )


def _write_trigger(rule: Rule) -> dict[str, Any]:
    trigger = rule.trigger
    if isinstance(trigger, OnEvents):
        return {"on": list(trigger.types)}
    if isinstance(trigger, ByHand):
        return {"by_hand": True}
    if type(trigger) is After or type(trigger) is AfterOpen:
        since = {} if trigger.since == "entered" else {"since": trigger.since}
        return {"after": {**span_definition(trigger.delay), **since}}
    arguments = _write_arguments(trigger, timer_arguments(trigger), "timer")
    return {"after": _given({"timer": trigger_path(trigger), "args": arguments})}


def _write_hook(hook: Callable[..., Any]) -> dict[str, Any]:
    arguments = built_from(hook)
    if arguments is None:
        return {"call": import_path(hook, "hook")}
    written = _write_arguments(hook, arguments, "hook")
    return _given({"call": import_path(type(hook), "hook"), "args": written})


def _write_arguments(made: object, given: Mapping[str, Any], what: str) -> dict[str, Any]:
    name = f"{what} {type(made).__name__}"
    arguments: dict[str, Any] = plain(given, name)
    try:
        same = type(made)(**arguments) == made
    except Exception as error:
        raise _not_taken_back(name, arguments, f"it raised {error!r}") from error
    if not same:
        raise _not_taken_back(name, arguments, f"it made another {what} of them")
    return arguments


def _not_taken_back(name: str, arguments: Mapping[str, Any], why: str) -> DefinitionError:
    return DefinitionError(
        f"{name} does not take its arguments back in plain form, {dict(arguments)!r}: {why}; "
        "give its fields converters, for example converter=tuple, or one that reads dates from text"
    )

"""Reading a definition: plain data into a pipeline, each refusal with the place it is about.

Nothing is imported but what the definition names and the caller allows.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Protocol, TypeAlias, TypeVar

from ..errors import InvalidEventError
from ..model.calendar import Calendar, CalendarSpan
from ..model.stage import TASK, DoStep, Stage, WaitStep, asked_for, do, wait
from .guards import (
    AllOf,
    AnyOf,
    Guard,
    Not,
    cart_has_items,
    cart_is_empty,
    guard,
    property_equals,
    property_is_set,
    value_at_least,
    value_at_most,
)
from .holidays import public_holidays
from .import_path import resolve
from .plain import UNITS, Part, nearest, plain
from .policy_reader import policy
from .rules import ANY, Rule, Timer, after, by_hand, on

__all__ = ["Build", "Built", "read"]


class HasHooks(Protocol):
    """What hooks are registered on."""

    def move_into(self, stage: Stage) -> Callable[[Any], Any]:
        """Register a hook that runs when a deal moves in."""

    def move_out_of(self, stage: Stage) -> Callable[[Any], Any]:
        """Register a hook that runs when a deal moves out."""


Built = TypeVar("Built", bound=HasHooks)
Build: TypeAlias = Callable[..., Built]
"""Takes a name, and ``title``, ``stages``, ``rules`` and, only if they are given, ``reducer``,
``events``, ``activity``, ``customer``, ``send`` and ``zone`` by name."""

OWN_MODULES: Final = ("ladderpipe.templates",)
"""What a definition may name without permission: the hooks of the ladders we ship."""

MOST_NESTED: Final = 32
"""How deep guards may stand in one another."""

_TOP: Final = (
    *("name", "title", "reducer", "events", "activity", "customer", "send", "zone"),
    *("calendars", "stages", "rules", "hooks", "$schema"),
)


def read(data: Mapping[str, Any], build: Build[Built], allow: Iterable[str] = ()) -> Built:
    """Build what a definition describes, such as a :class:`~ladderpipe.Pipeline`.

    Args:
        allow: modules whose functions and classes the definition may name.

    Raises:
        DefinitionError: the definition is malformed or names what is not allowed; the message
            begins with the place, for example ``rules[3].after``.
    """
    return DefinitionReader(allow).built(data, build)


class DefinitionReader:
    """Reads the parts of one definition, of which it knows the stages and what is allowed.

    Every method raises ``DefinitionError`` for a part that is malformed, naming its place.
    """

    def __init__(self, allow: Iterable[str]) -> None:
        self.allow = (*OWN_MODULES, *((allow,) if isinstance(allow, str) else allow))
        self.stages: dict[str, Stage] = {}
        self.calendars: dict[str, Calendar] = {}

    def built(self, data: Mapping[str, Any], build: Build[Built]) -> Built:
        """Return what a whole definition describes."""
        top = Part("", data).fields(*_TOP, required=("name", "stages", "rules"))
        for name, part in top["calendars"].mapping().items() if "calendars" in top else ():
            self.calendars[name] = _calendar(name, part)
        stages = [self.stage(part) for part in top["stages"].items()]
        self.stages = {stage.key: stage for stage in stages}
        pipeline = build(
            top["name"].text(),
            title=_title(top.get("title")),
            stages=stages,
            rules=[self.rule(part) for part in top["rules"].items()],
            **({"reducer": self.function(top["reducer"])} if "reducer" in top else {}),
            **{name: top[name].texts() for name in ("events", "activity") if name in top},
            **({"customer": self.customer(top["customer"])} if "customer" in top else {}),
            **({"send": policy(top["send"], self.known_calendar)} if "send" in top else {}),
            **({"zone": top["zone"].text()} if "zone" in top else {}),
        )
        for part in top["hooks"].items() if "hooks" in top else ():
            self.hook(part, pipeline)
        return pipeline

    def stage(self, part: Part) -> Stage:
        """Return a stage as it is defined."""
        names = ("key", "title", "status", "probability", "requires", "sequence", "rots_after")
        stage = part.fields(*names, required=("key",))
        given: dict[str, Any] = {}
        if "status" in stage:
            given["status"] = stage["status"].text()
        if "probability" in stage:
            given["probability"] = stage["probability"].number()
        if "requires" in stage:
            given["requires"] = stage["requires"].texts()
        if "sequence" in stage:
            given["sequence"] = [self.step(step) for step in stage["sequence"].items()]
        if "rots_after" in stage:
            given["rots_after"] = self._rots_after(stage["rots_after"])
        key, title = stage["key"].text(), _title(stage.get("title"))
        with part.named():
            return Stage(key, title=title, **given)

    def known_stage(self, part: Part) -> Stage:
        """Return the stage that a key names."""
        key = part.text()
        if key not in self.stages:
            raise part.refusal(f"no stage is called {key!r}{nearest(key, self.stages)}")
        return self.stages[key]

    def step(self, part: Part) -> DoStep | WaitStep:
        """Return a step of a sequence."""
        if "wait" in part.mapping():
            pause = part.fields("wait")["wait"]
            given = self._delay(pause.fields(*UNITS, "calendar", "zone"), pause.where)
            with part.named():
                return wait(given.pop("timer", None), **given)
        names = ("do", "expires", "run_to_completion", "purpose", "payload", "calendar")
        step = part.fields(*names, required=("do",))
        name = step["do"].text()
        expires = step["expires"].delay() if "expires" in step else None
        keep = _flag(step, "run_to_completion")
        purpose: Any = step["purpose"].text() if "purpose" in step else "marketing"
        with part.named():
            do(name, expires=expires, run_to_completion=keep, purpose=purpose)
        payload = _payload(step["payload"], name) if "payload" in step else {}
        calendar = self.known_calendar(step["calendar"]) if "calendar" in step else None
        try:
            return asked_for(name, payload, expires, keep, purpose, calendar)
        except InvalidEventError as error:
            raise step.get("payload", part).refusal(str(error)) from None

    def _rots_after(self, part: Part) -> dt.timedelta | CalendarSpan:
        given = self._delay(part.fields(*UNITS, "calendar", "zone"), part.where)
        with part.named():
            delay = wait(given.pop("timer", None), **given).delay
        return delay

    def known_calendar(self, part: Part) -> Calendar:
        """Return the calendar that a name names."""
        name = part.text()
        if name not in self.calendars:
            raise part.refusal(
                f"no calendar is called {name!r}{nearest(name, self.calendars)}"
                if self.calendars
                else f"no calendar is called {name!r}: describe it under calendars"
            )
        return self.calendars[name]

    def function(self, part: Part) -> Any:
        """Return the function or class that a ``module:name`` names."""
        path = part.text()
        with part.named():
            found = resolve(path, self.allow)
        if not callable(found):
            raise part.refusal(f"{path!r} is not a function: name one")
        return found

    def customer(self, part: Part) -> Any:
        """Return the function that works out a customer's keys; ``None`` for ``false``."""
        if part.value is not False:
            return self.function(part)
        return None

    def hook(self, part: Part, pipeline: HasHooks) -> None:
        """Register a hook: a function, or an object of a class, built here once."""
        hook = part.fields("move_into", "move_out_of", "call", "args", required=("call",))
        if ("move_into" in hook) == ("move_out_of" in hook):
            raise part.refusal("a hook is called on move_into or on move_out_of: name one stage")
        direction = "move_into" if "move_into" in hook else "move_out_of"
        stage = self.known_stage(hook[direction])
        called = self.function(hook["call"])
        if isinstance(called, type):
            called = _built(part, called, hook.get("args"))
            if not callable(called):
                raise hook["call"].refusal(
                    f"{hook['call'].value!r} is no hook: give the class a method __call__(ctx)"
                )
        elif "args" in hook:
            raise hook["args"].refusal(
                f"{hook['call'].value!r} is a function, which takes the context alone: "
                "name a class that is built from them, or leave them out"
            )
        with part.named():
            getattr(pipeline, direction)(stage)(called)

    def rule(self, part: Part) -> Rule:
        """Return a rule."""
        kinds = [name for name in ("on", "after", "by_hand") if name in part.mapping()]
        if len(kinds) != 1:
            raise part.refusal(
                f"a rule has one trigger, and this has {' and '.join(kinds) or 'none'}: "
                "write on: [...], after: {hours: 48} or by_hand: true"
            )
        kind = kinds[0]
        own = {"on": ("opens",), "after": (), "by_hand": ("opens", "may")}[kind]
        rule = part.fields(
            kind, "into", "out_of", "when", "reenter", "key", *own, required=("into",)
        )
        given: dict[str, Any] = {
            "into": self.known_stage(rule["into"]),
            "out_of": self._out_of(rule.get("out_of")),
            "when": self.guard(rule["when"]) if "when" in rule else None,
            "reenter": _flag(rule, "reenter"),
            "key": rule["key"].text() if "key" in rule else None,
        }
        if "opens" in own:
            given["opens"] = _flag(rule, "opens")
        if "may" in rule:
            given["may"] = self.function(rule["may"])
        build = {"on": self._on, "after": self._after, "by_hand": self._by_hand}[kind]
        return build(part, rule[kind], given)

    def guard(self, part: Part, depth: int = MOST_NESTED) -> Guard:
        """Return a guard: a text, or a mapping with one key."""
        if not depth:
            raise part.refusal(f"guards stand in one another more than {MOST_NESTED} deep")
        if isinstance(part.value, str):
            if part.value not in _PLAIN_GUARDS:
                raise part.refusal(f"no guard is called {part.value!r}{_near_guard(part.value)}")
            return _PLAIN_GUARDS[part.value]
        found = part.mapping()
        if len(found) != 1:
            raise part.refusal(
                f"a guard has one name, and this has {len(found)}: join several with {{all: [...]}}"
            )
        [(name, inner)] = found.items()
        if name == "not":
            return Not(self.guard(inner, depth - 1))
        if name in ("all", "any"):
            guards = tuple(self.guard(p, depth - 1) for p in inner.items())
            if not guards:
                raise inner.refusal("the list is empty: name the guards it joins")
            return AllOf(guards) if name == "all" else AnyOf(guards)
        if name == "function":
            function = self.function(inner)
            with inner.named():
                return guard(function)
        if name not in _GUARDS_WITH_ARGUMENTS:
            raise part.refusal(f"no guard is called {name!r}{_near_guard(name)}")
        return _GUARDS_WITH_ARGUMENTS[name](inner)

    def _out_of(self, part: Part | None) -> Any:
        if part is None:
            return None
        if part.value == "ANY":
            return ANY
        if isinstance(part.value, str):
            return [self.known_stage(part)]
        return [self.known_stage(p) for p in part.items()]

    def _on(self, part: Part, trigger: Part, given: dict[str, Any]) -> Rule:
        types = trigger.texts()
        with part.named():
            return on(*types, **given)

    def _by_hand(self, part: Part, trigger: Part, given: dict[str, Any]) -> Rule:
        if not trigger.flag():
            raise trigger.refusal("false is no trigger: write by_hand: true")
        with part.named():
            return by_hand(**given)

    def _after(self, part: Part, trigger: Part, given: dict[str, Any]) -> Rule:
        if "timer" in trigger.mapping():
            given["timer"] = self._timer(trigger)
        else:
            found = trigger.fields(*UNITS, "since", "calendar", "zone")
            if "since" in found:
                given["since"] = found.pop("since").text()
            given |= self._delay(found, trigger.where)
        with trigger.named():
            return after(**given)

    def _delay(self, units: dict[str, Part], where: str) -> dict[str, Any]:
        """Return what the builders of rules and waits take: a duration, or units on a calendar."""
        on = {name: units.pop(name) for name in ("calendar", "zone") if name in units}
        if not on:
            values = {name: part.value for name, part in units.items()}
            return {"timer": Part(where, values).delay()}
        given: dict[str, Any] = {name: part.number() for name, part in units.items()}
        if "zone" in on:
            given["zone"] = on["zone"].text()
        if "calendar" in on:
            given["calendar"] = self.known_calendar(on["calendar"])
        return given

    def _timer(self, part: Part) -> Timer:
        found = part.fields("timer", "args")
        timer = self.function(found["timer"])
        if not isinstance(timer, type) or not callable(getattr(timer, "due_at", None)):
            raise found["timer"].refusal(
                f"{found['timer'].value!r} is no timer: name a class with a method due_at(visit)"
            )
        built: Timer = _built(part, timer, found.get("args"))
        return built


def _calendar(name: str, part: Part) -> Calendar:
    found = part.fields("zone", "hours", "holidays", required=("zone", "hours"))
    hours = {days: each.texts() for days, each in found["hours"].mapping().items()}
    dates: Any = ()
    if "holidays" in found:
        dates = _holidays(found["holidays"])
    with part.named():
        return Calendar(name, zone=found["zone"].text(), hours=hours, holidays=dates)


def _holidays(part: Part) -> Any:
    if not isinstance(part.value, Mapping):
        # YAML and TOML have dates of their own.
        return [each.value for each in part.items()]
    found = part.fields("country", "subdivision", "years", "also", required=("country", "years"))
    years = [each.value for each in found["years"].items()]
    if len(years) != 2 or not all(isinstance(year, int) for year in years) or years[0] > years[1]:
        raise found["years"].refusal(f"{years!r}: the first year and the last, [2026, 2030]")
    subdivision = found["subdivision"].text() if "subdivision" in found else None
    also = [each.value for each in found["also"].items()] if "also" in found else []
    with part.named():
        country = found["country"].text()
        return [
            *public_holidays(country, subdivision, years=range(years[0], years[1] + 1)),
            *also,
        ]


def _built(part: Part, kind: type, args: Part | None) -> Any:
    """Return what a class makes of its arguments."""
    arguments: dict[str, Any] = {}
    if args is not None:
        args.mapping()
        arguments = plain(args.value, args.where)
    try:
        return kind(**arguments)
    except Exception as error:
        raise part.refusal(f"{kind.__name__} does not take {arguments!r}: {error}") from error


def _title(part: Part | None) -> str | dict[str, str] | None:
    if part is None or isinstance(part.value, str):
        return None if part is None else part.text()
    return {language: text.text() for language, text in part.mapping().items()}


def _flag(fields: Mapping[str, Part], name: str) -> bool:
    return name in fields and fields[name].flag()


def _payload(part: Part, effect: str) -> Mapping[str, Any]:
    payload: Mapping[str, Any] = part.value
    title = part.mapping().get("title")
    if effect == TASK and title is not None and isinstance(title.value, Mapping):
        return {**payload, "title": _first_text(title)}
    return payload


def _first_text(title: Part) -> str:
    """Return a title in its first language, which is the one that people are shown."""
    texts = [text.text() for text in title.mapping().values()]
    if not texts:
        raise title.refusal('there is no language in it: write {en: "Call the customer"}')
    return texts[0]


def _near_guard(name: str) -> str:
    return nearest(name, (*_PLAIN_GUARDS, *_GUARDS_WITH_ARGUMENTS, "all", "any", "not", "function"))


def _value_guard(part: Part, bound: Callable[[Any, str | None], Guard]) -> Guard:
    found = part.fields("amount", "currency", required=("amount",))
    currency = found["currency"].text() if "currency" in found else None
    with part.named():
        return bound(found["amount"].value, currency)


def _property_equals(part: Part) -> Guard:
    found = part.fields("name", "value", required=("name", "value"))
    name = found["name"].text()
    with part.named():
        return property_equals(name, found["value"].value)


def _property_is_set(part: Part) -> Guard:
    return property_is_set(part.text())


_PLAIN_GUARDS: Final[dict[str, Guard]] = {
    "cart_has_items": cart_has_items,
    "cart_is_empty": cart_is_empty,
}
_GUARDS_WITH_ARGUMENTS: Final[dict[str, Callable[[Part], Guard]]] = {
    "value_at_least": functools.partial(_value_guard, bound=value_at_least),
    "value_at_most": functools.partial(_value_guard, bound=value_at_most),
    "property_equals": _property_equals,
    "property_is_set": _property_is_set,
}

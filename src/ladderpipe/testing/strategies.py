"""Hypothesis strategies: events that try a ladder hard, and random ladders to try them on."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeAlias

import attrs
from hypothesis import strategies as st

from ladderpipe import ANY, Event, Pipeline, Rule, Stage, Timer, after, by_hand, do, on, wait
from ladderpipe.ladder.guards import (
    AllOf,
    AnyOf,
    Guard,
    Not,
    PropertyEquals,
    PropertyIsSet,
    ValueAtLeast,
    ValueAtMost,
    cart_has_items,
    cart_is_empty,
    property_equals,
    property_is_set,
    value_at_least,
    value_at_most,
)
from ladderpipe.ladder.rules import After, AfterOpen, ByHand, OnEvents
from ladderpipe.model.calendar import usual_length
from ladderpipe.model.clock import instant_text
from ladderpipe.model.event import (
    BY_HAND,
    EDITED,
    MERGED,
    OVERRIDE,
    OWN_SOURCE,
    TIMERS_FROM,
    TOLD,
    WITHDRAW,
    Identity,
)
from ladderpipe.model.stage import DoStep, Status, WaitStep
from ladderpipe.public import publish

__all__ = ["START", "events", "events_and_hands", "events_of_many_deals", "pipelines"]

START = dt.datetime(2026, 1, 5, 9, tzinfo=dt.UTC)
"""When the first event of a stream may happen."""

DataFor: TypeAlias = Callable[[str], st.SearchStrategy[dict[str, Any]]]
"""From an event type to the data that such events carry."""

CART_TYPES = ("cart.item_added", "cart.item_removed", "cart.updated", "cart.emptied")
ORDER_TYPES = ("order.confirmed", "order.edited", "order.refunded", "order.cancelled")
UNKNOWN_TYPE = "nobody.asked"

Pick: TypeAlias = Callable[[Sequence[Any]], Any]

_NUMBER = st.integers(0, 255)
"""All choices below draw from this one strategy: building strategies anew for every ladder would
take most of the time. Options stand simplest first, since that is where shrinking leads."""


def events(
    pipeline: Pipeline,
    *,
    deal: str = "deal-1",
    start: dt.datetime = START,
    min_size: int = 0,
    max_size: int = 20,
    data: DataFor | None = None,
) -> st.SearchStrategy[list[Event]]:
    """Return a strategy for the events of one deal, in order of time.

    They are chosen to find mistakes: types that the rules name, cart changes, and a type that no
    rule names; many at one instant; others just before, at and just after the moments at which
    the pipeline's timers are due; data that makes its guards and ``requires`` change their answer.
    Identities are unique. Shuffle or repeat them as you like: a history does not depend on it.

    Args:
        deal: id of the deal.
        start: when the first event happens at the earliest.
        data: from an event type to a strategy for its data; needed when the pipeline has a
            reducer that wants something else than the standard one.
    """
    return _streams(Subject(pipeline), deal, start, min_size, max_size, data, [])


def events_of_many_deals(
    pipeline: Pipeline,
    *,
    deals: Sequence[str] = ("deal-1", "deal-2", "deal-3"),
    start: dt.datetime = START,
    max_size: int = 10,
    data: DataFor | None = None,
) -> st.SearchStrategy[list[Event]]:
    """Return a strategy for the events of several deals, mixed, in order of time.

    Args:
        deals: ids of the deals; each gets up to *max_size* events.

    The other arguments are those of :func:`events`.
    """
    each = [
        events(pipeline, deal=deal, start=start, max_size=max_size, data=data) for deal in deals
    ]
    return st.tuples(*each).map(
        lambda streams: sorted((e for s in streams for e in s), key=lambda event: event.at)
    )


def events_and_hands(
    pipeline: Pipeline,
    *,
    deal: str = "deal-1",
    start: dt.datetime = START,
    min_size: int = 0,
    max_size: int = 20,
    hands: bool = True,
    overrides: bool = True,
) -> st.SearchStrategy[list[Event]]:
    """Return :func:`events` mixed with hands: moves, overrides, edits, and what is taken back.

    What another system tells is among them, too.

    Args:
        hands: whether people move the deal; they edit and take back all the same.
        overrides: whether they move it past the rules.
    """
    kinds = [BY_HAND] * 2 * hands + [OVERRIDE] * overrides + [EDITED, WITHDRAW, TOLD]
    return _streams(Subject(pipeline), deal, start, min_size, max_size, None, kinds)


def pipelines(
    *,
    guards: st.SearchStrategy[Guard] | None = None,
    timers: st.SearchStrategy[Timer] | None = None,
    sequences: bool = False,
) -> st.SearchStrategy[Pipeline]:
    """Return a strategy for random ladders of two to seven stages.

    They have stages of every status, some with ``requires``; rules set off by events, timers
    (delays of a few hours, or none) and hands; and at least one event that opens a deal.

    Args:
        guards: guards for the rules; by default those of :mod:`ladderpipe.ladder.guards`, combined.
        timers: triggers for the timer rules besides delays; ``st.nothing()`` for ladders on
            which nothing happens by itself.
        sequences: whether stages ask for effects.
    """
    return _ladders(guards, timers, sequences)


class Subject:
    """What is worth varying about a ladder: types, delays, and what its guards ask about."""

    def __init__(self, pipeline: Pipeline) -> None:
        guards = list(_guards_in(pipeline))
        named = _types_in(pipeline.rules)
        opening = _types_in([rule for rule in pipeline.rules if rule.opens])
        by_hand = [rule.into.key for rule in pipeline.rules if isinstance(rule.trigger, ByHand)]
        self.targets = [*by_hand, *(stage.key for stage in pipeline.stages), *by_hand]
        others = [*CART_TYPES, UNKNOWN_TYPE, *ORDER_TYPES, *CART_TYPES]
        self.types = [*opening, *named, *others, *opening, *named]
        self.delays = _delays_in(pipeline) or [dt.timedelta(hours=1)]
        self.currencies = _currencies(guards)
        self.fields: dict[str, list[Any]] = {
            "value": _amounts(guards),
            "currency": self.currencies,
            "owner": [None, "Ada", "Bruno"],
            "contact": _CONTACTS,
            "company": [None, "Rossi & C.", {"name": "Bianchi", "vat": "IT1"}],
            "title": [None, "A big one"],
            "source": [None, "newsletter"],
        }
        self.properties = _properties(pipeline, guards)


def _types_in(rules: Iterable[Rule]) -> list[str]:
    triggers = [rule.trigger for rule in rules]
    return list(
        dict.fromkeys(name for t in triggers if isinstance(t, OnEvents) for name in t.types)
    )


def _delays_in(pipeline: Pipeline) -> list[dt.timedelta]:
    triggers = [rule.trigger for rule in pipeline.rules]
    timers = (trigger for trigger in triggers if isinstance(trigger, After | AfterOpen))
    return sorted({usual_length(timer.delay) for timer in timers})


def _guards_in(pipeline: Pipeline) -> Iterator[Guard]:
    for rule in pipeline.rules:
        if rule.when is not None:
            yield from _parts(rule.when)


def _parts(guard: Guard) -> Iterator[Guard]:
    if isinstance(guard, AllOf | AnyOf):
        for part in guard.parts:
            yield from _parts(part)
    elif isinstance(guard, Not):
        yield from _parts(guard.inner)
    else:
        yield guard


def _properties(pipeline: Pipeline, guards: list[Guard]) -> dict[str, list[Any]]:
    """Return the properties that the ladder asks about, each with telling values."""
    found: dict[str, list[Any]] = {}
    for stage in pipeline.stages:
        for name in stage.requires:
            found.setdefault(name, ["filled", "", None])
    for guard in guards:
        if isinstance(guard, PropertyIsSet | PropertyEquals):
            values = found.setdefault(guard.name, ["filled", "", None])
            if isinstance(guard, PropertyEquals):
                values.insert(0, guard.expected)
    return found


def _amounts(guards: list[Guard]) -> list[str | None]:
    least = {guard.least for guard in guards if isinstance(guard, ValueAtLeast)}
    most = {guard.most for guard in guards if isinstance(guard, ValueAtMost)}
    cent = Decimal("0.01")
    around = {*least, *(amount - cent for amount in least)}
    around |= {*most, *(amount + cent for amount in most)}
    return [None, "0", *sorted(str(amount) for amount in around)]


def _currencies(guards: list[Guard]) -> list[str]:
    """Return the currencies of a stream: nearly always the one that the guards ask about."""
    named = [guard.currency for guard in guards if isinstance(guard, ValueAtLeast | ValueAtMost)]
    first = min((code for code in named if code), default="EUR")
    return [first, first, first, "CHF" if first == "EUR" else "EUR"]


_CONTACTS: list[Any] = [
    None,
    {},
    {"name": "Ada Rossi", "email": "ada@example.com"},
    {"email": "ADA@example.com", "phone": "+39 02 1"},
    {"email": None, "phone": "", "language": "it"},
    {"id": 7, "email": "ada@example.com"},
    {"id": "7", "email": "ada.rossi@example.com"},
    {"name": "Bruno", "email": "bruno@example.com"},
    {"id": 8},
]
"""One person told in parts, under two addresses, and two others."""


@st.composite
def _streams(
    draw: st.DrawFn,
    subject: Subject,
    deal: str,
    start: dt.datetime,
    min_size: int,
    max_size: int,
    data: DataFor | None,
    hands: Sequence[str],
) -> list[Event]:
    pick = picker(draw)
    at = start
    dues: list[dt.datetime] = []
    found: list[Event] = []
    for index in range(draw(st.integers(min_size, max_size))):
        at = _next_instant(pick, at, dues)
        dues = _dues_after(at, dues, subject.delays)
        if hands and pick([False, False, False, True]):
            kind, source = pick(hands), OWN_SOURCE
            content = _by_hand(pick, subject, kind, found)
            if kind == TOLD:
                content |= _counting_from(pick, at)
        else:
            kind, content = _fact(draw, pick, subject, data)
            source = pick(["", "", "shop"])
        found.append(
            Event(
                kind,
                deal=deal,
                id=f"{pick('abc')}{index} of {deal}",
                at=at,
                source=source,
                seq=pick([0, 0, 0, 1, -1]),
                data=content,
            )
        )
    return found


@st.composite
def facts(draw: st.DrawFn, subject: Subject, data: DataFor | None) -> tuple[str, dict[str, Any]]:
    """Return the type and the data of one event."""
    return _fact(draw, picker(draw), subject, data)


@st.composite
def hands(draw: st.DrawFn, subject: Subject) -> tuple[str, dict[str, Any]]:
    """Return the stage a hand moves into, and the properties it brings."""
    content = _hand(picker(draw), subject)
    return content["into"], content.get("properties", {})


def _by_hand(pick: Pick, subject: Subject, kind: str, told: list[Event]) -> dict[str, Any]:
    if kind == EDITED:
        return {**_standard_data(pick, subject, EDITED), "by": "Ada"}
    if kind == TOLD:
        content = _standard_data(pick, subject, TOLD)
        return {**content, "stage": pick([*subject.targets, None])}
    if kind == WITHDRAW:
        unknown = Identity("", "nothing")
        target = pick([*(event.identity for event in reversed(told)), unknown])
        return {**target._asdict(), "by": "Ada"}
    return _hand(pick, subject)


def _counting_from(pick: Pick, at: dt.datetime) -> dict[str, Any]:
    """Return from when on the timers of what another system told may fire, if that is said."""
    days = pick([None, None, -1, 0, 3])
    return {} if days is None else {TIMERS_FROM: instant_text(at + dt.timedelta(days=days))}


def _fact(
    draw: st.DrawFn, pick: Pick, subject: Subject, data: DataFor | None
) -> tuple[str, dict[str, Any]]:
    kind: str = pick(subject.types)
    return kind, _standard_data(pick, subject, kind) if data is None else draw(data(kind))


def picker(draw: st.DrawFn) -> Pick:
    return lambda options: options[draw(_NUMBER) % len(options)]


def _next_instant(pick: Pick, at: dt.datetime, dues: list[dt.datetime]) -> dt.datetime:
    """Return when the next event happens: often at once, else around when a timer may be due."""
    kind = pick(["at once", "due", "due", "at once", "beside", "between"])
    if kind == "at once" or not dues:
        return at
    due: dt.datetime = pick(dues[:4])
    if kind == "due":
        return due
    if kind == "beside":
        shift: int = pick([1, -1])
        return due + dt.timedelta(microseconds=shift)
    percent: int = pick(range(101))
    return at + (due - at) * percent / 100


def _dues_after(
    at: dt.datetime, dues: list[dt.datetime], delays: list[dt.timedelta]
) -> list[dt.datetime]:
    """Return the moments after *at* when timers may be due, counting from events and timers."""
    passed = [due for due in dues if due <= at]
    started = {moment + delay for moment in (at, *passed) for delay in delays}
    return sorted({due for due in (*dues, *started) if due > at})[:20]


def _standard_data(pick: Pick, subject: Subject, kind: str) -> dict[str, Any]:
    """Return data as the standard reducer reads it."""
    data: dict[str, Any] = {}
    if kind in ("cart.item_added", "cart.item_removed"):
        data["line"] = _line(pick, subject, pick("ABC"))
    elif kind == "cart.updated" or (
        kind in (*ORDER_TYPES, EDITED, TOLD) and pick([False, False, True])
    ):
        skus = pick(["", "A", "B", "AB", "CBA", "AA", "ABA", "AAA"])
        data["cart"] = {"lines": [_line(pick, subject, sku) for sku in skus]}
        if pick([False, True]):
            data["cart"]["currency"] = pick(subject.currencies)
    elif kind == MERGED:
        data["into"] = pick(["deal-1", "deal-0", "deal-2"])
    elif kind == "order.refunded" and pick([False, True]):
        data["refunded"] = pick(["10", "899.00", "0.01", "-1", 5000])
    if pick([False, True]):
        for name in sorted({pick(["value", *subject.fields]), pick(["value", *subject.fields])}):
            data[name] = pick(subject.fields[name])
        if "refunded" in data:
            data.pop("value", None)
    if subject.properties and pick([False, True]):
        data["properties"] = _some_properties(pick, subject)
    return data


def _line(pick: Pick, subject: Subject, name: str) -> dict[str, Any]:
    line = dict.fromkeys((pick(["sku", "sku", "sku", "variant_id", "title"]),), name)
    for key, values in _LINE.items():
        value = pick(values)
        if value is not None:
            line[key] = value
    if not pick(range(12)):
        line["currency"] = pick(subject.currencies)
    if not pick(range(12)):
        line.update(pick(_UNUSUAL))
    return line


_LINE: Mapping[str, Sequence[Any]] = {
    "quantity": [None, 1, 1, 2, 3, "0.5", 0],
    "title": [None, "Notebook 15", "Mouse"],
    "unit_price": [None, "899.00", "899.00", "10", 19.99, "0.01"],
}
_UNUSUAL: Sequence[dict[str, Any]] = (
    {"unit_price": "-10"},
    {"unit_price": 10.799999999999999},
    {"unit_price": ""},
    {"sku": ""},
    {"sku": 123},
    {"sku": None, "variant_id": None, "title": None},
    {"quantity": -1},
    {"unit_price": "on request"},
)
"""What shops tell, too: discounts, PHP's floats, no SKU, numbers; and what nobody can read."""


def _some_properties(pick: Pick, subject: Subject) -> dict[str, Any]:
    names = {pick([*subject.properties]), pick([*subject.properties])}
    return {name: pick(subject.properties[name]) for name in sorted(names)}


def _hand(pick: Pick, subject: Subject) -> dict[str, Any]:
    content = {
        "into": pick(subject.targets),
        "by": "Ada",
        "reason": pick([None, "the customer called"]),
    }
    if subject.properties and pick([True, False]):
        content["properties"] = _some_properties(pick, subject)
    return content


_STATUSES: Sequence[Status] = ("open", "open", "open", "abandoned", "won", "lost")
_RULE_TYPES = (*CART_TYPES, "order.confirmed", "lead.called", "lead.answered")
_DELAYS = tuple(dt.timedelta(hours=hours) for hours in (1, 1, 2, 3, 5, 0))
_REQUIRES = ((), (), (), (), ("reason",), ("owner",), ("value",), ("hot", "reason"))
_GUARDS = (
    cart_has_items,
    cart_has_items,
    cart_is_empty,
    value_at_least("20"),
    value_at_least(900, "EUR"),
    value_at_most("899.99"),
    value_at_most(20, "EUR"),
    property_equals("hot", True),
    property_equals("region", "north"),
    property_is_set("reason"),
)


@st.composite
def _ladders(
    draw: st.DrawFn,
    guards: st.SearchStrategy[Guard] | None,
    timers: st.SearchStrategy[Timer] | None,
    sequences: bool,
) -> Pipeline:
    pick = picker(draw)
    stages = [_stage(pick, index, sequences) for index in range(pick(range(2, 8)))]
    rules = []
    for index in range(pick(range(2, 4 + 3 * len(stages)))):
        kind = pick(["event", "timer", "event", "timer", "hand"]) if index else "event"
        common: dict[str, Any] = {
            "into": pick(stages),
            "out_of": _out_of(pick, stages),
            "when": _guard(draw, pick, guards),
            "reenter": pick([False, False, False, True]),
        }
        opens = pick([False, False, False, True])
        if not index:
            opens = True
            common["into"] = pick([stages[0], common["into"]])
            common["when"] = pick([None, None, common["when"]])
        if kind == "event":
            types = {pick(_RULE_TYPES) for _ in range(pick([1, 1, 2, 3]))}
            rules.append(on(*sorted(types), opens=opens, **common))
        elif kind == "hand":
            rules.append(by_hand(opens=opens, **common))
        elif timers is None or not timers.is_empty:
            rules.append(_timer_rule(draw, pick, timers, common))
    if pick([False, True]):
        rules.append(rules.pop(0))
    return Pipeline("ladder", stages=stages, rules=_told_apart(rules))


def _stage(pick: Pick, index: int, sequences: bool) -> Stage:
    steps: list[DoStep | WaitStep] = []
    if sequences and pick([False, True]):
        steps = [do("note", text=f"in stage {index}"), wait(hours=1), do("note", text="later")]
        if pick([False, True]):
            steps.append(do("letter", run_to_completion=True))
    if not index:
        return Stage("s0", sequence=steps)
    return Stage(f"s{index}", status=pick(_STATUSES), requires=pick(_REQUIRES), sequence=steps)


def _out_of(pick: Pick, stages: list[Stage]) -> Any:
    kind = pick(["left out", "named", "named", "any"])
    if kind == "named":
        return [stage for stage in stages if pick([True, False, False])] or pick(stages)
    return None if kind == "left out" else ANY


def _guard(draw: st.DrawFn, pick: Pick, guards: st.SearchStrategy[Guard] | None) -> Guard | None:
    if pick([None, "guarded"]) is None:
        return None
    if guards is not None and pick([True, False]):
        return draw(guards)
    one: Guard = pick(_GUARDS)
    other: Guard = pick(_GUARDS)
    shapes: list[Guard] = [one, one, one, ~one, one & other, one | ~other]
    found: Guard = pick(shapes)
    return found


def _timer_rule(
    draw: st.DrawFn,
    pick: Pick,
    timers: st.SearchStrategy[Timer] | None,
    common: dict[str, Any],
) -> Rule:
    if timers is not None and pick([True, False]):
        return after(draw(timers), **common)
    since = pick(["entered", "entered", "activity", "activity", "opened"])
    return after(pick(_DELAYS), since=since, **common)


def _told_apart(rules: list[Rule]) -> list[Rule]:
    """Give a key of its own to each rule that reads like one before it."""
    seen: set[tuple[str, str]] = set()
    found = []
    for index, rule in enumerate(rules):
        reads = (str(rule), str(rule.out_of))
        found.append(attrs.evolve(rule, key=f"rule {index}") if reads in seen else rule)
        seen.add(reads)
    return found


publish("ladderpipe.testing", events, events_and_hands, events_of_many_deals, pipelines)

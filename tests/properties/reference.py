"""The fold once more, naively: written from sections S2 to S10, S13 and S17 of the design.

Slow, plain and independent of ``fold.py``: nothing is updated in place, the next thing to happen
is looked for anew each time, and rules are read from the definition, not from the machine.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import attrs

from ladderpipe import ANY, Cart, CartLine, Deal, Event, Pipeline, Rule, Stage, VisitTimes
from ladderpipe.ladder.rules import AfterOpen, ByHand, OnEvents

HAND, OVERRIDE, EDITED = "ladder.by_hand", "ladder.override", "deal.edited"
WITHDRAW, TOLD = "ladder.withdraw", "ladder.told"


@attrs.frozen
class Line:
    """A line of the cart; ``told`` grows from telling to telling."""

    key: str
    sku: str | None
    quantity: Decimal
    title: str | None
    price: Decimal | None
    told: int = 0


@attrs.frozen
class Telling:
    """That something was told of the cart: what the deal was worth before, and after."""

    at: dt.datetime
    is_removal: bool
    before: tuple[tuple[Line, ...], str | None, Decimal | None, str | None]
    left: int


@attrs.frozen
class Data:
    """What events say about a deal."""

    cart: tuple[Line, ...] = ()
    cart_currency: str | None = None
    explicit_value: Decimal | None = None
    currency: str | None = None
    tellings: tuple[Telling, ...] = ()
    unread: tuple[tuple[str, str], ...] = ()
    cart_is_told: bool = False
    fields: dict[str, Any] = attrs.field(factory=dict)
    properties: dict[str, Any] = attrs.field(factory=dict)

    @property
    def value(self) -> Decimal | None:
        if self.explicit_value is not None:
            return self.explicit_value
        if self.cart and all(line.price is None for line in self.cart):
            return None
        if not self.cart and not self.cart_is_told:
            return None
        return sum((rounded(line.quantity * (line.price or 0)) for line in self.cart), Decimal())

    @property
    def worth(self) -> tuple[tuple[Line, ...], str | None, Decimal | None, str | None]:
        return self.cart, self.cart_currency, self.explicit_value, self.currency

    @property
    def money(self) -> dict[str, Any]:
        """What is frozen when a deal closes."""
        names = ("cart", "cart_currency", "cart_is_told", "explicit_value", "currency")
        names = (*names, "tellings", "unread")
        return {name: getattr(self, name) for name in names}


@attrs.frozen
class State:
    """A deal somewhere in its life; a stage of None means not yet opened."""

    deal: str
    stage: Stage | None = None
    data: Data = Data()
    moves: tuple[tuple[Any, ...], ...] = ()
    entered_at: dt.datetime | None = None
    activity_at: dt.datetime | None = None
    opened_at: dt.datetime | None = None
    closed_at: dt.datetime | None = None
    lost_from: Stage | None = None
    last_event_at: dt.datetime | None = None
    blocked: frozenset[str | None] = frozenset()
    """Timers of this visit that were due and whose guard was false."""
    fired: frozenset[tuple[str | None, dt.datetime]] = frozenset()
    """Every timer rule that ever moved the deal, with the instant."""
    tried_at: dt.datetime | None = None
    """When the last timer was tried."""
    floor: tuple[int, dt.datetime] | None = None
    """The number of the visit that a baseline holds, and when that was written."""
    late: dict[tuple[str, str], bool] = attrs.field(factory=dict)
    """What came late, and whether it changed anything."""


@attrs.frozen
class Baseline:
    """S12 and S15: a deal's whole state, where it stood, and when each part was told last.

    Times are places in S9; a timer's is its instant, after that instant's events.
    """

    state: State
    seen: frozenset[tuple[str, str]]
    last: tuple[Any, ...] | None
    """None when all that was told was taken back."""
    began: tuple[Any, ...] | None
    settled: tuple[Any, ...] | None
    told: dict[str, tuple[Any, ...]]

    @property
    def at(self) -> dt.datetime:
        stood = [at for at in (self.last and self.last[0], self.state.tried_at) if at is not None]
        assert stood
        return max(stood)

    def is_before(self, pipeline: Pipeline, event: Event) -> bool:
        """Whether an event sorts before it: not after the last event and timer it has seen."""
        place = place_in_order(pipeline, event)
        tried = self.state.tried_at
        if self.last is not None and place <= self.last:
            return True
        return tried is not None and place <= timers_place(tried)


def carry(
    pipeline: Pipeline,
    state: State,
    events: list[Event],
    written_at: dt.datetime,
    former: Baseline | None = None,
) -> Baseline:
    """Return the baseline that holds *state*, which all *events* have made."""
    known = in_order(pipeline, events, None, former)
    begun = len(former.state.moves) if former else 0
    told: dict[str, tuple[Any, ...]] = dict(former.told) if former else {}
    data = former.state.data if former else Data()
    began, settled = (former.began, former.settled) if former else (None, None)
    for event in known:
        if former is None or (event.source, event.id) not in former.seen:
            after = taken_in(data, event)
            note(told, place_in_order(pipeline, event), event, data, after)
            data = after
    for move in state.moves[begun:]:
        _, _, out_of, into, at, _, _, event = move
        began = timers_place(at) if event is None else place_in_order(pipeline, event)
        if into.status == "won" or (out_of is not None and out_of.is_closed):
            settled = began
    floor = written_at
    if state.floor is not None and state.floor[0] == len(state.moves):
        floor = max(floor, state.floor[1])
    return Baseline(
        attrs.evolve(state, floor=(len(state.moves), floor)),
        frozenset((event.source, event.id) for event in known),
        max((place_in_order(pipeline, event) for event in known), default=None),
        began,
        settled,
        told,
    )


def fold(
    pipeline: Pipeline,
    events: list[Event],
    until: dt.datetime | None = None,
    baseline: Baseline | None = None,
) -> State | None:
    """Return the state after *events*, up to *until*; None when nothing opened the deal."""
    state = state_after(pipeline, events, until, baseline)
    return state if state.stage is not None else None


def state_after(
    pipeline: Pipeline,
    events: list[Event],
    until: dt.datetime | None = None,
    baseline: Baseline | None = None,
) -> State:
    """Return the state after *events*, opened or not."""
    waiting = in_order(pipeline, events, until, baseline)
    state = State(events[0].deal if events else "")
    if baseline is not None:
        waiting = [event for event in waiting if (event.source, event.id) not in baseline.seen]
        late = [event for event in waiting if baseline.is_before(pipeline, event)]
        waiting = waiting[len(late) :]
        state = attrs.evolve(baseline.state, late={})
        told = dict(baseline.told)
        for event in late:
            state = apply_late(pipeline, state, event, baseline, told)
    tellings = [event for event in waiting if event.type == TOLD and event.data.get("stage")]
    while True:
        # S13a: a history that was is taken as it was.
        timer = None if tellings else next_timer(pipeline, state)
        event = waiting[0] if waiting else None
        if event is None:
            if timer is None or until is None or timer[0] > until:
                break
            state = fire(pipeline, state, *timer)
        elif timer is not None and goes_before(timer[0], event):
            state = fire(pipeline, state, *timer)
        else:
            waiting = waiting[1:]
            state = apply(pipeline, state, event, is_silent=bool(tellings))
            if tellings == [event]:
                told = event.data.get("timers_from")
                since = max(event.at, dt.datetime.fromisoformat(told)) if told else event.at
                state = attrs.evolve(state, floor=(len(state.moves), since))
            tellings = [each for each in tellings if each is not event]
    return state


def apply_late(
    pipeline: Pipeline, before: State, event: Event, base: Baseline, told: dict[str, Any]
) -> State:
    """S12: what sorts before a baseline is folded where that stands; its data part by part."""
    place = place_in_order(pipeline, event)
    after = taken_in(before.data, event)
    stale = {part for part in changed(before.data, after) if part in told and told[part] > place}
    kept = {
        True: with_parts(after, stale - {"value", "currency", "cart"}, before.data),
        False: with_parts(after, stale, before.data),
    }
    is_of_visit = base.began is None or place > base.began
    moved = None
    for rule in rules_for(pipeline, before, event):
        is_closing = rule.into.is_closed
        settled_since = base.settled is not None and base.settled > place
        if not is_of_visit and (not is_closing or settled_since):
            continue
        state = attrs.evolve(before, data=kept[is_closing])
        is_past_rules = event.type in (OVERRIDE, TOLD)
        if is_past_rules or lets_through(pipeline, rule, state, event):
            rule_key = event.type if is_past_rules else rule.key
            moved = enter(state, rule.into, base.at, rule_key, event)
            break
    final = moved or attrs.evolve(before, data=kept[False])
    was_closed = before.stage is not None and before.stage.is_closed
    if was_closed and not may_say_so(before, final, event):
        part = "cart" if told_lines(event) is not None else "value"
        money = {**before.data.money, "unread": (*before.data.unread, (part, event.id))}
        final = attrs.evolve(final, data=attrs.evolve(final.data, **money))
    if moved is None and is_of_visit and before.stage is not None:
        assert before.activity_at
        if is_active(pipeline, event):
            final = attrs.evolve(final, activity_at=max(before.activity_at, event.at))
        final = retried(pipeline, final, base.at)
    still_closed = was_closed and final.stage is not None and final.stage.is_closed
    if still_closed and not is_correction(event):
        final = attrs.evolve(final, data=attrs.evolve(final.data, **before.data.money))
    note(told, place, event, before.data, after)
    counts = before.stage is None or bool(changed(before.data, final.data))
    counts |= (before.moves, before.activity_at, before.blocked) != (
        *(final.moves, final.activity_at, final.blocked),
    )
    if counts:
        last = max(event.at, before.last_event_at or event.at)
        final = attrs.evolve(final, last_event_at=last)
    return attrs.evolve(final, late={**before.late, (event.source, event.id): counts})


def rules_for(pipeline: Pipeline, state: State, event: Event) -> list[Rule]:
    """S2, S13: the rules that listen to an event and leave the stage, in their order."""
    if event.type == OVERRIDE:
        return [Rule(ByHand(), pipeline.stage(event.data["into"]), ANY)]
    if event.type == TOLD:
        stage = event.data.get("stage")
        return [] if stage in (None, state.stage) else [Rule(ByHand(), pipeline.stage(stage), ANY)]
    return [
        rule
        for rule in pipeline.rules
        if may_leave(rule, state.stage)
        and (
            isinstance(rule.trigger, ByHand) and rule.into == event.data["into"]
            if event.type == HAND
            else isinstance(rule.trigger, OnEvents) and event.type in rule.trigger.types
        )
    ]


def taken_in(data: Data, event: Event) -> Data:
    if event.type in (HAND, OVERRIDE):
        return attrs.evolve(
            data, properties={**data.properties, **event.data.get("properties", {})}
        )
    return reduced(data, event)


CART = ("cart", "cart_currency", "cart_is_told", "tellings", "unread")


def parts(data: Data) -> dict[str, Any]:
    """S12: the parts whose last telling a baseline notes."""
    found: dict[str, Any] = {
        "cart": tuple(getattr(data, name) for name in CART),
        "value": data.explicit_value,
        "currency": data.currency,
    }
    for name in ("owner", "company", "title", "source"):
        found[name] = data.fields.get(name)
    contact = data.fields.get("contact") or {}
    found |= {f"contact.{name}": value for name, value in contact.items()}
    return found | {f"properties.{name}": value for name, value in data.properties.items()}


def changed(before: Data, after: Data) -> set[str]:
    was, now, nothing = parts(before), parts(after), object()
    return {part for part in {*was, *now} if was.get(part, nothing) != now.get(part, nothing)}


def with_parts(data: Data, which: set[str], other: Data) -> Data:
    """Return *data* with some of its parts as they are in the *other*."""
    found = parts(data)
    for part in which:
        found.pop(part, None)
        if part in parts(other):
            found[part] = parts(other)[part]
    fields = {
        name: found[name]
        for name in ("owner", "company", "title", "source")
        if found[name] is not None
    }
    below = {
        slot: {
            part.removeprefix(f"{slot}."): value
            for part, value in found.items()
            if part.startswith(f"{slot}.")
        }
        for slot in ("contact", "properties")
    }
    fields["contact"] = below["contact"]
    cart = dict(zip(CART, found["cart"], strict=True))
    return Data(
        explicit_value=found["value"],
        currency=found["currency"],
        fields=fields,
        properties=below["properties"],
        **cart,
    )


def note(
    told: dict[str, Any], place: tuple[Any, ...], event: Event, before: Data, after: Data
) -> None:
    """Note what an event told: what it names, and what it took away. A line tells no whole cart."""
    found = event.data
    names = {part for part in changed(before, after) if part != "cart"}
    names |= {n for n in ("owner", "company", "title", "source", "value", "currency") if n in found}
    if found.get("cart", {}).get("currency"):
        names.add("currency")
    if told_lines(event) is not None or event.type == "cart.emptied":
        names.add("cart")
    contact, edited = found.get("contact") or {}, event.type == EDITED
    names |= {f"contact.{n}" for n, value in contact.items() if edited or value not in (None, "")}
    names |= {f"properties.{name}" for name in found.get("properties", {})}
    for name in names:
        told[name] = max(place, told.get(name, place))


def place_in_order(pipeline: Pipeline, event: Event) -> tuple[Any, ...]:
    """S9: the key that an event has by itself; events go before timers, those before hands."""
    rungs = [
        pipeline.stages.index(rule.into)
        for rule in pipeline.rules
        if isinstance(rule.trigger, OnEvents) and event.type in rule.trigger.types
    ]
    rules = [
        rule
        for rule in pipeline.rules
        if isinstance(rule.trigger, OnEvents) and event.type in rule.trigger.types
    ]
    if event.type == TOLD and event.data.get("stage"):
        rungs = [pipeline.stages.index(event.data["stage"])]
    rung = min(rungs, default=-1)
    if rules and all(leaves_only_closed(rule) for rule in rules):
        rung = len(pipeline.stages)
    phase = 2 if event.type in (HAND, OVERRIDE, EDITED) else 0
    return (event.at, phase, event.seq, rung, event.source, event.id)


def timers_place(at: dt.datetime) -> tuple[Any, ...]:
    return (at, 1, 0, 0, "", "")


def in_order(
    pipeline: Pipeline,
    events: list[Event],
    until: dt.datetime | None,
    baseline: Baseline | None = None,
) -> list[Event]:
    """S9: by (at, seq, rung, source, id), hands last within an instant.

    Each identity once: of copies the lowest seq, and of those the first by their data's text.
    What a baseline holds cannot be taken back.
    """

    highest_first = sorted(events, key=lambda event: (event.seq, event.data_text()), reverse=True)
    once = {(event.source, event.id): event for event in highest_first}
    told = sorted(once.values(), key=lambda event: place_in_order(pipeline, event))
    gone = taken_back(told) - (baseline.seen if baseline else set())
    return [
        event
        for event in told
        if event.type != WITHDRAW
        and (event.source, event.id) not in gone
        and (until is None or event.at <= until)
    ]


def taken_back(told: list[Event]) -> set[tuple[str, str]]:
    """S13: withdrawals are read from the last to the first; each names one event, at any time."""
    gone: set[tuple[str, str]] = set()
    read: set[tuple[str, str]] = set()
    for event in reversed(told):
        mine = (event.source, event.id)
        if event.type == WITHDRAW and mine not in gone:
            read.add(mine)
            named = (event.data["source"], event.data["id"])
            if named not in read:
                gone.add(named)
    return gone


def leaves_only_closed(rule: Rule) -> bool:
    """S9: such a rule's events come last within an instant."""
    if rule.opens or rule.out_of is None or rule.out_of is ANY:
        return False
    return all(stage.is_closed for stage in rule.out_of)


def goes_before(due: dt.datetime, event: Event) -> bool:
    """S9: at the same instant events go before timers, and timers before hands."""
    if event.type in (HAND, OVERRIDE, EDITED):
        return due <= event.at
    return due < event.at


def next_timer(pipeline: Pipeline, state: State) -> tuple[dt.datetime, Rule] | None:
    """S8: the next timer of this visit not yet tried, by due time, then rule order."""
    pending = []
    for rule in timers(pipeline, state):
        due = due_of(rule, state)
        if due is not None and rule.key not in state.blocked:
            if state.floor is not None and state.floor[0] == len(state.moves):
                due = not_due_before(rule, due, state.floor[1])
            pending.append((due, rule))
    return min(pending, key=lambda found: found[0], default=None)


def not_due_before(rule: Rule, due: dt.datetime, floor: dt.datetime) -> dt.datetime:
    """S15, and on a calendar still within its hours: at their next opening."""
    if due < floor and isinstance(rule.trigger, AfterOpen):
        just_before = floor - dt.timedelta.resolution
        calendar = rule.trigger.delay.calendar
        return floor if calendar.is_open(just_before) else calendar.opens_at(floor)
    return max(due, floor)


def timers(pipeline: Pipeline, state: State) -> list[Rule]:
    if state.stage is None:
        return []
    return [
        rule
        for rule in pipeline.rules
        if not isinstance(rule.trigger, OnEvents | ByHand) and may_leave(rule, state.stage)
    ]


def due_of(rule: Rule, state: State) -> dt.datetime | None:
    assert state.entered_at
    assert state.activity_at
    assert state.opened_at
    due = rule.trigger.due_at(  # type: ignore[union-attr]
        VisitTimes(state.entered_at, state.activity_at, state.opened_at)
    )
    if due is None:
        return None
    return max(due, state.entered_at)


def may_leave(rule: Rule, stage: Stage | None) -> bool:
    """S3 and S4; the opening ignores out_of."""
    if stage is None:
        return rule.opens
    if stage == rule.into:
        named = rule.out_of is ANY or (
            not stage.is_closed if rule.out_of is None else stage in rule.out_of
        )
        return rule.reenter and named
    if rule.out_of is ANY:
        return True
    if rule.out_of is None:
        return stage.status not in ("won", "lost")
    return stage in rule.out_of


def fire(pipeline: Pipeline, state: State, due: dt.datetime, rule: Rule) -> State:
    """S8: move, or note that the timer is blocked; at most once per instant."""
    state = attrs.evolve(state, tried_at=due)
    if (rule.key, due) not in state.fired and lets_through(pipeline, rule, state, None):
        return enter(fired(state, rule, due), rule.into, due, rule.key, None)
    return attrs.evolve(state, blocked=state.blocked | {rule.key})


def fired(state: State, rule: Rule, at: dt.datetime) -> State:
    return attrs.evolve(state, fired=state.fired | {(rule.key, at)})


def apply(pipeline: Pipeline, before: State, event: Event, is_silent: bool = False) -> State:
    """S2, S13, S17: data first, then the first rule that matches, then blocked timers."""
    state = attrs.evolve(before, data=taken_in(before.data, event), last_event_at=event.at)
    after = decide(pipeline, state, event)
    was_closed = before.stage is not None and before.stage.is_closed
    if was_closed and not may_say_so(before, after or state, event):
        part = "cart" if told_lines(event) is not None else "value"
        kept = attrs.evolve(state.data, **before.data.money)
        kept = attrs.evolve(kept, unread=(*kept.unread, (part, event.id)))
        state = attrs.evolve(state, data=kept)
        after = after and attrs.evolve(after, data=kept)
    if after is None:
        if is_active(pipeline, event):
            state = attrs.evolve(state, activity_at=event.at)
        after = state if is_silent else retried(pipeline, state, event.at)
    still_closed = was_closed and after.stage is not None and after.stage.is_closed
    if still_closed and not is_correction(event):
        after = attrs.evolve(after, data=attrs.evolve(after.data, **before.data.money))
    return after


def is_active(pipeline: Pipeline, event: Event) -> bool:
    """S13: an edit is no activity; ``activity`` says which types are."""
    named = pipeline.activity
    known = named is None or event.type in (*named, HAND, OVERRIDE)
    return event.type not in (EDITED, TOLD) and known


def is_correction(event: Event) -> bool:
    return event.type.startswith("order.") or event.type in (EDITED, TOLD)


def may_say_so(before: State, after: State, event: Event) -> bool:
    """S17: on a closed deal, an order in another currency is unread; not if it wins or opens it."""
    assert before.stage is not None
    assert after.stage is not None
    if not is_correction(event) or event.type in (EDITED, TOLD) or not after.stage.is_closed:
        return True
    wins = after.stage.status == "won" and before.stage.status != "won"
    return wins or before.data.currency in (None, after.data.currency)


def decide(pipeline: Pipeline, state: State, event: Event) -> State | None:
    """Return the state after the move that *event* makes, None when it makes none."""
    if event.type == OVERRIDE:
        into = pipeline.stage(event.data["into"])
        return enter(state, into, event.at, OVERRIDE, event)
    for rule in rules_for(pipeline, state, event):
        if event.type == TOLD:
            return enter(state, rule.into, event.at, TOLD, event)
        if lets_through(pipeline, rule, state, event):
            return enter(state, rule.into, event.at, rule.key, event)
    return None


def retried(pipeline: Pipeline, state: State, at: dt.datetime) -> State:
    """S8: activity timers are rearmed; then the blocked ones are tried again."""
    rules = timers(pipeline, state)
    dues = {rule.key: due_of(rule, state) for rule in rules}
    still = {
        key for key, due in dues.items() if key in state.blocked and due is not None and due <= at
    }
    state = attrs.evolve(state, blocked=frozenset(still))
    for rule in rules:
        again = rule.key in still and (rule.key, at) not in state.fired
        if again and lets_through(pipeline, rule, state, None):
            return enter(fired(state, rule, at), rule.into, at, rule.key, None)
    return state


def lets_through(pipeline: Pipeline, rule: Rule, state: State, event: Event | None) -> bool:
    deal = as_deal(pipeline, state)
    if rule.when is not None and not rule.when.holds(deal, event):
        return False
    for name in rule.into.requires:
        filled = deal.properties.get(name) not in (None, "", [], {})
        if name == "value":
            filled = filled or deal.value not in (None, 0)
        elif name in ("owner", "contact", "company", "title", "source", "currency"):
            filled = filled or getattr(deal, name) not in (None, "", [], {})
        if not filled:
            return False
    return True


def enter(
    state: State, into: Stage, at: dt.datetime, rule: str | None, event: Event | None
) -> State:
    """A new visit: a full move out and in, timers restarted."""
    n = len(state.moves) + 1
    move = (state.deal, n, state.stage, into, at, None, rule, event)
    fields = state.data.fields
    if state.stage is None and fields.get("title") is None:
        fields = {**fields, "title": title_of(state)}
    won_again = state.stage is not None and state.stage.status == into.status == "won"
    closed_at = at if into.is_closed else None
    lost_from = None
    if into.status == "lost":
        lost_again = state.stage is not None and state.stage.status == "lost"
        lost_from = state.lost_from if lost_again else state.stage
    return attrs.evolve(
        state,
        stage=into,
        moves=(*state.moves, move),
        entered_at=at,
        activity_at=at,
        opened_at=state.opened_at or at,
        closed_at=state.closed_at if won_again else closed_at,
        lost_from=lost_from,
        blocked=frozenset(),
        data=attrs.evolve(state.data, fields=fields),
    )


def reduced(data: Data, event: Event) -> Data:
    """Return the data after an event: first the cart, then the amounts, then the other fields."""
    data = with_amounts(with_cart(data, event), event)
    fields = dict(data.fields)
    for name in ("owner", "company", "title", "source"):
        if name in event.data:
            fields[name] = event.data[name] or None
    told = event.data.get("contact")
    if told is not None:
        fields["contact"] = merged(fields.get("contact") or {}, told, event.type == "deal.edited")
    properties = {**data.properties, **event.data.get("properties", {})}
    return attrs.evolve(data, fields=fields, properties=properties)


def merged(known: dict[str, Any], told: dict[str, Any], corrects: bool) -> dict[str, Any]:
    """S17: field by field; another id, or without one another e-mail, is another person."""
    news = {name: part for name, part in told.items() if part not in (None, "")}
    if corrects:
        kept = {name: part for name, part in known.items() if name not in told}
        return {**kept, **news}
    ids = [name for name in ("id", "customer_id") if name in known and name in news]
    if ids:
        is_same = all(str(known[name]) == str(news[name]) for name in ids)
    else:
        mails = [str(each["email"]).strip().lower() for each in (known, news) if "email" in each]
        is_same = len(set(mails)) < 2
    return {**known, **news} if is_same else news


def rounded(value: Any) -> Decimal:
    """S17: half to even at the tenth place."""
    return Decimal(str(value)).quantize(Decimal("1e-10"), ROUND_HALF_EVEN)


def read(told: Any) -> tuple[Line, str | None] | None:
    """Return a line as it was told, a quantity of −1 for none, with its currency; None: unread."""
    if not isinstance(told, Mapping):
        return None
    for name in ("sku", "variant_id", "key", "id", "title"):
        what = told.get(name)
        if isinstance(what, int | float) and not isinstance(what, bool):
            what = str(what)
        if isinstance(what, str) and what.strip():
            break
    else:
        return None
    try:
        quantity = None if told.get("quantity") is None else rounded(told["quantity"])
        price = None if told.get("unit_price") in (None, "") else rounded(told["unit_price"])
    except ArithmeticError:
        return None
    if quantity is not None and quantity < 0:
        return None
    title = told.get("title") or None
    sku = what if name == "sku" else None
    quantity = Decimal(-1) if quantity is None else quantity
    line = Line(f"{name}:{what}", sku, quantity, title, price)
    return line, told.get("currency") or None


def told_lines(event: Event) -> list[Any] | None:
    """Return the lines of a whole cart, if this event tells one."""
    cart = event.data.get("cart")
    lines = cart.get("lines") if isinstance(cart, Mapping) else None
    if event.type == "cart.updated" or (event.type == "order.edited" and lines is not None):
        return lines
    is_bought = event.type.startswith("order.") or event.type in (EDITED, TOLD)
    return lines if is_bought and lines else None


def with_cart(data: Data, event: Event) -> Data:
    lines = told_lines(event)
    if lines is not None:
        return whole_cart(data, event, lines)
    if event.type == "cart.emptied":
        return whole_cart(data, event, [])
    if event.type == "cart.item_added":
        return added(data, event)
    if event.type == "cart.item_removed":
        return removed(data, event)
    is_order = event.type.startswith("order.")
    if is_order and event.type not in ("order.cancelled", "order.edited", "order.refunded"):
        return given_back(data, event)
    return data


def whole_cart(data: Data, event: Event, lines: list[Any]) -> Data:
    currency = (event.data.get("cart") or {}).get("currency")
    if event.type != "cart.emptied":
        currency = currency or event.data.get("currency")
    else:
        currency = None
    cart: list[Line] = []
    unread = []
    said = [found[1] for found in map(read, lines) if found is not None and found[1]]
    currency = currency or (said[0] if said else place_of(data))
    for n, told in enumerate(lines):
        found = read(told)
        if found is None or (found[1] and found[1] != currency):
            unread.append(("line", event.id))
            continue
        line = found[0]
        quantity = Decimal(1) if line.quantity < 0 else line.quantity
        same = [one for one in cart if (one.key, one.price) == (line.key, line.price)]
        if same and quantity:
            place = cart.index(same[0])
            title = line.title or same[0].title
            total = same[0].quantity + quantity
            cart[place] = attrs.evolve(same[0], quantity=total, title=title, told=n)
        elif quantity:
            cart.append(attrs.evolve(line, quantity=quantity, told=n))
    after = attrs.evolve(data, cart=tuple(cart), cart_currency=currency, unread=tuple(unread))
    after = attrs.evolve(after, cart_is_told=bool(cart) or not unread)
    return told_of_cart(data, after, event, is_removal=not cart and not unread)


def place_of(data: Data) -> str | None:
    """The currency in which something is told of the cart that names none."""
    return data.cart_currency if data.cart else data.currency or data.cart_currency


def told_of_cart(before: Data, after: Data, event: Event, is_removal: bool) -> Data:
    """Note the telling; if the cart is another one now, an explicit value does not stand."""
    telling = Telling(event.at, is_removal, before.worth, len(after.cart))
    if before.cart or after.cart or not is_removal:
        after = attrs.evolve(after, tellings=(*before.tellings, telling))
    relabelled = None not in (before.cart_currency, after.cart_currency) and (
        before.cart_currency != after.cart_currency
    )
    is_other = contents(before) != contents(after) or (relabelled and bool(before.cart))
    if is_other:
        after = attrs.evolve(after, explicit_value=None)
    if after.cart_currency and (after.explicit_value is None or after.currency is None):
        after = attrs.evolve(after, currency=after.cart_currency)
    return after


def contents(data: Data) -> set[tuple[str, Decimal | None, Decimal]]:
    return {(line.key, line.price, line.quantity) for line in data.cart}


def added(data: Data, event: Event) -> Data:
    found = read(event.data["line"])
    held = place_of(data)
    if found is not None:
        currency = found[1] or event.data.get("currency") or held
        holds_amounts = bool(data.cart) or data.explicit_value is not None
        if holds_amounts and held is not None and currency != held:
            found = None
    if found is None:
        return attrs.evolve(data, unread=(*data.unread, ("line", event.id)))
    line = found[0]
    quantity = Decimal(1) if line.quantity < 0 else line.quantity
    mine = sorted((one for one in data.cart if one.key == line.key), key=lambda one: one.told)
    latest = 1 + max((one.told for one in data.cart), default=0)
    if not mine:
        if not quantity:
            return data
        cart = [*data.cart, attrs.evolve(line, quantity=quantity, told=latest)]
    else:
        same = [one for one in mine if line.price is not None and one.price == line.price]
        old = same[0] if same else mine[-1]
        new = attrs.evolve(
            old,
            quantity=old.quantity + quantity,
            title=line.title or old.title,
            price=old.price if line.price is None else line.price,
            told=latest,
        )
        cart = [new if one is old else one for one in data.cart]
    after = attrs.evolve(data, cart=tuple(cart), cart_is_told=True)
    if contents(after) == contents(data):
        return after
    after = attrs.evolve(after, cart_currency=currency)
    return told_of_cart(data, after, event, is_removal=False)


def removed(data: Data, event: Event) -> Data:
    found = read(event.data["line"])
    if found is None:
        return attrs.evolve(data, unread=(*data.unread, ("line", event.id)))
    line = found[0]
    mine = sorted((one for one in data.cart if one.key == line.key), key=lambda one: -one.told)
    if not mine or not line.quantity:
        return data
    left = mine[0].quantity if line.quantity < 0 else line.quantity
    cart = []
    taken = {}
    for one in mine:
        taken[one] = min(one.quantity, left)
        left -= taken[one]
    for one in data.cart:
        rest = one.quantity - taken.get(one, 0)
        if rest:
            cart.append(attrs.evolve(one, quantity=rest))
    return told_of_cart(data, attrs.evolve(data, cart=tuple(cart)), event, is_removal=True)


def given_back(data: Data, event: Event) -> Data:
    """S17: an order without lines is for the cart before the removals that emptied it."""
    if data.cart or not data.tellings or not data.tellings[-1].is_removal:
        return data
    shortly = dt.timedelta(minutes=15)
    if event.at - data.tellings[-1].at >= shortly:
        return data
    removals: list[Telling] = []
    for telling in data.tellings:
        if not telling.is_removal:
            removals = []
        elif not removals or telling.at - removals[0].at >= shortly:
            removals = [telling]
        else:
            removals.append(telling)
    cart, cart_currency, explicit, currency = removals[0].before
    after = attrs.evolve(data, cart=cart, cart_currency=cart_currency, tellings=())
    if data.explicit_value is None:
        after = attrs.evolve(after, explicit_value=explicit, currency=currency)
    return after


def with_amounts(data: Data, event: Event) -> Data:
    found, kind = event.data, event.type
    if kind == "order.refunded":
        data = refunded(data, event)
    currency = found.get("currency") or None
    corrects = kind.startswith("order.") or kind in (EDITED, TOLD)
    is_whole = told_lines(event) is not None
    holds_amounts = bool(data.cart) or data.explicit_value is not None
    is_other = currency is not None and data.currency not in (None, currency)
    if found.get("value") is not None:
        if currency is None and is_whole:
            currency = data.cart_currency
        if is_other and holds_amounts and not corrects and not is_whole:
            return attrs.evolve(data, unread=(*data.unread, ("value", event.id)))
        return attrs.evolve(
            data,
            explicit_value=rounded(found["value"]),
            currency=currency or data.currency,
            cart_currency=data.cart_currency or currency,
            unread=tuple(part for part in data.unread if part[0] == "line"),
        )
    if "value" in found and kind != "order.refunded":
        data = attrs.evolve(data, explicit_value=None)
        if data.cart_currency:
            data = attrs.evolve(data, currency=data.cart_currency)
    if currency is None or is_whole or kind == "cart.item_added":
        return data
    if kind == "order.refunded" and found.get("refunded") is not None:
        return data
    if kind == "deal.edited":
        both = data.cart_currency == data.currency
        return attrs.evolve(
            data, currency=currency, cart_currency=currency if both else data.cart_currency
        )
    holds_amounts = bool(data.cart) or data.explicit_value is not None
    if data.currency not in (None, currency) and holds_amounts:
        return attrs.evolve(data, unread=(*data.unread, ("currency", event.id)))
    own = data.cart_currency if data.cart and data.cart_currency else currency
    return attrs.evolve(data, currency=currency, cart_currency=own)


def refunded(data: Data, event: Event) -> Data:
    back, left = event.data.get("refunded"), event.data.get("value")
    if back is None:
        return attrs.evolve(data, explicit_value=Decimal()) if left is None else data
    currency = event.data.get("currency") or data.currency
    if rounded(back) < 0 or data.currency not in (None, currency):
        return attrs.evolve(data, unread=(*data.unread, ("refunded", event.id)))
    if data.value is None:
        return attrs.evolve(data, currency=currency)
    rest = max(data.value - rounded(back), Decimal())
    return attrs.evolve(data, explicit_value=rest, currency=currency)


def title_of(state: State) -> str:
    """The first thing in the cart and how many more, or who is buying."""
    cart, fields = state.data.cart, state.data.fields
    if cart:
        first = cart[0].title or cart[0].key.partition(":")[2]
        return first if len(cart) == 1 else f"{first} + {len(cart) - 1}"
    company = fields.get("company")
    name = company.get("name") if isinstance(company, dict) else company
    return name or (fields.get("contact") or {}).get("name") or state.deal


def as_deal(pipeline: Pipeline, state: State) -> Deal:
    """Return the deal that readers get."""
    fields = state.data.fields
    lines = tuple(
        CartLine(line.sku, line.quantity, line.title, line.price, line.key)
        for line in state.data.cart
    )
    due = next_timer(pipeline, state)
    stand_in = state.last_event_at
    assert stand_in is not None
    return Deal(
        id=state.deal,
        pipeline=pipeline.name,
        title=fields.get("title") or title_of(state),
        stage=state.stage or Stage("not_yet_opened"),
        entered_at=state.entered_at or stand_in,
        opened_at=state.opened_at or stand_in,
        closed_at=state.closed_at,
        visit=len(state.moves),
        value=state.data.value,
        currency=state.data.currency,
        cart=Cart(lines, state.data.cart_currency),
        owner=fields.get("owner"),
        contact=fields.get("contact") or {},
        company=fields.get("company"),
        source=fields.get("source"),
        properties=state.data.properties,
        lost_from=state.lost_from,
        due_at=due[0] if due else None,
        last_event_at=stand_in,
    )

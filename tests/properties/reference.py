"""The fold once more, naively: written from sections S2 to S10, S13 and S17 of the design.

Slow, plain and independent of ``fold.py``: nothing is updated in place, the next thing to happen
is looked for anew each time, and rules are read from the definition, not from the machine.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import attrs

from ladderpipe import ANY, Cart, CartLine, Deal, Event, Pipeline, Rule, Stage, VisitTimes
from ladderpipe.ladder.rules import ByHand, OnEvents

HAND, OVERRIDE, EDITED = "ladder.by_hand", "ladder.override", "deal.edited"
WITHDRAW = "ladder.withdraw"


@attrs.frozen
class Data:
    """What events say about a deal."""

    cart: tuple[CartLine, ...] = ()
    explicit_value: Decimal | None = None
    fields: dict[str, Any] = attrs.field(factory=dict)
    properties: dict[str, Any] = attrs.field(factory=dict)

    @property
    def value(self) -> Decimal:
        if self.explicit_value is not None:
            return self.explicit_value
        prices = [line.quantity * (line.unit_price or 0) for line in self.cart]
        return sum(prices, Decimal())


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


def fold(pipeline: Pipeline, events: list[Event], until: dt.datetime | None = None) -> State | None:
    """Return the state after *events*, up to *until*; None when nothing opened the deal."""
    waiting = in_order(pipeline, events, until)
    state = State(events[0].deal if events else "")
    while True:
        timer = next_timer(pipeline, state)
        event = waiting[0] if waiting else None
        if event is None:
            if timer is None or until is None or timer[0] > until:
                break
            state = fire(pipeline, state, *timer)
        elif timer is not None and goes_before(timer[0], event):
            state = fire(pipeline, state, *timer)
        else:
            waiting = waiting[1:]
            state = apply(pipeline, state, event)
    return state if state.stage is not None else None


def in_order(pipeline: Pipeline, events: list[Event], until: dt.datetime | None) -> list[Event]:
    """S9: by (at, seq, rung, source, id), hands last within an instant.

    Each identity once: of copies the lowest seq, and of those the first by their data's text.
    """

    def rung(event: Event) -> int:
        into = [
            pipeline.stages.index(rule.into)
            for rule in pipeline.rules
            if isinstance(rule.trigger, OnEvents) and event.type in rule.trigger.types
        ]
        return min(into, default=-1)

    def key(event: Event) -> tuple[Any, ...]:
        is_hand = event.type in (HAND, OVERRIDE, EDITED)
        return (event.at, is_hand, event.seq, rung(event), event.source, event.id)

    highest_first = sorted(events, key=lambda event: (event.seq, event.data_text()), reverse=True)
    once = {(event.source, event.id): event for event in highest_first}
    told = sorted(once.values(), key=key)
    gone = taken_back(told)
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
            pending.append((due, rule))
    return min(pending, key=lambda found: found[0], default=None)


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
    return None if due is None else max(due, state.entered_at)


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
    if (rule.key, due) not in state.fired and lets_through(pipeline, rule, state, None):
        return enter(fired(state, rule, due), rule.into, due, rule.key, None)
    return attrs.evolve(state, blocked=state.blocked | {rule.key})


def fired(state: State, rule: Rule, at: dt.datetime) -> State:
    return attrs.evolve(state, fired=state.fired | {(rule.key, at)})


def apply(pipeline: Pipeline, before: State, event: Event) -> State:
    """S2, S13, S17: data first, then the first rule that matches, then blocked timers."""
    if event.type in (HAND, OVERRIDE):
        properties = {**before.data.properties, **event.data.get("properties", {})}
        data = attrs.evolve(before.data, properties=properties)
    else:
        data = reduced(before.data, event)
    state = attrs.evolve(before, data=data, last_event_at=event.at)
    after = decide(pipeline, state, event)
    if after is None:
        active = pipeline.activity is None or event.type in (*pipeline.activity, HAND, OVERRIDE)
        if event.type != EDITED and active:
            state = attrs.evolve(state, activity_at=event.at)
        after = retried(pipeline, state, event.at)
    was_closed = event.type != EDITED and before.stage is not None and before.stage.is_closed
    if was_closed and after.stage is not None and after.stage.is_closed:
        fields = {**after.data.fields, "currency": before.data.fields.get("currency")}
        kept = {"cart": before.data.cart, "explicit_value": before.data.explicit_value}
        after = attrs.evolve(after, data=attrs.evolve(after.data, fields=fields, **kept))
    return after


def decide(pipeline: Pipeline, state: State, event: Event) -> State | None:
    """Return the state after the move that *event* makes, None when it makes none."""
    if event.type == OVERRIDE:
        into = pipeline.stage(event.data["into"])
        return enter(state, into, event.at, OVERRIDE, event)
    for rule in pipeline.rules:
        if event.type == HAND:
            meant = isinstance(rule.trigger, ByHand) and rule.into == event.data["into"]
        else:
            meant = isinstance(rule.trigger, OnEvents) and event.type in rule.trigger.types
        if meant and may_leave(rule, state.stage) and lets_through(pipeline, rule, state, event):
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
            filled = filled or deal.value != 0
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
    """Return the data after an event, as the list of standard events in section 3 has it."""
    found = event.data
    lines = {line.sku: line for line in data.cart}
    if event.type == "cart.emptied":
        lines = {}
    elif event.type == "cart.updated":
        read = [(one, one.get("quantity", 1)) for one in found["cart"]["lines"]]
        lines = {one["sku"]: line(one, quantity, None) for one, quantity in read}
    elif event.type == "cart.item_added":
        told = found["line"]
        known = lines.get(told["sku"])
        quantity = Decimal(str(told.get("quantity", 1))) + (known.quantity if known else 0)
        lines = {**lines, told["sku"]: line(told, quantity, known)}
    elif event.type == "cart.item_removed":
        told = found["line"]
        known = lines.get(told["sku"])
        if known is not None:
            taken = Decimal(str(told.get("quantity", known.quantity)))
            rest = attrs.evolve(known, quantity=known.quantity - taken)
            lines = {**lines, told["sku"]: rest}
    fields = dict(data.fields)
    currency = found.get("cart", {}).get("currency") or found.get("currency")
    if currency is not None:
        fields["currency"] = currency
    for name in ("owner", "contact", "company", "title", "source"):
        if name in found:
            fields[name] = found[name]
    if event.type == EDITED and found.get("contact"):
        merged = {**(data.fields.get("contact") or {}), **found["contact"]}
        fields["contact"] = {name: told for name, told in merged.items() if told is not None}
    explicit = data.explicit_value
    if "value" in found:
        explicit = None if found["value"] is None else Decimal(found["value"])
    return Data(
        cart=tuple(one for one in lines.values() if one.quantity > 0),
        explicit_value=explicit,
        fields=fields,
        properties={**data.properties, **found.get("properties", {})},
    )


def line(told: dict[str, Any], quantity: Any, known: CartLine | None) -> CartLine:
    price = told.get("unit_price")
    return CartLine(
        told["sku"],
        Decimal(str(quantity)),
        told.get("title") or (known.title if known else None),
        Decimal(str(price)) if price is not None else (known.unit_price if known else None),
    )


def title_of(state: State) -> str:
    """The first thing in the cart and how many more, or who is buying."""
    cart, fields = state.data.cart, state.data.fields
    if cart:
        first = cart[0].title or cart[0].sku
        return first if len(cart) == 1 else f"{first} + {len(cart) - 1}"
    company = fields.get("company")
    name = company.get("name") if isinstance(company, dict) else company
    return name or (fields.get("contact") or {}).get("name") or state.deal


def as_deal(pipeline: Pipeline, state: State) -> Deal:
    """Return the deal that readers get."""
    fields = state.data.fields
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
        currency=fields.get("currency"),
        cart=Cart(state.data.cart),
        owner=fields.get("owner"),
        contact=fields.get("contact") or {},
        company=fields.get("company"),
        source=fields.get("source"),
        properties=state.data.properties,
        lost_from=state.lost_from,
        due_at=due[0] if due else None,
        last_event_at=stand_in,
    )

"""Asking a pipeline's send policy about one effect, in the transaction that claims it.

The keys of the effect's customer are locked first. Whoever writes what the policy looks at (a deal
that enters a closed stage, keys, a subscription) locks them, too, before it commits: so what is
read here is all that was committed, and nothing of it can change before the claim is.
"""

from __future__ import annotations

import datetime as dt
import functools
import json
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Final, Literal

import attrs

from ..fold.order import in_order
from ..fold.withdrawals import standing
from ..ladder.policy import Bought, InConversation, Policy, next_time, zone_of
from ..model.clock import SystemClock
from ..model.customer import hashed
from ..model.event import (
    BY_HAND,
    EDITED,
    OVERRIDE,
    PHASE_HAND,
    WITHDRAW,
    Event,
    is_quiet_hand,
)
from ..stores.base import CROWD, CustomerDeal, EffectRow, StoredDeal, Subscription
from .held_against import held_against
from .session import Session
from .unit import Unit

if TYPE_CHECKING:
    from ..model.deal import Deal

__all__ = ["Answer", "ask", "is_unsubscribed"]

NONE: Final = Policy()
LOOK_AGAIN: Final = dt.timedelta(minutes=10)
HELD_OUT: Final = "held out, to measure what the others are worth"
_ALL_OF_IT: Final = 2**64


@attrs.frozen
class Answer:
    """What a policy says of an effect.

    Attributes:
        what: ``busy`` when somebody else is at the same customer, and it has to be asked again.
        at: the time that it was decided by, the store's own.
        until: when a delayed one is asked about again.
        counts: whether a dropped one counts for caps as if it had been sent.
    """

    what: Literal["send", "delay", "drop", "busy"]
    at: dt.datetime
    because: str = ""
    until: dt.datetime | None = None
    counts: bool = False


@attrs.frozen
class _Asked:
    """One effect, and what is known of its customer."""

    session: Session
    unit: Unit
    policy: Policy
    row: EffectRow
    deal: Deal
    stored: StoredDeal
    address: str
    keys: Sequence[str]
    now: dt.datetime


def ask(
    session: Session,
    unit: Unit,
    row: EffectRow,
    deal: Deal,
    stored: StoredDeal,
    key: str,
    keys: Sequence[str],
) -> Answer:
    """Ask the pipeline's policy about a marketing effect for an address.

    Args:
        key: the address as a key.
        keys: those of the deal's customer.
    """
    now = _store_time(session, unit)
    policy = session.pipeline.send or NONE
    if not unit.transaction.lock_customers(sorted({*keys, key}), wait=False):
        return Answer("busy", now)
    address = hashed(session.secret, key)
    asked = _Asked(session, unit, policy, row, deal, stored, address, keys, now)
    deals = _deals(asked)
    stopped = _why_stopped(asked, deals)
    if stopped is not None:
        return Answer("drop", now, stopped)
    held = held_against(unit.transaction, session.pipeline.ladder, unit.number, deals, keys)
    if held is not None:
        return _wait(asked, f"event {held.id!r} ({held.type}) is held and may speak against it")
    answer = _capped(asked)
    if answer is not None:
        return answer
    if policy.holdout and _is_held_out(asked):
        return Answer("drop", now, HELD_OUT, counts=True)
    return Answer("send", now)


def _wait(asked: _Asked, because: str) -> Answer:
    """Look again after a while: whoever releases or discards the event need not know of this."""
    until = asked.now + LOOK_AGAIN
    expires_at = asked.row.expires_at
    if expires_at is not None and until > expires_at > asked.now:
        until = expires_at
    return Answer("delay", asked.now, because, until)


def _store_time(session: Session, unit: Unit) -> dt.datetime:
    """Return the time of the clock that all who share the store have in common."""
    if isinstance(session.clock, SystemClock):
        return unit.transaction.database_now() or unit.now
    return unit.now


# -- stopping -----------------------------------------------------------------------------------


def _why_stopped(asked: _Asked, deals: Sequence[CustomerDeal]) -> str | None:
    for condition in asked.policy.stop_when:
        if isinstance(condition, Bought):
            why = _bought(asked, condition, deals)
        elif isinstance(condition, InConversation):
            why = _in_conversation(asked, deals)
        else:
            is_out = is_unsubscribed(asked.unit.transaction.last_subscription(asked.address))
            why = "unsubscribed" if is_out else None
        if why is not None:
            return why
    return None


def _deals(asked: _Asked) -> list[CustomerDeal]:
    """Return the deals of the customer, the effect's own first; a crowd's key is nobody's."""
    stored = asked.stored
    own = CustomerDeal(
        "", asked.unit.number, stored.id, stored.deal, stored.stage, stored.closed_at
    )
    if asked.policy.over == "deal" or not asked.keys:
        return [own]
    found = asked.unit.transaction.deals_of_customer(asked.keys, CROWD + 1)
    held = Counter(deal.key for deal in found)
    others = {deal.id: deal for deal in found if held[deal.key] <= CROWD and deal.id != own.id}
    return [own, *others.values()]


def _bought(asked: _Asked, condition: Bought, deals: Sequence[CustomerDeal]) -> str | None:
    since = _active_at(asked.unit, asked.stored)
    won = _won_stages(asked.unit, condition.pipelines or (asked.session.pipeline.name,))
    for deal in deals:
        if (deal.pipeline, deal.stage) not in won or deal.closed_at is None:
            continue
        if since is not None and deal.closed_at < since:
            continue
        # What a purchase itself asks for, such as how the customer likes it, is not stopped by it.
        if deal.id == asked.stored.id and asked.row.visit_key == asked.stored.visit_key:
            continue
        return f"bought with {deal.deal!r}"
    return None


def _active_at(unit: Unit, stored: StoredDeal) -> dt.datetime | None:
    """Return the deal's last sign of life; a correction by hand, such as another owner, is none."""
    ladder = unit.pipeline.ladder
    if ladder.activity is None and stored.cursor_phase != PHASE_HAND:
        return stored.last_event_at
    told = in_order(ladder, (event for event, _ in unit.transaction.events(stored.id)))
    active = [event.at for event in standing(told).events if ladder.is_activity(event.type)]
    return active[-1] if active else stored.last_event_at


def _won_stages(unit: Unit, names: Collection[str]) -> set[tuple[int, str]]:
    return {
        (row.id, stage)
        for row in unit.transaction.pipelines()
        if row.name in names
        for stage in _won_in(row.definition)
    }


@functools.lru_cache(maxsize=64)
def _won_in(definition: str) -> tuple[str, ...]:
    stages = json.loads(definition)["fold"]["stages"]
    return tuple(stage["key"] for stage in stages if stage["status"] == "won")


def _in_conversation(asked: _Asked, deals: Sequence[CustomerDeal]) -> str | None:
    since = _began(asked)
    if since is None:
        return None
    names = {deal.id: deal.deal for deal in deals}
    types = (BY_HAND, OVERRIDE, EDITED, WITHDRAW)
    hands = asked.unit.transaction.hands_since(sorted(names), since, types)
    withdrawn = {
        (deal_id, event.data.get("source"), event.data.get("id"))
        for deal_id, event in hands
        if event.type == WITHDRAW
    }
    for deal_id, event in hands:
        # The hand that began the visit is what asked for the effect, and nobody's conversation.
        is_cause = deal_id == asked.stored.id and event.at <= since
        is_back = (deal_id, event.source, event.id) in withdrawn
        if _is_talk(event) and not is_cause and not is_back:
            return f"in conversation: by hand on {names[deal_id]!r}"
    return None


def _began(asked: _Asked) -> dt.datetime | None:
    """Return when the visit that the effect belongs to began."""
    if asked.row.visit_key == asked.stored.visit_key:
        return asked.stored.entered_at
    moves = asked.unit.transaction.moves(asked.stored.id)
    return next((move.at for move in moves if move.visit_key == asked.row.visit_key), None)


def _is_talk(event: Event) -> bool:
    if event.type in (BY_HAND, OVERRIDE):
        return not is_quiet_hand(event)
    return event.type == EDITED and bool(event.data.get("note")) and not event.data.get("quiet")


def is_unsubscribed(last: Subscription | None) -> bool:
    """Return whether the last thing that was said of an address is that it is not wanted."""
    return last is not None and not last.wanted


# -- caps, quiet hours, holdout -----------------------------------------------------------------


def _capped(asked: _Asked) -> Answer | None:
    """Return what caps and quiet hours say; ``None`` if it may go out now."""
    policy, row, now = asked.policy, asked.row, asked.now
    zone = zone_of(policy, asked.deal.contact, asked.session.pipeline.zone)
    until, because = next_time(policy, list(_sent(asked)), now, zone)
    is_delayed = until > now or row.delayed_until is not None
    if is_delayed and asked.unit.transaction.newer_effect(
        asked.address, row.name, row.due_at, row.key
    ):
        return Answer("drop", now, "a newer one goes to the same address")
    if until <= now:
        return None
    is_beyond = policy.beyond == "drop" and any(
        cap.next_time(list(_sent(asked)), now) > now for cap in policy.caps
    )
    if is_beyond:
        return Answer("drop", now, because)
    return Answer("delay", now, because, until)


def _sent(asked: _Asked) -> Iterator[dt.datetime]:
    caps = asked.policy.caps
    if not caps:
        return
    since = asked.now - max(cap.span for cap in caps)
    most = max(cap.n for cap in caps)
    deal_id = asked.stored.id if asked.policy.over == "deal" else None
    yield from asked.unit.transaction.sent_to(asked.address, since, asked.row.key, deal_id, most)


def _is_held_out(asked: _Asked) -> bool:
    """Return whether the customer gets nothing, noting it for each key once it is decided."""
    secret = asked.session.secret
    keys = sorted(hashed(secret, key) for key in asked.keys) or [asked.address]
    known = asked.unit.transaction.arms(keys)
    if known:
        arm = min(known.values(), key=lambda found: (found[1], found[0]))[0]
    else:
        drawn = int.from_bytes(bytes.fromhex(hashed(secret, f"arm {keys[0]}"))[:8], "big")
        arm = "held_out" if drawn < asked.policy.holdout * _ALL_OF_IT else "sent"
    asked.unit.transaction.note_arm(keys, arm, asked.now)
    return arm == "held_out"

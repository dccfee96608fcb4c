"""Taking the lease on an effect: only once its deal is up to date and nothing speaks against it."""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias, cast

import attrs

from ..model.customer import HASHED, Channel, address_key, address_of, hashed
from ..model.deal import Deal
from ..model.delivery import EffectState
from ..model.effect import Delivery, SendDecision, decisions_of, decisions_text
from ..stores.base import EffectRow, StoredDeal
from .ask import Answer, ask
from .customers import keys_of
from .session import Session
from .sweep import sweep
from .unit import Unit

__all__ = ["Claim", "bring_up_to_date", "claim", "is_ready", "why_not"]

_NEVER_SETTLED: Final = (
    "the lease of the last try ended, and nothing was heard of it: the worker died or hung"
)
_TOO_LATE: Final = "it would be delayed until after it expires"
_NO_ADDRESS: Final = "the customer's address is not known yet"


Delayed: TypeAlias = Literal["delayed"]
DELAYED: Final = "delayed"
"""What became of an effect that is put off on purpose, which is no failure."""


@attrs.frozen
class Claim:
    """A lease on an effect.

    Attributes:
        decided: what was decided about sending it before this claim.
    """

    delivery: Delivery
    lease: str
    expires_at: dt.datetime | None = None
    decided: tuple[SendDecision, ...] = ()


@attrs.frozen
class Standing:
    """A deal at the moment of a claim; gone deals stand nowhere and have no record."""

    deal: Deal
    stored: StoredDeal

    @property
    def visit_key(self) -> str | None:
        """Key of the current visit."""
        return self.stored.visit_key


def claim(
    session: Session, unit: Unit, seen: EffectRow, may_sweep: bool = True
) -> Claim | EffectState | Delayed | None:
    """Take the lease on an effect, after firing its deal's timers; unless it is not to be sent."""
    row, deal = bring_up_to_date(unit, seen, True, may_sweep)
    if row is None or not is_ready(row, unit.now):
        return None
    ended = why_not(unit, row, deal)
    if ended is not None:
        unit.transaction.settle_effect(row.key, ended.value)
        return ended
    if row.state == EffectState.CLAIMED and row.attempts >= session.backoff.tries:
        unit.transaction.settle_effect(row.key, EffectState.DEAD.value, error=_NEVER_SETTLED)
        return EffectState.DEAD
    assert deal is not None
    payload = json.loads(row.payload)
    if row.purpose is None:
        return _lease(session, unit, row, deal, payload)
    return _for_customer(session, unit, row, deal, payload)


def _for_customer(
    session: Session, unit: Unit, row: EffectRow, deal: Standing, payload: Mapping[str, Any]
) -> Claim | EffectState | Delayed | None:
    """Claim an effect that speaks to the deal's customer, whose address is read now."""
    channel = cast(Channel, row.channel)
    address = address_of(deal.deal.contact, channel)
    key = address_key(channel, address)
    if key is None:
        if payload.get("to") is None:
            # A handler of one's own may know where to send it without any address.
            return _lease(session, unit, row, deal, payload)
        decision = SendDecision(at=unit.now, outcome="waiting", because=_NO_ADDRESS)
        state = EffectState.WAITING
        unit.transaction.decide_effect(row.key, state.value, decided(row, decision))
        return state
    of_address = hashed(session.secret, key)
    sent_at = unit.now
    if row.purpose == "marketing" and (session.pipeline.send or session.has_held):
        keys = keys_of(deal.stored.customer)
        answer = ask(session, unit, row, deal.deal, deal.stored, key, keys)
        if answer.what == "busy":
            return None
        if answer.what != "send":
            return _not_now(unit, row, answer, of_address)
        sent_at = answer.at
    if payload.get("to") is not None:
        payload = {**payload, "to": address}
    decisions = decided(row, SendDecision(at=sent_at, outcome="sent"))
    return _lease(session, unit, row, deal, payload, of_address, decisions, sent_at)


def _not_now(unit: Unit, row: EffectRow, answer: Answer, address: str) -> EffectState | Delayed:
    """Put an effect off, or drop it, as the policy says."""
    expires_at = row.expires_at
    is_too_late = answer.until is not None and expires_at is not None and answer.until > expires_at
    if answer.what == "delay" and not is_too_late:
        delay = SendDecision(
            at=answer.at, outcome="delayed", until=answer.until, because=answer.because
        )
        unit.transaction.decide_effect(
            row.key,
            EffectState.PENDING.value,
            decided(row, delay),
            ready_at=answer.until,
            delayed_until=answer.until,
            address=address,
        )
        return DELAYED
    because = f"{answer.because}; {_TOO_LATE}" if is_too_late else answer.because
    state = EffectState.EXPIRED if is_too_late else EffectState.DROPPED
    dropped = SendDecision(at=answer.at, outcome="dropped", because=because)
    unit.transaction.decide_effect(
        row.key,
        state.value,
        decided(row, dropped),
        address=address,
        sent_at=answer.at if answer.counts else None,
    )
    return state


def _lease(
    session: Session,
    unit: Unit,
    row: EffectRow,
    deal: Standing,
    payload: Mapping[str, Any],
    address: str | None = None,
    decisions: str | None = None,
    sent_at: dt.datetime | None = None,
) -> Claim:
    lease = os.urandom(16).hex()
    attempt = row.attempts + 1
    until = unit.now + session.lease
    unit.transaction.claim_effect(row.key, lease, until, attempt, address, sent_at, decisions)
    delivery = Delivery(
        key=row.key,
        name=row.name,
        payload=payload,
        deal=deal.deal,
        pipeline=session.pipeline.name,
        due_at=row.due_at,
        attempt=attempt,
        recipient=None if address is None else f"{HASHED}{address}",
    )
    return Claim(delivery, lease, row.expires_at, decisions_of(row.decisions))


def decided(row: EffectRow, decision: SendDecision) -> str:
    """Return an effect's decisions with one more; said again, it takes the former's place."""
    return decisions_text(_one_more(decisions_of(row.decisions), decision))


def _one_more(
    decisions: tuple[SendDecision, ...], decision: SendDecision
) -> tuple[SendDecision, ...]:
    last = decisions[-1] if decisions else None
    same = last is not None and (last.outcome, last.because) == (decision.outcome, decision.because)
    return (*(decisions[:-1] if same else decisions), decision)


def put_off(
    session: Session, unit: Unit, claim: Claim, until: dt.datetime, because: str
) -> EffectState | None:
    """Give a lease back because the handler wants to be asked later; ``None`` if it was lost."""
    attempt = claim.delivery.attempt
    until = max(until, unit.now + session.backoff.delay(attempt))
    if claim.expires_at is not None and until > claim.expires_at:
        because = f"{because}; {_TOO_LATE}"
        return give_up(unit, claim, because, EffectState.EXPIRED)
    decision = SendDecision(at=unit.now, outcome="delayed", until=until, because=because)
    held = unit.transaction.decide_effect(
        claim.delivery.key,
        EffectState.PENDING.value,
        decisions_text(_one_more(claim.decided, decision)),
        ready_at=until,
        delayed_until=until,
        attempts=attempt - 1,
        lease=claim.lease,
    )
    return EffectState.PENDING if held else None


def give_up(
    unit: Unit, claim: Claim, because: str, state: EffectState = EffectState.DROPPED
) -> EffectState | None:
    """Give a lease back because the handler does not want to send it; ``None`` if it was lost."""
    decision = SendDecision(at=unit.now, outcome="dropped", because=because)
    text = decisions_text(_one_more(claim.decided, decision))
    held = unit.transaction.decide_effect(claim.delivery.key, state.value, text, lease=claim.lease)
    return state if held else None


def bring_up_to_date(
    unit: Unit, seen: EffectRow, is_locked: bool = False, may_sweep: bool = True
) -> tuple[EffectRow | None, Standing | None]:
    """Lock the effect's deal, fire its due timers, and read both again.

    Args:
        is_locked: whether this transaction has them locked since before it saw the effect, so that
            nothing but the timers changes it.
        may_sweep: whether timers may be fired; where some are due, there is nothing otherwise.
    """
    if is_locked:
        stored, document = unit.load(seen.deal, create=False)
    else:
        stored, document = unit.transaction.load_by_id(seen.deal_id) or (None, None)
    if stored is None:
        return None, None
    if stored.due_at is not None and stored.due_at <= unit.now:
        if not may_sweep:
            return None, None
        sweep(unit, stored, unit.now)
        unit.flush()
        stored, document = unit.transaction.load_by_id(seen.deal_id) or (stored, document)
        is_locked = False
    draft = unit.draft(stored, document)
    standing = None
    if draft.last_event_at is not None:
        standing = Standing(draft.as_deal(), stored)
    row = seen if is_locked else unit.transaction.effect(unit.number, seen.key)
    return row, standing


def why_not(unit: Unit, row: EffectRow, deal: Standing | None) -> EffectState | None:
    """Return the state of an effect that must not be delivered any more."""
    if row.expires_at is not None and unit.now > row.expires_at:
        return EffectState.EXPIRED
    if deal is None:
        return EffectState.CANCELLED
    if not row.run_to_completion and row.visit_key != deal.visit_key:
        return EffectState.CANCELLED
    return None


def is_ready(row: EffectRow, now: dt.datetime) -> bool:
    """Return whether an effect may be claimed."""
    return row.state in ("pending", "claimed") and row.ready_at <= now

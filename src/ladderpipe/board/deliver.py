"""Delivering effects at least once: claim, call the handler, settle. Tasks and dead letters."""

from __future__ import annotations

import datetime as dt
import functools
import inspect
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import attrs

from ..errors import (
    DefinitionError,
    EffectNotFoundError,
    LadderError,
    UndeliverableError,
)
from ..model.canonical import canonical_text, is_storable, plain_text
from ..model.delivery import EffectState, StaleEffects
from ..model.effect import Drop, Effect, Handler, Later, SendDecision, Task
from ..model.effect import drop as not_sent
from ..model.report import DeliveryReport
from ..model.stage import TASK
from ..observability.observer import Observer, observed
from ..stores import bridge
from ..stores.base import EffectRow
from .boundary import as_failure, check_said, go_on_or_raise, words
from .claim import (
    DELAYED,
    Claim,
    Delayed,
    bring_up_to_date,
    claim,
    decided,
    give_up,
    is_ready,
    put_off,
    why_not,
)
from .read import effect_of, storable_ids, stored_deal, task_of
from .session import Session
from .stale import Apart
from .unit import Unit

__all__ = ["deliver", "register"]

BATCH: Final = 100
AT_ONCE: Final = 8
"""Among how many effects one is looked for that nobody is at: more than there are workers."""


def register(session: Session, name: str) -> Callable[[Handler], Handler]:
    """Return a decorator that makes a function the handler of effects called *name*.

    Raises:
        DefinitionError: the name is taken.
    """
    name = plain_text(name)
    if name == TASK:
        raise DefinitionError("'task' is delivered by people: see board.tasks and board.complete")
    if name in session.handlers:
        raise DefinitionError(f"effects {name!r} have a handler already: one name, one handler")

    def keep(handler: Handler) -> Handler:
        if inspect.iscoroutinefunction(handler):
            raise DefinitionError(
                f"handler {handler.__qualname__} is asynchronous, and a Board awaits nothing: "
                "open an AsyncBoard, or make it a plain function"
            )
        session.handlers[name] = handler
        return handler

    return keep


def deliver(
    session: Session,
    limit: int | None,
    stop: threading.Event | None = None,
    stale: StaleEffects = "send",
) -> DeliveryReport:
    """Deliver every effect that is due and has a handler, at most *limit*, or until stopped.

    Args:
        stale: what becomes of many that are older than a week, where the board does not say it.
    """
    counts: Counter[EffectState] = Counter()
    delayed = 0
    now = session.now()
    names = list(session.handlers)
    left = limit
    if names:
        _take_up(session, now)
    apart = Apart(session, now, names, session.stale_effects or stale)
    after = apart.after
    while names and (left is None or left > 0):
        wanted = BATCH if left is None else min(BATCH, left)
        with session.reading() as transaction:
            session.clock_watch.check(session.clock, transaction)
            session.has_held = bool(transaction.held(session.number, limit=1))
            ready = transaction.ready_effects(session.number, now, names, wanted, after)
        keys = [row.key for row in ready if apart.admits(row)]
        while keys and (stop is None or not stop.is_set()):
            taken = _take_next(session, now, keys[:AT_ONCE])
            if taken is None:
                del keys[:AT_ONCE]
                continue
            keys.remove(taken.effect.key)
            left = None if left is None else left - 1
            state = _deliver_one(session, taken.effect, taken.found)
            if isinstance(state, EffectState):
                counts[state] += 1
            elif state is not None:
                delayed += 1
        if stop is not None and stop.is_set():
            break
        if len(ready) < wanted:
            break
        # Past what nobody could take, such as effects that the shop's own transaction has locked:
        # who looked at the same ones again would go on for ever, and never come to the others.
        after = (ready[-1].ready_at, ready[-1].key)
    if apart.expired:
        counts[EffectState.EXPIRED] += apart.expired
    return DeliveryReport(dict(counts), delayed, held_back=dict(apart.held_back))


def _take_up(session: Session, now: dt.datetime) -> None:
    """Have effects go on that a failure or a lease under a wrong clock has put off for years."""
    latest = session.latest_retry(now)
    while True:
        with session.reading() as transaction:
            session.clock_watch.check(session.clock, transaction)
            put_off = transaction.put_off_effects(session.number, latest, BATCH)
        taken = sum(_take_up_one(session, row) for row in put_off)
        if not taken or len(put_off) < BATCH:
            return


def _take_up_one(session: Session, seen: EffectRow) -> bool:
    def work() -> bool:
        with session.writing() as unit:
            unit.check_pipeline()
            unit.transaction.load_by_id(seen.deal_id)
            row = unit.transaction.effect(unit.number, seen.key)
            if row is None or (row.state, row.ready_at) != (seen.state, seen.ready_at):
                return False
            if row.lease is None:
                ready_at = max(row.due_at, unit.now)
                return unit.transaction.settle_effect(row.key, row.state, ready_at, row.error)
            # Whoever has it may be at it: the lease is as long as any other, from now on.
            until = max(row.due_at, unit.now + session.lease)
            unit.transaction.claim_effect(row.key, row.lease, until, row.attempts)
            return True

    try:
        return session.retried(work)
    except Exception as error:
        go_on_or_raise(session, error)
        return False


@attrs.frozen
class _Taken:
    """An effect that this worker went for, and what it found.

    That is a claim, the state it was put into because it must not be sent, why its deal cannot
    be brought up to date, or ``None`` if it was not to be claimed any more.
    """

    effect: EffectRow
    found: Claim | EffectState | Delayed | LadderError | None


def _take_next(session: Session, now: dt.datetime, keys: Sequence[str]) -> _Taken | None:
    """Claim the first of these effects that nobody else is at, without waiting for anybody.

    So workers that have read the same list share it. The deal is locked with the effect, and
    before any other row of it, as by everybody who writes.
    """
    effect: EffectRow | None = None

    def take() -> Claim | EffectState | Delayed | None:
        nonlocal effect
        effect = None
        with session.writing() as unit:
            unit.check_pipeline()
            effect = unit.transaction.free_effect(session.number, now, keys)
            return None if effect is None else claim(session, unit, effect)

    try:
        found: Claim | EffectState | Delayed | LadderError | None = session.retried(take)
    except Exception as error:
        if effect is None:
            raise
        go_on_or_raise(session, error)
        found = as_failure(effect.deal, error)
    return None if effect is None else _Taken(effect, found)


@observed("ladderpipe.deliver", Observer.delivered)
def _deliver_one(
    session: Session,
    effect: EffectRow,
    found: Claim | EffectState | Delayed | LadderError | None,
) -> EffectState | Delayed | None:
    """Deliver what was claimed; return what became of it, ``None`` if another worker has it."""
    if isinstance(found, LadderError):
        return _postpone(session, effect, found)
    if not isinstance(found, Claim):
        return found
    try:
        answer = bridge.finished(session.handlers[effect.name](found.delivery))
    except UndeliverableError as error:
        return _settle(session, found, EffectState.DEAD, error)
    except Exception as error:
        last = found.delivery.attempt >= session.backoff.tries
        state = EffectState.DEAD if last else EffectState.PENDING
        return _settle(session, found, state, error)
    if isinstance(answer, Later | Drop):
        return session.retried(functools.partial(_heed, session, found, answer))
    return _settle(session, found, EffectState.DELIVERED, None)


def _heed(session: Session, taken: Claim, answer: Later | Drop) -> EffectState | Delayed | None:
    """Do as a handler answered."""
    with session.writing() as unit:
        if isinstance(answer, Drop):
            return give_up(unit, taken, answer.because)
        state = put_off(session, unit, taken, answer.at, answer.because)
    return DELAYED if state is EffectState.PENDING else state


def _settle(
    session: Session, taken: Claim, state: EffectState, error: Exception | None
) -> EffectState | None:
    if error is not None:
        session.observer.delivery_failed(taken.delivery, state, error)
    try:
        return session.retried(functools.partial(_settle_once, session, taken, state, error))
    except Exception as failure:
        go_on_or_raise(session, failure)
        # It is tried again when the lease ends.
        session.observer.delivery_failed(taken.delivery, EffectState.CLAIMED, failure)
        return None


def _settle_once(
    session: Session, taken: Claim, state: EffectState, error: Exception | None
) -> EffectState | None:
    delivery = taken.delivery
    ready_at: dt.datetime | None = None
    with session.writing() as unit:
        if state is EffectState.PENDING:
            ready_at = unit.now + session.backoff.delay(delivery.attempt)
        held = unit.transaction.settle_effect(
            delivery.key,
            state.value,
            ready_at,
            None if error is None else words(error),
            taken.lease,
        )
    return state if held else None


def _postpone(session: Session, seen: EffectRow, error: LadderError) -> EffectState | None:
    """Put off an effect whose deal cannot be brought up to date, as long as its sweep is."""
    session.observer.claim_failed(seen, error)
    try:
        return session.retried(functools.partial(_postpone_once, session, seen, error))
    except Exception as failure:
        go_on_or_raise(session, failure)
        return None


def _postpone_once(session: Session, seen: EffectRow, error: LadderError) -> EffectState | None:
    with session.writing() as unit:
        # The deal is locked first: what another worker has done is seen, and stays done.
        found = unit.transaction.load_by_id(seen.deal_id)
        row = unit.transaction.effect(session.number, seen.key)
        if row is None or found is None or not is_ready(row, unit.now):
            return None
        stored = found[0]
        retry_at, latest = stored.retry_at, session.latest_retry(unit.now)
        if retry_at is None or not unit.now < retry_at <= latest:
            failures = stored.failures + 1
            retry_at = unit.now + session.backoff.delay(failures)
            unit.transaction.note_failure(stored.id, failures, retry_at)
        unit.transaction.settle_effect(row.key, "pending", retry_at, words(error))
    return EffectState.PENDING


def effects(
    session: Session, deal: str | None, states: Sequence[EffectState] | None
) -> list[Effect]:
    """Return effects, of one deal or of all, by due time."""
    with session.reading() as transaction:
        deal_id = None
        if deal is not None:
            stored, _ = stored_deal(session, transaction, deal)
            if stored is None:
                return []
            deal_id = stored.id
        wanted = None if states is None else tuple(state.value for state in states)
        return [effect_of(row) for row in transaction.effects(session.number, deal_id, wanted)]


def unsent(session: Session, deals: Iterable[str]) -> dict[str, list[Effect]]:
    """Return what these deals ask for and was not sent, by deal."""
    with session.reading() as transaction:
        rows = transaction.unsent_effects(session.number, storable_ids(deals))
    found: dict[str, list[Effect]] = {}
    for effect in map(effect_of, rows):
        # Decided on, and late all the same: nothing speaks against it that people could know.
        was_to_be_sent = effect.decisions and effect.decisions[-1].outcome == "sent"
        if effect.state is not EffectState.EXPIRED or not was_to_be_sent:
            found.setdefault(effect.deal, []).append(effect)
    return found


def send_again(session: Session, key: str) -> None:
    """Put a dead letter back in the queue, with all its tries before it.

    Raises:
        EffectNotFoundError: there is no dead letter of that key, or its visit is gone.
    """
    with session.writing() as unit:
        row = _dead_letter(unit, key)
        visits = {move.visit_key for move in unit.transaction.moves(row.deal_id)}
        is_gone = row.phase == "into" and row.visit_key not in visits
        if is_gone:
            unit.transaction.settle_effect(key, EffectState.CANCELLED.value)
        else:
            unit.transaction.claim_effect(key, "again", unit.now, 0)
            unit.transaction.settle_effect(key, "pending", unit.now)
    if is_gone:
        raise EffectNotFoundError(
            f"the dead letter {key!r} is not sent again, and cancelled: an event that came late "
            f"did away with the visit of deal {row.deal!r} that asked for it"
        )


def drop(session: Session, key: str, by: str, reason: str) -> None:
    """Put a dead letter aside for good, on record.

    Raises:
        InvalidEventError: it is not said who drops it, or why.
        EffectNotFoundError: there is no dead letter of that key.
    """
    check_said(by=by, reason=reason)
    because = not_sent(f"{by}: {reason}").because
    with session.writing() as unit:
        row = _dead_letter(unit, key)
        decision = SendDecision(at=unit.now, outcome="dropped", because=because)
        unit.transaction.decide_effect(key, EffectState.DROPPED.value, decided(row, decision))


def _dead_letter(unit: Unit, key: str) -> EffectRow:
    """Return a dead letter, as it is while nobody else is at its deal."""
    row = _row_of(unit, key)
    if row is not None:
        unit.transaction.load_by_id(row.deal_id)
        row = _row_of(unit, key)
    if row is None or row.state != EffectState.DEAD:
        state = "there is none" if row is None else f"it is {row.state}"
        raise EffectNotFoundError(
            f"no dead letter has the key {key!r} ({state}): see board.dead_letters()"
        )
    return row


def assign(session: Session, key: str, to: str | None, by: str) -> Task:
    """Give an open task to somebody, or back to whoever owns its deal.

    Raises:
        EffectNotFoundError: no open task has that key; the deal may have moved on.
    """
    with session.writing() as unit:
        unit.check_pipeline()
        row = _row_of(unit, key)
        loaded = None if row is None else unit.transaction.load_by_id(row.deal_id)
        row = _row_of(unit, key)  # as it is now that nobody else is at its deal
        if row is None or row.name != TASK or row.state != "open":
            state = "see board.tasks() for the open ones" if row is None else f"it is {row.state}"
            raise EffectNotFoundError(f"no open task has the key {key!r}: {state}")
        owner = to if to is not None or loaded is None else loaded[0].owner
        payload = {**json.loads(row.payload), "owner": to, "assigned_by": by}
        if to is None:
            del payload["owner"]
        text = canonical_text(payload)
        unit.transaction.give_task(key, owner, text)
        return task_of(row._replace(owner=owner, payload=text))


def annotate(session: Session, key: str, notes: Mapping[str, Any]) -> bool:
    """Keep something in an effect's payload; return whether its visit is still current.

    Raises:
        EffectNotFoundError: there is no such effect any more.
    """

    def work() -> bool:
        with session.writing() as unit:
            unit.check_pipeline()
            row = _row_of(unit, key)
            loaded = None if row is None else unit.transaction.load_by_id(row.deal_id)
            row = _row_of(unit, key)  # as it is now that nobody else is at its deal
            if row is None or loaded is None:
                raise EffectNotFoundError(f"no effect has the key {key!r}: its deal was removed")
            payload = {**json.loads(row.payload), **notes}
            unit.transaction.give_task(key, row.owner, canonical_text(payload))
            return row.run_to_completion or row.visit_key == loaded[0].visit_key

    return session.retried(work)


def complete(session: Session, key: str) -> Task:
    """Note that a person has done a task.

    Raises:
        EffectNotFoundError: no open task has that key; the deal may have moved on.
    """
    refused: str | None = None
    with session.writing() as unit:
        unit.check_pipeline()
        row = _row_of(unit, key)
        if row is not None:
            row, deal = bring_up_to_date(unit, row)
            if row is not None and row.state == "open":
                ended = why_not(unit, row, deal)
                if ended is None:
                    unit.transaction.settle_effect(key, EffectState.DELIVERED.value)
                    return task_of(row)
                unit.transaction.settle_effect(key, ended.value)
                refused = ended.value
            elif row is not None:
                refused = row.state
    raise EffectNotFoundError(
        f"no open task has the key {key!r}: "
        + ("see board.tasks() for the open ones" if refused is None else f"it is {refused}")
    )


def _row_of(unit: Unit, key: str) -> EffectRow | None:
    return unit.transaction.effect(unit.number, key) if is_storable(key) else None

"""Delivering effects at least once: claim, call the handler, settle."""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import inspect
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

import attrs

from ..errors import DefinitionError, LadderError, UndeliverableError
from ..model.canonical import plain_text
from ..model.delivery import EffectState, StaleEffects
from ..model.effect import Drop, Handler, Later
from ..model.report import DeliveryReport
from ..model.stage import TASK
from ..observability.observer import Observer, observed
from ..stores import bridge
from ..stores.base import EffectRow
from .boundary import as_failure, go_on_or_raise, words
from .claim import DELAYED, Claim, Delayed, claim, give_up, is_ready, put_off
from .session import Session
from .stale import Apart
from .unit import Unit

__all__ = ["deliver", "heed", "postpone", "register", "settle_once"]

BATCH: Final = 100
AT_ONCE: Final = 8
"""Among how many effects one is looked for that nobody is at: more than there are workers."""


def register(handlers: dict[str, Handler], name: str) -> Callable[[Handler], Handler]:
    """Return a decorator that makes a function one of *handlers*, of effects called *name*.

    Raises:
        DefinitionError: the name is taken.
    """
    name = plain_text(name)
    if name == TASK:
        raise DefinitionError("'task' is delivered by people: see board.tasks and board.complete")
    if name in handlers:
        raise DefinitionError(f"effects {name!r} have a handler already: one name, one handler")

    def keep(handler: Handler) -> Handler:
        if inspect.iscoroutinefunction(handler):
            raise DefinitionError(
                f"handler {handler.__qualname__} is asynchronous, and a Board awaits nothing: "
                "open an AsyncBoard, or make it a plain function"
            )
        handlers[name] = handler
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
        queue = _Queue(session, now, [row.key for row in ready if apart.admits(row)], stop)
        for taken in queue:
            left = None if left is None else left - 1
            state = _deliver_one(session, taken.effect, taken.found, queue)
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
            if row.ready_at <= session.latest_retry(unit.now):
                return False  # it was looked for by a clock that has gone on since
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


class _Queue:
    """Effects that are due, which a worker claims one by one, and shares with other workers."""

    def __init__(
        self,
        session: Session,
        now: dt.datetime,
        keys: list[str],
        stop: threading.Event | None,
    ) -> None:
        self._session = session
        self._now = now
        self._keys = keys
        self._stop = stop
        self._next: _Taken | None = None

    @property
    def goes_on(self) -> bool:
        """Whether another one is to be claimed."""
        return bool(self._keys) and (self._stop is None or not self._stop.is_set())

    def __iter__(self) -> Iterator[_Taken]:
        while self._next is not None or self.goes_on:
            taken = self._next or self._take()
            self._next = None
            if taken is None:
                del self._keys[:AT_ONCE]
                continue
            if taken.effect.key in self._keys:
                self._keys.remove(taken.effect.key)
            yield taken

    def _take(self) -> _Taken | None:
        """Claim the first of these effects that nobody else is at, without waiting for anybody.

        So workers that have read the same list share it. The deal is locked with the effect, and
        before any other row of it, as by everybody who writes.
        """
        effect: EffectRow | None = None

        def take() -> Claim | EffectState | Delayed | None:
            nonlocal effect
            effect = None
            with self._session.writing() as unit:
                unit.transaction.share_pipeline(unit.number)
                effect = self._free(unit)
                return None if effect is None else claim(self._session, unit, effect)

        try:
            found: Claim | EffectState | Delayed | LadderError | None
            found = self._session.retried(take)
        except Exception as error:
            if effect is None:
                raise
            go_on_or_raise(self._session, error)
            found = as_failure(effect.deal, error)
        return None if effect is None else _Taken(effect, found)

    def settle_and_take(self, delivered: Claim) -> EffectState | None:
        """Settle what was delivered and claim the next one, with one commit for both.

        Once something is settled, nothing may be waited for. So the next one is not claimed here
        if somebody is at it, or if timers of its deal have to be fired first.
        """
        effect: EffectRow | None = None
        found: Claim | EffectState | Delayed | None = None
        with self._session.writing() as unit:
            unit.transaction.share_pipeline(unit.number)
            state = EffectState.DELIVERED
            held = unit.transaction.settle_effect(
                delivered.delivery.key, state.value, lease=delivered.lease
            )
            effect = self._free(unit)
            if effect is not None:
                found = claim(self._session, unit, effect, may_sweep=False)
        if effect is not None and found is not None:
            self._next = _Taken(effect, found)
        return state if held else None

    def _free(self, unit: Unit) -> EffectRow | None:
        return unit.transaction.free_effect(unit.number, self._now, self._keys[:AT_ONCE])


@observed("ladderpipe.deliver", Observer.delivered)
def _deliver_one(
    session: Session,
    effect: EffectRow,
    found: Claim | EffectState | Delayed | LadderError | None,
    queue: _Queue,
) -> EffectState | Delayed | None:
    """Deliver what was claimed; return what became of it, ``None`` if another worker has it."""
    if isinstance(found, LadderError):
        return postpone(session, effect, found)
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
        return session.retried(functools.partial(heed, session, found, answer))
    if queue.goes_on:
        # What fails is the next one's, or is told when this one is settled by itself.
        with contextlib.suppress(Exception):
            return queue.settle_and_take(found)
    return _settle(session, found, EffectState.DELIVERED, None)


def heed(session: Session, taken: Claim, answer: Later | Drop) -> EffectState | Delayed | None:
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
        why = None if error is None else words(error)
        return session.retried(functools.partial(settle_once, session, taken, state, why))
    except Exception as failure:
        go_on_or_raise(session, failure)
        # It is tried again when the lease ends.
        session.observer.delivery_failed(taken.delivery, EffectState.CLAIMED, failure)
        return None


def settle_once(
    session: Session, taken: Claim, state: EffectState, error: str | None
) -> EffectState | None:
    """Note what became of a claim, if nobody else has it; what failed is tried again later."""
    delivery = taken.delivery
    ready_at: dt.datetime | None = None
    with session.writing() as unit:
        if state is EffectState.PENDING:
            ready_at = unit.now + session.backoff.delay(delivery.attempt)
        held = unit.transaction.settle_effect(
            delivery.key,
            state.value,
            ready_at,
            error,
            taken.lease,
        )
    return state if held else None


def postpone(session: Session, seen: EffectRow, error: LadderError) -> EffectState | None:
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

"""Sweeping: firing the timers that are due, deal by deal, many to a transaction."""

from __future__ import annotations

import datetime as dt
import functools
from collections import Counter
from collections.abc import Callable, Collection
from typing import Final, TypeAlias

import attrs

from ..errors import ClockError
from ..model.clock import instant
from ..model.report import DealFailure, TickReport
from ..observability.observer import Observer, observed
from ..stores.base import StoredDeal, Transaction
from .boundary import as_failure, go_on_or_raise
from .customer_index import index, renew
from .release import try_again
from .session import Session
from .unit import Unit

__all__ = ["sweep", "tick"]

BATCH: Final = 1000

Which: TypeAlias = Callable[[Transaction, int], list[StoredDeal]]
"""Locks and returns the next deals to sweep, at most so many."""
Fired: TypeAlias = Counter[str]
"""How many moves timers made, by rule."""
Swept: TypeAlias = tuple[int, Fired, list[tuple[StoredDeal, Exception]]]
"""How many deals were swept, what that moved, and which failed with what."""


def tick(session: Session, limit: int | None, until: dt.datetime | str | None = None) -> TickReport:
    """Fire every timer due by *until*, which is now unless given, of at most *limit* deals."""
    now = session.now()
    until = now if until is None else instant(until)
    if until > now:
        raise ClockError(
            f"tick(until={until.isoformat()}) lies after the board's clock ({now.isoformat()}): "
            "timers fire when they are due, not before"
        )
    with session.reading() as transaction:
        session.clock_watch.check(session.clock, transaction)
        latest = session.latest_retry(now)
        due, ahead = _due(session, until, latest), _ahead(session, now, latest)
        is_due, is_ahead = due(transaction, 1), ahead(transaction, 1)
        is_held = transaction.held_due(session.number, until, 1, latest)
        session.is_indexed = session.is_indexed or not transaction.unindexed(session.number, 1)
    report = TickReport(0, 0)
    if is_ahead:
        report = _sweep(session, ahead, now, None)
    if is_due or is_ahead:
        swept = _sweep(session, due, until, limit)
        failures = (*report.failures, *swept.failures)
        timers = Counter(report.timers) + Counter(swept.timers)
        report = TickReport(swept.deals, timers.total(), failures, timers=dict(timers))
    if is_held:
        report = attrs.evolve(report, released=try_again(session, limit))
    if not session.is_indexed and not session.read_only:
        session.retried(functools.partial(index, session))
    if session.renewed_to is not None:
        session.renewed_to = session.retried(functools.partial(renew, session, session.renewed_to))
        if session.renewed_to is None:
            session.end_renewal()
    return report


def _due(session: Session, until: dt.datetime, latest: dt.datetime) -> Which:
    """Return what finds the deals with a timer due."""
    return lambda transaction, limit: transaction.due(session.number, until, limit, latest)


def _ahead(session: Session, now: dt.datetime, latest: dt.datetime) -> Which:
    """Return what finds the deals of which a wrong clock has fired timers still to come.

    Swept to where the clock is now, they are folded again.
    """
    return lambda transaction, limit: transaction.swept_ahead(
        session.number, now, limit, now, now, latest
    )


@observed("ladderpipe.tick", Observer.swept)
def _sweep(session: Session, which: Which, until: dt.datetime, limit: int | None) -> TickReport:
    deals = 0
    timers: Fired = Counter()
    failures: list[DealFailure] = []
    while limit is None or deals + len(failures) < limit:
        wanted = BATCH if limit is None else min(BATCH, limit - deals - len(failures))
        swept, moved, failed = _sweep_batch(session, which, until, wanted)
        deals += swept
        timers += moved
        failures += [DealFailure(deal.deal, as_failure(deal.deal, error)) for deal, error in failed]
        if swept + len(failed) < wanted:
            break
    return TickReport(deals, timers.total(), tuple(failures), timers=dict(timers))


def _sweep_batch(session: Session, which: Which, until: dt.datetime, limit: int) -> Swept:
    try:
        return session.retried(functools.partial(_sweep_together, session, which, until, limit))
    except Exception as error:
        go_on_or_raise(session, error)
    return _sweep_apart(session, which, until, limit)


def _sweep_together(session: Session, which: Which, until: dt.datetime, limit: int) -> Swept:
    moved: Fired = Counter()
    failed: list[tuple[StoredDeal, Exception]] = []
    with session.writing() as unit:
        unit.check_pipeline()
        due = which(unit.transaction, limit)
        for stored in due:
            try:
                for rule in sweep(unit, stored, until):
                    moved[rule] += 1
            except Exception as error:
                go_on_or_raise(session, error, unit.transaction)
                failed.append((stored, error))
        unit.flush()
        for stored, _ in failed:
            _note_failure(session, unit, stored)
    return len(due) - len(failed), moved, failed


def _sweep_apart(session: Session, which: Which, until: dt.datetime, limit: int) -> Swept:
    """Sweep each deal in a transaction of its own, since nobody knows whose rows it was."""
    swept = 0
    moved: Fired = Counter()
    failed: list[tuple[StoredDeal, Exception]] = []
    passed: set[int] = set()
    for _ in range(limit):
        stored, made = _sweep_next(session, which, until, passed)
        if stored is None:
            break
        if isinstance(made, Counter):
            swept += 1
            moved += made
            continue
        failed.append((stored, made))
        if not session.retried(functools.partial(_note_failure_of, session, stored)):
            passed.add(stored.id)
    return swept, moved, failed


def _sweep_next(
    session: Session, which: Which, until: dt.datetime, passed: Collection[int]
) -> tuple[StoredDeal | None, Fired | Exception]:
    """Sweep the next deal; return it and what that moved, or what it failed with."""
    stored: StoredDeal | None = None

    def work() -> Fired:
        nonlocal stored
        stored = None
        with session.writing() as unit:
            unit.check_pipeline()
            due = which(unit.transaction, len(passed) + 1)
            stored = next((deal for deal in due if deal.id not in passed), None)
            return Counter(() if stored is None else sweep(unit, stored, until))

    try:
        moved = session.retried(work)
    except Exception as error:
        if stored is None:
            raise
        go_on_or_raise(session, error)
        return stored, error
    return stored, moved


def _note_failure_of(session: Session, stored: StoredDeal) -> bool:
    """Note that a deal failed, unless somebody has done something about it since."""
    with session.writing() as unit:
        found = unit.transaction.load_by_id(stored.id)
        if found is None or found[0] != stored:
            return False
        _note_failure(session, unit, stored)
        return True


def _note_failure(session: Session, unit: Unit, stored: StoredDeal) -> None:
    failures = stored.failures + 1
    retry_at = unit.now + session.backoff.delay(failures)
    unit.transaction.note_failure(stored.id, failures, retry_at)


def sweep(unit: Unit, stored: StoredDeal, now: dt.datetime) -> list[str]:
    """Fire one deal's due timers; return the rule of each move that they made."""
    transaction = unit.transaction

    def document() -> str | None:
        return transaction.document(stored.id)

    if unit.pipeline.has_hooks:
        with unit.attempt():
            moves = unit.decide(stored, document, [], sweep_to=now).moves
    else:
        moves = unit.decide(stored, document, [], sweep_to=now).moves
    return [move.rule for move in moves]

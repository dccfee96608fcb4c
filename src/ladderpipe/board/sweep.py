"""Sweeping: firing the timers that are due, deal by deal, many to a transaction."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Iterable
from typing import Final

import attrs

from ..errors import ClockError
from ..model.clock import instant
from ..model.report import DealFailure, TickReport
from ..observability.observer import Observer, observed
from ..stores.base import StoredDeal
from .boundary import as_failure, is_its_own
from .release import try_again
from .session import Session
from .unit import Unit

__all__ = ["sweep", "tick"]

BATCH: Final = 1000


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
        is_due = transaction.due(session.number, until, 1)
        is_ahead = transaction.swept_ahead(session.number, now, 1, now)
        is_held = transaction.held_due(session.number, until, 1)
    if is_ahead:
        _take_back(session)
        is_due = [*is_due, *is_ahead]
    report = _sweep(session, now, until, limit) if is_due else TickReport(0, 0)
    if is_held:
        report = attrs.evolve(report, released=try_again(session, limit))
    return report


@observed("ladderpipe.tick", Observer.swept)
def _sweep(session: Session, now: dt.datetime, until: dt.datetime, limit: int | None) -> TickReport:
    deals = moves = 0
    failures: list[DealFailure] = []
    while limit is None or deals + len(failures) < limit:
        wanted = BATCH if limit is None else min(BATCH, limit - deals - len(failures))
        swept, moved, failed = session.retried(
            functools.partial(_sweep_batch, session, now, until, wanted)
        )
        deals += swept
        moves += moved
        failures += failed
        if swept + len(failed) < wanted:
            break
    return TickReport(deals, moves, tuple(failures))


def _sweep_batch(
    session: Session, now: dt.datetime, until: dt.datetime, limit: int
) -> tuple[int, int, list[DealFailure]]:
    with session.writing() as unit:
        unit.check_pipeline()
        due = unit.transaction.due(session.number, until, limit)
        try:
            with unit.attempt():
                moved, failed = _sweep_these(session, unit, due, until, one_by_one=False)
                unit.flush()
        except Exception as error:
            if not is_its_own(session, error):
                raise
            # Nobody knows whose rows could not be written: write each deal's by themselves.
            moved, failed = _sweep_these(session, unit, due, until, one_by_one=True)
        for stored, _ in failed:
            failures = stored.failures + 1
            unit.transaction.note_failure(
                stored.id, failures, unit.now + session.backoff.delay(failures)
            )
    report = [DealFailure(stored.deal, as_failure(stored.deal, e)) for stored, e in failed]
    return len(due) - len(failed), moved, report


def _sweep_these(
    session: Session,
    unit: Unit,
    due: Iterable[StoredDeal],
    until: dt.datetime,
    one_by_one: bool,
) -> tuple[int, list[tuple[StoredDeal, Exception]]]:
    moved = 0
    failed: list[tuple[StoredDeal, Exception]] = []
    for stored in due:
        try:
            if one_by_one:
                with unit.attempt():
                    made = sweep(unit, stored, until)
                    unit.flush()
            else:
                made = sweep(unit, stored, until)
            moved += made
        except Exception as error:
            if not is_its_own(session, error):
                raise
            failed.append((stored, error))
    return moved, failed


def sweep(unit: Unit, stored: StoredDeal, now: dt.datetime) -> int:
    """Fire one deal's due timers; return how many moves they made."""
    transaction = unit.transaction

    def document() -> str | None:
        return transaction.document(stored.id)

    if unit.pipeline.has_hooks:
        with unit.attempt():
            return len(unit.decide(stored, document, [], sweep_to=now).moves)
    return len(unit.decide(stored, document, [], sweep_to=now).moves)


def _take_back(session: Session) -> None:
    """Fold deals anew of which a wrong clock has fired timers that are still to come."""
    while session.retried(functools.partial(_take_back_batch, session)):
        pass


def _take_back_batch(session: Session) -> int:
    taken = 0
    with session.writing() as unit:
        unit.check_pipeline()
        now = unit.now
        for stored in unit.transaction.swept_ahead(session.number, now, BATCH, now):
            document = functools.partial(unit.transaction.document, stored.id)
            # One that cannot be folded is left as it is, and does not keep the others back.
            try:
                with unit.attempt():
                    unit.decide(stored, document, [], now)
                    unit.flush()
                taken += 1
            except Exception as error:
                if not is_its_own(session, error):
                    raise
    return taken

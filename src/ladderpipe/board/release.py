"""What becomes of held events: tried again when their time comes, released or discarded by hand."""

from __future__ import annotations

import datetime as dt
import functools
from typing import Final

from ..errors import EventConflictError, HeldNotFoundError, InvalidEventError
from ..model.canonical import plain_text
from ..model.event import Event, discarded
from ..model.held import HeldKind
from ..model.receipt import Receipt
from ..stores.base import FORGOTTEN_DIGEST, HeldRow
from .boundary import check_said, go_on_or_raise
from .handle import check_time, take
from .hold import event_of, keep, reason_of
from .session import Session
from .subscriptions import take_back
from .unit import Unit, receipt

__all__ = ["discard", "release", "try_again"]

BATCH: Final = 1000


def try_again(session: Session, limit: int | None) -> int:
    """Take the held events whose time has come; return how many are not held any more."""
    now = session.now()
    with session.reading() as transaction:
        wanted = BATCH if limit is None else limit
        due = transaction.held_due(session.number, now, wanted, session.latest_retry(now))
    return sum(session.retried(functools.partial(_try_one, session, row.key)) for row in due)


def _try_one(session: Session, key: str) -> bool:
    try:
        return session.retried(functools.partial(_take_held, session, key))
    except Exception as error:
        go_on_or_raise(session, error)
        session.retried(functools.partial(_note_failure, session, key, error))
        return False


def _take_held(session: Session, key: str) -> bool:
    with session.writing() as unit:
        row = _due(session, unit, key)
        if row is None:
            return False
        event = event_of(row)
        take(unit, event, hold=True)
        _stay_forgotten(unit, row, event)
        unit.transaction.remove_held(unit.number, key)
        return True


def _due(session: Session, unit: Unit, key: str) -> HeldRow | None:
    """Return a held row, its deal locked, if it is still there and still to be tried."""
    unit.check_pipeline()
    row = unit.transaction.held_by_key(unit.number, key)
    if row is None:
        return None
    # What stood there before the lock may be gone, or a person may have been taken out of it.
    stored, _ = unit.load(row.deal, create=True)
    row = unit.transaction.held_by_key(unit.number, key)
    if row is None or not _is_due(session, row, unit.now):
        assert stored is not None
        unit.transaction.remove_unused_deals([stored.id])
        return None
    return row


def _is_due(session: Session, row: HeldRow, now: dt.datetime) -> bool:
    if row.retry_at is None:
        return False
    # Who failed under a clock that was wrong is put off to where nobody's backoff reaches.
    is_put_off = row.kind == HeldKind.FAILED and row.retry_at > session.latest_retry(now)
    return row.retry_at <= now or is_put_off


def _stay_forgotten(unit: Unit, row: HeldRow, event: Event) -> None:
    """Compare no later copy with an event from which a person was taken while it was held."""
    if row.digest == FORGOTTEN_DIGEST:
        unit.flush()
        unit.transaction.replace_event_data(unit.number, [(event, event.data_text())])


def _note_failure(session: Session, key: str, error: Exception) -> None:
    """Note in a transaction of its own that a held event cannot be taken yet."""
    with session.writing() as unit:
        row = _due(session, unit, key)
        if row is None:
            return
        if isinstance(error, EventConflictError):
            # Its name was taken while it waited: from now on a person has to decide.
            unit.transaction.remove_held(unit.number, row.key)
            keep(unit, session, event_of(row), error)
        else:
            failures = row.failures + 1
            failed = row._replace(
                kind=HeldKind.FAILED.value,
                reason=reason_of(error),
                failures=failures,
                retry_at=unit.now + session.backoff.delay(failures + 1),
            )
            unit.transaction.replace_held(unit.number, failed)
        stored, _ = unit.load(row.deal, create=False)
        assert stored is not None
        unit.transaction.remove_unused_deals([stored.id])


def release(session: Session, key: str, id: str | None) -> Receipt:
    """Try a held event again, by hand, perhaps under another id."""
    return session.retried(functools.partial(_release_once, session, key, id))


def _release_once(session: Session, key: str, id: str | None) -> Receipt:
    with session.writing() as unit:
        unit.check_pipeline()
        row = _found(unit, key)
        if row.data is None:
            return _ask_anew(unit, row)
        if id is None and row.kind in (HeldKind.CONFLICT, HeldKind.COPY):
            raise InvalidEventError(
                f"event {row.id!r} (source {row.source!r}) cannot be released under its own id, "
                "which another event has: pass id=... to give it one of its own, or discard it"
            )
        event = event_of(row, id)
        check_time(session, unit, event, unit.now)
        answer = take(unit, event)
        _stay_forgotten(unit, row, event)
        unit.transaction.remove_held(unit.number, key)
        return answer


def _ask_anew(unit: Unit, row: HeldRow) -> Receipt:
    """Fold a deal again in which an event is set aside, and say what became of that."""
    stored, document = unit.load(row.deal, create=False)
    events = [] if stored is None else [event for event, _ in unit.transaction.events(stored.id)]
    event = next((e for e in events if (e.source, e.id) == (row.source, row.id)), None)
    if stored is None or event is None:
        raise _not_found(row.key)
    answer = receipt(unit.decide_again(stored, document), event)
    unit.flush()
    return answer


def discard(session: Session, key: str, by: str, reason: str, is_withdrawn: bool = False) -> None:
    """Put a held event aside for good, on record.

    Args:
        is_withdrawn: whether what it said of addresses was never said, either.
    """
    check_said(by=by, reason=reason)
    session.retried(functools.partial(_discard_once, session, key, by, reason, is_withdrawn))


def _discard_once(session: Session, key: str, by: str, reason: str, is_withdrawn: bool) -> None:
    with session.writing() as unit:
        unit.check_pipeline()
        row = _found(unit, key)
        if row.kind in (HeldKind.CONFLICT, HeldKind.COPY):
            unit.transaction.replace_held(
                unit.number,
                # Its key is enough to know a copy by; nobody reads any more what it said.
                row._replace(
                    data="{}",
                    retry_at=None,
                    discarded_at=unit.now,
                    discarded_by=plain_text(by),
                    note=plain_text(reason),
                ),
            )
            unit.transaction.note_held_customer(unit.number, key, ())
            if is_withdrawn:
                stored, _ = unit.load(row.deal, create=False)
                take_back(unit, event_of(row), None if stored is None else stored.id)
            return
        stored, document = unit.load(row.deal, create=True)
        assert stored is not None
        if row.data is None:
            events = {(e.source, e.id): e for e, _ in unit.transaction.events(stored.id)}
            event = events.get((row.source, row.id))
            if event is None:
                raise _not_found(key)
            unit.transaction.remove_events(unit.number, [(row.source, row.id)])
        else:
            event = event_of(row)
        unit.add_inert(stored, discarded(event, by, reason))
        unit.transaction.remove_held(unit.number, key)
        unit.decide_again(stored, document)
        unit.flush()


def _found(unit: Unit, key: str) -> HeldRow:
    row = unit.transaction.held_by_key(unit.number, key)
    if row is None or row.discarded_at is not None:
        raise _not_found(key)
    return row


def _not_found(key: str) -> HeldNotFoundError:
    return HeldNotFoundError(
        f"no event is held under the key {key!r}: it was taken, released or discarded meanwhile; "
        "see board.held()"
    )

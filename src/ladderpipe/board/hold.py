"""Holding events: what cannot be taken is kept with the reason, tried again, released or discarded.

A fact from outside is never refused (S12). An event that cannot be used at its place is set aside
there by the fold; what is kept here has no place: its identity is taken, its time is still to
come, or a hook holds back its commit.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import attrs

from ..errors import EventConflictError, EventFromFutureError, SealedError, shown
from ..ladder.machine import NOT_OPEN
from ..model.event import Event, Identity
from ..model.held import Held, HeldKind
from ..model.receipt import Outcome, Receipt
from ..stores.base import FORGOTTEN_DIGEST, HeldRow, StoredDeal, Transaction, new_held
from .boundary import storable
from .held_against import keys_in
from .read import storable_ids, stored_deal
from .session import Session
from .subscriptions import note_of
from .unit import Unit

if TYPE_CHECKING:
    from ..stores.filters import DealFilter

__all__ = ["event_of", "held", "held_of", "held_rows", "hold_event", "keep", "reason_of"]

PAGE = 500


def hold_event(session: Session, event: Event, error: Exception) -> Receipt:
    """Keep an event that could not be taken, in a transaction of its own."""

    def work() -> Receipt:
        with session.writing() as unit:
            unit.check_pipeline()
            stored, document = unit.load(event.deal, create=False)
            outcome = keep(unit, session, event, error)
            draft = None
            if stored is not None and not isinstance(error, SealedError):
                draft = unit.draft(stored, document).if_open()
            reason = reason_of(error) if outcome is Outcome.HELD else None
            return Receipt(outcome, draft, reason=reason, event=event.identity)

    return session.retried(work)


def keep(unit: Unit, session: Session, event: Event, error: Exception) -> Outcome:
    """Keep an event inside a unit of work; what was discarded for good is a duplicate."""
    row = _row(unit, session, event, error)
    known = unit.transaction.held_by_key(unit.number, row.key)
    if known is not None and known.discarded_at is not None:
        return Outcome.DUPLICATE
    unit.transaction.hold(unit.number, row)
    unit.note_held(row.key, keys_in(event))
    note_of(unit, [event], None)
    return Outcome.HELD


def _row(unit: Unit, session: Session, event: Event, error: Exception) -> HeldRow:
    kind = HeldKind.FAILED
    retry_at: dt.datetime | None = unit.now + session.backoff.delay(1)
    if isinstance(error, EventConflictError):
        kind, retry_at = _kind_of_conflict(unit, event), None
    elif isinstance(error, EventFromFutureError):
        kind, retry_at = HeldKind.FUTURE, event.at - session.max_skew
    data = event.data_text()
    digest = "" if kind is HeldKind.COPY else event.digest(data)
    return new_held(kind, event, reason_of(error), unit.now, data, digest, retry_at)


def reason_of(error: Exception) -> str:
    """Return why an event is held, in words."""
    return storable(shown(error, str) or shown(error))


def _kind_of_conflict(unit: Unit, event: Event) -> HeldKind:
    """Tell another copy of a known event from another event under the same name."""
    stored, _ = unit.load(event.deal, create=False)
    for known, _ in () if stored is None else unit.transaction.events(stored.id):
        if (known.source, known.id) == (event.source, event.id) and known.type == event.type:
            return HeldKind.COPY
    return HeldKind.CONFLICT


def held(session: Session, deal: str | None) -> list[Held]:
    """Return what is held, of one deal or of all, the longest held first."""
    with session.reading() as transaction:
        rows = list(held_rows(transaction, session.number, deal))
        stored = _stored(session, transaction, rows)
    found = [held_of(row, stored.get((row.source, row.id))) for row in rows]
    return sorted(found, key=lambda each: (each.since, each.event.at, each.event.id, each.key))


def held_among(session: Session, deals: Iterable[str]) -> set[str]:
    """Return those of these deals of which something is held."""
    with session.reading() as transaction:
        return transaction.held_among(session.number, storable_ids(deals))


def held_of_deals(session: Session, wanted: DealFilter | None, limit: int) -> list[Held]:
    """Return what is held of open deals that match, the longest held first."""
    if wanted is None:
        return []
    from .listing import of_stages

    with session.reading() as transaction:
        rows = transaction.held_of_deals(session.number, of_stages(session.pipeline, wanted), limit)
        stored = _stored(session, transaction, rows)
    return [held_of(row, stored.get((row.source, row.id))) for row in rows]


def held_rows(
    transaction: Transaction, number: int, deal: str | None, *, discarded: bool = False
) -> Iterator[HeldRow]:
    """Yield what is held of a pipeline, or of one of its deals, page by page; or is discarded."""
    after = ""
    while True:
        rows = transaction.held(number, deal, after=after, limit=PAGE, discarded=discarded)
        yield from rows
        if len(rows) < PAGE:
            return
        after = rows[-1].key


def _stored(
    session: Session, transaction: Transaction, rows: Iterable[HeldRow]
) -> dict[tuple[str, str], Event]:
    """Return the events that stand in their place, of those that are set aside there."""
    found: dict[tuple[str, str], Event] = {}
    for deal in sorted({row.deal for row in rows if row.data is None}):
        stored, _ = stored_deal(session, transaction, deal)
        events = () if stored is None else transaction.events(stored.id)
        found.update(((event.source, event.id), event) for event, _ in events)
    return found


def held_of(row: HeldRow, stored: Event | None = None) -> Held:
    """Return a stored row as a record; *stored* is the event where the row does not hold it."""
    event = stored if row.data is None and stored is not None else event_of(row)
    return Held(
        key=row.key,
        kind=HeldKind(row.kind),
        event=event,
        reason=row.reason,
        since=row.since,
        told=row.told,
        failures=row.failures,
        retry_at=row.retry_at,
    )


def event_of(row: HeldRow, id: str | None = None) -> Event:
    """Return the event that a row holds, under its own or under another id."""
    return Event(
        row.type,
        deal=row.deal,
        id=row.id if id is None else id,
        at=row.at,
        source=row.source,
        seq=row.seq,
        data=json.loads(row.data or "{}"),
    )


def take_in_withdrawn(unit: Unit, stored: StoredDeal, target: Identity) -> None:
    """Put aside what is held and was taken back: it is told, changes nothing and is asked no more.

    What is held because its identity is another event's stays: it is that one that is taken back.
    """
    for row in unit.transaction.held(unit.number, stored.deal):
        waits = row.kind in (HeldKind.FUTURE, HeldKind.FAILED)
        if waits and (row.source, row.id) == target:
            told = unit.new_event(stored, event_of(row))
            if row.digest == FORGOTTEN_DIGEST:
                told = told._replace(digest=None)
            unit.transaction.add_events(unit.number, [told])
            unit.transaction.remove_held(unit.number, row.key)


def note_told_again(unit: Unit, event: Event) -> None:
    """Note that somebody insists on an event that was taken back, if it would close its deal.

    It is kept once, with how often it was told: its identity counts no more, and whether it is true
    all the same a person has to say.
    """
    if not unit.pipeline.ladder.may_close(event.type):
        return
    reason = (
        f"it was taken back, and is told again: if it is true, withdraw the withdrawal, or release "
        f"it under an id of its own; a {event.type} leads into a closed stage"
    )
    data = event.data_text()
    _note(unit, new_held(HeldKind.CONFLICT, event, reason, unit.now, data, event.digest(data)))


def note_archived(unit: Unit, event: Event) -> None:
    """Note that somebody tells of a deal that was removed as if it began, without what is told."""
    if event.type not in unit.pipeline.ladder.rungs[NOT_OPEN].by_trigger:
        return
    reason = (
        f"it would open deal {event.deal!r}, which was removed, so that nothing comes of it: give "
        "another cart or order an id of its own, or put the deal back with board.restore"
    )
    bare = attrs.evolve(event, data={})
    _note(unit, new_held(HeldKind.CONFLICT, bare, reason, unit.now, bare.data_text(), ""))


def _note(unit: Unit, row: HeldRow) -> None:
    known = unit.transaction.held_by_key(unit.number, row.key)
    if known is None or known.discarded_at is None:
        unit.transaction.hold(unit.number, row)

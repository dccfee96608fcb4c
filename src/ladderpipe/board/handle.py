"""Taking one event."""

from __future__ import annotations

import datetime as dt
import functools
from typing import Final

import attrs

from ..errors import EventFromFutureError
from ..fold.draft import order_key
from ..model.event import WITHDRAW, Event, from_outside, named_by
from ..model.receipt import Outcome, Receipt
from ..observability.observer import Observer, observed
from ..stores.base import StoredDeal
from .boundary import go_on_or_raise
from .hold import (
    hold_event,
    note_archived,
    note_told_again,
    take_in_withdrawn,
)
from .merge import WHY, untangle
from .repeated import REPEATED, SNAPSHOT, is_repeated, repeated, says_nothing_new
from .session import Session
from .subscriptions import note_of
from .unit import Unit, receipt

__all__ = ["BATCH", "check_time", "handle", "take", "take_or_hold"]

BATCH: Final = 1000
"""How many events to a transaction, where many are told together."""


@observed("ladderpipe.handle", Observer.took, Observer.refused)
def handle(
    session: Session,
    event: Event,
    hold: bool = False,
    quiet: bool = False,
    as_read: bool = False,
) -> Receipt:
    """Take one event: one load, one decision, one commit; or hold what cannot be taken.

    Args:
        as_read: as :func:`take` has it.
    """
    return take_or_hold(session, event, hold, quiet, as_read)


def take_or_hold(session: Session, event: Event, hold: bool, quiet: bool, as_read: bool) -> Receipt:
    """Take one event in a transaction of its own, tried again where others were in the way."""
    told = from_outside(event)
    try:
        now = session.now()
        work = functools.partial(_take_alone, session, told, now, hold, quiet, as_read)
        answer = session.retried(work)
    except Exception as error:
        if not hold:
            raise
        go_on_or_raise(session, error)
        answer = hold_event(session, told, error)
    undeclared = session.pipeline.ladder.undeclared(told.type)
    return answer if undeclared is None else attrs.evolve(answer, undeclared=undeclared)


def _take_alone(
    session: Session, event: Event, now: dt.datetime, hold: bool, quiet: bool, as_read: bool
) -> Receipt:
    with session.writing(quiet) as unit:
        check_time(session, unit, event, now)
        return take(unit, event, hold, as_read)


def take(unit: Unit, event: Event, hold: bool = False, as_read: bool = False) -> Receipt:
    """Take one event inside a unit of work.

    Args:
        as_read: whether somebody has read how things stand, so that a snapshot of a cart tells
            nothing that anybody has done, unless it says something new.
    """
    stored, document = unit.load(event.deal, create=True)
    assert stored is not None
    if stored.removed_at is not None:
        note_of(unit, [event], None)
        note_archived(unit, event)
        return Receipt(Outcome.ARCHIVED, None, event=event.identity)
    if as_read and (answer := _left_out(unit, stored, document, event)) is not None:
        return answer
    known = unit.add_event(stored, event)
    if known is not None:
        if not unit.was_cut_short(stored, event, known):
            if stored.definition is None:
                unit.transaction.remove_unused_deals([stored.id])
            if unit.is_withdrawn(stored, event):
                note_told_again(unit, event)
            draft = unit.draft(stored, document).if_open()
            return Receipt(Outcome.DUPLICATE, draft, event=event.identity)
        event = unit.stored_event(stored, event)
    if event.type == WITHDRAW:
        take_in_withdrawn(unit, stored, named_by(event))
    answer = receipt(unit.decide(stored, document, [event], hold=hold), event)
    unit.flush()
    if untangle(unit):
        return _as_untangled(unit, answer, event)
    return answer


def _left_out(unit: Unit, stored: StoredDeal, document: str | None, event: Event) -> Receipt | None:
    """Put a snapshot of a cart aside that says nothing new, unless it is known already.

    The last of those that follow each other stands for all, or a cart that is looked at for days
    would fill the store.
    """
    draft = unit.draft(stored, document) if event.type == SNAPSHOT else None
    if draft is None or not says_nothing_new(draft, event):
        return None
    last, inert = draft.last_event_at, repeated(event)
    events = [each for each, _ in unit.transaction.events(stored.id) if is_repeated(each)]
    since = [each for each in events if last is not None and each.at > last]
    place = functools.partial(order_key, unit.pipeline.ladder)
    if not since or place(inert) > max(map(place, since)):
        if not unit.add_inert(stored, inert):
            return None
        unit.transaction.remove_events(unit.number, [(each.source, each.id) for each in since])
        draft = unit.decide(stored, document, [inert]).draft
        unit.flush()
    return Receipt(Outcome.STAYED, draft.if_open(), reason=REPEATED, event=event.identity)


def _as_untangled(unit: Unit, answer: Receipt, event: Event) -> Receipt:
    """Return a receipt for a merge, which may have turned out to be the earlier of a circle."""
    stored, document = unit.load(event.deal, create=False)
    if stored is None or stored.merged_into is not None:
        return answer
    draft = unit.draft(stored, document).if_open()
    return attrs.evolve(answer, outcome=Outcome.STAYED, deal=draft, moves=(), reason=WHY)


def check_time(session: Session, unit: Unit, event: Event, now: dt.datetime) -> None:
    """Refuse an event whose time is still to come, unless it is a known one that is told anew.

    Raises:
        EventFromFutureError: it lies further ahead than ``max_skew`` allows.
    """
    if event.type == WITHDRAW:
        return  # it has no place in time
    if event.at > now + session.max_skew and unit.known(event) is None:
        raise EventFromFutureError(
            f"event {event.id!r} for deal {event.deal!r} says it happens at "
            f"{event.at.isoformat()}, {event.at - now} from now: check the sender's clock and its "
            f"time zone (up to {session.max_skew} is accepted; Board(max_skew=...) changes that)"
        )

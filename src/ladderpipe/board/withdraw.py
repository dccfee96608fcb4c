"""Taking back what was told: an event of a deal, or the last thing that somebody did by hand."""

from __future__ import annotations

import datetime as dt
import functools
import os
from typing import Any

import attrs

from ..errors import (
    DealNotFoundError,
    EventNotFoundError,
    InvalidEventError,
    MoveNotAllowedError,
)
from ..fold.baseline import in_turn
from ..fold.order import in_order
from ..fold.withdrawals import Standing, is_held, standing
from ..model.clock import instant_text
from ..model.event import (
    BY_HAND,
    EDITED,
    OVERRIDE,
    OWN_SOURCE,
    WITHDRAW,
    Event,
    Identity,
    checked_name,
    named_by,
)
from ..model.held import Held, HeldKind
from ..model.receipt import Outcome, Receipt
from ..observability.observer import Observer, observed
from ..stores.base import HeldRow, StoredDeal
from .edit import known_deal
from .hand import asked_again, check_expected
from .hold import held_rows, take_in_withdrawn
from .options import check_actor
from .release import discard
from .session import Session
from .unit import Unit, receipt

__all__ = ["TakeBack", "take_back", "undo", "withdraw"]

_HANDS = (BY_HAND, OVERRIDE, EDITED)


@attrs.define(kw_only=True)
class TakeBack:
    """What a person takes back, under the identity that it has in every try.

    Attributes:
        target: what; ``None`` for the last thing done by hand.
        was_new: whether a try has found that nothing was told under this id.
    """

    by: str
    reason: str | None = None
    target: Identity | None = None
    expecting: str | None = None
    id: str = attrs.field(factory=lambda: os.urandom(16).hex())
    was_new: bool = False
    kind: str = WITHDRAW

    def event(self, deal: str, target: Identity, at: dt.datetime, seq: int) -> Event:
        """Return the event that tells it."""
        reason = {} if self.reason is None else {"reason": self.reason}
        data = {**target._asdict(), "by": self.by, **reason}
        return Event(WITHDRAW, deal=deal, id=self.id, at=at, source=OWN_SOURCE, seq=seq, data=data)

    def says_the_same(self, known: Event) -> bool:
        """Return whether a stored event took the same back."""
        is_same = self.target is None or named_by(known) == self.target
        return known.type == WITHDRAW and is_same


def take_back(
    target: Event | Held | Identity | tuple[str, str] | str | None,
    *,
    by: str,
    reason: str | None = None,
    expecting: str | None = None,
    id: str | None = None,
    source: str = "",
) -> TakeBack:
    """Return what a person takes back, once it is something that can be.

    Args:
        source: of an event of which only the id is given.

    Raises:
        InvalidEventError: nobody is named, or *target* names no event.
    """
    check_actor(by)
    if reason is not None and not isinstance(reason, str):
        raise InvalidEventError(f"reason={reason!r} must be text")
    named: Identity | None
    if isinstance(target, Held):
        target = target.event
    if isinstance(target, Event):
        named = target.identity
    elif isinstance(target, str):
        named = Identity(source, checked_name(target, "id"))
    elif target is None:
        named = None
    elif isinstance(target, tuple) and len(target) == 2:
        named = Identity(checked_name(target[0], "source"), checked_name(target[1], "id"))
    else:
        raise InvalidEventError(
            f"{target!r} names no event: give the event, receipt.event, or its id"
        )
    asked = TakeBack(by=by, reason=reason, target=named, expecting=expecting)
    return asked if id is None else attrs.evolve(asked, id=checked_name(id, "id"))


@observed("ladderpipe.withdraw", Observer.took, Observer.refused)
def withdraw(session: Session, given: Any, asked: TakeBack) -> Receipt:
    """Take one event back."""
    if isinstance(given, Held) and given.kind in (HeldKind.CONFLICT, HeldKind.COPY):
        # Its identity is another event's, so no withdrawal can name it.
        discard(session, given.key, asked.by, asked.reason or "withdrawn", is_withdrawn=True)
        return Receipt(Outcome.STAYED, None, event=asked.target)
    return session.retried(functools.partial(_withdraw_once, session, asked))


def _withdraw_once(session: Session, asked: TakeBack) -> Receipt:
    assert asked.target is not None
    with session.writing() as unit:
        unit.check_pipeline()
        stored, document = _deal_of(unit, asked.target)
        return _taken_back(unit, stored, document, asked, asked.target)


def _deal_of(unit: Unit, target: Identity) -> tuple[StoredDeal, str | None]:
    """Lock and return the deal that an event is about.

    Raises:
        EventNotFoundError: no such event is known, or held.
    """
    known = unit.known_as(*target)
    loaded = None if known is None else unit.transaction.load_by_id(known.deal_id)
    if loaded is not None:
        return loaded
    row = _held(unit, target)
    if row is None:
        raise EventNotFoundError(
            f"no event {target.id!r} (source {target.source!r}) is known: check id and source; "
            "receipt.event names both"
        )
    stored, document = unit.load(row.deal, create=True)
    assert stored is not None
    return stored, document


def _held(unit: Unit, target: Identity) -> HeldRow | None:
    rows = held_rows(unit.transaction, unit.number, None)
    return next((row for row in rows if (row.source, row.id) == target), None)


@observed("ladderpipe.undo", Observer.took, Observer.refused)
def undo(session: Session, deal: str, asked: TakeBack) -> Receipt:
    """Take back what was done to a deal by hand."""
    if asked.target is None and asked.expecting is None:
        raise InvalidEventError(
            f"undo of deal {deal!r} says neither event= nor expecting=: name what is undone, or "
            "the stage in which you see the deal, so that a double click does not undo two"
        )
    deal = checked_name(deal, "deal")
    return session.retried(functools.partial(_undo_once, session, deal, asked))


def _undo_once(session: Session, deal: str, asked: TakeBack) -> Receipt:
    with session.writing() as unit:
        stored, document = known_deal(unit, deal)
        if asked_again(unit, stored, asked) is not None:
            return _known(unit, stored, document, asked)
        left = _left(unit, stored)
        target = asked.target
        if target is None:
            _check_expected(unit, stored, document, asked)
            target = _last_hand(left, stored, asked)
        elif not _is_hand(left, stored, target):
            raise InvalidEventError(
                f"event {target.id!r} (source {target.source!r}) is nothing that was done to deal "
                f"{deal!r} by hand: board.withdraw takes any event back"
            )
        elif target not in left.named:
            _check_expected(unit, stored, document, asked)
        return _taken_back(unit, stored, document, asked, target)


def _check_expected(unit: Unit, stored: StoredDeal, document: str | None, asked: TakeBack) -> None:
    if asked.expecting is not None:
        swept = unit.preview(stored, document, unit.now)
        check_expected(unit, stored, swept, None, asked.expecting)


def _known(unit: Unit, stored: StoredDeal, document: str | None, asked: TakeBack) -> Receipt:
    draft = unit.draft(stored, document).if_open()
    outcome = Outcome.STAYED if asked.was_new else Outcome.DUPLICATE
    return Receipt(outcome, draft, event=Identity(OWN_SOURCE, asked.id))


def _left(unit: Unit, stored: StoredDeal) -> Standing:
    events = [event for event, _ in unit.transaction.events(stored.id)]
    return standing(in_order(unit.pipeline.ladder, events))


def _is_hand(left: Standing, stored: StoredDeal, target: Identity) -> bool:
    told = (*left.events, *(each.event for each in left.withdrawn))
    return any(event.type in _HANDS and event.identity == target for event in told)


def _last_hand(left: Standing, stored: StoredDeal, asked: TakeBack) -> Identity:
    """Return the last thing done by hand, if *expecting* leaves no doubt which that is.

    Raises:
        MoveNotAllowedError: there is none, or a double click could not be told from a second undo.
    """
    hands = [event for event in left.events if event.type in _HANDS]
    if not hands:
        raise MoveNotAllowedError(
            f"nothing was done to deal {stored.deal!r} by hand that is not taken back already",
            deal=stored.deal,
            expecting=asked.expecting,
        )
    last = hands[-1]
    undone = [each for each in left.withdrawn if each.by.data.get("by") is not None]
    latest = max(undone, key=lambda each: (each.by.at, each.by.seq), default=None)
    if latest is not None and latest.by.at >= last.at:
        # Undoing a move shows in where the deal is. Undoing what left it there does not.
        into = latest.event.data.get("into")
        if latest.event.type == EDITED or into == asked.expecting:
            raise MoveNotAllowedError(
                f"event {latest.event.id!r} of deal {stored.deal!r} was taken back already by "
                f"{latest.by.data['by']} at {instant_text(latest.by.at)}, and the deal is where it "
                f"was: to undo what was before, name it with event={last.id!r}",
                deal=stored.deal,
                expecting=asked.expecting,
            )
    return last.identity


def _taken_back(
    unit: Unit, stored: StoredDeal, document: str | None, asked: TakeBack, target: Identity
) -> Receipt:
    if stored.removed_at is not None:
        raise DealNotFoundError(f"deal {stored.deal!r} was removed and only its tombstone is left")
    if asked_again(unit, stored, asked) is not None:
        return _known(unit, stored, document, asked)
    take_in_withdrawn(unit, stored, target)
    left = _left(unit, stored)
    if target in left.named:
        draft = unit.draft(stored, document).if_open()
        return Receipt(Outcome.DUPLICATE, draft, event=left.named[target].identity)
    _check_not_in_baseline(unit, stored, left, target)
    swept = unit.decide(stored, document, [], sweep_to=unit.now)
    unit.flush()
    again = unit.transaction.load_by_id(stored.id)
    assert again is not None
    stored, document = again
    event = asked.event(stored.deal, target, *_after_all(left, unit.now))
    unit.add_event(stored, event)
    answer = receipt(unit.decide(stored, document, [event]), event)
    unit.flush()
    return attrs.evolve(answer, moves=(*receipt(swept, event).moves, *answer.moves))


def _after_all(left: Standing, now: dt.datetime) -> tuple[dt.datetime, int]:
    """Return a place after that of every withdrawal of the deal, of which the last ones count."""
    others = [*left.named.values(), *(each.event for each in left.astray)]
    others += [each.event for each in left.withdrawn if each.event.type == WITHDRAW]
    latest = max(((other.at, other.seq) for other in others), default=(now, -1))
    return (now, 0) if latest[0] < now else (latest[0], max(latest[1] + 1, 0))


def _check_not_in_baseline(
    unit: Unit, stored: StoredDeal, left: Standing, target: Identity
) -> None:
    """Refuse to take back what stands in a baseline, which nobody can take apart.

    Raises:
        MoveNotAllowedError: it does.
    """
    baselines = in_turn(left.events)
    for event in left.events:
        if event.identity != target:
            continue
        if is_held(event, baselines[-1] if baselines else None):
            raise MoveNotAllowedError(
                f"event {target.id!r} of deal {stored.deal!r} cannot be taken back: it stands in "
                "what a baseline carries (after board.migrate, board.forget or retention); correct "
                "the deal with board.edit, or move it with board.override",
                deal=stored.deal,
            )

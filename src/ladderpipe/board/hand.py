"""What people do with deals: move them, one or many, within the rules or past them.

A hand is an event like any other (S13). What it asks for is checked under the deal's lock, after
a sweep; what is refused is not recorded.
"""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import attrs

from ..errors import (
    DealNotFoundError,
    DefinitionError,
    EventConflictError,
    EventFromFutureError,
    InvalidEventError,
    MoveNotAllowedError,
)
from ..fold.cursor import hand_instant
from ..fold.draft import Draft
from ..ladder.rules import ByHand
from ..model.clock import instant, instant_text
from ..model.event import BY_HAND, OVERRIDE, OWN_SOURCE, PHASE_HAND, Event, Identity, checked_name
from ..model.move import Move
from ..model.receipt import Outcome, Receipt
from ..model.report import BatchReport, EventFailure
from ..model.stage import Stage
from ..observability.observer import Observer, observed
from ..pipeline import Pipeline
from ..stores.base import KnownEvent, StoredDeal, chunks
from .boundary import as_failure, go_on_or_raise
from .options import before_hand, check_actor, judged_before, refuse
from .session import Session
from .stored import move_of
from .unit import Unit, receipt

__all__ = ["MoveByHand", "asked_again", "check_expected", "hand", "move", "move_many"]

BATCH: Final = 200
"""How many hands of :func:`move_many` to a transaction."""
LONGEST_ID: Final = 200
"""Characters of one of their ids; each may take four bytes."""


@attrs.define(kw_only=True)
class MoveByHand:
    """What a person asks for, under the identity that it has in every try.

    Attributes:
        id: drawn once where nobody gave one, so that a second try of one transaction knows what
            a first has stored whose answer got lost.
        was_new: whether a try has found that nothing was told under this id.
    """

    kind: str
    into: Stage
    by: str
    reason: str | None = None
    properties: Mapping[str, Any] | None = None
    at: dt.datetime | None = None
    expecting: str | None = None
    id: str = attrs.field(factory=lambda: os.urandom(16).hex())
    quiet: bool = False
    was_new: bool = False

    def event(self, deal: str, at: dt.datetime, seq: int = 0) -> Event:
        """Return the event that tells it."""
        told = {
            "into": self.into.key,
            "by": self.by,
            "reason": self.reason,
            "properties": self.properties or None,
            "quiet": self.quiet or None,
        }
        data = {name: value for name, value in told.items() if value is not None}
        return Event(self.kind, deal=deal, id=self.id, at=at, source=OWN_SOURCE, seq=seq, data=data)

    def says_the_same(self, known: Event) -> bool:
        """Return whether a stored event asked for the same: what it was about, not how."""
        return known.type == self.kind and known.data.get("into") == self.into.key


def hand(
    pipeline: Pipeline,
    into: Stage | str,
    *,
    by: str,
    id: str | None = None,
    at: dt.datetime | str | None = None,
    reason: str | None = None,
    properties: Mapping[str, Any] | None = None,
    expecting: Stage | str | None = None,
    quiet: bool = False,
    override: bool = False,
) -> MoveByHand:
    """Return what a person asks for, once it is something that can be asked for.

    Raises:
        InvalidEventError: nobody is named, or something is not what it should be.
        MoveNotAllowedError: the pipeline has no such stage.
    """
    check_actor(by)
    if reason is not None and not isinstance(reason, str):
        raise InvalidEventError(f"reason={reason!r} must be text")
    if properties is not None and not isinstance(properties, Mapping):
        raise InvalidEventError(f"properties={properties!r} must map names to values")
    try:
        stage = pipeline.stage(into)
    except DefinitionError as error:
        raise MoveNotAllowedError(str(error), into=into) from None
    asked = MoveByHand(
        kind=OVERRIDE if override else BY_HAND,
        into=stage,
        by=by,
        reason=reason,
        properties=properties,
        at=None if at is None else instant(at),
        expecting=None if expecting is None else str(expecting),
        quiet=bool(quiet),
    )
    return asked if id is None else attrs.evolve(asked, id=checked_name(id, "id"))


@observed("ladderpipe.move", Observer.took, Observer.refused)
def move(session: Session, deal: str, asked: MoveByHand) -> Receipt:
    """Move a deal by hand, within the ``by_hand`` rules or, overriding, past them."""
    deal = checked_name(deal, "deal")
    return session.retried(functools.partial(_move_alone, session, deal, asked))


def _move_alone(session: Session, deal: str, asked: MoveByHand) -> Receipt:
    with session.writing() as unit:
        return _move_in(session, unit, deal, asked)


@observed("ladderpipe.move_many", Observer.took_many)
def move_many(session: Session, deals: Iterable[str], asked: MoveByHand) -> BatchReport:
    """Move many deals by hand; one that is refused does not keep the others."""
    hands = [(name, _of_many(asked, name)) for name in (checked_name(d, "deal") for d in deals)]
    outcomes: Counter[Outcome] = Counter()
    failures: list[EventFailure] = []
    for part in chunks(enumerate(hands), BATCH):
        taken, refused = _move_part(session, part)
        outcomes.update(taken)
        failures += refused
    return BatchReport(dict(outcomes), tuple(sorted(failures, key=lambda each: each.position)))


Hand: TypeAlias = tuple[int, tuple[str, MoveByHand]]
Moved: TypeAlias = tuple[Counter[Outcome], list[EventFailure]]


def _of_many(asked: MoveByHand, deal: str) -> MoveByHand:
    """Return one deal's hand; its id is the same whenever the same is asked for again."""
    text = f"{asked.id}:{deal}"
    if len(text) > LONGEST_ID:
        text = hashlib.blake2b(text.encode(), digest_size=32).hexdigest()
    return attrs.evolve(asked, id=text)


def _move_part(session: Session, part: Sequence[Hand]) -> Moved:
    try:
        return session.retried(functools.partial(_move_together, session, part))
    except Exception as error:
        go_on_or_raise(session, error)
    return _move_apart(session, part)


def _move_together(session: Session, part: Sequence[Hand]) -> Moved:
    outcomes: Counter[Outcome] = Counter()
    failures: list[EventFailure] = []
    with session.writing() as unit:
        unit.check_pipeline()
        # In one order for everybody, so that two of these do not wait for each other.
        for position, (deal, asked) in sorted(part, key=lambda each: each[1][0]):
            try:
                with unit.attempt():
                    outcomes[_move_in(session, unit, deal, asked).outcome] += 1
            except Exception as error:
                go_on_or_raise(session, error, unit.transaction)
                event = asked.event(deal, unit.now)
                failures.append(EventFailure(position, event, as_failure(deal, error)))
    return outcomes, failures


def _move_apart(session: Session, part: Sequence[Hand]) -> Moved:
    """Move each deal in a transaction of its own, since nobody knows whose rows it was."""
    outcomes: Counter[Outcome] = Counter()
    failures: list[EventFailure] = []
    for position, (deal, asked) in part:
        try:
            work = functools.partial(_move_alone, session, deal, asked)
            outcomes[session.retried(work).outcome] += 1
        except Exception as error:
            go_on_or_raise(session, error)
            event = asked.event(deal, session.now())
            failures.append(EventFailure(position, event, as_failure(deal, error)))
    return outcomes, failures


def _move_in(session: Session, unit: Unit, deal: str, asked: MoveByHand) -> Receipt:
    """Move a deal inside a unit of work."""
    stored, document = unit.load(deal, create=True)
    assert stored is not None
    if stored.removed_at is not None:
        raise DealNotFoundError(f"deal {deal!r} was removed and only its tombstone is left")
    known = asked_again(unit, stored, asked)
    if known is not None:
        return _answer_again(unit, stored, document, asked, known)
    if asked.kind == OVERRIDE and is_unheard_of(stored):
        raise DealNotFoundError(
            f"no event of a deal {deal!r} is known, so there is nothing to override; check the "
            "id, or open it with an event or by hand"
        )
    swept = unit.decide(stored, document, [], sweep_to=unit.now)
    unit.flush()
    stored, document = unit.load(deal, create=False)
    assert stored is not None
    draft = unit.draft(stored, document)
    check_expected(unit, stored, draft, asked.into, asked.expecting)
    event = _told(session, unit, stored, draft, asked)
    if asked.kind == BY_HAND and _is_asked_for(unit.pipeline, asked.into):
        # No rule may give leave; all else is the fold's to say.
        before = before_hand(unit, stored, document, event)
        if not judged_before(before, event, asked.by).allowed:
            refuse(unit, stored, before, event, asked.expecting, asked.at is not None)
    unit.add_event(stored, event)
    decision = unit.decide(stored, document, [event])
    answer = receipt(decision, event)
    if answer.outcome not in (Outcome.MOVED, Outcome.OPENED):
        before = before_hand(unit, stored, document, event)
        refuse(unit, stored, before, event, asked.expecting, asked.at is not None)
    unit.flush()
    return attrs.evolve(
        answer,
        moves=(*receipt(swept, event).moves, *answer.moves),
        reason=_moved_on(decision.moves, event),
    )


def is_unheard_of(stored: StoredDeal) -> bool:
    """Return whether nothing was ever told of a deal, not even what was taken back."""
    return stored.last_event_at is None and stored.timers is None


def asked_again(unit: Unit, stored: StoredDeal, asked: Any) -> KnownEvent | None:
    """Return what is known under the id of a hand, if that is the same hand.

    Raises:
        EventConflictError: it is about another deal, or asks for something else.
    """
    known = unit.known(
        Event(asked.kind, deal=stored.deal, id=asked.id, at=unit.now, source=OWN_SOURCE)
    )
    if known is None:
        asked.was_new = True
        return None
    if known.digest is None:  # forgotten, so there is nothing left to compare
        return known
    told = None
    if known.deal_id == stored.id:
        told = unit.event_of(stored, OWN_SOURCE, asked.id)
    if told is None or not asked.says_the_same(told):
        about = f"deal {stored.deal!r}" if told is None else _said(told)
        other = "another deal than" if told is None else "something else about"
        raise EventConflictError(
            f"id={asked.id!r} was given to a hand already that asked for {other} {about}: "
            "an identity names one event; give every hand an id of its own"
        )
    return known


def _said(told: Event) -> str:
    into = told.data.get("into")
    return f"deal {told.deal!r} ({told.type}{f' into {into}' if into else ''})"


def _answer_again(
    unit: Unit, stored: StoredDeal, document: str | None, asked: MoveByHand, known: KnownEvent
) -> Receipt:
    """Answer a hand that is stored; its moves are those of one recording.

    A try of our own whose answer got lost is answered as it would have been, another request with
    the same id as a duplicate.
    """
    draft = unit.draft(stored, document)
    identity = Identity(OWN_SOURCE, asked.id)
    if not asked.was_new:
        told = unit.event_of(stored, OWN_SOURCE, asked.id)
        if told is not None and unit.was_cut_short(stored, told, known):
            answer = receipt(unit.decide(stored, document, [told]), told)
            unit.flush()
            return answer
        return Receipt(Outcome.DUPLICATE, draft.if_open(), event=identity)
    records = unit.transaction.moves(stored.id)
    own = [record for record in records if record.event_id == asked.id]
    events = {(found.source, found.id): found for found, _ in unit.transaction.events(stored.id)}
    made = tuple(
        move_of(unit.pipeline.ladder, stored.deal, record, events)
        for record in records
        if own and record.recorded_at == own[0].recorded_at
    )
    outcome = Outcome.OPENED if own and own[0].n == 1 else Outcome.MOVED
    return Receipt(outcome, draft.if_open(), made, event=identity)


def check_expected(
    unit: Unit, stored: StoredDeal, draft: Draft, into: Stage | None, expecting: str | None
) -> None:
    """Refuse a hand whose owner looked at a deal as it is no more.

    Raises:
        MoveNotAllowedError: the deal is not in the stage, or visit, where it was thought to be.
    """
    stage = draft.stage
    if expecting is None or expecting in (draft.visit_key, stage and stage.key):
        return
    raise MoveNotAllowedError(
        f"deal {stored.deal!r} is {'not open' if stage is None else f'in {stage}'} and not, as "
        f"expected, in {expecting}: {_meanwhile(unit, stored, expecting)}; look at it again, and "
        "say expecting=... of what you see then",
        deal=stored.deal,
        stage=stage,
        into=into,
        expecting=expecting,
    )


def _meanwhile(unit: Unit, stored: StoredDeal, expecting: str) -> str:
    """Say who moved a deal out of where it was thought to be, and where it went since."""
    ladder = unit.pipeline.ladder
    events = {(found.source, found.id): found for found, _ in unit.transaction.events(stored.id)}
    since = []
    for record in reversed(unit.transaction.moves(stored.id)):
        if expecting in (record.into, record.visit_key):
            break
        since.append(move_of(ladder, stored.deal, record, events))
    else:
        return "it never was there"
    return ", then ".join(map(_who_moved, reversed(since)))


def _who_moved(made: Move) -> str:
    cause = made.event
    who = f"the timer {made.rule!r}"
    if cause is not None:
        who = f"{cause.data.get('by') or 'somebody'} by hand" if _is_hand(cause) else cause.type
    return f"{who} moved it into {made.into} at {instant_text(made.at)}"


def _is_hand(event: Event) -> bool:
    return event.type in (BY_HAND, OVERRIDE)


def _told(
    session: Session, unit: Unit, stored: StoredDeal, draft: Draft, asked: MoveByHand
) -> Event:
    """Return the event of a hand, at its place: after all that was, or at the time it names."""
    if asked.at is None:
        return asked.event(stored.deal, *hand_instant(draft, unit.now))
    if asked.at > unit.now + session.max_skew:
        raise EventFromFutureError(
            f"at={asked.at.isoformat()} of a move of deal {stored.deal!r} is still to come: leave "
            "at= out for now, or say when it happened"
        )
    if draft.opened_at is not None and asked.at < draft.opened_at:
        raise MoveNotAllowedError(
            f"deal {stored.deal!r} was opened at {draft.opened_at.isoformat()} and cannot be moved "
            f"into {asked.into} before that, at {asked.at.isoformat()}: say a later at=",
            deal=stored.deal,
            into=asked.into,
        )
    hands = [
        event.seq
        for event, _ in unit.transaction.events(stored.id)
        if event.at == asked.at and event.phase >= PHASE_HAND
    ]
    return asked.event(stored.deal, asked.at, max(hands, default=-1) + 1)


def _is_asked_for(pipeline: Pipeline, into: Stage) -> bool:
    """Whether some rule asks who moves a deal into this stage."""
    return any(
        rule.may is not None and rule.into == into and isinstance(rule.trigger, ByHand)
        for rule in pipeline.rules
    )


def _moved_on(moves: Iterable[Move], event: Event) -> str | None:
    """Say what moved a deal on after the move that a hand made in the past, if something did."""
    after: list[Move] | None = None
    for made in moves:
        if after is not None:
            after.append(made)
        elif made.event is not None and made.event.id == event.id:
            after = []
    return f"it did not stay there: {', then '.join(map(_who_moved, after))}" if after else None

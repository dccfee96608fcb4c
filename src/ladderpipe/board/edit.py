"""Correcting what is known of a deal by hand, and taking back what was told of it."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from typing import Any

import attrs

from ..errors import DealNotFoundError, InvalidEventError
from ..fold.cursor import hand_instant
from ..model.deal import KEEP
from ..model.event import EDITED, OWN_SOURCE, Event, Identity, checked_name
from ..model.receipt import Outcome, Receipt
from ..model.sameness import same_data
from ..observability.observer import Observer, observed
from ..stores.base import StoredDeal
from .hand import asked_again, check_expected, is_unheard_of
from .options import check_actor
from .session import Session
from .unit import Unit, receipt

__all__ = ["Edit", "edit", "edit_of"]


@attrs.define(kw_only=True)
class Edit:
    """What a person corrects, under the identity that it has in every try.

    Attributes:
        fields: what the deal is to say from now on.
        was_new: whether a try has found that nothing was told under this id.
    """

    by: str
    fields: dict[str, Any]
    note: str | None = None
    expecting: str | None = None
    id: str = attrs.field(factory=lambda: os.urandom(16).hex())
    was_new: bool = False
    kind: str = EDITED

    def event(self, stored: StoredDeal, unit: Unit, document: str | None) -> Event:
        """Return the event that tells it, after all that the deal has seen."""
        at, seq = hand_instant(unit.draft(stored, document), unit.now)
        note = {} if self.note is None else {"note": self.note}
        data = {**self.fields, "by": self.by, **note}
        return Event(
            EDITED, deal=stored.deal, id=self.id, at=at, source=OWN_SOURCE, seq=seq, data=data
        )

    def says_the_same(self, known: Event) -> bool:
        """Return whether a stored event corrected the same."""
        told = {name: known.data[name] for name in known.data if name not in ("by", "note")}
        return known.type == EDITED and same_data(told, self.fields)


def edit_of(
    fields: Mapping[str, Any],
    *,
    by: str,
    note: str | None,
    expecting: str | None,
    id: str | None,
) -> Edit:
    """Return what a person corrects, once it is something that can be corrected.

    Raises:
        InvalidEventError: nobody is named, or nothing is said.
    """
    check_actor(by)
    if note is not None and not isinstance(note, str):
        raise InvalidEventError(f"note={note!r} must be text")
    told = {name: value for name, value in fields.items() if value is not KEEP}
    if not told and not note:
        raise InvalidEventError(
            "this edit changes nothing and notes nothing: say owner=, value=, title=, contact=, "
            "properties= or note="
        )
    # What can be no event's data is refused before anything is asked of a store.
    plain = Event(EDITED, deal="?", id="?", at="2000-01-01T00:00Z", data=told).data
    asked = Edit(by=by, fields=dict(plain), note=note, expecting=expecting)
    return asked if id is None else attrs.evolve(asked, id=checked_name(id, "id"))


@observed("ladderpipe.edit", Observer.took, Observer.refused)
def edit(session: Session, deal: str, asked: Edit) -> Receipt:
    """Correct what is known of a deal."""
    deal = checked_name(deal, "deal")
    return session.retried(functools.partial(_edit_once, session, deal, asked))


def _edit_once(session: Session, deal: str, asked: Edit) -> Receipt:
    with session.writing() as unit:
        stored, document = known_deal(unit, deal)
        if asked_again(unit, stored, asked) is not None:
            outcome = Outcome.STAYED if asked.was_new else Outcome.DUPLICATE
            draft = unit.draft(stored, document).if_open()
            return Receipt(outcome, draft, event=Identity(OWN_SOURCE, asked.id))
        swept = unit.decide(stored, document, [], sweep_to=unit.now)
        unit.flush()
        stored, document = known_deal(unit, deal)
        check_expected(unit, stored, unit.draft(stored, document), None, asked.expecting)
        event = asked.event(stored, unit, document)
        unit.add_event(stored, event)
        answer = receipt(unit.decide(stored, document, [event]), event)
        unit.flush()
        return attrs.evolve(answer, moves=(*receipt(swept, event).moves, *answer.moves))


def known_deal(unit: Unit, deal: str) -> tuple[StoredDeal, str | None]:
    """Lock and return the row and document of a deal of which something was told.

    Raises:
        DealNotFoundError: nothing was, or it was removed.
    """
    stored, document = unit.load(deal, create=False)
    if stored is None or (stored.removed_at is None and is_unheard_of(stored)):
        raise DealNotFoundError(
            f"no event of a deal {deal!r} is known: check the id, or open it with an event"
        )
    if stored.removed_at is not None:
        raise DealNotFoundError(f"deal {deal!r} was removed and only its tombstone is left")
    return stored, document

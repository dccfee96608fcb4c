"""Working out the customers of all deals, a batch in each sweep.

Once those of deals from before customers were known, and all of them when a pipeline's
``customer=`` is another one than that which the store's deals are indexed by.
"""

from __future__ import annotations

from typing import Final

from ..stores.base import StoredDeal
from .boundary import UNREADABLE
from .customers import NOBODY, customer_text, has_said, known_source, source_of, unsubscribes_all
from .session import Session
from .unit import Unit

__all__ = ["index", "renew"]

BATCH: Final = 1000


def index(session: Session) -> None:
    """Work out the customers of deals from before customers were known."""
    with session.writing() as unit:
        unit.check_pipeline()
        for stored, document in unit.transaction.unindexed(session.number, BATCH):
            told = [event for event, _ in unit.transaction.events(stored.id)]
            says_so = any(map(unsubscribes_all, told))
            customer = _worked_out(unit, stored, document, source_of(told) or "", says_so)
            unit.note_customer(stored, customer)


def renew(session: Session, after: int) -> int | None:
    """Work out the customers once more, by the pipeline's ``customer=`` of now.

    Returns:
        The deal to go on after; ``None`` when that was the last one.
    """
    with session.writing() as unit:
        unit.check_pipeline()
        deals = unit.transaction.every_deal(session.number, after, BATCH)
        for stored, document in deals:
            if _renewed(unit, stored, document) != stored.customer:
                # Only what changes is locked, and as it is by then.
                now = unit.transaction.load_by_id(stored.id)
                if now is not None:
                    unit.note_customer(now[0], _renewed(unit, *now))
    return deals[-1][0].id if len(deals) == BATCH else None


def _renewed(unit: Unit, stored: StoredDeal, document: str | None) -> str | None:
    known = stored.customer
    if known is None or stored.definition is None:
        return known
    return _worked_out(unit, stored, document, known_source(known), has_said(known))


def _worked_out(
    unit: Unit, stored: StoredDeal, document: str | None, source: str, says_so: bool
) -> str:
    """Return what the row keeps; one that cannot be read is nobody's, and keeps no other back."""
    try:
        return customer_text(unit.pipeline, unit.draft(stored, document), source, says_so)
    except UNREADABLE:
        return NOBODY

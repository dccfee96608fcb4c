"""Deals as they stood at an earlier instant: the fold of their events up to it.

What was before a baseline the stored moves tell, whatever today's ladder would make of it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import TYPE_CHECKING

from ..errors import DealNotFoundError, PipelineChangedError
from ..fold import fold as folding
from ..fold.withdrawals import is_told
from ..model.deal import Deal
from ..model.event import BASELINE, Event
from ..model.history import History
from ..model.stage import Stage, Status
from ..model.visit import visit_keys
from .boundary import UNREADABLE
from .read import stored_deal
from .stored import move_of

if TYPE_CHECKING:
    from ..ladder.ladder import Ladder
    from ..stores.base import MoveRecord
    from .session import Session

__all__ = ["deals_at", "history_at"]

PAGE = 500


def history_at(session: Session, deal_id: str, at: dt.datetime) -> History:
    """Return what a deal had been through by an instant.

    Raises:
        DealNotFoundError: it was not open yet, or there is none.
    """
    with session.reading() as transaction:
        stored, _ = stored_deal(session, transaction, deal_id)
        told = [] if stored is None else [event for event, _ in transaction.events(stored.id)]
        records = [] if stored is None else transaction.moves(stored.id)
    found = _history(session.pipeline.ladder, told, records, at)
    if found is None:
        raise DealNotFoundError(
            f"pipeline {session.pipeline.name!r} had no open deal {deal_id!r} at "
            f"{at.isoformat()}: check the id, or ask for a later instant"
        )
    return found


def deals_at(
    session: Session,
    at: dt.datetime,
    stage: Stage | str | None = None,
    status: Status | None = None,
    owner: str | None = None,
) -> Iterator[Deal]:
    """Yield the deals that were open or closed at an instant, as they stood then."""
    wanted = None if stage is None else session.pipeline.stage(stage)
    after = 0
    while True:
        with session.reading() as transaction:
            page = transaction.every_deal(session.number, after, PAGE)
            there = [stored for stored, _ in page if stored.removed_at is None]
            told = transaction.events_of([stored.id for stored in there])
            records = transaction.moves_of([stored.id for stored in there])
        for stored in there:
            events = [event for event, _ in told.get(stored.id, ())]
            moves = records.get(stored.id, ())
            try:
                found = _history(session.pipeline.ladder, events, moves, at)
                deal = None if found is None else found.deal
            except PipelineChangedError:
                raise
            except UNREADABLE as error:
                session.observer.unreadable(stored.deal, error)
                continue
            if (
                deal is not None
                and wanted in (None, deal.stage)
                and status in (None, deal.status)
                and owner in (None, deal.owner)
            ):
                yield deal
        if len(page) < PAGE:
            return
        after = page[-1][0].id


def _history(
    ladder: Ladder, events: Sequence[Event], records: Sequence[MoveRecord], at: dt.datetime
) -> History | None:
    draft, found, _ = folding.run(ladder, events, at)
    if draft is None:
        return None
    by_identity = {(event.source, event.id): event for event in events}
    moves = tuple(found)
    base = draft.visit - len(moves)
    before = [record for record in records if record.n <= base]
    if any(event.type == BASELINE and not is_told(event, at) for event in events):
        # The ladder may have been another one then: what was stored is what was so.
        before = list(takewhile(lambda record: record.at <= at, records))
        if before and (draft.stage is None or draft.stage.key != before[-1].into):
            last = before[-1]
            draft.enter_stored(last.into)
            draft.visit, draft.visit_key, draft.entered_at = last.n, last.visit_key, last.at
            draft.due_at = draft.next_timer = None
        moves = () if before else moves
    if draft.stage is None:
        return None
    keys = [record.visit_key for record in before]
    keys += visit_keys(keys[-1] if keys else None, moves)
    rows = [move_of(ladder, draft.deal, record, by_identity) for record in before]
    return History(
        draft,
        [*rows, *moves],
        keys=keys,
        aside=draft.aside.values(),
        withdrawn=draft.takings,
    )

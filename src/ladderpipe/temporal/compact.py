"""Making a long deal's state small: a baseline, and what it holds emptied of its data (S15)."""

from __future__ import annotations

from typing import Final

from ..board.baseline import past_of, write_baseline
from ..board.session import Session
from ..board.stored import draft_of
from ..fold.baseline import mark
from ..model.event import BASELINE, EDITED, MERGED

__all__ = ["compact"]

OWN: Final = (EDITED, MERGED)
"""Our own types beside those that begin with ``ladder.``: what they say is shown by ``explain``."""


def compact(session: Session, deal: str) -> None:
    """Write a baseline where an open deal stands; a deal that waits stays as it is.

    Identities stay, so that what is told again is still a duplicate; as after ``forget`` there is
    nothing left to compare it with.
    """
    with session.writing(quiet=True) as unit:
        stored, document = unit.load(deal, create=False)
        if stored is None or stored.stage is None:
            return
        past = past_of(unit, stored)
        draft = draft_of(unit.pipeline, stored, lambda: document)
        write_baseline(unit, stored, draft, past)
        unit.flush()
        written = [event for event, _ in unit.transaction.events(stored.id)]
        seen = next(event for event in reversed(written) if event.type == BASELINE).data["seen"]
        emptied = [
            (event, "{}")
            for event in past.events
            if event.data
            and not event.type.startswith("ladder.")
            and event.type not in OWN
            and mark(event.source, event.id) in seen
        ]
        unit.transaction.replace_event_data(unit.number, emptied)

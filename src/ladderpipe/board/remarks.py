"""Remarks on events that came to nothing, so that health can count them.

*After closing*: it would have opened a deal of its own, and its deal was closed where it stands in
S9. A shop that uses the id of a closed deal again loses a deal that way. What would only open the
deal into the stage that it stands in, such as an order told again, is no such event.

*Late*: it sorts before the baseline of its deal, was told after it, and changed nothing.

A remark follows from the events, as the history does: it comes and goes with a refold. Of what a
baseline holds it stays as it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from ..fold import fold as folding
from ..ladder.ladder import Ladder
from ..model.event import Event
from ..model.receipt import Outcome
from ..model.stage import Stage
from ..stores.base import Transaction
from .checkpoint import stored_at
from .decision import Decision

__all__ = ["AFTER_CLOSING", "LATE", "REMARKS", "remarks_on"]

AFTER_CLOSING: Final = "after_closing"
LATE: Final = "late"
REMARKS: Final = (AFTER_CLOSING, LATE)


def remarks_on(
    transaction: Transaction, decision: Decision, new: Sequence[Event]
) -> Mapping[tuple[str, str], str | None]:
    """Return the remarks that a decision changes, ``None`` for those that no longer hold.

    Args:
        new: the events that were decided about.
    """
    now = _remarks_of(decision, new)
    if not decision.asked_anew or not (now or _may_have_some(decision)):
        return now
    known = transaction.remarks(decision.stored.id, decision.asked_between)
    gone = [identity for identity in known if identity not in now and _is_open(decision, identity)]
    return {i: remark for i, remark in now.items() if known.get(i) != remark} | dict.fromkeys(gone)


def _remarks_of(decision: Decision, new: Sequence[Event]) -> dict[tuple[str, str], str]:
    """Return the remarks on all that was folded."""
    draft = decision.draft
    if not (draft.after_closing or draft.late):
        return {}
    found = {
        identity: AFTER_CLOSING
        for identity, (event, stage) in draft.after_closing.items()
        if _would_open(draft.ladder, event) not in (None, stage)
    }
    if draft.late:
        # A baseline of a former version does not say which of the others it holds.
        asked = new if draft.base is None else _folded_late(decision)
        outcomes = zip(asked, decision.outcomes(asked), strict=True)
        late = [event for event, outcome in outcomes if outcome is Outcome.LATE]
        found = {(event.source, event.id): LATE for event in late} | found
    return found


def _folded_late(decision: Decision) -> list[Event]:
    return [event for identity in decision.draft.late if (event := decision.events.get(identity))]


def _would_open(ladder: Ladder, event: Event) -> Stage | None:
    """Return the stage in which an event would open a deal that nothing else is known of."""
    draft, _, _ = folding.fold_all(ladder, event.deal, [event])
    return draft.stage


def _may_have_some(decision: Decision) -> bool:
    """Return whether events that are stored can have remarks: the deal was closed, or is cut."""
    if decision.until is not None:
        return True
    rungs = decision.draft.ladder.rungs
    into = {move.into for move in (*decision.kept_moves, *decision.old_moves)}
    if decision.since is not None:
        stage = stored_at(decision.stored.deal, decision.since).stage
        into |= set() if stage is None else {stage}
    return decision.draft.base is not None or any(
        key not in rungs or rungs[key].is_closed for key in into
    )


def _is_open(decision: Decision, identity: tuple[str, str]) -> bool:
    """Return whether what comes of an event was asked again, and is not settled by a baseline."""
    base, event = decision.draft.base, decision.events.get(identity)
    if base is None:
        return identity not in decision.draft.late
    return event is not None and not base.has_seen(event)

"""One pure decision: from a stored deal and new events to all that has to be written.

No input or output beyond the loaders that are passed in, and no rules: those are the fold's.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from itertools import takewhile
from operator import attrgetter

from ..errors import GuardError, InvalidEventError
from ..fold import fold as folding
from ..fold.cursor import sorts_after_all
from ..fold.draft import Draft, OrderKey, order_key
from ..fold.intake import SPECIAL
from ..fold.moves import NewMoves
from ..fold.order import in_order
from ..model.event import BASELINE, TOLD, WITHDRAW, Event
from ..model.move import Move
from ..model.visit import visit_keys
from ..pipeline import Pipeline
from ..stores.base import FROM_THE_FIRST, Checkpoint, MoveRecord, StoredDeal
from .checkpoint import (
    Recorder,
    are_many,
    checkpoint_of,
    is_of,
    is_telling,
    is_turn,
    state_of,
    stored_at,
    told_ids,
)
from .customers import known_source, source_of, unsubscribes_all
from .decision import Decision
from .repeated import is_repeated
from .stored import Past, draft_of, watch

__all__ = ["decide", "decide_again", "decide_anew"]

_type = attrgetter("type")


def decide(
    pipeline: Pipeline,
    stored: StoredDeal,
    document: Callable[[], str | None],
    events: Sequence[Event],
    past: Past,
    now: dt.datetime,
    sweep_to: dt.datetime | None = None,
    hold: bool = False,
) -> Decision:
    """Fold new events of one deal onto what is stored, or all of them again if one is late.

    Args:
        document: loads the deal's document.
        past: loads what a refold needs.
        now: the board's time. Who swept further than that had a wrong clock, and what its timers
            did after now has not happened yet.
        sweep_to: also fire timers due up to and at this instant, and note it.
        hold: set a new event aside, instead of raising, when it cannot be used at its place.

    Raises:
        GuardError: a guard raised.
        InvalidEventError: the reducer cannot understand an event.
    """
    draft = draft_of(pipeline, stored, document)
    ordered = in_order(pipeline.ladder, events) if len(events) > 1 else events
    swept_to = stored.swept_to
    if swept_to is not None and swept_to > now:
        swept_to = now
    if sweep_to is not None and (swept_to is None or sweep_to > swept_to):
        swept_to = sweep_to
    is_ahead = stored.swept_to != swept_to and draft.horizon is not None and draft.horizon > now
    if ordered or is_ahead:
        is_late = ordered and (
            _changes_the_past(draft, ordered)
            or not sorts_after_all(draft, order_key(pipeline.ladder, ordered[0]))
        )
        if is_late or is_ahead:
            decision = _fold_again(pipeline, stored, draft, past, swept_to, ordered, is_ahead)
            if not hold:
                _refuse_unusable(decision.draft, ordered)
            decision.has_said = any(map(unsubscribes_all, events))
            return decision
    return _append(pipeline, stored, document, draft, ordered, swept_to, hold)


def _append(
    pipeline: Pipeline,
    stored: StoredDeal,
    document: Callable[[], str | None],
    draft: Draft,
    ordered: Sequence[Event],
    swept_to: dt.datetime | None,
    hold: bool,
) -> Decision:
    """Fold what sorts after all that is stored, and the timers up to where it was swept."""
    made = NewMoves(draft)
    standing, recorder = None, None
    if ordered:
        if is_turn(stored, ordered) and stored.definition == pipeline.fingerprint:
            standing = _standing(pipeline, stored, draft)
        if are_many(ordered):
            recorder = Recorder(known_source(stored.customer))
        draft.telling = folding.last_telling(pipeline.ladder, ordered)
        try:
            folding.step_on(draft, ordered, made, recorder)
        except (GuardError, InvalidEventError) as error:
            if not hold or error.event is None:
                raise
            draft = draft_of(pipeline, stored, document)
            made = NewMoves(draft)
            draft.telling = folding.last_telling(pipeline.ladder, ordered)
            if recorder is not None:
                recorder.begin()
            folding.step_on(draft, ordered, made, recorder, careful=True)
    if swept_to is not None and _reaches(draft, swept_to):
        folding.advance(draft, swept_to, made)
    moves = tuple(made)
    keys = visit_keys(stored.visit_key, moves)
    only_swept = not ordered and not draft.changed
    source = source_of(ordered) if draft.changed else None
    return Decision(
        stored,
        draft,
        moves,
        keys,
        swept_to,
        only_swept=only_swept,
        checkpoints=()
        if recorder is None
        else recorder.checkpoints(pipeline, stored.visit_key, keys),
        standing=standing,
        source=source,
        has_said=any(map(unsubscribes_all, ordered)),
    )


def _fold_again(
    pipeline: Pipeline,
    stored: StoredDeal,
    before: Draft,
    past: Past,
    swept_to: dt.datetime | None,
    new: Sequence[Event],
    from_the_first: bool = False,
) -> Decision:
    """Fold a deal's events again, from the last checkpoint before the *new* ones if that does."""
    if new and not from_the_first and not _changes_the_past(before, new):
        since = past.checkpoint(new[0].at)
        if since is None or is_of(since, pipeline):
            if swept_to == stored.swept_to:
                settled = _settled(pipeline, stored, before, past, new, since)
                if settled is not None:
                    return settled
            if since is not None:
                events = in_order(pipeline.ladder, past.events(since.at))
                if _stand_alone(before, events):
                    found = _folded(pipeline, stored, before, past, swept_to, new, events, since)
                    # What began a visit before the checkpoint is not among what was loaded.
                    if found.current_move() is not None or not found.current_changed:
                        return found
    events = in_order(pipeline.ladder, past.events())
    return _folded(pipeline, stored, before, past, swept_to, new, events)


def _settled(
    pipeline: Pipeline,
    stored: StoredDeal,
    before: Draft,
    past: Past,
    new: Sequence[Event],
    since: Checkpoint | None,
) -> Decision | None:
    """Return what late events make of a deal that stands at its next checkpoint as it stood.

    ``None`` where it does not, or where that cannot be told from the events before that.
    """
    until = past.next_checkpoint(new[-1].at)
    if until is None or not is_of(until, pipeline) or is_telling(until):
        return None
    events = in_order(pipeline.ladder, past.events(since and since.at, until.at))
    if not _stand_alone(before, events):
        return None
    recorder = Recorder("" if since is None else told_ids(since), is_closed=True)
    draft, made, start = folding.fold_all(
        pipeline.ladder,
        stored.deal,
        events,
        prepare=lambda _: recorder.begin(),
        resume=None if since is None else lambda: _resumed(pipeline, stored, before, since),
        stops=recorder,
    )
    base, base_key = 0 if start is None else start.n, None if start is None else start.key
    keys = visit_keys(base_key, made)
    points = recorder.checkpoints(pipeline, base_key, keys)
    if not points or points[-1] != until:
        return None
    moves = past.moves(base, draft.visit)
    if len(moves) != len(made) or not all(map(_is_same, moves, made, keys)):
        return None
    before.aside, before.refusals = draft.aside, draft.refusals
    before.unfilled, before.after_closing = draft.unfilled, draft.after_closing
    return Decision(
        stored,
        before,
        (),
        (),
        stored.swept_to,
        before=before,
        since=since,
        until=until,
        refolded=True,
        events={(event.source, event.id): event for event in events},
        kept=before.visit,
        asked_anew=True,
        checkpoints=points[:-1],
    )


def _folded(
    pipeline: Pipeline,
    stored: StoredDeal,
    before: Draft,
    past: Past,
    swept_to: dt.datetime | None,
    new: Sequence[Event],
    ordered: Sequence[Event],
    since: Checkpoint | None = None,
) -> Decision:
    goes_last = (
        bool(new)
        and not _changes_the_past(before, new)
        and _goes_last(before, order_key(pipeline.ladder, new[0]))
    )
    source = known_source(stored.customer) if since is None else told_ids(since)
    recorder = Recorder(source if since is not None else "")

    def begin(draft: Draft) -> None:
        recorder.begin()
        # A snapshot holds the whole deal, and a long past has many moves. If the new events go
        # last, hooks run for what they do; else they see the deal as it is in the end.
        if goes_last:
            watch(draft, pipeline, settled=before.visit)

    draft, made, start = folding.fold_all(
        pipeline.ladder,
        stored.deal,
        ordered,
        prepare=begin,
        resume=None if since is None else lambda: _resumed(pipeline, stored, before, since),
        stops=recorder,
    )
    base, base_key = 0 if start is None else start.n, draft.visit_key
    if swept_to is not None and _reaches(draft, swept_to):
        folding.advance(draft, swept_to, made)
    moves = tuple(made)
    draft.changed = True
    keys = visit_keys(base_key, moves)
    old_moves = past.moves(0 if since is None else base)
    old = [move for move in old_moves if move.n > base]
    same = sum(takewhile(bool, map(_is_same, old, moves, keys)))
    if same:
        draft.visit_key = keys[same - 1]
    has_baseline = since is None and any(event.type == BASELINE for event in ordered)
    return Decision(
        stored,
        draft,
        moves[same:],
        keys[same:],
        swept_to,
        before=before,
        since=since,
        refolded=not goes_last or base + same < before.visit,
        old_moves=old[same:],
        kept_moves=[move for move in old_moves if move.n <= base + same],
        events={(event.source, event.id): event for event in ordered},
        old_keys=[move.visit_key for move in old],
        new_keys=keys if base_key is None else [base_key, *keys],
        kept=base + same,
        asked_anew=True,
        cut_checkpoints=FROM_THE_FIRST[0] if since is None else new[0].at,
        checkpoints=() if has_baseline else recorder.checkpoints(pipeline, base_key, keys),
        source=source_of(ordered, source, "" if since is None else source),
    )


def _resumed(
    pipeline: Pipeline, stored: StoredDeal, before: Draft, checkpoint: Checkpoint
) -> Draft:
    """Return the draft of a deal as it stood at a checkpoint."""
    draft = draft_of(pipeline, stored_at(stored.deal, checkpoint), lambda: checkpoint.data)
    draft.withdrawn = before.withdrawn
    return draft


def _stand_alone(before: Draft, events: Sequence[Event]) -> bool:
    """Whether a deal's last events and what is before them say nothing of each other.

    They do where one was taken back, by whichever side, where a baseline is among them that may
    hold what is before it, where a hand names a stage that was renamed since, and where a snapshot
    was put aside, which may say something new now.
    """
    rungs, withdrawn = before.ladder.rungs, before.withdrawn
    for event in events:
        kind = event.type
        if kind in (BASELINE, WITHDRAW) or (event.source, event.id) in withdrawn:
            return False
        if kind == TOLD or kind in SPECIAL:
            into = event.data.get("stage" if kind == TOLD else "into")
            if (into is not None and str(into) not in rungs) or is_repeated(event):
                return False
    return True


def _standing(pipeline: Pipeline, stored: StoredDeal, draft: Draft) -> Checkpoint | None:
    """Return a checkpoint of a deal as it is stored."""
    assert stored.cursor_at is not None
    state = state_of(draft, known_source(stored.customer))
    data = draft.document or "{}"
    return checkpoint_of(pipeline, stored.cursor_at, state, stored.visit_key, data)


def decide_again(
    pipeline: Pipeline,
    stored: StoredDeal,
    document: Callable[[], str | None],
    past: Past,
) -> Decision:
    """Fold all events of a deal again, none of them new.

    Raises:
        GuardError: the guard or the time of a timer raised.
    """
    before = draft_of(pipeline, stored, document)
    return _fold_again(pipeline, stored, before, past, stored.swept_to, new=())


def decide_anew(pipeline: Pipeline, stored: StoredDeal, past: Past) -> Decision:
    """Fold all events of a deal that waits, as another definition of its ladder has it.

    Raises:
        GuardError: a guard raised.
        InvalidEventError: the reducer cannot understand an event.
    """
    before = Draft(pipeline.ladder, stored.deal)
    return _fold_again(pipeline, stored, before, past, stored.swept_to, new=())


def _refuse_unusable(draft: Draft, new: Sequence[Event]) -> None:
    """Raise what a new event's guard or reducer raised; what an old one's did sets it aside."""
    for event in new:
        refusal = draft.refusals.get((event.source, event.id))
        if refusal is not None:
            raise refusal


def _changes_the_past(draft: Draft, new: Sequence[Event]) -> bool:
    """Whether some of these take back what was told, or were taken back before they came.

    What another system tells has no timer fire before it, so that it changes the past, too.
    """
    kinds = set(map(_type, new))
    if WITHDRAW in kinds or (TOLD in kinds and draft.cursor is not None):
        return True
    withdrawn = draft.withdrawn
    return bool(withdrawn) and any((event.source, event.id) in withdrawn for event in new)


def _goes_last(before: Draft, key: OrderKey) -> bool:
    """Whether an event sorts after every stored event and every move, if not every timer try."""
    if before.cursor is not None and key <= before.cursor:
        return False
    return before.entered_at is not None and key[0] > before.entered_at


def _is_same(stored: MoveRecord, move: Move, key: str) -> bool:
    out_of = None if move.out_of is None else move.out_of.key
    was = (stored.visit_key, stored.rule, stored.out_of, stored.into, stored.at)
    return was == (key, move.rule, out_of, move.into.key, move.at)


def _reaches(draft: Draft, until: dt.datetime) -> bool:
    """Whether sweeping to *until* goes beyond the deal's last event."""
    return draft.last_event_at is None or until >= draft.last_event_at

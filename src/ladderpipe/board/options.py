"""What a board offers to a hand, and how it refuses one: both ask the fold about the same deal."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from ..errors import DealNotFoundError, InvalidEventError, MissingPropertyError, MoveNotAllowedError
from ..fold import fold as folding
from ..fold.cursor import hand_instant, sorts_after_all
from ..fold.draft import Draft, order_key
from ..fold.intake import take_in
from ..fold.moves import NewMoves
from ..fold.options import Consequence, Option, ending, judged, options
from ..fold.order import in_order
from ..ladder.machine import HAND_PREFIX
from ..model.clock import instant_text
from ..model.event import BASELINE, TOLD, Event, checked_name
from ..model.stage import TASK
from ..stores.base import EffectRow, StoredDeal, Transaction
from .decide import decide
from .read import stored_deal
from .session import Session
from .stored import StoredPast
from .unit import Unit

__all__ = ["before_hand", "check_actor", "judged_before", "options_of", "refuse"]


def check_actor(by: str) -> None:
    """Refuse a hand of which nobody would know whose it was.

    Raises:
        InvalidEventError: nobody is named.
    """
    if not isinstance(by, str) or not by.strip():
        raise InvalidEventError(f"by={by!r}: say who moves the deal, so that the history knows")


def options_of(session: Session, deal: str, by: str | None) -> tuple[Option, ...]:
    """Return what a hand may do with a deal now, and what would come of it; nothing is written."""
    if by is not None:
        check_actor(by)
    name = checked_name(deal, "deal")
    pipeline, now = session.pipeline, session.now()
    with session.reading() as transaction:
        stored, document = stored_deal(session, transaction, name)
        if stored is None:
            return options(Draft(pipeline.ladder, name), now, by)
        if stored.removed_at is not None:
            raise DealNotFoundError(f"deal {deal!r} was removed and only its tombstone is left")
        waiting = _waiting(transaction, session.number, stored)
        row = stored
        past = StoredPast(transaction, row.id)
        draft = decide(pipeline, row, lambda: document, [], past, now, now).draft
        at, _ = hand_instant(draft, now)
        folding.advance(draft, at, NewMoves(draft))
        return options(draft, at, by, _stopping(waiting, row, draft))


def _waiting(transaction: Transaction, number: int, stored: StoredDeal) -> list[EffectRow]:
    if not stored.has_effects:
        return []
    return transaction.effects(number, stored.id, ("pending", "open"))


def _stopping(waiting: Iterable[EffectRow], stored: StoredDeal, draft: Draft) -> list[Consequence]:
    """Return which of a deal's effects end with the visit that it is in."""
    if draft.visit != stored.visit:
        # A timer that nobody has swept yet began it, so its effects are not written either.
        stage, entered_at = draft.stage, draft.entered_at
        return [] if stage is None or entered_at is None else list(ending(stage, entered_at))
    key = stored.visit_key
    return [_ending(e) for e in waiting if e.visit_key == key and not e.run_to_completion]


def _ending(effect: EffectRow) -> Consequence:
    if effect.name != TASK:
        return Consequence("effect", effect.name, effect.due_at)
    title = json.loads(effect.payload).get("title", TASK)
    return Consequence("task", str(title), effect.due_at)


def before_hand(unit: Unit, stored: StoredDeal, document: str | None, event: Event) -> Draft:
    """Return the deal as it stands, or stood, when a hand's event comes, what it brings included.

    Nothing of it is written.
    """
    ladder = unit.pipeline.ladder
    key = order_key(ladder, event)
    draft = unit.draft(stored, document)
    if not sorts_after_all(draft, key):
        told = [found for found, _ in unit.transaction.events(stored.id)]
        # What is earlier than a baseline is asked where that stands.
        earlier = [f for f in told if f.type == BASELINE or order_key(ladder, f) < key]
        later = folding.last_telling(
            ladder, [f for f in told if f.type == TOLD and order_key(ladder, f) > key]
        )

        def silence(early: Draft) -> None:
            # What another system told of a later time has no timer fire before that.
            early.telling = later or early.telling

        ordered = in_order(ladder, earlier)
        draft, _, _ = folding.fold_all(ladder, stored.deal, ordered, prepare=silence)
    folding.advance(draft, event.at, NewMoves(draft))
    return draft


def judged_before(draft: Draft, event: Event, by: str) -> Option:
    """Return what becomes of a hand; what it brings counts for its own move only.

    Raises:
        GuardError: a guard, or a rule's ``may``, raised.
    """
    properties, last = draft.data.properties, draft.last_event
    take_in(draft, event)
    try:
        return judged(draft, event, by)
    finally:
        draft.data.properties, draft.last_event = properties, last


def refuse(
    unit: Unit,
    stored: StoredDeal,
    draft: Draft,
    event: Event,
    expecting: str | None = None,
    is_past: bool = False,
) -> None:
    """Say why a hand cannot make the move it asks for, and which ones it can.

    Raises:
        MissingPropertyError: the stage requires what is not filled.
        MoveNotAllowedError: anything else keeps it.
    """
    stage, by, into = draft.stage, str(event.data["by"]), unit.pipeline.stage(event.data["into"])
    was = "is" if not is_past else f"was, at {instant_text(event.at)},"
    where = f"deal {draft.deal!r} {was} {f'in {stage}' if stage else 'not open'}"
    option = judged_before(draft, event, by)
    waiting = _waiting(unit.transaction, unit.number, stored)
    possible = options(draft, event.at, by, _stopping(waiting, stored, draft))
    fields: dict[str, Any] = {
        "deal": draft.deal,
        "stage": stage,
        "into": into,
        "options": possible,
        "expecting": expecting,
    }
    if option.is_possible and option.missing:
        names = ", ".join(f"{name!r}: ..." for name in option.missing)
        raise MissingPropertyError(
            f"{where} and cannot move into {into} without {', '.join(option.missing)}: "
            f"pass properties={{{names}}}",
            missing=option.missing,
            **fields,
        )
    raise MoveNotAllowedError(
        f"{where} and cannot be moved into {into} by hand: {_why(draft, option, event)}; "
        f"{_where_to(possible)}, or board.override(...) goes past the rules",
        missing=option.missing,
        **fields,
    )


def _why(draft: Draft, option: Option, event: Event) -> str:
    candidates = draft.rung.by_trigger.get(HAND_PREFIX + option.into.key, ())
    barred = [refusal.detail for refusal in option.refusals if refusal.reason == "actor"]
    guards = " and ".join(str(c.guard) for c in candidates if c.guard is not None)
    if barred:
        return " and ".join(barred)
    if option.allowed and draft.base is not None:  # so it was its place that kept it
        key = order_key(draft.ladder, event)
        answer = draft.base.answer(draft.ladder, key, option.into.is_closed)
        return answer or "it came late to a baseline"
    if option.allowed:
        return "what is known of the deal begins later"
    return f"the guard does not hold ({guards})" if guards else "no by_hand rule leads there"


def _where_to(possible: Iterable[Option]) -> str:
    """Say into which stages a hand may move the deal, and with what."""
    named = [
        f"{option.into} (with {', '.join(option.missing)})" if option.missing else str(option.into)
        for option in possible
        if option.is_possible
    ]
    return f"by hand it may go into {', '.join(named)}" if named else "no hand may move it"

"""The effects that there are, and what people do with them: dead letters and tasks."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..errors import EffectNotFoundError
from ..model.canonical import canonical_text, is_storable
from ..model.delivery import EffectState
from ..model.effect import Effect, SendDecision, Task
from ..model.effect import drop as not_sent
from ..model.stage import TASK
from ..stores.base import EffectRow
from .boundary import check_said
from .claim import bring_up_to_date, decided, why_not
from .read import effect_of, storable_ids, stored_deal, task_of
from .session import Session
from .unit import Unit

__all__ = [
    "annotate",
    "assign",
    "complete",
    "drop",
    "effects",
    "send_again",
    "unsent",
]


def effects(
    session: Session, deal: str | None, states: Sequence[EffectState] | None
) -> list[Effect]:
    """Return effects, of one deal or of all, by due time."""
    with session.reading() as transaction:
        deal_id = None
        if deal is not None:
            stored, _ = stored_deal(session, transaction, deal)
            if stored is None:
                return []
            deal_id = stored.id
        wanted = None if states is None else tuple(state.value for state in states)
        return [effect_of(row) for row in transaction.effects(session.number, deal_id, wanted)]


def unsent(session: Session, deals: Iterable[str]) -> dict[str, list[Effect]]:
    """Return what these deals ask for and was not sent, by deal."""
    with session.reading() as transaction:
        rows = transaction.unsent_effects(session.number, storable_ids(deals))
    found: dict[str, list[Effect]] = {}
    for effect in map(effect_of, rows):
        # Decided on, and late all the same: nothing speaks against it that people could know.
        was_to_be_sent = effect.decisions and effect.decisions[-1].outcome == "sent"
        if effect.state is not EffectState.EXPIRED or not was_to_be_sent:
            found.setdefault(effect.deal, []).append(effect)
    return found


def send_again(session: Session, key: str) -> None:
    """Put a dead letter back in the queue, with all its tries before it.

    Raises:
        EffectNotFoundError: there is no dead letter of that key, or its visit is gone.
    """
    with session.writing() as unit:
        row = _dead_letter(unit, key)
        visits = {move.visit_key for move in unit.transaction.moves(row.deal_id)}
        is_gone = row.phase == "into" and row.visit_key not in visits
        if is_gone:
            unit.transaction.settle_effect(key, EffectState.CANCELLED.value)
        else:
            unit.transaction.claim_effect(key, "again", unit.now, 0)
            unit.transaction.settle_effect(key, "pending", unit.now)
    if is_gone:
        raise EffectNotFoundError(
            f"the dead letter {key!r} is not sent again, and cancelled: an event that came late "
            f"did away with the visit of deal {row.deal!r} that asked for it"
        )


def drop(session: Session, key: str, by: str, reason: str) -> None:
    """Put a dead letter aside for good, on record.

    Raises:
        InvalidEventError: it is not said who drops it, or why.
        EffectNotFoundError: there is no dead letter of that key.
    """
    check_said(by=by, reason=reason)
    because = not_sent(f"{by}: {reason}").because
    with session.writing() as unit:
        row = _dead_letter(unit, key)
        decision = SendDecision(at=unit.now, outcome="dropped", because=because)
        unit.transaction.decide_effect(key, EffectState.DROPPED.value, decided(row, decision))


def _dead_letter(unit: Unit, key: str) -> EffectRow:
    """Return a dead letter, as it is while nobody else is at its deal."""
    row = _row_of(unit, key)
    if row is not None:
        unit.transaction.load_by_id(row.deal_id)
        row = _row_of(unit, key)
    if row is None or row.state != EffectState.DEAD:
        state = "there is none" if row is None else f"it is {row.state}"
        raise EffectNotFoundError(
            f"no dead letter has the key {key!r} ({state}): see board.dead_letters()"
        )
    return row


def assign(session: Session, key: str, to: str | None, by: str) -> Task:
    """Give an open task to somebody, or back to whoever owns its deal.

    Raises:
        EffectNotFoundError: no open task has that key; the deal may have moved on.
    """
    with session.writing() as unit:
        unit.check_pipeline()
        row = _row_of(unit, key)
        loaded = None if row is None else unit.transaction.load_by_id(row.deal_id)
        row = _row_of(unit, key)  # as it is now that nobody else is at its deal
        if row is None or row.name != TASK or row.state != "open":
            state = "see board.tasks() for the open ones" if row is None else f"it is {row.state}"
            raise EffectNotFoundError(f"no open task has the key {key!r}: {state}")
        owner = to if to is not None or loaded is None else loaded[0].owner
        payload = {**json.loads(row.payload), "owner": to, "assigned_by": by}
        if to is None:
            del payload["owner"]
        text = canonical_text(payload)
        unit.transaction.give_task(key, owner, text)
        return task_of(row._replace(owner=owner, payload=text))


def annotate(session: Session, key: str, notes: Mapping[str, Any]) -> bool:
    """Keep something in an effect's payload; return whether its visit is still current.

    Raises:
        EffectNotFoundError: there is no such effect any more.
    """

    def work() -> bool:
        with session.writing() as unit:
            unit.check_pipeline()
            row = _row_of(unit, key)
            loaded = None if row is None else unit.transaction.load_by_id(row.deal_id)
            row = _row_of(unit, key)  # as it is now that nobody else is at its deal
            if row is None or loaded is None:
                raise EffectNotFoundError(f"no effect has the key {key!r}: its deal was removed")
            payload = {**json.loads(row.payload), **notes}
            unit.transaction.give_task(key, row.owner, canonical_text(payload))
            return row.run_to_completion or row.visit_key == loaded[0].visit_key

    return session.retried(work)


def complete(session: Session, key: str) -> Task:
    """Note that a person has done a task.

    Raises:
        EffectNotFoundError: no open task has that key; the deal may have moved on.
    """
    refused: str | None = None
    with session.writing() as unit:
        unit.check_pipeline()
        row = _row_of(unit, key)
        if row is not None:
            row, deal = bring_up_to_date(unit, row)
            if row is not None and row.state == "open":
                ended = why_not(unit, row, deal)
                if ended is None:
                    unit.transaction.settle_effect(key, EffectState.DELIVERED.value)
                    return task_of(row)
                unit.transaction.settle_effect(key, ended.value)
                refused = ended.value
            elif row is not None:
                refused = row.state
    raise EffectNotFoundError(
        f"no open task has the key {key!r}: "
        + ("see board.tasks() for the open ones" if refused is None else f"it is {refused}")
    )


def _row_of(unit: Unit, key: str) -> EffectRow | None:
    return unit.transaction.effect(unit.number, key) if is_storable(key) else None

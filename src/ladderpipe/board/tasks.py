"""Whose a deal's tasks are: its owner's, but for those that were given to somebody."""

from __future__ import annotations

import json
from typing import Any

from ..model.canonical import canonical_text
from ..model.stage import TASK
from ..stores.base import DealChange, NewEffect, StoredDeal, Transaction

__all__ = ["hand_over", "keep_given"]


def hand_over(
    transaction: Transaction, pipeline: int, stored: StoredDeal, change: DealChange
) -> None:
    """Let a deal's tasks follow its owner, those that may come back included."""
    owner = change.deal.owner
    change.effects = [
        effect._replace(owner=owner) if _follows_deal(effect.name, effect.payload) else effect
        for effect in change.effects
    ]
    if not stored.visit:
        return
    for row in transaction.effects(pipeline, stored.id, ("open", "cancelled")):
        if _follows_deal(row.name, row.payload) and row.owner != owner:
            transaction.give_task(row.key, owner, row.payload)


def keep_given(
    transaction: Transaction, pipeline: int, stored: StoredDeal, change: DealChange
) -> None:
    """Let what is asked for again, as its visit has come back, stay with whom it was given to."""
    if all(effect.name != TASK for effect in change.effects):
        return
    rows = transaction.effects(pipeline, stored.id, ("cancelled",))
    known = {row.key: json.loads(row.payload) for row in rows if row.name == TASK}
    change.effects = [
        _as_given(effect, known.get(effect.key, {}), change.deal.owner) for effect in change.effects
    ]


def _as_given(effect: NewEffect, known: dict[str, Any], owner: str | None) -> NewEffect:
    if "assigned_by" not in known:
        return effect
    given: dict[str, Any] = {
        name: known[name] for name in ("owner", "assigned_by") if name in known
    }
    asked = {name: told for name, told in json.loads(effect.payload).items() if name != "owner"}
    text = canonical_text({**asked, **given})
    return effect._replace(payload=text, owner=given.get("owner", owner))


def _follows_deal(name: str, payload: str) -> bool:
    """Return whether a task belongs to whoever owns the deal, and was given to nobody else."""
    return name == TASK and not json.loads(payload).get("owner")

"""Restoring: deals of an archive are put back where only their tombstones are, or nothing."""

from __future__ import annotations

import functools
import secrets
from collections.abc import Iterable, Sequence
from pathlib import Path

import attrs

from ...errors import ArchiveError, DealNotFoundError
from ...model.canonical import canonical_text
from ...public import publish
from ...stores.base import DealChange, EffectRow, NewEffect, StoredDeal, Transaction, chunks
from ..customers import keys_of
from ..session import Session
from ..unit import Unit
from .archive import file_of
from .check import checked, deals_of
from .records import ArchivedDeal, read_deals

__all__ = ["RestoreReport", "restore"]


@attrs.frozen
class RestoreReport:
    """What restoring did.

    Attributes:
        restored: how many deals were put back.
        present: how many were there already, exactly as they are in the archive.
        forgotten: ids of those whose people were forgotten, so that nobody can read them any more.
    """

    restored: int
    present: int
    forgotten: tuple[str, ...] = ()


def restore(
    session: Session, path: Path | str, deals: Iterable[str] | None, batch: int
) -> RestoreReport:
    """Put deals of an archive back, in transactions of *batch*; resumable by calling again."""
    if batch < 1:
        raise ValueError(f"batch={batch}: a batch holds at least one deal")
    file = file_of(session, path)
    checked(file, session.pipeline)
    wanted = None if deals is None else frozenset(deals)
    restored = present = 0
    for part in chunks(deals_of(file, wanted), batch):
        brought = session.retried(functools.partial(_restore_batch, session, part))
        restored += brought
        present += len(part) - brought
    forgotten = tuple(id for id in file.forgotten if wanted is None or id in wanted)
    if wanted is not None and restored + present + len(forgotten) < len(wanted):
        missing = wanted - {deal.id for deal in deals_of(file, wanted)} - set(forgotten)
        raise DealNotFoundError(
            f"{file.path} holds no deal {sorted(missing)[0]!r}: check the id; the other "
            f"{restored} were restored"
        )
    return RestoreReport(restored, present, forgotten)


def _restore_batch(session: Session, batch: Sequence[ArchivedDeal]) -> int:
    with session.writing() as unit:
        unit.check_pipeline()
        rows = unit.transaction.load_many(session.number, [deal.id for deal in batch])
        missing = [deal for deal in batch if not _is_there(unit, *rows[deal.id], deal)]
        changes = [_change(unit, rows[deal.id][0].id, deal) for deal in missing]
        if changes:
            unit.transaction.save(session.number, changes, unit.now)
        for deal in missing:
            for effect in deal.effects:
                _retell(unit.transaction, effect)
        return len(missing)


def _is_there(unit: Unit, stored: StoredDeal, document: str | None, deal: ArchivedDeal) -> bool:
    """Return whether a deal is stored as it was archived.

    Raises:
        ArchiveError: it is stored, but otherwise.
    """
    if stored.removed_at is not None or stored == StoredDeal(stored.id, stored.deal):
        return False
    (found,) = read_deals(unit.transaction, unit.number, [(stored, document)])
    if found.laid_to_rest() == deal:
        return True
    raise ArchiveError(
        f"deal {deal.id!r} of the archive is in the store and not as it was archived, and a deal "
        "that lives is never overwritten: restore into another store to look at it, or name the "
        "deals you want"
    )


def _change(unit: Unit, deal_id: int, deal: ArchivedDeal) -> DealChange:
    """Store a deal's events, and return what is to be written besides."""
    events = deal.new_events(deal_id, unit.pipeline.ladder)
    if unit.transaction.add_events(unit.number, events) < len(events):
        raise ArchiveError(
            f"an event of archived deal {deal.id!r} cannot be restored, because another deal's has "
            "its identity now: restore into another store to look at it"
        )
    return DealChange(
        deal.row._replace(id=deal_id),
        document=canonical_text(deal.document),
        moves=deal.moves,
        customer=keys_of(deal.row.customer),
        effects=list(map(_new_effect, deal.effects)),
        aside=deal.aside,
        remarks={(a.event.source, a.event.id): a.remark for a in deal.events if a.remark},
    )


def _new_effect(effect: EffectRow) -> NewEffect:
    return NewEffect(
        key=effect.key,
        visit_key=effect.visit_key,
        phase=effect.phase,
        name=effect.name,
        position=0,  # its key says already which one it was
        payload=effect.payload,
        state=effect.state,
        due_at=effect.due_at,
        expires_at=effect.expires_at,
        run_to_completion=effect.run_to_completion,
        owner=effect.owner,
        purpose=effect.purpose,
        channel=effect.channel,
    )


def _retell(transaction: Transaction, effect: EffectRow) -> None:
    """Give an effect its tries, its error and its last time back."""
    told = (effect.address, effect.sent_at, effect.decisions)
    is_as_asked = not effect.attempts and effect.error is None and not any(told)
    if is_as_asked and effect.ready_at == effect.due_at:
        return
    lease = secrets.token_hex(8)
    transaction.claim_effect(effect.key, lease, effect.ready_at, effect.attempts, *told)
    transaction.settle_effect(effect.key, effect.state, effect.ready_at, effect.error, lease)


publish("ladderpipe", RestoreReport)

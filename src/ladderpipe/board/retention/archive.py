"""Archiving: old closed deals are written to a file, checked there, and only then removed.

A crash at any point loses nothing: until the file is complete nothing is removed, and from then on
the same call goes on with removing what is in it. Each deal is compared once more under its lock;
what is not any more what the file says stays in the store.
"""

from __future__ import annotations

import datetime as dt
import functools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs

from ...errors import ArchiveError
from ...model.clock import instant
from ...public import publish
from ...stores.base import StoredDeal, chunks
from ...stores.memory import contact_in
from ...stores.sealed.renewal import (
    is_sealed,
    seal_archived,
    seal_deal,
    sealed_of,
    sealer_of,
)
from ..session import Session, definition_text
from ..unit import Unit
from .check import checked
from .file import SEALED, ArchiveFile, Header, place_of, writing
from .records import ArchivedDeal, read_deals

__all__ = ["ArchiveReport", "archive"]


@attrs.frozen(kw_only=True)
class ArchiveReport:
    """What archiving did.

    Attributes:
        path: the file; there is none when there was nothing to archive.
        deals: how many deals are in it.
        removed: how many of them were removed from the store by this call.
        kept: ids of deals that stayed, although they were closed before: those in the file that
            something happened to since, and those that were not put into it because a worker was
            delivering one of their effects, a timer was due, ``verify`` finds a difference, or
            they fill more than a line of 32 MiB.
    """

    path: Path
    deals: int
    removed: int
    kept: tuple[str, ...]


def archive(
    session: Session, before: dt.datetime | str, to: Path | str, batch: int, remove: bool
) -> ArchiveReport:
    """Write deals that were closed before an instant to a file, and remove them."""
    if batch < 1:
        raise ValueError(f"batch={batch}: a batch holds at least one deal")
    path, limit = Path(to), instant(before)
    kept: list[str] = []
    if path.exists():
        _check_same_request(file_of(session, path), limit)
    else:
        kept += _write(session, path, limit, batch)
        if not path.exists():
            return ArchiveReport(path=path, deals=0, removed=0, kept=tuple(kept))
    file = file_of(session, path)
    found = checked(file, session.pipeline)
    removed = 0
    if remove:
        for part in chunks(file.deals(), batch):
            gone, changed = session.retried(functools.partial(_remove_batch, session, part))
            removed += gone
            kept += changed
        session.store.erase_traces()
    return ArchiveReport(path=path, deals=found.deals, removed=removed, kept=tuple(kept))


def file_of(session: Session, path: Path | str) -> ArchiveFile:
    """Return an archive that the store's keys open, if it is sealed."""
    return ArchiveFile(path, sealer_of(session.store))


def _check_same_request(file: ArchiveFile, before: dt.datetime) -> None:
    if file.header.before != before:
        raise ArchiveError(
            f"{file.path} holds deals that were closed before {file.header.before.isoformat()}, "
            f"not before {before.isoformat()}, and an archive is never replaced: name another "
            "file, or give the same instant to go on with removing those"
        )


def _write(session: Session, path: Path, before: dt.datetime, batch: int) -> list[str]:
    """Write the archive, if there is anything to write; return ids of what was left out."""
    pipeline = session.pipeline
    header = Header(
        pipeline=pipeline.name,
        fingerprint=pipeline.fingerprint,
        definition=json.loads(definition_text(pipeline)),
        before=before,
        written_at=session.now(),
    )
    left_out = []
    with writing(path, header) as lines:
        for deal, sealed in _closed(session, before, batch):
            if not _may_go(session, deal):
                left_out.append(deal.id)
            elif sealed is not None:
                if not lines.add_json({"deal": deal.id, SEALED: sealed}):
                    left_out.append(deal.id)
            elif not lines.add(deal.laid_to_rest()):
                left_out.append(deal.id)
    return left_out


def _closed(
    session: Session, before: dt.datetime, batch: int
) -> Iterator[tuple[ArchivedDeal, str | None]]:
    """Yield closed deals, each with what its line holds in a sealed archive."""
    after = 0
    while True:
        with session.reading() as transaction:
            page = transaction.closed_deals(session.number, before, after, batch)
            found = list(read_deals(transaction, session.number, page))
        if is_sealed(session.store):
            numbers = [stored.id for stored, _ in page]
            yield from session.retried(functools.partial(_sealed_page, session, numbers))
        else:
            yield from ((deal, None) for deal in found)
        if len(page) < batch:
            return
        after = page[-1][0].id


def _sealed_page(session: Session, numbers: Sequence[int]) -> list[tuple[ArchivedDeal, str]]:
    """Return deals with what is written of them, which is sealed with the key that each has now.

    That is noted under the deals' locks: whoever is forgotten from here on, whose data is in the
    file, takes the key along, and nobody's is in it who was forgotten before.
    """
    found = []
    with session.writing() as unit:
        unit.check_pipeline()
        sealed = sealed_of(unit.transaction)
        assert sealed is not None
        for number in numbers:
            pair = unit.transaction.load_by_id(number)
            if pair is None or pair[0].closed_at is None:
                continue
            seal_deal(sealed, unit.number, number, unit.now)
            pair = unit.transaction.load_by_id(number) or pair
            (deal,) = read_deals(unit.transaction, unit.number, [pair])
            text = json.dumps(deal.laid_to_rest().to_json(), ensure_ascii=False)
            place, contacts = place_of(deal.id), _contacts(deal)
            found.append((deal, seal_archived(sealed, unit.number, number, contacts, text, place)))
    return found


def _contacts(deal: ArchivedDeal) -> Iterator[tuple[str, str]]:
    """Yield by what a person may ask to be forgotten, who is in a deal."""
    told = [deal.document, *(archived.event.data for archived in deal.events)]
    for data in told:
        for field, value in contact_in(data).items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                yield field, json.dumps(value)
            elif isinstance(value, str):
                yield field, value


def _may_go(session: Session, deal: ArchivedDeal) -> bool:
    is_due = deal.row.due_at is not None and deal.row.due_at <= session.now()
    return (
        not is_due
        and not deal.is_being_delivered
        and deal.first_difference(session.pipeline) is None
    )


def _remove_batch(session: Session, batch: Sequence[ArchivedDeal]) -> tuple[int, list[str]]:
    """Remove those that are still what the archive says; return how many, and which are not."""
    with session.writing() as unit:
        locked = [unit.load(deal.id, create=False) for deal in batch]
        there = [
            (stored, document)
            for stored, document in locked
            if stored is not None and stored.removed_at is None
        ]
        archived = {deal.id: deal for deal in batch}
        changed = []
        found = read_deals(unit.transaction, session.number, there)
        for (stored, _), deal in zip(there, list(found), strict=True):
            if deal.laid_to_rest() == archived[deal.id]:
                _remove(unit, stored)
            else:
                changed.append(deal.id)
        return len(there) - len(changed), changed


def _remove(unit: Unit, stored: StoredDeal) -> None:
    unit.transaction.remove_deal_events(stored.id)
    unit.note_removal(stored)


publish("ladderpipe", ArchiveReport)

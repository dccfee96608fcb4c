"""Forgetting people: personal data goes, the moves stay. And removing whole deals."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs

from ..errors import DealNotFoundError, InvalidEventError, MoveNotAllowedError
from ..fold.deal_data import DealData
from ..model.canonical import canonical_text, is_storable, plain_text
from ..model.effect import decisions_of, decisions_text
from ..model.event import Event
from ..model.report import DealFailure
from ..public import publish
from ..stores.base import FORGOTTEN_DIGEST, StoredDeal, Transaction
from ..stores.chain import FORGOTTEN as LEAF_FORGOTTEN
from ..stores.sealed.renewal import forget_archived, is_sealed, renew, sealed_of
from .baseline import folded_anew, past_of, write_baseline
from .boundary import as_failure, go_on_or_raise
from .eraser import FORGOTTEN, Eraser, contacts_of, leaves
from .hold import event_of, held_rows
from .read import stored_deal
from .session import Session
from .sweep import sweep
from .unit import Unit

__all__ = ["FORGOTTEN", "ForgetReport"]


@attrs.frozen
class ForgetReport:
    """What forgetting a contact did.

    Attributes:
        deals: ids of the deals whose personal data was removed.
        failures: deals that name the contact and could not be brought up to date or read, each
            with the reason; nothing of them was removed. Mend what is said, and forget again.
    """

    deals: tuple[str, ...]
    failures: tuple[DealFailure, ...] = ()


def forget(
    session: Session, contact: Mapping[str, str | int], properties: Iterable[str]
) -> ForgetReport:
    """Remove personal data of one contact from every deal that names it."""
    if len(contact) != 1:
        raise InvalidEventError(
            "forget takes one contact key, for example forget(email='ada@example.com')"
        )
    ((key, value),) = contact.items()
    value = str(value) if type(value) is int else value
    if not isinstance(value, str) or not value or not re.fullmatch(r"[\w-]+", key):
        raise InvalidEventError(f"forget({key}={value!r}): give the contact's {key} as text")
    value = plain_text(value)
    if not is_storable(value):
        return ForgetReport(())
    dropped = frozenset(properties)
    with session.reading() as transaction:
        found = _named(session, transaction, key, value)
    forgotten = session.retried(functools.partial(_forget_archived, session, key, value))
    failures: list[DealFailure] = []
    for deal_id, name in found:
        work = functools.partial(_forget_once, session, deal_id, name, value, dropped)
        try:
            if session.retried(work) and name not in forgotten:
                forgotten.append(name)
        except Exception as error:
            go_on_or_raise(session, error)
            failures.append(DealFailure(name, as_failure(name, error)))
    session.store.erase_traces()
    return ForgetReport(tuple(forgotten), tuple(failures))


def _forget_archived(session: Session, key: str, value: str) -> list[str]:
    """Have deals forgotten that archives of a sealed store have; return their ids."""
    if session.read_only or not is_sealed(session.store):
        return []
    with session.writing() as unit:
        sealed = sealed_of(unit.transaction)
        assert sealed is not None
        return forget_archived(sealed, unit.number, key, value, unit.now)


def _named(
    session: Session, transaction: Transaction, key: str, value: str
) -> list[tuple[int | None, str]]:
    """Return number and name of every deal that names a contact; a held event may be of none."""
    found: dict[str, int | None] = {}
    for deal_id in transaction.deals_with_contact(session.number, key, value):
        row = transaction.load_by_id(deal_id)
        if row is not None and row[0].removed_at is None:
            found[row[0].deal] = deal_id
    for held in held_rows(transaction, session.number, None):
        contact = json.loads(held.data or "{}").get("contact")
        named = contact.get(key) if isinstance(contact, Mapping) else None
        if held.deal not in found and not isinstance(named, bool) and str(named) == value:
            stored, _ = stored_deal(session, transaction, held.deal)
            found[held.deal] = None if stored is None else stored.id
    return [(deal_id, deal) for deal, deal_id in found.items()]


def _forget_once(
    session: Session, deal_id: int | None, name: str, value: str, dropped: frozenset[str]
) -> bool:
    with session.writing() as unit:
        unit.check_pipeline()
        return _forget_deal(unit, deal_id, name, value, dropped)


def _forget_deal(
    unit: Unit, deal_id: int | None, name: str, value: str, dropped: frozenset[str]
) -> bool:
    """Take a person out of a deal and of what is held of it; return whether there was anything."""
    found = None if deal_id is None else unit.transaction.load_by_id(deal_id)
    told = [event_of(row) for row in held_rows(unit.transaction, unit.number, name) if row.data]
    if found is None or found[0].removed_at is not None:
        eraser = Eraser([value, *_personal(told, DealData())], dropped)
        _forget_held(unit, name, eraser)
        _renew_key(unit, None, name)
        return bool(told)
    sweep(unit, found[0], unit.now)
    unit.flush()
    stored, document = unit.transaction.load_by_id(found[0].id) or found
    past = past_of(unit, stored)
    events = past.events
    draft = unit.draft(stored, document)
    eraser = Eraser([value, *_personal([*events, *told], draft.data)], dropped)
    unit.transaction.replace_event_data(
        unit.number, [(event, canonical_text(eraser.event_data(event))) for event in events]
    )
    unit.transaction.retire_leaves(stored.id, LEAF_FORGOTTEN)
    if not folded_anew(unit, stored, may_open=False):
        eraser.data(draft.data)
        draft.changed = True
        if draft.stage is not None:
            draft.name_deal()
        write_baseline(unit, stored, draft, past, erased=eraser.part)
    _forget_effects(unit, stored, eraser)
    unit.flush()
    _forget_held(unit, name, eraser)
    _renew_key(unit, stored.id, name)
    return True


def _renew_key(unit: Unit, deal_id: int | None, name: str) -> None:
    """Give the deal another key, if the store is sealed: with the former one go older copies."""
    sealed = sealed_of(unit.transaction)
    if sealed is not None:
        renew(sealed, unit.number, deal_id, name, unit.now)


def _forget_held(unit: Unit, deal: str, eraser: Eraser) -> None:
    """Erase what is held; its key stays, so that a copy told again is still the same one."""
    held = [*held_rows(unit.transaction, unit.number, deal)]
    held += held_rows(unit.transaction, unit.number, deal, discarded=True)
    for row in held:
        note = row.note and eraser.text(row.note)
        erased = row._replace(reason=eraser.text(row.reason), note=note)
        if row.data is not None:
            data = canonical_text(eraser.event_data(event_of(row)))
            erased = erased._replace(data=data, digest=row.digest and FORGOTTEN_DIGEST)
        unit.transaction.replace_held(unit.number, erased)
        unit.transaction.note_held_customer(unit.number, row.key, ())


def _personal(events: Iterable[Event], data: DealData) -> Iterator[Any]:
    yield from leaves(data.contact)
    for event in events:
        yield from contacts_of(event)


def _forget_effects(unit: Unit, stored: StoredDeal, eraser: Eraser) -> None:
    """Erase payloads, and send nothing more: there is nobody left to send it to.

    What was not delivered counts as expired, so that no late event can revive it.
    """
    for row in unit.transaction.effects(unit.number, stored.id, None):
        payload = eraser.payload(row.name, json.loads(row.payload))
        told = [
            attrs.evolve(d, because=eraser.text(d.because)) for d in decisions_of(row.decisions)
        ]
        decisions = decisions_text(told) if told else None
        unit.transaction.replace_effect_payload(row.key, canonical_text(payload), decisions)
        error = None if row.error is None else eraser.text(row.error)
        state = row.state if row.state in ("delivered", "open", "dropped") else "expired"
        unit.transaction.settle_effect(row.key, state, error=error)


def remove(session: Session, deal_id: str) -> None:
    """Remove a closed deal with all its rows; a tombstone stays, and answers ``ARCHIVED``.

    Raises:
        DealNotFoundError: there is no such deal.
        MoveNotAllowedError: it is not closed.
    """
    with session.writing() as unit:
        stored, _ = unit.load(deal_id, create=False)
        if stored is None or stored.removed_at is not None:
            raise DealNotFoundError(f"there is no deal {deal_id!r} to remove: check the id")
        if stored.stage is None or not session.pipeline.stage(stored.stage).is_closed:
            raise MoveNotAllowedError(
                f"deal {deal_id!r} is not closed (it is in {stored.stage}), and only closed deals "
                "are removed: move it to a won or lost stage first"
            )
        unit.transaction.remove_deal_events(stored.id)
        unit.note_removal(stored)
    session.store.erase_traces()


publish("ladderpipe", ForgetReport)

"""Giving a deal another key, so that its former one can be destroyed; and sealing what is plain.

In one transaction, under the deal's lock, all that is stored of the deal is encrypted anew, and
the former keys are noted as to be destroyed. They are destroyed once that is committed, by whoever
comes first: so a crash leaves a deal that can be read, and keys that are still sure to go.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeGuard

from ...errors import SealedError
from ...model.event import digest_of
from ..base import FROM_THE_FIRST, DealChange, EffectRow, HeldRow, Store
from ..sql import SEALED
from .inner import Sealable
from .reading import PAGE, of_event
from .sealer import HASHED, Sealer, key_of_document, key_of_json, key_of_text
from .transaction import ARCHIVED, SealedTransaction, destroy_later, key_of_data, note_of_held

if TYPE_CHECKING:
    from .store import SealedStore

__all__ = [
    "forget_archived",
    "holds_sealed",
    "is_sealed",
    "plain_held",
    "renew",
    "seal_archived",
    "seal_deal",
    "seal_held",
    "sealed_of",
    "sealer_of",
]


def sealed_of(transaction: Any) -> SealedTransaction | None:
    """Return a transaction if it is one of a sealed store's."""
    return transaction if isinstance(transaction, SealedTransaction) else None


def is_sealed(store: Any) -> TypeGuard[SealedStore]:
    """Return whether personal data is encrypted in a store."""
    from .store import SealedStore

    return isinstance(store, SealedStore)


def holds_sealed(store: Store) -> bool:
    """Return whether a store, as it stands there, needs keys to be read."""
    with store.transaction(write=False) as transaction:
        told = getattr(transaction, "note", lambda name: None)("hashes")
    return told is not None and told.startswith(SEALED)


def sealer_of(store: Any) -> Sealer | None:
    """Return what opens the data of a sealed store."""
    from .store import SealedStore

    return store.sealer if isinstance(store, SealedStore) else None


def renew(
    transaction: SealedTransaction, pipeline: int, deal: int | None, name: str, now: dt.datetime
) -> None:
    """Give a deal another key, and have its former ones destroyed; it is locked, if it has a row.

    What cannot be opened any more stays as it is, and is lost with its key.
    """
    former = set()
    if deal is not None:
        former |= _resealed(transaction, pipeline, deal, now, transaction._sealer.fresh())
    note = note_of_held(pipeline, name)
    kept = transaction._inner.note(note)
    if kept is not None:
        kept = transaction._inner.lock_note(note, kept)
        another = transaction._sealer.fresh()
        former |= {kept, *_resealed_held(transaction, pipeline, name, another)}
        transaction._inner.set_note(note, another)
    else:
        key = None if deal is None else transaction._key_of(deal)
        former |= _resealed_held(transaction, pipeline, name, key or transaction._sealer.fresh())
    _to_be_destroyed(transaction, sorted(former))


def seal_deal(transaction: SealedTransaction, pipeline: int, deal: int, now: dt.datetime) -> bool:
    """Encrypt what is plain of a deal that is locked, with its own key; return if anything was."""
    if not _is_plain(transaction, pipeline, deal):
        return False
    _resealed(transaction, pipeline, deal, now, transaction._key_of(deal))
    return True


def every_held(inner: Sealable, pipeline: int, deal: str | None = None) -> list[HeldRow]:
    """Return what is held of a pipeline or of one of its deals, and what was and is discarded."""
    found = []
    for discarded in (False, True):
        after = ""
        while rows := inner.held(pipeline, deal, after=after, limit=PAGE, discarded=discarded):
            found += rows
            after = rows[-1].key
    return found


def plain_held(transaction: SealedTransaction, pipeline: int) -> list[HeldRow]:
    """Return what is held from before the store was sealed, what is discarded included."""
    rows = every_held(transaction._inner, pipeline)
    return [transaction._held(pipeline, row) for row in rows if not row.key.startswith(HASHED)]


def seal_held(
    transaction: SealedTransaction, pipeline: int, row: HeldRow, customer: Sequence[str]
) -> bool:
    """Encrypt what is held since before the store was sealed; return whether it is there still."""
    inner = transaction._inner
    now = inner.held_by_key(pipeline, row.key)
    if now is None:
        return False
    # What was written of it since is encrypted already, under its former name.
    row = transaction._held(pipeline, now, is_list=False)
    inner.remove_held(pipeline, row.key)
    key = transaction._key_of_held(pipeline, row.deal)
    name = transaction.held_key(row.key)
    inner.hold(pipeline, transaction.sealed_held(pipeline, key, row, name))
    transaction.note_held_customer(pipeline, name, customer)
    return True


def _is_plain(transaction: SealedTransaction, pipeline: int, deal: int) -> bool:
    inner = transaction._inner
    pair = inner.load_by_id(deal)
    if pair is None or pair[0].removed_at is not None:
        return False
    stored, document = pair
    events = inner.events(deal)
    effects = inner.effects(pipeline, deal, None)
    return (
        (document is not None and key_of_document(document) is None)
        or (stored.customer is not None and key_of_text(stored.customer) is None)
        or any(key_of_data(event) is None for event, _ in events)
        or any(key_of_json(effect.payload) is None for effect in effects)
    )


def _resealed(
    transaction: SealedTransaction, pipeline: int, deal: int, now: dt.datetime, key: str
) -> set[str]:
    """Encrypt all that is stored of a deal with a key; return which others it was sealed with."""
    inner = transaction._inner
    pair = inner.load_by_id(deal)
    assert pair is not None
    stored, document = pair
    former = {key_of_document(document), key_of_text(stored.customer)}
    former |= _resealed_events(transaction, pipeline, deal, stored.deal, key)
    former.add(transaction.reseal_salt(deal, key))
    for effect in inner.effects(pipeline, deal, None):
        former |= _resealed_effect(transaction, effect, key)
    points = inner.checkpoints(deal)
    former |= {key_of_json(text) for point in points for text in (point.state, point.data)}
    opened, plain = transaction._pair(pair)
    if key_of_document(plain) is not None:
        raise SealedError(json.loads(plain or "{}")["why"])
    keys = () if opened.customer is None else tuple(json.loads(opened.customer)[1])
    transaction._keys[deal] = key
    transaction._plain.pop(deal, None)
    transaction.save(
        pipeline,
        [
            DealChange(
                opened,
                document=plain,
                customer=None if opened.customer is None else keys,
                no_customer=keys,
                cut_checkpoints=FROM_THE_FIRST[0] if points else None,
                checkpoints=[transaction._checkpoint(deal, point) for point in points],
            )
        ],
        now,
    )
    return {each for each in former if each is not None and each != key}


def _resealed_events(
    transaction: SealedTransaction, pipeline: int, deal: int, name: str, key: str
) -> set[str | None]:
    inner, sealer = transaction._inner, transaction._sealer
    rows = [event for event, _ in inner.events(deal)]
    identities = [(event.source, event.id) for event in rows]
    known = inner.known_events(pipeline, identities) if identities else {}
    written = []
    for event in rows:
        text = transaction._event(deal, event).data_text()
        data = sealer.seal_json(key, text, of_event(deal, event.source, event.id))
        digest = known[event.source, event.id].digest
        if digest is not None:
            digest = digest_of(event.type, name, event.at, data)
        written.append((event.source, event.id, data, digest))
    if written:
        inner.reseal_events(pipeline, written)
    return {key_of_data(event) for event in rows}


def _resealed_effect(
    transaction: SealedTransaction, effect: EffectRow, key: str
) -> set[str | None]:
    opened = transaction._effect(effect, is_list=False)
    seal, name = transaction.sealed_part, effect.key
    decisions = None if opened.decisions is None else seal(key, name, "decisions", opened.decisions)
    error = None if opened.error is None else seal(key, name, "error", opened.error)
    payload = seal(key, name, "payload", opened.payload)
    transaction._inner.reseal_effect(name, payload, decisions, error)
    return {key_of_json(effect.payload), key_of_json(effect.decisions), key_of_text(effect.error)}


def _resealed_held(transaction: SealedTransaction, pipeline: int, deal: str, key: str) -> set[str]:
    former: set[str | None] = set()
    for row in every_held(transaction._inner, pipeline, deal):
        former |= {key_of_json(row.data), key_of_text(row.reason), key_of_text(row.note)}
        try:
            opened = transaction._held(pipeline, row, is_list=False)
        except SealedError:
            continue
        sealed = transaction.sealed_held(pipeline, key, opened, row.key)
        transaction._inner.replace_held(pipeline, sealed)
    return {each for each in former if each is not None and each != key}


def seal_archived(
    transaction: SealedTransaction,
    pipeline: int,
    deal: int,
    contacts: Iterable[tuple[str, str]],
    text: str,
    place: str,
) -> str:
    """Return what an archive keeps of a deal, which is locked; that it needs the key is noted.

    Args:
        contacts: names of fields and values by which somebody may ask to be forgotten.
        text: all of the deal.
        place: in the archive.
    """
    inner = transaction._inner
    key = transaction._key_of(deal)
    for field, value in dict.fromkeys(contacts):
        inner.add_note(f"{ARCHIVED}{_token(transaction, pipeline, field, value)}:{key}", str(deal))
    inner.add_note(f"{ARCHIVED}-:{key}", str(deal))
    return transaction._sealer.seal(key, text, place)


def forget_archived(
    transaction: SealedTransaction, pipeline: int, field: str, value: str, now: dt.datetime
) -> list[str]:
    """Have the keys destroyed that archived deals are sealed with which name a contact.

    Returns:
        The ids of these deals.
    """
    inner, deals = transaction._inner, []
    token = _token(transaction, pipeline, field, value)
    for name, number in sorted(inner.notes(f"{ARCHIVED}{token}:").items()):
        key, deal = name.rpartition(":")[2], int(number)
        pair = inner.load_by_id(deal)
        if pair is None:
            continue
        deals.append(pair[0].deal)
        transaction._note_key(deal, pair[1])
        if pair[0].removed_at is None and transaction._key_of(deal) == key:
            # The deal lives, and is sealed with it too.
            renew(transaction, pipeline, deal, pair[0].deal, now)
        _to_be_destroyed(transaction, [key])
    return deals


def _to_be_destroyed(transaction: SealedTransaction, keys: Collection[str]) -> None:
    destroy_later(transaction._inner, keys)
    for key in keys:
        for name in transaction._inner.notes(f"{ARCHIVED}%:{key}"):
            transaction._inner.remove_note(name)


def _token(transaction: SealedTransaction, pipeline: int, field: str, value: str) -> str:
    return transaction._sealer.hash("archived", f"{pipeline}\x00{field}\x00{value}")

"""One unit of work on a sealed store: what is written is encrypted with the key of its deal.

Which key that is, the database says and no process remembers: it is read under the lock of the
deal's row, which whoever forgets a person holds too while the deal is given another key. What is
written of an effect without its deal locks the deal first for that reason; what is held may be of
a deal that has no row, so its key is noted under the deal's name, and that note is locked.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import attrs

from ...model.event import Event, digest_of
from ..base import Checkpoint, DealChange, HeldRow, NewEffect, NewEvent, StoredDeal
from .inner import Sealable
from .reading import (
    Pair,
    SealedReading,
    hashed_digest,
    of_checkpoint,
    of_customer,
    of_effect,
    of_event,
    of_held,
    of_note,
    of_salt,
    text_of_salt,
)
from .sealer import Sealer, key_of_document, key_of_text

__all__: list[str] = []


class SealedTransaction(SealedReading):
    """A transaction of another store's, in which nothing of a person is written as it is.

    Args:
        writes: whether deals that are loaded are locked by it.
    """

    def __init__(self, inner: Sealable, sealer: Sealer, writes: bool) -> None:
        super().__init__(inner, sealer)
        self._writes = writes
        self._keys: dict[int, str] = {}
        self._names: dict[int, str] = {}
        self._numbers: dict[tuple[int, str], int] = {}
        self._plain: dict[int, str] = {}
        self._bare: set[int] = set()

    # -- which key ----------------------------------------------------------------------------

    @contextlib.contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo what happens in the block when it raises; with it go locks, and what they kept."""
        try:
            with self._inner.savepoint():
                yield
        except BaseException:
            for known in (self._keys, self._plain, self._bare):
                known.clear()
            raise

    def _locked(self, pair: Pair, pipeline: int | None = None) -> Pair:
        """Return a deal that was read under its lock, once its key is noted."""
        stored, document = pair
        if self._writes:
            self._names[stored.id] = stored.deal
            if pipeline is not None:
                self._numbers[pipeline, stored.deal] = stored.id
            self._note_key(stored.id, document)
        return self._pair(pair)

    def _note_key(self, deal: int, document: str | None) -> None:
        key = key_of_document(document)
        if key is not None:
            self._keys[deal] = key
            self._plain.pop(deal, None)
        elif document is None:
            self._bare.add(deal)
        else:
            self._plain[deal] = document

    def load(
        self, pipeline: int, deal: str, create: bool
    ) -> tuple[StoredDeal | None, str | None, str | None]:
        stored, document, fingerprint = self._inner.load(pipeline, deal, create)
        if stored is None:
            return None, None, fingerprint
        return *self._locked((stored, document), pipeline), fingerprint

    def load_many(self, pipeline: int, deals: Sequence[str]) -> dict[str, Pair]:
        found = self._inner.load_many(pipeline, deals)
        return {deal: self._locked(pair, pipeline) for deal, pair in found.items()}

    def load_by_id(self, deal_id: int) -> Pair | None:
        found = self._inner.load_by_id(deal_id)
        return found and self._locked(found)

    def document(self, deal_id: int) -> str | None:
        document = self._inner.document(deal_id)
        return self._sealer.open_document(deal_id, self._named(deal_id), document)

    def _named(self, deal: int) -> str:
        return self._names.get(deal, f"number {deal}")

    def _learn(self, deals: Collection[int]) -> None:
        """Find the keys of deals that this transaction has locked; one that has none gets one."""
        unknown = [deal for deal in dict.fromkeys(deals) if deal not in self._keys]
        for deal in unknown:
            if deal not in self._bare and deal not in self._plain:
                self._note_key(deal, self._inner.document(deal))
        unknown = [deal for deal in unknown if deal not in self._keys]
        told = self._inner.events_of(unknown) if unknown else {}
        for deal in unknown:
            found = (key_of_data(event) for event, _ in told.get(deal, ()))
            self._keys[deal] = next(filter(None, found), None) or self._sealer.fresh()

    def _key_of(self, deal: int) -> str:
        if deal not in self._keys:
            self._learn([deal])
        return self._keys[deal]

    def _key_of_effect(self, key: str) -> str | None:
        """Return the key of an effect's deal, which is locked from now on."""
        found = self._inner.deal_of_effect(key)
        if found is None:
            return None
        pipeline, deal = found
        if deal not in self._keys:
            self._inner.share_pipeline(pipeline)
            self.load_by_id(deal)
        return self._key_of(deal)

    def _key_of_held(self, pipeline: int, deal: str) -> str:
        """Return the key of what is held of a deal, which nobody changes before this ends."""
        name = note_of_held(pipeline, deal)
        # A note is never removed, so that what is proposed counts only where there never was one.
        return self._inner.lock_note(name, self._inner.note(name) or self._sealer.fresh())

    # -- events -------------------------------------------------------------------------------

    def add_events(self, pipeline: int, events: Sequence[NewEvent]) -> int:
        self._learn([event.deal_id for event in events])
        return self._inner.add_events(pipeline, list(map(self._sealed_event, events)))

    def _sealed_event(self, event: NewEvent) -> NewEvent:
        deal = event.deal_id
        place = of_event(deal, event.source, event.id)
        data = self._sealer.seal_json(self._keys[deal], event.data, place)
        digest = event.digest
        if digest is not None:
            # Of what is sealed, so that once its key is gone nothing tells a right guess.
            digest = digest_of(event.type, self._name_of(deal), event.at, data)
        return event._replace(data=data, digest=digest)

    def _name_of(self, deal: int) -> str:
        if deal not in self._names:
            self.load_by_id(deal)
        return self._names[deal]

    def replace_event_data(self, pipeline: int, replacements: Sequence[tuple[Event, str]]) -> None:
        sealed = []
        for event, data in replacements:
            deal = self._numbers.get((pipeline, event.deal))
            if deal is None:
                stored, _, _ = self.load(pipeline, event.deal, create=False)
                if stored is None:
                    continue
                deal = stored.id
            place = of_event(deal, event.source, event.id)
            sealed.append((event, self._sealer.seal_json(self._key_of(deal), data, place)))
        self._inner.replace_event_data(pipeline, sealed)

    def save_salts(self, salts: Mapping[int, bytes]) -> None:
        """Keep salts so that a copy of them is worth nothing once the keys are destroyed."""
        self._learn(list(salts))
        self._inner.save_salts(
            {deal: self._sealed_salt(self._keys[deal], deal, salt) for deal, salt in salts.items()}
        )

    def _sealed_salt(self, key: str, deal: int, salt: bytes) -> bytes:
        return self._sealer.seal(key, salt.hex(), of_salt(deal)).encode() if salt else salt

    def reseal_salt(self, deal: int, key: str) -> str | None:
        """Encrypt a deal's salt with another key; return the one that it was sealed with."""
        salt = self._inner.salts([deal]).get(deal)
        if not salt:
            return None
        sealed = self._sealed_salt(key, deal, self._salt(deal, salt))
        self._inner.save_salts({deal: sealed})
        return key_of_text(text_of_salt(salt))

    def remove_deal_events(self, deal_id: int) -> None:
        """Remove a deal's data; its key goes too, unless an archive needs it."""
        raw = self._inner.document(deal_id)
        keys = {key_of_document(raw)}
        keys.update(key_of_data(event) for event, _ in self._inner.events(deal_id))
        self._inner.remove_deal_events(deal_id)
        kept = self._inner.note
        gone = [key for key in keys if key and kept(f"{ARCHIVED}-:{key}") is None]
        destroy_later(self._inner, gone)
        self._keys.pop(deal_id, None)
        self._plain.pop(deal_id, None)

    # -- what is held -------------------------------------------------------------------------

    def _kept_as(self, pipeline: int, key: str) -> str:
        """Return the key of a held event's row, which may be from before the store was sealed."""
        hashed = self.held_key(key)
        if hashed == key or self._inner.held_by_key(pipeline, hashed) is not None:
            return hashed
        return hashed if self._inner.held_by_key(pipeline, key) is None else key

    def hold(self, pipeline: int, row: HeldRow) -> None:
        key = self._key_of_held(pipeline, row.deal)
        name = self._kept_as(pipeline, row.key)
        self._inner.hold(pipeline, self.sealed_held(pipeline, key, row, name))

    def replace_held(self, pipeline: int, row: HeldRow) -> None:
        key = self._key_of_held(pipeline, row.deal)
        name = self._kept_as(pipeline, row.key)
        self._inner.replace_held(pipeline, self.sealed_held(pipeline, key, row, name))

    def sealed_held(self, pipeline: int, key: str, row: HeldRow, name: str) -> HeldRow:
        """Return the row of a held event as it is stored, under a name."""
        seal, data = self._sealer.seal, row.data
        if data is not None:
            data = self._sealer.seal_json(key, data, of_held(pipeline, name, "data"))
        return row._replace(
            key=name,
            data=data,
            digest=hashed_digest(self._sealer, row.digest),
            reason=seal(key, row.reason, of_held(pipeline, name, "reason")),
            note=None if row.note is None else seal(key, row.note, of_note(pipeline, name)),
        )

    def remove_held(self, pipeline: int, key: str) -> None:
        self._inner.remove_held(pipeline, self._kept_as(pipeline, key))

    def note_held_customer(self, pipeline: int, held: str, keys: Sequence[str]) -> None:
        hashed = sorted(map(self.customer_key, keys))
        self._inner.note_held_customer(pipeline, self._kept_as(pipeline, held), hashed)

    # -- what is decided ----------------------------------------------------------------------

    def save(self, pipeline: int, changes: Sequence[DealChange], now: dt.datetime) -> None:
        self._learn([each.deal.id for each in changes if each.deal.removed_at is None])
        self._inner.save(pipeline, [self._sealed(pipeline, each) for each in changes], now)

    def _sealed(self, pipeline: int, change: DealChange) -> DealChange:
        deal, before = change.deal, change.before
        self._names[deal.id] = deal.deal
        told = change.customer
        change = attrs.evolve(
            change,
            customer=None if told is None else tuple(map(self.customer_key, told)),
            # Those from before the store was sealed go too.
            no_customer=tuple(self._either(change.no_customer)),
        )
        if deal.removed_at is not None:
            return change
        key, document, is_as_before = self._keys[deal.id], change.document, change.found_as_before
        if deal.id in self._plain:
            # From before the store was sealed: what lists find it by goes, too.
            plain, is_as_before = self._plain.pop(deal.id), False
            document = plain if document is None else document
        if document is not None:
            document = self._sealer.seal_document(key, document, deal.id)
            self._bare.discard(deal.id)
        is_same = before is not None and before.customer == deal.customer
        customer = deal.customer
        if customer is not None:
            customer = self._sealer.seal(key, customer, of_customer(deal.id))
        if before is not None:
            before = before._replace(customer=customer if is_same else "")
        return attrs.evolve(
            change,
            deal=deal._replace(customer=customer),
            before=before,
            document=document,
            found_as_before=is_as_before,
            effects=[self._sealed_effect(key, effect) for effect in change.effects],
            aside=[
                self.sealed_held(pipeline, key, row, self.held_key(row.key)) for row in change.aside
            ],
            checkpoints=[self.sealed_checkpoint(key, deal.id, row) for row in change.checkpoints],
        )

    def sealed_checkpoint(self, key: str, deal: int, row: Checkpoint) -> Checkpoint:
        """Return a checkpoint as it is stored."""
        return Checkpoint(
            row.at,
            self._sealer.seal_json(key, row.state, of_checkpoint(deal, row.at, "state")),
            self._sealer.seal_json(key, row.data, of_checkpoint(deal, row.at, "data")),
        )

    def _sealed_effect(self, key: str, effect: NewEffect) -> NewEffect:
        payload = self._sealer.seal_json(key, effect.payload, of_effect(effect.key, "payload"))
        sealed = SealedEffect._make(effect._replace(payload=payload))
        sealed.is_ready_at = effect.ready_at
        return sealed

    # -- effects ------------------------------------------------------------------------------

    def claim_effect(
        self,
        key: str,
        lease: str,
        until: dt.datetime,
        attempts: int,
        address: str | None = None,
        sent_at: dt.datetime | None = None,
        decisions: str | None = None,
    ) -> None:
        decisions = self._of_effect(key, "decisions", decisions)
        self._inner.claim_effect(key, lease, until, attempts, address, sent_at, decisions)

    def settle_effect(
        self,
        key: str,
        state: str,
        ready_at: dt.datetime | None = None,
        error: str | None = None,
        lease: str | None = None,
    ) -> bool:
        sealed = self._of_effect(key, "error", error)
        return self._inner.settle_effect(key, state, ready_at, sealed, lease)

    def decide_effect(self, key: str, state: str, decisions: str, *told: Any, **named: Any) -> bool:
        sealed = self._of_effect(key, "decisions", decisions)
        return sealed is not None and self._inner.decide_effect(key, state, sealed, *told, **named)

    def give_task(self, key: str, owner: str | None, payload: str) -> None:
        sealed = self._of_effect(key, "payload", payload)
        if sealed is not None:
            self._inner.give_task(key, owner, sealed)

    def replace_effect_payload(self, key: str, payload: str, decisions: str | None) -> None:
        sealed = self._of_effect(key, "payload", payload)
        decisions = self._of_effect(key, "decisions", decisions)
        if sealed is not None:
            self._inner.replace_effect_payload(key, sealed, decisions)

    def _of_effect(self, effect: str, part: str, text: str | None) -> str | None:
        """Return a part of an effect as it is stored; ``None`` where there is no such effect."""
        key = None if text is None else self._key_of_effect(effect)
        if key is None or text is None:
            return None
        return self.sealed_part(key, effect, part, text)

    def sealed_part(self, key: str, effect: str, part: str, text: str) -> str:
        """Return a part of an effect as it is stored."""
        seal = self._sealer.seal if part == "error" else self._sealer.seal_json
        return seal(key, text, of_effect(effect, part))


ARCHIVED = "archived:"
"""What the names of notes begin with that say which keys archives need."""
DESTROYED = "destroy:"
"""Likewise, which keys are to be destroyed."""


ARE_LEFT = "keys to destroy"
"""The name of the note that says whether there are any, so that a worker need not look for them."""


def destroy_later(inner: Sealable, keys: Collection[str]) -> None:
    """Note keys as to be destroyed once this is committed."""
    if not keys:
        return
    for key in keys:
        inner.add_note(f"{DESTROYED}{key}", "")
    inner.lock_note(ARE_LEFT, "yes")
    inner.set_note(ARE_LEFT, "yes")


def note_destroyed(inner: Sealable, keys: Collection[str]) -> None:
    """Note that keys are destroyed."""
    inner.lock_note(ARE_LEFT, "no")
    for key in keys:
        inner.remove_note(f"{DESTROYED}{key}")
    inner.set_note(ARE_LEFT, "yes" if inner.notes(DESTROYED) else "no")


class SealedEffect(NewEffect):
    """An effect whose payload does not say any more by when it is to be done."""

    is_ready_at: dt.datetime

    @property
    def ready_at(self) -> dt.datetime:
        """As the payload said it."""
        return self.is_ready_at


def key_of_data(event: Event) -> str | None:
    """Return the key that an event's data is sealed with, as the inner store has read it."""
    sealed: object = event.data
    return key_of_text(sealed) if isinstance(sealed, str) else None


def note_of_held(pipeline: int, deal: str) -> str:
    """Return under which name the key of what is held of a deal is noted."""
    name = hashlib.blake2b(deal.encode(errors="replace"), digest_size=16).hexdigest()
    return f"held:{pipeline}:{name}"

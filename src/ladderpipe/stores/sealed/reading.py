"""What a sealed store reads: rows as the store around which it stands has them, opened.

What cannot be opened does not keep others from being read: of a list, a text that says so stands
in its place; a whole deal's events, or the one effect that is to be sent, raise.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import attrs

from ...errors import SealedError
from ...model.event import Event, digest_of, stored_event
from ..base import (
    ALL,
    EVER,
    FORGOTTEN_DIGEST,
    FROM_THE_FIRST,
    Checkpoint,
    CustomerDeal,
    EffectRow,
    HeldRow,
    KnownEvent,
    StoredDeal,
)
from ..filters import DealFilter, TaskFilter
from ..listing import COMPANY, Changed, Listed, Order, Place, StageSum
from ..memory import contact_in, is_named
from .inner import Sealable
from .sealer import HASHED, Sealer, key_of_document, key_of_json, key_of_text

__all__: list[str] = []

PAGE: Final = 500
NOBODY: Final = '["",[],[]]'
"""A customer of whom nothing can be read."""

Pair = tuple[StoredDeal, str | None]


class SealedReading:
    """The reading half of a transaction; everything that holds nothing personal passes through."""

    def __init__(self, inner: Sealable, sealer: Sealer) -> None:
        self._inner = inner
        self._sealer = sealer
        self.plain = 0
        """How many deals were read whose documents are not encrypted."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    # -- deals --------------------------------------------------------------------------------

    def _row(self, stored: StoredDeal) -> StoredDeal:
        customer = stored.customer
        if key_of_text(customer) is None:
            return stored
        assert customer is not None
        try:
            return stored._replace(customer=self._sealer.open(customer, of_customer(stored.id)))
        except SealedError:
            return stored._replace(customer=NOBODY)

    def _pair(self, pair: Pair) -> Pair:
        stored, document = pair
        self.plain += document is not None and key_of_document(document) is None
        return self._row(stored), self._sealer.open_document(stored.id, stored.deal, document)

    def due(
        self, pipeline: int, now: dt.datetime, limit: int, latest: dt.datetime = EVER
    ) -> list[StoredDeal]:
        return list(map(self._row, self._inner.due(pipeline, now, limit, latest)))

    def swept_ahead(self, *asked: Any, **named: Any) -> list[StoredDeal]:
        return list(map(self._row, self._inner.swept_ahead(*asked, **named)))

    def unadopted(
        self, pipeline: int, fingerprint: str, after: int, limit: int
    ) -> list[StoredDeal]:
        return list(map(self._row, self._inner.unadopted(pipeline, fingerprint, after, limit)))

    def deals(self, pipeline: int, wanted: DealFilter, after: int, limit: int) -> list[Pair]:
        found = self._inner.deals(pipeline, self._asked(wanted), after, limit)
        return list(map(self._pair, found))

    def every_deal(self, pipeline: int, after: int, limit: int) -> list[Pair]:
        return list(map(self._pair, self._inner.every_deal(pipeline, after, limit)))

    def closed_deals(
        self, pipeline: int, before: dt.datetime, after: int, limit: int
    ) -> list[Pair]:
        return list(map(self._pair, self._inner.closed_deals(pipeline, before, after, limit)))

    def unindexed(self, pipeline: int, limit: int) -> list[Pair]:
        return list(map(self._pair, self._inner.unindexed(pipeline, limit)))

    def deals_by_id(self, ids: Sequence[int]) -> dict[int, Pair]:
        return {id: self._pair(pair) for id, pair in self._inner.deals_by_id(ids).items()}

    def changed(self, pipeline: int, after: tuple[dt.datetime, int], limit: int) -> list[Changed]:
        found = self._inner.changed(pipeline, after, limit)
        return [Changed(row.at, *self._pair((row.deal, row.document))) for row in found]

    def deals_with_contact(self, pipeline: int, key: str, value: str) -> list[int]:
        """Return deals that name a contact: each is opened, since no index knows what they say."""
        found = []
        after = 0
        while page := self._inner.every_deal(pipeline, after, PAGE):
            after = page[-1][0].id
            told = self._inner.events_of([stored.id for stored, _ in page])
            for stored, document in page:
                texts = self._told(stored, document, told.get(stored.id, ()))
                if any(is_named(contact_in(text).get(key), value) for text in texts):
                    found.append(stored.id)
        return found

    def _told(
        self,
        stored: StoredDeal,
        document: str | None,
        events: Iterable[tuple[Event, dt.datetime]],
    ) -> Iterator[Any]:
        """Yield all that a deal's data and events say, as far as it opens."""
        yield json.loads(self._sealer.open_document(stored.id, stored.deal, document) or "{}")
        for event, _ in events:
            try:
                yield self._event(stored.id, event).data
            except SealedError:
                continue

    # -- events -------------------------------------------------------------------------------

    def _event(self, deal_id: int, event: Event) -> Event:
        sealed: object = event.data
        if not isinstance(sealed, str):
            return event
        text = self._sealer.open(sealed, of_event(deal_id, event.source, event.id))
        told = (event.type, event.deal, event.id, event.at, event.source, event.seq)
        return stored_event(*told, json.loads(text))

    def events(
        self, deal_id: int, after: dt.datetime | None = None, until: dt.datetime = EVER
    ) -> list[tuple[Event, dt.datetime]]:
        rows = self._inner.events(deal_id, after, until)
        return [(self._event(deal_id, event), at) for event, at in rows]

    def events_of(self, deal_ids: Sequence[int]) -> dict[int, list[tuple[Event, dt.datetime]]]:
        found = self._inner.events_of(deal_ids)
        return {
            deal_id: [(self._event(deal_id, event), at) for event, at in rows]
            for deal_id, rows in found.items()
        }

    def hands_since(
        self, deal_ids: Sequence[int], since: dt.datetime, types: Sequence[str]
    ) -> list[tuple[int, Event]]:
        rows = self._inner.hands_since(deal_ids, since, types)
        return [(deal_id, self._event(deal_id, event)) for deal_id, event in rows]

    def known_events(
        self, pipeline: int, identities: Sequence[tuple[str, str]]
    ) -> dict[tuple[str, str], KnownEvent]:
        found = self._inner.known_events(pipeline, identities)
        return {identity: self._known(identity, known) for identity, known in found.items()}

    def _known(self, identity: tuple[str, str], known: KnownEvent) -> KnownEvent:
        """Return what an event is known by: its row keeps a digest of what is sealed only.

        So what was said cannot be guessed at once its key is destroyed.
        """
        if key_of_json(known.data) is None or known.digest is None or known.deal is None:
            return known
        assert known.data is not None
        if known.digest != digest_of(known.type, known.deal, known.at, known.data):
            return known  # the row was altered, which verify tells
        text = self._sealer.open(json.loads(known.data), of_event(known.deal_id, *identity))
        digest = digest_of(known.type, known.deal, known.at, text)
        return known._replace(digest=digest, data=text)

    # -- the hash chain -----------------------------------------------------------------------

    def unchained(
        self, deal_ids: Sequence[int], limit: int
    ) -> list[tuple[int, Event, dt.datetime]]:
        """Return events without a leaf that can be opened: a leaf is of what an event says."""
        pairs = self.deals_by_id(deal_ids)
        wanted = [id for id, (_, text) in pairs.items() if key_of_document(text) is None]
        while True:
            rows = self._inner.unchained(wanted, limit) if wanted else []
            found, closed = [], set()
            for deal_id, event, recorded_at in rows:
                try:
                    found.append((deal_id, self._event(deal_id, event), recorded_at))
                except SealedError:
                    closed.add(deal_id)
            if not closed or len(rows) < limit:
                return found
            wanted = [id for id in wanted if id not in closed]

    def salts(self, deal_ids: Sequence[int]) -> dict[int, bytes]:
        """Return the salts of deals that can be opened."""
        found = {}
        for deal_id, salt in self._inner.salts(deal_ids).items():
            try:
                found[deal_id] = self._salt(deal_id, salt)
            except SealedError:
                continue
        return found

    def _salt(self, deal_id: int, salt: bytes) -> bytes:
        text = text_of_salt(salt)
        if key_of_text(text) is None:
            return salt
        return bytes.fromhex(self._sealer.open(text, of_salt(deal_id)))

    # -- checkpoints --------------------------------------------------------------------------

    def checkpoint(self, deal_id: int, before: dt.datetime) -> Checkpoint | None:
        found = self._inner.checkpoint(deal_id, before)
        return found and self._checkpoint(deal_id, found)

    def checkpoints(
        self, deal_id: int, since: dt.datetime | None = None, limit: int = ALL
    ) -> list[Checkpoint]:
        found = self._inner.checkpoints(deal_id, since, limit)
        return [self._checkpoint(deal_id, row) for row in found]

    def _checkpoint(self, deal_id: int, row: Checkpoint) -> Checkpoint:
        if key_of_json(row.state) is None:
            return row
        return Checkpoint(
            row.at,
            self._sealer.open(json.loads(row.state), of_checkpoint(deal_id, row.at, "state")),
            self._sealer.open(json.loads(row.data), of_checkpoint(deal_id, row.at, "data")),
        )

    # -- what is held -------------------------------------------------------------------------

    def _held(self, pipeline: int, row: HeldRow, is_list: bool = True) -> HeldRow:
        data = row.data
        if key_of_json(data) is not None:
            assert data is not None
            place = of_held(pipeline, row.key, "data")
            data = self._json(data, place, is_list and row.discarded_at is None)
        return row._replace(
            data=data,
            reason=self._text(row.reason, of_held(pipeline, row.key, "reason")),
            note=None if row.note is None else self._text(row.note, of_note(pipeline, row.key)),
        )

    def _json(self, text: str, place: str, or_say_why: bool) -> str:
        try:
            return self._sealer.open(json.loads(text), place)
        except SealedError as error:
            if not or_say_why:
                raise
            return json.dumps({"unreadable": str(error)})

    def _text(self, text: str, place: str) -> str:
        """Return what people read; of what cannot be opened, that it cannot."""
        if key_of_text(text) is None:
            return text
        try:
            return self._sealer.open(text, place)
        except SealedError as error:
            return f"[{error}]"

    def held_key(self, key: str) -> str:
        """Return the key that a held event's row has, as it is or of an event that is to be held.

        That of an event is made of what it says, which nobody shall guess.
        """
        return key if key.startswith(HASHED) else self._sealer.hash("held", key)

    def held(
        self,
        pipeline: int,
        deal: str | None = None,
        *,
        after: str = "",
        limit: int = 500,
        discarded: bool = False,
    ) -> list[HeldRow]:
        rows = self._inner.held(pipeline, deal, after=after, limit=limit, discarded=discarded)
        return [self._held(pipeline, row) for row in rows]

    def held_of_deals(self, pipeline: int, wanted: DealFilter, limit: int) -> list[HeldRow]:
        rows = self._inner.held_of_deals(pipeline, self._asked(wanted), limit)
        return [self._held(pipeline, row) for row in rows]

    def held_by_key(self, pipeline: int, key: str) -> HeldRow | None:
        found = self._inner.held_by_key(pipeline, self.held_key(key))
        if found is None:
            # From before the store was sealed.
            found = self._inner.held_by_key(pipeline, key)
        return found and self._held(pipeline, found, is_list=found.discarded_at is not None)

    def held_due(
        self, pipeline: int, now: dt.datetime, limit: int, latest: dt.datetime = EVER
    ) -> list[HeldRow]:
        rows = self._inner.held_due(pipeline, now, limit, latest)
        return [self._held(pipeline, row) for row in rows]

    def held_of_customer(self, pipeline: int, keys: Sequence[str]) -> list[HeldRow]:
        rows = self._inner.held_of_customer(pipeline, self._either(keys))
        return [self._held(pipeline, row) for row in rows]

    # -- effects ------------------------------------------------------------------------------

    def _effect(self, row: EffectRow, is_list: bool = True) -> EffectRow:
        payload, decisions, error = row.payload, row.decisions, row.error
        if key_of_json(payload) is not None:
            payload = self._json(payload, of_effect(row.key, "payload"), is_list)
        if key_of_json(decisions) is not None:
            assert decisions is not None
            try:
                place = of_effect(row.key, "decisions")
                decisions = self._sealer.open(json.loads(decisions), place)
            except SealedError:
                decisions = None
        if error is not None:
            error = self._text(error, of_effect(row.key, "error"))
        return row._replace(payload=payload, decisions=decisions, error=error)

    def effects(
        self, pipeline: int, deal_id: int | None, states: Sequence[str] | None
    ) -> list[EffectRow]:
        return list(map(self._effect, self._inner.effects(pipeline, deal_id, states)))

    def unsent_effects(self, pipeline: int, deals: Sequence[str]) -> list[EffectRow]:
        return list(map(self._effect, self._inner.unsent_effects(pipeline, deals)))

    def open_tasks(
        self,
        pipeline: int,
        wanted: TaskFilter,
        after: tuple[dt.datetime, str] | None = None,
        limit: int | None = None,
    ) -> list[EffectRow]:
        asked = attrs.evolve(wanted, of=self._asked(wanted.of))
        return list(map(self._effect, self._inner.open_tasks(pipeline, asked, after, limit)))

    def count_open_tasks(self, pipeline: int, wanted: TaskFilter) -> int:
        asked = attrs.evolve(wanted, of=self._asked(wanted.of))
        return self._inner.count_open_tasks(pipeline, asked)

    def effect(self, pipeline: int, key: str) -> EffectRow | None:
        found = self._inner.effect(pipeline, key)
        return found and self._effect(found, is_list=False)

    def oldest_effect(self, pipeline: int) -> EffectRow | None:
        found = self._inner.oldest_effect(pipeline)
        return found and self._effect(found)

    def ready_effects(
        self,
        pipeline: int,
        now: dt.datetime,
        names: Sequence[str],
        limit: int,
        after: tuple[dt.datetime, str] = FROM_THE_FIRST,
    ) -> list[EffectRow]:
        found = self._inner.ready_effects(pipeline, now, names, limit, after)
        return list(map(self._effect, found))

    def put_off_effects(self, pipeline: int, latest: dt.datetime, limit: int) -> list[EffectRow]:
        return list(map(self._effect, self._inner.put_off_effects(pipeline, latest, limit)))

    def free_effect(self, pipeline: int, now: dt.datetime, keys: Sequence[str]) -> EffectRow | None:
        """Return the first that may be claimed; its deal says whether it can be opened."""
        found = self._inner.free_effect(pipeline, now, keys)
        return found and self._effect(found)

    # -- customers and lists ------------------------------------------------------------------

    def customer_key(self, key: str) -> str:
        """Return what stands for the key of a customer."""
        return self._sealer.hash("customer", key)

    def _either(self, keys: Sequence[str]) -> list[str]:
        """Return these keys as they are stored, and as they were before the store was sealed."""
        return [*map(self.customer_key, keys), *keys]

    def deals_of_customer(self, keys: Sequence[str], limit: int) -> list[CustomerDeal]:
        plain = {self.customer_key(key): key for key in keys}
        rows = self._inner.deals_of_customer(self._either(keys), limit)
        found = {(row.key, row.id): row for row in rows if row.key not in plain}
        hashed = [row._replace(key=plain[row.key]) for row in rows if row.key in plain]
        found.update({(row.key, row.id): row for row in hashed})
        return sorted(found.values(), key=lambda row: (row.key, row.id))

    def lock_customers(self, keys: Sequence[str], wait: bool) -> bool:
        return self._inner.lock_customers(sorted(map(self.customer_key, keys)), wait)

    def secret(self, create: bool = False) -> bytes:
        """Return what hashes are keyed with, which stands in the ring."""
        return self._sealer.secret

    def listed(
        self, pipeline: int, wanted: DealFilter, order: Order, after: Place | None, limit: int
    ) -> Listed:
        return self._inner.listed(pipeline, self._asked(wanted), order, after, limit)

    def stage_sums(self, pipeline: int, wanted: DealFilter) -> list[StageSum]:
        return self._inner.stage_sums(pipeline, self._asked(wanted))

    def _asked(self, wanted: DealFilter) -> DealFilter:
        """Return a filter as what is stored can be compared with it.

        A word that is an address asks for the customer who has it, since no text can be searched.
        """
        customer, words = wanted.customer, wanted.words
        addresses = [word for word in words if "@" in word]
        if customer is None and addresses:
            customer = f"email:{addresses[0]}"
            words = tuple(word for word in words if word != addresses[0])
        if customer is not None and customer.startswith(COMPANY):
            company = customer.removeprefix(COMPANY)
            customer = f"{COMPANY}{self._sealer.company(company)}"
        elif customer is not None:
            customer = self.customer_key(customer)
        if wanted.source is None and wanted.sources is None and customer is None:
            return wanted
        source = None if wanted.source is None else self._sealer.source(wanted.source)
        sources = wanted.sources
        if sources is not None:
            sources = tuple(each and self._sealer.source(each) for each in sources)
        return attrs.evolve(wanted, customer=customer, words=words, source=source, sources=sources)


def hashed_digest(sealer: Sealer, digest: str) -> str:
    """Return the digest of a held event as its row has it."""
    is_hashed = digest in ("", FORGOTTEN_DIGEST) or digest.startswith(HASHED)
    return digest if is_hashed else sealer.hash("digest", digest)


def of_customer(deal: int) -> str:
    """Return the place of a deal's customer."""
    return f"customer of deal\x00{deal}"


def of_salt(deal: int) -> str:
    """Return the place of a deal's salt in the hash chain."""
    return f"salt\x00{deal}"


def text_of_salt(salt: bytes) -> str:
    """Return the salt of a deal as it may be sealed; random bytes are not, whatever they are."""
    return salt.decode("ascii", errors="replace")


def of_event(deal: int, source: str, id: str) -> str:
    """Return the place of an event's data."""
    return f"event\x00{deal}\x00{source}\x00{id}"


def of_checkpoint(deal: int, at: dt.datetime, part: str) -> str:
    """Return the place of a part of a checkpoint."""
    return f"checkpoint\x00{deal}\x00{at.isoformat()}\x00{part}"


def of_effect(key: str, part: str) -> str:
    """Return the place of a part of an effect."""
    return f"effect\x00{key}\x00{part}"


def of_held(pipeline: int, key: str, part: str) -> str:
    """Return the place of a part of a held event."""
    return f"held event\x00{pipeline}\x00{key}\x00{part}"


def of_note(pipeline: int, key: str) -> str:
    """Return the place of the note on a held event."""
    return of_held(pipeline, key, "note")

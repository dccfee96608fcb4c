"""What a store is: the rows it keeps and the transaction that a board drives.

A board makes one load, takes one pure decision and asks for one commit. Stores hold no rules
of their own beyond the invariants in their schema.
"""

from __future__ import annotations

import datetime as dt
import json
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import attrs

from ..model.delivery import task_due
from ..model.event import Event
from ..model.held import HeldKind, held_key
from ..model.stage import TASK
from .chain import Chains
from .listing import Listing
from .stored_deal import StoredDeal

if TYPE_CHECKING:
    from .filters import DealFilter, TaskFilter

__all__ = [
    "Checkpoint",
    "CustomerDeal",
    "DealChange",
    "EffectRow",
    "HeldRow",
    "KnownEvent",
    "MoveRecord",
    "NewEffect",
    "NewEvent",
    "PipelineRow",
    "RemarkCount",
    "Store",
    "StoredDeal",
    "Structure",
    "Subscription",
    "Transaction",
]


ENDED: Final = (
    "a hook ended the transaction that the board was joined to, and what was written before may "
    "be stored without the rest: roll back what is open now, take COMMIT and ROLLBACK out of the "
    "hook, and send the event again"
)
"""What a joined board says of a transaction that is not the one it began in."""


EVER: Final = dt.datetime.max.replace(tzinfo=dt.UTC)
"""After every instant: nothing is put off for longer than this."""

FROM_THE_FIRST: Final = (dt.datetime.min.replace(tzinfo=dt.UTC), "")
"""Where a list of effects begins: before every instant and key."""


ALL: Final = 2**31 - 1
"""More than a deal has of anything."""


class PipelineRow(NamedTuple):
    """A pipeline as the store knows it; ``migrating`` holds a mapping while one is under way."""

    id: int
    name: str
    fingerprint: str
    definition: str
    migrating: str | None


class NewEvent(NamedTuple):
    """An event about to be stored, its data already as canonical text."""

    deal_id: int
    source: str
    id: str
    type: str
    at: dt.datetime
    seq: int
    data: str
    digest: str | None
    recorded_at: dt.datetime
    undeclared: bool = False
    """Whether its pipeline did not expect events of this type when it was recorded."""


class KnownEvent(NamedTuple):
    """What a stored event is known again by; a forgotten one has no digest.

    ``deal`` and ``data`` are what SQL databases have read to know the digest.
    """

    deal_id: int
    type: str
    at: dt.datetime
    seq: int
    digest: str | None
    deal: str | None = None
    data: str | None = None


class RemarkCount(NamedTuple):
    """How many events of a pipeline have the same remark.

    ``deal`` is the deal of the one that was recorded last.
    """

    told: int
    lately: int
    deal: str


class MoveRecord(NamedTuple):
    """A stored move, which is also the visit it begins; the next move ends that."""

    n: int
    visit_key: str
    out_of: str | None
    into: str
    at: dt.datetime
    recorded_at: dt.datetime
    rule: str
    event_source: str | None
    event_id: str | None


class NewEffect(NamedTuple):
    """An effect about to be stored."""

    key: str
    visit_key: str
    phase: str
    name: str
    position: int
    payload: str
    state: str
    due_at: dt.datetime
    expires_at: dt.datetime | None
    run_to_completion: bool
    owner: str | None
    purpose: str | None = None
    channel: str | None = None

    @property
    def ready_at(self) -> dt.datetime:
        """When it is due first; of a task, by when it is to be done, which lists are sorted by."""
        return task_due(self.due_at, json.loads(self.payload)) if self.name == TASK else self.due_at


class EffectRow(NamedTuple):
    """A stored effect; ``ready_at`` is its due time, its next try or the end of its lease.

    Of a task it is the time by which it is to be done.

    ``purpose`` and ``channel`` are of one that is for the customer. ``address`` is the hash of the
    customer's address when it was last asked about, ``sent_at`` when it was claimed for that
    address, and ``delayed_until`` what it is put off to on purpose, which a backoff is not.
    ``decisions`` are JSON, see :func:`~ladderpipe.model.effect.decisions_of`.
    """

    key: str
    deal_id: int
    deal: str
    visit_key: str
    phase: str
    name: str
    payload: str
    state: str
    due_at: dt.datetime
    ready_at: dt.datetime
    expires_at: dt.datetime | None
    run_to_completion: bool
    attempts: int
    lease: str | None
    error: str | None
    owner: str | None
    purpose: str | None = None
    channel: str | None = None
    address: str | None = None
    sent_at: dt.datetime | None = None
    delayed_until: dt.datetime | None = None
    decisions: str | None = None


class Checkpoint(NamedTuple):
    """How a long deal stood once all its events up to an instant, and at it, had been folded.

    A late event is folded from the last one before it. ``state`` is JSON, see
    :mod:`ladderpipe.board.checkpoint`; ``data`` is the deal's document of that time.
    """

    at: dt.datetime
    state: str
    data: str


class CustomerDeal(NamedTuple):
    """A deal of a customer, in any pipeline of the store, with the key it was found by."""

    key: str
    pipeline: int
    id: int
    deal: str
    stage: str | None
    closed_at: dt.datetime | None


class Subscription(NamedTuple):
    """That the holder of an address wants to be written to there, or does not, and who said so.

    The later by (``at``, ``seq``, ``source``, ``id``) wins. ``pipeline`` is that of the event; 0
    where nobody knows it any more.
    """

    address: str
    wanted: bool
    at: dt.datetime
    seq: int
    source: str
    id: str
    pipeline: int


class HeldRow(NamedTuple):
    """An event that has no place among a deal's events, or that was set aside in its place.

    Of one that was set aside the event itself is stored with the others, and ``data`` is ``None``.
    ``digest`` is empty where another content of the same event does not make another row.
    ``retry_at`` is when it is tried again by itself, ``None`` when a person has to decide.
    """

    key: str
    kind: str
    deal: str
    source: str
    id: str
    type: str
    at: dt.datetime
    seq: int
    data: str | None
    digest: str
    reason: str
    since: dt.datetime
    told: int
    failures: int
    retry_at: dt.datetime | None
    discarded_at: dt.datetime | None
    discarded_by: str | None
    note: str | None


def new_held(
    kind: HeldKind,
    event: Event,
    reason: str,
    since: dt.datetime,
    data: str | None = None,
    digest: str = "",
    retry_at: dt.datetime | None = None,
) -> HeldRow:
    """Return the row of an event that is held from now on."""
    return HeldRow(
        key=held_key(kind, event.source, event.id, digest),
        kind=kind.value,
        deal=event.deal,
        source=event.source,
        id=event.id,
        type=event.type,
        at=event.at,
        seq=event.seq,
        data=data,
        digest=digest,
        reason=reason,
        since=since,
        told=1,
        failures=0,
        retry_at=retry_at,
        discarded_at=None,
        discarded_by=None,
        note=None,
    )


FORGOTTEN_DIGEST: Final = "forgotten"
"""Digest of a held event whose person was forgotten: whatever is told under its name is a copy."""

FAILED: Final = "failed"
"""The kind of a held event that could not be committed, and is tried again after a while."""
CROWD: Final = 200
"""A key that more deals hold stands for nobody: a till's address, a test account."""

ASIDE: Final = "aside"
"""The kind of a held event that stands in its place and cannot be used there."""


@attrs.define(eq=False)
class DealChange:
    """All that one decision writes for one deal.

    Attributes:
        deal: the row after the decision.
        before: the row as it was loaded in this transaction, where nothing else has written it
            since; ``None`` when that is not known.
        only_swept: whether nothing of the row has changed but :data:`SWEPT_FIELDS`.
        found_as_before: whether the document's title, source, contact and company are the stored
            one's, so that lists find the deal as they did.
        document: the deal's data as JSON text, ``None`` when unchanged.
        cut_from: moves with this number or a higher one are removed first.
        moves: rows to add.
        effects: rows to add, or to revive where the key is known.
        ended: keys of visits that ended: their effects are cancelled unless run to completion.
        vanished: keys of visits that never were: all their pending effects are cancelled.
        revived: key of a past visit that is current again: what moving out cancelled is pending.
        asked_anew: whether events were asked again, so that no others of them are set aside.
        asked_between: only those from the one instant to the other were; ``None`` for all.
        aside: events that are set aside in their place.
        customer: the keys of the deal's customer, where they are others than before.
        no_customer: keys that the deal's customer had before, and has no more.
        wakes: whether effects that wait for the customer's address are asked about again.
        remarks: what is said from now on of events, by source and id; ``None`` takes it back. See
            :mod:`ladderpipe.board.remarks`.
        cut_checkpoints: checkpoints at this instant or later are removed first.
        checkpoints: to add.
    """

    deal: StoredDeal
    before: StoredDeal | None = None
    document: str | None = None
    found_as_before: bool = False
    cut_from: int | None = None
    moves: Sequence[MoveRecord] = ()
    effects: Sequence[NewEffect] = ()
    ended: Sequence[str] = ()
    vanished: Sequence[str] = ()
    revived: str | None = None
    only_swept: bool = False
    asked_anew: bool = False
    asked_between: tuple[dt.datetime, dt.datetime] | None = None
    aside: Sequence[HeldRow] = ()
    customer: Sequence[str] | None = None
    no_customer: Sequence[str] = ()
    wakes: bool = False
    remarks: Mapping[tuple[str, str], str | None] = attrs.field(factory=dict)
    cut_checkpoints: dt.datetime | None = None
    checkpoints: Sequence[Checkpoint] = ()


class Structure(NamedTuple):
    """What a database's tables are, beside what this version of the library expects.

    ``missing_indexes`` has for each index that is not there the statement that makes it.
    """

    version: int
    expected_version: int
    missing_indexes: Mapping[str, str]


class Transaction(Listing, Chains, Protocol):
    """One unit of work on a store. Everything in it happens or nothing does."""

    @property
    def connection(self) -> Any:
        """The database connection, for the caller's own tables; ``None`` in memory."""

    @property
    def is_usable(self) -> bool:
        """Whether what is done now is still part of it: it was not ended, and has not failed."""

    def check_constraints(self) -> None:
        """Check now what the database would check only at the commit, where it can be asked."""

    def savepoint(self) -> AbstractContextManager[None]:
        """Return a context that undoes what happened in it when it raises."""

    def pipeline(self, name: str, change: bool = False) -> PipelineRow | None:
        """Return what is known of a pipeline.

        In a transaction that writes it stays so until the end. With *change*, whoever is about
        to save another definition waits for all who rely on this one, and they for him.
        """

    def share_pipeline(self, pipeline: int) -> None:
        """Have a pipeline's definition stay as it is until the end, as :meth:`load` does.

        For what locks other rows before it loads a deal, since whoever changes a definition locks
        that first.
        """

    def pipelines(self) -> list[PipelineRow]:
        """Return what is known of every pipeline, in the order they were first heard of."""

    def faults(self) -> list[str]:
        """Say in words what the database itself finds wrong with its tables."""

    def structure(self) -> Structure | None:
        """Return the schema's version and what it lacks; ``None`` where there is no schema."""

    def database_now(self) -> dt.datetime | None:
        """Return the time of the database's own clock; ``None`` where it is this process's."""

    def save_pipeline(
        self, name: str, fingerprint: str, definition: str, migrating: str | None
    ) -> PipelineRow:
        """Insert or replace a pipeline's row."""

    def load(
        self, pipeline: int, deal: str, create: bool
    ) -> tuple[StoredDeal | None, str | None, str | None]:
        """Lock and return a deal's row, its document and the pipeline's fingerprint.

        The fingerprint is ``None`` while a migration is under way.
        """

    def load_many(
        self, pipeline: int, deals: Sequence[str]
    ) -> dict[str, tuple[StoredDeal, str | None]]:
        """Lock, creating where missing, and return rows and documents by deal."""

    def load_by_id(self, deal_id: int) -> tuple[StoredDeal, str | None] | None:
        """Lock and return one deal's row and document."""

    def document(self, deal_id: int) -> str | None:
        """Return a deal's document."""

    def add_events(self, pipeline: int, events: Sequence[NewEvent]) -> int:
        """Store events whose identity is new; return how many were."""

    def known_events(
        self, pipeline: int, identities: Sequence[tuple[str, str]]
    ) -> dict[tuple[str, str], KnownEvent]:
        """Return what is known of those that are stored, by source and id."""

    def count_undeclared(self, pipeline: int) -> dict[str, int]:
        """Return how many events there are of each type that was not declared."""

    def remarks(
        self, deal_id: int, between: tuple[dt.datetime, dt.datetime] | None = None
    ) -> dict[tuple[str, str], str]:
        """Return the remarks on a deal's events, by source and id.

        Args:
            between: only on events from the one instant to the other.
        """

    def count_remarks(self, pipeline: int, since: dt.datetime) -> dict[str, RemarkCount]:
        """Return how many events have each remark, in all and recorded at *since* or later."""

    def remove_events(self, pipeline: int, identities: Sequence[tuple[str, str]]) -> None:
        """Remove events that were stored in this transaction and turned out bad."""

    def events(
        self, deal_id: int, after: dt.datetime | None = None, until: dt.datetime = EVER
    ) -> list[tuple[Event, dt.datetime]]:
        """Return a deal's stored events with when each was recorded.

        Args:
            after: only those at a later instant.
            until: only those up to this instant, and at it.
        """

    def events_of(self, deal_ids: Sequence[int]) -> dict[int, list[tuple[Event, dt.datetime]]]:
        """Return what :meth:`events` does for many deals, without those that have none."""

    def replace_event_data(self, pipeline: int, replacements: Sequence[tuple[Event, str]]) -> None:
        """Put other data text into stored events and forget their digests."""

    def remove_unused_deals(self, deal_ids: Sequence[int]) -> None:
        """Remove those of these rows that were made for events which were then not stored."""

    def remove_deal_events(self, deal_id: int) -> None:
        """Remove all events, moves, effects, checkpoints and the document; the row stays.

        The leaves of its events in a hash chain are retired as removed.
        """

    def checkpoint(self, deal_id: int, before: dt.datetime) -> Checkpoint | None:
        """Return a deal's last checkpoint at an earlier instant."""

    def checkpoints(
        self, deal_id: int, since: dt.datetime | None = None, limit: int = ALL
    ) -> list[Checkpoint]:
        """Return a deal's checkpoints in order, the first ones at this instant or later."""

    def needs_checkpoint(self, deal_id: int, at: dt.datetime, every: int) -> bool:
        """Return whether there are so many events since the last checkpoint, *at* included."""

    def hold(self, pipeline: int, row: HeldRow) -> None:
        """Keep an event aside; one that is kept already is counted, and keeps when it began."""

    def held(
        self,
        pipeline: int,
        deal: str | None = None,
        *,
        after: str = "",
        limit: int = 500,
        discarded: bool = False,
    ) -> list[HeldRow]:
        """Return what is held, of one deal or of all, by key, above *after*.

        Args:
            discarded: what was discarded, of which a row stays, and not what is held still.
        """

    def held_among(self, pipeline: int, deals: Sequence[str]) -> set[str]:
        """Return those of these deals of which something is held and not discarded."""

    def held_of_deals(self, pipeline: int, wanted: DealFilter, limit: int) -> list[HeldRow]:
        """Return what is held of open deals that match, and not discarded, the longest held first.

        ``wanted.stages`` is never ``None`` here; besides only owners and sources count.
        """

    def held_by_key(self, pipeline: int, key: str) -> HeldRow | None:
        """Lock and return one of them, discarded or not."""

    def held_due(
        self, pipeline: int, now: dt.datetime, limit: int, latest: dt.datetime = EVER
    ) -> list[HeldRow]:
        """Return what is to be tried again by now, the longest waiting first.

        Args:
            latest: what failed and is put off beyond this instant is returned too: no clock that
                is right has put it off so far.
        """

    def count_held(self, pipeline: int) -> dict[str, tuple[int, dt.datetime]]:
        """Return by kind how much is held, and since when."""

    def replace_held(self, pipeline: int, row: HeldRow) -> None:
        """Put another row in the place of the one with its key."""

    def note_held_customer(self, pipeline: int, held: str, keys: Sequence[str]) -> None:
        """Note which customers a held event is about, and none besides."""

    def held_of_customer(self, pipeline: int, keys: Sequence[str]) -> list[HeldRow]:
        """Return what is held and not discarded about these customers."""

    def remove_held(self, pipeline: int, key: str) -> None:
        """Remove what is not held any more."""

    def moves(self, deal_id: int, after: int = 0, until: int = ALL) -> list[MoveRecord]:
        """Return a deal's moves with a number above *after* and up to *until*, in order."""

    def moves_of(self, deal_ids: Sequence[int]) -> dict[int, list[MoveRecord]]:
        """Return what :meth:`moves` does for many deals, without those that have none."""

    def rename_stages(self, pipeline: int, deal_id: int, mapping: dict[str, str]) -> None:
        """Rename stages in a deal's stored moves."""

    def save(self, pipeline: int, changes: Sequence[DealChange], now: dt.datetime) -> None:
        """Write what decisions ask for."""

    def due(
        self, pipeline: int, now: dt.datetime, limit: int, latest: dt.datetime = EVER
    ) -> list[StoredDeal]:
        """Lock and return deals with a timer due, the longest overdue first.

        Those whose sweep failed are left alone until they are to be tried again.

        Args:
            latest: who is put off beyond this instant is returned too: no clock that is right has
                put it off so far.
        """

    def swept_ahead(
        self,
        pipeline: int,
        now: dt.datetime,
        limit: int,
        since: dt.datetime | None = None,
        retry_by: dt.datetime = EVER,
        latest: dt.datetime = EVER,
    ) -> list[StoredDeal]:
        """Lock and return deals that were swept further than now, by somebody's wrong clock.

        Args:
            since: only those of which a timer was tried after this instant.
            retry_by: only those that did not fail, or are to be tried again by this instant.
            latest: what :meth:`due` says of it.
        """

    def next_wake(self, pipeline: int, names: Sequence[str]) -> dt.datetime | None:
        """Return when the next timer or effect of these names is due."""

    def note_failure(self, deal_id: int, failures: int, retry_at: dt.datetime) -> None:
        """Note that sweeping this deal failed."""

    def deals(
        self, pipeline: int, wanted: DealFilter, after: int, limit: int
    ) -> list[tuple[StoredDeal, str | None]]:
        """Return open deals with an id above *after*, in the order of their ids.

        Of the filter, only stages and owner count.
        """

    def every_deal(
        self, pipeline: int, after: int, limit: int
    ) -> list[tuple[StoredDeal, str | None]]:
        """Return deals like :meth:`deals`, those that wait and tombstones included."""

    def closed_deals(
        self, pipeline: int, before: dt.datetime, after: int, limit: int
    ) -> list[tuple[StoredDeal, str | None]]:
        """Return deals like :meth:`deals`, those that were closed before an instant."""

    def count_deals(self, pipeline: int) -> int:
        """Return how many rows :meth:`every_deal` pages over."""

    def unadopted(
        self, pipeline: int, fingerprint: str, after: int, limit: int
    ) -> list[StoredDeal]:
        """Lock and return deals with an id above *after*, written under another definition."""

    def stage_counts(self, pipeline: int, besides: Collection[str] = ()) -> dict[str, int]:
        """Return how many deals stand in each stage, *besides* these."""

    def miscounted(self, pipeline: int) -> set[str]:
        """Return stages of which a total is kept that is not what its deals come to."""

    def recount(self, pipeline: int) -> None:
        """Make the totals what the deals come to, beside whoever moves some meanwhile."""

    def troubled_deals(self, pipeline: int) -> tuple[int, int]:
        """Return how many deals failed their last sweep, and how many wait for an opening.

        A deal of which no event was decided yet does not count.
        """

    def deals_with_contact(self, pipeline: int, key: str, value: str) -> list[int]:
        """Return ids of deals whose data or events name this contact, by a text or a number."""

    def effects(
        self, pipeline: int, deal_id: int | None, states: Sequence[str] | None
    ) -> list[EffectRow]:
        """Return effects, optionally of one deal and in some states, by due time."""

    def unsent_effects(self, pipeline: int, deals: Sequence[str]) -> list[EffectRow]:
        """Return what of these deals is not sent, by due time.

        That is what the deal's visit asked for and was dropped, is a dead letter, or expired while
        it was put off; and what waits for an address or is put off on purpose, whichever visit
        asked for it.
        """

    def open_tasks(
        self,
        pipeline: int,
        wanted: TaskFilter,
        after: tuple[dt.datetime, str] | None = None,
        limit: int | None = None,
    ) -> list[EffectRow]:
        """Return open tasks by when they are to be done, and by key.

        Args:
            after: only those behind this ``ready_at`` and key.
        """

    def count_open_tasks(self, pipeline: int, wanted: TaskFilter) -> int:
        """Return how many open tasks there are."""

    def effect(self, pipeline: int, key: str) -> EffectRow | None:
        """Return one effect."""

    def oldest_effect(self, pipeline: int) -> EffectRow | None:
        """Return the undelivered effect that is or will be ready first, whatever its name."""

    def count_dead_letters(self, pipeline: int) -> int:
        """Return how many effects are dead letters."""

    def ready_effects(
        self,
        pipeline: int,
        now: dt.datetime,
        names: Sequence[str],
        limit: int,
        after: tuple[dt.datetime, str] = FROM_THE_FIRST,
    ) -> list[EffectRow]:
        """Return effects that may be claimed now, the longest waiting first.

        Args:
            after: only those that come after this ``ready_at`` and key.
        """

    def count_ready(
        self, pipeline: int, until: dt.datetime, names: Sequence[str]
    ) -> dict[str, int]:
        """Return by name how many effects could be claimed at or before an instant."""

    def free_effect(self, pipeline: int, now: dt.datetime, keys: Sequence[str]) -> EffectRow | None:
        """Lock and return the first of these effects that may be claimed now, with its deal.

        Those that another transaction is at, or whose deal it is at, are passed over.
        """

    def put_off_effects(self, pipeline: int, latest: dt.datetime, limit: int) -> list[EffectRow]:
        """Return effects that a failure or a lease has put off beyond an instant.

        What was asked for at a later time is none of them.
        """

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
        """Mark an effect as being delivered by the holder of *lease* until then.

        What of address, time and decisions is left out stays as it was.
        """

    def settle_effect(
        self,
        key: str,
        state: str,
        ready_at: dt.datetime | None = None,
        error: str | None = None,
        lease: str | None = None,
    ) -> bool:
        """Put an effect into a state; with *lease* only while it is held. Return if it was."""

    def give_task(self, key: str, owner: str | None, payload: str) -> None:
        """Put another owner, and what tells of that, into a task."""

    def decide_effect(
        self,
        key: str,
        state: str,
        decisions: str,
        ready_at: dt.datetime | None = None,
        delayed_until: dt.datetime | None = None,
        address: str | None = None,
        sent_at: dt.datetime | None = None,
        attempts: int | None = None,
        lease: str | None = None,
    ) -> bool:
        """Put an effect into the state that was decided, on record; with *lease* while it is held.

        Return whether it was. Of ``ready_at``, address and attempts, what is left out stays.
        """

    def replace_effect_payload(self, key: str, payload: str, decisions: str | None) -> None:
        """Put another payload and other decisions into an effect."""

    def count_waiting(self, pipeline: int) -> int:
        """Return how many effects wait for the address of their customer."""

    def deals_of_customer(self, keys: Sequence[str], limit: int) -> list[CustomerDeal]:
        """Return the deals with these keys, at most *limit* for each key."""

    def lock_customers(self, keys: Sequence[str], wait: bool) -> bool:
        """Keep others from deciding about these customers until this transaction ends.

        Without *wait*, return ``False`` where another transaction is at one of them.
        """

    def hands_since(
        self, deal_ids: Sequence[int], since: dt.datetime, types: Sequence[str]
    ) -> list[tuple[int, Event]]:
        """Return the events of these types and deals, with the deals' numbers, by deal and time."""

    def sent_to(
        self, address: str, since: dt.datetime, besides: str, deal_id: int | None, limit: int
    ) -> list[dt.datetime]:
        """Return when marketing effects went to an address after an instant, the last first.

        What is under a lease counts, and what a holdout kept back, as if it had been sent.

        Args:
            besides: key of an effect that does not count.
            deal_id: count the effects of this deal only.
        """

    def newer_effect(self, address: str, name: str, due_at: dt.datetime, key: str) -> str | None:
        """Return the key of an effect of that name and address, due later, delayed or sent."""

    def note_subscription(self, told: Subscription) -> None:
        """Note what was said about an address; what is noted already is noted once."""

    def take_back_subscription(self, told: Subscription) -> None:
        """Note no more what was said about an address, if it is noted, or was by pipeline 0."""

    def last_subscription(self, address: str) -> Subscription | None:
        """Return what was said last about an address; in doubt, that it is not wanted."""

    def arms(self, keys: Sequence[str]) -> dict[str, tuple[str, dt.datetime]]:
        """Return in which arm of a holdout customers are, by hashed key, and since when."""

    def note_arm(self, keys: Sequence[str], arm: str, at: dt.datetime) -> None:
        """Note the arm of a customer under each hashed key; what is noted already stays."""

    def count_merged_into_nothing(self, pipeline: int) -> int:
        """Return how many deals were merged into one that is not there."""

    def count_crowds(self, pipeline: int) -> int:
        """Return how many keys of this pipeline's deals are held by more than :data:`CROWD`."""

    def unindexed(self, pipeline: int, limit: int) -> list[tuple[StoredDeal, str | None]]:
        """Lock and return deals whose customer nobody has worked out yet, with their documents."""

    def secret(self, create: bool = False) -> bytes | None:
        """Return the store's own secret, which hashes are keyed with; made when there is none."""


class Store(Protocol):
    """Where boards keep their deals."""

    def transaction(self, write: bool = True) -> AbstractContextManager[Transaction]:
        """Begin a unit of work: committed when the block ends, undone when it raises."""

    def is_transient(self, error: BaseException) -> bool:
        """Return whether the transaction that failed so may succeed when all of it is done again.

        Nothing is wrong with what was asked for: a lock was not to be had, a connection was lost.
        """

    def may_retry(self, error: BaseException) -> bool:
        """Return whether the board itself may begin the transaction that failed so again.

        That is what is transient, in a transaction that the board has begun.
        """

    def is_in_trouble(self, error: BaseException) -> bool:
        """Return whether a transaction failed so because of the store, and not of what was asked.

        Then nothing else will succeed either: the disk is full, the server is gone. What a hook
        says of a database is none of that as long as the store answers: it may have another one.
        """

    def wait_for_work(self, seconds: float, stop: threading.Event) -> None:
        """Sleep at most so long, until *stop* is set, or until another process brings work.

        It may return before that time with nothing to do.
        """

    def using(self, connection: Any) -> Store:
        """Return this store on the caller's own connection, inside its transaction.

        Raises:
            StoreError: it cannot be used on that connection.
        """

    def erase_traces(self) -> None:
        """Overwrite what committed removals have left outside the tables, as far as it can."""

    def close(self) -> None:
        """Let go of every connection."""


def chunks(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Yield *items* in lists of at most *size*."""
    chunk: list[Any] = []
    for item in items:
        chunk.append(item)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk

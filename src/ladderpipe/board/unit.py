"""A unit of work: one transaction in which a board loads, decides and commits."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter
from typing import Final

from ..errors import EventConflictError, PipelineChangedError
from ..fold.draft import Draft
from ..model.canonical import is_storable, plain_text
from ..model.delivery import EffectState
from ..model.event import TOLD, WITHDRAW, Event, is_quiet_hand, phase_of
from ..model.move import Move
from ..model.receipt import Outcome, Receipt
from ..model.stage import TASK
from ..pipeline import Pipeline
from ..stores.base import (
    FROM_THE_FIRST,
    DealChange,
    EffectRow,
    KnownEvent,
    NewEffect,
    NewEvent,
    StoredDeal,
    Transaction,
)
from .checkpoint import is_due
from .customers import has_said, is_reached_anew, keys_of
from .decide import decide, decide_again, decide_anew
from .decision import Decision
from .hooks import QuietTo, effects_asked
from .remarks import remarks_on
from .repeated import new_again
from .stored import StoredPast, draft_of
from .subscriptions import note_of, subscription
from .tasks import hand_over, keep_given

__all__ = ["Unit"]

_type = attrgetter("type")
_TO_COME: Final = ("pending", "open", "waiting")
"""States of effects that nobody has begun to deliver."""


class Unit:
    """What the board's operations share inside one transaction.

    Attributes:
        number: the store's number for the pipeline.
        quiet: whether effects that are due by now are recorded as expired instead of being sent.
        moves: what became current so far, to be told once it is committed.
        refolds: how many deals were folded again so far.
        secret: the store's own, which hashes of addresses are keyed with.
    """

    __slots__ = (
        "_changes",
        "_clock",
        "_customers",
        "_merged",
        "_now",
        "moves",
        "number",
        "pipeline",
        "quiet",
        "refolds",
        "secret",
        "transaction",
    )

    def __init__(
        self,
        pipeline: Pipeline,
        number: int,
        transaction: Transaction,
        clock: Callable[[], dt.datetime],
        quiet: bool = False,
        secret: bytes = b"",
    ) -> None:
        self.pipeline = pipeline
        self.number = number
        self.transaction = transaction
        self._clock = clock
        self._now: dt.datetime | None = None
        self.quiet = quiet
        self.secret = secret
        self.moves: list[Move] = []
        self.refolds = 0
        self._changes: list[DealChange] = []
        self._customers: set[str] = set()
        self._merged: set[str] = set()

    @property
    def now(self) -> dt.datetime:
        """The one instant of this unit: the time when it was first asked for.

        So ask only once the deal is locked. Then nothing is recorded before what a reader has
        seen, and no claim overlooks a timer that fell due while it waited for the lock.
        """
        if self._now is None:
            self._now = self._clock()
        return self._now

    def check_adopted(self, fingerprint: str | None) -> None:
        """Refuse to write when the store holds another definition.

        Raises:
            PipelineChangedError: it does, or a migration is not finished.
        """
        if fingerprint == self.pipeline.fingerprint:
            return
        if fingerprint is None:
            raise PipelineChangedError(
                f"a migration of pipeline {self.pipeline.name!r} is not finished: resume it with "
                "board.migrate(the same mapping)"
            )
        raise PipelineChangedError(
            f"the store holds another definition of pipeline {self.pipeline.name!r} than this "
            "board: another process has adopted a changed ladder; start this one with that "
            "definition, or adopt this one with board.migrate()"
        )

    def load(self, deal: str, create: bool) -> tuple[StoredDeal | None, str | None]:
        """Lock and return a deal's row and document, refusing a changed pipeline."""
        if not create and not is_storable(deal):
            return None, None
        stored, document, fingerprint = self.transaction.load(self.number, plain_text(deal), create)
        self.check_adopted(fingerprint)
        return stored, document

    def check_pipeline(self) -> None:
        """Refuse a changed pipeline where no deal is loaded by name."""
        row = self.transaction.pipeline(self.pipeline.name)
        self.check_adopted(row.fingerprint if row and row.migrating is None else None)

    def new_event(self, stored: StoredDeal, event: Event) -> NewEvent:
        """Return the row of an event."""
        data = event.data_text()
        return NewEvent(
            stored.id,
            event.source,
            event.id,
            event.type,
            event.at,
            event.seq,
            data,
            event.digest(data),
            self.now,
            not self.pipeline.ladder.declares(event.type),
        )

    def add_event(self, stored: StoredDeal, event: Event) -> KnownEvent | None:
        """Store one event, unless it is known already: return what is known then.

        Raises:
            EventConflictError: its identity is known, with other content.
        """
        row = self.new_event(stored, event)
        if self.transaction.add_events(self.number, [row]):
            return None
        known = self.known(event)
        assert known is not None
        self.check_same(event, row.digest, known)
        return known

    def add_inert(self, stored: StoredDeal, event: Event) -> bool:
        """Store an event that was put aside, unless its identity is known already.

        Without a digest, whatever tells the identity again is a duplicate.
        """
        row = self.new_event(stored, event)._replace(digest=None)
        return self.transaction.add_events(self.number, [row]) == 1

    def known(self, event: Event) -> KnownEvent | None:
        """Return what is stored under an event's identity."""
        return self.known_as(event.source, event.id)

    def known_as(self, source: str, id: str) -> KnownEvent | None:
        """Return what is stored under an identity."""
        identity = (source, id)
        return self.transaction.known_events(self.number, [identity]).get(identity)

    def check_same(self, event: Event, digest: str | None, known: KnownEvent) -> None:
        """Refuse an event whose identity is known with other content.

        A forgotten event has no digest any more, so whatever comes under its name is a duplicate.

        Raises:
            EventConflictError: they do not say the same.
        """
        if known.digest is None or known.digest == digest:
            return
        # The digest minds how amounts are written, the events themselves do not.
        told = self._stored_event(known.deal_id, event)
        if told is not None and told.says_the_same(event):
            return
        raise EventConflictError(
            f"an event {event.id!r} (source {event.source!r}) is stored already with another type, "
            f"deal, time or data than this one ({event.type}, deal {event.deal!r}): an identity "
            "names one event; give this one its own id"
        )

    def was_cut_short(self, stored: StoredDeal, event: Event, known: KnownEvent) -> bool:
        """Return whether a stored event was never folded, because a hook committed in between.

        A deal has folded everything up to its cursor, so what is stored and lies behind it is
        taken up where it was left. It is the stored event whose place counts: a copy may have
        another ``seq``, and one of a forgotten event another time.
        """
        if known.deal_id != stored.id or known.type == WITHDRAW:
            return False
        if self.is_withdrawn(stored, event):
            return False
        if stored.cursor_at is None:
            return True
        ladder = self.pipeline.ladder
        rung = ladder.rung_of(known.type)
        if known.type == TOLD:
            rung = ladder.rung_of_event(self.stored_event(stored, event))
        place = (known.at, phase_of(known.type), known.seq, rung, event.source, event.id)
        return place > (
            stored.cursor_at,
            stored.cursor_phase,
            stored.cursor_seq,
            stored.cursor_rung,
            stored.cursor_source,
            stored.cursor_id,
        )

    def is_withdrawn(self, stored: StoredDeal, event: Event) -> bool:
        """Return whether an event of a deal was taken back, perhaps before it came."""
        if stored.timers is None:
            return False
        return [event.source, event.id] in json.loads(stored.timers).get("withdrawn", ())

    def stored_event(self, stored: StoredDeal, event: Event) -> Event:
        """Return the event of a deal that is stored under another's identity."""
        found = self._stored_event(stored.id, event)
        assert found is not None
        return found

    def event_of(self, stored: StoredDeal, source: str, id: str) -> Event | None:
        """Return the event of a deal that is stored under an identity, if one is."""
        found = (own for own, _ in self.transaction.events(stored.id))
        return next((own for own in found if (own.source, own.id) == (source, id)), None)

    def _stored_event(self, deal_id: int, event: Event) -> Event | None:
        identity = (event.source, event.id)
        found = (own for own, _ in self.transaction.events(deal_id))
        return next((own for own in found if (own.source, own.id) == identity), None)

    def decide(
        self,
        stored: StoredDeal,
        document: str | Callable[[], str | None] | None,
        events: Sequence[Event],
        sweep_to: dt.datetime | None = None,
        hold: bool = False,
    ) -> Decision:
        """Decide about one deal, run its hooks and note what has to be written.

        Args:
            hold: set a new event aside, instead of raising, when it cannot be used at its place.

        Raises:
            GuardError: a guard raised.
            HookError: a hook raised.
            InvalidEventError: the reducer cannot understand an event.
        """
        load_document = document if callable(document) else lambda: document
        while True:
            decision = decide(
                self.pipeline,
                stored,
                load_document,
                events,
                StoredPast(self.transaction, stored.id),
                self.now,
                sweep_to,
                hold,
            )
            # Only what comes late can make news of what was none.
            late = events and decision.before is not None
            again = new_again(self.pipeline.ladder, decision.events.values()) if late else None
            if again is None:
                break
            self.transaction.remove_events(self.number, [(again.source, again.id)])
            self.transaction.add_events(self.number, [self.new_event(stored, again)])
        self._note(decision, events)
        return decision

    def preview(self, stored: StoredDeal, document: str | None, to: dt.datetime) -> Draft:
        """Return a deal as a sweep would leave it; nothing is noted or written."""
        found = decide(
            self.pipeline,
            stored,
            lambda: document,
            [],
            StoredPast(self.transaction, stored.id),
            self.now,
            to,
        )
        return found.draft

    def decide_again(self, stored: StoredDeal, document: str | None) -> Decision:
        """Decide about a deal from all its stored events, none of them new.

        Raises:
            GuardError: the guard or the time of a timer raised.
            HookError: a hook raised.
        """
        decision = decide_again(
            self.pipeline, stored, lambda: document, StoredPast(self.transaction, stored.id)
        )
        self._note(decision, ())
        return decision

    def decide_anew(self, stored: StoredDeal, may_open: bool) -> bool:
        """Decide about a deal that waits as if its events all came now; return whether that holds.

        It does not when the deal opens and it must not.

        Raises:
            GuardError: a guard raised.
            HookError: a hook raised.
            InvalidEventError: the reducer cannot understand an event.
        """
        decision = decide_anew(self.pipeline, stored, StoredPast(self.transaction, stored.id))
        if decision.draft.stage is not None and not may_open:
            return False
        self._note(decision, ())
        return True

    def _note(self, decision: Decision, events: Sequence[Event]) -> None:
        """Run a decision's hooks and note what has to be written."""
        # Before the hooks, so that nothing they write on finds its way into the store.
        change = decision.change(self.pipeline, self.now, decision.stored.has_effects)
        change.before = decision.stored
        if decision.moves or decision.before is not None:
            if self.pipeline.asks_for_effects:
                quiet_to = self._quietness(decision.stored.quiet_to, events)
                change.effects = effects_asked(
                    self.pipeline, decision, self.transaction.connection, quiet_to
                )
                stored = decision.stored
                is_not_new = stored.visit == 0 and stored.definition is not None
                if decision.refolded or is_not_new:
                    keep_given(self.transaction, self.number, stored, change)
            if decision.current_changed:
                current = decision.visit_key
                asked = [effect for effect in change.effects if effect.visit_key == current]
                has_effects = decision.refolded or bool(asked)
                if has_effects != change.deal.has_effects:
                    change.deal = change.deal._replace(has_effects=has_effects)
            elif decision.stored.has_effects:
                self._retime(decision, change)
        takes_back = WITHDRAW in map(_type, events)
        if takes_back and decision.current_changed:
            self._send_only_the_last(decision, change)
        if change.deal.owner != decision.stored.owner and self.pipeline.asks_for_effects:
            hand_over(self.transaction, self.number, decision.stored, change)
        if self.quiet:
            change.deal = change.deal._replace(quiet_to=self.now)
        standing = decision.standing
        if standing is not None and is_due(self.transaction, decision.stored.id, standing):
            change.checkpoints = [standing, *change.checkpoints]
        self._note_customers(decision, change)
        change.remarks = remarks_on(self.transaction, decision, events)
        if events:
            note_of(
                self,
                events,
                decision.stored.id,
                has_said(change.deal.customer),
                takes_back or bool(decision.draft.withdrawn),
            )
        self._changes.append(change)
        self.moves += newly_current(decision)
        self.refolds += decision.refolded

    def _retime(self, decision: Decision, change: DealChange) -> None:
        """Move what the current visit waits for, when a late event changed when it began.

        Each effect is cancelled and asked for again under its own key, so none is doubled.
        """
        began, begins = decision.stored.entered_at, decision.draft.entered_at
        key = decision.visit_key
        if began is None or begins is None or began == begins or key is None:
            return
        waiting = self.transaction.effects(self.number, decision.stored.id, _TO_COME)
        moved = [
            retimed(row, begins - began)
            for row in waiting
            if row.visit_key == key and row.phase == "into"
        ]
        if moved:
            change.vanished = [*change.vanished, key]
            change.effects = [*change.effects, *moved]

    def _send_only_the_last(self, decision: Decision, change: DealChange) -> None:
        """Let only the last of each name go out of what is overdue in a visit that comes to light.

        What moving out had cancelled is overdue by as long as the deal was elsewhere. Tasks stay,
        since a person decides about them.
        """
        key = decision.visit_key
        rows = self.transaction.effects(self.number, decision.stored.id, ("cancelled",))
        known = {row.key for row in self.transaction.effects(self.number, decision.stored.id, None)}
        new = [effect for effect in change.effects if effect.key not in known]
        last: dict[str, tuple[dt.datetime, str]] = {}
        asked: list[EffectRow | NewEffect] = [*rows, *new]
        overdue = [
            effect
            for effect in asked
            if effect.visit_key == key
            and effect.phase == "into"
            and effect.state in ("cancelled", "pending")
            and effect.name != TASK
            and effect.due_at <= self.now
        ]
        for effect in overdue:
            place = (effect.due_at, effect.key)
            last[effect.name] = max(last.get(effect.name, place), place)
        late = {e.key for e in overdue if (e.due_at, e.key) != last[e.name]}
        for row in rows:
            if row.key in late:
                self.transaction.settle_effect(row.key, EffectState.EXPIRED.value)
        change.effects = [
            effect._replace(state=EffectState.EXPIRED.value) if effect.key in late else effect
            for effect in change.effects
        ]

    def _quietness(self, quiet_to: dt.datetime | None, events: Sequence[Event]) -> QuietTo:
        """Return until when what a move asks for is not sent.

        In a quiet unit that is now, for all of them; later, for those that belong to the replayed
        past and are noticed only now: timers due before the replay, and what its events did. What
        *events*, told aloud, do is always sent, and what a quiet hand does never is.
        """
        told = {(event.source, event.id) for event in events}

        def quiet_until(move: Move) -> dt.datetime | None:
            cause = move.event
            if self.quiet or is_quiet_hand(cause):
                return self.now
            aloud = cause is not None and (cause.source, cause.id) in told
            return quiet_to if quiet_to is not None and move.at <= quiet_to and not aloud else None

        return quiet_until

    def note_baseline(self, stored: StoredDeal, carried: Draft) -> None:
        """Note that a deal goes on from what a baseline carries."""
        # What was folded before it is none of the deal's fold any more.
        decision = Decision(stored, carried, (), (), None, cut_checkpoints=FROM_THE_FIRST[0])
        self._changes.append(decision.change(self.pipeline, self.now, stored.has_effects))

    def note_customer(self, stored: StoredDeal, customer: str | None) -> None:
        """Note the customer of a deal of which nothing else changes."""
        keys, before = keys_of(customer), keys_of(stored.customer)
        change = DealChange(
            stored._replace(customer=customer),
            customer=keys,
            no_customer=tuple(key for key in before if key not in keys),
            wakes=is_reached_anew(stored.customer, customer),
        )
        self._changes.append(change)
        self._customers.update(keys, before)

    def note_removal(self, stored: StoredDeal) -> None:
        """Note that only a tombstone stays of a deal."""
        tombstone = StoredDeal(stored.id, stored.deal, removed_at=self.now)
        left = keys_of(stored.customer)
        self._changes.append(DealChange(tombstone, customer=(), no_customer=left, asked_anew=True))

    @contextlib.contextmanager
    def attempt(self) -> Iterator[None]:
        """Undo what happens in the block when it raises, and what was noted to be written."""
        changes, moves, refolds = list(self._changes), list(self.moves), self.refolds
        try:
            with self.transaction.savepoint():
                yield
        except BaseException:
            self._changes, self.moves, self.refolds = changes, moves, refolds
            raise

    def _note_customers(self, decision: Decision, change: DealChange) -> None:
        """Remember whose keys to lock: who buys, or becomes another customer, may have mail due."""
        stage = decision.draft.stage
        if decision.current_changed and change.deal.merged_into is not None:
            self._merged.add(change.deal.deal)
        is_closed = decision.current_changed and stage is not None and stage.is_closed
        if is_closed or change.customer is not None:
            self._customers.update(keys_of(change.deal.customer), change.no_customer)

    def note_subscription(
        self, key: str, wanted: bool, at: dt.datetime, seq: int, source: str, id: str
    ) -> None:
        """Note that the holder of an address wants to be written to, or does not.

        The later of what is said wins, by the place of what said it.
        """
        self._customers.add(key)
        place = at, seq, source, id
        told = subscription(self.secret, key, wanted, *place, self.number)
        self.transaction.note_subscription(told)

    def take_back_subscription(self, key: str, wanted: bool, event: Event) -> None:
        """Note no more what an event said of an address."""
        self._customers.add(key)
        place = event.at, event.seq, event.source, event.id
        told = subscription(self.secret, key, wanted, *place, self.number)
        self.transaction.take_back_subscription(told)

    def taken_merged(self) -> list[str]:
        """Return the deals that were merged into others since this was asked last."""
        if not self._merged:
            return []
        merged, self._merged = sorted(self._merged), set()
        return merged

    def note_held(self, key: str, customer: Sequence[str]) -> None:
        """Note which customer a held event is about: mails wait while nobody can read it."""
        self.transaction.note_held_customer(self.number, key, customer)
        self._customers.update(customer)

    def lock_customers(self) -> None:
        """Lock the keys of the customers that were written about, once all deals are locked.

        At the end, and in their order, so that no two transactions wait for each other; whoever
        claims an effect of theirs has committed before this one does, or sees what it wrote.
        """
        if self._customers:
            self.transaction.lock_customers(sorted(self._customers), wait=True)

    def flush(self) -> None:
        """Write what was noted."""
        if self._changes:
            self.transaction.save(self.number, self._changes, self.now)
            self._changes = []

    def draft(self, stored: StoredDeal, document: str | None) -> Draft:
        """Return the fold's draft of a stored deal."""
        return draft_of(self.pipeline, stored, lambda: document)


def retimed(row: EffectRow, by: dt.timedelta) -> NewEffect:
    """Return a stored effect as it is asked for again, that much later."""
    return NewEffect(
        key=row.key,
        visit_key=row.visit_key,
        phase=row.phase,
        name=row.name,
        position=0,  # the row is known, and keeps its own
        payload=row.payload,
        state=row.state,
        due_at=row.due_at + by,
        expires_at=None if row.expires_at is None else row.expires_at + by,
        run_to_completion=row.run_to_completion,
        owner=row.owner,
        purpose=row.purpose,
        channel=row.channel,
    )


def receipt(decision: Decision, event: Event, outcome: Outcome | None = None) -> Receipt:
    """Return what a board answers to one event."""
    identity = (event.source, event.id)
    return Receipt(
        outcome or decision.outcome(event),
        decision.draft.if_open(),
        newly_current(decision),
        decision.refolded,
        decision.why_not(event),
        event=event.identity,
        late=identity in decision.draft.late,
    )


def newly_current(decision: Decision) -> tuple[Move, ...]:
    """Return the moves that are newly current: all new ones, or after a refold the last."""
    if not decision.refolded:
        return tuple(decision.moves)
    current = decision.current_move() if decision.current_changed else None
    return () if current is None else (current,)

"""A unit of work: one transaction in which a board loads, decides and commits."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any

from .deals import Deal, Move, Outcome, Receipt
from .deciding import Decision, decide, draft_of
from .draft import Draft
from .errors import EventConflictError, PipelineChangedError
from .events import Event
from .fold import MoveRow
from .hooks import effects_asked
from .pipeline import Pipeline
from .stores.base import DealChange, NewEvent, StoredDeal, Transaction

__all__ = ["Unit"]


class Unit:
    """What the board's operations share inside one transaction.

    Attributes:
        number: the store's number for the pipeline.
        now: the board's clock when the unit began.
        quiet: whether effects are recorded as expired instead of being sent.
    """

    __slots__ = ("_changes", "now", "number", "pipeline", "quiet", "transaction")

    def __init__(
        self,
        pipeline: Pipeline,
        number: int,
        transaction: Transaction,
        now: dt.datetime,
        quiet: bool = False,
    ) -> None:
        self.pipeline = pipeline
        self.number = number
        self.transaction = transaction
        self.now = now
        self.quiet = quiet
        self._changes: list[DealChange] = []

    def check_adopted(self, fingerprint: str | None) -> None:
        """Refuse to write when the store holds another definition.

        Raises:
            PipelineChangedError: it does, or a migration is not finished.
        """
        if fingerprint == self.pipeline.fingerprint:
            return
        if fingerprint is None:
            raise PipelineChangedError(
                f"a migration of pipeline {self.pipeline.name!r} is not finished: call "
                "board.migrate with the same mapping to resume it"
            )
        raise PipelineChangedError(
            f"the store holds another definition of pipeline {self.pipeline.name!r} than this "
            "board: another process has adopted a changed ladder; start this one with that "
            "definition, or adopt this one with board.migrate({...})"
        )

    def load(self, deal: str, create: bool) -> tuple[StoredDeal | None, str | None]:
        """Lock and return a deal's row and document, refusing a changed pipeline."""
        stored, document, fingerprint = self.transaction.load(self.number, deal, create)
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
        )

    def add_event(self, stored: StoredDeal, event: Event) -> bool:
        """Store one event; return whether it was new.

        Raises:
            EventConflictError: its identity is known, with other content.
        """
        row = self.new_event(stored, event)
        if self.transaction.add_events(self.number, [row]):
            return True
        identity = (event.source, event.id)
        known = self.transaction.known_events(self.number, [identity])[identity]
        check_same(event, row.digest, known)
        return False

    def decide(
        self,
        stored: StoredDeal,
        document: str | None | Callable[[], str | None],
        events: Sequence[Event],
        sweep_to: dt.datetime | None = None,
    ) -> Decision:
        """Decide about one deal, run its hooks and note what has to be written.

        Raises:
            GuardError: a guard raised.
            HookError: a hook raised.
            InvalidEventError: the reducer cannot understand an event.
        """
        load_document = document if callable(document) else lambda: document
        decision = decide(
            self.pipeline,
            stored,
            load_document,
            events,
            lambda: self._everything(stored),
            sweep_to,
        )
        self.note(decision)
        return decision

    def note(self, decision: Decision) -> None:
        """Run a decision's hooks and note what has to be written."""
        has_effects = decision.stored.has_effects
        effects = []
        if decision.moves or decision.before is not None:
            effects = effects_asked(
                self.pipeline, decision, self.transaction.connection, self.quiet
            )
            current = decision.visit_key
            if decision.current_changed:
                has_effects = decision.refolded or any(e.visit_key == current for e in effects)
        change = decision.change(self.pipeline, self.now, has_effects)
        change.effects = effects
        self._changes.append(change)

    def note_baseline(self, stored: StoredDeal, carried: Draft) -> None:
        """Note that a deal goes on from what a baseline carries."""
        decision = Decision(stored, carried, (), (), None)
        self._changes.append(decision.change(self.pipeline, self.now, stored.has_effects))

    def note_removal(self, stored: StoredDeal) -> None:
        """Note that only a tombstone stays of a deal."""
        self._changes.append(
            DealChange(StoredDeal(stored.id, stored.deal, removed_at=self.now))
        )

    def flush(self) -> None:
        """Write what was noted."""
        if self._changes:
            self.transaction.save(self.number, self._changes, self.now)
            self._changes = []

    def draft(self, stored: StoredDeal, document: str | None) -> Draft:
        """Return the fold's draft of a stored deal."""
        return draft_of(self.pipeline, stored, lambda: document)

    def _everything(self, stored: StoredDeal) -> tuple[list[Event], list[Any]]:
        events = [event for event, _ in self.transaction.events(stored.id)]
        return events, self.transaction.moves(stored.id)


def check_same(event: Event, digest: str, known: str | None) -> None:
    """Refuse an event whose identity is known with other content.

    A forgotten event has no digest any more, so whatever comes under its name is a duplicate.

    Raises:
        EventConflictError: the digests differ.
    """
    if known is not None and known != digest:
        raise EventConflictError(
            f"an event {event.id!r} (source {event.source!r}) is stored already with another type, "
            f"deal, time or data than this one ({event.type}, deal {event.deal!r}): an identity "
            "names one event; give this one its own id"
        )


def receipt(decision: Decision, event: Event, outcome: Outcome | None = None) -> Receipt:
    """Return what a board answers to one event."""
    return Receipt(
        outcome or decision.outcome(event),
        _deal(decision.draft),
        tuple(map(Move._make, newly_current(decision))),
        decision.refolded,
    )


def newly_current(decision: Decision) -> Sequence[MoveRow]:
    """Return the moves that are newly current: all new ones, or after a refold the last."""
    if not decision.refolded:
        return decision.moves
    return decision.moves[-1:] if decision.current_changed else ()


def _deal(draft: Draft) -> Deal | None:
    return None if draft.stage is None else draft.as_deal()

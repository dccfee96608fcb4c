"""Taking many events: in batches, the bad ones kept apart from the good."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from ..errors import EventConflictError, LadderError
from ..model.event import MERGED, WITHDRAW, Event, from_outside
from ..model.receipt import Outcome, Receipt
from ..model.refusals import Refusals
from ..model.report import BatchReport, EventFailure
from ..observability.observer import Observer, observed
from ..stores.base import KnownEvent, StoredDeal, chunks
from .boundary import as_failure, go_on_or_raise
from .decision import Decision
from .handle import BATCH, check_time, take, take_or_hold
from .hold import keep, note_archived, reason_of
from .session import Session
from .subscriptions import note_of
from .unit import Unit

__all__ = ["handle_many"]


@observed("ladderpipe.handle_many", Observer.took_many)
def handle_many(
    session: Session,
    events: Iterable[Event],
    quiet: bool,
    batch: int = BATCH,
    hold: bool = False,
    as_read: bool = False,
) -> BatchReport:
    """Take many events, in transactions of *batch* each.

    Args:
        as_read: as :func:`take` has it; then they are taken one by one, in the order given.
    """
    if batch < 1:
        raise ValueError(f"batch={batch}: a batch holds at least one event")
    tally = _Tally()
    failures: list[EventFailure] = []
    undeclared: Counter[str] = Counter()
    for part in chunks(enumerate(events), batch):
        work = _take_batch(session, part, quiet, hold, as_read)
        tally.add(work.tally)
        failures.extend(sorted(work.failures, key=lambda failure: failure.position))
        undeclared.update(work.undeclared)
    return BatchReport(
        dict(tally.outcomes),
        tuple(failures),
        dict(undeclared),
        held=tally.held.groups(),
        unfilled=dict(tally.unfilled),
        timers={rule: count for rule, count in tally.timers.items() if count},
    )


def _take_batch(
    session: Session, part: Sequence[tuple[int, Event]], quiet: bool, hold: bool, as_read: bool
) -> _Batch:
    def take_together() -> _Batch:
        work = _Batch(session, part, hold, as_read)
        work.run(quiet)
        return work

    try:
        return session.retried(take_together)
    except Exception as error:
        go_on_or_raise(session, error)
    # Nobody knows whose rows it was.
    work = _Batch(session, part, hold, as_read)
    work.run_apart(quiet)
    return work


class _Tally:
    """What became of events: counts, and why some did nothing."""

    def __init__(self) -> None:
        self.outcomes: Counter[Outcome] = Counter()
        self.unfilled: Counter[tuple[str, str]] = Counter()
        self.timers: Counter[str] = Counter()
        self.held = Refusals()

    def add(self, other: _Tally) -> None:
        """Add what another one has counted."""
        self.outcomes.update(other.outcomes)
        self.unfilled.update(other.unfilled)
        self.timers.update(other.timers)
        for group in other.held.groups():
            self.held.add(group)

    def take(self, event: Event, outcome: Outcome, reason: str | None) -> None:
        """Count an event."""
        self.outcomes[outcome] += 1
        if reason is None:
            return
        if outcome is Outcome.HELD:
            self.held.note(f"deal {event.deal!r}", reason)
        elif outcome in (Outcome.STAYED, Outcome.WAITING) and event.type != MERGED:
            self.unfilled[event.type, reason] += 1

    def take_alone(self, event: Event, answer: Receipt) -> None:
        """Count an event that had a receipt of its own."""
        self.take(event, answer.outcome, answer.reason)
        self.timers.update(move.rule for move in answer.moves if move.event is None)

    def take_all(self, events: Sequence[Event], decision: Decision) -> None:
        """Count events that were decided about together."""
        decision.count_timers(self.timers)
        if not decision.draft.aside and not decision.draft.unfilled:
            for outcome in decision.outcomes(events):
                self.outcomes[outcome] += 1
            return
        for event, outcome in zip(events, decision.outcomes(events), strict=True):
            self.take(event, outcome, decision.why_not(event))


class _Batch:
    """One transaction's worth of events, the bad ones kept apart from the good."""

    def __init__(
        self,
        session: Session,
        numbered: Sequence[tuple[int, Event]],
        hold: bool,
        as_read: bool,
    ) -> None:
        self._session = session
        self._hold, self._as_read = hold, as_read
        self._to_hold: list[tuple[Event, Exception]] = []
        self._numbered = numbered
        self._one_by_one: list[tuple[int, Event]] = []
        self._now = session.now()
        self.tally = _Tally()
        self.failures: list[EventFailure] = []
        self.undeclared: Counter[str] = Counter()

    def run(self, quiet: bool) -> None:
        """Take the events. What fails for a reason outside them undoes the whole batch."""
        by_deal = self._sort_by_deal()
        if not by_deal and not self._one_by_one:
            return
        with self._session.writing(quiet) as unit:
            unit.check_pipeline()
            if by_deal:
                self._take_by_deal(unit, by_deal)
            self._take_each(unit, self._one_by_one)
            for event, error in self._to_hold:
                outcome = keep(unit, self._session, event, error)
                self.tally.take(event, outcome, reason_of(error))

    def run_apart(self, quiet: bool) -> None:
        """Take each event in a transaction of its own."""
        for position, event in self._numbered:
            try:
                answer = take_or_hold(self._session, event, self._hold, quiet, self._as_read)
            except Exception as error:
                go_on_or_raise(self._session, error)
                self.failures.append(EventFailure(position, event, _as_failure(event, error)))
            else:
                self.tally.take_alone(event, answer)
            if isinstance(event, Event) and not self._session.pipeline.ladder.declares(event.type):
                self.undeclared[event.type] += 1

    def _take_by_deal(self, unit: Unit, by_deal: dict[str, list[tuple[int, Event]]]) -> None:
        """Take each deal's events in one decision, or one by one where that fails."""
        stored = unit.transaction.load_many(unit.number, list(by_deal))
        for deal, (row, _) in stored.items():
            if row.removed_at is not None:
                told = by_deal.pop(deal)
                note_of(unit, [event for _, event in told], None)
                for _, event in told:
                    note_archived(unit, event)
                self.tally.outcomes[Outcome.ARCHIVED] += len(told)
        self._store(unit, stored, by_deal)
        troubled = self._take_together(unit, stored, by_deal)
        left_out = [deal for deal, events in by_deal.items() if not events or deal in troubled]
        unit.transaction.remove_unused_deals([stored[deal][0].id for deal in left_out])
        for deal in troubled:
            self._take_each(unit, by_deal[deal])

    def _sort_by_deal(self) -> dict[str, list[tuple[int, Event]]]:
        """Return what can be taken together; a name's second event waits for the first's fate.

        So does what says that it is still to come, which is refused unless it is known.
        """
        latest = self._now + self._session.max_skew
        by_deal: dict[str, list[tuple[int, Event]]] = {}
        seen: set[tuple[str, str]] = set()
        for position, told in self._numbered:
            try:
                event = from_outside(told)
            except LadderError as error:
                self.failures.append(EventFailure(position, told, error))
                continue
            if not self._session.pipeline.ladder.declares(event.type):
                self.undeclared[event.type] += 1
            identity = (event.source, event.id)
            is_alone = self._as_read or event.type == WITHDRAW
            if is_alone or identity in seen or event.at > latest:
                self._one_by_one.append((position, event))
            else:
                seen.add(identity)
                by_deal.setdefault(event.deal, []).append((position, event))
        return by_deal

    def _store(
        self,
        unit: Unit,
        stored: Mapping[str, tuple[StoredDeal, str | None]],
        by_deal: dict[str, list[tuple[int, Event]]],
    ) -> None:
        """Store the events; most batches hold nothing known, so look for that only then."""
        rows = [
            unit.new_event(stored[deal][0], event)
            for deal, events in by_deal.items()
            for _, event in events
        ]
        try:
            with unit.transaction.savepoint():
                if unit.transaction.add_events(unit.number, rows) < len(rows):
                    raise _SomeKnown
        except _SomeKnown:
            known = unit.transaction.known_events(
                unit.number, [(row.source, row.id) for row in rows]
            )
            digests = {(row.source, row.id): row.digest for row in rows}
            for deal, events in by_deal.items():
                by_deal[deal] = [
                    numbered
                    for numbered in events
                    if self._is_new(unit, stored[deal][0], numbered, known, digests)
                ]
            fresh = [row for row in rows if (row.source, row.id) not in known]
            unit.transaction.add_events(unit.number, fresh)

    def _is_new(
        self,
        unit: Unit,
        stored: StoredDeal,
        numbered: tuple[int, Event],
        known: Mapping[tuple[str, str], KnownEvent],
        digests: Mapping[tuple[str, str], str | None],
    ) -> bool:
        position, event = numbered
        identity = (event.source, event.id)
        found = known.get(identity)
        if found is None:
            return True
        try:
            unit.check_same(event, digests[identity], found)
        except EventConflictError as error:
            self._failed(position, event, error)
        else:
            if unit.was_cut_short(stored, event, found) or unit.is_withdrawn(stored, event):
                self._one_by_one.append(numbered)
            else:
                self.tally.outcomes[Outcome.DUPLICATE] += 1
        return False

    def _failed(self, position: int, event: Event, error: LadderError) -> None:
        if self._hold:
            self._to_hold.append((event, error))
        else:
            self.failures.append(EventFailure(position, event, error))

    def _take_together(
        self,
        unit: Unit,
        stored: Mapping[str, tuple[StoredDeal, str | None]],
        by_deal: Mapping[str, list[tuple[int, Event]]],
    ) -> list[str]:
        """Decide about all deals and write that at once; return those that were troubled by it.

        These are without their events again, to be taken one by one: all of them, when the writing
        failed, since nobody knows then whose rows it was.
        """
        taken = {deal: events for deal, events in by_deal.items() if events}
        before, self.tally = self.tally, _Tally()
        try:
            with unit.attempt():
                troubled = [
                    deal
                    for deal, events in taken.items()
                    if not self._take_all(unit, *stored[deal], events)
                ]
                unit.flush()
        except Exception as error:
            go_on_or_raise(self._session, error, unit.transaction)
            self.tally, troubled = _Tally(), list(taken)
        before.add(self.tally)
        self.tally = before
        identities = [(e.source, e.id) for deal in troubled for _, e in taken[deal]]
        unit.transaction.remove_events(unit.number, identities)
        return troubled

    def _take_all(
        self,
        unit: Unit,
        stored: StoredDeal,
        document: str | None,
        numbered: Sequence[tuple[int, Event]],
    ) -> bool:
        """Decide about one deal's events together; return whether none of them was bad."""
        events = [event for _, event in numbered]
        try:
            if unit.pipeline.has_hooks:
                with unit.attempt():
                    decision = unit.decide(stored, document, events, hold=self._hold)
            else:
                decision = unit.decide(stored, document, events, hold=self._hold)
        except Exception as error:
            go_on_or_raise(self._session, error, unit.transaction)
            return False
        self.tally.take_all(events, decision)
        return True

    def _take_each(self, unit: Unit, numbered: Sequence[tuple[int, Event]]) -> None:
        for position, event in numbered:
            try:
                with unit.attempt():
                    check_time(self._session, unit, event, self._now)
                    answer = take(unit, event, self._hold, self._as_read)
                    self.tally.take_alone(event, answer)
            except Exception as error:
                go_on_or_raise(self._session, error, unit.transaction)
                self._failed(position, event, _as_failure(event, error))


def _as_failure(event: Event, error: Exception) -> LadderError:
    # What was told need not be an event at all.
    return as_failure(getattr(event, "deal", ""), error)


class _SomeKnown(Exception):
    """Undoes an optimistic insert."""

"""What transactions on SQL databases share: everything but the dialect.

A dialect says how a statement runs, how it is spelled, and how instants look on its connection;
as it stands here, they are aware datetimes there too.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from ..model.event import (
    BASELINE,
    BY_HAND,
    EDITED,
    OVERRIDE,
    STANDARD_TYPES,
    WITHDRAW,
    Event,
    digest_of,
    stored_event,
)
from .base import (
    ALL,
    CROWD,
    EVER,
    FROM_THE_FIRST,
    Checkpoint,
    CustomerDeal,
    DealChange,
    EffectRow,
    HeldRow,
    KnownEvent,
    MoveRecord,
    NewEffect,
    NewEvent,
    PipelineRow,
    RemarkCount,
    StoredDeal,
    Structure,
    Subscription,
)
from .listing import Told, parts_of, told_of
from .sql_listing import SqlListing
from .stored_deal import SWEPT_FIELDS
from .words import Words

if TYPE_CHECKING:
    from .filters import DealFilter, TaskFilter

__all__ = ["Row"]

Row = tuple[Any, ...]

_swept: Final = itemgetter(*(StoredDeal._fields[2:].index(name) for name in SWEPT_FIELDS))
"""Takes the fields that SAVE_SWEPT_DEAL writes from those that SAVE_DEAL does."""

_USUAL_TYPES: Final = (BY_HAND, OVERRIDE, EDITED, WITHDRAW, BASELINE, *STANDARD_TYPES)
"""Types of events that every pipeline takes."""

_WORDS_AT_ONCE: Final = 500
"""How many words are read before single ones are looked up."""

DIGEST_BYTES: Final = 4
"""How much of an event's digest its row holds: the row gives the digest, and this shows whether
the row is still what was recorded."""

_CREATES_INDEX: Final = r"\s*CREATE (?:UNIQUE )?INDEX (?:IF NOT EXISTS )?(\w+)"
_DROPS_INDEX: Final = r"\s*DROP INDEX (?:IF EXISTS )?(?:\"\w+\"\.)?(\w+)"


class SqlTransaction(SqlListing):
    """The named statements of a dialect, run on one connection.

    Args:
        words: those that the connection knows to be committed; ``None`` in a transaction of the
            caller's, in which nobody can tell.
    """

    def __init__(self, statements: Any, words: Words | None) -> None:
        self._sql = statements
        self._words = Words() if words is None else words
        self._new_words: Words | None = None

    # -- the dialect --------------------------------------------------------------------------

    def _read(self, statement: Any, values: Sequence[Any] = ()) -> list[Row]:
        """Run a statement and return all its rows."""
        raise NotImplementedError

    def _write(self, statement: Any, values: Sequence[Any]) -> int:
        """Run a statement and return how many rows it touched."""
        raise NotImplementedError

    def _each(self, statement: Any, rows: Sequence[Row]) -> None:
        """Run a statement for every row; it may wait until something is read."""
        raise NotImplementedError

    def _list(self, values: Sequence[Any]) -> Any:
        """Return a list as a parameter."""
        raise NotImplementedError

    def known_events(
        self, pipeline: int, identities: Sequence[tuple[str, str]]
    ) -> dict[tuple[str, str], KnownEvent]:
        """Return what is stored under these identities."""
        raise NotImplementedError

    def _instant(self, at: dt.datetime | None) -> Any:
        """Return an instant as a parameter."""
        return at

    def _from_instant(self, at: Any) -> dt.datetime:
        """Return the instant that a column holds."""
        found: dt.datetime = at
        return found

    def _event(self, row: Row) -> tuple[Event, dt.datetime]:
        word, deal, id, at, source, seq, data, recorded_at = row
        kind = self._word(word)
        return stored_event(kind, deal, id, at, source, seq, json.loads(data)), recorded_at

    def _event_values(self, pipeline: int, event: NewEvent) -> Row:
        deal, source, id, kind, at, seq, data, digest, recorded_at, undeclared = event
        begins = digest and blob_of(digest[: 2 * DIGEST_BYTES])
        told = (self._number(kind), self._instant(at), seq, data, begins)
        return (pipeline, deal, source, id, *told, self._instant(recorded_at), undeclared)

    def _known(self, row: Row) -> KnownEvent:
        deal, word, at, seq, begins, name, data = row
        kind, at = self._word(word), self._from_instant(at)
        return KnownEvent(deal, kind, at, seq, whole_digest(begins, kind, name, at, data))

    def _deal(self, row: Row) -> StoredDeal:
        return StoredDeal._make(row)

    def _deal_values(self, deal: StoredDeal) -> Row:
        """Return the values of all fields from the third on."""
        return tuple(deal[2:])

    def _move(self, row: Row) -> MoveRecord:
        n, key, out_of, into, at, recorded_at, rule, source, id = row
        left = None if out_of is None else self._word(out_of)
        entered, began = self._word(into), self._from_instant(at)
        noted = self._from_instant(recorded_at)
        told = (hex_of(key), left, entered, began, noted, self._word(rule), source, id)
        return MoveRecord(n, *told)

    def _move_values(self, deal_id: int, move: MoveRecord) -> Row:
        n, key, out_of, into, at, recorded_at, rule, source, id = move
        left = None if out_of is None else self._number(out_of)
        stages = (blob_of(key), left, self._number(into))
        instants = (self._instant(at), self._instant(recorded_at))
        return (deal_id, n, *stages, *instants, self._number(rule), source, id)

    def _effect(self, row: Row) -> EffectRow:
        return EffectRow._make(row)

    def _effect_values(self, effect: NewEffect) -> Row:
        return (*effect, effect.ready_at)

    def _held(self, row: Row) -> HeldRow:
        return HeldRow._make(row)

    def _held_values(self, row: HeldRow) -> Row:
        return tuple(row)

    # -- words --------------------------------------------------------------------------------

    def _number(self, word: str) -> int:
        """Return a word's number; one that has none gets one in this transaction."""
        number = self._words.numbers.get(word)
        if number is None:
            number = self._known_number(word)
        if number is None:
            # What is not committed yet, others must not hear of: it may be undone.
            self._new_words = self._new_words or Words()
            self._each(self._sql.ADD_WORD, [(word,)])
            number = self._known_number(word)
        assert number is not None
        return number

    def _note_words(self, definition: str) -> None:
        """Give numbers to what a pipeline declares, so that each has one, whoever uses it first."""
        for word in sorted({*_USUAL_TYPES, *_declared(json.loads(definition))}):
            self._number(word)

    def _without_known(self, pipeline: int, events: Sequence[NewEvent]) -> Sequence[NewEvent]:
        """Leave out known events if a type has no number yet: a duplicate leaves no word."""
        if all(self._known_number(kind) is not None for kind in {event.type for event in events}):
            return events
        known = self.known_events(pipeline, [(event.source, event.id) for event in events])
        return [event for event in events if (event.source, event.id) not in known]

    def _known_number(self, word: str) -> int | None:
        """Return a word's number, if it has one."""
        found = self._remembered_words()
        if word not in found.numbers:
            for (number,) in self._read(self._sql.WORD_NUMBER, (word,)):
                found.note(number, word)
                return int(number)
        return found.numbers.get(word)

    def _word(self, number: int) -> str:
        """Return the word that a row has a number of."""
        word = self._words.words.get(number)
        return self._look_up_word(number) if word is None else word

    def _look_up_word(self, number: int) -> str:
        found = self._remembered_words()
        if number not in found.words:
            for (word,) in self._read(self._sql.WORD, (number,)):
                found.note(number, word)
                return str(word)
        # Somebody has changed the row by hand, which verify tells.
        return found.words.get(number, f"(word {number})")

    def _remembered_words(self) -> Words:
        """Return where words are remembered, which after the first of its own is here."""
        found = self._words if self._new_words is None else self._new_words
        if not found.words:
            for number, word in self._read(self._sql.WORDS, (_WORDS_AT_ONCE,)):
                found.note(number, word)
        return found

    def _forget_new_words(self) -> None:
        """Ask again for what was read since this transaction added a word, which is undone."""
        if self._new_words is not None:
            self._new_words.clear()

    # -- the database itself ------------------------------------------------------------------

    def _structure(self, scripts: Sequence[str], newest: int | None = None) -> Structure:
        """Compare what is there with what the scripts make, a version each unless told."""
        ((version,),) = self._read(self._sql.SCHEMA_VERSION)
        present = {row[0] for row in self._read(self._sql.INDEXES)}
        made = indexes_made_by(scripts)
        missing = {name: text for name, text in sorted(made.items()) if name not in present}
        return Structure(version, len(scripts) if newest is None else newest, missing)

    # -- pipelines ----------------------------------------------------------------------------

    def share_pipeline(self, pipeline: int) -> None:
        """Do nothing: who may write is alone anyway."""

    def pipelines(self) -> list[PipelineRow]:
        return [PipelineRow(*row) for row in self._read(self._sql.PIPELINES)]

    def _pipeline(self, name: str) -> PipelineRow | None:
        rows = self._read(self._sql.PIPELINE, (name,))
        return PipelineRow(*rows[0]) if rows else None

    # -- deals --------------------------------------------------------------------------------

    def load_by_id(self, deal_id: int) -> tuple[StoredDeal, str | None] | None:
        rows = self._read(self._sql.LOAD_DEAL_BY_ID, (deal_id,))
        return self._with_document(rows[0]) if rows else None

    def document(self, deal_id: int) -> str | None:
        rows = self._read(self._sql.DOCUMENT, (deal_id,))
        return rows[0][0] if rows else None

    def due(
        self, pipeline: int, now: dt.datetime, limit: int, latest: dt.datetime = EVER
    ) -> list[StoredDeal]:
        instant = self._instant(now)
        values = (pipeline, instant, instant, self._instant(latest), limit)
        return [self._deal(row) for row in self._read(self._due_statement(), values)]

    def _due_statement(self) -> Any:
        return self._sql.DUE_DEALS

    def swept_ahead(
        self,
        pipeline: int,
        now: dt.datetime,
        limit: int,
        since: dt.datetime | None = None,
        retry_by: dt.datetime = EVER,
        latest: dt.datetime = EVER,
    ) -> list[StoredDeal]:
        tried = FROM_THE_FIRST[0] if since is None else since
        values = (pipeline, *map(self._instant, (now, tried, retry_by, latest)), limit)
        return [self._deal(row) for row in self._read(self._swept_ahead_statement(), values)]

    def _swept_ahead_statement(self) -> Any:
        return self._sql.SWEPT_AHEAD

    def note_failure(self, deal_id: int, failures: int, retry_at: dt.datetime) -> None:
        self._each(self._sql.NOTE_FAILURE, [(failures, self._instant(retry_at), deal_id)])

    def deals(
        self, pipeline: int, wanted: DealFilter, after: int, limit: int
    ) -> list[tuple[StoredDeal, str | None]]:
        sql = self._sql
        stages = None if wanted.stages is None else self._list(wanted.stages)
        if wanted.owner is not None:
            values = (pipeline, wanted.owner, after, stages, stages, limit)
            rows = self._read(sql.DEALS_OF_OWNER, values)
        elif stages is not None:
            rows = self._read(sql.DEALS_IN_STAGES, (stages, pipeline, after, limit, limit))
        else:
            rows = self._read(sql.DEALS, (pipeline, after, limit))
        return [self._with_document(row) for row in rows]

    def every_deal(
        self, pipeline: int, after: int, limit: int
    ) -> list[tuple[StoredDeal, str | None]]:
        rows = self._read(self._sql.EVERY_DEAL, (pipeline, after, limit))
        return [self._with_document(row) for row in rows]

    def closed_deals(
        self, pipeline: int, before: dt.datetime, after: int, limit: int
    ) -> list[tuple[StoredDeal, str | None]]:
        values = (pipeline, self._instant(before), after, limit)
        return [self._with_document(row) for row in self._read(self._sql.CLOSED_DEALS, values)]

    def count_deals(self, pipeline: int) -> int:
        count: int = self._read(self._sql.COUNT_DEALS, (pipeline,))[0][0]
        return count

    def unadopted(
        self, pipeline: int, fingerprint: str, after: int, limit: int
    ) -> list[StoredDeal]:
        rows = self._read(self._sql.UNADOPTED, (pipeline, fingerprint, after, limit))
        return [self._deal(row) for row in rows]

    def stage_counts(self, pipeline: int, besides: Collection[str] = ()) -> dict[str, int]:
        rows = self._read(self._sql.STAGE_COUNTS, (pipeline,))
        return {stage: int(deals) for stage, deals in rows if stage not in besides}

    def miscounted(self, pipeline: int) -> set[str]:
        return {stage for _, stage, *_ in self._read(self._sql.MISCOUNTED, (pipeline, pipeline))}

    def recount(self, pipeline: int) -> None:
        self._each(self._sql.RECOUNT, [(pipeline, pipeline)])
        self._remove_empty_totals()

    def _remove_empty_totals(self) -> None:
        """Leave nothing of totals of no deals, whose names may be those of people."""

    def troubled_deals(self, pipeline: int) -> tuple[int, int]:
        ((failing, waiting),) = self._read(self._sql.TROUBLED_DEALS, (pipeline,))
        return failing, waiting

    def _with_document(self, row: Row) -> tuple[StoredDeal, str | None]:
        return self._deal(row[1:]), row[0]

    # -- events -------------------------------------------------------------------------------

    def remove_events(self, pipeline: int, identities: Sequence[tuple[str, str]]) -> None:
        self._each(self._sql.REMOVE_EVENT, [(pipeline, *identity) for identity in identities])

    def events(
        self, deal_id: int, after: dt.datetime | None = None, until: dt.datetime = EVER
    ) -> list[tuple[Event, dt.datetime]]:
        if after is None and until is EVER:
            rows = self._read(self._sql.EVENTS, (deal_id,))
        else:
            since = FROM_THE_FIRST[0] if after is None else after + dt.datetime.resolution
            values = (deal_id, self._instant(since), self._instant(until))
            rows = self._read(self._sql.EVENTS_BETWEEN, values)
        return [self._event(row) for row in rows]

    def events_of(self, deal_ids: Sequence[int]) -> dict[int, list[tuple[Event, dt.datetime]]]:
        found: dict[int, list[tuple[Event, dt.datetime]]] = {}
        for deal_id, *row in self._read(self._sql.EVENTS_OF, (self._list(deal_ids),)):
            found.setdefault(deal_id, []).append(self._event(tuple(row)))
        return found

    def replace_event_data(self, pipeline: int, replacements: Sequence[tuple[Event, str]]) -> None:
        self._each(
            self._sql.REPLACE_EVENT_DATA,
            [(data, pipeline, event.source, event.id) for event, data in replacements],
        )

    def remove_unused_deals(self, deal_ids: Sequence[int]) -> None:
        self._each(self._sql.REMOVE_UNUSED_DEAL, [(deal_id,) for deal_id in deal_ids])

    def remove_deal_events(self, deal_id: int) -> None:
        for statement in self._sql.REMOVE_DEAL:
            self._each(statement, [(deal_id,)])
        self._remove_empty_totals()

    def checkpoint(self, deal_id: int, before: dt.datetime) -> Checkpoint | None:
        rows = self._read(self._sql.CHECKPOINT_BEFORE, (deal_id, self._instant(before)))
        return self._checkpoint(rows[0]) if rows else None

    def checkpoints(
        self, deal_id: int, since: dt.datetime | None = None, limit: int = ALL
    ) -> list[Checkpoint]:
        values = (deal_id, self._instant(since or FROM_THE_FIRST[0]), limit)
        return [self._checkpoint(row) for row in self._read(self._sql.CHECKPOINTS, values)]

    def _checkpoint(self, row: Row) -> Checkpoint:
        at, state, data = row
        return Checkpoint(self._from_instant(at), state, data)

    def needs_checkpoint(self, deal_id: int, at: dt.datetime, every: int) -> bool:
        first = self._instant(FROM_THE_FIRST[0])
        values = (deal_id, self._instant(at), deal_id, first, every)
        ((count,),) = self._read(self._sql.COUNT_SINCE_CHECKPOINT, values)
        return bool(count >= every)

    # -- what is held -------------------------------------------------------------------------

    def hold(self, pipeline: int, row: HeldRow) -> None:
        self._each(self._sql.HOLD, [(pipeline, *self._held_values(row))])

    def held(
        self, pipeline: int, deal: str | None = None, *, after: str = "", limit: int = 500
    ) -> list[HeldRow]:
        if deal is None:
            rows = self._read(self._sql.HELD, (pipeline, after, limit))
        else:
            rows = self._read(self._sql.HELD_OF_DEAL, (pipeline, deal, after, limit))
        return [self._held(row) for row in rows]

    def held_among(self, pipeline: int, deals: Sequence[str]) -> set[str]:
        rows = self._read(self._sql.HELD_AMONG, (self._list(deals), pipeline))
        return {deal for (deal,) in rows}

    def held_by_key(self, pipeline: int, key: str) -> HeldRow | None:
        rows = self._read(self._held_by_key_statement(), (pipeline, key))
        return self._held(rows[0]) if rows else None

    def _held_by_key_statement(self) -> Any:
        return self._sql.HELD_BY_KEY

    def held_due(
        self, pipeline: int, now: dt.datetime, limit: int, latest: dt.datetime = EVER
    ) -> list[HeldRow]:
        values = (pipeline, self._instant(now), limit, pipeline, self._instant(latest), limit)
        return [self._held(row) for row in self._read(self._sql.HELD_DUE, values)[:limit]]

    def count_held(self, pipeline: int) -> dict[str, tuple[int, dt.datetime]]:
        rows = self._read(self._sql.COUNT_HELD, (pipeline,))
        return {kind: (count, self._from_instant(since)) for kind, count, since in rows}

    def count_undeclared(self, pipeline: int) -> dict[str, int]:
        rows = self._read(self._sql.COUNT_UNDECLARED, (pipeline,))
        found: Counter[str] = Counter()
        for word, count in rows:
            found[self._word(word)] += count
        return dict(found)

    def remarks(
        self, deal_id: int, between: tuple[dt.datetime, dt.datetime] | None = None
    ) -> dict[tuple[str, str], str]:
        since, until = between or (FROM_THE_FIRST[0], EVER)
        values = (deal_id, self._instant(since), self._instant(until))
        rows = self._read(self._sql.REMARKS, values)
        return {(source, id): remark for source, id, remark in rows}

    def count_remarks(self, pipeline: int, since: dt.datetime) -> dict[str, RemarkCount]:
        rows = self._read(self._sql.COUNT_REMARKS, (pipeline, self._instant(since), pipeline))
        return {remark: RemarkCount._make(counts) for remark, *counts in rows}

    def replace_held(self, pipeline: int, row: HeldRow) -> None:
        self._each(self._sql.REPLACE_HELD, [(*self._held_values(row)[1:], pipeline, row.key)])

    def remove_held(self, pipeline: int, key: str) -> None:
        self._each(self._sql.REMOVE_HELD, [(pipeline, key)])
        self._each(self._sql.REMOVE_HELD_CUSTOMER, [(pipeline, key)])

    def note_held_customer(self, pipeline: int, held: str, keys: Sequence[str]) -> None:
        self._each(self._sql.REMOVE_HELD_CUSTOMER, [(pipeline, held)])
        for key in keys:
            self._each(self._sql.ADD_HELD_CUSTOMER, [(pipeline, key, held)])

    def held_of_customer(self, pipeline: int, keys: Sequence[str]) -> list[HeldRow]:
        rows = self._read(self._sql.HELD_OF_CUSTOMER, (pipeline, pipeline, self._list(keys)))
        return [self._held(row) for row in rows]

    # -- moves --------------------------------------------------------------------------------

    def moves(self, deal_id: int, after: int = 0, until: int = ALL) -> list[MoveRecord]:
        return [self._move(row) for row in self._read(self._sql.MOVES, (deal_id, after, until))]

    def moves_of(self, deal_ids: Sequence[int]) -> dict[int, list[MoveRecord]]:
        found: dict[int, list[MoveRecord]] = {}
        for deal_id, *row in self._read(self._sql.MOVES_OF, (self._list(deal_ids),)):
            found.setdefault(deal_id, []).append(self._move(tuple(row)))
        return found

    def rename_stages(self, pipeline: int, deal_id: int, mapping: dict[str, str]) -> None:
        # Old names may also be new ones (a swap), so each goes by way of a number no word has.
        renamed = [(-self._number(new), deal_id, old) for old, new in mapping.items()]
        for statement in (self._sql.RENAME_OUT_OF, self._sql.RENAME_INTO):
            for values in renamed:
                self._each(statement, [values])
        for statement in self._sql.END_RENAMING:
            self._each(statement, [(deal_id,)])

    # -- writing ------------------------------------------------------------------------------

    def save(self, pipeline: int, changes: Sequence[DealChange], now: dt.datetime) -> None:
        recorded_at = self._instant(now)
        if len({change.deal.id for change in changes}) < len(changes):
            for change in changes:
                change.before = None  # for the second it is not what the first has written
                self.save(pipeline, [change], now)
            return
        counted = [change for change in changes if _counts_otherwise(change)]
        left = [c.deal.id for c in counted if c.before is None or c.before.stage is not None]
        self._count_deals(self._sql.COUNT_OUT, self._sql.COUNT_MANY_OUT, left)
        self._save(pipeline, changes, recorded_at)
        entered = [change.deal.id for change in counted if change.deal.stage is not None]
        self._count_deals(self._sql.COUNT_IN, self._sql.COUNT_MANY_IN, entered)
        if left:
            self._remove_empty_totals()
        self._note_crowds(pipeline, changes)

    def _count_deals(self, one: Any, many: Any, deals: Sequence[int]) -> None:
        """Take deals as their rows are now into the totals, or out of them."""
        if len(deals) == 1:
            self._each(one, [(deals[0],)])
        elif deals:
            self._each(many, [(self._list(deals),)])

    def _save(self, pipeline: int, changes: Sequence[DealChange], recorded_at: Any) -> None:
        few = len(changes) == 1 and all(
            len(rows) < 2
            for rows in (changes[0].moves, changes[0].vanished, changes[0].checkpoints)
        )
        if few:
            for statement, values in self._writes(pipeline, changes[0], recorded_at):
                self._each(statement, [values])
            return
        rows: dict[Any, list[Row]] = {statement: [] for statement in self._sql.SAVING}
        for change in changes:
            for statement, values in self._writes(pipeline, change, recorded_at):
                rows.setdefault(statement, []).append(values)
        for statement, found in rows.items():
            if found:
                self._each(statement, found)

    def _note_crowds(self, pipeline: int, changes: Sequence[DealChange]) -> None:
        """Mark the keys that too many deals hold by now, and no more those that fewer do."""
        most = CROWD + 1
        taken = {key for change in changes if change.customer for key in change.customer}
        left = {key for change in changes if change.no_customer for key in change.no_customer}
        if taken:
            self._each(self._sql.MARK_CROWDS, [(pipeline, self._list(sorted(taken)), most, most)])
        if left:
            self._each(self._sql.UNMARK_CROWDS, [(self._list(sorted(left)), most, most)])

    def _writes(
        self, pipeline: int, change: DealChange, recorded_at: Any
    ) -> Iterator[tuple[Any, Row]]:
        """Yield what one decision writes, each statement with its values, in order of SAVING."""
        sql, deal = self._sql, change.deal.id
        if change.cut_from is not None:
            yield sql.CUT_MOVES, (deal, change.cut_from)
        told = None
        if change.document is not None and not change.found_as_before:
            told = told_of(change.deal.deal, change.deal.value, change.document)
            yield sql.SAVE_SEARCH, (deal, pipeline, *told[4:])
        yield self._saves_deal(change, told, recorded_at)
        for move in change.moves:
            yield sql.ADD_MOVE, self._move_values(deal, move)
        if change.document is not None:
            yield sql.SAVE_DOCUMENT, (deal, change.document)
        for (source, id), remark in change.remarks.items():
            yield sql.REMARK_EVENT, (remark, pipeline, source, id)
        for key in change.vanished:
            yield sql.VANISH_VISIT_EFFECTS, (deal, key)
        for key in change.ended:
            yield sql.END_VISIT_EFFECTS, (deal, key)
        if change.revived is not None:
            yield sql.UNDO_LEAVING_EFFECTS, (deal, change.revived)
            yield sql.REVIVE_VISIT_EFFECTS, (deal, change.revived)
        for effect in change.effects:
            yield sql.ADD_EFFECT, (pipeline, deal, recorded_at, *self._effect_values(effect))
        if change.wakes:
            yield sql.WAKE_EFFECTS, (recorded_at, deal)
        if change.no_customer or change.customer == ():
            yield sql.FORGET_CUSTOMER, (deal,)
        if change.customer is not None:
            for key in change.customer:
                yield sql.ADD_CUSTOMER, (key, deal)
        if change.asked_anew:
            asked = map(self._instant, change.asked_between or (FROM_THE_FIRST[0], EVER))
            yield sql.FORGET_ASIDE, (pipeline, change.deal.deal, *asked)
        for held in change.aside:
            yield sql.HOLD, (pipeline, *self._held_values(held))
        if change.cut_checkpoints is not None:
            yield sql.CUT_CHECKPOINTS, (deal, self._instant(change.cut_checkpoints))
        for at, state, data in change.checkpoints:
            yield sql.ADD_CHECKPOINT, (deal, self._instant(at), state, data)

    def _saves_deal(
        self, change: DealChange, told: Told | None, recorded_at: Any
    ) -> tuple[Any, Row]:
        """Return what writes a deal's row; *told* is what its data says, if that may be new."""
        deal = change.deal
        row, written = self._deal_values(deal), (recorded_at, deal.id)
        if told is not None:
            return self._sql.SAVE_TOLD_DEAL, (*row, *told[:4], *written)
        if change.only_swept:
            return self._sql.SAVE_SWEPT_DEAL, (*_swept(row), *written)
        return self._sql.SAVE_DEAL, (*row, *parts_of(deal.value), *written)

    # -- effects ------------------------------------------------------------------------------

    def effects(
        self, pipeline: int, deal_id: int | None, states: Sequence[str] | None
    ) -> list[EffectRow]:
        if deal_id is None and states == ("open",):
            return self._effects(self._sql.OPEN_TASKS, (pipeline,))
        if deal_id is None and states == ("dead",):
            return self._effects(self._sql.DEAD_LETTERS, (pipeline,))
        listed = None if states is None else self._list(states)
        if deal_id is None:
            return self._effects(self._sql.EFFECTS, (pipeline, listed, listed))
        return self._effects(self._sql.EFFECTS_OF_DEAL, (pipeline, deal_id, listed, listed))

    def unsent_effects(self, pipeline: int, deals: Sequence[str]) -> list[EffectRow]:
        return self._effects(self._sql.UNSENT_EFFECTS, (self._list(deals), pipeline))

    def open_tasks(
        self,
        pipeline: int,
        wanted: TaskFilter,
        after: tuple[dt.datetime, str] | None = None,
        limit: int | None = None,
    ) -> list[EffectRow]:
        return self._effects(*self._tasks(pipeline, wanted, after, limit))

    def effect(self, pipeline: int, key: str) -> EffectRow | None:
        found = self._effects(self._sql.EFFECT, (pipeline, key))
        return found[0] if found else None

    def oldest_effect(self, pipeline: int) -> EffectRow | None:
        found = self._effects(self._sql.OLDEST_EFFECT, (pipeline, pipeline, pipeline))
        return found[0] if found else None

    def count_dead_letters(self, pipeline: int) -> int:
        count: int = self._read(self._sql.COUNT_DEAD_LETTERS, (pipeline,))[0][0]
        return count

    def ready_effects(
        self,
        pipeline: int,
        now: dt.datetime,
        names: Sequence[str],
        limit: int,
        after: tuple[dt.datetime, str] = FROM_THE_FIRST,
    ) -> list[EffectRow]:
        since, key = self._instant(after[0]), after[1]
        listed, until = self._list(names), self._instant(now)
        values = (listed, pipeline, until, since, key, limit, limit)
        return self._effects(self._sql.READY_EFFECTS, values)

    def count_ready(
        self, pipeline: int, until: dt.datetime, names: Sequence[str]
    ) -> dict[str, int]:
        values = (pipeline, self._list(names), self._instant(until))
        return dict(self._read(self._sql.COUNT_READY, values))

    def put_off_effects(self, pipeline: int, latest: dt.datetime, limit: int) -> list[EffectRow]:
        values = (pipeline, self._instant(latest), limit)
        return self._effects(self._sql.PUT_OFF_EFFECTS, values)

    def free_effect(self, pipeline: int, now: dt.datetime, keys: Sequence[str]) -> EffectRow | None:
        values = (pipeline, self._instant(now), self._list(keys))
        found = self._effects(self._sql.FREE_EFFECT, values)
        return found[0] if found else None

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
        told = (address, self._instant(sent_at), decisions)
        values = (lease, self._instant(until), attempts, *told, key)
        self._each(self._sql.CLAIM_EFFECT, [values])

    def settle_effect(
        self,
        key: str,
        state: str,
        ready_at: dt.datetime | None = None,
        error: str | None = None,
        lease: str | None = None,
    ) -> bool:
        values = (state, self._instant(ready_at), error, key, lease)
        return self._write(self._sql.SETTLE_EFFECT, values) == 1

    def give_task(self, key: str, owner: str | None, payload: str) -> None:
        self._each(self._sql.GIVE_TASK, [(owner, payload, key)])

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
        instants = self._instant(ready_at), self._instant(delayed_until)
        told = (address, self._instant(sent_at), attempts)
        values = (state, decisions, *instants, *told, key, lease)
        return self._write(self._sql.DECIDE_EFFECT, values) == 1

    def replace_effect_payload(self, key: str, payload: str, decisions: str | None) -> None:
        self._each(self._sql.REPLACE_EFFECT_PAYLOAD, [(payload, decisions, key)])

    def count_waiting(self, pipeline: int) -> int:
        count: int = self._read(self._sql.COUNT_WAITING, (pipeline,))[0][0]
        return count

    # -- customers ----------------------------------------------------------------------------

    def deals_of_customer(self, keys: Sequence[str], limit: int) -> list[CustomerDeal]:
        rows = self._read(self._sql.DEALS_OF_CUSTOMER, (self._list(keys), limit))
        return [CustomerDeal._make((*row[:5], self._or_none(row[5]))) for row in rows]

    def lock_customers(self, keys: Sequence[str], wait: bool) -> bool:
        """Return ``True``: who may write is alone anyway."""
        return True

    def hands_since(
        self, deal_ids: Sequence[int], since: dt.datetime, types: Sequence[str]
    ) -> list[tuple[int, Event]]:
        values = (self._list(deal_ids), self._instant(since), self._list(types))
        rows = self._read(self._sql.HANDS_SINCE, values)
        return [(deal_id, self._event(tuple(row))[0]) for deal_id, *row in rows]

    def sent_to(
        self, address: str, since: dt.datetime, besides: str, deal_id: int | None, limit: int
    ) -> list[dt.datetime]:
        values = (address, self._instant(since), besides, deal_id, deal_id, limit)
        return [self._from_instant(row[0]) for row in self._read(self._sql.SENT_TO, values)]

    def newer_effect(self, address: str, name: str, due_at: dt.datetime, key: str) -> str | None:
        values = (address, name, self._instant(due_at), key)
        rows = self._read(self._sql.NEWER_EFFECT, values)
        return rows[0][0] if rows else None

    def note_subscription(self, told: Subscription) -> None:
        values = (told.address, told.wanted, self._instant(told.at), *told[3:])
        self._each(self._sql.NOTE_SUBSCRIPTION, [values])

    def take_back_subscription(self, told: Subscription) -> None:
        values = (told.address, told.wanted, self._instant(told.at), *told[3:])
        self._each(self._sql.TAKE_BACK_SUBSCRIPTION, [values])

    def last_subscription(self, address: str) -> Subscription | None:
        rows = self._read(self._sql.LAST_SUBSCRIPTION, (address,))
        for address, wanted, at, *place in rows:
            return Subscription(address, bool(wanted), self._from_instant(at), *place)
        return None

    def arms(self, keys: Sequence[str]) -> dict[str, tuple[str, dt.datetime]]:
        rows = self._read(self._sql.ARMS, (self._list(keys),))
        return {key: (arm, self._from_instant(at)) for key, arm, at in rows}

    def note_arm(self, keys: Sequence[str], arm: str, at: dt.datetime) -> None:
        for key in keys:
            self._each(self._sql.NOTE_ARM, [(key, arm, self._instant(at))])

    def _or_none(self, at: Any) -> dt.datetime | None:
        return None if at is None else self._from_instant(at)

    def count_merged_into_nothing(self, pipeline: int) -> int:
        count: int = self._read(self._sql.MERGED_INTO_NOTHING, (pipeline,))[0][0]
        return count

    def count_crowds(self, pipeline: int) -> int:
        count: int = self._read(self._sql.COUNT_CROWDS, (pipeline,))[0][0]
        return count

    def unindexed(self, pipeline: int, limit: int) -> list[tuple[StoredDeal, str | None]]:
        rows = self._read(self._unindexed_statement(), (pipeline, limit))
        return [self._with_document(row) for row in rows]

    def _unindexed_statement(self) -> Any:
        return self._sql.UNINDEXED

    def secret(self, create: bool = False) -> bytes | None:
        if create:
            self._each(self._sql.ADD_SECRET, [(os.urandom(32).hex(),)])
        rows = self._read(self._sql.SECRET)
        return bytes.fromhex(rows[0][0]) if rows else None

    def _effects(self, statement: Any, values: Sequence[Any]) -> list[EffectRow]:
        return [self._effect(row) for row in self._read(statement, values)]


def _counts_otherwise(change: DealChange) -> bool:
    """Whether a deal may count in other totals than before, or be worth something else there."""
    before, deal = change.before, change.deal
    return (
        before is None
        or (change.document is not None and not change.found_as_before)  # its source, perhaps
        or before.stage != deal.stage
        or before.value != deal.value
        or before.currency != deal.currency
        or before.owner != deal.owner
    )


def blob_of(text: str | None) -> bytes | None:
    """Return a key or digest as a column holds it: half as long."""
    return None if text is None else bytes.fromhex(text)


def hex_of(blob: Any) -> Any:
    """Return the key or digest that :func:`blob_of` wrote; what is none stays as it is."""
    return blob.hex() if isinstance(blob, bytes) else blob


def whole_digest(
    begins: Any, type: str, deal: str | None, at: dt.datetime, data: str
) -> str | None:
    """Return the digest of a stored event, which its row gives, if it begins as is stored.

    What begins otherwise was altered since, and is known by what is stored; what is forgotten has
    nothing stored.
    """
    known: str | None = hex_of(begins)
    if known is None or deal is None:
        return known
    digest = digest_of(type, deal, at, data)
    return digest if digest.startswith(known) else known


def _declared(definition: Mapping[str, Any]) -> Iterator[str]:
    """Yield the stages, rules and event types of a pipeline, as a store keeps it."""
    fold = definition.get("fold", {})
    for named in (*fold.get("stages", ()), *fold.get("rules", ())):
        yield named["key"]
        yield from named.get("on", ())
    yield from definition.get("events") or ()


def indexes_made_by(scripts: Sequence[str]) -> dict[str, str]:
    """Return the indexes that stand once all of these scripts have run, each with its statement."""
    made: dict[str, str] = {}
    for script in scripts:
        for statement in script.split(";\n"):
            if found := re.match(_CREATES_INDEX, statement):
                made[found[1]] = " ".join(statement.split())
            elif found := re.match(_DROPS_INDEX, statement):
                made.pop(found[1], None)
    return made

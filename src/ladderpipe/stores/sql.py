"""What transactions on SQL databases share: everything but the dialect."""

from __future__ import annotations

import datetime as dt
import os
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from ..errors import StoreError
from ..model.event import Event
from .base import (
    ALL,
    CROWD,
    EVER,
    FROM_THE_FIRST,
    Checkpoint,
    DealChange,
    HeldRow,
    MoveRecord,
    PipelineRow,
    RemarkCount,
    StoredDeal,
    Structure,
)
from .chain import REMOVED
from .listing import Told, parts_of, told_of
from .sql_chain import SqlChains
from .sql_rows import DIGEST_BYTES, Row, blob_of
from .stored_deal import SWEPT_FIELDS

if TYPE_CHECKING:
    from .filters import DealFilter

__all__: list[str] = []

_swept: Final = itemgetter(*(StoredDeal._fields[2:].index(name) for name in SWEPT_FIELDS))
"""Takes the fields that SAVE_SWEPT_DEAL writes from those that SAVE_DEAL does."""

SEALED: Final = "sealed:"
"""What the secret of a store begins with whose personal data is encrypted."""
NOTES_AT_ONCE: Final = 500

_CREATES_INDEX: Final = r"\s*CREATE (?:UNIQUE )?INDEX (?:IF NOT EXISTS )?(\w+)"
_DROPS_INDEX: Final = r"\s*DROP INDEX (?:IF EXISTS )?(?:\"\w+\"\.)?(\w+)"


class SqlTransaction(SqlChains):
    """The named statements of a dialect, by what they are about.

    What rows are, and words, stands in ``sql_rows``; lists, effects and customers in
    ``sql_listing`` and ``sql_effects``, hash chains in ``sql_chain``.
    """

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
        self.retire_leaves(deal_id, REMOVED)
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
        self,
        pipeline: int,
        deal: str | None = None,
        *,
        after: str = "",
        limit: int = 500,
        discarded: bool = False,
    ) -> list[HeldRow]:
        wanted = (after, discarded, limit)
        if deal is None:
            rows = self._read(self._sql.HELD, (pipeline, *wanted))
        else:
            rows = self._read(self._sql.HELD_OF_DEAL, (pipeline, deal, *wanted))
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

    def unindexed(self, pipeline: int, limit: int) -> list[tuple[StoredDeal, str | None]]:
        rows = self._read(self._unindexed_statement(), (pipeline, limit))
        return [self._with_document(row) for row in rows]

    def _unindexed_statement(self) -> Any:
        return self._sql.UNINDEXED

    def secret(self, create: bool = False) -> bytes | None:
        if create:
            self._each(self._sql.ADD_SECRET, [(os.urandom(32).hex(),)])
        rows = self._read(self._sql.SECRET)
        if rows and rows[0][0].startswith(SEALED):
            raise StoreError(
                "this store is sealed: personal data in it is encrypted with the keys of a ring "
                "that stands elsewhere. Open it with keys=..., the URL of that ring; the command "
                "line reads it from LADDERPIPE_KEYS"
            )
        return bytes.fromhex(rows[0][0]) if rows else None

    # -- notes, and what is sealed: see stores/sealed -----------------------------------------

    def note(self, name: str) -> str | None:
        """Return what is noted under a name, beside the deals."""
        rows = self._read(self._sql.NOTE, (name,))
        return rows[0][0] if rows else None

    def notes(self, begins: str) -> dict[str, str]:
        """Return all that is noted under names that begin so; of wildcards, only ``%`` is none."""
        found: dict[str, str] = {}
        after = ""
        while True:
            rows = self._read(self._sql.NOTES, (f"{begins}%", after, NOTES_AT_ONCE))
            found.update(rows)
            if len(rows) < NOTES_AT_ONCE:
                return found
            after = rows[-1][0]

    def add_note(self, name: str, value: str) -> None:
        """Note something; what is noted already stays."""
        self._each(self._sql.ADD_NOTE, [(name, value)])

    def lock_note(self, name: str, value: str) -> str:
        """Return what is noted, which nobody changes before this ends; *value* if nothing was."""
        self._each(self._sql.LOCK_NOTE, [(name, value)])
        ((found,),) = self._read(self._sql.LOCKED_NOTE, (name,))
        return str(found)

    def set_note(self, name: str, value: str) -> None:
        """Note something else under a name."""
        self._each(self._sql.SET_NOTE, [(value, name)])

    def remove_note(self, name: str) -> None:
        """Note it no more."""
        self._each(self._sql.REMOVE_NOTE, [(name,)])

    def reseal_events(
        self, pipeline: int, rows: Sequence[tuple[str, str, str, str | None]]
    ) -> None:
        """Put other texts of the same data into events, by source and id, with their digests."""
        self._each(
            self._sql.RESEAL_EVENT,
            [
                (data, digest and blob_of(digest[: 2 * DIGEST_BYTES]), pipeline, source, id)
                for source, id, data, digest in rows
            ],
        )

    def reseal_effect(
        self, key: str, payload: str, decisions: str | None, error: str | None
    ) -> None:
        """Put other texts of the same into an effect."""
        self._each(self._sql.RESEAL_EFFECT, [(payload, decisions, error, key)])

    def deal_of_effect(self, key: str) -> tuple[int, int] | None:
        """Return the numbers of an effect's pipeline and deal, which stay for ever."""
        rows = self._read(self._sql.DEAL_OF_EFFECT, (key,))
        return (rows[0][0], rows[0][1]) if rows else None


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

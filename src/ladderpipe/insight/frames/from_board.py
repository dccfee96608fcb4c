"""From a board to tables: every deal of its store, page by page, in one snapshot."""

from __future__ import annotations

import datetime as dt
import enum
import functools
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final

import polars as pl

from ...board.board import Board
from ...board.boundary import UNREADABLE
from ...board.hooks import refuse_inside_hook
from ...board.stored import draft_of
from ...errors import ClockError, DefinitionError, PipelineChangedError
from ...model.clock import instant
from ...stores.base import MoveRecord, StoredDeal, Transaction
from ..buckets.folder import ReplayedFolder
from ..bulk.outcome import Replayed
from .apart import read_apart, why_unreadable
from .as_believed import Moment, Told, life_of, settled_life
from .clicks import CLICKS, clicks_of
from .derive import deals_of, visits_of
from .from_replay import tables_of
from .holdout import HoldoutReader
from .merged_stages import needs_events
from .schema import CHANGES, MOVES
from .table_builder import Columns
from .tables import Problem, Tables

__all__ = ["Progress", "deals", "moves", "tables", "visits"]

Progress = Callable[[int, int], None]
"""Told after every page how many deals of how many are done."""

PAGE: Final = 500


def tables(
    board: Board | Replayed | ReplayedFolder,
    *,
    as_of: dt.datetime | str | None = None,
    believed_at: dt.datetime | str | None = None,
    progress: Progress | None = None,
) -> Tables:
    """Return every deal of a board and its history, as of an instant.

    They are what ``pipeline.fold(events, until=as_of)`` says of every deal: timers that are due
    have fired, whether or not anybody has swept. All is read in one snapshot of the store.

    A replay gives them, too, if it was made with ``until``. It knows what a deal is worth in the
    end, and neither title, owner, source nor why it was lost; so earlier tables know no values.

    Args:
        board: or what :func:`insight.replay` returned: in memory, or a folder, of which each table
            is read when it is first asked for.
        as_of: the instant; the board's present when left out, or ``believed_at``; a replay's
            ``until``.
        believed_at: leave out what was recorded later: what was believed then, the fold of
            the events that had been recorded by then.
        progress: told how many deals of how many are done.

    Raises:
        ClockError: an instant lies after the board's clock, or ``as_of`` after ``believed_at``.
        PipelineChangedError: the store holds another definition than the board.
        DefinitionError: the replay has no ``until``, or is asked what was believed.
    """
    if not isinstance(board, Board):
        if believed_at is not None:
            raise DefinitionError(
                "a replay does not know when its events were recorded, so not what was believed: "
                "leave out believed_at"
            )
        return tables_of(board, as_of)
    return _read(board, "tables", as_of, believed_at, progress, _Need.CHANGES)


def moves(
    board: Board,
    *,
    as_of: dt.datetime | str | None = None,
    believed_at: dt.datetime | str | None = None,
    progress: Progress | None = None,
) -> pl.DataFrame:
    """Return the moves of :func:`tables`, of which it has the arguments and errors."""
    return _read(board, "moves", as_of, believed_at, progress, _Need.EVENTS).moves


def visits(
    board: Board,
    *,
    as_of: dt.datetime | str | None = None,
    believed_at: dt.datetime | str | None = None,
    progress: Progress | None = None,
) -> pl.DataFrame:
    """Return the visits of :func:`tables`, of which it has the arguments and errors."""
    return _read(board, "visits", as_of, believed_at, progress, _Need.ROWS).visits


def deals(
    board: Board,
    *,
    as_of: dt.datetime | str | None = None,
    believed_at: dt.datetime | str | None = None,
    progress: Progress | None = None,
) -> pl.DataFrame:
    """Return the deals of :func:`tables`, of which it has the arguments and errors."""
    return _read(board, "deals", as_of, believed_at, progress, _Need.ROWS).deals


class _Need(enum.IntEnum):
    """What has to be read of a deal whose stored rows are the answer."""

    ROWS = 0
    EVENTS = 1
    CHANGES = 2


def _read(
    board: Board,
    what: str,
    as_of: dt.datetime | str | None,
    believed_at: dt.datetime | str | None,
    progress: Progress | None,
    need: _Need,
) -> Tables:
    refuse_inside_hook(f"insight.{what}")
    with board.store.transaction(write=False) as transaction:
        number = number_of(board, transaction)
        moment = moment_of(board, as_of, believed_at)
        reading = _Reading(board, transaction, moment, need)
        total = transaction.count_deals(number)
        done = after = 0
        while page := transaction.every_deal(number, after, PAGE):
            reading.take(page)
            done += len(page)
            after = page[-1][0].id
            if progress is not None:
                progress(done, total)
    return reading.tables()


def number_of(board: Board, transaction: Transaction) -> int:
    """Return the number that a board's pipeline has in its store.

    Raises:
        PipelineChangedError: the store holds another definition, or a migration is under way.
    """
    row = transaction.pipeline(board.pipeline.name)
    if row is None or row.migrating or row.fingerprint != board.pipeline.fingerprint:
        raise PipelineChangedError(
            f"the store's deals of pipeline {board.pipeline.name!r} were not folded with this "
            "board's definition, so their histories would be another ladder's: open the board "
            "with the one the store holds, or finish board.migrate first"
        )
    return row.id


def moment_of(
    board: Board,
    as_of: dt.datetime | str | None = None,
    believed_at: dt.datetime | str | None = None,
) -> Moment:
    """Return from when to look at a board's history.

    Raises:
        ClockError: an instant lies after the board's clock, or ``as_of`` after ``believed_at``.
    """
    now = instant(board.clock.now())
    believed = None if believed_at is None else instant(believed_at)
    last = now if believed is None else believed
    at = last if as_of is None else instant(as_of)
    for name, asked in (("believed_at", last), ("as_of", at)):
        if asked > now:
            raise ClockError(
                f"{name}={asked.isoformat()} lies after the board's clock ({now.isoformat()}): "
                "tables tell what was; insight.forecast tells what may come"
            )
    if at > last:
        raise ClockError(
            f"as_of={at.isoformat()} lies after believed_at={last.isoformat()}: nobody believed "
            "anything then of what was still to come; ask as of that instant, or an earlier one"
        )
    return Moment(at, believed)


def _given(document: str | None) -> str | None:
    return document


def _needs_events(records: Sequence[MoveRecord]) -> bool:
    """Whether rows alone cannot tell the visits: a visit without length counts by its events."""
    return needs_events(records) or any(one.at == other.at for one, other in pairwise(records))


class _Reading:
    """One pass over all deals of a pipeline."""

    def __init__(self, board: Board, transaction: Transaction, moment: Moment, need: _Need) -> None:
        self._pipeline = board.pipeline
        self._transaction = transaction
        self._moment = moment
        self._need = need
        self._moves = Columns(MOVES)
        self._changes = Columns(CHANGES)
        self._clicks = Columns(CLICKS)
        self._removed = 0
        self._problems: list[Problem] = []
        self._holdout = HoldoutReader(transaction, board._session.secret)

    def take(self, page: Sequence[tuple[StoredDeal, str | None]]) -> None:
        """Read a page of deals."""
        there = [(stored, document) for stored, document in page if stored.removed_at is None]
        self._removed += len(page) - len(there)
        self._holdout.take(stored for stored, _ in there)
        settled = {stored.id for stored, _ in there if self._is_settled(stored)}
        ids = [stored.id for stored, _ in there]
        records, unmoved = read_apart(self._transaction.moves_of, ids)
        wanted = [
            id
            for id in ids
            if self._need >= _Need.EVENTS or id not in settled or _needs_events(records.get(id, ()))
        ]
        told, untold = read_apart(self._transaction.events_of, wanted)
        for stored, document in there:
            mine, moved = told.get(stored.id, ()), records.get(stored.id, ())
            trouble = unmoved.get(stored.id) or untold.get(stored.id)
            try:
                if trouble is None:
                    is_answer = stored.id in settled
                    trouble = self._add(
                        stored, document or "{}" if is_answer else None, mine, moved
                    )
            except UNREADABLE as error:
                trouble = why_unreadable(error)
            if trouble is not None:
                self._problems.append(Problem(f"deal {stored.deal!r}", None, trouble))

    def _is_settled(self, stored: StoredDeal) -> bool:
        """Whether the deal's stored rows are the answer, and all that was asked for."""
        moment = self._moment
        # A stored deal says what is so; since when each value has been so, only the events tell.
        if self._need is _Need.CHANGES or moment.believed_at is not None or stored.stage is None:
            return False
        seen = (stored.last_event_at, stored.entered_at, stored.baseline_at)
        # Whatever happened after the instant has to be folded away again; a due timer to be fired.
        later = any(at is not None and at > moment.as_of for at in seen)
        return not later and (stored.due_at is None or stored.due_at > moment.as_of)

    def _add(
        self,
        stored: StoredDeal,
        document: str | None,
        told: Told,
        records: Sequence[MoveRecord],
    ) -> str | None:
        """Add a deal's rows; from its *document* if its stored rows are the answer.

        Returns what is wrong with it.
        """
        if document is None:
            life = life_of(self._pipeline, told, records, self._moment)
        else:
            draft = draft_of(self._pipeline, stored, functools.partial(_given, document))
            life = settled_life(draft, told, records, stored.baseline_at)
        for passage in life.passages:
            self._pipeline.stage(passage.into)  # one that is not on the ladder has no place here
        self._moves.add((stored.deal, *passage) for passage in life.passages)
        self._changes.add((stored.deal, *change) for change in life.changes)
        self._clicks.add(clicks_of(self._pipeline.ladder, told, self._moment))
        return life.trouble

    def tables(self) -> Tables:
        """Return what was read."""
        moves = self._moves.frame("deal", "n")
        changes = self._changes.frame("deal", "at")
        visits = visits_of(moves)
        return Tables(
            pipeline=self._pipeline.name,
            stages=self._pipeline.stages,
            as_of=self._moment.as_of,
            deals=deals_of(visits, changes, self._pipeline.stages),
            visits=visits,
            moves=moves,
            changes=changes,
            removed=self._removed,
            titles=self._pipeline.titles,
            problems=tuple(self._problems),
            arms=self._holdout.arms() if self._need is _Need.CHANGES else None,
            clicks=self._clicks.frame("deal", "at") if self._need is _Need.CHANGES else None,
        )

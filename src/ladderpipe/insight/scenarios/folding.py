"""The recorded events folded over two ladders, batch by batch: no comparing here."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import attrs
import polars as pl
import polars.selectors as cs

from ...board.board import Board
from ...board.boundary import UNREADABLE
from ...fold.draft import Draft
from ...fold.fold import run
from ...model.event import BASELINE, BY_HAND, OVERRIDE, Event
from ...pipeline import Pipeline
from ..buckets.folder import ReplayedFolder
from ..bulk import replay
from ..bulk.fallback import events_of
from ..bulk.outcome import FINAL, MOVES, Replayed, visits_of
from ..frames.apart import why_unreadable
from ..frames.from_board import Progress
from ..frames.scan import Recorded, walking
from ..frames.schema import VISITS
from ..frames.table_builder import Columns
from ..frames.tables import Problem

__all__ = ["Side", "Sides", "fold_buckets_twice", "fold_twice"]

BATCH: Final = 50_000
"""Events that are folded together."""

_HANDS: Final = (BY_HAND, OVERRIDE)
_IDENTITY: Final = ("deal", "event_source", "event_id")
_NO_VISITS: Final = pl.DataFrame(schema=VISITS)


@attrs.frozen(eq=False)
class Side:
    """What one ladder makes of the events.

    Attributes:
        renamed: what its stages are called in the comparison, where that is another name.
        moves, deals: as a bulk replay gives them, with the ladder's own names of stages.
    """

    pipeline: Pipeline
    renamed: Mapping[str, str]
    moves: pl.DataFrame
    deals: pl.DataFrame

    @property
    def visits(self) -> pl.DataFrame:
        """A row for every stay in a stage."""
        return visits_of(self.moves, _NO_VISITS)

    def called(self, frame: pl.DataFrame, *columns: str) -> pl.DataFrame:
        """Return *frame* with the stages in *columns* called as in the comparison."""
        return frame.with_columns(pl.col(*columns).replace(self.renamed))


@attrs.frozen(eq=False)
class Sides:
    """Both, of the same deals, and what could not be folded.

    Attributes:
        hands: a row for every move by hand: deal and identity of its event.
        with_baseline: how many of the deals have a baseline, which took no part.
        excluded: deals whose events before a baseline are gone.
    """

    as_of: dt.datetime
    before: Side
    after: Side
    hands: pl.DataFrame
    with_baseline: int
    excluded: list[str]
    removed: int
    problems: list[Problem]

    def hands_that_moved(self, side: Side) -> pl.DataFrame:
        """Return the hands that moved a deal on one side."""
        return self.hands.join(side.moves, on=_IDENTITY, how="semi")

    @property
    def hands_refused(self) -> pl.DataFrame:
        """The hands that moved a deal before, and move nothing after."""
        moved = self.hands_that_moved(self.before)
        return moved.join(self.after.moves, on=_IDENTITY, how="anti")


def fold_twice(
    board: Board,
    changed: Pipeline,
    renamed: Mapping[str, str],
    as_of: dt.datetime | str | None,
    progress: Progress | None,
) -> Sides:
    """Fold every deal of a board over its own ladder and over *changed*."""
    with walking(board, "insight.what_if", as_of, progress) as walk:
        folding = _Folding(board.pipeline, changed, renamed, walk.moment.as_of)
        for page in walk.pages():
            for recorded in page:
                folding.take(recorded)
        return folding.sides(walk.removed, walk.problems)


def fold_buckets_twice(
    found: ReplayedFolder,
    changed: Pipeline,
    renamed: Mapping[str, str],
    as_of: dt.datetime,
    progress: Progress | None,
) -> Iterator[Sides]:
    """Fold the events that a replay's folder keeps over its own ladder and over *changed*."""
    present = found.ladder()
    for number in range(found.buckets):
        folding = _Folding(present, changed, renamed, as_of)
        for recorded in _recorded(found.events_of(number)):
            folding.take(recorded)
        yield folding.sides(0, ())
        if progress is not None:
            progress(number + 1, found.buckets)


def _recorded(events: pl.DataFrame) -> Iterator[Recorded]:
    """Yield the deals of a bucket, each event once, as a store would have kept it."""
    told = events.sort("deal", "seq", maintain_order=True).unique(
        ["deal", "source", "id"], keep="first", maintain_order=True
    )
    for deal, some in itertools.groupby(events_of(told), key=lambda event: event.deal):
        yield Recorded(deal, [(event, event.at) for event in some], ())


class _Folding:
    """The deals on their way through two ladders."""

    def __init__(
        self, present: Pipeline, changed: Pipeline, renamed: Mapping[str, str], as_of: dt.datetime
    ) -> None:
        self._present = present
        self._changed = changed
        self._renamed = renamed
        self._as_of = as_of
        self._batch: dict[str, list[Event]] = {}
        self._size = 0
        self._before: list[tuple[pl.DataFrame, pl.DataFrame]] = []
        self._after: list[tuple[pl.DataFrame, pl.DataFrame]] = []
        self._hands = Columns(dict.fromkeys(_IDENTITY, pl.String))
        self._with_baseline: set[str] = set()
        self._excluded: list[str] = []
        self._problems: list[Problem] = []

    def take(self, recorded: Recorded) -> None:
        """Put a deal into the batch, its baselines left out."""
        if _is_past_gone(recorded):
            self._excluded.append(recorded.deal)
            return
        told = [event for event, _ in recorded.told if event.at <= self._as_of]
        events = [event for event in told if event.type != BASELINE]
        if not events:
            return
        if len(events) < len(told):
            self._with_baseline.add(recorded.deal)
        self._batch[recorded.deal] = events
        self._size += len(events)
        if self._size >= BATCH:
            self._fold()

    def sides(self, removed: int, unreadable: Sequence[Problem]) -> Sides:
        """Return what both ladders made of all deals that were taken."""
        self._fold()
        return Sides(
            as_of=self._as_of,
            before=_side(self._present, self._renamed, self._before),
            after=_side(self._changed, {}, self._after),
            hands=self._hands.frame(*_IDENTITY),
            with_baseline=len(self._with_baseline),
            excluded=sorted(self._excluded),
            removed=removed,
            problems=[*self._problems, *unreadable],
        )

    def _fold(self) -> None:
        try:
            replayed = self._replayed()
            is_impossible = any(found.aside for found in replayed)
        except UNREADABLE:
            is_impossible = True
        if is_impossible:
            self._leave_out_the_impossible()
            replayed = self._replayed()
        for found, side in zip(replayed, (self._before, self._after), strict=True):
            side.append((found.moves, found.deals))
        self._hands.add(
            (deal, event.source, event.id)
            for deal, events in self._batch.items()
            for event in events
            if event.type in _HANDS
        )
        self._batch, self._size = {}, 0

    def _replayed(self) -> list[Replayed]:
        return [
            replay(pipeline, self._events_for(pipeline), self._as_of)
            for pipeline in (self._present, self._changed)
        ]

    def _events_for(self, pipeline: Pipeline) -> list[Event]:
        told = [event for events in self._batch.values() for event in events]
        if pipeline is not self._changed or not self._renamed:
            return told
        return [_renamed(event, self._renamed) for event in told]

    def _leave_out_the_impossible(self) -> None:
        """Find the deals that one of the ladders refuses; the others go on."""
        for deal, events in list(self._batch.items()):
            try:
                before, _, _ = run(self._present.ladder, events, self._as_of)
                renamed = [_renamed(event, self._renamed) for event in events]
                after, _, _ = run(self._changed.ladder, renamed, self._as_of)
                _refuse_new_asides(before, after)
            except UNREADABLE as error:
                self._problems.append(Problem(f"deal {deal!r}", None, why_unreadable(error)))
                self._with_baseline.discard(deal)
                del self._batch[deal]


def _refuse_new_asides(before: Draft | None, after: Draft | None) -> None:
    """Refuse a deal in which the changed ladder cannot use an event that the present one can."""
    known = {} if before is None else before.aside
    for identity, refusal in ({} if after is None else after.refusals).items():
        if identity not in known:
            raise refusal


def _is_past_gone(recorded: Recorded) -> bool:
    """Whether a move before a baseline names an event that is stored no more."""
    if not any(event.type == BASELINE for event, _ in recorded.told):
        return False
    kept = {(event.source, event.id) for event, _ in recorded.told}
    named = {(move.event_source, move.event_id) for move in recorded.records}
    return any(event[1] is not None and event not in kept for event in named)


def _renamed(event: Event, renamed: Mapping[str, str]) -> Event:
    """Return a hand's event with its target called as the changed ladder calls it."""
    into = str(event.data.get("into"))
    if event.type not in _HANDS or into not in renamed:
        return event
    return attrs.evolve(event, data={**event.data, "into": renamed[into]})


def _side(
    pipeline: Pipeline,
    renamed: Mapping[str, str],
    parts: list[tuple[pl.DataFrame, pl.DataFrame]],
) -> Side:
    moves = pl.concat([pl.DataFrame(schema=MOVES), *(part[0] for part in parts)])
    deals = pl.concat([pl.DataFrame(schema=FINAL), *(part[1] for part in parts)])
    # The names of two ladders are compared with one another, and with those of events.
    moves, deals = (frame.cast({cs.categorical(): pl.String}) for frame in (moves, deals))
    return Side(pipeline, renamed, moves.sort("deal", "n"), deals.sort("deal"))

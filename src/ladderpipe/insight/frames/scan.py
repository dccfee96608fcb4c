"""Every deal of a board with all that is stored of it, page by page, in one snapshot.

For whoever needs the events themselves, and not only the tables that come of them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager

import attrs

from ...board.board import Board
from ...board.hooks import refuse_inside_hook
from ...stores.base import MoveRecord, Transaction
from .apart import read_apart
from .as_believed import Moment, Told
from .from_board import PAGE, Progress, moment_of, number_of
from .tables import Problem

__all__ = ["Recorded", "Walk", "walking"]


@attrs.frozen
class Recorded:
    """What a store holds of one deal.

    Attributes:
        told: its events, each with when it was recorded; later ones than the walk's too.
        records: its moves.
    """

    deal: str
    told: Told
    records: tuple[MoveRecord, ...]


class Walk:
    """One pass over all deals of a pipeline.

    Attributes:
        moment: from when they are looked at.
        removed: how many deals seen so far were removed with their history.
        problems: deals seen so far that could not be read; they are left out.
    """

    def __init__(
        self, transaction: Transaction, number: int, moment: Moment, progress: Progress | None
    ) -> None:
        self._transaction = transaction
        self._number = number
        self._progress = progress
        self.moment = moment
        self.removed = 0
        self.problems: list[Problem] = []

    def pages(self) -> Iterator[list[Recorded]]:
        """Yield the deals, a page at a time, those that no rule has opened included."""
        total = self._transaction.count_deals(self._number)
        done = after = 0
        while page := self._transaction.every_deal(self._number, after, PAGE):
            there = {row.id: row.deal for row, _ in page if row.removed_at is None}
            self.removed += len(page) - len(there)
            yield self._recorded(there)
            done += len(page)
            after = page[-1][0].id
            if self._progress is not None:
                self._progress(done, total)

    def _recorded(self, deals: dict[int, str]) -> list[Recorded]:
        told, untold = read_apart(self._transaction.events_of, list(deals))
        records, unmoved = read_apart(self._transaction.moves_of, list(deals))
        for id, reason in {**untold, **unmoved}.items():
            self.problems.append(Problem(f"deal {deals[id]!r}", None, reason))
        return [
            Recorded(deal, told.get(id, []), tuple(records.get(id, ())))
            for id, deal in deals.items()
            if id not in untold and id not in unmoved
        ]


@contextmanager
def walking(
    board: Board,
    what: str,
    as_of: dt.datetime | str | None = None,
    progress: Progress | None = None,
) -> Iterator[Walk]:
    """Walk over the deals of a board while the block lasts; nothing is written.

    Args:
        what: who asks, for the refusal inside a hook.
        as_of: the instant to look from; the board's present when left out.
        progress: told after every page how many deals of how many are done.

    Raises:
        ClockError: the instant lies after the board's clock.
        PipelineChangedError: the store holds another definition than the board.
    """
    refuse_inside_hook(what)
    with board.store.transaction(write=False) as transaction:
        number = number_of(board, transaction)
        yield Walk(transaction, number, moment_of(board, as_of), progress)

"""The moves that a fold makes, kept in columns: nothing is built until somebody reads it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from itertools import count, repeat
from typing import TYPE_CHECKING, Final

from ..ladder.machine import Candidate
from ..model.event import Event
from ..model.lazy import LazySequence
from ..model.move import Move, new_move
from ..model.stage import Stage

if TYPE_CHECKING:
    from .draft import Draft

__all__ = ["MovesMade", "NewMoves"]

_FEW: Final = 4
"""Fewer than so many moves are built sooner one by one than from columns."""


class MovesMade(LazySequence[Move]):
    """Moves one after another: which way each took, when, and the event that caused it.

    Args:
        deal: id of the deal.
        visit: number of the visit that the first move ends, 0 for an opening.
        left: the stage that the first move leaves.
    """

    __slots__ = ("_deal", "_left", "_visit", "ats", "causes", "ways")

    def __init__(
        self,
        deal: str,
        visit: int,
        left: Stage | None,
        ways: Sequence[Candidate] = (),
        ats: Sequence[dt.datetime] = (),
        causes: Sequence[Event | None] = (),
    ) -> None:
        self._deal = deal
        self._visit = visit
        self._left = left
        self.ways = ways
        self.ats = ats
        self.causes = causes

    def __len__(self) -> int:
        return len(self.ways)

    def _one(self, place: int) -> Move:
        way = self.ways[place]
        left = self.ways[place - 1].into.stage if place else self._left
        n, at, cause = self._visit + place + 1, self.ats[place], self.causes[place]
        return new_move((self._deal, n, left, way.into.stage, at, None, way.key, cause))

    def _between(self, start: int, stop: int) -> Iterator[Move]:
        if stop - start < _FEW:
            return map(self._one, range(start, stop))
        ways = self.ways[start:stop]
        into = [way.into.stage for way in ways]
        out_of = [self.ways[start - 1].into.stage if start else self._left, *into]
        fields = zip(
            repeat(self._deal),
            count(self._visit + start + 1),
            out_of,
            into,
            self.ats[start:stop],
            repeat(None),
            [way.key for way in ways],
            self.causes[start:stop],
            strict=False,
        )
        return map(new_move, fields)


class NewMoves(MovesMade):
    """The moves that a fold has made so far, from where its draft stood at the beginning."""

    __slots__ = ()

    ways: list[Candidate]
    ats: list[dt.datetime]
    causes: list[Event | None]

    def __init__(self, draft: Draft) -> None:
        super().__init__(draft.deal, draft.visit, draft.rung.stage, [], [], [])

    def so_far(self) -> MovesMade:
        """Return these moves; those that are made later are not among them."""
        columns = tuple(self.ways), tuple(self.ats), tuple(self.causes)
        return MovesMade(self._deal, self._visit, self._left, *columns)

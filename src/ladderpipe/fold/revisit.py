"""A deal as it stood in the middle of its history: folded again from its events, when asked for."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Iterator

from ..ladder.ladder import Ladder
from ..model.deal import Deal
from ..model.event import Event
from .draft import Draft
from .fold import advance, fold_all, run
from .order import in_order
from .withdrawals import is_told

__all__ = ["Past"]


class Past:
    """What a history is folded from, so that any place in it can be looked at again."""

    __slots__ = ("_deals", "_events", "_ladder", "_until")

    def __init__(self, ladder: Ladder, events: Iterable[Event], until: dt.datetime | None) -> None:
        self._ladder = ladder
        self._events = tuple(events)
        self._until = until
        self._deals: dict[int, Deal] | None = None

    def after_move(self, n: int) -> Deal | None:
        """Return the deal right after its move of this number; ``None`` if no event is left of it.

        The first time that costs a fold and a record a move; afterwards nothing.

        Raises:
            GuardError: the guard or the time of a timer raised.
        """
        if self._deals is None:
            self._deals = self._after_moves()
        return self._deals.get(n)

    def at(self, instant: dt.datetime) -> Deal | None:
        """Return the deal as it stood at an instant, ``None`` before it was opened; costs a fold.

        Raises:
            GuardError: the guard or the time of a timer raised.
        """
        until = instant if self._until is None else min(instant, self._until)
        draft, _, _ = run(self._ladder, self._events, until)
        return None if draft is None or draft.stage is None else draft.as_deal()

    def _after_moves(self) -> dict[int, Deal]:
        until = self._until
        events = [event for event in self._events if until is None or is_told(event, until)]
        ordered = in_order(self._ladder, events)
        if not ordered:
            return {}
        draft, moves, _ = fold_all(self._ladder, ordered[0].deal, ordered, prepare=_note_all)
        if until is not None:
            advance(draft, until, moves)
        snapshots = draft.snapshots or {}
        return {n: after for n, (_, after) in snapshots.items() if after is not None}


class _Everywhere(Collection[tuple[str, str]]):
    """Every stage that is moved into, as if each had a hook that wants to see the deal."""

    def __contains__(self, place: object) -> bool:
        return isinstance(place, tuple) and place[0] == "into"

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(())

    def __len__(self) -> int:
        return 0


def _note_all(draft: Draft) -> None:
    draft.snapshots = {}
    draft.hooked = _Everywhere()

"""A deal's fold that is stepped from outside, for engines that keep the state themselves."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile
from operator import eq
from typing import Any, Protocol

import attrs

from ..errors import EventConflictError
from ..ladder.ladder import Ladder
from ..model.clock import instant
from ..model.event import BASELINE, TOLD, WITHDRAW, Event
from ..model.history import History
from ..model.move import Move
from ..model.receipt import Outcome
from ..model.visit import Visit, visit_keys
from ..public import publish
from .cursor import sorts_after_all
from .draft import Draft, order_key
from .fold import advance, fold_all, step
from .moves import NewMoves
from .order import in_order

__all__ = ["Change", "Unfolding"]


class HasLadder(Protocol):
    """A pipeline, as far as a fold has to know it."""

    @property
    def ladder(self) -> Ladder:
        """The compiled ladder."""


@attrs.frozen
class Change:
    """What one step made of a history.

    Attributes:
        outcome: what became of the event; ``MOVED`` or ``STAYED`` of an advance in time.
        moves: the moves that are in the history now and were not before.
        undone: the moves that were in it and are not any more, since a late event changed it.
        refolded: whether the event was late and the history was folded again.
    """

    outcome: Outcome
    moves: tuple[Move, ...] = ()
    undone: tuple[Move, ...] = ()
    refolded: bool = False


class Unfolding:
    """One deal between two steps.

    In whatever order events are added and time advances, it is what ``pipeline.fold(events,
    until)`` gives of them all, where *until* is the latest instant that it was advanced to, or the
    last event if that is later. A second copy of an event changes nothing: the first one's ``seq``
    counts. A step that raises leaves it as it was.

    Attributes:
        deal: id of the deal.
    """

    __slots__ = ("_draft", "_events", "_keys", "_ladder", "_moves", "_start", "_until", "deal")

    def __init__(self, ladder: Ladder, deal: str, events: Iterable[Event] = ()) -> None:
        """Fold what is known already; people call :meth:`~ladderpipe.Pipeline.open`."""
        self.deal = deal
        self._ladder = ladder
        self._until: dt.datetime | None = None
        known = in_order(ladder, events)
        for event in known:
            self._check_own(event)
        self._events = {(event.source, event.id): event for event in known}
        self._fold(self._events)

    @property
    def due_at(self) -> dt.datetime | None:
        """When the next timer that was not yet tried is due; advance to it then."""
        return None if self._draft.stage is None else self._draft.due_at

    def add(self, event: Event, hold: bool = False) -> Change:
        """Take one event, whenever it happened.

        Args:
            hold: set the event aside, instead of raising, when it cannot be used at its place.

        Raises:
            EventConflictError: its identity is known with other content.
            GuardError: a guard raised.
            InvalidEventError: the reducer cannot understand it.
            ValueError: it is another deal's.
        """
        self._check_own(event)
        identity = (event.source, event.id)
        known = self._events.get(identity)
        if known is not None:
            if not known.says_the_same(event):
                raise EventConflictError(
                    f"an event {event.id!r} (source {event.source!r}) is known with other content: "
                    "an identity names one event; give this one its own id"
                )
            return Change(Outcome.DUPLICATE)
        if self._goes_last(event) and sorts_after_all(self._draft, order_key(self._ladder, event)):
            return self._append(event, hold)
        moves, keys = self._moves, self._keys
        self._fold({**self._events, identity: event})
        refusal = self._draft.refusals.get(identity)
        if refusal is not None and not hold:
            self._fold(self._events)
            raise refusal
        self._events[identity] = event
        return self._changed(event, moves, keys)

    def advance(self, until: dt.datetime | str) -> Change:
        """Fire every timer that is due up to and at an instant.

        Raises:
            GuardError: a guard raised.
            InstantError: *until* has no time zone.
        """
        limit = instant(until)
        if self._until is not None and limit <= self._until:
            return Change(Outcome.STAYED)
        count = len(self._moves)
        try:
            self._sweep(limit)
        except BaseException:
            self._fold(self._events)
            raise
        self._until = limit
        moves = tuple(self._moves[count:])
        return Change(Outcome.MOVED if moves else Outcome.STAYED, moves)

    def history(self) -> History | None:
        """Return the history up to here; ``None`` while no event has opened the deal."""
        if self._draft.stage is None:
            return None
        aside, withdrawn = self._draft.aside.values(), self._draft.takings
        return History(
            self._draft.as_deal(), self._moves.so_far(), self._start, self._keys, aside, withdrawn
        )

    def to_state(self) -> dict[str, Any]:
        """Return all of it as JSON values: the events, and how far time has gone."""
        return {
            "deal": self.deal,
            "until": None if self._until is None else self._until.isoformat(),
            "events": [event.to_dict() for event in self._events.values()],
        }

    @classmethod
    def from_state(cls, pipeline: HasLadder, state: Mapping[str, Any]) -> Unfolding:
        """Go on from what :meth:`to_state` returned, perhaps in another process.

        Raises:
            GuardError: the guard or the time of a timer raised.
        """
        deal = state["deal"]
        told = [Event.from_dict(part) for part in state["events"]]
        found = cls(pipeline.ladder, deal, told)
        if state.get("until") is not None:
            found.advance(state["until"])
        return found

    def _check_own(self, event: Event) -> None:
        if event.deal != self.deal:
            raise ValueError(
                f"event {event.id!r} is about deal {event.deal!r}, and this is {self.deal!r}: "
                "open an Unfolding for each deal"
            )

    def _goes_last(self, event: Event) -> bool:
        """Whether an event changes nothing of what was before it, wherever it sorts."""
        named = (event.source, event.id) in self._draft.withdrawn
        return event.type not in (BASELINE, TOLD, WITHDRAW) and not named

    def _append(self, event: Event, hold: bool) -> Change:
        count = len(self._moves)
        try:
            step(self._draft, [event], self._moves, careful=hold)
            self._sweep(self._until)
        except BaseException:
            self._fold(self._events)
            raise
        self._events[event.source, event.id] = event
        moves = tuple(self._moves[count:])
        return Change(self._outcome(event, moves), moves)

    def _fold(self, events: Mapping[tuple[str, str], Event]) -> None:
        """Fold *events*, all of them; what was there before stays when that fails."""
        ordered = in_order(self._ladder, events.values())
        draft, moves, start = fold_all(self._ladder, self.deal, ordered)
        base = draft.visit_key
        if self._until is not None and _reaches(draft, self._until):
            advance(draft, self._until, moves)
        self._draft: Draft = draft
        self._start: Visit | None = start
        self._moves: NewMoves = moves
        self._keys: list[str] = visit_keys(base, moves)

    def _sweep(self, until: dt.datetime | None) -> None:
        if until is not None and _reaches(self._draft, until):
            advance(self._draft, until, self._moves)
        known = len(self._keys)
        last = self._keys[-1] if self._keys else self._start and self._start.key
        self._keys += visit_keys(last, self._moves[known:])

    def _changed(self, event: Event, moves: Sequence[Move], keys: list[str]) -> Change:
        before, now = zip(moves, keys, strict=True), zip(self._moves, self._keys, strict=True)
        same = sum(1 for _ in takewhile(lambda pair: eq(*pair), zip(before, now, strict=False)))
        new = tuple(self._moves[same:])
        return Change(self._outcome(event, new), new, tuple(moves[same:]), refolded=True)

    def _outcome(self, event: Event, moves: Iterable[Move]) -> Outcome:
        identity = (event.source, event.id)
        if identity in self._draft.aside and event.type != WITHDRAW:
            return Outcome.HELD
        if self._draft.late.get(identity) is False:
            return Outcome.LATE
        for move in moves:
            if move.event is event:
                return Outcome.OPENED if move.n == 1 else Outcome.MOVED
        return Outcome.WAITING if self._draft.stage is None else Outcome.STAYED


def _reaches(draft: Draft, until: dt.datetime) -> bool:
    return draft.last_event_at is None or until >= draft.last_event_at


publish("ladderpipe", Change, Unfolding)

"""A deal's history as readers get it: the deal, its moves and its visits."""

from __future__ import annotations

import datetime as dt
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from ..public import publish
from .clock import instant
from .deal import Deal
from .event import Event
from .lazy import LazySequence
from .move import Move
from .record import json_record, within
from .stage import Stage
from .visit import Visit, Visits

if TYPE_CHECKING:
    from .effect import Effect

__all__ = ["History", "SetAside", "Withdrawn"]


class Past(Protocol):
    """Looks at a place in a history again."""

    def after_move(self, n: int) -> Deal | None:
        """Return the deal right after a move."""

    def at(self, instant: dt.datetime) -> Deal | None:
        """Return the deal at an instant."""


@json_record()
class SetAside(NamedTuple):
    """An event that could not be used at its place: its guard or the reducer raised.

    It changes nothing, and is asked anew whenever the deal is folded.

    Attributes:
        reason: what was raised, in words.
    """

    event: Event
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values; the keys stay."""
        return {"event": self.event.to_dict(), "reason": self.reason}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> SetAside:
        """Return what :meth:`to_dict` wrote.

        Raises:
            KeyError: a key is missing.
        """
        return cls(within(Event, record["event"]), record["reason"])


@json_record()
class Withdrawn(NamedTuple):
    """An event that was told and taken back: the fold is as if it had never been told.

    Attributes:
        by: the withdrawal that took it back, with who and why in its data.
    """

    event: Event
    by: Event

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values; the keys stay."""
        return {"event": self.event.to_dict(), "by": self.by.to_dict()}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Withdrawn:
        """Return what :meth:`to_dict` wrote.

        Raises:
            KeyError: a key is missing.
        """
        return cls(within(Event, record["event"]), within(Event, record["by"]))


def _written() -> dict[str, Any]:
    from .effect import Effect

    return {
        "deal": Deal,
        "moves": tuple[Move, ...],
        "visits": tuple[Visit, ...],
        "aside": tuple[SetAside, ...],
        "withdrawn": tuple[Withdrawn, ...],
        "effects": tuple[Effect, ...],
    }


@json_record(_written, optional=("aside", "withdrawn", "effects"))
class History:
    """What a deal has been through: one stage at every instant since it was opened.

    Attributes:
        deal: the deal as it stands at the end.
        moves: each passage from one stage into another, the opening first.
        visits: each stay in a stage; they tile the deal's life without gap or overlap. Moves and
            visits behave as tuples do, and a record is built when it is read.
        aside: the events that could not be used, each with the reason.
        withdrawn: the events that were taken back, each with what took it back.
        effects: what a board knows of the deal's effects, by due time; a bare fold has none.
    """

    __slots__ = (
        "_deal",
        "_moves",
        "_past",
        "_start",
        "_visits",
        "aside",
        "effects",
        "withdrawn",
    )

    def __init__(
        self,
        deal: Deal | Any,
        moves: Iterable[Move],
        start: Visit | None = None,
        keys: Iterable[str] | None = None,
        aside: Iterable[SetAside] = (),
        withdrawn: Iterable[Withdrawn] = (),
        effects: Iterable[Effect] = (),
        past: Past | None = None,
    ) -> None:
        """Keep what the records are built from; *deal* is a record or the fold's draft.

        Args:
            moves: a lazy sequence is kept as it is, and must not grow.
            start: the visit that a baseline began in, when the fold did not see its move.
            keys: the visit keys of *moves*, when a store knows them.
            past: what :meth:`deal_at` asks.
        """
        self._deal = deal
        self._moves = moves if isinstance(moves, LazySequence) else tuple(moves)
        self._start = start
        self._past = past
        self._visits = Visits(self._moves, start, keys)
        self.aside = tuple(aside)
        self.withdrawn = tuple(withdrawn)
        self.effects = tuple(effects)

    @property
    def deal(self) -> Deal:
        """The deal as it stands at the end of the history."""
        # Read once: another thread may put the record there meanwhile.
        deal = self._deal
        if not isinstance(deal, Deal):
            self._deal = deal = deal.as_deal()
        return deal

    @property
    def moves(self) -> Sequence[Move]:
        """Every move, in order; those before a baseline are not part of a bare fold."""
        return self._moves

    @property
    def visits(self) -> Sequence[Visit]:
        """Every visit, in order; the last one is the current one."""
        return self._visits

    def stage_at(self, at: dt.datetime | str) -> Stage | None:
        """Return the stage the deal was in at an instant; ``None`` before it was opened.

        When a deal passed several stages in one instant, it is the last of them.

        Raises:
            InstantError: *at* has no time zone.
        """
        at = instant(at)
        before = bisect_right(self.moves, at, key=attrgetter("at"))
        if before:
            return self.moves[before - 1].into
        return self._start.stage if self._start and self._start.entered_at <= at else None

    def deal_at(self, place: Move | dt.datetime | str) -> Deal | None:
        """Return the deal as it stood right after a move, or at an instant.

        By what is known today: what came late or was taken back counts as it does in this history.
        It is folded again from its events, which costs as much as the fold did, once for all moves
        and once for each instant. A history from a board has read its events already.

        Args:
            place: one of ``moves``, or an instant; past the end of the history it is the end.

        Returns:
            ``None`` at an instant before the deal was opened.

        Raises:
            LookupError: the move is not in this history, or lies before what its events begin with,
                or the history was read from a record, which has no events.
            InstantError: the instant has no time zone.
        """
        where = f"history of deal {self.deal.id!r}"
        past = self._past
        if past is None:
            raise LookupError(
                f"the {where} does not hold the events it came from: take it from pipeline.fold() "
                "or board.history()"
            )
        if not isinstance(place, Move):
            return past.at(instant(place))
        if place not in self.moves:
            raise LookupError(f"the {where} has no such move: give one of history.moves, {place}")
        found = past.after_move(place.n)
        if found is None:
            raise LookupError(
                f"move {place.n} lies before the events that are left in the {where}: the deal "
                "then is not known any more"
            )
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return the deal and all that it has been through as JSON; the keys stay."""
        return {
            "deal": self.deal.to_dict(),
            "moves": [move.to_dict() for move in self.moves],
            "visits": [visit.to_dict() for visit in self.visits],
            "aside": [each.to_dict() for each in self.aside],
            "withdrawn": [each.to_dict() for each in self.withdrawn],
            "effects": [effect.to_dict() for effect in self.effects],
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any], stages: Iterable[Stage] = ()) -> History:
        """Return the history that :meth:`to_dict` wrote.

        Args:
            stages: those of its ladder, ``pipeline.stages``; see :meth:`Deal.from_dict`.

        Raises:
            KeyError: a key is missing.
            InstantError: an instant is none.
        """
        stages = tuple(stages)
        moves = [within(Move, move, stages) for move in record["moves"]]
        visits = [within(Visit, visit, stages) for visit in record["visits"]]
        # One visit more than moves: the first is the one that a baseline began in.
        start = visits.pop(0) if len(visits) > len(moves) else None
        deal = within(Deal, record["deal"], stages)
        aside = [within(SetAside, told) for told in record.get("aside", ())]
        withdrawn = [within(Withdrawn, told) for told in record.get("withdrawn", ())]
        from .effect import Effect

        effects = [within(Effect, told) for told in record.get("effects", ())]
        return cls(deal, moves, start, [visit.key for visit in visits], aside, withdrawn, effects)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, History):
            return NotImplemented
        return (
            self.deal == other.deal
            and self.moves == other.moves
            and self.visits == other.visits
            and self.aside == other.aside
            and self.withdrawn == other.withdrawn
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        deal = self.deal
        return f"<History of {deal.id[:60]!r}: {len(self.visits)} visits, now in {deal.stage!r}>"

    def _repr_html_(self) -> str:
        """Return its moves as a notebook shows them."""
        from .notebook import table

        return table(
            f"{self.deal.title or self.deal.id}: {len(self.visits)} visits",
            ("n", "at", "out of", "into", "by"),
            [
                (move.n, move.at, move.out_of and move.out_of.title, move.into.title, move.rule)
                for move in self.moves
            ],
        )


publish("ladderpipe", History, SetAside, Withdrawn)

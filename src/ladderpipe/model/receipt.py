"""What a board answers to an event."""

from __future__ import annotations

import enum
import functools
from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol

import attrs

from ..errors import DealNotFoundError
from ..public import publish
from .deal import Deal
from .event import Identity
from .move import Move
from .record import json_record, within
from .stage import Stage

__all__ = ["Outcome", "Receipt"]


class Outcome(enum.StrEnum):
    """What became of one event."""

    OPENED = "opened"
    """It opened the deal."""
    MOVED = "moved"
    """It moved the deal."""
    STAYED = "stayed"
    """It was recorded and moved nothing."""
    DUPLICATE = "duplicate"
    """It was known already; nothing changed."""
    WAITING = "waiting"
    """No rule has opened its deal yet; it is kept and takes part when one does."""
    LATE = "late"
    """It sorts before the deal's baseline and was told after it; recorded, changes nothing."""
    HELD = "held"
    """It cannot be used now; kept with the reason, and tried again. See ``board.held()``."""
    ARCHIVED = "archived"
    """Its deal was removed; recorded nowhere, changes nothing."""


_WHY_NO_DEAL: Final = {
    Outcome.ARCHIVED: "it was removed, and the event is recorded nowhere",
    Outcome.WAITING: "no rule has opened it yet, and the event waits until one does",
}


class _Stands(Protocol):
    """A deal, or the fold's draft of one."""

    def as_deal(self) -> Deal: ...


def _as_deal(stands: _Stands | None) -> Deal | None:
    return None if stands is None else stands.as_deal()


@json_record(lambda: {"deal": Deal | None})
@attrs.frozen(repr=False)
class Receipt:
    """What a board answers to an event.

    Attributes:
        outcome: what became of *this* event.
        moves: the moves that are newly current, timers that were due before included.
        refolded: whether the event was late and the deal's history was folded again.
        reason: why the event is held, in words, what its stage requires that is not filled, or why
            a merge does not count; of a hand dated in the past, what moved the deal on since;
            otherwise ``None``.
        undeclared: that the pipeline declares no events of this type, in words, with what was
            probably meant; ``None`` when it does. The event is recorded all the same.
        event: what names the event that was told; ``board.withdraw`` and ``undo`` take it.
        late: whether it sorts before the deal's baseline and was told after that was written.
    """

    outcome: Outcome
    _stands: _Stands | None = attrs.field(alias="deal", eq=_as_deal)
    moves: tuple[Move, ...] = ()
    refolded: bool = False
    reason: str | None = None
    undeclared: str | None = None
    event: Identity | None = None
    late: bool = False

    @property
    def deal(self) -> Deal:
        """The deal as it stands now.

        Raises:
            DealNotFoundError: none is open (a ``LookupError``); :attr:`deal_or_none` is for where
                that may be.
        """
        deal = self.deal_or_none
        if deal is None:
            why = _WHY_NO_DEAL.get(self.outcome, "no event that is known opens its deal")
            raise DealNotFoundError(
                f"this receipt, {self.outcome.value}, has no deal: {why}; "
                "receipt.deal_or_none is None then"
            )
        return deal

    @functools.cached_property
    def deal_or_none(self) -> Deal | None:
        """The deal as it stands now; ``None`` while none is open."""
        return _as_deal(self._stands)

    def to_dict(self) -> dict[str, Any]:
        """Return what became of the event as JSON values; the keys stay."""
        deal = self.deal_or_none
        return {
            "outcome": self.outcome.value,
            "deal": None if deal is None else deal.to_dict(),
            "moves": [move.to_dict() for move in self.moves],
            "refolded": self.refolded,
            "reason": self.reason,
            "undeclared": self.undeclared,
            "event": None if self.event is None else self.event.to_dict(),
            "late": self.late,
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any], stages: Iterable[Stage] = ()) -> Receipt:
        """Return the receipt that :meth:`to_dict` wrote.

        Args:
            stages: those of the ladder, ``pipeline.stages``; see :meth:`Deal.from_dict`.

        Raises:
            KeyError: a key is missing.
            ValueError: there is no such outcome, or an instant is none.
        """
        stages = tuple(stages)
        deal, event = record["deal"], record.get("event")
        return cls(
            Outcome(record["outcome"]),
            None if deal is None else within(Deal, deal, stages),
            tuple(within(Move, move, stages) for move in record.get("moves", ())),
            record.get("refolded", False),
            record.get("reason"),
            record.get("undeclared"),
            None if event is None else within(Identity, event),
            record.get("late", False),
        )

    def __repr__(self) -> str:
        return f"Receipt({', '.join(map(repr, self._told()))})"

    def __reduce__(self) -> tuple[Any, ...]:
        return (Receipt, self._told())

    def _told(self) -> tuple[Any, ...]:
        stands = self.deal_or_none
        what = (self.outcome, stands, self.moves, self.refolded, self.reason)
        return (*what, self.undeclared, self.event, self.late)


publish("ladderpipe", Outcome, Receipt)

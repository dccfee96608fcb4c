"""What a board answers to an event."""

from __future__ import annotations

import enum
import functools
from typing import Any, Protocol

import attrs

from .deal import Deal
from .move import Move

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
    """It is older than the deal's baseline; recorded, changes nothing."""
    ARCHIVED = "archived"
    """Its deal was removed; recorded nowhere, changes nothing."""


class _Stands(Protocol):
    """A deal, or the fold's draft of one."""

    def as_deal(self) -> Deal: ...


def _as_deal(stands: _Stands | None) -> Deal | None:
    return None if stands is None else stands.as_deal()


@attrs.frozen(repr=False)
class Receipt:
    """What a board answers to an event.

    Attributes:
        outcome: what became of *this* event.
        moves: the moves that are newly current, timers that were due before included.
        refolded: whether the event was late and the deal's history was folded again.
    """

    outcome: Outcome
    _stands: _Stands | None = attrs.field(alias="deal", eq=_as_deal)
    moves: tuple[Move, ...] = ()
    refolded: bool = False

    @functools.cached_property
    def deal(self) -> Deal | None:
        """The deal as it stands now; ``None`` while none is open."""
        return _as_deal(self._stands)

    def __repr__(self) -> str:
        return f"Receipt({self.outcome!r}, {self.deal!r}, {self.moves!r}, {self.refolded!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return (Receipt, (self.outcome, self.deal, self.moves, self.refolded))

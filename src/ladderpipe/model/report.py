"""What a board says of a batch, a sweep, a round of deliveries; and what verifying finds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import attrs

from ..errors import LadderError
from ..public import publish
from .delivery import EffectState
from .event import Event
from .receipt import Outcome
from .refusals import RefusalGroup

__all__ = [
    "BatchReport",
    "DealFailure",
    "DeliveryReport",
    "Difference",
    "EventFailure",
    "TickReport",
]


def _most_first(counts: Mapping[str, int]) -> Mapping[str, int]:
    """Return the counts, the largest first: stores list what is due at one instant in any order."""
    return dict(sorted(counts.items(), key=lambda counted: (-counted[1], counted[0])))


@attrs.frozen
class EventFailure:
    """An event of a batch that was refused; the others were not affected.

    Attributes:
        position: its place in what was given, from 0.
    """

    position: int
    event: Event
    error: LadderError


@attrs.frozen
class BatchReport:
    """What became of a batch of events.

    Attributes:
        outcomes: how many events had which outcome.
        failures: events that were refused, each with the reason.
        undeclared: by type, how many events were told that the pipeline does not declare.
        held: events that are held, by the reason.
        unfilled: by type and reason, how many events would have moved their deal, had it what the
            stage requires.
        timers: by rule, how many moves timers made in between, less those that a late event undid;
            the most first.
    """

    outcomes: Mapping[Outcome, int]
    failures: tuple[EventFailure, ...] = ()
    undeclared: Mapping[str, int] = attrs.field(factory=dict)
    held: tuple[RefusalGroup, ...] = ()
    unfilled: Mapping[tuple[str, str], int] = attrs.field(factory=dict)
    timers: Mapping[str, int] = attrs.field(factory=dict, converter=_most_first)

    @property
    def accepted(self) -> int:
        """How many events are stored now that were not before."""
        skipped = (Outcome.DUPLICATE, Outcome.ARCHIVED)
        return sum(count for outcome, count in self.outcomes.items() if outcome not in skipped)


@attrs.frozen
class DealFailure:
    """A deal that could not be swept; it is tried again later, the others went on."""

    deal: str
    error: LadderError


def _by_deal(failures: Iterable[DealFailure]) -> tuple[DealFailure, ...]:
    return tuple(sorted(failures, key=lambda failure: failure.deal))


@attrs.frozen
class TickReport:
    """What a sweep did.

    Attributes:
        deals: how many deals had a timer due.
        moves: how many moves the timers made.
        failures: deals that could not be swept, by their ids.
        released: how many held events were taken, their time having come.
        timers: by rule, how many moves that made, the most first.
    """

    deals: int
    moves: int
    failures: tuple[DealFailure, ...] = attrs.field(default=(), converter=_by_deal)
    released: int = 0
    timers: Mapping[str, int] = attrs.field(factory=dict, converter=_most_first)


@attrs.frozen
class DeliveryReport:
    """What one round of deliveries did.

    Attributes:
        counts: how many effects ended in which state; ``pending`` means tried again later.
        delayed: how many were put off on purpose, by their handler or the send policy.
        held_back: by name, how many effects are older than a week, and too many to be sent
            without being told to; see ``Board(stale_effects=...)``.
    """

    counts: Mapping[EffectState, int]
    delayed: int = 0
    held_back: Mapping[str, int] = attrs.field(factory=dict, kw_only=True)

    @property
    def delivered(self) -> int:
        """How many handlers returned."""
        return self.counts.get(EffectState.DELIVERED, 0)

    @property
    def failed(self) -> int:
        """How many handlers raised: those tried again later and the new dead letters."""
        return self.counts.get(EffectState.PENDING, 0) + self.counts.get(EffectState.DEAD, 0)


@attrs.frozen
class Difference:
    """The first thing about a deal that does not agree; ``deal`` is ``None`` for the database."""

    deal: str | None
    what: str

    def __str__(self) -> str:
        return f"deal {self.deal!r}: {self.what}" if self.deal else f"the database: {self.what}"


publish(
    "ladderpipe",
    BatchReport,
    DealFailure,
    DeliveryReport,
    Difference,
    EventFailure,
    TickReport,
)

"""Deals as another system tells them, and what became of them on a board."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from ..public import publish
from .canonical import canonical
from .clock import instant
from .event import checked_name
from .refusals import RefusalGroup

__all__ = ["ImportReport", "OverdueDeal", "RefusedDeal", "Stay", "ToldDeal"]


def _instant_if_known(at: dt.datetime | str | None) -> dt.datetime | None:
    return None if at is None else instant(at)


def _all_doubts(doubts: Iterable[str]) -> tuple[str, ...]:
    return tuple(doubts)


@attrs.frozen
class Stay:
    """That a deal entered a stage, as another system tells it.

    Attributes:
        stage: the key of a stage of the pipeline.
        at: when; ``None`` when it does not say, of the stage that the deal is in now.
    """

    stage: str = attrs.field(converter=str)
    at: dt.datetime | None = attrs.field(default=None, converter=_instant_if_known)


def _all_stays(stays: Iterable[Stay]) -> tuple[Stay, ...]:
    return tuple(stays)


@attrs.frozen
class ToldDeal:
    """A deal as another system tells it.

    Attributes:
        id: of the deal.
        stays: the stages that it was in, in their order; the last is the one it is in.
        facts: what belongs to the deal from its opening on, as an event's data has it: ``title``,
            ``owner``, ``value``, ``currency``, ``contact``, ``company``, ``source``,
            ``properties``.
        closing: the same, from the last of its stays on: its final value, why it was lost.
        where: the place it was read from, for messages.
        doubts: what was left out because it contradicts the rest.

    Raises:
        InvalidEventError: the id is no name, or the facts are not JSON.
    """

    id: str
    stays: tuple[Stay, ...] = attrs.field(converter=_all_stays)
    facts: Mapping[str, Any] = attrs.field(factory=dict, converter=canonical)
    closing: Mapping[str, Any] = attrs.field(factory=dict, converter=canonical)
    where: str = ""
    doubts: tuple[str, ...] = attrs.field(default=(), converter=_all_doubts)

    def __attrs_post_init__(self) -> None:
        checked_name(self.id, "deal")


@attrs.frozen
class RefusedDeal:
    """A deal that cannot be told of.

    Attributes:
        where: the place it was read from.
        reason: why, in words.
    """

    where: str
    reason: str


@attrs.frozen
class OverdueDeal:
    """A deal whose timer had been due before it was brought over.

    Attributes:
        stage: the key of the stage it is in.
        into: where the timer leads.
        due_at: when it had been due.
        moves_at: when the deal will move, unless something happens before.
    """

    deal: str
    stage: str
    into: str
    due_at: dt.datetime
    moves_at: dt.datetime


@attrs.frozen(kw_only=True)
class ImportReport:
    """What became of deals that another system told of, or would become of them.

    Attributes:
        at: the instant of the import, from which on the ladder's rules hold.
        dry_run: whether nothing was written.
        deals: how many were told.
        new: how many of those the board did not know.
        changed: how many it knew and was told something new of.
        events: how many events were written, or would be.
        stages, owners, currencies: how many of the deals, by what they are in now, whose they are
            and what they are in; ``None`` is not known.
        undated: how many of them do not say since when they are in their stage: it counts from
            the import.
        refused: the deals that were left out, grouped by the reason.
        doubts: what of the deals was left out, grouped by the reason.
        overdue: by stage and target, how many deals have a timer that was due before the import.
        overdue_deals: the first hundred of those.
        first_at, last_at: the first and the last instant at which a deal entered a stage.
    """

    at: dt.datetime
    dry_run: bool
    deals: int
    new: int
    changed: int
    events: int
    stages: Mapping[str, int]
    owners: Mapping[str | None, int]
    currencies: Mapping[str | None, int]
    undated: int
    refused: tuple[RefusalGroup, ...]
    doubts: tuple[RefusalGroup, ...]
    overdue: Mapping[tuple[str, str], int]
    overdue_deals: tuple[OverdueDeal, ...]
    first_at: dt.datetime | None
    last_at: dt.datetime | None

    @property
    def unchanged(self) -> int:
        """How many deals were known as they are."""
        return self.deals - self.new - self.changed

    @property
    def is_mostly_refused(self) -> bool:
        """Whether more deals were refused than were not."""
        return sum(group.count for group in self.refused) > self.deals


publish("ladderpipe", ImportReport, OverdueDeal, RefusedDeal, Stay, ToldDeal)

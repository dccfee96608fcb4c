"""Where deals may be moved by hand, and moving them with what a form has brought."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import attrs
from django.utils.translation import gettext

from ..model.stage import Stage
from .models import Deal
from .words import field, refusal, stage_title

__all__ = ["Way", "move_all", "move_one", "ways_of_all", "ways_of_one"]

PROPERTY: Final = "property-"


@attrs.frozen
class Way:
    """A stage that a hand may move into.

    Attributes:
        missing: names of what it requires and a deal does not have.
        count: how many of the deals may go there.
    """

    into: Stage
    missing: Sequence[str]
    count: int = 1

    @property
    def title(self) -> str:
        """What the stage is called."""
        return stage_title(self.into)

    @property
    def fields(self) -> list[tuple[str, str]]:
        """What a form asks for: the name of each field, and what it is called."""
        return [(PROPERTY + name, field(name)) for name in self.missing]


def ways_of_one(deal: Deal, by: str) -> list[Way]:
    """Return where a deal may be moved now, in the order of the ladder."""
    options = deal.board.options(deal.deal, by=by)
    return [Way(option.into, option.missing) for option in options if option.is_possible]


def ways_of_all(deals: Sequence[Deal], by: str) -> list[Way]:
    """Return where at least one of these deals may be moved, and what any of them lacks there."""
    found: dict[Stage, Way] = {}
    for way in (way for deal in deals for way in ways_of_one(deal, by)):
        known = found.get(way.into, Way(way.into, (), 0))
        missing = tuple(dict.fromkeys([*known.missing, *way.missing]))
        found[way.into] = Way(way.into, missing, known.count + 1)
    stages = deals[0].board.pipeline.stages if deals else ()
    return [found[stage] for stage in stages if stage in found]


def move_one(deal: Deal, told: Mapping[str, str], by: str) -> str:
    """Move a deal as a form says, and return that in words.

    Raises:
        LadderError: the ladder does not allow it, or somebody has moved the deal meanwhile.
    """
    before = deal.stage_now
    receipt = deal.board.move(
        deal.deal,
        told.get("into", ""),
        by=by,
        reason=told.get("reason") or None,
        properties=_properties(told),
        expecting=told.get("expecting") or None,
        id=told.get("request_id") or None,
    )
    return _said(before, receipt.deal.stage)


def move_all(
    deals: Sequence[Deal], told: Mapping[str, str], by: str
) -> tuple[list[tuple[Deal, str]], list[str]]:
    """Move deals as a form says; return those that were moved, in words, and why others were not.

    All of them are of one pipeline.
    """
    board = deals[0].board
    before = [deal.stage_now for deal in deals]
    report = board.move_many(
        [deal.deal for deal in deals],
        told["into"],
        by=by,
        reason=told.get("reason") or None,
        properties=_properties(told),
        id=told.get("request_id") or None,
    )
    refused = {failure.position: refusal(failure.error) for failure in report.failures}
    into = board.pipeline.stage(told["into"])
    moved = [
        (deal, _said(stage, into))
        for place, (deal, stage) in enumerate(zip(deals, before, strict=True))
        if place not in refused
    ]
    return moved, list(refused.values())


def _properties(told: Mapping[str, str]) -> dict[str, str] | None:
    found = {
        name.removeprefix(PROPERTY): value
        for name, value in told.items()
        if name.startswith(PROPERTY) and value
    }
    return found or None


def _said(before: Stage, after: Stage) -> str:
    told = {"before": stage_title(before), "after": stage_title(after)}
    return str(gettext("Moved from %(before)s to %(after)s.") % told)

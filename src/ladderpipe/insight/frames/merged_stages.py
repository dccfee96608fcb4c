"""Stages that ``migrate`` made one: two stays next to each other are one stay in what is left.

The store keeps both moves, each by its rule, and a history shows them. For a report the second is
no passage: it leads from a stage into itself, and nothing came back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Protocol, TypeVar

from ...ladder.ladder import Ladder
from ...model.event import OVERRIDE, Event

__all__ = ["in_one_stay", "needs_events"]


class Passed(Protocol):
    """A passage, as far as it is asked here."""

    @property
    def out_of(self) -> str | None:
        """The stage that was left."""

    @property
    def into(self) -> str:
        """The stage that was entered."""

    @property
    def rule(self) -> str:
        """The key of the rule that moved."""

    @property
    def event_source(self) -> str | None:
        """And its event, if one moved it."""

    @property
    def event_id(self) -> str | None:
        """The event's id."""


P = TypeVar("P", bound=Passed)


def in_one_stay(
    ladder: Ladder,
    passages: Sequence[P],
    base: int,
    events: Mapping[tuple[str, str], Event],
) -> list[P]:
    """Return the passages without those that only went from one merged stage into another.

    Args:
        base: how many of them, the first, are told by stored rows from before a baseline. What
            came later was folded by this ladder, and means what it says.
        events: of the deal, by identity.
    """
    kept = list(passages[:1])
    for place, (before, passage) in enumerate(pairwise(passages), start=1):
        is_same = passage.out_of == passage.into
        if place >= base or not is_same or _re_enters(ladder, before, passage, events):
            kept.append(passage)
    return kept


def _re_enters(
    ladder: Ladder, before: Passed, passage: Passed, events: Mapping[tuple[str, str], Event]
) -> bool:
    """Return whether a deal was taken out of a stage and put into it again, of the same name.

    It was if a rule that may do so moved it, and both moves lead where they always led: the event
    of a hand names the stage, and a rule that is gone led into one that is gone.
    """
    may = {OVERRIDE} | {rule.key for rule in ladder.rules if rule.reenter}
    led_there = {rule.key for rule in ladder.rules if rule.into == passage.into}

    def led(one: Passed) -> bool:
        if one.rule != OVERRIDE:
            return one.rule in led_there
        event = events.get((one.event_source or "", one.event_id or ""))
        return event is None or event.data.get("into") == passage.into

    return passage.rule in may and led(before) and led(passage)


def needs_events(records: Sequence[Passed]) -> bool:
    """Return whether the events of hands have to say which of these passages go in circles."""
    return any(one.rule == OVERRIDE and one.out_of == one.into for one in records)

"""What the world outside the store knows: what was told, what was answered, what was delivered."""

from __future__ import annotations

from collections import Counter

import attrs

from ladderpipe import Event

__all__ = ["Ledger"]


@attrs.define(eq=False)
class Ledger:
    """The callers' and the receivers' own records.

    Attributes:
        told: every event that was given to a board, in the order of the first time.
        calls: how often each was given to one, by id.
        refused: how often each was refused; a call that is in neither got no answer.
        acknowledged: ids of events that a board answered for.
        handed: deal, source and id of every hand that a board answered for.
        begun: how often a handler was called, by the effect's key.
        handled: how often a handler returned, by the effect's key.
        vanished: keys of visits that a late event did away with, at least for a while.
    """

    told: dict[str, Event] = attrs.field(factory=dict)
    calls: Counter[str] = attrs.field(factory=Counter)
    refused: Counter[str] = attrs.field(factory=Counter)
    acknowledged: set[str] = attrs.field(factory=set)
    handed: list[tuple[str, str, str]] = attrs.field(factory=list)
    begun: Counter[str] = attrs.field(factory=Counter)
    handled: Counter[str] = attrs.field(factory=Counter)
    vanished: set[str] = attrs.field(factory=set)

    def tell(self, *events: Event) -> None:
        """Note that events are about to be given to a board, which may answer or not."""
        for event in events:
            self.told.setdefault(event.id, event)
            self.calls[event.id] += 1

    def never_taken(self, id: str) -> bool:
        """Whether every call was refused, so that nothing of the event may be stored."""
        return self.calls[id] == self.refused[id]

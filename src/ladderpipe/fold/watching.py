"""What a fold tells of a ladder that is watched: see :mod:`ladderpipe.ladder.watch`.

A ladder that nobody watches pays for one look at an attribute in each call, not in each event.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection
from typing import Final, TypeAlias

from ..ladder.guards import AllOf, AnyOf, Facts, Guard, Not
from ..ladder.machine import NOT_OPEN, Candidate
from ..model.event import BY_HAND, Event
from .draft import Draft
from .observer import Observer

__all__ = ["note_required", "watched", "watcher"]

Asked: TypeAlias = "Callable[[Facts, Event | None], bool]"


def watcher(draft: Draft) -> Observer | None:
    """Return what tells the decisions of a fold to whoever watches its ladder; mostly nothing."""
    return None if draft.ladder.watch is None else _told


def _told(
    draft: Draft, asked: Event | Candidate, winner: Candidate | None, at: dt.datetime
) -> None:
    ladder = draft.ladder
    watch = ladder.watch
    if watch is None:
        return
    here = NOT_OPEN if draft.stage is None else draft.stage.key
    if isinstance(asked, Event):
        kind = asked.type
        into = str(asked.data.get("into")) if kind == BY_HAND else ""
        watch.saw(ladder.name, ("event", here, kind, into))
    elif winner is None:
        watch.saw(ladder.name, ("rule", asked.key, "blocked"))
    if winner is None:
        return
    watch.saw(ladder.name, ("rule", winner.key, "moved"))
    watch.saw(ladder.name, ("way", winner.key, here))
    if draft.stage is not None:
        watch.saw(ladder.name, ("stage", here, "left"))
    if winner.into.stage is not None:
        watch.saw(ladder.name, ("stage", winner.into.stage.key, "entered"))
    for timer in draft.rung.timers:
        if timer.key != winner.key:
            watch.saw(ladder.name, ("rule", timer.key, "cancelled"))


def watched(candidate: Candidate, draft: Draft) -> Asked:
    """Return the guard of a rule, asked part by part, every answer told."""

    def holds(deal: Facts, event: Event | None) -> bool:
        watch = draft.ladder.watch
        assert watch is not None and candidate.guard is not None
        saw, ladder = watch.saw, draft.ladder
        saw(ladder.name, ("rule", candidate.key, "tried"))

        def asked(guard: Guard, place: str) -> bool:
            if isinstance(guard, AllOf):
                answer = all(asked(part, f"{place}.{n}") for n, part in enumerate(guard.parts))
            elif isinstance(guard, AnyOf):
                answer = any(asked(part, f"{place}.{n}") for n, part in enumerate(guard.parts))
            elif isinstance(guard, Not):
                answer = not asked(guard.inner, f"{place}.0")
            else:
                answer = guard.holds(deal, event)
            saw(ladder.name, ("guard", candidate.key, place, _ANSWERS[bool(answer)]))
            return answer

        return asked(candidate.guard, "0")

    return holds


_ANSWERS: Final = {True: "true", False: "false"}


def note_required(candidate: Candidate, draft: Draft, unfilled: Collection[str]) -> None:
    """Tell what came of a rule whose target requires something."""
    watch, stage = draft.ladder.watch, candidate.into.stage
    if watch is None or stage is None:
        return
    watch.saw(draft.ladder.name, ("rule", candidate.key, "tried"))
    for name in stage.requires:
        answer = "missing" if name in unfilled else "filled"
        watch.saw(draft.ladder.name, ("requires", stage.key, name, answer))

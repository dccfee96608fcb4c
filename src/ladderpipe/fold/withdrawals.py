"""What was told and taken back: which withdrawals count, and what stands without the others.

``ladder.withdraw`` names one event of its own deal, whenever that arrives; the fold is as if that
one had never been told (S13).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from ..model.event import BASELINE, WITHDRAW, Event, Identity, named_by
from ..model.history import SetAside, Withdrawn
from .baseline import Baseline, in_turn

if TYPE_CHECKING:
    import datetime as dt

__all__ = ["NOTHING", "Standing", "is_told", "standing"]

NOTHING: Final[Mapping[Identity, Event]] = {}
"""Shared by all deals of which nothing was taken back, as nearly all are."""


class Standing:
    """What is left of a deal's events.

    Attributes:
        events: those that are folded, in their order.
        named: each identity that a withdrawal which counts names, with that withdrawal.
        withdrawn: the events among those, in their order.
        astray: withdrawals that name nothing of their deal, or what a baseline carries.
    """

    __slots__ = ("astray", "events", "named", "withdrawn")

    def __init__(self, events: Sequence[Event]) -> None:
        self.events = events
        self.named: Mapping[Identity, Event] = NOTHING
        self.withdrawn: tuple[Withdrawn, ...] = ()
        self.astray: tuple[SetAside, ...] = ()


def standing(ordered: Sequence[Event]) -> Standing:
    """Return what is left of one deal's *ordered* events once withdrawals are read, last to first.

    One counts unless a later one that counts names it.
    """
    found = Standing(ordered)
    if WITHDRAW not in {event.type for event in ordered}:
        return found
    told = {event.identity: event for event in ordered}
    baselines = in_turn(ordered)
    baseline = baselines[-1] if baselines else None
    named: dict[Identity, Event] = {}
    counting: set[Identity] = set()
    astray: list[SetAside] = []
    for event in reversed(ordered):
        if event.type != WITHDRAW or event.identity in named:
            continue
        counting.add(event.identity)
        target = named_by(event)
        meant = told.get(target)
        if target in counting:
            continue  # a later one, or itself: it is read already
        named.setdefault(target, event)
        if meant is None:
            astray.append(SetAside(event, f"{_called(target)} this deal does not have"))
        elif is_held(meant, baseline):
            del named[target]
            astray.append(SetAside(event, f"{_called(target)} stands in what a baseline carries"))
    found.events = [e for e in ordered if e.type != WITHDRAW and e.identity not in named]
    found.named = named
    found.withdrawn = tuple(
        Withdrawn(event, named[event.identity]) for event in ordered if event.identity in named
    )
    found.astray = tuple(reversed(astray))
    return found


def is_held(event: Event, baseline: Event | None) -> bool:
    """Return whether an event is the last *baseline*, or in it; nobody can take that apart.

    One of a former version holds what is not later.
    """
    if event.type == BASELINE:
        return True
    if baseline is None:
        return False
    base = Baseline.of(baseline)
    return event.at <= baseline.at if base is None else base.has_seen(event)


def is_told(event: Event, until: dt.datetime) -> bool:
    """Return whether an event was told by an instant; a withdrawal has no place in time."""
    return event.type == WITHDRAW or event.at <= until


def _called(target: Identity) -> str:
    source = f" (source {target.source!r})" if target.source else ""
    return f"it takes back event {target.id!r}{source}, which"

"""What has happened to a deal, in the order of time, as the admin shows it."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

import attrs
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..model.delivery import EffectState
from ..model.event import BASELINE, BY_HAND, EDITED, OVERRIDE, TOLD, WITHDRAW
from .models import Deal, Effect, Move
from .words import STATES, stage_title

__all__ = ["Entry", "timeline"]

WORDS: Final = {
    BASELINE: _("ladder changed"),
    BY_HAND: _("moved by hand"),
    EDITED: _("edited"),
    OVERRIDE: _("moved past the rules"),
    TOLD: _("told by another system"),
    WITHDRAW: _("taken back"),
}
"""Our own types of events; the shop's are called what the shop calls them."""


@attrs.frozen
class Entry:
    """One line.

    Attributes:
        kind: ``event``, ``timer`` or ``effect``, for its looks.
        what: the event's type, the timer's rule, or the effect.
        who: whose hand it was.
        moves: the moves that it made, in words.
        note: reason or error.
    """

    at: dt.datetime
    kind: str
    what: str
    who: str = ""
    moves: tuple[str, ...] = ()
    note: str = ""


def timeline(deal: Deal) -> list[Entry]:
    """Return a deal's events with the moves that they made, timers and effects, the last first."""
    caused: dict[tuple[Any, Any], list[Move]] = {}
    for move in deal.moves():
        caused.setdefault((move.event_source, move.event_id), []).append(move)
    timers = caused.pop((None, None), [])
    entries = [
        Entry(
            event.at,
            "event",
            str(WORDS.get(event.type, event.type)),
            str(event.data.get("by") or ""),
            tuple(_passage(deal, move) for move in caused.get((event.source, event.id), ())),
            str(event.data.get("reason") or event.data.get("note") or ""),
        )
        for event in deal.events()
    ]
    entries += [
        Entry(move.at, "timer", move.rule, moves=(_passage(deal, move),)) for move in timers
    ]
    entries += [_of_effect(effect) for effect in Effect.objects.filter(deal=deal.pk)]
    return sorted(entries, key=lambda entry: entry.at, reverse=True)


def _passage(deal: Deal, move: Move) -> str:
    stages = {stage.key: stage_title(stage) for stage in deal.board.pipeline.stages}
    into = stages.get(move.into_stage, move.into_stage)
    if move.out_of is None:
        return str(gettext("opened in %(into)s") % {"into": into})
    return f"{stages.get(move.out_of, move.out_of)} → {into}"


def _of_effect(effect: Effect) -> Entry:
    named = effect.payload.get("title") or effect.payload.get("template") or ""
    what = f"{effect.name}: {named}" if named else str(effect.name)
    whose = effect.owner or ""
    state = STATES[EffectState(effect.state)]
    return Entry(effect.due_at, "effect", f"{what} ({state})", whose, note=effect.error or "")

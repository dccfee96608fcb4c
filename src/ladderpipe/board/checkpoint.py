"""Checkpoints: how a long deal stood every so many events, so that a late one need not fold all.

A checkpoint is the fold's state once all events up to an instant, and at it, had been folded, and
nothing else of the deal. It stands as long as nothing comes that is not later than it. Whoever has
folded a deal again from an earlier place writes its later ones anew; whoever has not, as a
baseline does that says where a deal stood, drops them all.
"""

from __future__ import annotations

import bisect
import datetime as dt
import functools
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any, Final

from ..fold.draft import Draft
from ..fold.fold import advance
from ..fold.moves import NewMoves
from ..model.canonical import json_encoder
from ..model.clock import instant, instant_text
from ..model.event import Event
from ..pipeline import Pipeline
from ..stores.base import Checkpoint, Transaction
from ..stores.stored_deal import StoredDeal
from .customers import source_of

__all__ = [
    "EVERY",
    "Comparison",
    "Recorder",
    "are_many",
    "checkpoint_of",
    "is_due",
    "is_of",
    "is_telling",
    "is_turn",
    "notes_of",
    "state_of",
    "stored_at",
    "told_ids",
]

EVERY: Final = 64
"""How many events there are at least from one checkpoint to the next."""
ASKED: Final = 32
"""Of so many events, one asks whether it is time for another."""

_encode = json_encoder()
_INSTANTS: Final = (
    "entered_at",
    "activity_at",
    "opened_at",
    "closed_at",
    "due_at",
    "horizon",
    "last_event_at",
    "baseline_at",
)
_FIELDS: Final = ("stage", "visit", "visit_key", "lost_from", "timers", "definition")


def is_turn(stored: StoredDeal, events: Sequence[Event]) -> bool:
    """Return whether to ask for a checkpoint of a deal as it stands before these events.

    Not of every deal at every event: that would cost a statement. Where a timer was tried since
    the last event, the state is not only that of its events.
    """
    if zlib.crc32(events[0].id.encode()) % ASKED >= len(events):
        return False
    at, horizon = stored.cursor_at, stored.horizon
    if at is None or events[0].at <= at or stored.customer is None:
        return False
    return horizon is None or horizon < at


def is_due(transaction: Transaction, deal_id: int, standing: Checkpoint) -> bool:
    """Return whether a deal has enough events, since its last checkpoint, for this one."""
    return transaction.needs_checkpoint(deal_id, standing.at, EVERY)


def are_many(events: Sequence[Event]) -> bool:
    """Return whether these events are so many that there is a checkpoint among them."""
    return len(events) > EVERY


def is_of(checkpoint: Checkpoint, pipeline: Pipeline) -> bool:
    """Return whether a checkpoint was made with this definition."""
    return bool(json.loads(checkpoint.state).get("definition") == pipeline.fingerprint)


def state_of(draft: Draft, source: str) -> dict[str, Any]:
    """Return the fold's state as JSON values, but for its data and the key of the visit.

    Args:
        source: of the event that told the customer's ids.
    """
    stage = draft.rung.stage
    state: dict[str, Any] = {
        "stage": None if stage is None else stage.key,
        "visit": draft.visit,
        "lost_from": None if draft.lost_from is None else draft.lost_from.key,
        "timers": notes_of(
            draft.blocked, draft.fired if draft.fired_at == draft.entered_at else (), ()
        ),
        "telling": draft.telling is not None,
        "source": source,
    }
    instants = {
        "entered_at": draft.entered_at,
        "activity_at": draft.activity_at,
        "opened_at": draft.opened_at,
        "closed_at": draft.closed_at,
        "due_at": None if stage is None else draft.due_at,
        "horizon": draft.horizon,
        "last_event_at": draft.last_event_at,
        "baseline_at": draft.floor,
    }
    state |= {name: instant_text(at) for name, at in instants.items() if at is not None}
    return {name: part for name, part in state.items() if part}


def checkpoint_of(
    pipeline: Pipeline, at: dt.datetime, state: Mapping[str, Any], key: str | None, data: str
) -> Checkpoint | None:
    """Return the checkpoint of a state; ``None`` where a deal may not be folded on from it.

    A merged deal may not be: an event from before that tells which deal it went on in.

    Args:
        key: of the visit.
        data: the deal's document.
    """
    if "stage" in state and pipeline.stage(state["stage"]).status == "merged":
        return None
    named = {} if key is None else {"visit_key": key}
    return Checkpoint(at, _encode({**state, **named, "definition": pipeline.fingerprint}), data)


def stored_at(deal: str, checkpoint: Checkpoint) -> StoredDeal:
    """Return a deal's row as a checkpoint has it."""
    state = json.loads(checkpoint.state)
    fields: dict[str, Any] = {name: state[name] for name in _FIELDS if name in state}
    fields |= {name: instant(state[name]) for name in _INSTANTS if name in state}
    return StoredDeal(0, deal, **fields)


def is_telling(checkpoint: Checkpoint) -> bool:
    """Return whether another system tells of the deal later, so that no timer fires before."""
    return "telling" in json.loads(checkpoint.state)


def told_ids(checkpoint: Checkpoint) -> str:
    """Return the source of the event that had told the customer's ids."""
    source: str = json.loads(checkpoint.state).get("source", "")
    return source


@functools.lru_cache(maxsize=256)
def notes_of(
    blocked: tuple[str, ...], fired: tuple[str, ...], withdrawn: tuple[tuple[str, str], ...]
) -> str | None:
    """Return the notes of a deal's row: on its timers, and on events that were taken back."""
    named = (("blocked", blocked), ("fired", fired), ("withdrawn", withdrawn))
    notes = {name: keys for name, keys in named if keys}
    return _encode(notes) if notes else None


class Recorder:
    """Stops a fold every so many events and notes how the deal stands.

    Args:
        source: of the event that told the customer's ids before.
        is_closed: whether there is a checkpoint at the end of its events; then how the deal stands
            there is noted last.
    """

    def __init__(self, source: str, is_closed: bool = False) -> None:
        self._first_source = source
        self._is_closed = is_closed
        self.begin()

    def begin(self) -> None:
        """Begin anew, as a fold does that finds an event it cannot use."""
        self._source = self._first_source
        self._noted: list[tuple[dt.datetime, dict[str, Any], int, str]] = []

    def split(self, events: Sequence[Event]) -> Iterator[Sequence[Event]]:
        """Divide ordered events; those of one instant stay together."""
        start = 0
        end = EVERY
        # Else a checkpoint that stands is given another one close before it, again and again.
        last = len(events) - EVERY if self._is_closed else len(events) - 1
        while end <= last:
            if events[end].at > events[end - 1].at:
                yield events[start:end]
                start = end
                end += EVERY
            else:
                end += 1
        yield events[start:]
        if self._is_closed:
            yield ()

    def reached(self, draft: Draft, moves: NewMoves, folded: Sequence[Event]) -> None:
        """Note how a deal stands after these events."""
        self.note(folded[-1].at, draft, moves, folded)

    def note(self, at: dt.datetime, draft: Draft, moves: NewMoves, folded: Sequence[Event]) -> None:
        """Note how a deal stands at an instant, after these events."""
        source = source_of(folded, self._source, self._source)
        assert source is not None
        self._source = source
        data = _encode(draft.data.to_dict())
        self._noted.append((at, state_of(draft, source), len(moves), data))

    def checkpoints(
        self, pipeline: Pipeline, first: str | None, keys: Sequence[str]
    ) -> list[Checkpoint]:
        """Return what was noted, as far as a deal may be folded on from there.

        Args:
            first: key of the visit that the fold began in.
            keys: those of the visits that its moves began.
        """
        found = []
        for at, state, moves, data in self._noted:
            key = keys[moves - 1] if moves else first
            point = checkpoint_of(pipeline, at, state, key, data)
            if point is not None:
                found.append(point)
        return found


class Comparison(Recorder):
    """Stops a fold where a deal has checkpoints, and notes what each should be.

    Args:
        source: as a recorder has it.
        points: the checkpoints that are stored, in order.
    """

    def __init__(self, source: str, points: Sequence[Checkpoint]) -> None:
        super().__init__(source)
        self._points = points

    def split(self, events: Sequence[Event]) -> Iterator[Sequence[Event]]:
        """Divide ordered events at the checkpoints."""
        start = 0
        for point in self._points:
            end = bisect.bisect_right(events, point.at, start, key=attrgetter("at"))
            yield events[start:end]
            start = end
        yield events[start:]

    def reached(self, draft: Draft, moves: NewMoves, folded: Sequence[Event]) -> None:
        """Note how the deal stands, with the timers tried that the checkpoint says were."""
        point = self._points[len(self._noted)]
        tried = stored_at(draft.deal, point).horizon
        if tried is not None and tried != draft.horizon:
            advance(draft, tried, moves)
        self.note(point.at, draft, moves, folded)

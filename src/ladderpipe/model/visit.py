"""Visits: stays in a stage, and the keys that tell which stay is which."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ..public import publish
from .clock import instant, instant_text
from .event import Event
from .lazy import LazySequence
from .move import Move
from .record import json_record
from .stage import Stage, stage_called

__all__ = ["Visit", "Visits", "visit_key", "visit_keys"]


@json_record()
class Visit(NamedTuple):
    """A stay in a stage, ``[entered_at, left_at)``.

    Attributes:
        n: number in the deal's life, from 1; display order only.
        key: what the visit is, whatever its number: derived from what caused it.
        left_at: ``None`` for the current visit.
    """

    deal: str
    n: int
    key: str
    stage: Stage
    entered_at: dt.datetime
    left_at: dt.datetime | None

    @property
    def duration(self) -> dt.timedelta | None:
        """How long it lasted; ``None`` while it goes on."""
        return None if self.left_at is None else self.left_at - self.entered_at

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values, the stage by its key; the keys stay."""
        return {
            "deal": self.deal,
            "n": self.n,
            "key": self.key,
            "stage": self.stage.key,
            "entered_at": instant_text(self.entered_at),
            "left_at": None if self.left_at is None else instant_text(self.left_at),
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any], stages: Iterable[Stage] = ()) -> Visit:
        """Return the visit that :meth:`to_dict` wrote.

        Args:
            stages: those of its ladder; a stage that is not among them is no more than its key.

        Raises:
            KeyError: a key is missing.
            InstantError: an instant is none.
        """
        left_at = record["left_at"]
        return cls(
            record["deal"],
            record["n"],
            record["key"],
            stage_called(record["stage"], stages),
            instant(record["entered_at"]),
            None if left_at is None else instant(left_at),
        )


def visit_key(parent: str | None, into: str, rule: str, event: Event | None) -> str:
    """Return what a visit is, whatever its number.

    An event's visit is named by the event's identity and the stage, since with other events
    before it the same event may lead elsewhere; a timer's by the visit it ended and its rule. So
    folding again with other events in between finds the same visit again.
    """
    if event is None:
        cause = f"timer\x00{parent}\x00{rule}"
    else:
        cause = f"event\x00{event.source}\x00{event.id}\x00{into}"
    return hashlib.blake2b(cause.encode(), digest_size=12).hexdigest()


def visit_keys(first: str | None, moves: Iterable[Move]) -> list[str]:
    """Return the keys of the visits that *moves* begin, one after another."""
    keys: list[str] = []
    parent = first
    for move in moves:
        parent = visit_key(parent, move.into.key, move.rule, move.event)
        keys.append(parent)
    return keys


class Visits(LazySequence[Visit]):
    """The visits that moves begin, each until the next move.

    Args:
        start: the visit that was current before the first move, if there was one.
        keys: those of the visits that the moves begin, where they are known.
    """

    __slots__ = ("_keys", "_moves", "_start")

    def __init__(
        self, moves: Sequence[Move], start: Visit | None = None, keys: Iterable[str] | None = None
    ) -> None:
        self._moves = moves
        self._start = start
        self._keys = None if keys is None else list(keys)

    def __len__(self) -> int:
        return len(self._moves) + (self._start is not None)

    def _one(self, place: int) -> Visit:
        return next(self._between(place, place + 1))

    def _between(self, start: int, stop: int) -> Iterator[Visit]:
        if self._start is not None:
            if start == 0 < stop:
                left_at = self._moves[0].at if self._moves else None
                yield self._start._replace(left_at=left_at)
            start, stop = max(start - 1, 0), stop - 1
        if start >= stop:
            return
        moves = self._moves
        if self._keys is None:
            moves = tuple(moves)  # built once, for the keys and for the visits
            self._keys = visit_keys(self._start and self._start.key, moves)
        moves = moves[start:stop]
        end = self._moves[stop].at if stop < len(self._moves) else None
        ends = [*(move.at for move in moves[1:]), end]
        for key, move, left_at in zip(self._keys[start:stop], moves, ends, strict=True):
            yield Visit(move.deal, move.n, key, move.into, move.at, left_at)


publish("ladderpipe", Visit)

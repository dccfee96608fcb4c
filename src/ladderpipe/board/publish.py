"""Publishing moves as CloudEvents: what was recorded since a cursor was given, at least once.

The stored moves are the only truth. A move that stands is told when it was recorded after what was
told before; numbers that no move has any more, because an event came late or was taken back, are
found by folding what was recorded by then.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias
from urllib.parse import quote

import attrs

from ..fold import fold as folding
from ..ladder.asyncapi import MOVED, UNDONE
from ..ladder.ladder import Ladder
from ..model.clock import instant_text
from ..model.event import BY_HAND, OVERRIDE, Event
from ..public import publish
from ..stores import bridge
from ..stores.base import MoveRecord, StoredDeal
from .boundary import UNREADABLE
from .cursor import Told, told_of, told_text
from .listing import OVERLAP, changed_since
from .session import Session

__all__ = ["Published"]

Sender: TypeAlias = Callable[[dict[str, Any]], object]
"""Hands one CloudEvent on; when it returns, the message is taken."""

_BY_HAND: Final = (BY_HAND, OVERRIDE)
_URI: Final = re.compile(r"[!-~]+")

Events: TypeAlias = Sequence[tuple[Event, dt.datetime]]
"""A deal's events, each with when it was recorded."""


@attrs.frozen
class Published:
    """What one call has published.

    Attributes:
        messages: how many messages were handed on.
        cursor: to be passed as ``after`` next time; keep it once this has come back.
        more: whether there was more than the limit: call again at once.
    """

    messages: int
    cursor: str
    more: bool


def publish_moves(
    session: Session, send: Sender, after: str | None, source: str | None, limit: int
) -> Published:
    """Hand on what was recorded since."""
    source = _source(session, source)
    told = Told() if after is None else told_of(after)
    now = session.now()
    if limit == 0:
        told = told if after is not None else Told(settled=now - OVERLAP)
        rows, changes = changed_since(session, told.changes, 0)
        return Published(0, told_text(Told(changes, told.settled)), more=False)
    rows, changes = changed_since(session, told.changes, limit)
    there = [row.deal for row in rows if row.deal.removed_at is None]
    ids = [deal.id for deal in there]
    with session.reading() as transaction:
        moves, events = transaction.moves_of(ids), transaction.events_of(ids)
    count = 0
    for deal in there:
        life = _Life(session, source, deal, moves.get(deal.id, ()), events.get(deal.id, ()))
        for message in life.messages(told.settled):
            bridge.finished(send(message))
            count += 1
    more = len(rows) == limit
    # Until the end is reached, a deal that is still to come may have moved long before the last
    # one that was read; and who commits late has recorded up to this much earlier.
    settled = told.settled if more else max(told.settled or now - OVERLAP, now - OVERLAP)
    return Published(count, told_text(Told(changes, settled)), more)


def _source(session: Session, given: str | None) -> str:
    if given is None:
        return f"/pipelines/{quote(session.pipeline.name, safe='')}"
    if not isinstance(given, str) or not _URI.fullmatch(given):
        raise ValueError(
            f"source={given!r} is no URI reference: write for example https://shop.example/board"
        )
    return given


@attrs.frozen
class _Life:
    """What is stored of a deal."""

    session: Session
    source: str
    deal: StoredDeal
    moves: Sequence[MoveRecord]
    events: Events

    def messages(self, settled: dt.datetime | None) -> Iterator[dict[str, Any]]:
        """Yield what has to be told of it, in the order of its moves."""
        by_identity = {event.identity: event for event, _ in self.events}
        for move in self.moves:
            if settled is None or move.recorded_at > settled:
                yield self._moved(move, by_identity)
        last = self.moves[-1].n if self.moves else 0
        if self._had_more(settled, last):
            yield self._undone(last)

    def _moved(self, move: MoveRecord, events: Mapping[Any, Event]) -> dict[str, Any]:
        event = events.get((move.event_source, move.event_id))
        cause = None
        if move.event_source is not None and move.event_id is not None:
            cause = {"source": move.event_source, "id": move.event_id}
            cause["type"] = "" if event is None else event.type
        by = event.data.get("by") if event is not None and event.type in _BY_HAND else None
        data = {
            "pipeline": self.session.pipeline.name,
            "n": move.n,
            "out_of": move.out_of,
            "into": move.into,
            "rule": move.rule,
            "event": cause,
            "by": by,
            "recorded_at": instant_text(move.recorded_at),
        }
        # A move that is written again, since what came before it has changed, is another one.
        id = self._id(MOVED, move.visit_key, str(move.n), instant_text(move.recorded_at))
        return self._message(MOVED, id, move.at, data)

    def _undone(self, last: int) -> dict[str, Any]:
        at = max(recorded_at for _, recorded_at in self.events)
        data = {
            "pipeline": self.session.pipeline.name,
            "n": last,
            "stage": self.moves[-1].into if self.moves else None,
        }
        return self._message(UNDONE, self._id(UNDONE, str(last), instant_text(at)), at, data)

    def _message(
        self, type: str, id: str, at: dt.datetime, data: Mapping[str, Any]
    ) -> dict[str, Any]:
        return {
            "specversion": "1.0",
            "id": id,
            "source": self.source,
            "type": type,
            "subject": self.deal.deal,
            "time": instant_text(at),
            "datacontenttype": "application/json",
            "data": dict(data),
        }

    def _id(self, *parts: str) -> str:
        text = "\x00".join((self.session.pipeline.name, self.deal.deal, *parts))
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    def _had_more(self, settled: dt.datetime | None, last: int) -> bool:
        """Return whether the deal may have had more moves than now at some time since."""
        since = sorted({at for _, at in self.events if settled is None or at > settled})
        if not since:
            return False  # only what is told takes moves away
        instants = since if settled is None else [settled, *since]
        ladder = self.session.pipeline.ladder
        return any(
            _moves_by(ladder, self.events, at, until) > last
            for at, until in itertools.pairwise(instants)
        )


def _moves_by(ladder: Ladder, events: Events, at: dt.datetime, until: dt.datetime) -> int:
    """Return how many moves a deal had by what was recorded *at* an instant, or may have had.

    Sweeps may have gone on until the next event was recorded.
    """
    known = [event for event, recorded_at in events if recorded_at <= at]
    if not known:
        return 0
    try:
        draft, _, _ = folding.run(ladder, known, max(until, *(event.at for event in known)))
    except UNREADABLE:
        return _UNKNOWN
    return 0 if draft is None or draft.stage is None else draft.visit


_UNKNOWN: Final = 2**31
"""So many that it is told that there are not: it does no harm where there were none."""


publish("ladderpipe", Published)

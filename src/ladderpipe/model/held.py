"""Held events: facts that arrived and cannot be used yet, kept with the reason."""

from __future__ import annotations

import datetime as dt
import enum
import hashlib
from collections.abc import Mapping
from typing import Any

import attrs

from ..public import publish
from .clock import instant, instant_text
from .event import Event
from .record import json_record, within

__all__ = ["Held", "HeldKind"]


class HeldKind(enum.StrEnum):
    """Why an event is held."""

    ASIDE = "aside"
    """It stands in its place, where its guard or the reducer raises; every fold asks it anew."""
    CONFLICT = "conflict"
    """Its identity is that of an event with other content, or of one that was taken back: release
    it under an id of its own."""
    COPY = "copy"
    """It tells an event of the same type and deal again, with other content; counted only."""
    FUTURE = "future"
    """It says that it happens later than now; taken when that time comes."""
    FAILED = "failed"
    """A hook, or something else around the fold, raised; tried again with growing pauses."""


@json_record()
@attrs.frozen(kw_only=True)
class Held:
    """An event that is held.

    Attributes:
        key: what ``board.release`` and ``board.discard`` take.
        event: the event as it was told.
        reason: why it cannot be used, in words.
        since: when it was held first.
        told: how often it was told so far, in this content.
        failures: how often it was tried again in vain.
        retry_at: when it is tried again by itself; ``None`` when that takes a person.
    """

    key: str
    kind: HeldKind
    event: Event
    reason: str
    since: dt.datetime
    told: int
    failures: int
    retry_at: dt.datetime | None

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values; the keys stay."""
        return {
            "key": self.key,
            "kind": self.kind.value,
            "event": self.event.to_dict(),
            "reason": self.reason,
            "since": instant_text(self.since),
            "told": self.told,
            "failures": self.failures,
            "retry_at": None if self.retry_at is None else instant_text(self.retry_at),
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Held:
        """Return the held event that :meth:`to_dict` wrote.

        Raises:
            KeyError: a key is missing.
            ValueError: there is no such kind, or an instant is none.
        """
        retry_at = record["retry_at"]
        as_they_are = ("key", "reason", "told", "failures")
        return cls(
            kind=HeldKind(record["kind"]),
            event=within(Event, record["event"]),
            since=instant(record["since"]),
            retry_at=None if retry_at is None else instant(retry_at),
            **{name: record[name] for name in as_they_are},
        )

    @property
    def deal(self) -> str:
        """Id of the deal that the event is about."""
        return self.event.deal


def held_key(kind: HeldKind, source: str, id: str, digest: str) -> str:
    """Return the stable key of a held event.

    What is tried again by itself is one row however it failed; a conflict is one for each content.
    """
    group = kind.value if kind in (HeldKind.ASIDE, HeldKind.CONFLICT, HeldKind.COPY) else "later"
    text = "\x00".join((group, source, id, digest))
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


publish("ladderpipe", Held, HeldKind)

"""Effects: work outside the database, written with the move and delivered after the commit."""

from __future__ import annotations

import datetime as dt
import enum
import hashlib
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias

import attrs

from .canonical import canonical
from .clock import instant, instant_text
from .deal import Deal

__all__ = ["Backoff", "Delivery", "Effect", "EffectState", "Handler", "StaleEffects", "Task"]

StaleEffects: TypeAlias = Literal["hold", "send", "expire"]
"""What becomes of many effects that have been ready for more than a week."""


class EffectState(enum.StrEnum):
    """Where an effect stands."""

    PENDING = "pending"
    """Waits for its due time, or for its next try."""
    CLAIMED = "claimed"
    """A worker is delivering it, until its lease ends."""
    DELIVERED = "delivered"
    """Its handler returned; for a task, somebody completed it."""
    CANCELLED = "cancelled"
    """The deal left the stage first."""
    EXPIRED = "expired"
    """It was too late to be useful, or recorded quietly."""
    DEAD = "dead"
    """Its last try failed; ``board.send_again`` revives it."""
    OPEN = "open"
    """A task that waits for a person."""


@attrs.frozen(kw_only=True)
class Effect:
    """An effect as the store holds it.

    Attributes:
        key: stable name, the same on every redelivery; for the receiver's own deduplication.
        visit_key: the visit that asked for it.
        due_at: when it may be delivered first.
        attempts: how often it was claimed so far.
        error: what the last try said, if it failed.
    """

    key: str
    name: str
    deal: str
    visit_key: str
    payload: Mapping[str, Any]
    state: EffectState
    due_at: dt.datetime
    expires_at: dt.datetime | None
    run_to_completion: bool
    attempts: int
    error: str | None

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values; the keys stay."""
        expires_at = self.expires_at
        return {
            "key": self.key,
            "name": self.name,
            "deal": self.deal,
            "visit_key": self.visit_key,
            "payload": canonical(self.payload),
            "state": self.state.value,
            "due_at": instant_text(self.due_at),
            "expires_at": None if expires_at is None else instant_text(expires_at),
            "run_to_completion": self.run_to_completion,
            "attempts": self.attempts,
            "error": self.error,
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Effect:
        """Return the effect that :meth:`to_dict` wrote.

        Raises:
            KeyError: a key is missing.
            ValueError: there is no such state, or an instant is none.
        """
        expires_at = record["expires_at"]
        as_they_are = ("key", "name", "deal", "visit_key", "payload", "run_to_completion")
        return cls(
            state=EffectState(record["state"]),
            due_at=instant(record["due_at"]),
            expires_at=None if expires_at is None else instant(expires_at),
            attempts=record["attempts"],
            error=record["error"],
            **{name: record[name] for name in as_they_are},
        )


@attrs.frozen(kw_only=True)
class Delivery:
    """What a handler is given.

    Attributes:
        key: the effect's stable key. At least once means that a handler may see it again.
        deal: the deal as it stood at the claim.
        attempt: 1 for the first try.
    """

    key: str
    name: str
    payload: Mapping[str, Any]
    deal: Deal
    pipeline: str
    due_at: dt.datetime
    attempt: int


@attrs.frozen(kw_only=True)
class Task:
    """An open task for a person.

    Attributes:
        key: what ``board.complete`` takes.
        owner: who should do it: the payload's ``owner``, otherwise the deal's.
        due_at: when it should be done.
    """

    key: str
    title: str
    deal: str
    owner: str | None
    due_at: dt.datetime
    payload: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values; the keys stay."""
        return {
            "key": self.key,
            "title": self.title,
            "deal": self.deal,
            "owner": self.owner,
            "due_at": instant_text(self.due_at),
            "payload": canonical(self.payload),
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Task:
        """Return the task that :meth:`to_dict` wrote.

        Raises:
            KeyError: a key is missing.
            InstantError: ``due_at`` has no time zone.
        """
        as_they_are = ("key", "title", "deal", "owner", "payload")
        named = {name: record[name] for name in as_they_are}
        return cls(due_at=instant(record["due_at"]), **named)


Handler: TypeAlias = Callable[[Delivery], object]
"""Delivers one effect; raising means that it is tried again."""


@attrs.frozen
class Backoff:
    """When to try again after a failure: exponential, with full jitter in the upper half.

    Attributes:
        first: delay after the first failure, in seconds.
        factor: how much longer each further delay is.
        longest: the longest delay, in seconds.
        tries: how many tries in all; after the last one the effect is a dead letter.

    The form is "equal jitter" of
    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/.
    """

    first: float = 10.0
    factor: float = 4.0
    longest: float = 6 * 3600.0
    tries: int = 8

    def delay(self, failures: int) -> dt.timedelta:
        """Return how long to wait after the given number of failures (from 1)."""
        import random

        full = min(self.longest, self.first * self.factor ** min(failures - 1, 64))
        return dt.timedelta(seconds=full / 2 + random.random() * full / 2)


def effect_key(
    pipeline: str, deal: str, visit_key: str, phase: str, name: str, position: int
) -> str:
    """Return the stable key of an effect."""
    text = "\x00".join((pipeline, deal, visit_key, phase, name, str(position)))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

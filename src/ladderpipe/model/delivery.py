"""How an effect is delivered: where it stands, when it is tried, what names it.

The records that people and handlers are given are in :mod:`.effect`.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import enum
import hashlib
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import attrs

from ..public import publish

__all__ = ["Backoff", "EffectState", "StaleEffects", "effect_key", "task_due"]

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
    WAITING = "waiting"
    """It is for the customer, whose address is not known yet; the contact's change wakes it."""
    DROPPED = "dropped"
    """The send policy, or its handler, decided that it is not sent; its decisions say why."""


def task_due(due_at: dt.datetime, payload: Mapping[str, Any]) -> dt.datetime:
    """Return by when a task is to be done: so many hours after it is there as its payload says."""
    hours = payload.get("due_hours", 0)
    # A ladder from before this was checked may have asked for a time beyond the calendar.
    with contextlib.suppress(OverflowError, ValueError):
        if isinstance(hours, int | float):
            return due_at + dt.timedelta(hours=hours)
    return due_at


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


publish("ladderpipe", Backoff, EffectState)

"""What a pipeline's deals have in common on Temporal, and where other workflows hook in."""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias

import attrs

from ..board.claim import Claim
from ..model.clock import Clock
from ..model.delivery import Backoff
from ..model.effect import Drop, Later
from ..pipeline import Pipeline

__all__ = ["DealSettings", "MaySend", "OnChange"]

LEASE: Final = dt.timedelta(minutes=5)
SKEW: Final = dt.timedelta(minutes=5)
MOST_UPDATES: Final = 1_000
"""A run's history has five events an update, and Temporal wants no more than some ten thousand."""
MOST_BYTES: Final = 500_000
"""Of what a deal carries into its next run; Temporal refuses more than two megabytes."""

MaySend: TypeAlias = Callable[[Claim], Awaitable[Later | Drop | None]]
"""Asked inside the workflow, right before an effect is scheduled; ``None`` says that it may go.

It may ask other workflows. Meanwhile the deal goes on; whether the effect's visit is still current
is looked at once more after the answer. A :class:`~ladderpipe.model.effect.Later` or ``Drop`` is
what a handler's answer would be.
"""
OnChange: TypeAlias = Callable[[Mapping[str, Any]], None]
"""Told inside the workflow, after each round in which the deal changed, of what the snapshot query
answers. It has to be quick and may only start what is durable, such as an activity."""


@attrs.frozen(kw_only=True)
class DealSettings:
    """What a pipeline's deals have in common.

    Attributes:
        backoff: when failed deliveries and sweeps are tried again.
        lease: how long one try of a delivery may take.
        max_skew: how far in the future an event may be.
        secret: what hashes of addresses are keyed with; each deal draws its own when left out.
        most_updates: after how many of them a deal continues as new at the latest.
        most_bytes: beyond which a deal is carried on as a baseline.
        clock: for tests, which then say when timers fire and effects are sent; a deal whose clock
            is not its workflow's cannot be replayed.
        may_send: see :data:`MaySend`.
        on_change: see :data:`OnChange`.
    """

    pipeline: Pipeline
    backoff: Backoff = attrs.field(factory=Backoff)
    lease: dt.timedelta = LEASE
    max_skew: dt.timedelta = SKEW
    secret: bytes | None = attrs.field(default=None, repr=False)
    most_updates: int = MOST_UPDATES
    most_bytes: int = MOST_BYTES
    clock: Clock | None = None
    may_send: MaySend | None = None
    on_change: OnChange | None = None

    @property
    def deliver_activity(self) -> str:
        """The name of the activity that delivers this pipeline's effects."""
        return f"{self.pipeline.name}:deliver"

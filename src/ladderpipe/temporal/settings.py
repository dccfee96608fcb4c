"""What a pipeline's deals have in common on Temporal."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Final

import attrs

from ..model.clock import Clock
from ..model.delivery import Backoff
from ..pipeline import Pipeline
from .companion import Begin

__all__ = ["DealSettings"]

LEASE: Final = dt.timedelta(minutes=5)
SKEW: Final = dt.timedelta(minutes=5)
MOST_UPDATES: Final = 1_000
"""A run's history has five events an update, and Temporal wants no more than some ten thousand."""
MOST_BYTES: Final = 500_000
"""Of what a deal carries into its next run; Temporal refuses more than two megabytes."""


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
        companions: by name, what goes along with each deal: its customers, a projection.
    """

    pipeline: Pipeline
    backoff: Backoff = attrs.field(factory=Backoff)
    lease: dt.timedelta = LEASE
    max_skew: dt.timedelta = SKEW
    secret: bytes | None = attrs.field(default=None, repr=False)
    most_updates: int = MOST_UPDATES
    most_bytes: int = MOST_BYTES
    clock: Clock | None = None
    companions: Mapping[str, Begin] = attrs.field(factory=dict)

    @property
    def deliver_activity(self) -> str:
        """The name of the activity that delivers this pipeline's effects."""
        return f"{self.pipeline.name}:deliver"

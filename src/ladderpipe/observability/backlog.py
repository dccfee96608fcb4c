"""How long what is due has been waiting for a worker; four look-ups in indexes."""

from __future__ import annotations

import datetime as dt

import attrs

from ..public import publish
from ..stores.base import Transaction

__all__ = ["Backlog"]

NOTHING = dt.timedelta()


@attrs.frozen(kw_only=True)
class Backlog:
    """What a worker has still to do.

    Attributes:
        timer_lag: how long the oldest timer has been due; a deal whose sweep failed counts from
            when it was to be tried again.
        effect_lag: how long the oldest effect has been ready, whichever handler it needs.
        oldest_effect: the name of that effect; ``None`` when none is ready.
        dead_letters: how many effects were given up.
        held: how many events are held; copies of what is stored already are not counted.
    """

    timer_lag: dt.timedelta
    effect_lag: dt.timedelta
    oldest_effect: str | None
    dead_letters: int
    held: int = 0

    @classmethod
    def of(cls, transaction: Transaction, pipeline: int, now: dt.datetime) -> Backlog:
        """Look at one pipeline, by its number."""
        due = transaction.due(pipeline, now, 1)
        since = [at for deal in due for at in (deal.due_at, deal.retry_at) if at is not None]
        effect = transaction.oldest_effect(pipeline)
        if effect is not None and effect.ready_at > now:
            effect = None
        return cls(
            timer_lag=now - max(since) if since else NOTHING,
            effect_lag=NOTHING if effect is None else now - effect.ready_at,
            oldest_effect=None if effect is None else effect.name,
            dead_letters=transaction.count_dead_letters(pipeline),
            held=sum(
                count
                for kind, (count, _) in transaction.count_held(pipeline).items()
                if kind != "copy"
            ),
        )


publish("ladderpipe", Backlog)

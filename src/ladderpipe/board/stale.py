"""Effects that have been due for more than a week: many of them at once are sent only when told.

Who tells old carts aloud, or starts a worker that slept for months, does not mean to write to a
thousand people about them. A few late ones are no burst and go out.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, get_args

from ..model.delivery import StaleEffects
from ..stores.base import FROM_THE_FIRST, EffectRow

if TYPE_CHECKING:
    from .session import Session

__all__ = ["Apart", "checked", "held_back_text"]

STALE_AFTER: Final = dt.timedelta(days=7)
BURST: Final = 10
"""From this many on they are held back: all of them, or what a day adds to those that went out."""
_DAY: Final = dt.timedelta(days=1)
_BATCH: Final = 100


def checked(given: StaleEffects | None) -> StaleEffects | None:
    """Return what to do with stale effects, if that is said.

    Raises:
        ValueError: it is none of the three.
    """
    if given is not None and given not in get_args(StaleEffects):
        raise ValueError(
            f"stale_effects={given!r}: say what becomes of effects that are older than "
            f"{STALE_AFTER.days} days: {', '.join(map(repr, get_args(StaleEffects)))}"
        )
    return given


def held_back_text(held_back: Mapping[str, int]) -> str:
    """Say how many effects are held back, why, and what to do."""
    total = sum(held_back.values())
    names = ", ".join(f"{count:,} {name!r}" for name, count in sorted(held_back.items()))
    return (
        f"{total:,} effects are older than {STALE_AFTER.days} days: {names}. So many at once are "
        "not sent unless told, since they may come from an import, or from a worker that slept. "
        "Look at them with board.effects(); --stale-effects expire (in Python "
        "Board(stale_effects='expire')) drops them on record, 'send' sends them; tell old events "
        "with quiet=True"
    )


class Apart:
    """What one round of deliveries does with effects that are older than a week.

    Attributes:
        after: the place in the queue from which on effects are taken.
        held_back: by name, how many are not.
        expired: how many were dropped.
    """

    def __init__(
        self, session: Session, now: dt.datetime, names: Sequence[str], stale: StaleEffects
    ) -> None:
        self.after = FROM_THE_FIRST
        self.held_back: Counter[str] = Counter()
        self.expired = 0
        self._session = session
        self._now = now
        self._fresh_from = now - STALE_AFTER
        self._is_limited = stale != "send"
        if not names or not self._is_limited:
            return
        if stale == "expire":
            self._expire(names)
        recent = [at for at in session.stale_sent if at > now - _DAY]
        session.stale_sent[:] = recent
        self._may_send = BURST - 1 - len(recent)
        with session.reading() as transaction:
            counts = transaction.count_ready(session.number, self._until, names)
        if sum(counts.values()) > self._may_send:
            self.held_back.update(counts)
            self.after = (self._fresh_from, "")

    @property
    def _until(self) -> dt.datetime:
        """The latest time at which a stale effect was ready."""
        return self._fresh_from - dt.timedelta.resolution

    def admits(self, effect: EffectRow) -> bool:
        """Return whether an effect may be taken; one at a time they are no burst, either."""
        if not self._is_limited or effect.ready_at >= self._fresh_from:
            return True
        if self._may_send <= 0:
            self.held_back[effect.name] += 1
            return False
        self._may_send -= 1
        self._session.stale_sent.append(self._now)
        return True

    def _expire(self, names: Sequence[str]) -> None:
        while dropped := self._session.retried(functools.partial(self._expire_some, names)):
            self.expired += dropped

    def _expire_some(self, names: Sequence[str]) -> int:
        dropped = 0
        with self._session.writing() as unit:
            unit.check_pipeline()
            ready = unit.transaction.ready_effects(unit.number, self._until, names, _BATCH)
            keys = [row.key for row in ready]
            # Each is locked first: whoever is at one keeps it.
            while row := unit.transaction.free_effect(unit.number, self._until, keys):
                keys.remove(row.key)
                unit.transaction.settle_effect(row.key, "expired")
                dropped += 1
        return dropped

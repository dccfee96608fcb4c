"""Effects, and the customers whom they speak to, on SQL databases."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..model.event import Event
from .base import FROM_THE_FIRST, CustomerDeal, EffectRow, Subscription
from .sql_listing import SqlListing

if TYPE_CHECKING:
    from .filters import TaskFilter

__all__: list[str] = []


class SqlEffects(SqlListing):
    """What a SQL transaction does with effects, and knows of customers."""

    # -- effects ------------------------------------------------------------------------------

    def effects(
        self, pipeline: int, deal_id: int | None, states: Sequence[str] | None
    ) -> list[EffectRow]:
        if deal_id is None and states == ("open",):
            return self._effects(self._sql.OPEN_TASKS, (pipeline,))
        if deal_id is None and states == ("dead",):
            return self._effects(self._sql.DEAD_LETTERS, (pipeline,))
        listed = None if states is None else self._list(states)
        if deal_id is None:
            return self._effects(self._sql.EFFECTS, (pipeline, listed, listed))
        return self._effects(self._sql.EFFECTS_OF_DEAL, (pipeline, deal_id, listed, listed))

    def unsent_effects(self, pipeline: int, deals: Sequence[str]) -> list[EffectRow]:
        return self._effects(self._sql.UNSENT_EFFECTS, (self._list(deals), pipeline))

    def open_tasks(
        self,
        pipeline: int,
        wanted: TaskFilter,
        after: tuple[dt.datetime, str] | None = None,
        limit: int | None = None,
    ) -> list[EffectRow]:
        return self._effects(*self._tasks(pipeline, wanted, after, limit))

    def effect(self, pipeline: int, key: str) -> EffectRow | None:
        found = self._effects(self._sql.EFFECT, (pipeline, key))
        return found[0] if found else None

    def oldest_effect(self, pipeline: int) -> EffectRow | None:
        found = self._effects(self._sql.OLDEST_EFFECT, (pipeline, pipeline, pipeline))
        return found[0] if found else None

    def count_dead_letters(self, pipeline: int) -> int:
        count: int = self._read(self._sql.COUNT_DEAD_LETTERS, (pipeline,))[0][0]
        return count

    def ready_effects(
        self,
        pipeline: int,
        now: dt.datetime,
        names: Sequence[str],
        limit: int,
        after: tuple[dt.datetime, str] = FROM_THE_FIRST,
    ) -> list[EffectRow]:
        since, key = self._instant(after[0]), after[1]
        listed, until = self._list(names), self._instant(now)
        values = (listed, pipeline, until, since, key, limit, limit)
        return self._effects(self._sql.READY_EFFECTS, values)

    def count_ready(
        self, pipeline: int, until: dt.datetime, names: Sequence[str]
    ) -> dict[str, int]:
        values = (pipeline, self._list(names), self._instant(until))
        return dict(self._read(self._sql.COUNT_READY, values))

    def put_off_effects(self, pipeline: int, latest: dt.datetime, limit: int) -> list[EffectRow]:
        values = (pipeline, self._instant(latest), limit)
        return self._effects(self._sql.PUT_OFF_EFFECTS, values)

    def free_effect(self, pipeline: int, now: dt.datetime, keys: Sequence[str]) -> EffectRow | None:
        values = (pipeline, self._instant(now), self._list(keys))
        found = self._effects(self._sql.FREE_EFFECT, values)
        return found[0] if found else None

    def claim_effect(
        self,
        key: str,
        lease: str,
        until: dt.datetime,
        attempts: int,
        address: str | None = None,
        sent_at: dt.datetime | None = None,
        decisions: str | None = None,
    ) -> None:
        told = (address, self._instant(sent_at), decisions)
        values = (lease, self._instant(until), attempts, *told, key)
        self._each(self._sql.CLAIM_EFFECT, [values])

    def settle_effect(
        self,
        key: str,
        state: str,
        ready_at: dt.datetime | None = None,
        error: str | None = None,
        lease: str | None = None,
    ) -> bool:
        values = (state, self._instant(ready_at), error, key, lease)
        return self._write(self._sql.SETTLE_EFFECT, values) == 1

    def give_task(self, key: str, owner: str | None, payload: str) -> None:
        self._each(self._sql.GIVE_TASK, [(owner, payload, key)])

    def decide_effect(
        self,
        key: str,
        state: str,
        decisions: str,
        ready_at: dt.datetime | None = None,
        delayed_until: dt.datetime | None = None,
        address: str | None = None,
        sent_at: dt.datetime | None = None,
        attempts: int | None = None,
        lease: str | None = None,
    ) -> bool:
        instants = self._instant(ready_at), self._instant(delayed_until)
        told = (address, self._instant(sent_at), attempts)
        values = (state, decisions, *instants, *told, key, lease)
        return self._write(self._sql.DECIDE_EFFECT, values) == 1

    def replace_effect_payload(self, key: str, payload: str, decisions: str | None) -> None:
        self._each(self._sql.REPLACE_EFFECT_PAYLOAD, [(payload, decisions, key)])

    def count_waiting(self, pipeline: int) -> int:
        count: int = self._read(self._sql.COUNT_WAITING, (pipeline,))[0][0]
        return count

    # -- customers ----------------------------------------------------------------------------

    def deals_of_customer(self, keys: Sequence[str], limit: int) -> list[CustomerDeal]:
        rows = self._read(self._sql.DEALS_OF_CUSTOMER, (self._list(keys), limit))
        return [CustomerDeal._make((*row[:5], self._or_none(row[5]))) for row in rows]

    def lock_customers(self, keys: Sequence[str], wait: bool) -> bool:
        """Return ``True``: who may write is alone anyway."""
        return True

    def hands_since(
        self, deal_ids: Sequence[int], since: dt.datetime, types: Sequence[str]
    ) -> list[tuple[int, Event]]:
        values = (self._list(deal_ids), self._instant(since), self._list(types))
        rows = self._read(self._sql.HANDS_SINCE, values)
        return [(deal_id, self._event(tuple(row))[0]) for deal_id, *row in rows]

    def sent_to(
        self, address: str, since: dt.datetime, besides: str, deal_id: int | None, limit: int
    ) -> list[dt.datetime]:
        values = (address, self._instant(since), besides, deal_id, deal_id, limit)
        return [self._from_instant(row[0]) for row in self._read(self._sql.SENT_TO, values)]

    def newer_effect(self, address: str, name: str, due_at: dt.datetime, key: str) -> str | None:
        values = (address, name, self._instant(due_at), key)
        rows = self._read(self._sql.NEWER_EFFECT, values)
        return rows[0][0] if rows else None

    def note_subscription(self, told: Subscription) -> None:
        values = (told.address, told.wanted, self._instant(told.at), *told[3:])
        self._each(self._sql.NOTE_SUBSCRIPTION, [values])

    def take_back_subscription(self, told: Subscription) -> None:
        values = (told.address, told.wanted, self._instant(told.at), *told[3:])
        self._each(self._sql.TAKE_BACK_SUBSCRIPTION, [values])

    def last_subscription(self, address: str) -> Subscription | None:
        rows = self._read(self._sql.LAST_SUBSCRIPTION, (address,))
        for address, wanted, at, *place in rows:
            return Subscription(address, bool(wanted), self._from_instant(at), *place)
        return None

    def arms(self, keys: Sequence[str]) -> dict[str, tuple[str, dt.datetime]]:
        rows = self._read(self._sql.ARMS, (self._list(keys),))
        return {key: (arm, self._from_instant(at)) for key, arm, at in rows}

    def note_arm(self, keys: Sequence[str], arm: str, at: dt.datetime) -> None:
        for key in keys:
            self._each(self._sql.NOTE_ARM, [(key, arm, self._instant(at))])

    def count_merged_into_nothing(self, pipeline: int) -> int:
        count: int = self._read(self._sql.MERGED_INTO_NOTHING, (pipeline,))[0][0]
        return count

    def count_crowds(self, pipeline: int) -> int:
        count: int = self._read(self._sql.COUNT_CROWDS, (pipeline,))[0][0]
        return count

    def _effects(self, statement: Any, values: Sequence[Any]) -> list[EffectRow]:
        return [self._effect(row) for row in self._read(statement, values)]

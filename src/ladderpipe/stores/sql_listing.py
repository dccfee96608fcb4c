"""Lists of deals on SQL databases: statements put together from parts that stand here.

What is asked for comes in as parameters and never as text. The parts are SQLite's; the dialects
translate them as they do the statements that have names.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from .base import EffectRow, HeldRow, StoredDeal
from .listing import COMPANY, FEW, Changed, Listed, Order, Place, StageSum, cut, value_of
from .sql_rows import SqlRows

if TYPE_CHECKING:
    from .filters import DealFilter, TaskFilter

__all__: list[str] = []

EFFECT: Final = ", ".join(
    {"deal_id": "e.deal", "deal": "d.deal", "owner": "e.owner"}.get(name, f"e.{name}")
    for name in EffectRow._fields
)
"""The columns of an effect's row, where ``e`` are effects and ``d`` their deals."""

_HELD: Final = ", ".join(f"h.{name}" for name in HeldRow._fields)

Part = tuple[str, tuple[Any, ...]]
"""A condition and its values."""

_BILLION: Final = 10**9
"""What whole units are kept in, and the rest by itself: no sum is too large for a database."""

_IN_LIST: Final = "IN (SELECT value FROM json_each(?))"
_BY_NAME: Final = f"SELECT id FROM ladder_deals WHERE pipeline = ? AND deal {_IN_LIST}"
OF_CUSTOMER: Final = "d.id IN (SELECT deal FROM ladder_customers WHERE key = ?)"
OF_COMPANY: Final = "d.id IN (SELECT deal FROM ladder_search WHERE pipeline = ? AND company = ?)"


def walk_text(order: Order, place: str, filters: str = "") -> str:
    """Return the statement that goes along the index of an order through one stage.

    Args:
        place: ``first`` for where the order begins, ``known`` for what is behind a place,
            ``unknown`` for what is behind a number among the deals that have no place.
    """
    keys = [f"d.{column}" for column in order.columns]
    way, beyond = ("DESC", "<") if order.is_descending else ("ASC", ">")
    if place == "unknown":
        where = " AND ".join([*(f"{key} IS NULL" for key in keys), f"d.id {beyond} ?"])
    elif place == "known" and keys:
        marks = ", ".join("?" * (len(keys) + 1))
        where = f"({', '.join([*keys, 'd.id'])}) {beyond} ({marks})"
    elif place == "known":
        where = f"d.id {beyond} ?"
    else:
        where = f"{keys[0]} IS NOT NULL" if keys else "d.id IS NOT NULL"
    sorted_by = ", ".join(f"{key} {way}" for key in [*keys, "d.id"])
    return (
        f"SELECT {', '.join(['d.id', *keys])} FROM ladder_deals d "
        f"WHERE d.pipeline = ? AND d.stage = ? AND {where}{filters} ORDER BY {sorted_by} LIMIT ?"
    )


def gather_text(order: Order, filters: str, *, by_number: bool) -> str:
    """Return the statement that finds deals that match, in no order.

    Args:
        by_number: whether the filter gives their numbers.
    """
    keys = "".join(f", d.{column}" for column in order.columns)
    hint = "+" if by_number else ""
    return (
        f"SELECT d.id{keys} FROM ladder_deals d "
        f"WHERE {hint}d.pipeline = ? AND {hint}d.stage {_IN_LIST}{filters} LIMIT ?"
    )


def count_text(filters: str) -> str:
    """Return the statement that counts deals that match."""
    return (
        f"SELECT count(*) FROM ladder_deals d WHERE d.pipeline = ? AND d.stage {_IN_LIST}{filters}"
    )


def total_text(filters: str = "") -> str:
    """Return the statement that does so where nothing but stages, owners and sources is asked."""
    return (
        "SELECT coalesce(sum(d.deals), 0) FROM ladder_totals d "
        f"WHERE d.pipeline = ? AND d.stage {_IN_LIST}{filters}"
    )


def sums_text(filters: str = "") -> str:
    """Return the statement that sums up stages."""
    return (
        "SELECT d.stage, d.currency, sum(d.deals), sum(d.valued), sum(d.billions), sum(d.units), "
        f"sum(d.fraction) FROM ladder_totals d WHERE d.pipeline = ?{filters} "
        "GROUP BY d.stage, d.currency HAVING sum(d.deals) <> 0"
    )


def tasks_text(
    wanted: TaskFilter, filters: str = "", *, goes_on: bool = False, is_limited: bool = False
) -> str:
    """Return the statement that goes along open tasks by when they are to be done.

    Args:
        filters: what is asked of their deals.
        goes_on: whether only those behind a place are wanted.
    """
    place = f" AND ({_hint(wanted)}e.ready_at, e.key) > (?, ?)" if goes_on else ""
    return (
        f"SELECT {EFFECT} FROM ladder_effects e JOIN ladder_deals d ON d.id = e.deal "
        f"WHERE {_asked_of_tasks(wanted, filters)}{place} ORDER BY e.ready_at, e.key"
        + (" LIMIT ?" if is_limited else "")
    )


def task_count_text(wanted: TaskFilter, filters: str = "") -> str:
    """Return the statement that counts open tasks."""
    joined = " JOIN ladder_deals d ON d.id = e.deal" if not wanted.of.is_any else ""
    asked = _asked_of_tasks(wanted, filters)
    return f"SELECT count(*) FROM ladder_effects e{joined} WHERE {asked}"


def held_text(filters: str) -> str:
    """Return the statement that finds what is held of deals, the longest held first."""
    return (
        f"SELECT {_HELD} FROM ladder_held h "
        "JOIN ladder_deals d ON d.pipeline = h.pipeline AND d.deal = h.deal "
        f"WHERE h.pipeline = ? AND h.discarded_at IS NULL AND d.stage {_IN_LIST}{filters} "
        "ORDER BY h.since, h.key LIMIT ?"
    )


def _asked_of_tasks(wanted: TaskFilter, filters: str) -> str:
    hint = _hint(wanted)
    parts = [
        f"{hint}e.pipeline = ? AND e.state = 'open'",
        "(e.expires_at IS NULL OR e.expires_at >= ?)",
    ]
    if wanted.owner is not None:
        parts.append(f"{hint}e.owner = ?")
    if wanted.due_by is not None:
        parts.append(f"{hint}e.ready_at <= ?")
    if wanted.deals is not None:
        parts.append(f"e.deal IN ({_BY_NAME})")
    if wanted.of.stages is not None:
        parts.append(f"+d.stage {_IN_LIST}")
    return " AND ".join(parts) + filters.replace("d.", "+d.")


def _hint(wanted: TaskFilter) -> str:
    """Return what keeps SQLite from the index of an order where few deals are named."""
    return "" if wanted.deals is None else "+"


class SqlListing(SqlRows):
    """What a SQL transaction answers when lists are asked for."""

    def listed(
        self, pipeline: int, wanted: DealFilter, order: Order, after: Place | None, limit: int
    ) -> Listed:
        # A search is done once where it finds few; other filters are counted from an index alone.
        count = None if wanted.is_narrow else self._count(pipeline, wanted)
        if not wanted.is_plain and (count is None or count <= FEW):
            few = self._gather(pipeline, wanted, order)
            if len(few) <= FEW:
                return Listed(cut(few, order, after, limit), len(few))
        found = [
            place
            for stage in wanted.stages or ()
            for place in self._walk(pipeline, stage, wanted, order, after, limit)
        ]
        if count is None:
            count = self._count(pipeline, wanted)
        return Listed(cut(found, order, None, limit), count)

    def _gather(self, pipeline: int, wanted: DealFilter, order: Order) -> list[Place]:
        """Return the places of all that match, or of a few too many."""
        filters, values = self._conditions(pipeline, wanted)
        text = gather_text(order, filters, by_number=wanted.is_narrow)
        asked = (pipeline, self._list(wanted.stages or ()), *values, FEW + 1)
        return [self._place(order, row) for row in self._read(self._spelled(text), asked)]

    def _count(self, pipeline: int, wanted: DealFilter) -> int:
        filters, values = self._conditions(pipeline, wanted)
        if wanted.is_narrow:
            text = count_text(filters.replace("d.id", "+d.id"))
        else:
            text = total_text(filters)
        asked = (pipeline, self._list(wanted.stages or ()), *values)
        return int(self._read(self._spelled(text), asked)[0][0])

    def _walk(
        self,
        pipeline: int,
        stage: str,
        wanted: DealFilter,
        order: Order,
        after: Place | None,
        limit: int,
    ) -> list[Place]:
        filters, values = self._conditions(pipeline, wanted, one_by_one=True)
        # The index of the order is to be gone along, and not that of a filter.
        filters = filters.replace("d.", "+d.")

        def asked(place: str, *where: Any) -> list[Place]:
            text = self._spelled(walk_text(order, place, filters))
            wanted_rows = (pipeline, stage, *where, *values, limit)
            return [self._place(order, row) for row in self._read(text, wanted_rows)]

        found = []
        if after is None:
            found = asked("first")
        elif after.key is not None:
            key = map(self._instant, after.key) if order.is_by_instant else after.key
            found = asked("known", *key, after.id)
        if order.columns and len(found) < limit:
            last = after.id if after is not None and after.key is None else order.before_all
            found += asked("unknown", last)
        return found[:limit]

    def _place(self, order: Order, row: tuple[Any, ...]) -> Place:
        number, *key = row
        if key and key[0] is None:
            return Place(None, number)
        if order.is_by_instant:
            key = [self._from_instant(at) for at in key]
        return Place(tuple(key), number)

    def _conditions(self, pipeline: int, wanted: DealFilter, *, one_by_one: bool = False) -> Part:
        """Return what a filter asks for besides stages, each condition begun with AND.

        Args:
            one_by_one: whether deals are looked at until there are enough.
        """
        parts: list[Part] = []
        for column, one in (("owner", wanted.owner), ("source", wanted.source)):
            if one is not None:
                parts.append((f"d.{column} = ?", (one,)))
        for column, names in (("owner", wanted.owners), ("source", wanted.sources)):
            if names is not None:
                named = self._list([name for name in names if name is not None])
                text = f"d.{column} {_IN_LIST}"
                text = f"(d.{column} IS NULL OR {text})" if None in names else text
                parts.append((text, (named,)))
        if wanted.words:
            each = " AND instr(text, ?) > 0" * len(wanted.words)
            text = "SELECT deal FROM ladder_search WHERE"
            own = f"EXISTS ({text} deal = d.id AND pipeline = ?{each})"
            text = own if one_by_one else f"d.id IN ({text} pipeline = ?{each})"
            parts.append((text, (pipeline, *wanted.words)))
        if wanted.customer is not None and wanted.customer.startswith(COMPANY):
            parts.append((OF_COMPANY, (pipeline, wanted.customer.removeprefix(COMPANY))))
        elif wanted.customer is not None:
            parts.append((OF_CUSTOMER, (wanted.customer,)))
        text = "".join(f" AND {condition}" for condition, _ in parts)
        return text, tuple(value for _, values in parts for value in values)

    def _tasks(
        self,
        pipeline: int,
        wanted: TaskFilter,
        after: tuple[dt.datetime, str] | None,
        limit: int | None,
    ) -> Part:
        """Return the statement of a page of tasks, and its values."""
        filters, values = self._of_tasks(pipeline, wanted)
        place = () if after is None else (self._instant(after[0]), after[1])
        most = () if limit is None else (limit,)
        text = tasks_text(wanted, filters, goes_on=bool(place), is_limited=bool(most))
        return self._spelled(text), (*values, *place, *most)

    def held_of_deals(self, pipeline: int, wanted: DealFilter, limit: int) -> list[HeldRow]:
        filters, values = self._conditions(pipeline, wanted)
        asked = (pipeline, self._list(wanted.stages or ()), *values, limit)
        return [self._held(row) for row in self._read(self._spelled(held_text(filters)), asked)]

    def count_open_tasks(self, pipeline: int, wanted: TaskFilter) -> int:
        filters, values = self._of_tasks(pipeline, wanted)
        text = self._spelled(task_count_text(wanted, filters))
        count: int = self._read(text, values)[0][0]
        return count

    def _of_tasks(self, pipeline: int, wanted: TaskFilter) -> Part:
        """Return what is asked of the tasks' deals, and the values of all that is asked."""
        values: list[Any] = [pipeline, self._instant(wanted.now)]
        if wanted.owner is not None:
            values.append(wanted.owner)
        if wanted.due_by is not None:
            values.append(self._instant(wanted.due_by))
        if wanted.deals is not None:
            values += (pipeline, self._list(wanted.deals))
        if wanted.of.stages is not None:
            values.append(self._list(wanted.of.stages))
        filters, told = self._conditions(pipeline, wanted.of)
        return filters, (*values, *told)

    def deals_by_id(self, ids: Sequence[int]) -> dict[int, tuple[StoredDeal, str | None]]:
        if not ids:
            return {}
        rows = self._read(self._sql.DEALS_BY_ID, (self._list(ids),))
        found = (self._with_document(row) for row in rows)
        return {stored.id: (stored, document) for stored, document in found}

    def changed(self, pipeline: int, after: tuple[dt.datetime, int], limit: int) -> list[Changed]:
        values = (pipeline, self._instant(after[0]), after[1], limit)
        rows = self._read(self._sql.CHANGED_DEALS, values)
        return [Changed(self._from_instant(row[0]), *self._with_document(row[1:])) for row in rows]

    def stage_sums(self, pipeline: int, wanted: DealFilter) -> list[StageSum]:
        filters, values = self._conditions(pipeline, wanted)
        rows = self._read(self._spelled(sums_text(filters)), (pipeline, *values))
        return [
            StageSum(stage, currency, count, valued, value_of(billions * _BILLION + units, rest))
            for stage, currency, *sums in rows
            for count, valued, billions, units, rest in [map(int, sums)]
            if wanted.stages is None or stage in wanted.stages
        ]

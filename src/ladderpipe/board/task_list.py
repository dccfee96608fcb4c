"""Lists of open tasks: all of them, and page by page."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from typing import Any

import attrs

from ..model.canonical import is_storable, plain_text
from ..model.effect import Task
from ..model.record import json_record
from ..public import publish
from ..stores.filters import Scope, TaskFilter
from .cursor import task_place_of, task_place_text
from .listing import checked_limit, filter_of
from .read import storable_ids, task_of
from .session import Session

__all__ = ["TaskPage"]


@json_record()
@attrs.frozen
class TaskPage:
    """A part of the open tasks.

    Attributes:
        tasks: the most urgent first.
        next: the cursor of the next page, to be passed as ``after``; ``None`` when this is the
            last one.
        count: how many tasks there are in all, whichever page this is.
    """

    tasks: tuple[Task, ...]
    next: str | None
    count: int

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values; the keys stay."""
        tasks = [task.to_dict() for task in self.tasks]
        return {"tasks": tasks, "next": self.next, "count": self.count}


def tasks(session: Session, wanted: TaskFilter | None) -> list[Task]:
    """Return every open task that matches, the most urgent first."""
    if wanted is None:
        return []
    with session.reading() as transaction:
        return list(map(task_of, transaction.open_tasks(session.number, wanted)))


def task_page(
    session: Session, wanted: TaskFilter | None, after: str | None, limit: int
) -> TaskPage:
    """Return a page of the open tasks that match."""
    limit = checked_limit(limit, 1, "tasks")
    place = None if after is None else task_place_of(after)
    if wanted is None:
        return TaskPage((), None, 0)
    with session.reading() as transaction:
        rows = transaction.open_tasks(session.number, wanted, place, limit + 1)
        count = len(rows)
        if place is not None or count > limit:
            count = transaction.count_open_tasks(session.number, wanted)
    last = rows[limit - 1] if len(rows) > limit else None
    following = None if last is None else task_place_text(last.ready_at, last.key)
    return TaskPage(tuple(map(task_of, rows[:limit])), following, count)


def task_filter(
    session: Session,
    *,
    owner: str | None,
    deal: str | Collection[str] | None,
    due_by: dt.datetime | None,
    scope: Scope | None = None,
) -> TaskFilter | None:
    """Return what a store is asked for; ``None`` when no task can match."""
    of = filter_of(session.pipeline, scope=scope)
    if of is None or (owner is not None and not is_storable(owner)):
        return None
    return TaskFilter(
        now=session.now(),
        owner=None if owner is None else plain_text(owner),
        deals=None
        if deal is None
        else tuple(storable_ids([deal] if isinstance(deal, str) else deal)),
        due_by=due_by,
        of=of,
    )


publish("ladderpipe", TaskPage)

"""Health: what of a board a person should look at, read from the store without writing."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Collection
from typing import TYPE_CHECKING

from ..model.clock import Clock, SystemClock, instant
from ..model.event import EDITED
from ..observability.backlog import Backlog
from ..pipeline import Pipeline
from ..stores.base import PipelineRow, Store, Transaction
from .chain import chain_in
from .clock_watch import DEFAULT_BOUND, clock_difference, latest_retry
from .findings import LATELY, Health, without_holidays
from .remarks import AFTER_CLOSING, LATE

if TYPE_CHECKING:
    from .session import Session

__all__ = ["examine", "examine_store"]


def examine(
    transaction: Transaction,
    row: PipelineRow,
    clock: Clock,
    pipeline: Pipeline | None = None,
    *,
    max_clock_difference: dt.timedelta | None = DEFAULT_BOUND,
    thorough: bool = False,
    latest: dt.datetime | None = None,
) -> Health:
    """Look at one pipeline in a store, with a definition or with the one that the store keeps.

    Args:
        latest: how far a board puts off what failed; left out, one with no settings of its own.
        thorough: let the database look for damage, which reads all of a SQLite file.
    """
    now = instant(clock.now())
    failing, waiting = transaction.troubled_deals(row.id)
    stages = _stages_kept(row) if pipeline is None else pipeline.ladder.rungs.keys()
    unknown = transaction.stage_counts(row.id, besides=stages)
    expected = _events_kept(row) if pipeline is None else pipeline.events
    counts = transaction.count_undeclared(row.id)
    remarks = transaction.count_remarks(row.id, now - LATELY)
    return Health(
        pipeline=row.name,
        at=now,
        structure=transaction.structure(),
        backlog=Backlog.of(transaction, row.id, now),
        failing_deals=failing,
        waiting_deals=waiting,
        held=transaction.count_held(row.id),
        # What was declared since then is all right now.
        undeclared={
            kind: n for kind, n in sorted(counts.items()) if kind not in expected and kind != EDITED
        },
        expected=expected,
        after_closing=remarks.get(AFTER_CLOSING),
        late=remarks.get(LATE),
        waiting_effects=transaction.count_waiting(row.id),
        merged_into_nothing=transaction.count_merged_into_nothing(row.id),
        crowded_keys=transaction.count_crowds(row.id),
        is_swept_ahead=bool(transaction.swept_ahead(row.id, now, 1)),
        is_put_off=bool(transaction.put_off_effects(row.id, latest or latest_retry(now), 1)),
        clock=clock_difference(clock, transaction),
        max_clock_difference=max_clock_difference,
        unknown_stages=dict(sorted(unknown.items())),
        without_holidays=without_holidays(
            _holidays_kept(row)
            if pipeline is None
            else {name: each.holidays for name, each in pipeline.calendars.items()},
            now,
        ),
        chain=chain_in(transaction, row.id),
        faults=tuple(transaction.faults()) if thorough else None,
        is_migrating=row.migrating is not None,
        is_changed=pipeline is not None and pipeline.fingerprint != row.fingerprint,
    )


def of_session(session: Session, thorough: bool) -> Health:
    """Look at a board's pipeline with the board's definition and clock."""
    with session.reading() as transaction:
        row = transaction.pipeline(session.pipeline.name)
        assert row is not None  # the board noted it when it was opened
        return examine(
            transaction,
            row,
            session.clock,
            session.pipeline,
            max_clock_difference=session.clock_watch.bound,
            thorough=thorough,
            latest=session.latest_retry(session.now()),
        )


def examine_store(
    store: Store, name: str | None = None, pipeline: Pipeline | None = None
) -> list[Health]:
    """Look at every pipeline in a store, or at one, thoroughly; no definition is needed.

    Args:
        pipeline: the definition to compare with; only the pipeline of that name is looked at.
    """
    name = name if pipeline is None else pipeline.name
    with store.transaction(write=False) as transaction:
        return [
            examine(transaction, row, SystemClock(), pipeline, thorough=True)
            for row in transaction.pipelines()
            if name is None or row.name == name
        ]


def _stages_kept(row: PipelineRow) -> Collection[str]:
    return {stage["key"] for stage in json.loads(row.definition)["fold"]["stages"]}


def _events_kept(row: PipelineRow) -> Collection[str]:
    return tuple(json.loads(row.definition).get("events", ()))


def _holidays_kept(row: PipelineRow) -> dict[str, list[dt.date]]:
    kept = json.loads(row.definition)
    # A definition that has no plain form still has what its rules count on.
    calendars = {each["key"]: each for each in kept["fold"].get("calendars", ())}
    calendars |= (kept.get("whole") or {}).get("calendars", {})
    return {
        name: [dt.date.fromisoformat(day) for day in each.get("holidays", ())]
        for name, each in calendars.items()
    }

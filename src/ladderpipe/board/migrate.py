"""Adopting a changed ladder: every deal gets a baseline under the new definition.

Deals that wait get none, and may be opened by it; nothing is sent then, as in a replay.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import Final

import attrs

from ..errors import DefinitionError, PipelineChangedError
from ..model.stage import Stage
from ..public import publish
from ..stores.base import PipelineRow, StoredDeal
from .baseline import folded_anew, write_baseline
from .decision import draft_of
from .session import Session, definition_text
from .unit import Unit

__all__ = ["MigrationReport"]

BATCH: Final = 500


@attrs.frozen
class MigrationReport:
    """What adopting a definition did.

    Attributes:
        deals: how many deals were carried over by this call.
    """

    deals: int


def migrate(
    session: Session, mapping: Mapping[str, Stage] | None, batch: int = BATCH
) -> MigrationReport:
    """Adopt the session's pipeline; resumable after a crash, in transactions of *batch* deals."""
    renamed = session.retried(functools.partial(_begin, session, mapping))
    if renamed is None:
        return MigrationReport(0)
    carried = after = 0
    while True:
        deals = session.retried(functools.partial(_carry_batch, session, renamed, after, batch))
        carried += len(deals)
        if len(deals) < batch:
            return MigrationReport(carried)
        after = deals[-1].id


def _carry_batch(
    session: Session, renamed: Mapping[str, str], after: int, batch: int
) -> list[StoredDeal]:
    """Carry the next deals over; when they are the last, the migration is finished."""
    pipeline = session.pipeline
    with session.writing(quiet=True) as unit:
        transaction = unit.transaction
        row = transaction.pipeline(pipeline.name)
        if row is None or row.fingerprint != pipeline.fingerprint:
            raise PipelineChangedError(
                f"another process has finished this migration of pipeline {pipeline.name!r} and "
                "begun one to yet another definition: start this one with that definition"
            )
        deals = transaction.unadopted(session.number, pipeline.fingerprint, after, batch)
        for stored in deals:
            if not folded_anew(unit, stored, may_open=True):
                _carry_over(unit, stored, renamed)
        unit.flush()
        if len(deals) < batch:
            transaction.save_pipeline(
                pipeline.name, pipeline.fingerprint, definition_text(pipeline), None
            )
    return deals


def _begin(session: Session, mapping: Mapping[str, Stage] | None) -> dict[str, str] | None:
    """Note the migration in the store; return the renames, ``None`` when nothing changed."""
    pipeline = session.pipeline
    with session.writing() as unit:
        transaction = unit.transaction
        row = transaction.pipeline(pipeline.name, change=True)
        assert row is not None
        if row.migrating is not None:
            return _resumed(session, row, mapping)
        if row.fingerprint == pipeline.fingerprint:
            return None
        counts = transaction.stage_counts(row.id)
        renamed = _checked(session, row, mapping or {}, counts)
        transaction.save_pipeline(
            pipeline.name,
            pipeline.fingerprint,
            definition_text(pipeline),
            json.dumps(renamed, sort_keys=True),
        )
        return renamed


def _resumed(
    session: Session, row: PipelineRow, mapping: Mapping[str, Stage] | None
) -> dict[str, str]:
    under_way: dict[str, str] = json.loads(row.migrating or "{}")
    asked = None if mapping is None else {old: str(new) for old, new in mapping.items()}
    if row.fingerprint != session.pipeline.fingerprint or asked not in (None, {}, under_way):
        raise PipelineChangedError(
            f"another migration of pipeline {row.name!r} is under way, with the mapping "
            f"{under_way}: finish that one first, with its definition"
        )
    return under_way


def _checked(
    session: Session, row: PipelineRow, mapping: Mapping[str, Stage], counts: Mapping[str, int]
) -> dict[str, str]:
    pipeline = session.pipeline
    known = [stage["key"] for stage in json.loads(row.definition)["fold"]["stages"]]
    for old, new in mapping.items():
        if old not in known:
            raise DefinitionError(
                f"migrate: the stored pipeline has no stage {str(old)!r}; it has {', '.join(known)}"
            )
        if str(new) not in pipeline.ladder.rungs:
            raise DefinitionError(
                f"migrate: {str(old)!r} is to become {str(new)!r}, which is no stage of this "
                f"pipeline: choose from {', '.join(pipeline.ladder.rungs)}"
            )
    unmapped = [key for key in known if key not in pipeline.ladder.rungs and key not in mapping]
    if unmapped:
        listed = ", ".join(f"{key!r} ({counts.get(key, 0)} deals)" for key in unmapped)
        raise PipelineChangedError(
            f"migrate: stages {listed} are gone, and their deals and histories have to go "
            f"somewhere: say migrate({{{unmapped[0]!r}: {pipeline.stages[0].key}}})"
        )
    return {str(old): str(new) for old, new in mapping.items()}


def _carry_over(unit: Unit, stored: StoredDeal, renamed: Mapping[str, str]) -> None:
    """Write the baseline of one deal, its timers worked out anew from the new definition."""
    moved = stored._replace(
        stage=renamed.get(stored.stage or "", stored.stage),
        lost_from=renamed.get(stored.lost_from or "", stored.lost_from),
        timers=None,
    )
    if renamed and stored.visit:
        unit.transaction.rename_stages(unit.number, stored.id, dict(renamed))
    draft = draft_of(unit.pipeline, moved, lambda: unit.transaction.document(stored.id))
    if not draft.rung.is_closed:
        draft.closed_at = None
    elif draft.closed_at is None:
        draft.closed_at = draft.entered_at
    if draft.stage is None or draft.stage.status != "lost":
        draft.lost_from = None
    write_baseline(unit, moved, draft)


publish("ladderpipe", MigrationReport)

"""Adopting a changed ladder: every deal gets a baseline under the new definition.

Deals that wait get none, and may be opened by it; nothing is sent then, as in a replay.
"""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Mapping
from typing import Final

import attrs

from ..errors import DefinitionError, MigrationError, PipelineChangedError
from ..model.report import DealFailure
from ..model.stage import Stage
from ..public import publish
from ..stores.base import PipelineRow, StoredDeal
from .baseline import folded_anew, write_baseline
from .boundary import as_failure, is_its_own
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
    _try_first(session, mapping, batch)
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


class _Undone(Exception):
    """Undoes a transaction that was only to be tried."""


def _try_first(session: Session, mapping: Mapping[str, Stage] | None, batch: int) -> None:
    """Carry every deal over and undo it again, so that the real thing does not stop half-way.

    From the moment a migration is noted, the old definition is refused. So whatever stands in the
    way had better be known before.

    Raises:
        MigrationError: a deal cannot be carried over.
    """
    failures: list[DealFailure] = []
    after: int | None = 0
    while after is not None:
        after = session.retried(
            functools.partial(_try_batch, session, mapping, after, batch, failures)
        )
    if failures:
        error = MigrationError(
            f"{len(failures)} deals cannot be carried over to this definition, the first: deal "
            f"{failures[0].deal!r}: {failures[0].error}. Nothing was changed, and the definition "
            "in the store goes on; mend those (see .failures), then call migrate again"
        )
        error.failures = tuple(failures)
        raise error


def _try_batch(
    session: Session,
    mapping: Mapping[str, Stage] | None,
    after: int,
    batch: int,
    failures: list[DealFailure],
) -> int | None:
    """Try the next deals; return the last one's number, ``None`` when there are no more."""
    pipeline = session.pipeline
    found: list[DealFailure] = []
    last: int | None = None
    with contextlib.suppress(_Undone), session.writing(quiet=True) as unit:
        row = unit.transaction.pipeline(pipeline.name)
        assert row is not None
        if row.migrating is not None or row.fingerprint == pipeline.fingerprint:
            return None
        renamed = _checked(session, row, mapping or {}, unit.transaction.stage_counts(row.id))
        deals = unit.transaction.unadopted(session.number, pipeline.fingerprint, after, batch)
        last = deals[-1].id if len(deals) == batch else None
        for stored in deals:
            try:
                with unit.attempt():
                    _carry(unit, stored, renamed)
                    unit.flush()
            except Exception as error:
                if not is_its_own(session, error):
                    raise
                found.append(DealFailure(stored.deal, as_failure(stored.deal, error)))
        raise _Undone
    failures += found
    return last


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
            _carry(unit, stored, renamed)
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
        counts = transaction.stage_counts(row.id, besides=pipeline.ladder.rungs)
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


def _carry(unit: Unit, stored: StoredDeal, renamed: Mapping[str, str]) -> None:
    if not folded_anew(unit, stored, may_open=True):
        _carry_over(unit, stored, renamed)


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

"""Adopting a changed ladder: every deal gets a baseline under the new definition.

Deals that wait get none, and may be opened by it; nothing is sent then, as in a replay.
"""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeAlias

import attrs

from ..errors import DefinitionError, MigrationError, PipelineChangedError
from ..fold.schedule import stay_blocked
from ..model.report import DealFailure
from ..model.stage import Stage
from ..public import publish
from ..stores.base import PipelineRow, StoredDeal
from .baseline import Past, folded_anew, past_of, pasts_of, write_baseline
from .boundary import as_failure, go_on_or_raise, words
from .decision import draft_of
from .session import Session, customer_told, definition_text
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
    try:
        begun = session.retried(functools.partial(_begin, session, mapping, batch))
    except Exception as error:
        if isinstance(error, DefinitionError | PipelineChangedError):
            raise
        go_on_or_raise(session, error)
        raise _refusal([], f"the deals cannot be carried over: {words(error)}") from error
    if begun.is_done:
        return MigrationReport(begun.carried)
    carried = after = 0
    while True:
        work = functools.partial(_carry_batch, session, begun.renamed, after, batch)
        deals = session.retried(work)
        carried += len(deals)
        if len(deals) < batch:
            return MigrationReport(carried)
        after = deals[-1].id


@contextlib.contextmanager
def _trying(session: Session) -> Iterator[Unit]:
    """Begin a unit of work that is undone in any case."""
    with contextlib.suppress(_Undone), session.writing(quiet=True) as unit:
        yield unit
        raise _Undone


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
        found, after = _try_batch(session, mapping, after, batch)
        failures += [DealFailure(deal, as_failure(deal, error)) for deal, error in found]
    if failures:
        first = f"the first: deal {failures[0].deal!r}: {failures[0].error}"
        raise _refusal(failures, f"{len(failures)} deals cannot be carried over, {first}")


def _refusal(failures: list[DealFailure], why: str) -> MigrationError:
    error = MigrationError(
        f"this definition is not adopted: {why}. Nothing was changed, and the definition in the "
        "store goes on; mend that (see .failures), then call migrate again"
    )
    error.failures = tuple(failures)
    return error


Tried: TypeAlias = tuple[list[tuple[str, Exception]], int | None]
"""Which deals cannot be carried over and why, and after which one to go on, if there are more."""


def _try_batch(
    session: Session, mapping: Mapping[str, Stage] | None, after: int, batch: int
) -> Tried:
    try:
        work = functools.partial(_try_together, session, mapping, after, batch)
        return session.retried(work)
    except Exception as error:
        if isinstance(error, DefinitionError | PipelineChangedError):
            raise
        go_on_or_raise(session, error)
    return _try_apart(session, mapping, after, batch)


def _try_together(
    session: Session, mapping: Mapping[str, Stage] | None, after: int, batch: int
) -> Tried:
    found: list[tuple[str, Exception]] = []
    last: int | None = None
    with _trying(session) as unit:
        deals, renamed = _untried(session, unit, mapping, after, batch)
        last = deals[-1].id if len(deals) == batch else None
        for stored, past in pasts_of(unit, deals):
            try:
                with unit.attempt():
                    _try_carrying(unit, stored, past, renamed)
            except Exception as error:
                go_on_or_raise(session, error, unit.transaction)
                found.append((stored.deal, error))
    return found, last


def _try_apart(
    session: Session, mapping: Mapping[str, Stage] | None, after: int, batch: int
) -> Tried:
    """Try each deal in a transaction of its own, since one of them ended that of all."""
    with _trying(session) as unit:
        deals, renamed = _untried(session, unit, mapping, after, batch)

    def work(stored: StoredDeal) -> None:
        with _trying(session) as unit:
            now = unit.transaction.load_by_id(stored.id)
            if now is not None:
                _try_carrying(unit, now[0], past_of(unit, now[0]), renamed)

    found: list[tuple[str, Exception]] = []
    for stored in deals:
        try:
            session.retried(functools.partial(work, stored))
        except Exception as error:
            go_on_or_raise(session, error)
            found.append((stored.deal, error))
    return found, deals[-1].id if len(deals) == batch else None


def _untried(
    session: Session, unit: Unit, mapping: Mapping[str, Stage] | None, after: int, batch: int
) -> tuple[list[StoredDeal], Mapping[str, str]]:
    """Return the next deals to try, none when there is nothing to adopt, and the renames."""
    pipeline, transaction = session.pipeline, unit.transaction
    row = transaction.pipeline(pipeline.name)
    assert row is not None
    if row.migrating is not None or row.fingerprint == pipeline.fingerprint:
        return [], {}
    renamed = _checked(session, row, mapping or {}, transaction.stage_counts(row.id))
    return transaction.unadopted(session.number, pipeline.fingerprint, after, batch), renamed


def _try_carrying(unit: Unit, stored: StoredDeal, past: Past, renamed: Mapping[str, str]) -> None:
    moves = len(unit.moves)
    _carry(unit, stored, past, renamed)
    unit.flush()
    if len(unit.moves) > moves:
        # Hooks ran, and what they wrote may be found wrong only at the commit.
        unit.transaction.check_constraints()


def _carry_batch(
    session: Session, renamed: Mapping[str, str], after: int, batch: int
) -> list[StoredDeal]:
    """Carry the next deals over; when they are the last, the migration is finished."""
    pipeline = session.pipeline
    with session.writing(quiet=True) as unit:
        row = unit.transaction.pipeline(pipeline.name)
        if row is None or row.fingerprint != pipeline.fingerprint:
            raise PipelineChangedError(
                f"another process has finished this migration of pipeline {pipeline.name!r} and "
                "begun one to yet another definition: start this one with that definition"
            )
        deals = unit.transaction.unadopted(session.number, pipeline.fingerprint, after, batch)
        _carry_these(unit, deals, renamed, batch)
    return deals


def _carry_these(
    unit: Unit, deals: Sequence[StoredDeal], renamed: Mapping[str, str], batch: int
) -> None:
    for stored, past in pasts_of(unit, deals):
        _carry(unit, stored, past, renamed)
    unit.flush()
    if len(deals) < batch:
        pipeline = unit.pipeline
        row = unit.transaction.pipeline(pipeline.name)
        definition = definition_text(pipeline, None if row is None else customer_told(row))
        unit.transaction.save_pipeline(pipeline.name, pipeline.fingerprint, definition, None)


@attrs.frozen
class _Begun:
    """A migration that is under way, or done already."""

    renamed: Mapping[str, str]
    is_done: bool = False
    carried: int = 0


def _begin(session: Session, mapping: Mapping[str, Stage] | None, batch: int) -> _Begun:
    """Note the migration in the store; where one batch is enough, do all of it, or nothing."""
    pipeline = session.pipeline
    with session.writing(quiet=True) as unit:
        transaction = unit.transaction
        row = transaction.pipeline(pipeline.name, change=True)
        assert row is not None
        if row.migrating is not None:
            return _Begun(_resumed(session, row, mapping))
        if row.fingerprint == pipeline.fingerprint:
            return _Begun({}, is_done=True)
        counts = transaction.stage_counts(row.id, besides=pipeline.ladder.rungs)
        renamed = _checked(session, row, mapping or {}, counts)
        transaction.save_pipeline(
            pipeline.name,
            pipeline.fingerprint,
            definition_text(pipeline, customer_told(row)),
            json.dumps(renamed, sort_keys=True),
        )
        deals = transaction.unadopted(session.number, pipeline.fingerprint, 0, batch)
        if len(deals) == batch:
            return _Begun(renamed)
        _carry_these(unit, deals, renamed, batch)
        return _Begun(renamed, is_done=True, carried=len(deals))


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


def _carry(unit: Unit, stored: StoredDeal, past: Past, renamed: Mapping[str, str]) -> None:
    if not folded_anew(unit, stored, may_open=True):
        _carry_over(unit, stored, past, renamed)


def _carry_over(unit: Unit, stored: StoredDeal, past: Past, renamed: Mapping[str, str]) -> None:
    """Write the baseline of one deal, its timers worked out anew from the new definition."""
    moved = stored._replace(
        stage=renamed.get(stored.stage or "", stored.stage),
        lost_from=renamed.get(stored.lost_from or "", stored.lost_from),
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
    stay_blocked(draft)
    write_baseline(unit, moved, draft, past, renamed)


publish("ladderpipe", MigrationReport)

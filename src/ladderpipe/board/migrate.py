"""Adopting a changed ladder: every deal gets a baseline under the new definition.

Deals that wait get none, and may be opened by it; nothing is sent then, as in a replay.
"""

from __future__ import annotations

import contextlib
import functools
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

import attrs

from ..errors import DefinitionError, MigrationError, PipelineChangedError
from ..fold.schedule import stay_blocked
from ..model.report import DealFailure
from ..model.stage import Stage
from ..public import publish
from ..stores.base import PipelineRow, StoredDeal
from .baseline import Past, folded_anew, past_of, pasts_of, write_baseline
from .boundary import as_failure, go_on_or_raise, words
from .session import Session, customer_told, definition_text, differences_from, stored_stages
from .stored import draft_of
from .unit import Unit

__all__ = ["MigrationPlan", "MigrationReport"]

BATCH: Final = 500


@attrs.frozen
class MigrationReport:
    """What adopting a definition did.

    Attributes:
        deals: how many deals were carried over by this call.
    """

    deals: int


@attrs.frozen(kw_only=True)
class MigrationPlan:
    """What adopting a definition would do; empty when the store holds it already.

    Attributes:
        deals: how many deals would be carried over.
        differences: how the definition differs from the stored one, in words.
        stages: how many of the deals would go from one stage to another, by the keys of both;
            ``None`` for the stage of a deal that is not open.
        due: how many of them would have a timer due at once, which moves them at the next sweep.
        renamed: stored stage key to new one, as the mapping says.
        gone: stages that are in neither this definition nor the mapping, each with how many deals
            are in it. As long as there are any, no deal is tried.
        failures: deals that cannot be carried over, each with the reason.
        is_under_way: whether it has begun already, so that it can only be finished; no deal is
            tried then.
    """

    deals: int = 0
    differences: tuple[str, ...] = ()
    stages: Mapping[tuple[str | None, str | None], int] = attrs.field(factory=dict)
    due: int = 0
    renamed: Mapping[str, str] = attrs.field(factory=dict)
    gone: Mapping[str, int] = attrs.field(factory=dict)
    failures: tuple[DealFailure, ...] = ()
    is_under_way: bool = False

    @property
    def is_possible(self) -> bool:
        """Whether nothing stands in its way."""
        return not self.gone and not self.failures

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values; the keys stay."""
        return {
            "deals": self.deals,
            "differences": list(self.differences),
            "stages": [
                {"from": old, "into": new, "deals": count}
                for (old, new), count in self.stages.items()
            ],
            "due": self.due,
            "renamed": dict(self.renamed),
            "gone": dict(self.gone),
            "failures": [{"deal": each.deal, "error": str(each.error)} for each in self.failures],
            "under_way": self.is_under_way,
            "possible": self.is_possible,
        }


def migrate(
    session: Session, mapping: Mapping[str, Stage] | None, batch: int = BATCH
) -> MigrationReport:
    """Adopt the session's pipeline; resumable after a crash, in transactions of *batch* deals."""
    _refuse_failures(_Trial(session, mapping or {}, batch).failures())
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


def plan(
    session: Session, mapping: Mapping[str, Stage] | None, batch: int = BATCH
) -> MigrationPlan:
    """Say what adopting the session's pipeline would do; all of it is tried and undone again."""
    pipeline = session.pipeline
    with session.reading() as transaction:
        row = transaction.pipeline(pipeline.name)
        assert row is not None
        counts = transaction.stage_counts(row.id)
    if row.migrating is not None:
        return MigrationPlan(is_under_way=True, renamed=_resumed(session, row, mapping))
    if row.fingerprint == pipeline.fingerprint:
        return MigrationPlan()
    renamed = _named(session, row, mapping or {})
    gone = {stage: counts.get(stage, 0) for stage in _gone(session, row, renamed)}
    differing = tuple(differences_from(row, pipeline))
    told = MigrationPlan(differences=differing, renamed=renamed, gone=gone)
    if gone:
        return told
    trial = _Trial(session, mapping or {}, batch, carried={})
    failures = trial.failures()
    assert trial.carried is not None
    return attrs.evolve(
        told,
        deals=len(trial.carried),
        stages=dict(Counter((old, new) for old, new, _ in trial.carried.values())),
        due=sum(is_due for _, _, is_due in trial.carried.values()),
        failures=tuple(failures),
    )


@contextlib.contextmanager
def _trying(session: Session) -> Iterator[Unit]:
    """Begin a unit of work that is undone in any case."""
    with contextlib.suppress(_Undone), session.writing(quiet=True) as unit:
        yield unit
        raise _Undone


class _Undone(Exception):
    """Undoes a transaction that was only to be tried."""


@attrs.frozen
class _Trial:
    """Carries every deal over and undoes it again, so that the real thing does not stop half-way.

    From the moment a migration is noted, the old definition is refused. So whatever stands in the
    way had better be known before.

    Attributes:
        carried: by number of the deal, in which stage it was and would be, and whether a timer
            would be due there at once; ``None`` when nobody wants to know.
    """

    session: Session
    mapping: Mapping[str, Stage]
    batch: int
    carried: dict[int, tuple[str | None, str | None, bool]] | None = None

    def failures(self) -> list[DealFailure]:
        """Return the deals that cannot be carried over, each with the reason."""
        failures: list[DealFailure] = []
        after: int | None = 0
        while after is not None:
            found, after = self._batch(after)
            failures += [DealFailure(deal, as_failure(deal, error)) for deal, error in found]
        return failures

    def _batch(self, after: int) -> Tried:
        try:
            return self.session.retried(functools.partial(self._together, after))
        except Exception as error:
            if isinstance(error, DefinitionError | PipelineChangedError):
                raise
            go_on_or_raise(self.session, error)
        return self._apart(after)

    def _together(self, after: int) -> Tried:
        found: list[tuple[str, Exception]] = []
        last: int | None = None
        with _trying(self.session) as unit:
            deals, renamed = self._untried(unit, after)
            last = deals[-1].id if len(deals) == self.batch else None
            for stored, past in pasts_of(unit, deals):
                try:
                    with unit.attempt():
                        self._carry(unit, stored, past, renamed)
                except Exception as error:
                    go_on_or_raise(self.session, error, unit.transaction)
                    found.append((stored.deal, error))
        return found, last

    def _apart(self, after: int) -> Tried:
        """Try each deal in a transaction of its own, since one of them ended that of all."""
        with _trying(self.session) as unit:
            deals, renamed = self._untried(unit, after)

        def work(stored: StoredDeal) -> None:
            with _trying(self.session) as unit:
                now = unit.transaction.load_by_id(stored.id)
                if now is not None:
                    self._carry(unit, now[0], past_of(unit, now[0]), renamed)

        found: list[tuple[str, Exception]] = []
        for stored in deals:
            try:
                self.session.retried(functools.partial(work, stored))
            except Exception as error:
                go_on_or_raise(self.session, error)
                found.append((stored.deal, error))
        return found, deals[-1].id if len(deals) == self.batch else None

    def _untried(self, unit: Unit, after: int) -> tuple[list[StoredDeal], Mapping[str, str]]:
        """Return the next deals to try, none when there is nothing to adopt, and the renames."""
        pipeline, transaction = self.session.pipeline, unit.transaction
        row = transaction.pipeline(pipeline.name)
        assert row is not None
        if row.migrating is not None or row.fingerprint == pipeline.fingerprint:
            return [], {}
        renamed = _checked(self.session, row, self.mapping, transaction.stage_counts(row.id))
        found = transaction.unadopted(self.session.number, pipeline.fingerprint, after, self.batch)
        return found, renamed

    def _carry(
        self, unit: Unit, stored: StoredDeal, past: Past, renamed: Mapping[str, str]
    ) -> None:
        moves = len(unit.moves)
        _carry(unit, stored, past, renamed)
        unit.flush()
        if len(unit.moves) > moves:
            # Hooks ran, and what they wrote may be found wrong only at the commit.
            unit.transaction.check_constraints()
        now = None if self.carried is None else unit.transaction.load_by_id(stored.id)
        if self.carried is not None and now is not None:
            is_due = now[0].due_at is not None and now[0].due_at <= unit.now
            self.carried[stored.id] = stored.stage, now[0].stage, is_due


Tried: TypeAlias = tuple[list[tuple[str, Exception]], int | None]
"""Which deals cannot be carried over and why, and after which one to go on, if there are more."""


def _refuse_failures(failures: list[DealFailure]) -> None:
    """Adopt nothing where a deal cannot be carried over.

    Raises:
        MigrationError: there is one.
    """
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
    renamed = _named(session, row, mapping)
    unmapped = _gone(session, row, renamed)
    if unmapped:
        listed = ", ".join(f"{key!r} ({counts.get(key, 0)} deals)" for key in unmapped)
        raise PipelineChangedError(
            f"migrate: stages {listed} are gone, and their deals and histories have to go "
            f"somewhere: say migrate({{{unmapped[0]!r}: {session.pipeline.stages[0].key}}})"
        )
    return renamed


def _named(session: Session, row: PipelineRow, mapping: Mapping[str, Stage]) -> dict[str, str]:
    """Return what is renamed, by keys.

    Raises:
        DefinitionError: the mapping names a stage that is in neither definition.
    """
    pipeline = session.pipeline
    known = stored_stages(row)
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
    return {str(old): str(new) for old, new in mapping.items()}


def _gone(session: Session, row: PipelineRow, renamed: Mapping[str, str]) -> list[str]:
    """Return the stored stages that are in neither this pipeline nor what is renamed."""
    rungs = session.pipeline.ladder.rungs
    return [key for key in stored_stages(row) if key not in rungs and key not in renamed]


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


publish("ladderpipe", MigrationReport, MigrationPlan)

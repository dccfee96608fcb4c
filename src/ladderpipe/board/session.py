"""What a board is bound to: pipeline, store, clock and settings; begins units of work."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, TypeVar

import attrs

from ..errors import DefinitionError, PipelineChangedError, StoreError
from ..ladder.fingerprint import differences, fold_definition, function_name
from ..model.clock import Clock, instant
from ..model.customer import contact_keys
from ..model.delivery import Backoff, StaleEffects
from ..observability.observer import Observer
from ..pipeline import Pipeline
from ..stores import bridge
from ..stores.base import PipelineRow, Store, Transaction
from .clock_watch import LEASE, ClockWatch, latest_retry
from .merge import untangle
from .unit import Unit

if TYPE_CHECKING:
    from ..model.effect import Handler
    from .heartbeat import Heartbeat

__all__ = ["Session"]

RETRIES: Final = 6
"""How often a transaction is begun again before its error is the caller's."""
FIRST_PAUSE: Final = 0.02

_ADOPTING: Final = "board.migrate({}) on a board that was opened with adopting=True"
"""The longest pause before the first retry, in seconds; it doubles."""

Result = TypeVar("Result")


@attrs.define(eq=False)
class Session:
    """The bindings of one board; boards that join a connection share all but the store.

    Attributes:
        number: the store's number for the pipeline.
        max_skew: how far in the future an event may be.
        lease: how long a worker may take over one delivery before another may try.
        read_only: whether every write is refused.
        clock_watch: refuses to sweep by a wrong clock.
        observer: tells what the board does.
        stale_effects: what becomes of many effects that are older than a week, if that is said.
        stale_sent: when this process took such ones.
        secret: the store's own, which hashes of addresses are keyed with; of a board that only
            reads it may be empty.
        has_held: whether events were held when effects to deliver were looked for.
        is_indexed: whether every deal's customer is known to have been worked out.
        renewed_to: up to which deal this process has worked out the customers once more, since
            the store knows of another ``customer=``; ``None`` where it knows of this one.
        heartbeat: what a worker gives signs of life by, while one is at work.
    """

    pipeline: Pipeline
    store: Store
    clock: Clock
    number: int = 0
    max_skew: dt.timedelta = dt.timedelta(minutes=5)
    lease: dt.timedelta = LEASE
    backoff: Backoff = attrs.field(factory=Backoff)
    handlers: dict[str, Handler] = attrs.field(factory=dict)
    read_only: bool = False
    clock_watch: ClockWatch = attrs.field(factory=ClockWatch)
    stale_effects: StaleEffects | None = None
    stale_sent: list[dt.datetime] = attrs.field(factory=list)
    secret: bytes = attrs.field(default=b"", repr=False)
    is_indexed: bool = False
    renewed_to: int | None = None
    has_held: bool = False
    heartbeat: Heartbeat | None = None
    observer: Observer = attrs.field(
        default=attrs.Factory(lambda self: Observer(self.pipeline.name), takes_self=True)
    )

    def now(self) -> dt.datetime:
        """Return the clock's time in UTC.

        Raises:
            InstantError: the clock is naive.
        """
        return instant(self.clock.now())

    def latest_retry(self, now: dt.datetime) -> dt.datetime:
        """Return the instant beyond which nobody puts anything off whose clock is right."""
        return latest_retry(now, self.lease, self.backoff)

    def writing(self, quiet: bool = False) -> AbstractContextManager[Unit]:
        """Begin a unit that is written and committed when the block ends.

        Raises:
            StoreError: the board was opened only to read.
        """
        if self.read_only:
            raise StoreError("this board only reads: open it without read_only=True to write")
        return _Writing(self, quiet)

    def retried(self, work: Callable[[], Result]) -> Result:
        """Do one transaction's work, again where the store says that it may succeed then.

        What was stored by a try whose answer got lost is found to be a duplicate by the next.
        """
        for number in range(RETRIES):
            try:
                return work()
            except Exception as error:
                if not self.store.may_retry(error):
                    raise
                self.observer.retried(error, number + 1)
            bridge.sleep(_pause(number))
        return work()

    def has_changed(self) -> bool:
        """Return whether the store holds another definition than this one, or is migrating."""
        with self.reading() as transaction:
            row = transaction.pipeline(self.pipeline.name)
        fingerprint = self.pipeline.fingerprint
        return row is None or row.migrating is not None or row.fingerprint != fingerprint

    @contextlib.contextmanager
    def reading(self) -> Iterator[Transaction]:
        """Begin a transaction that only reads."""
        if self.heartbeat is not None:
            self.heartbeat.beat()
        with self.store.transaction(write=False) as transaction:
            yield transaction

    def adopt_or_refuse(self, refuse: bool) -> None:
        """Note the pipeline in a store that does not know it, or compare with what it knows.

        Raises:
            PipelineChangedError: it knows another definition, and *refuse* says to mind.
            StoreError: it knows none, and the board only reads; or the board would write, and the
                deals live elsewhere, or the store's are its own and the board only follows.
        """
        fingerprint = self.pipeline.fingerprint
        with self.reading() as transaction:
            row = transaction.pipeline(self.pipeline.name)
            self.secret = transaction.secret() or b""
        if not self.secret and not self.read_only:
            with self.store.transaction() as transaction:
                self.secret = transaction.secret(create=True) or b""
        if row is None and self.read_only:
            raise StoreError(
                f"the store holds no pipeline {self.pipeline.name!r}: check which one is meant"
            )
        if row is None:
            definition = definition_text(self.pipeline, customer_named(self.pipeline))
            with self.store.transaction() as transaction:
                name = self.pipeline.name
                row = transaction.pipeline(name, change=True) or transaction.save_pipeline(
                    name, fingerprint, definition, None
                )
        elif not self.read_only:
            self._refuse_if_elsewhere(row)
            if customer_told(row) != customer_named(self.pipeline):
                self.renewed_to = 0
            if row.migrating is None and row.fingerprint == fingerprint:
                self._refresh(row, customer_told(row))
        self.number = row.id
        if refuse and (row.migrating is not None or row.fingerprint != fingerprint):
            raise PipelineChangedError(self._what_changed(row))

    def _refuse_if_elsewhere(self, row: PipelineRow) -> None:
        follows = json.loads(row.definition).get("follows", False)
        if follows == self.pipeline.follows:
            return
        if follows:
            raise StoreError(
                f"the deals of pipeline {row.name!r} live elsewhere, and this store follows them: "
                "whatever a board wrote here they would not know. Open it with read_only=True, "
                "for reports, or by what keeps it, such as ladderpipe.temporal.Projection"
            )
        raise StoreError(
            f"the store holds deals of pipeline {row.name!r} that are its own, and would have to "
            "follow those that live elsewhere as well: name a store of its own for them"
        )

    def end_renewal(self) -> None:
        """Note that every deal's customer is the one that this pipeline's ``customer=`` finds."""
        with self.reading() as transaction:
            row = transaction.pipeline(self.pipeline.name)
        if row is not None and not row.migrating and row.fingerprint == self.pipeline.fingerprint:
            self._refresh(row, customer_named(self.pipeline))
            self.renewed_to = None

    def _refresh(self, row: PipelineRow, customer: str | None) -> None:
        """Keep titles, probabilities and sequences up to date, which no history depends on.

        Args:
            customer: what names the function that has worked out the customers.
        """
        definition = definition_text(self.pipeline, customer)
        if row.definition == definition:
            return
        with self.store.transaction() as transaction:
            # Titles are no reason to wait for every writer, but somebody may have adopted another
            # ladder since that was read, and it must not be undone.
            found = transaction.pipeline(row.name)
            if found is not None and found.fingerprint == row.fingerprint and not found.migrating:
                transaction.save_pipeline(row.name, row.fingerprint, definition, None)

    def _what_changed(self, row: PipelineRow) -> str:
        if row.migrating is not None:
            return (
                f"a migration of pipeline {row.name!r} is not finished: resume it with "
                f"{_ADOPTING.format('the same mapping')}"
            )
        with self.reading() as transaction:
            counts = transaction.stage_counts(row.id, besides=self.pipeline.ladder.rungs)
        gone = [f"{count} in {stage!r}" for stage, count in sorted(counts.items())]
        is_renamed = any(key not in self.pipeline.ladder.rungs for key in stored_stages(row))
        how = _ADOPTING.format("{'old_stage': new_stage}" if is_renamed else "")
        stranded = f"; deals in stages that no longer exist: {', '.join(gone)}" if gone else ""
        return (
            f"the store holds another definition of pipeline {row.name!r}: "
            f"{'; '.join(differences_from(row, self.pipeline))}{stranded}. Adopt this one with "
            f"{how}, or go back to the old definition"
        )


class _Writing:
    """A unit of work for a block; a class, which begins and ends faster than a generator."""

    __slots__ = ("_quiet", "_session", "_transaction", "_unit")

    def __init__(self, session: Session, quiet: bool) -> None:
        self._session = session
        self._quiet = quiet
        if session.heartbeat is not None:
            session.heartbeat.beat()
        self._transaction = session.store.transaction()

    def __enter__(self) -> Unit:
        session = self._session
        transaction = self._transaction.__enter__()
        self._unit = Unit(
            session.pipeline, session.number, transaction, session.now, self._quiet, session.secret
        )
        return self._unit

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        if kind is not None:
            return self._transaction.__exit__(kind, error, traceback)
        unit = self._unit
        try:
            unit.flush()
            untangle(unit)
            unit.lock_customers()
        except BaseException as raised:
            self._transaction.__exit__(type(raised), raised, raised.__traceback__)
            raise
        self._transaction.__exit__(None, None, None)
        self._session.observer.committed(unit.moves, unit.refolds)
        return None


def _pause(number: int) -> float:
    import random

    return random.uniform(0, FIRST_PAUSE * 2**number)


def stored_stages(row: PipelineRow) -> list[str]:
    """Return the keys of the stages that a store knows of a pipeline."""
    return [stage["key"] for stage in json.loads(row.definition)["fold"]["stages"]]


def differences_from(row: PipelineRow, pipeline: Pipeline) -> list[str]:
    """Say in words how a pipeline differs from what a store holds of it under another print."""
    stored = json.loads(row.definition)["fold"]
    return differences(stored, fold_definition(pipeline.ladder)) or ["the order of rules or stages"]


def customer_named(pipeline: Pipeline) -> str | None:
    """Return what names the way in which a pipeline finds customers; ``None`` for the usual one."""
    if pipeline.customer is contact_keys:
        return None
    return "" if pipeline.customer is None else function_name(pipeline.customer)


def customer_told(row: PipelineRow) -> str | None:
    """Return the name of that way for the deals of a store, before a change of it is through."""
    name: str | None = json.loads(row.definition).get("customer")
    return name


def definition_text(pipeline: Pipeline, customer: str | None = None) -> str:
    """Return what a store keeps of a definition.

    That is what matters to the fold, which events are expected and, if it has a plain form, all of
    it: so the command line can read a store by its URL alone. And that its deals live elsewhere,
    where they do.

    Args:
        customer: what names the function that has worked out the customers of the deals.
    """
    try:
        whole = pipeline.to_dict(hooks=False)
    except DefinitionError:
        whole = None
    kept: dict[str, Any] = {
        "fold": fold_definition(pipeline.ladder),
        "whole": whole,
        "events": pipeline.events,
    }
    if pipeline.follows:
        kept["follows"] = True
    return json.dumps(kept if customer is None else {**kept, "customer": customer})

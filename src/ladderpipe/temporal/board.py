"""What a program asks: a board's methods, to be awaited, each about one deal."""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
import inspect
import os
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Mapping
from decimal import Decimal
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowHandle,
    WorkflowUpdateFailedError,
)
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from ..board.board import Board
from ..errors import DealNotFoundError, LadderError, StoreError
from ..model.canonical import canonical
from ..model.clock import ManualClock, SystemClock, instant_text
from ..model.deal import KEEP, Deal
from ..model.effect import Effect, Task
from ..model.event import Event, Identity
from ..model.receipt import Outcome, Receipt
from ..model.report import BatchReport, EventFailure
from ..model.stage import Stage
from ..pipeline import Pipeline
from ..public import publish
from ..stores import MemoryStore
from .customer import say
from .wire import refusal_of, workflow_id
from .workflow import workflow_type

__all__ = ["TASK_QUEUE", "TemporalBoard"]

Given = ParamSpec("Given")
Result = TypeVar("Result")

TASK_QUEUE: Final = "ladderpipe"
AT_ONCE: Final = 32
_TRIES: Final = 5
_CLOSED_MEANWHILE: Final = "AcceptedUpdateCompletedWorkflow"


def told_by_hand(
    method: Callable[Concatenate[Board, Given], Receipt],
) -> Callable[Concatenate[TemporalBoard, Given], Coroutine[Any, Any, Receipt]]:
    """Return a board's method for a hand as one that asks the deal's workflow."""
    signature, name = inspect.signature(method), method.__name__

    @functools.wraps(method)
    async def call(
        board: TemporalBoard, /, *arguments: Given.args, **named: Given.kwargs
    ) -> Receipt:
        given = dict(signature.bind(board, *arguments, **named).arguments)
        given.pop("self")
        return await board._by_hand(name, given["deal"], given)

    return call


def read_by(
    method: Callable[Concatenate[Board, Given], Result],
) -> Callable[Concatenate[TemporalBoard, Given], Coroutine[Any, Any, Result]]:
    """Return what a board's method reads of a deal, whose id is its first argument."""
    signature = inspect.signature(method)

    @functools.wraps(method)
    async def call(
        board: TemporalBoard, /, *arguments: Given.args, **named: Given.kwargs
    ) -> Result:
        given = signature.bind(board, *arguments, **named).arguments
        if not isinstance(given.get("deal"), str):
            raise TypeError(
                f"{method.__name__}: name the deal; a board on Temporal reads one at a time, and "
                "what is about many is read from a store that they are projected into"
            )
        return method(await board._copy(given["deal"]), *arguments, **named)

    return call


class TemporalBoard:
    """A pipeline whose deals are workflows; its methods are those of a board, to be awaited.

    What they take, return and raise is what :class:`~ladderpipe.Board`'s do. A method is about one
    deal, whose workflow it asks; the first event of a deal begins that. What is refused is
    raised here as the same error, with Temporal's as its ``__cause__``.

    Args:
        client: connected; it needs no plugin for this, the workers do.
        pipeline: the ladder, the same as the workers'.
        task_queue: what the workers work on.
        secret: the workers', where somebody unsubscribes here.
    """

    def __init__(
        self,
        client: Client,
        pipeline: Pipeline,
        *,
        task_queue: str = TASK_QUEUE,
        secret: bytes | None = None,
    ) -> None:
        self._client = client
        self._pipeline = pipeline
        self._task_queue = task_queue
        self._secret = secret

    @property
    def pipeline(self) -> Pipeline:
        """The ladder."""
        return self._pipeline

    def __repr__(self) -> str:
        return f"<TemporalBoard {self._pipeline.name!r} on {self._task_queue!r}>"

    # -- events -------------------------------------------------------------------------------

    async def handle(self, event: Event, hold: bool = False, *, quiet: bool = False) -> Receipt:
        """Take one event, and say what became of it: see :meth:`ladderpipe.Board.handle`."""
        asked = {"event": event.to_dict(), "hold": hold, "quiet": quiet}
        return self._receipt(await self._ask("handle", event.deal, asked, begins=True))

    async def handle_many(
        self,
        events: Iterable[Event],
        quiet: bool = False,
        hold: bool = False,
        *,
        at_once: int = AT_ONCE,
    ) -> BatchReport:
        """Take many events, and keep the bad ones from the good.

        Those of one deal are told one after another, in the order in which they are given.

        Args:
            at_once: how many deals are asked at the same time.
        """
        by_deal: dict[str, list[tuple[int, Event]]] = {}
        for position, event in enumerate(events):
            by_deal.setdefault(event.deal, []).append((position, event))
        outcomes: Counter[Outcome] = Counter()
        failures: list[EventFailure] = []
        gate = asyncio.Semaphore(at_once)

        async def tell(told: list[tuple[int, Event]]) -> None:
            async with gate:
                for position, event in told:
                    try:
                        receipt = await self.handle(event, hold, quiet=quiet)
                    except LadderError as error:
                        failures.append(EventFailure(position, event, error))
                    else:
                        outcomes[receipt.outcome] += 1

        async with asyncio.TaskGroup() as group:
            for told in by_deal.values():
                group.create_task(tell(told))
        ordered = sorted(failures, key=lambda failure: failure.position)
        return BatchReport(dict(outcomes), tuple(ordered))

    move = told_by_hand(Board.move)
    override = told_by_hand(Board.override)
    edit = told_by_hand(Board.edit)
    undo = told_by_hand(Board.undo)

    async def withdraw(
        self,
        deal: str,
        event: Event | Identity | tuple[str, str] | str,
        *,
        by: str,
        reason: str | None = None,
        source: str = "",
        id: str | None = None,
    ) -> Receipt:
        """Take an event of a deal back: see :meth:`ladderpipe.Board.withdraw`.

        Args:
            deal: whose it is; on Temporal an event is looked for nowhere else.
        """
        given = {"event": event, "by": by, "reason": reason, "source": source, "id": id}
        return await self._by_hand("withdraw", deal, given)

    # -- reading ------------------------------------------------------------------------------

    async def deal(self, id: str) -> Deal:
        """Return a deal as it stands.

        Raises:
            DealNotFoundError: no such deal has been opened.
            PipelineChangedError: another definition folds it.
        """
        told = await self._query(id, "deal") or {}
        if told.get("deal") is None or told["fingerprint"] != self._fingerprint:
            return (await self._copy(id)).deal(id)
        return Deal.from_dict(told["deal"], self._pipeline.stages)

    history = read_by(Board.history)
    events = read_by(Board.events)
    explain = read_by(Board.explain)
    options = read_by(Board.options)
    effects = read_by(Board.effects)
    held = read_by(Board.held)

    async def tasks(self, deal: str) -> list[Task]:
        """Return a deal's open tasks, the most urgent first."""
        return (await self._copy(deal)).tasks(deal=deal)

    # -- effects and tasks --------------------------------------------------------------------

    async def complete(self, task: Task) -> Task:
        """Note that a person has done a task: see :meth:`ladderpipe.Board.complete`."""
        return Task.from_dict(await self._ask("complete", task.deal, {"task": task.key}))

    async def assign(self, task: Task, to: str | None, *, by: str) -> Task:
        """Give an open task to somebody: see :meth:`ladderpipe.Board.assign`."""
        asked = {"task": task.key, "to": to, "by": by}
        return Task.from_dict(await self._ask("assign", task.deal, asked))

    async def send_again(self, effect: Effect) -> None:
        """Give a dead letter all its tries again: see :meth:`ladderpipe.Board.send_again`."""
        await self._ask("send_again", effect.deal, {"effect": effect.key})

    async def drop(self, effect: Effect, *, by: str, reason: str) -> None:
        """Put a dead letter aside for good: see :meth:`ladderpipe.Board.drop`."""
        asked = {"effect": effect.key, "by": by, "reason": reason}
        await self._ask("drop", effect.deal, asked)

    # -- customers ----------------------------------------------------------------------------

    async def unsubscribe(self, key: str, channel: str = "email") -> None:
        """Note that the holder of an address wants nothing more there, whatever the deal.

        Args:
            key: the address, or what a delivery's ``recipient`` names.
            channel: ``"email"``, or ``"phone"`` (also ``"sms"``, ``"whatsapp"``).

        Raises:
            InvalidEventError: the key is neither, or this board has no secret.
        """
        await say(self._client, self._task_queue, self._secret, key, channel, wanted=False)

    async def subscribe(self, key: str, channel: str = "email") -> None:
        """Note that the holder of an address wants to be written to again: see above.

        Raises:
            InvalidEventError: the key is neither, or this board has no secret.
        """
        await say(self._client, self._task_queue, self._secret, key, channel, wanted=True)

    # -- a changed ladder ---------------------------------------------------------------------

    async def adopt(self, deal: str, mapping: Mapping[str, Stage] | None = None) -> None:
        """Let a deal that another definition folds go on with this board's.

        It is tried on a copy first, so that what cannot be carried over is refused here. The deal
        goes on with a baseline (S15), on a worker that has this definition.

        Args:
            mapping: old stage key to new stage, for every stage that is gone.

        Raises:
            DealNotFoundError: no such deal has been opened.
            PipelineChangedError: a stage that is gone is not in the mapping.
            DefinitionError: the mapping names a stage that is in neither definition.
            MigrationError: the deal cannot be carried over.
        """
        copy = await self._copy(deal, adopting=True)
        copy.migrate(mapping)
        copy.explain(deal)  # which is nobody's where nobody has heard of it
        if (await self._query(deal, "snapshot") or {}).get("fingerprint") == self._fingerprint:
            return
        renamed = {old: str(new) for old, new in (mapping or {}).items()}
        await self._update(
            "adopt", deal, {"fingerprint": self._fingerprint, "mapping": renamed}, begins=False
        )

    # -- how ----------------------------------------------------------------------------------

    @property
    def _fingerprint(self) -> str:
        return self._pipeline.fingerprint

    def _receipt(self, told: Mapping[str, Any]) -> Receipt:
        return Receipt.from_dict(told, self._pipeline.stages)

    async def _by_hand(self, name: str, deal: str, given: Mapping[str, Any]) -> Receipt:
        asked = {key: _plain(value) for key, value in given.items() if value is not KEEP}
        asked["id"] = asked.get("id") or os.urandom(16).hex()
        try:
            return self._receipt(await self._ask(name, deal, asked))
        except _NoWorkflow:
            # Of a deal that nobody has heard of, a board says all that there is to say; a hand may
            # open one.
            getattr(self._empty(), name)(**asked)
            return self._receipt(await self._ask(name, deal, asked, begins=True))

    async def _ask(
        self, name: str, deal: str, asked: Mapping[str, Any], *, begins: bool = False
    ) -> Any:
        told = {"fingerprint": self._fingerprint, "asked": asked}
        return await self._update(name, deal, told, begins=begins)

    async def _update(self, name: str, deal: str, told: Mapping[str, Any], *, begins: bool) -> Any:
        for tries_left in reversed(range(_TRIES)):
            try:
                return await self._update_once(name, deal, told, begins)
            except WorkflowUpdateFailedError as error:
                if tries_left and _has_gone_on(error.cause):
                    continue  # it continued as new at this moment, and told again is harmless
                refusal = refusal_of(error.cause, self._pipeline)
                if refusal is None:
                    raise
                raise refusal from error
            except RPCError as error:
                if error.status is RPCStatusCode.NOT_FOUND:
                    raise _NoWorkflow(f"no event of deal {deal!r} is known") from error
                if error.status is RPCStatusCode.FAILED_PRECONDITION:
                    raise StoreError(
                        f"the workflow of deal {deal!r} cannot go on, and nothing was stored: see "
                        "in Temporal why its task fails; where that is PipelineChangedError, run a "
                        "worker with the definition that the deal has"
                    ) from error
                raise
        raise AssertionError  # pragma: no cover - the last try returns or raises

    async def _update_once(
        self, name: str, deal: str, told: Mapping[str, Any], begins: bool
    ) -> Any:
        if not begins:
            return await self._workflow(deal).execute_update(name, told)
        start: WithStartWorkflowOperation[Any, Any] = WithStartWorkflowOperation(
            workflow_type(self._pipeline.name),
            {"deal": deal},
            id=workflow_id(self._pipeline.name, deal),
            task_queue=self._task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )
        return await self._client.execute_update_with_start_workflow(
            name, told, start_workflow_operation=start
        )

    def _workflow(self, deal: str) -> WorkflowHandle[Any, Any]:
        return self._client.get_workflow_handle(workflow_id(self._pipeline.name, deal))

    async def _query(self, deal: str, name: str) -> Any:
        try:
            return await self._workflow(deal).query(name)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise

    async def _copy(self, deal: str, adopting: bool = False) -> Board:
        """Return a board in memory that holds the deal as it is, at the workflow's time."""
        told = await self._query(deal, "snapshot")
        if told is None:
            return self._empty()
        return Board(
            self._pipeline,
            store=MemoryStore.load(told["store"]),
            clock=ManualClock(told["now"]),
            adopting=adopting,
        )

    def _empty(self) -> Board:
        return Board(self._pipeline, store=MemoryStore(), clock=SystemClock())


class _NoWorkflow(DealNotFoundError):
    """No workflow of that deal runs."""


def _has_gone_on(cause: BaseException | None) -> bool:
    return isinstance(cause, ApplicationError) and cause.type == _CLOSED_MEANWHILE


def _plain(value: Any) -> Any:
    """Return an argument as JSON has it."""
    if isinstance(value, Stage):
        return value.key
    if isinstance(value, dt.datetime):
        return instant_text(value)
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, Event | Identity):
        return Identity(value.source, value.id).to_dict()
    if isinstance(value, tuple):
        return Identity(*value).to_dict()
    return canonical(value) if isinstance(value, Mapping) else value


publish("ladderpipe.temporal", TemporalBoard)

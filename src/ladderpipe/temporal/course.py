"""A deal's course inside its workflow: a board in memory whose time is the workflow's.

Nothing here decides anything about deals: that is the board's. What is here is what makes it
durable and replayable: its clock, its chances, what it carries from run to run, and when it wakes.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections.abc import Mapping
from typing import Any, Final

import attrs
from temporalio import workflow

from ..board.board import Board
from ..board.boundary import as_failure
from ..errors import DealNotFoundError, InvalidEventError, LadderError, PipelineChangedError
from ..model.clock import instant_text
from ..model.delivery import Backoff
from ..model.event import Event, Identity
from ..observability.observer import Observer
from ..stores import MemoryStore
from .compact import compact
from .deliveries import Deliveries
from .settings import DealSettings
from .wire import failure_of, size_of

__all__ = ["ASKED", "DRIVEN", "Course"]

NAMED: Final = ("move", "override", "edit", "withdraw", "undo")
"""What is told under an id, which whoever asks has to give: one drawn here would be another in each
replay."""
ASKED: Final = ("handle", *NAMED, "complete", "assign", "send_again", "drop")
"""The board's methods that a caller may ask for by an update."""
DRIVEN: Final = ("tick", "deliver")
"""What is asked for, too, where the clock is not the workflow's: see :class:`DealSettings`."""


class Course:
    """One run of a deal's workflow.

    Args:
        carried: what the run before it left, or what the one who started it said.

    Raises:
        PipelineChangedError: what is carried was folded with another definition. The workflow's
            task fails then, and is tried again until a worker that has that definition takes it.
    """

    def __init__(self, settings: DealSettings, carried: Mapping[str, Any]) -> None:
        self._settings = settings
        self._pipeline = settings.pipeline
        self.deal: str = carried["deal"]
        self._news = False
        self._was_asked = "store" in carried
        self._updates = 0
        self._adopted: Mapping[str, Any] | None = None
        self._is_driven = settings.clock is not None
        self._may_start = not self._is_driven
        self._board = self._opened(carried)
        session = self._board._session
        told = carried.get("companions", {})
        self._companions = {
            name: settings.companions[name](session, self.deal, carries)
            for name, carries in told.items()
            if name in settings.companions
        }
        self._rounds = 0
        self.deliveries = Deliveries(settings, session, self._companions.values(), self._wake)
        self._alarm: tuple[dt.datetime, asyncio.Task[None]] | None = None

    def _opened(self, carried: Mapping[str, Any]) -> Board:
        adopt = carried.get("adopt")
        if adopt is not None and adopt["fingerprint"] != self._pipeline.fingerprint:
            raise PipelineChangedError(
                f"deal {self.deal!r} is to go on with definition {adopt['fingerprint']!r} of "
                f"pipeline {self._pipeline.name!r}, and this worker has "
                f"{self._pipeline.fingerprint!r}: run a worker that has the other one"
            )
        secret = self._settings.secret or workflow.random().randbytes(32)
        told = carried.get("store") or {
            "next_id": 1,
            "secrets": [["hashes", {"bytes": secret.hex()}]],
        }
        board = Board(
            self._pipeline,
            store=MemoryStore.load(told),
            clock=self._settings.clock or WorkflowClock(),
            max_skew=self._settings.max_skew,
            lease=self._settings.lease,
            backoff=WorkflowBackoff(**attrs.asdict(self._settings.backoff)),
            max_clock_difference=None,
            adopting=adopt is not None,
        )
        board._session.observer = WorkflowObserver(self._pipeline.name)
        if adopt is not None:
            stages = {stage.key: stage for stage in self._pipeline.stages}
            board.migrate({old: stages[new] for old, new in adopt["mapping"].items()})
        return board

    # -- what callers ask ---------------------------------------------------------------------

    def check(self, name: str, told: Mapping[str, Any]) -> None:
        """Refuse what is no sense before it is in the workflow's history.

        Raises:
            ApplicationError: the refusal.
        """
        try:
            self._check_definition(told)
            self._read(name, told)
        except LadderError as error:
            raise failure_of(error) from error

    def _check_definition(self, told: Mapping[str, Any]) -> None:
        if not isinstance(told, Mapping) or told.get("fingerprint") != self._pipeline.fingerprint:
            raise PipelineChangedError(
                f"deal {self.deal!r} runs on another definition of pipeline "
                f"{self._pipeline.name!r} than the one that asks: adopt it with "
                "TemporalBoard.adopt, or ask with the definition that the deal has"
            )

    def _read(self, name: str, told: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a board's method is given."""
        asked = told.get("asked")
        if not isinstance(asked, Mapping):
            raise InvalidEventError(f"{name}: there is nothing under 'asked': ask TemporalBoard")
        given = dict(asked)
        if name == "handle":
            event = given.get("event")
            if not isinstance(event, Mapping):
                raise InvalidEventError("handle: 'event' is what Event.to_dict() returns")
            given["event"] = read = Event.from_dict(event)
            if read.deal != self.deal:
                raise InvalidEventError(
                    f"event {read.id!r} is of deal {read.deal!r}, and this is {self.deal!r}"
                )
        elif name in NAMED:
            if not isinstance(given.get("id"), str) or not given["id"]:
                raise InvalidEventError(f"{name}: give it an id, so that a replay has the same")
            if isinstance(given.get("event"), Mapping):
                given["event"] = Identity.from_dict(given["event"])
        return given

    def take(self, name: str, told: Mapping[str, Any]) -> dict[str, Any] | None:
        """Do what is asked, and return the board's answer as JSON values.

        Raises:
            ApplicationError: the board refused it; nothing was stored.
            PipelineChangedError: it was taken by a worker with another definition, and this is a
                replay: see :class:`Course`.
        """
        self._check_definition(told)
        self._was_asked = True
        self._updates += 1
        self._wake()
        if name == "deliver":
            self._may_start = True
            return None
        try:
            answer = getattr(self._board, name)(**self._read(name, told))
        except Exception as error:
            # Whatever a hook or a guard raises is this caller's: an error that failed the task
            # would come again with each retry, and the deal would answer nobody any more.
            failure = as_failure(self.deal, error)
            raise failure_of(failure) from failure
        return answer.to_dict() if hasattr(answer, "to_dict") else None

    def check_adopt(self, told: Mapping[str, Any]) -> None:
        """Refuse what names no other definition.

        Raises:
            ApplicationError: the refusal.
        """
        mapping = told.get("mapping")
        is_whole = isinstance(told.get("fingerprint"), str) and isinstance(mapping, Mapping)
        if not is_whole or told["fingerprint"] == self._pipeline.fingerprint:
            raise failure_of(
                InvalidEventError(
                    f"adopt: deal {self.deal!r} has this definition already, or none is named: "
                    "ask TemporalBoard.adopt, with the new one"
                )
            )

    async def is_known(self) -> None:
        """Wait until whoever must not miss what was taken knows of it."""
        self._begin_companions()
        for companion in self._companions.values():
            await companion.known()

    def adopt(self, told: Mapping[str, Any]) -> None:
        """Go on with another definition as soon as nothing is under way."""
        self._adopted = {"fingerprint": told["fingerprint"], "mapping": told["mapping"]}
        self._wake()

    def snapshot(self) -> dict[str, Any]:
        """Return the deal whole, as a board in memory elsewhere reads it."""
        store = self._board.store
        assert isinstance(store, MemoryStore)
        return {
            "deal": self.deal,
            "fingerprint": self._pipeline.fingerprint,
            "now": instant_text(self._board._session.now()),
            "store": store.dump(),
        }

    def deal_as_it_stands(self) -> dict[str, Any]:
        """Return the deal as JSON values, if it is open, and by which definition."""
        told: dict[str, Any] = {"fingerprint": self._pipeline.fingerprint, "deal": None}
        with contextlib.suppress(DealNotFoundError):
            told["deal"] = self._board.deal(self.deal).to_dict()
        return told

    # -- its course ---------------------------------------------------------------------------

    async def run(self) -> None:
        """Fire timers and send what is due, until the run is long enough."""
        await workflow.wait_condition(lambda: self._was_asked)
        if not self._is_about_a_deal():
            return  # what was asked first was refused, and there is nothing to keep
        while True:
            self._news = False
            self._begin_companions()
            if not self._is_driven:
                self._board.tick()
            self.deliveries.cancel_what_ended()
            if not self._is_long_enough():
                if self._may_start:
                    self.deliveries.start()
                    self._may_start = not self._is_driven
            elif self._is_drained():
                self._continue_as_new()
            for companion in self._companions.values():
                companion.changed()
            self._set_alarm()
            await workflow.wait_condition(
                lambda: self._news or (self._is_long_enough() and self._is_drained())
            )

    def _begin_companions(self) -> None:
        """Begin those that the run has not had yet, at a round that its history has noted.

        So what a worker is given today goes along with deals that have run for months, and a replay
        of them begins it where it began.
        """
        wanting = self._settings.companions.keys() - self._companions.keys()
        self._rounds += bool(wanting)
        for name in sorted(wanting):
            begin = self._settings.companions[name]
            if workflow.patched(f"ladderpipe:{name}:{self._rounds}"):
                self._companions[name] = begin(self._board._session, self.deal, None)

    def _wake(self) -> None:
        self._news = True

    def _is_about_a_deal(self) -> bool:
        with self._board._session.reading() as transaction:
            session = self._board._session
            is_known = transaction.load(session.number, self.deal, create=False)[0] is not None
            return is_known or bool(transaction.held(session.number))

    def _is_long_enough(self) -> bool:
        return (
            self._adopted is not None
            or self._updates >= self._settings.most_updates
            or workflow.info().is_continue_as_new_suggested()
        )

    def _is_drained(self) -> bool:
        """Return whether nobody waits for an answer and nothing is being sent."""
        return workflow.all_handlers_finished() and not self.deliveries.are_under_way

    def _continue_as_new(self) -> None:
        carried = {"deal": self.deal, "store": self.snapshot()["store"]}
        is_told = not any(companion.is_behind for companion in self._companions.values())
        if is_told and size_of(carried) > self._settings.most_bytes:
            compact(self._board._session, self.deal)
            carried["store"] = self.snapshot()["store"]
        carried["companions"] = {
            name: companion.carried() for name, companion in self._companions.items()
        }
        if self._adopted is None:
            workflow.continue_as_new(carried)
        workflow.continue_as_new(
            {**carried, "adopt": self._adopted},
            initial_versioning_behavior=workflow.ContinueAsNewVersioningBehavior.AUTO_UPGRADE,
        )

    def _set_alarm(self) -> None:
        """Let the run go on when something is due; an alarm that is right already stays set."""
        due = self._next_due()
        if self._alarm is not None:
            if self._alarm[0] == due and not self._alarm[1].done():
                return
            self._alarm[1].cancel()
            self._alarm = None
        if due is not None:
            seconds = (due - self._board._session.now()).total_seconds()
            self._alarm = due, asyncio.create_task(self._ring(max(seconds, 0.001)))

    async def _ring(self, seconds: float) -> None:
        await workflow.sleep(seconds)
        self._wake()

    def _next_due(self) -> dt.datetime | None:
        session = self._board._session
        with session.reading() as transaction:
            wakes = [transaction.next_wake(session.number, ())]
        if not self._is_long_enough():
            wakes.append(self.deliveries.next_due())
        return min((at for at in wakes if at is not None), default=None)


class WorkflowClock:
    """The time of the workflow's task: the same in every replay."""

    def now(self) -> dt.datetime:
        """Return it."""
        return workflow.now()


@attrs.frozen
class WorkflowBackoff(Backoff):
    """A backoff whose jitter is the same in every replay."""

    def delay(self, failures: int) -> dt.timedelta:
        """Return how long to wait after the given number of failures (from 1)."""
        full = min(self.longest, self.first * self.factor ** min(failures - 1, 64))
        return dt.timedelta(seconds=full / 2 + workflow.random().random() * full / 2)


class WorkflowObserver(Observer):
    """Tells what a board does once, and not again in every replay."""

    def _record(self, *arguments: Any, **fields: Any) -> None:
        if not workflow.unsafe.is_replaying():
            super()._record(*arguments, **fields)

    @property
    def _telemetry(self) -> Any:
        return None if workflow.unsafe.is_replaying() else super()._telemetry

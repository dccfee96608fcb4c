"""Effects as activities: scheduled when they are due, one try at a time, cancelled on leaving.

A try is an activity whose id is the effect's key, so that no two tries of one effect run at once.
Before each the board's own claim asks whether the visit is still current, whether it is too late,
and what the send policy says; so a mail that failed at noon is asked about again at six.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from temporalio import activity, workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

from ..board.boundary import as_failure, go_on_or_raise, storable
from ..board.claim import Claim, bring_up_to_date, claim, why_not
from ..board.deliver import heed, postpone, settle_once
from ..board.session import Session
from ..errors import UndeliverableError
from ..model.clock import instant, instant_text
from ..model.delivery import EffectState
from ..model.effect import Drop, Handler, Later
from ..model.stage import TASK
from ..stores.base import EffectRow
from .companion import Companion
from .settings import DealSettings
from .wire import delivery_from, delivery_to

__all__ = ["Deliveries", "deliver_activity"]

_LONGEST_ERROR: Final = 2_000


class Deliveries:
    """A deal's effects that are under way.

    Args:
        companions: asked before each whether it may go.
        told: called when one of them has ended.
    """

    def __init__(
        self,
        settings: DealSettings,
        session: Session,
        companions: Collection[Companion],
        told: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._session = session
        self._companions = companions
        self._told = told
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._tries: dict[str, workflow.ActivityHandle[Any]] = {}
        self._ended: dict[str, EffectState] = {}

    @property
    def are_under_way(self) -> bool:
        """Whether any is."""
        return bool(self._tasks)

    def _waiting(self) -> list[EffectRow]:
        with self._session.reading() as transaction:
            rows = transaction.effects(self._session.number, None, ("pending", "claimed"))
        return [row for row in rows if row.name != TASK and row.key not in self._tasks]

    def next_due(self) -> dt.datetime | None:
        """Return when the next one is to be sent that nobody is at."""
        return min((row.ready_at for row in self._waiting()), default=None)

    def start(self) -> None:
        """Begin to send what is due."""
        now = self._session.now()
        for row in self._waiting():
            if row.ready_at <= now:
                self._tasks[row.key] = asyncio.create_task(self._send(row))

    def cancel_what_ended(self) -> None:
        """Call back what must not be sent any more, as far as nobody has begun with it."""
        for key, attempt in self._tries.items():
            ended = None if key in self._ended else self._why_not(key)
            if ended is not None:
                self._ended[key] = ended
                attempt.cancel()

    def _why_not(self, key: str) -> EffectState | None:
        with self._session.writing() as unit:
            seen = unit.transaction.effect(unit.number, key)
            if seen is None:
                return EffectState.CANCELLED
            row, standing = bring_up_to_date(unit, seen)
            return EffectState.CANCELLED if row is None else why_not(unit, row, standing)

    async def _send(self, row: EffectRow) -> None:
        try:
            taken = self._claim(row)
            if taken is not None:
                await self._send_if_it_may(taken)
        finally:
            del self._tasks[row.key]
            self._told()

    def _claim(self, row: EffectRow) -> Claim | None:
        try:
            with self._session.writing() as unit:
                found = claim(self._session, unit, row)
        except Exception as error:
            go_on_or_raise(self._session, error)
            postpone(self._session, row, as_failure(row.deal, error))
            return None
        return found if isinstance(found, Claim) else None

    async def _send_if_it_may(self, taken: Claim) -> None:
        for companion in self._companions:
            answer = await companion.may_send(taken)
            if answer is not None:
                heed(self._session, taken, answer)
                return
            # The deal has gone on while somebody else was asked.
            ended = self._why_not(taken.delivery.key)
            if ended is not None:
                settle_once(self._session, taken, ended, None)
                return
        key = taken.delivery.key
        try:
            told = await self._try(taken)
        except ActivityError as error:
            self._failed(taken, error)
        else:
            answered = _answer_from(told)
            if answered is None:
                settle_once(self._session, taken, EffectState.DELIVERED, None)
            else:
                heed(self._session, taken, answered)
        finally:
            self._tries.pop(key, None)
            self._ended.pop(key, None)

    async def _try(self, taken: Claim) -> Mapping[str, Any] | None:
        left = None
        if taken.expires_at is not None:
            left = max(taken.expires_at - self._session.now(), dt.timedelta(milliseconds=1))
        told = {
            "delivery": delivery_to(taken.delivery),
            "expires_at": None if taken.expires_at is None else instant_text(taken.expires_at),
        }
        handle: workflow.ActivityHandle[Any] = workflow.start_activity(
            self._settings.deliver_activity,
            told,
            activity_id=taken.delivery.key,
            start_to_close_timeout=self._settings.lease,
            schedule_to_start_timeout=left,
            # Between tries the visit and the send policy are asked again, which Temporal cannot.
            retry_policy=RetryPolicy(maximum_attempts=1),
            # What nobody has begun is cancelled at once; of what somebody is at the end is awaited,
            # so that what the deal says was sent is what was sent.
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        )
        self._tries[taken.delivery.key] = handle
        answer: Mapping[str, Any] | None = await handle
        return answer

    def _failed(self, taken: Claim, error: ActivityError) -> None:
        cause = error.cause or error
        ended = self._ended.get(taken.delivery.key)
        if ended is not None and is_cancelled_exception(error):
            settle_once(self._session, taken, ended, None)
            return
        is_hopeless = isinstance(cause, ApplicationError) and cause.type == _HOPELESS
        is_last = taken.delivery.attempt >= self._session.backoff.tries
        state = EffectState.DEAD if is_hopeless or is_last else EffectState.PENDING
        self._session.observer.delivery_failed(
            taken.delivery, state, cause if isinstance(cause, Exception) else error
        )
        settle_once(self._session, taken, state, _words(cause))


_HOPELESS: Final = UndeliverableError.__name__


def _words(cause: BaseException) -> str:
    kind = cause.type if isinstance(cause, ApplicationError) else None
    said = cause.message if isinstance(cause, ApplicationError) else str(cause)
    return storable(f"{kind or type(cause).__name__}: {said}")[:_LONGEST_ERROR]


def deliver_activity(
    settings: DealSettings, handlers: Mapping[str, Handler]
) -> Callable[[dict[str, Any]], Any]:
    """Return the activity that has one of *handlers* deliver an effect."""
    pipeline = settings.pipeline

    @activity.defn(name=settings.deliver_activity)
    async def deliver(told: dict[str, Any]) -> dict[str, Any] | None:
        delivery = delivery_from(told["delivery"], pipeline.stages)
        handler = handlers.get(delivery.name)
        if handler is None:
            raise ApplicationError(
                f"no handler for effect {delivery.name!r} on this worker: give it to "
                f"LadderPlugin(handlers={{{delivery.name!r}: ...}})",
                type="NoHandler",
            )
        try:
            if inspect.iscoroutinefunction(handler):
                answer = await handler(delivery)
            else:
                answer = await asyncio.to_thread(handler, delivery)
        except UndeliverableError as error:
            raise ApplicationError(str(error), type=_HOPELESS, non_retryable=True) from error
        return _answer_to(answer)

    return deliver


def _answer_to(answer: object) -> dict[str, Any] | None:
    if isinstance(answer, Later):
        return {"at": instant_text(answer.at), "because": answer.because}
    return {"because": answer.because} if isinstance(answer, Drop) else None


def _answer_from(told: Mapping[str, Any] | None) -> Later | Drop | None:
    if told is None:
        return None
    if "at" in told:
        return Later(instant(told["at"]), told["because"])
    return Drop(told["because"])

"""What a board lets its operators know: log records, and OpenTelemetry where it is installed.

Nothing personal is told: no data of events or deals, no payload, no word of an error (an SMTP
server's refusal names the address), and no deal's id unless the board is candid. What is told is
what the ladder's author wrote (pipeline, rule, stage, effect) and what became of it.
"""

from __future__ import annotations

import datetime as dt
import functools
import logging
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, Protocol, TypeVar

from ..model.delivery import EffectState
from ..model.move import Move
from ..model.receipt import Receipt
from ..stores.base import EffectRow, Transaction
from .log_records import (
    CHAIN,
    EFFECTS,
    EVENTS,
    MOVES,
    TIMERS,
    TRANSACTIONS,
    WORKER,
    error_type,
    record,
)
from .pace import Pace

if TYPE_CHECKING:
    from ..model.effect import Delivery
    from ..model.report import BatchReport, TickReport
    from .telemetry import Attributes, Span, Telemetry

__all__ = ["Observer", "observed"]

SECONDS_BETWEEN: Final = 10.0
"""How often a worker measures what is overdue."""


class Watched(Protocol):
    """What an observer is told of: a board's session, as far as it is looked into."""

    number: int
    observer: Observer

    def now(self) -> dt.datetime:
        """Return the board's time."""

    def reading(self) -> AbstractContextManager[Transaction]:
        """Begin a transaction that only reads."""


Told = dict[str, "str | int | float | bool"]
Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
Watching = TypeVar("Watching", bound="Watched")


class Observer:
    """Tells what a board does. Errors on the way out are the receivers' own business.

    Args:
        pipeline: its name.
        candid: whether deals are named and errors quoted, both of which may be personal data.
    """

    def __init__(self, pipeline: str, candid: bool = False) -> None:
        self.pipeline = pipeline
        self.candid = candid
        self._joined: Telemetry | None = None
        self._of_pipeline: Told = {"ladderpipe.pipeline": pipeline}
        self._pace = Pace(SECONDS_BETWEEN)

    @property
    def _telemetry(self) -> Telemetry | None:
        """OpenTelemetry, from the moment on that this process uses it.

        Before that nobody would hear: loading it, only because it is installed, takes as long as
        the rest of a first board.
        """
        if self._joined is None and _is_used():
            self._joined = _telemetry()
        return self._joined

    def span(self, name: str) -> Span | _NoSpan:
        """Begin a span around a block."""
        if self._telemetry is None:
            return _NO_SPAN
        return self._telemetry.span(name, self._of_pipeline, self.candid) or _NO_SPAN

    # -- events -------------------------------------------------------------------------------

    def took(self, arguments: Any, receipt: Receipt, seconds: float) -> Told:
        """Tell what became of one event, or of a hand's move."""
        outcome, moves = receipt.outcome.value, len(receipt.moves)
        # A receipt makes its record of the deal when it is asked for.
        stands = receipt.deal_or_none if self.candid else None
        deal = None if stands is None else stands.id
        if EVENTS.isEnabledFor(logging.DEBUG):
            self._record(
                EVENTS,
                logging.DEBUG,
                f"an event was taken: {outcome}",
                deal=deal,
                outcome=outcome,
                moves=moves,
                refolded=receipt.refolded,
            )
        self._count_events({"ladderpipe.outcome": outcome})
        told: Told = {
            "ladderpipe.outcome": outcome,
            "ladderpipe.moves": moves,
            "ladderpipe.refolded": receipt.refolded,
        }
        return self._naming(deal, told)

    def refused(self, error: Exception) -> None:
        """Tell that an event was not taken."""
        self._record(EVENTS, logging.DEBUG, "an event was refused", error)
        self._count_events({"error.type": error_type(error)})

    def took_many(self, arguments: Any, report: BatchReport, seconds: float) -> Told:
        """Tell what became of many events."""
        for outcome, count in report.outcomes.items():
            self._count_events({"ladderpipe.outcome": outcome.value}, count)
        refused = Counter(error_type(failure.error) for failure in report.failures)
        for kind, count in refused.items():
            self._count_events({"error.type": kind}, count)
        taken = sum(report.outcomes.values())
        self._record(
            EVENTS,
            logging.DEBUG,
            f"{taken} events were taken, {refused.total()} refused",
            taken=taken,
            refused=dict(refused),
        )
        return {"ladderpipe.events": taken, "ladderpipe.refused": refused.total()}

    def _count_events(self, attributes: Told, count: int = 1) -> None:
        if self._telemetry is not None:
            self._telemetry.events.add(count, self._of_pipeline | attributes)

    def committed(self, moves: Sequence[Move], refolds: int) -> None:
        """Tell the moves and refolds of a transaction; nothing is told of one that was undone."""
        if moves:
            self._moved(moves)
        if refolds and self._telemetry is not None:
            self._telemetry.refolds.add(refolds, self._of_pipeline)

    def _moved(self, moves: Sequence[Move]) -> None:
        if MOVES.isEnabledFor(logging.DEBUG):
            for move in moves:
                self._record(
                    MOVES,
                    logging.DEBUG,
                    f"a deal moved into {move.into}",
                    deal=move.deal,
                    rule=move.rule,
                    stage=str(move.into),
                    out_of=None if move.out_of is None else str(move.out_of),
                )
        if self._telemetry is not None:
            counts: dict[tuple[str, str], int] = {}  # a Counter takes longer to make than to fill
            for move in moves:
                kind = (move.rule, move.into.key)
                counts[kind] = counts.get(kind, 0) + 1
            for (rule, stage), count in counts.items():
                made: Told = {"ladderpipe.rule": rule, "ladderpipe.stage": stage}
                self._telemetry.moves.add(count, self._of_pipeline | made)

    def retried(self, error: Exception, number: int) -> None:
        """Tell that a transaction is begun again."""
        self._record(
            TRANSACTIONS, logging.INFO, "a transaction is begun again", error, attempt=number + 1
        )
        if self._telemetry is not None:
            kind: Told = {"error.type": error_type(error)}
            self._telemetry.retries.add(1, self._of_pipeline | kind)

    # -- time ---------------------------------------------------------------------------------

    def swept(self, arguments: Any, report: TickReport, seconds: float) -> Told:
        """Tell what a sweep did and whom it could not do it for."""
        for failure in report.failures:
            who = f"deal {failure.deal}" if self.candid else "a deal"
            message = f"{who} cannot be swept; it is tried again later"
            self._record(TIMERS, logging.WARNING, message, failure.error, deal=failure.deal)
        if self._telemetry is not None:
            self._telemetry.sweep_duration.record(seconds, self._of_pipeline)
            for failure in report.failures:
                kind: Told = {"error.type": error_type(failure.error)}
                self._telemetry.sweep_failures.add(1, self._of_pipeline | kind)
        return {
            "ladderpipe.deals": report.deals,
            "ladderpipe.moves": report.moves,
            "ladderpipe.failures": len(report.failures),
        }

    def note_backlog(self, session: Watched) -> None:
        """Measure how long what is due has been waiting, every few seconds."""
        if self._telemetry is None or not self._pace.is_due():
            return
        from .backlog import Backlog

        with session.reading() as transaction:
            found = Backlog.of(transaction, session.number, session.now())
        self._telemetry.timer_lag.set(found.timer_lag.total_seconds(), self._of_pipeline)
        self._telemetry.effect_lag.set(found.effect_lag.total_seconds(), self._of_pipeline)
        self._telemetry.dead_letters.set(found.dead_letters, self._of_pipeline)
        self._telemetry.held.set(found.held, self._of_pipeline)
        # A gauge stays what it was: whoever collects them cannot tell by it that nobody measures.
        self._telemetry.worker_seen.set(time.time(), self._of_pipeline)
        self._pace.done()

    def round_failed(self, error: Exception) -> None:
        """Tell that a worker's round failed as a whole."""
        self._record(
            WORKER, logging.ERROR, "the worker's round failed; it goes on after a pause", error
        )

    def linked(self, n: int, head: str, events: int, retired: int) -> None:
        """Tell that a link was appended to the hash chain: its head is to be noted elsewhere."""
        self._record(
            CHAIN,
            logging.INFO,
            f"link {n} of the chain has {events} events; its head is {head}",
            link=n,
            head=head,
            events=events,
            retired=retired,
        )

    # -- effects ------------------------------------------------------------------------------

    def delivered(
        self, arguments: tuple[EffectRow, Any], state: str | None, seconds: float
    ) -> Told:
        """Tell what became of an effect; ``None``, another worker has it, is nobody's news."""
        effect, *_ = arguments
        told: Told = {"ladderpipe.effect": effect.name, "ladderpipe.attempt": effect.attempts + 1}
        if state is not None:
            told["ladderpipe.state"] = str(state)
            self._record(
                EFFECTS,
                logging.DEBUG,
                f"effect {effect.name} is {state}",
                deal=effect.deal,
                effect=effect.name,
                state=str(state),
                attempt=effect.attempts + 1,
            )
            if self._telemetry is not None:
                ended: Told = {"ladderpipe.effect": effect.name, "ladderpipe.state": str(state)}
                self._telemetry.deliveries.add(1, self._of_pipeline | ended)
                self._telemetry.delivery_duration.record(seconds, self._of_pipeline | ended)
        return self._naming(effect.deal, told)

    def delivery_failed(self, delivery: Delivery, state: EffectState, error: Exception) -> None:
        """Tell that a handler raised."""
        who = f" of deal {delivery.deal.id}" if self.candid else ""
        dead = state.value == "dead"
        self._record(
            EFFECTS,
            logging.ERROR if dead else logging.WARNING,
            f"effect {delivery.name}{who} failed"
            + ("; it is a dead letter" if dead else "; it is tried again later"),
            error,
            deal=delivery.deal.id,
            effect=delivery.name,
            state=state.value,
            attempt=delivery.attempt,
        )
        self._mark_failed(error)

    def claim_failed(self, effect: EffectRow, error: Exception) -> None:
        """Tell that an effect waits because its deal cannot be brought up to date."""
        who = f" of deal {effect.deal}" if self.candid else ""
        self._record(
            EFFECTS,
            logging.WARNING,
            f"effect {effect.name}{who} cannot be claimed",
            error,
            deal=effect.deal,
            effect=effect.name,
        )
        self._mark_failed(error)

    def unreadable(self, deal: str | None, error: Exception) -> None:
        """Tell that a deal is left out of an answer, because what is stored of it is no deal."""
        who = f" {deal}" if self.candid and deal is not None else ""
        self._record(
            TRANSACTIONS,
            logging.ERROR,
            f"deal{who} cannot be read and is left out; ladderpipe verify names it",
            error,
            deal=deal,
        )

    def _mark_failed(self, error: Exception) -> None:
        if self._telemetry is not None:
            self._telemetry.mark_failed(error, self.candid)

    # -- discretion ---------------------------------------------------------------------------

    def _record(
        self,
        logger: logging.Logger,
        level: int,
        message: str,
        error: Exception | None = None,
        deal: str | None = None,
        **fields: Any,
    ) -> None:
        record(
            logger,
            level,
            message,
            error=error,
            candid=self.candid,
            pipeline=self.pipeline,
            deal=deal if self.candid else None,
            **fields,
        )

    def _naming(self, deal: str | None, told: Told) -> Told:
        return told | {"ladderpipe.deal": deal} if self.candid and deal is not None else told


Tell = Callable[[Observer, Any, Result, float], Told]


def observed(
    name: str, tell: Tell[Result], refuse: Callable[[Observer, Exception], None] | None = None
) -> Callable[
    [Callable[Concatenate[Watching, Parameters], Result]],
    Callable[Concatenate[Watching, Parameters], Result],
]:
    """Return a decorator for what a session does: a span around it, and its end told.

    Args:
        name: of the span.
        tell: an observer's method; it is given the other arguments, the result and how long it
            took, and returns what the span says.
        refuse: an observer's method that is told when it raises.
    """

    def decorate(
        work: Callable[Concatenate[Watching, Parameters], Result],
    ) -> Callable[Concatenate[Watching, Parameters], Result]:
        @functools.wraps(work)
        def watched(
            session: Watching, /, *args: Parameters.args, **kwargs: Parameters.kwargs
        ) -> Result:
            observer = session.observer
            began = time.perf_counter()
            with observer.span(name) as span:
                try:
                    result = work(session, *args, **kwargs)
                except Exception as error:
                    if refuse is not None:
                        refuse(observer, error)
                    raise
                span.tell(tell(observer, args, result, time.perf_counter() - began))
            return result

        return watched

    return decorate


class _NoSpan:
    """Stands for a span where nobody traces."""

    __slots__ = ()

    def __enter__(self) -> _NoSpan:
        return self

    def __exit__(self, *raised: object) -> None:
        pass

    def tell(self, attributes: Attributes) -> None:
        pass


_NO_SPAN: Final = _NoSpan()


PROVIDERS: Final = frozenset({"OTEL_PYTHON_TRACER_PROVIDER", "OTEL_PYTHON_METER_PROVIDER"})
"""The variables by which OpenTelemetry's API itself chooses a provider when it is first asked."""


def _is_used() -> bool:
    """Whether anybody may hear: who sets a provider has imported the API, or names one outside."""
    return sys.modules.get("opentelemetry") is not None or _is_named_outside()


@functools.cache  # an environment is read once, as the API does
def _is_named_outside() -> bool:
    return not PROVIDERS.isdisjoint(os.environ)


def _telemetry() -> Telemetry | None:
    """Return OpenTelemetry if its API is installed, loading it; without, nothing is loaded."""
    of_this_process = _if_installed()
    return None if of_this_process is None else of_this_process()


@functools.cache  # looking for what is not installed takes milliseconds, and every board would
def _if_installed() -> Callable[[], Telemetry] | None:
    try:
        from .telemetry import of_this_process
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "opentelemetry":
            raise
        return None
    return of_this_process

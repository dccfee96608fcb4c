"""Spans and instruments of OpenTelemetry, by its API; the only room that imports it.

Names follow https://opentelemetry.io/docs/specs/semconv/general/naming/. What the attributes say is
decided in :mod:`ladderpipe.observability.observer`. Queries to the database are not traced here:
``opentelemetry-instrumentation-psycopg`` and ``-sqlite3`` do that.
"""

from __future__ import annotations

import functools
import importlib.metadata
from collections.abc import Mapping
from types import TracebackType
from typing import Final

from opentelemetry import context, metrics, trace

from .log_records import error_type

__all__ = ["Attributes", "Span", "Telemetry", "of_this_process"]

Attributes = Mapping[str, str | int | float | bool]

_NAME: Final = "ladderpipe"
_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 60)
"""Bounds of histogram buckets: those that the conventions advise for durations, and a minute."""


class Span:
    """A span that is current while the block runs; one that raises is marked by the error's type.

    Not ``start_as_current_span``, which costs more and quotes the error's words.

    Args:
        candid: whether the words of errors may be recorded too.
    """

    __slots__ = ("_candid", "_span", "_token")

    def __init__(self, span: trace.Span, candid: bool) -> None:
        self._span = span
        self._candid = candid

    def __enter__(self) -> Span:
        self._token = context.attach(trace.set_span_in_context(self._span))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            mark_failed(self._span, error, self._candid)
        context.detach(self._token)
        self._span.end()

    def tell(self, attributes: Attributes) -> None:
        """Add what is known at the end."""
        if self._span.is_recording():
            self._span.set_attributes(attributes)


def mark_failed(span: trace.Span, error: BaseException, candid: bool) -> None:
    """Say on a span that what it spans failed, and how."""
    if not span.is_recording():
        return
    span.set_attribute("error.type", error_type(error))
    span.set_status(trace.StatusCode.ERROR, str(error) if candid else None)
    if candid:
        span.record_exception(error)


class Telemetry:
    """The tracer and the instruments.

    Args:
        tracers: where spans go; the process's own provider when left out, now or once it is set.
        meters: where measurements go, likewise.
    """

    def __init__(
        self,
        tracers: trace.TracerProvider | None = None,
        meters: metrics.MeterProvider | None = None,
    ) -> None:
        version = importlib.metadata.version(_NAME)
        self._tracer = trace.get_tracer(_NAME, version, tracers)
        meter = metrics.get_meter(_NAME, version, meters)
        self.events = meter.create_counter(
            "ladderpipe.events", "{event}", "Events and hands taken, by outcome or error"
        )
        self.moves = meter.create_counter(
            "ladderpipe.moves", "{move}", "Moves committed, by rule and stage"
        )
        self.refolds = meter.create_counter(
            "ladderpipe.refolds", "{deal}", "Deals folded again because of a late event"
        )
        self.retries = meter.create_counter(
            "ladderpipe.retries", "{transaction}", "Transactions begun again, by error"
        )
        self.deliveries = meter.create_counter(
            "ladderpipe.deliveries", "{effect}", "Tries to deliver, by effect and state afterwards"
        )
        self.sweep_failures = meter.create_counter(
            "ladderpipe.sweep.failures", "{deal}", "Deals that could not be swept, by error"
        )
        self.sweep_duration = meter.create_histogram(
            "ladderpipe.sweep.duration",
            "s",
            "How long sweeps with something due took",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self.delivery_duration = meter.create_histogram(
            "ladderpipe.delivery.duration",
            "s",
            "How long deliveries took, from claim to settlement",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self.timer_lag = meter.create_gauge(
            "ladderpipe.timer.lag", "s", "How long the oldest timer has been due"
        )
        self.effect_lag = meter.create_gauge(
            "ladderpipe.effect.lag", "s", "How long the oldest effect has been ready"
        )
        self.dead_letters = meter.create_gauge(
            "ladderpipe.dead_letters", "{effect}", "Effects whose last try failed"
        )
        self.held = meter.create_gauge(
            "ladderpipe.held", "{event}", "Events that arrived and cannot be used"
        )
        self.worker_seen = meter.create_gauge(
            "ladderpipe.worker.seen", "s", "When a worker last measured, in seconds since 1970"
        )

    def span(self, name: str, attributes: Attributes, candid: bool) -> Span | None:
        """Begin a span; return ``None`` where nobody traces, neither here nor in the caller."""
        span = self._tracer.start_span(name, attributes=attributes)
        return None if span is trace.INVALID_SPAN else Span(span, candid)

    def mark_failed(self, error: BaseException, candid: bool) -> None:
        """Say on the current span that what it spans failed, although nothing was raised."""
        mark_failed(trace.get_current_span(), error, candid)


@functools.cache
def of_this_process() -> Telemetry:
    """Return what tells the providers of this process, those that are set later included."""
    return Telemetry()

"""Boards whose spans, measurements and log records are kept for the test to look at."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from ladderpipe.observability import observer as observing
from ladderpipe.observability.telemetry import Telemetry
from tests.integration.conftest import store

__all__ = ["Told", "store", "told"]

PIPELINE = "ladderpipe.pipeline"


class Records(logging.Handler):
    """Everything that is logged below ``ladderpipe``."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.kept: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.kept.append(record)


class Told:
    """What boards told: spans, measurements and log records."""

    def __init__(self) -> None:
        self._spans = InMemorySpanExporter()
        self._reader = InMemoryMetricReader()
        self._tracers = TracerProvider(shutdown_on_exit=False)
        self._tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        self._meters = MeterProvider([self._reader], shutdown_on_exit=False)
        self._records = Records()
        self.telemetry = Telemetry(self._tracers, self._meters)
        self.logger = logging.getLogger("ladderpipe")
        self._level = self.logger.level

    def __enter__(self) -> Told:
        self.logger.addHandler(self._records)
        self.logger.setLevel(logging.DEBUG)
        return self

    def __exit__(self, *raised: object) -> None:
        self.logger.removeHandler(self._records)
        self.logger.setLevel(self._level)
        self._tracers.shutdown()
        self._meters.shutdown()

    def tracer(self) -> Any:
        """Return the tracer of an application that calls the board."""
        return self._tracers.get_tracer("the shop")

    @property
    def spans(self) -> list[Any]:
        return list(self._spans.get_finished_spans())

    def span(self, name: str) -> Any:
        """Return the only span of this name."""
        (found,) = [span for span in self.spans if span.name == f"ladderpipe.{name}"]
        return found

    def measured(self, name: str) -> dict[tuple[Any, ...], Any]:
        """Return the data points of an instrument, by the values that tell them apart."""
        return {
            tuple(v for name, v in sorted(point.attributes.items()) if name != PIPELINE): point
            for metric in self.metrics()
            if metric.name == f"ladderpipe.{name}"
            for point in metric.data.data_points
        }

    def counted(self, name: str) -> dict[tuple[Any, ...], Any]:
        return {values: point.value for values, point in self.measured(name).items()}

    def units(self) -> dict[str, str]:
        return {metric.name: metric.unit for metric in self.metrics()}

    def metrics(self) -> list[Any]:
        data = self._reader.get_metrics_data()
        if data is None:
            return []
        return [
            metric
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        ]

    def records(self, logger: str) -> list[logging.LogRecord]:
        return [record for record in self._records.kept if record.name == f"ladderpipe.{logger}"]

    def text(self) -> str:
        """Return everything that was told, as one text to search."""
        formatter = logging.Formatter()
        parts = [span.to_json() for span in self.spans]
        parts += [metric.to_json() for metric in self.metrics()]
        parts += [formatter.format(record) + repr(vars(record)) for record in self._records.kept]
        return "\n".join(json.dumps(part, ensure_ascii=False) for part in parts)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[Told]:
    """Let boards that are made in this test tell OpenTelemetry's own SDK, kept in memory."""
    with Told() as kept:
        monkeypatch.setattr(observing, "_telemetry", lambda: kept.telemetry)
        yield kept

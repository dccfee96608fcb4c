"""The report for machines: every table whole, with its definition and notes in each language."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final

import attrs

from .contents import Contents, Entry
from .headline import Amount

__all__ = ["SCHEMA", "record_of"]

SCHEMA: Final = "ladderpipe.report/1"
"""The name and version of the layout; fields are added under one version, never changed."""


def record_of(contents: Contents) -> dict[str, Any]:
    """Return all that a page says, and the rows it leaves out, for JSON.

    Amounts are text, as exact as they are; instants and dates are text in ISO 8601; shares are
    numbers from 0 to 1; durations are numbers of days.
    """
    tables = contents.tables
    return {
        "schema": SCHEMA,
        "pipeline": tables.pipeline,
        "title": {language: tables.called(language) for language in ("en", "it")},
        "as_of": _plain(tables.as_of),
        "zone": contents.zone,
        "deals": tables.deals.height,
        "moves": tables.moves.height,
        "notes": [dict(note) for note in tables.notes],
        "problems": [str(problem) for problem in tables.problems],
        "headline": _headline(contents),
        "reports": [
            {"section": section.key, **_report(entry)}
            for section in contents.sections
            for entry in section.entries
        ],
    }


def _headline(contents: Contents) -> dict[str, Any]:
    figures = contents.headline
    return {
        "open": _amounts(figures.open),
        "won_since": figures.won_since.isoformat(),
        "won": _amounts(figures.won),
        "conversion": attrs.asdict(figures.conversion),
        "win_rate": attrs.asdict(figures.win_rate),
        "seldom_lost": figures.seldom_lost,
        "win_rate_with_abandoned": (
            None if figures.with_abandoned is None else attrs.asdict(figures.with_abandoned)
        ),
        "cycle_days": None if figures.cycle is None else figures.cycle / dt.timedelta(days=1),
        "velocity_per_day": _amounts(figures.velocity),
        "won_per_day": _amounts(figures.won_per_day),
    }


def _amounts(amounts: Iterable[Amount]) -> list[dict[str, Any]]:
    return [
        {name: _plain(value) for name, value in attrs.asdict(amount).items()} for amount in amounts
    ]


def _report(entry: Entry) -> dict[str, Any]:
    report = entry.report
    return {
        "key": entry.key,
        "name": report.name,
        "title": dict(entry.titles),
        "definition": dict(report.definitions),
        "notes": [dict(note) for note in report.notes],
        "columns": {name: dict(report.columns[name]) for name in report.table.columns},
        "labels": {
            column: {value: dict(words) for value, words in named.items()}
            for column, named in report.labels.items()
        },
        "rows": [
            {name: _plain(value) for name, value in row.items()}
            for row in report.table.iter_rows(named=True)
        ],
    }


def _plain(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return None  # JSON knows no NaN
    return format(value, "f") if isinstance(value, Decimal) else value

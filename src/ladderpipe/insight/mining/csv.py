"""Writing a CSV of activities, with the columns that process mining tools look for."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from typing import Any, Final, TextIO

from .cases import Case

__all__ = ["write_table"]

_CASE: Final = ("stage", "status", "value", "currency", "owner", "source", "loss_reason")
_ACTIVITY: Final = ("n", "out_of", "rule", "trigger", "event_type", "source", "id")
_COLUMNS: Final = (
    "case:concept:name",
    "concept:name",
    "time:timestamp",
    "lifecycle:transition",
    "org:resource",
    *_ACTIVITY,
    *(f"case:{name}" for name in _CASE),
)


def write_table(file: TextIO, cases: Iterable[Case]) -> None:
    """Write a row for every activity of *cases*, under a header line."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for case in cases:
        writer.writerows(_rows(case))


def _rows(case: Case) -> Iterator[list[Any]]:
    of_case = [case.attributes.get(name) for name in _CASE]
    for activity in case.activities:
        yield [
            case.deal,
            activity.name,
            activity.at.isoformat(timespec="microseconds"),
            "complete",
            activity.resource,
            *(activity.attributes.get(name) for name in _ACTIVITY),
            *of_case,
        ]

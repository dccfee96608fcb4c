"""Writing a CSV of activities, with the columns that process mining tools look for."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
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


_FORMULA: Final = re.compile("'*[=+\\-@\uff1d\uff0b\uff0d\uff20\\x00-\\x1f\\x7f\\x9b]")
"""What spreadsheets take for a formula, or terminals for an order, and either behind apostrophes,
so that whoever takes one apostrophe off has every text back."""


def write_table(file: TextIO, cases: Iterable[Case]) -> None:
    """Write a row for every activity of *cases*, under a header line.

    A text that a spreadsheet would run as a formula has an apostrophe before it.
    """
    # Characters of the line end are put into quotes; a bare "\r" would begin a row of its own.
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow(_COLUMNS)
    for case in cases:
        writer.writerows(map(_harmless, row) for row in _rows(case))


def _harmless(cell: Any) -> Any:
    if isinstance(cell, Decimal):
        return format(cell, "f")
    return f"'{cell}" if isinstance(cell, str) and _FORMULA.match(cell) else cell


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

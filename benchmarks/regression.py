"""Whether a ratio has fallen: what brief runs find, beside what they found when it was recorded.

Brief runs are compared with brief runs. Their sizes are smaller than those of ``RESULTS.md``, and
so their ratios are others.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from .harness import Report

RATIOS: Final = Path(__file__).with_name("ratios.json")
"""The ratios of brief runs, by title and row; written together with ``RESULTS.md``."""
ALLOWED: Final = 0.2
"""Which part of a ratio may be lost before somebody is told: machines are noisy."""

Ratios = Mapping[str, Mapping[str, float]]


class Fallen(NamedTuple):
    """A row that is worse than it was by more than what is allowed.

    Attributes:
        lost: which part of what it was is gone, from 0 to 1.
    """

    title: str
    what: str
    then: float
    now: float
    lost: float

    def __str__(self) -> str:
        return f"{self.title}: {self.what}: {self.then:.2f} → {self.now:.2f} ({-self.lost:.0%})"


def fallen(report: Report, known: Ratios) -> list[Fallen]:
    """Return the rows of a brief report that have fallen since *known*, worst first.

    A row that is not known has nothing to fall from. Where less is better (``at_most``), a ratio
    falls by rising: twice as much is half as good.
    """
    before = known.get(report.title, {})
    found = []
    for row in report.rows:
        then = before.get(row.what)
        if row.ratio is None or then is None:
            continue
        kept = then / row.ratio if row.at_most else row.ratio / then
        if kept < 1 - ALLOWED:
            found.append(Fallen(report.title, row.what, then, row.ratio, 1 - kept))
    return sorted(found, key=lambda row: row.lost, reverse=True)


def best_of(first: Report, second: Report) -> Report:
    """Return the better ratio of each row that two runs of one benchmark found.

    What has fallen is measured again: noise makes a side slower, and seldom twice the same one.
    """
    again = {row.what: row for row in second.rows}
    rows = []
    for row in first.rows:
        other = again.get(row.what, row)
        if row.ratio is None or other.ratio is None:
            rows.append(row)
        else:
            best = min if row.at_most else max
            rows.append(best(row, other, key=lambda one: one.ratio or 0.0))
    return first._replace(rows=rows)


def middle_of(reports: Sequence[Report]) -> Report:
    """Return the middle ratio of each row that several runs found: what is recorded is no stroke
    of luck, or later runs would seem to have fallen."""
    rows = []
    for row in reports[0].rows:
        found = [each.ratio for report in reports for each in report.rows if each.what == row.what]
        known = [ratio for ratio in found if ratio is not None]
        rows.append(row._replace(ratio=statistics.median(known)) if known else row)
    return reports[0]._replace(rows=rows)


def recorded(report: Report, known: Ratios) -> dict[str, dict[str, float]]:
    """Return *known* with the ratios of a brief report in the place of what stood there.

    One against a figure is left out: on another machine it would have fallen.
    """
    ratios = {
        row.what: round(row.ratio, 3)
        for row in report.rows
        if row.ratio is not None and not row.absolute
    }
    return {**{title: dict(rows) for title, rows in known.items()}, report.title: ratios}


def read() -> dict[str, dict[str, float]]:
    """Return what is recorded."""
    known: dict[str, dict[str, float]] = json.loads(RATIOS.read_text("utf-8"))
    return known


def write(known: Ratios) -> None:
    """Record the ratios, one to a line, so that a change of them can be read."""
    text = json.dumps(known, indent=2, ensure_ascii=False, sort_keys=True)
    RATIOS.write_text(f"{text}\n", "utf-8")

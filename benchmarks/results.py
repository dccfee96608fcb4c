"""What a run found, as text: for the terminal and for ``RESULTS.md``."""

from __future__ import annotations

import os
import platform
import re
import sqlite3
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from .harness import Report, Row

RESULTS = Path(__file__).with_name("RESULTS.md")
LIBRARIES = (
    "ladderpipe", "attrs", "transitions", "psycopg", "polars", "python-statemachine", "automat",
    "harel", "dbos",
)  # fmt: skip
HEADING = re.compile(r"^## (.+)$", re.MULTILINE)


def as_markdown(report: Report, seconds: float, known: str) -> str:
    """Return ``RESULTS.md`` with this report in the place of what is *known* under its title."""
    found = HEADING.split(known)[1:]
    sections = dict(zip(found[::2], (text.strip() for text in found[1::2]), strict=True))
    sections[report.title] = "\n".join(_section(report, seconds))
    parts = [f"## {title}\n\n{text}" for title, text in sections.items()]
    return "\n\n".join(["\n".join(_head()), *parts]) + "\n"


def _head() -> Iterator[str]:
    yield "# Benchmark results"
    yield ""
    yield "Written by `python -m benchmarks --write`. Both sides of a ratio are measured in turns,"
    yield "in one run; a ratio is the median of those of the rounds, so the noise of the machine"
    yield "is in both. Above 1 is faster than the other side."
    yield ""
    yield f"- {platform.system()} {platform.machine()}, {_processor()}, {os.cpu_count()} cores"
    yield f"- Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    yield "- " + ", ".join(f"{name} {version(name)}" for name in LIBRARIES)


def _section(report: Report, seconds: float) -> Iterator[str]:
    yield report.method
    yield ""
    yield "| | ours : theirs | ratio | target |"
    yield "|---|---|---|---|"
    for row in report.rows:
        yield f"| {row.what} | {row.measured} | {_ratio(row)} | {_target(row)} |"
    busy, where = os.getloadavg()[0], _processor()
    day = time.strftime("%Y-%m-%d", time.gmtime())
    yield ""
    yield f"Measured on {day} in {seconds:.0f} s on {where}; its load was {busy:.1f} at the end."


def as_line(row: Row) -> str:
    """Return one row for the terminal."""
    mark = "" if row.target is None else "ok " if row.is_met else "NO "
    return f"  {mark:3} {_ratio(row):>6}  {_target(row):>7}  {row.what}: {row.measured}"


def _ratio(row: Row) -> str:
    return "" if row.ratio is None else f"{row.ratio:.2f}"


def _target(row: Row) -> str:
    if row.target is None:
        return ""
    return f"{'≤' if row.at_most else '≥'} {row.target:g}{'' if row.is_met else ' (missed)'}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "processor unknown"
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else "processor unknown"

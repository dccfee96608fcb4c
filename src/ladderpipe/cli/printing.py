"""How things look on the terminal: consoles, tables, amounts, times, progress. No commands."""

from __future__ import annotations

import datetime as dt
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from ..formats import ENGLISH
from ..model import clock
from ..model.stage import Stage

__all__ = [
    "age",
    "console",
    "counted",
    "duration",
    "instant_text",
    "moment",
    "money",
    "printable",
    "progress",
    "status_text",
    "table",
    "title_of",
    "tracked",
    "write_json",
    "write_json_lines",
]

Record = TypeVar("Record")

PIPED_WIDTH = 250
"""Columns when nobody looks: wide enough that rows stay whole for grep."""

STATUS_STYLES = {
    "open": "cyan",
    "won": "green",
    "lost": "red",
    "abandoned": "yellow",
    "merged": "magenta",
}


class _Console(Console):
    """Rich's console, which leaves a closed pipe to the program."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def console(piped_width: int = PIPED_WIDTH) -> Console:
    """Return what to print on: standard output, in the terminal's width."""
    fixed = os.environ.get("COLUMNS", "").isdigit() or sys.stdout.isatty()
    return _Console(
        width=None if fixed else piped_width, highlight=False, markup=False, emoji=False
    )


def progress() -> Progress:
    """Return a progress bar for standard error, which shows only where somebody looks.

    Tasks without a total show how many were done.
    """
    errors = Console(stderr=True, highlight=False)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=errors,
        transient=True,
        disable=not errors.is_terminal,
    )


def tracked(records: Iterable[Record], what: str) -> Iterator[Record]:
    """Yield *records* with a progress bar, unless they are printed on the terminal themselves."""
    with progress() as bar:
        if sys.stdout.isatty():
            bar.stop()
        yield from bar.track(records, description=what)


def table(*columns: str, right: Iterable[str] = (), cut: Iterable[str] = ()) -> Table:
    """Return an empty table without lines.

    Args:
        right: columns that are aligned to the right.
        cut: columns that give way where the terminal is narrow; the others stay whole.
    """
    made = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        made.add_column(
            column,
            justify="right" if column in right else "left",
            no_wrap=True,
            overflow="ellipsis",
            ratio=1 if column in cut else None,
        )
    return made


def printable(text: str) -> str:
    """Return *text* on one line, without what could steer a terminal: it came from outside."""
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text
    )


def status_text(text: str, status: str) -> Text:
    """Return *text* in the colour of a status."""
    return Text(printable(text), style=STATUS_STYLES.get(status, ""))


def title_of(stage: Stage, language: str | None) -> str:
    """Return a stage's title in a language, or the first one given."""
    return stage.title_in(language) if language else stage.title


def money(amount: Decimal | None, currency: str | None) -> str:
    """Return an amount: ``€1,798.00``, ``CHF 1,798.00``, in letters that the output can take."""
    if amount is None:
        return "?"
    written = _plain_spaces(ENGLISH.money(amount, currency))
    try:
        written.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        written = _plain_spaces(ENGLISH.money(amount, currency, in_letters=True))
    return written


def _plain_spaces(text: str) -> str:
    """Return *text* with spaces that every terminal has, and that grep finds."""
    return text.replace("\N{NO-BREAK SPACE}", " ")


def counted(count: int, what: str) -> str:
    """Return a number of things: ``1 deal``, ``2,000 deals``."""
    return f"{ENGLISH.number(count)} {what if count == 1 else what + 's'}"


def moment(at: dt.datetime | None) -> str:
    """Return an instant to the minute, in UTC: ``2026-01-05 09:12``; nothing for ``None``."""
    return "" if at is None else f"{at:%Y-%m-%d %H:%M}"


def duration(length: dt.timedelta | None) -> str:
    """Return a length of time: ``3 d``, ``5 h``, ``12 min``, ``30 s``; nothing for ``None``."""
    return "" if length is None else ENGLISH.age(length)


def age(since: dt.datetime, now: dt.datetime) -> str:
    """Return how long ago *since* was; what lies ahead is no time ago."""
    return duration(max(now - since, dt.timedelta()))


def instant_text(at: dt.datetime | None) -> str | None:
    """Return an instant for JSON, in UTC: ``2026-01-05T09:12:00Z``."""
    return None if at is None else clock.instant_text(at)


def write_json(value: Any) -> None:
    """Write one JSON document to standard output."""
    json.dump(value, sys.stdout, ensure_ascii=False, indent=2, allow_nan=False)
    sys.stdout.write("\n")


def write_json_lines(records: Iterable[Mapping[str, Any]]) -> None:
    """Write a JSON array, one record a line, so that a long one needs little memory."""
    separator = "["
    for record in records:
        sys.stdout.write(f"{separator}\n{json.dumps(record, ensure_ascii=False)}")
        separator = ","
    sys.stdout.write("[]\n" if separator == "[" else "\n]\n")

"""``what-if``: folds a store's events over a changed ladder, and shows what would be different."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from .loading import loaded_pipeline, reading_board
from .options import Allow, Json, Language, Name, Url
from .printing import console, counted, instant_text, moment, printable, progress, table, write_json

if TYPE_CHECKING:
    from ..insight import Report, WhatIf
    from ..insight.frames.from_board import Progress

__all__ = ["what_if"]

SHOWN = 20
"""How many deals the terminal is told; --json tells all of them."""


def what_if(
    url: Url,
    pipeline: Annotated[
        str,
        typer.Option(
            "--pipeline",
            "-p",
            metavar="CHANGED",
            help="the changed ladder: a definition file, or module:name",
        ),
    ],
    present: Annotated[
        str | None,
        typer.Option(
            "--present", metavar="PIPELINE", help="the present ladder; what the store keeps if not"
        ),
    ] = None,
    renamed: Annotated[
        list[str] | None,
        typer.Option(
            "--renamed", metavar="OLD=NEW", help="a stage with another key; may be repeated"
        ),
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", metavar="TIME", help="up to this instant, in ISO 8601; now if not"),
    ] = None,
    allow: Allow = None,
    name: Name = None,
    language: Language = None,
    json: Json = False,
) -> None:
    """Show what the recorded events would have come to on a changed ladder; writes nothing.

    URL is a store, or a folder that replay --buckets wrote.

    How customers would have reacted to it, nobody can know: the events are those that came.
    """
    from .. import insight

    changed = loaded_pipeline(pipeline, allow)
    with contextlib.ExitStack() as stack:
        source: Any
        if Path(url).is_dir():
            ladder = None if present is None else loaded_pipeline(present, allow)
            source = insight.ReplayedFolder.open(url, ladder, allow or ())
            called = source.pipeline
        else:
            source = stack.enter_context(reading_board(url, present, allow, name))
            called = source.pipeline.name
        bar = stack.enter_context(progress())
        found = insight.what_if(
            source,
            changed,
            renamed=_renames(renamed or []),
            as_of=as_of,
            progress=_shown_on(bar, called),
        )
    if json:
        write_json(_record(found))
    else:
        _show(found, "it" if language == "it" else "en")


def _renames(given: list[str]) -> dict[str, str]:
    renames = {}
    for text in given:
        old, equals, new = text.partition("=")
        if not (old and equals and new):
            raise typer.BadParameter(f"--renamed {text}: write OLD=NEW, the keys of two stages")
        renames[old] = new
    return renames


def _shown_on(bar: Any, what: str) -> Progress:
    task = bar.add_task(printable(what), total=None)

    def show(done: int, total: int) -> None:
        bar.update(task, completed=done, total=total)

    return show


def _show(found: WhatIf, language: Any) -> None:
    out = console()
    for report in found.reports:
        _show_report(out, report, language)
    different = found.different.height
    of_all = f"{counted(different, 'deal')} of {found.deals.height:,} would have moved differently"
    out.print(f"{of_all}, up to {moment(found.as_of)} UTC")
    for note in found.notes:
        out.print(f"* {note[language]}", soft_wrap=True)


def _show_report(out: Console, report: Report, language: Any) -> None:
    printed = report.printed(language)
    numbers = [name for name, kind in printed.schema.items() if kind.is_numeric()]
    rows = table(*printed.columns, right=numbers)
    for row in printed.head(SHOWN).iter_rows():
        rows.add_row(*(_cell(value) for value in row))
    out.print(report.titles[language], style="bold")
    out.print(rows)
    if printed.height > SHOWN:
        out.print(f"… and {printed.height - SHOWN:,} more: --json tells all of them")
    out.print()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.1f}"
    if isinstance(value, int):
        return f"{value:,}"
    return moment(value) if hasattr(value, "tzinfo") else printable(str(value))


def _record(found: WhatIf) -> dict[str, Any]:
    tables = ("deals", "outcomes", "stages", "rules", "reminders", "hooks")
    return {
        "as_of": instant_text(found.as_of),
        **{
            name: [_plain(row) for row in getattr(found, name).iter_rows(named=True)]
            for name in tables
        },
        "different": found.different.height,
        "hands_refused": found.hands_refused,
        "with_baseline": found.with_baseline,
        "excluded": list(found.excluded),
        "removed": found.removed,
        "problems": [str(problem) for problem in found.problems],
        "notes": [note["en"] for note in found.notes],
    }


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row for JSON: instants as text, durations in seconds."""
    plain = {}
    for name, value in row.items():
        if hasattr(value, "total_seconds"):
            plain[f"{name}_seconds"] = value.total_seconds()
        else:
            plain[name] = instant_text(value) if hasattr(value, "tzinfo") else value
    return plain

"""``check``, ``diagram`` and ``schema``: commands about a ladder, without any deals."""

from __future__ import annotations

import json as json_text
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.table import Table
from rich.text import Text

from ..ladder.check import Finding
from ..pipeline import Pipeline
from .loading import loaded_pipeline
from .options import Allow, Definition, Json, Out
from .printing import console, printable, write_json
from .records import finding_record

__all__ = ["check", "diagram", "schema"]

_STYLES = {"error": "red", "warning": "yellow", "info": "cyan"}


def check(
    pipeline: Definition,
    allow: Allow = None,
    strict: Annotated[bool, typer.Option("--strict", help="fail on warnings too")] = False,
    json: Json = False,
) -> None:
    """Look for what cannot be meant: stages out of reach, traps, rules that never win.

    Exits with 1 when there are errors; with --strict, also when there are warnings.
    """
    ladder = loaded_pipeline(pipeline, allow)
    findings = ladder.check()
    if json:
        write_json([finding_record(finding) for finding in findings])
    else:
        _show(ladder, findings)
    bad = ("error", "warning") if strict else ("error",)
    if any(finding.severity in bad for finding in findings):
        raise typer.Exit(1)


def _show(ladder: Pipeline, findings: Sequence[Finding]) -> None:
    out = console()
    what = f"{ladder.name}: {len(ladder.stages)} stages, {len(ladder.rules)} rules"
    if not findings:
        out.print(f"{printable(what)}, nothing to mend", style="green")
        return
    rows = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    rows.add_column("severity", no_wrap=True)
    rows.add_column("code", no_wrap=True)
    rows.add_column("finding")
    for finding in findings:
        severity = Text(finding.severity, style=_STYLES[finding.severity])
        rows.add_row(severity, finding.code, printable(finding.message))
    out.print(rows)
    counts = Counter(finding.severity for finding in findings)
    out.print(f"\n{printable(what)}; {_counted(counts)}", soft_wrap=True)


def _counted(counts: Counter[Literal["error", "warning", "info"]]) -> str:
    told = []
    for severity, plural in (("error", "errors"), ("warning", "warnings"), ("info", "for info")):
        count = counts[severity]  # type: ignore[index]
        if count:
            told.append(f"{count} {severity if count == 1 and severity != 'info' else plural}")
    return ", ".join(told)


def diagram(
    pipeline: Definition,
    allow: Allow = None,
    format: Annotated[
        Literal["mermaid", "dot"], typer.Option("--format", "-f", help="which language to draw in")
    ] = "mermaid",
    out: Out = None,
) -> None:
    """Draw the ladder, as Mermaid for a README or DOT for Graphviz."""
    _write(loaded_pipeline(pipeline, allow).diagram(format).rstrip("\n"), out)


def schema(
    pipeline: Definition,
    allow: Allow = None,
    published: Annotated[
        bool, typer.Option("--published", help="the AsyncAPI document of what a board publishes")
    ] = False,
    out: Out = None,
) -> None:
    """Write the JSON Schema of the events that a ladder expects, for those who send them."""
    found = loaded_pipeline(pipeline, allow)
    told = found.asyncapi() if published else found.event_schema()
    _write(json_text.dumps(told, indent=2), out)


def _write(text: str, out: Path | None) -> None:
    if out is None:
        sys.stdout.write(f"{text}\n")
    else:
        out.write_text(f"{text}\n", "utf-8")

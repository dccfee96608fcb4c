"""What ``replay`` tells in the end, on the terminal and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
from rich.console import Console

from ..board.board import Board
from ..ladder.ladder import Ladder
from ..logs.replay import ReplayReport
from ..model.receipt import Outcome
from ..model.refusals import RefusalGroup, Refusals
from ..model.report import TickReport
from .printing import (
    console,
    instant_text,
    moment,
    printable,
    status_text,
    table,
    title_of,
)

__all__ = [
    "groups_together",
    "log_record",
    "replay_record",
    "show_groups",
    "show_idle",
    "show_replay",
    "show_times",
]

SHOWN = 20
"""How many kinds of refusals the terminal is told; --json has them all."""


def show_replay(
    board: Board,
    logs: Sequence[Path],
    reports: Sequence[ReplayReport],
    swept: TickReport,
    language: str | None,
) -> None:
    """Print what became of logs, and what did nothing and why."""
    out = console()
    numbers = ("lines", "ignored", "events", "new", "known already", "bad lines")
    rows = table("log", *numbers, right=numbers, cut=("log",))
    for log, report in zip(logs, reports, strict=True):
        known = report.outcomes.get(Outcome.DUPLICATE, 0)
        counts = (report.lines, report.ignored, report.events, report.accepted, known)
        rows.add_row(printable(log.name), *(f"{n:,}" for n in (*counts, report.failed)))
    out.print(rows)
    show_times(out, logs, reports)
    _show_outcomes(out, reports)
    _show_timers(out, board, [*(report.timers for report in reports), swept.timers])
    show_idle(out, board.pipeline.ladder, reports)
    _show_stages(out, board, language)
    held = groups_together(reports, lambda report: report.held)
    show_groups(out, "held, and listed by ladderpipe held list URL", held)
    bad = groups_together(reports, lambda report: report.refusals)
    show_groups(out, "bad lines, left out; --errors FILE takes all of them", bad)
    for failure in swept.failures:
        out.print(printable(f"deal {failure.deal}: {failure.error}"), soft_wrap=True)


def groups_together(
    reports: Iterable[ReplayReport], of: Callable[[ReplayReport], tuple[RefusalGroup, ...]]
) -> tuple[RefusalGroup, ...]:
    """Return the groups of several reports as those of one."""
    collected = Refusals()
    for report in reports:
        for group in of(report):
            collected.add(group)
    return collected.groups()


def show_groups(out: Console, what: str, groups: Sequence[RefusalGroup]) -> None:
    """Print refusals by kind, each with its count and an example."""
    if not groups:
        return
    out.print(f"\n{sum(group.count for group in groups):,} {what}:")
    for group in groups[:SHOWN]:
        out.print(f"  {printable(str(group))}", soft_wrap=True)
    if len(groups) > SHOWN:
        out.print(f"  … and {len(groups) - SHOWN:,} kinds more, in --json")


def show_times(out: Console, logs: Sequence[Path], reports: Sequence[ReplayReport]) -> None:
    """Print when the logs' events happened, and what is wrong with that."""
    firsts = [report.first_at for report in reports if report.first_at is not None]
    lasts = [report.last_at for report in reports if report.last_at is not None]
    if firsts and lasts:
        out.print(f"\nfrom {moment(min(firsts))} to {moment(max(lasts))} UTC")
    for log, report in zip(logs, reports, strict=True):
        for warning in report.warnings:
            out.print(printable(f"! {log.name}: {warning}"), soft_wrap=True, style="yellow")


def _show_outcomes(out: Console, reports: Sequence[ReplayReport]) -> None:
    outcomes: Counter[Outcome] = Counter()
    for report in reports:
        outcomes.update(report.outcomes)
    told = [f"{outcomes[outcome]:,} {outcome}" for outcome in Outcome if outcomes[outcome]]
    out.print(f"events: {', '.join(told) or 'none'}")


def _show_timers(out: Console, board: Board, parts: Iterable[Mapping[str, int]]) -> None:
    counts: Counter[str] = Counter()
    for part in parts:
        counts.update(part)
    rules = {rule.key: str(rule) for rule in board.pipeline.rules}
    told = [f"{count:,} × {rules.get(rule, rule)}" for rule, count in counts.most_common() if count]
    if told:
        out.print(printable(f"timers: {', '.join(told)}"), soft_wrap=True)


def show_idle(out: Console, ladder: Ladder, reports: Sequence[ReplayReport]) -> None:
    """Tell which events moved nothing that somebody may have expected to."""
    unfilled: Counter[tuple[str, str]] = Counter()
    undeclared: Counter[str] = Counter()
    unruled: Counter[str] = Counter()
    for report in reports:
        unfilled.update(report.unfilled)
        undeclared.update(report.undeclared)
        unruled.update(report.unruled)
    for (kind, reason), count in unfilled.most_common():
        out.print(printable(f"{count:,} {kind} moved nothing: {reason}"), soft_wrap=True)
    for kind, count in unruled.most_common():
        no_rule = f"no rule of {ladder.name!r} names it; what it says of the deal counts"
        out.print(printable(f"{count:,} {kind} moved nothing: {no_rule}"), soft_wrap=True)
    for kind, count in undeclared.most_common():
        said = ladder.undeclared(kind)
        out.print(printable(f"recorded all the same, {count:,} ×: {said}"), soft_wrap=True)


def _show_stages(out: Console, board: Board, language: str | None) -> None:
    counts = _stage_counts(board)
    rows = table("stage", "deals", right=("deals",))
    for stage in board.pipeline.stages:
        title = status_text(title_of(stage, language), stage.status)
        rows.add_row(title, f"{counts[stage.key]:,}")
    out.print()
    out.print(rows)


def _stage_counts(board: Board) -> Counter[str]:
    counts: Counter[str] = Counter()
    for row in board.summary():
        counts[row.stage.key] += row.count
    return counts


def replay_record(
    board: Board, logs: Sequence[Path], reports: Sequence[ReplayReport], swept: TickReport
) -> dict[str, Any]:
    """Return for machines what became of logs."""
    counts = _stage_counts(board)
    return {
        "at": instant_text(board.clock.now()),
        "logs": [log_record(log, report) for log, report in zip(logs, reports, strict=True)],
        "stages": {stage.key: counts[stage.key] for stage in board.pipeline.stages},
        "timers": dict(swept.timers),
        "not_swept": [{"deal": f.deal, "reason": str(f.error)} for f in swept.failures],
    }


def log_record(log: Path, report: ReplayReport) -> dict[str, Any]:
    """Return for machines what became of one log."""
    return {
        "log": str(log),
        "source": report.source,
        "lines": report.lines,
        "ignored": report.ignored,
        "events": report.events,
        "accepted": report.accepted,
        "first_at": instant_text(report.first_at),
        "last_at": instant_text(report.last_at),
        "warnings": list(report.warnings),
        "outcomes": {outcome.value: report.outcomes.get(outcome, 0) for outcome in Outcome},
        "timers": dict(report.timers),
        "failed": report.failed,
        "unfilled": [
            {"type": kind, "reason": reason, "count": count}
            for (kind, reason), count in report.unfilled.items()
        ],
        "unruled": dict(report.unruled),
        "undeclared": dict(report.undeclared),
        "held": [attrs.asdict(group) for group in report.held],
        "refusals": [attrs.asdict(group) for group in report.refusals],
        "bad_lines": [{"line": bad.number, "reason": bad.reason} for bad in report.bad_lines],
    }

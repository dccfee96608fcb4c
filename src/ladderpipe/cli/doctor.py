"""``doctor``: says how a store is doing, and what a person should look at."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any, Final

import attrs
import typer

from ..board.chain import Chain
from ..board.findings import Health, HealthFinding
from ..board.health import examine_store
from ..errors import StoreError
from ..stores import RemarkCount, Store
from .advice import as_commands
from .loading import existing_store, loaded_pipeline
from .options import Allow, Json, Name, OwnPipeline, Url
from .printing import console, counted, duration, instant_text, printable, table, write_json

__all__ = ["doctor"]

STYLES: Final = {"error": "red", "warning": "yellow", "info": "cyan", "ok": "green"}


def doctor(
    url: Url,
    pipeline: OwnPipeline = None,
    allow: Allow = None,
    name: Name = None,
    json: Json = False,
) -> None:
    """Look at what is overdue, given up, missing or damaged in a store; writes nothing.

    Exits with 0 if nothing wants a person, 1 if something does, 2 if the store cannot be opened.
    Needs no definition; with --pipeline, the store is compared with that one.
    """
    definition = None if pipeline is None else loaded_pipeline(pipeline, allow)
    with _opened(url) as store:
        reports = examine_store(store, name, definition)
    wanted = definition.name if definition is not None else name
    if not reports:
        held = "nothing was ever stored in it" if wanted is None else f"no pipeline {wanted!r}"
        raise StoreError(f"the store holds nothing to look at: {held}; check URL and name")
    if json:
        write_json([_record(report) for report in reports])
    else:
        for number, report in enumerate(reports):
            _show(report, first=not number)
    if not all(report.ok for report in reports):
        raise typer.Exit(1)


@contextlib.contextmanager
def _opened(url: str) -> Iterator[Store]:
    """Open a store; one that cannot be opened is an argument that makes no sense."""
    with contextlib.ExitStack() as stack:
        try:
            store = stack.enter_context(existing_store(url))
        except StoreError as error:
            raise typer.BadParameter(str(error), param_hint="URL") from None
        yield store


def _show(health: Health, first: bool) -> None:
    out = console()
    if not first:
        out.print()
    verdict, style = _verdict(health.findings)
    out.print(f"{printable(health.pipeline)}: {verdict}", style=f"bold {style}")
    lines = table("", "", "")
    lines.show_header = False
    for what, value, codes in _rows(health):
        state = _worst(f for f in health.findings if f.code in codes)
        lines.add_row(f"  {what}", f"[{STYLES[state]}]{state}[/]", printable(value))
    out.print(lines, markup=True)
    for finding in health.findings:
        style = STYLES[finding.severity]
        out.print(f"\n{finding.severity} {finding.code}", style=f"bold {style}")
        out.print(printable(as_commands(finding.message)), soft_wrap=not out.is_terminal)


def _worst(findings: Iterator[HealthFinding]) -> str:
    return next((finding.severity for finding in findings), "ok")


def _verdict(findings: Sequence[HealthFinding]) -> tuple[str, str]:
    severities = [finding.severity for finding in findings]
    told = [
        counted(severities.count(severity), severity)
        for severity in ("error", "warning")
        if severity in severities
    ]
    return ", ".join(told) or "healthy", STYLES[_worst(iter(findings))] if told else "green"


def _rows(health: Health) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yield what was looked at, what was seen, and the findings it may lead to."""
    schema, backlog = health.structure, health.backlog
    if schema is not None:
        is_newest = schema.version == schema.expected_version
        expected = "" if is_newest else f", expected {schema.expected_version}"
        yield "schema", f"version {schema.version}{expected}", ("H001",)
        yield "indexes", ", ".join(schema.missing_indexes) or "all there", ("H002",)
    yield "damage", "; ".join(health.faults or ()) or "none found", ("H003",)
    yield "clock", _clock(health), ("H009",)
    timer = duration(backlog.timer_lag) if backlog.timer_lag else "nothing is due"
    yield "oldest due timer", timer, ("H004",)
    effect = f"{backlog.oldest_effect}, {duration(backlog.effect_lag)}"
    yield "oldest effect", effect if backlog.oldest_effect else "none is ready", ("H005",)
    yield "dead letters", f"{backlog.dead_letters:,}", ("H006",)
    yield "deals failing", f"{health.failing_deals:,}", ("H007",)
    yield "deals waiting", f"{health.waiting_deals:,}", ("H008",)
    held = ", ".join(f"{count:,} {kind}" for kind, (count, _) in sorted(health.held.items()))
    yield "events held", held or "none", ("H013",)
    undeclared = ", ".join(f"{kind} ({count:,})" for kind, count in health.undeclared.items())
    yield "not declared", undeclared or "none", ("H020",)
    yield "after closing", _told(health.after_closing), ("H021",)
    yield "came too late", _told(health.late), ("H022",)
    lacking = ", ".join(f"{name}: none in {year}" for name, year in health.without_holidays.items())
    yield "holidays", lacking or "known", ("H023",)
    yield "hash chain", _chain(health), ("H024",)
    ahead = "further than now" if health.is_swept_ahead else "up to now"
    yield "swept", ahead, ("H014",)
    put_off = "for longer than any backoff" if health.is_put_off else "none for too long"
    yield "effects put off", put_off, ("H019",)
    yield "definition", "another one" if health.is_changed else "as stored", ("H012",)
    yield "migration", "not finished" if health.is_migrating else "none", ("H011",)
    unknown = ", ".join(f"{stage} ({count:,})" for stage, count in health.unknown_stages.items())
    yield "unknown stages", unknown or "none", ("H010",)


def _told(count: RemarkCount | None) -> str:
    return "none" if count is None else f"{count.lately:,} lately, {count.told:,} in all"


def _chain(health: Health) -> str:
    if health.chain is None:
        return "none"
    events, complete_to = counted(health.chain.events, "event"), health.chain.complete_to
    if complete_to is None:
        return f"{events}, not through all deals yet"
    return f"{events}, {duration(max(health.at - complete_to, dt.timedelta()))} behind"


def _clock(health: Health) -> str:
    if health.clock is None:
        return "the database's own, on this machine"
    uncertainty = health.clock.uncertainty.total_seconds()
    return f"{health.clock} the database's, give or take {uncertainty:.3f} s"


def _counts(count: RemarkCount | None) -> dict[str, Any]:
    return {"told": 0, "lately": 0, "deal": None} if count is None else count._asdict()


def _chain_record(chain: Chain | None) -> dict[str, Any] | None:
    if chain is None:
        return None
    complete_to = instant_text(chain.complete_to)
    return {"head": chain.head, "events": chain.events, "complete_to": complete_to}


def _record(health: Health) -> dict[str, Any]:
    schema, clock = health.structure, health.clock
    return {
        "pipeline": health.pipeline,
        "at": instant_text(health.at),
        "ok": health.ok,
        "schema_version": None if schema is None else schema.version,
        "schema_expected": None if schema is None else schema.expected_version,
        "missing_indexes": {} if schema is None else dict(schema.missing_indexes),
        "faults": list(health.faults or ()),
        "timer_lag_seconds": health.backlog.timer_lag.total_seconds(),
        "effect_lag_seconds": health.backlog.effect_lag.total_seconds(),
        "oldest_effect": health.backlog.oldest_effect,
        "dead_letters": health.backlog.dead_letters,
        "failing_deals": health.failing_deals,
        "waiting_deals": health.waiting_deals,
        "swept_ahead": health.is_swept_ahead,
        "held": {kind: count for kind, (count, _) in sorted(health.held.items())},
        "undeclared": dict(health.undeclared),
        "after_closing": _counts(health.after_closing),
        "late": _counts(health.late),
        "clock_difference_seconds": None if clock is None else clock.ahead.total_seconds(),
        "clock_uncertainty_seconds": None if clock is None else clock.uncertainty.total_seconds(),
        "unknown_stages": dict(health.unknown_stages),
        "without_holidays": dict(health.without_holidays),
        "chain": _chain_record(health.chain),
        "migrating": health.is_migrating,
        "changed": health.is_changed,
        "findings": [attrs.asdict(finding) for finding in health.findings],
    }

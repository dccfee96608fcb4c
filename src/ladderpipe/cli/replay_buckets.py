"""``replay --buckets``: logs into a folder of tables, for more deals than a store is wanted for."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import typer

from ..logs.log_map import CloudEvents, LogMap
from ..model.refusals import RefusalGroup, grouped
from ..pipeline import Pipeline
from .printing import console, counted, instant_text, printable, progress, table, write_json
from .replay_told import groups_together, log_record, show_groups, show_idle, show_times

if TYPE_CHECKING:
    from ..insight import ReplayedFolder

__all__ = ["replay_into_folder"]


def replay_into_folder(
    logs: Sequence[Path],
    pipeline: Pipeline,
    into: str,
    *,
    log_map: LogMap | CloudEvents | None,
    source: str | None,
    until: dt.datetime | None,
    is_now: bool,
    buckets: int | None,
    processes: int,
    errors: TextIO | None,
    json: bool,
) -> Sequence[tuple[int, int]]:
    """Replay logs into a folder and tell what came of them.

    Args:
        is_now: whether *until* is only the present, which a folder that was begun earlier keeps.

    Returns:
        of each log, how many lines were bad and how many were not.
    """
    from .. import insight

    if "://" in into:
        raise typer.BadParameter(f"--buckets writes files: --into names a folder, not {into}")
    with progress() as bar:
        task = bar.add_task("buckets", total=None)
        found = insight.replay(
            pipeline,
            _source(logs, log_map, source),
            _begun_with(into) if is_now and _begun_with(into) else until,
            buckets=buckets,
            into=into,
            processes=processes,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    if errors is not None:
        for path, bad in found.bad_lines:
            print(printable(f"{path}:{bad.number}: {bad.reason}"), file=errors)
    aside = grouped((f"event {one.event.id}", one.reason) for one in found.aside)
    if json:
        write_json(_record(logs, found, aside))
    else:
        _show(logs, found, pipeline, aside)
    return [(report.failed, report.events + report.ignored) for report in found.logs]


def _source(logs: Sequence[Path], log_map: LogMap | CloudEvents | None, source: str | None) -> Any:
    from .. import insight

    if not any(log.suffix == ".parquet" for log in logs):
        return insight.EventLog(logs, log_map, source)
    if len(logs) > 1 or log_map is not None or source is not None:
        raise typer.BadParameter(
            "Parquet holds events as columns, one file at a time: leave out --map and --source; "
            "insight.replay takes a folder of files"
        )
    return logs[0]


def _begun_with(into: str) -> str | None:
    from ..insight.buckets.manifest import Folder

    known = Folder(Path(into)).manifest
    return None if known is None else known["until"]


def _stages(found: ReplayedFolder) -> dict[str, int]:
    import polars as pl

    counts = found.deals.group_by(pl.col("stage").cast(pl.String)).len().collect()
    by_key: dict[str, int] = dict(counts.iter_rows())
    return {stage.key: by_key.get(stage.key, 0) for stage in found.ladder().stages}


def _show(
    logs: Sequence[Path],
    found: ReplayedFolder,
    pipeline: Pipeline,
    aside: Sequence[RefusalGroup],
) -> None:
    out = console()
    reports = found.logs
    if reports:
        numbers = ("lines", "ignored", "events", "bad lines")
        rows = table("log", *numbers, right=numbers, cut=("log",))
        for log, report in zip(logs, reports, strict=True):
            counts = (report.lines, report.ignored, report.events, report.failed)
            rows.add_row(printable(log.name), *(f"{n:,}" for n in counts))
        out.print(rows)
        show_times(out, logs, reports)
        show_idle(out, pipeline.ladder, reports)
    rows = table("stage", "deals", right=("deals",))
    for stage, count in _stages(found).items():
        rows.add_row(printable(stage), f"{count:,}")
    out.print(rows)
    show_groups(out, "events could not be used", aside)
    bad = groups_together(reports, lambda report: report.refusals)
    show_groups(out, "bad lines, left out; --errors FILE takes all of them", bad)
    what = f"{counted(found.events, 'event')} in {counted(found.buckets, 'bucket')}"
    out.print(printable(f"{what}: {found.path}"), soft_wrap=True)


def _record(
    logs: Sequence[Path], found: ReplayedFolder, aside: Sequence[RefusalGroup]
) -> dict[str, Any]:
    import attrs

    return {
        "folder": str(found.path),
        "buckets": found.buckets,
        "until": instant_text(found.until),
        "events": found.events,
        "one_by_one": found.one_by_one,
        "why_not": list(found.why_not),
        "stages": _stages(found),
        "aside": [attrs.asdict(group) for group in aside],
        "logs": [log_record(log, report) for log, report in zip(logs, found.logs, strict=False)],
    }

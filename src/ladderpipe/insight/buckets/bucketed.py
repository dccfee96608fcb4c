"""Bulk replay as people call it: in memory, or bucket by bucket into a folder."""

from __future__ import annotations

import datetime as dt
import json
import os
import pickle
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from importlib.metadata import version
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any, Final, TypeAlias, overload

import attrs

from ...errors import DefinitionError, StoreError
from ...model.clock import instant
from ...pipeline import Pipeline
from .. import bulk
from ..bulk.event_frame import EventSource
from ..bulk.outcome import Replayed
from .event_log import EventLog
from .fold import fold_bucket
from .folder import ASIDE, FOUND, ReplayedFolder, cut_events
from .manifest import MOST_BUCKETS, Folder, refusing
from .partition import cut_log, frames_of_logs
from .source import Content, LogSource, chunks, identity_of, rows_of

__all__ = ["IN_A_BUCKET", "replay"]

IN_A_BUCKET: Final = 5_000_000
"""Events of a bucket where nobody says how many buckets there are: at least so many, and less than
twice as many. Fewer than :data:`~..bulk.loading.WORTH_LOADING` would not go through the kernel."""

OF_LOGS: Final = 1_000_000
"""So many events of logs are cut together: their data is text, several times as long as columns."""

BucketProgress: TypeAlias = Callable[[int, int], None]
"""Told how many buckets of how many are folded."""


@overload
def replay(
    pipeline: Pipeline,
    events: EventSource,
    until: dt.datetime | str | None = None,
    *,
    workers: int | None = None,
) -> Replayed: ...


@overload
def replay(
    pipeline: Pipeline,
    events: LogSource,
    until: dt.datetime | str | None = None,
    *,
    workers: int | None = None,
    buckets: int | None = None,
    into: str | Path,
    processes: int = 1,
    progress: BucketProgress | None = None,
) -> ReplayedFolder: ...


def replay(
    pipeline: Pipeline,
    events: LogSource,
    until: dt.datetime | str | None = None,
    *,
    workers: int | None = None,
    buckets: int | None = None,
    into: str | Path | None = None,
    processes: int = 1,
    progress: BucketProgress | None = None,
) -> Replayed | ReplayedFolder:
    """Return the histories that :meth:`Pipeline.replay` gives, as tables, for millions of deals.

    A ladder whose guards are all declarative is folded in columns, on all cores: all deals take
    their first step together, then their second; or, where the extra ``bulk`` is installed and
    there are millions of events, one deal after another in a compiled loop. Any other takes the
    ordinary fold, and :attr:`Replayed.why_not` says why; so do single deals that the columns cannot
    hold (:attr:`Replayed.one_by_one`). The histories are the same either way.

    With *into*, the log is cut by deal into buckets, which are folded one after another into that
    folder: the same histories, with no more memory than a bucket needs. A run that was killed goes
    on when the same call is made again; a bucket that was folded is not folded again.

    Args:
        pipeline: the ladder.
        events: a Polars frame, the path of a Parquet file, an iterable of frames, or ``Event``
            objects; in any order. The columns are ``deal``, ``type``, ``at``, ``id`` and, if need
            be, ``seq`` and ``source``; data as JSON text in ``data``, or in columns (``sku``,
            ``quantity``, ``unit_price``, ``line_title``, ``value``, ``currency``, ``owner``,
            ``company``, ``title``, ``deal_source``, ``into``, ``by``, ``reason``, and
            ``properties.<name>``), null where an event does not tell. With *into* also a folder of
            Parquet files, a pattern of their names, or an :class:`EventLog`; an iterable is taken a
            part at a time.
        until: leave out later events, and fire timers due up to and at it. Without it every
            history ends with its deal's last event.
        workers: how many threads step deals; by default one for each core.
        buckets: into how many the log is cut; by default one for every five million events, where
            they can be counted beforehand, or as many as the folder was begun with.
        into: a folder: an empty one, one that is not there yet, or the one to go on with.
        processes: how many fold buckets side by side, each with memory for its own. Worth it for
            ladders that take the ordinary fold; columns use all cores from one process.
        progress: told how many buckets of how many are folded.

    Raises:
        InvalidEventError: a column, or an event in it, is not what it should be.
        EventConflictError: one identity, two contents.
        GuardError: a guard raised.
        DefinitionError: *buckets* is no number that can be, or cannot be told from the source; or
            the pipeline cannot be given to another process.
        StoreError: the folder holds something else, or a replay of something else; another run
            writes into it; the disk is full.
    """
    limit = None if until is None else instant(until)
    if into is None:
        if buckets is not None or processes != 1 or progress is not None:
            raise DefinitionError(
                "buckets, processes and progress are of a replay into a folder: name one with "
                "into=, or leave them out"
            )
        if isinstance(events, EventLog):
            raise DefinitionError("logs with a map are replayed into a folder: name one with into=")
        found = bulk.replay(pipeline, events, until, workers=workers)
        return attrs.evolve(found, pipeline=pipeline, until=limit)
    if processes < 1:
        raise DefinitionError(f"processes={processes} fold nothing: give 1 or more")
    if processes > 1:
        _refuse_unless_it_travels(pipeline)
    folder = Folder(Path(into))
    with folder.held():
        told = _manifest(folder, pipeline, events, limit, buckets)
        with refusing(folder.path):
            folder.begin(told)
        run = _Run(folder, pipeline, limit, workers, processes)
        run.cut(events)
        run.fold(progress)
    return ReplayedFolder.open(folder.path, pipeline)


def _manifest(
    folder: Folder,
    pipeline: Pipeline,
    events: LogSource,
    until: dt.datetime | None,
    buckets: int | None,
) -> dict[str, Any]:
    try:
        definition = pipeline.to_dict(hooks=False)
    except DefinitionError:
        definition = None
    known = folder.manifest
    if buckets is None and known is not None:
        buckets = known["buckets"]
    return {
        "pipeline": pipeline.name,
        "fingerprint": pipeline.fingerprint,
        "buckets": _checked(buckets, events),
        "until": None if until is None else until.isoformat(),
        "source": identity_of(events),
        "versions": {name: version(name) for name in ("ladderpipe", "polars")},
        "definition": definition,
    }


def _checked(buckets: int | None, events: LogSource) -> int:
    if buckets is None:
        rows = rows_of(events)
        if rows is None:
            raise DefinitionError(
                "nobody knows how many events an iterator or a log will give: say buckets=, one "
                f"for every {IN_A_BUCKET:,} events"
            )
        return min(MOST_BUCKETS, max(1, rows // IN_A_BUCKET))
    if isinstance(buckets, bool) or not 1 <= buckets <= MOST_BUCKETS:
        raise DefinitionError(
            f"buckets={buckets!r}: a log is cut into 1 to {MOST_BUCKETS:,}, one for every "
            f"{IN_A_BUCKET:,} events"
        )
    return buckets


def _refuse_unless_it_travels(pipeline: Pipeline) -> None:
    try:
        pickle.dumps(pipeline)
    except Exception as error:
        raise DefinitionError(
            f"pipeline {pipeline.name!r} cannot be given to other processes ({error}): write its "
            "functions with def in a module, or leave processes at 1"
        ) from error


class _Run:
    """One call that folds into a folder."""

    def __init__(
        self,
        folder: Folder,
        pipeline: Pipeline,
        until: dt.datetime | None,
        workers: int | None,
        processes: int,
    ) -> None:
        self._folder = folder
        self._pipeline = pipeline
        self._until = until
        self._workers = workers or max(1, (os.cpu_count() or 1) // processes)
        self._processes = processes
        self._rows: list[int] = []

    def cut(self, events: LogSource) -> None:
        """Cut the log, unless that is done; then see that it is the same log."""
        known = self._folder.cut
        self._folder.clear_parts(events=known is None)
        content = Content() if identity_of(events) is None else None
        if known is None:
            known = self._cut(events, content)
        elif content is not None:
            assert not isinstance(events, EventLog)
            for frame in chunks(events, self._until, self._folder.spare()):
                content.add(frame)
            if known.get("content") != content.told():
                raise StoreError(
                    f"{self._folder.path} was begun with other events than these: go on with "
                    "those it was begun with, or name an empty folder"
                )
        self._rows = known["rows"]

    def _cut(self, events: LogSource, content: Content | None) -> dict[str, Any]:
        manifest = self._folder.manifest
        assert manifest is not None
        number = manifest["buckets"]
        if isinstance(events, EventLog):
            with frames_of_logs(self._folder, events, self._pipeline.ladder) as (frames, logs):
                given = chunks(frames, self._until, self._folder.spare(), OF_LOGS)
                return cut_log(self._folder, given, number, None, logs)
        given = chunks(events, self._until, self._folder.spare())
        return cut_log(self._folder, given, number, content)

    def fold(self, progress: BucketProgress | None) -> None:
        """Fold the buckets that are not folded yet."""
        total = len(self._rows)
        left = [place for place in range(total) if not self._folder.bucket(place).exists()]
        for done, _ in enumerate(self._folded(left), start=total - len(left) + 1):
            if progress is not None:
                progress(done, total)

    def _folded(self, left: Sequence[int]) -> Iterator[None]:
        jobs = [
            (
                self._folder.path,
                place,
                self._rows[place],
                self._pipeline,
                self._until,
                self._workers,
            )
            for place in left
        ]
        if self._processes == 1 or len(jobs) <= 1:
            for job in jobs:
                fold_into(*job)
                yield
            return
        # A process that is forked may wait for ever for a thread that was not forked with it.
        most = min(self._processes, len(jobs))
        with ProcessPoolExecutor(
            most, mp_context=get_context("spawn"), initializer=_end_with_parent
        ) as pool:
            waiting = [pool.submit(fold_into, *job) for job in jobs]
            try:
                for future in as_completed(waiting):
                    future.result()
                    yield
            except BrokenProcessPool as error:
                raise StoreError(
                    "a process that folded a bucket has ended before it was done; if there was not "
                    "enough memory, give fewer processes, and call again to go on; a script needs "
                    'if __name__ == "__main__":'
                ) from error
            finally:
                pool.shutdown(cancel_futures=True)


def _end_with_parent() -> None:
    """Let this process end with whoever started it, even killed; a pool's would wait for ever."""
    parent = parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def fold_into(
    path: Path,
    number: int,
    rows: int,
    pipeline: Pipeline,
    until: dt.datetime | None,
    workers: int,
) -> None:
    """Fold one bucket and put what came of it into its place.

    Raises:
        StoreError: its events are not those that were cut, or the disk is full.
    """
    folder = Folder(path)
    events = cut_events(folder, number)
    if events.height != rows:
        raise StoreError(
            f"bucket {number} of {path} holds {events.height:,} events, and {rows:,} were cut into "
            "it: remove the folder, and begin again"
        )
    found = fold_bucket(pipeline, events, until, workers=workers)
    with refusing(path):
        folder.put(number, lambda place: _write(place, found, rows))


def _write(place: Path, found: Replayed, events: int) -> None:
    tables = {"moves": found.moves, "visits": found.visits, "deals": found.deals}
    for name, table in tables.items():
        table.write_parquet(place / f"{name}.parquet")
    with (place / ASIDE).open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(one.to_dict()) + "\n" for one in found.aside)
    told = {
        "events": events,
        "columnar": found.columnar,
        "why_not": found.why_not,
        "one_by_one": found.one_by_one,
        "compiled": found.compiled,
    }
    (place / FOUND).write_text(json.dumps(told), "utf-8")

"""What a bucketed replay found, read from its folder as it is asked for."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import polars as pl

from ...errors import DefinitionError, PipelineChangedError, StoreError
from ...logs.replay import ReplayReport
from ...logs.rows import BadLine
from ...model.clock import instant
from ...model.history import SetAside
from ...pipeline import Pipeline
from ..bulk.event_frame import EVENTS
from .event_log import from_json, named_by_count
from .manifest import BAD_LINES, Folder

__all__ = ["ASIDE", "FOUND", "ReplayedFolder", "cut_events"]

FOUND = "found.json"
ASIDE = "aside.jsonl"


@attrs.frozen(eq=False, repr=False)
class ReplayedFolder:
    """The histories that ``insight.replay(…, into=…)`` wrote; nothing is read before it is asked.

    ``moves``, ``deals`` and ``visits`` are queries over the files: filter them, group them or sink
    them into a file, and Polars reads the columns that are needed, a part at a time. A deal's rows
    stand together and in their order; deals stand bucket by bucket, sorted within each.

    Attributes:
        path: the folder.
        pipeline: the pipeline's name.
        fingerprint: of its definition.
        until: the instant up to which was replayed; ``None`` where every history ends with its
            deal's last event.
        buckets: into how many the log was cut.
        events: how many there were, those of deals that were never opened included.
        columnar, why_not, compiled: as in ``Replayed``; ``compiled`` if any bucket was.
        one_by_one: how many deals took the ordinary fold.
    """

    path: Path
    pipeline: str
    fingerprint: str
    until: dt.datetime | None
    buckets: int
    events: int
    columnar: bool
    why_not: tuple[str, ...]
    one_by_one: int
    compiled: bool
    _ladder: Pipeline | None = None
    _definition: Mapping[str, Any] | None = None
    _allow: Iterable[str] = ()

    @classmethod
    def open(
        cls, path: str | Path, pipeline: Pipeline | None = None, allow: Iterable[str] = ()
    ) -> ReplayedFolder:
        """Open a folder whose replay has ended.

        Args:
            pipeline: the ladder; the definition that the folder keeps when left out.
            allow: modules whose functions that definition may name.

        Raises:
            PipelineChangedError: *pipeline* is another one.
            StoreError: it is no replay's folder, or not all of its buckets are folded.
        """
        folder = Folder(Path(path))
        told = folder.manifest
        if told is None:
            raise StoreError(
                f"{path} holds no replay: name the folder that was given as into=, or run "
                "insight.replay(…, into=…) first"
            )
        number = told["buckets"]
        found = [_found(folder, place) for place in range(number)]
        missing = found.count(None)
        if missing:
            raise StoreError(
                f"{missing} of the {number} buckets in {path} are not folded: make the same call "
                "of insight.replay again, which goes on where the last run ended"
            )
        if pipeline is not None and pipeline.fingerprint != told["fingerprint"]:
            raise PipelineChangedError(
                f"{path} holds a replay of another definition of {told['pipeline']!r}: leave "
                "pipeline out, or replay into another folder"
            )
        whole = [one for one in found if one is not None]
        until = told["until"]
        return cls(
            path=folder.path,
            pipeline=told["pipeline"],
            fingerprint=told["fingerprint"],
            until=None if until is None else instant(until),
            buckets=number,
            events=sum(one["events"] for one in whole),
            columnar=all(one["columnar"] for one in whole),
            why_not=tuple(whole[0]["why_not"]),
            one_by_one=sum(one["one_by_one"] for one in whole),
            compiled=any(one["compiled"] for one in whole),
            ladder=pipeline,
            definition=told["definition"],
            allow=allow,
        )

    def ladder(self) -> Pipeline:
        """Return the ladder that was given, or the one that the folder keeps, without hooks.

        Raises:
            DefinitionError: it holds a function without an import path, or one that is not allowed.
        """
        if self._ladder is not None:
            return self._ladder
        if self._definition is None:
            raise DefinitionError(
                f"pipeline {self.pipeline!r} holds a function without an import path, so the "
                "folder cannot keep it: give it to ReplayedFolder.open(…, pipeline)"
            )
        return Pipeline.from_dict(self._definition, self._allow)

    @property
    def logs(self) -> tuple[ReplayReport, ...]:
        """What became of each file of an ``EventLog``: lines, events, what was left out and why.

        What a board would say of them (outcomes, what is held) is not told.
        """
        return tuple(from_json(told) for told in (Folder(self.path).cut or {}).get("logs", ()))

    @property
    def bad_lines(self) -> Iterator[tuple[Path, BadLine]]:
        """All lines of an ``EventLog`` that gave no event, each with its file."""
        file = self.path / BAD_LINES
        if file.exists():
            with file.open(encoding="utf-8") as lines:
                for line in lines:
                    path, number, reason = json.loads(line)
                    yield Path(path), BadLine(number, reason)

    @property
    def moves(self) -> pl.LazyFrame:
        """A row for every move, as in ``Replayed.moves``."""
        return self._scan("moves")

    @property
    def deals(self) -> pl.LazyFrame:
        """A row for every deal that was opened, as in ``Replayed.deals``."""
        return self._scan("deals")

    @property
    def visits(self) -> pl.LazyFrame:
        """A row for every visit, as in ``Replayed.visits``."""
        return self._scan("visits")

    @property
    def aside(self) -> Iterator[SetAside]:
        """Events that could not be used, each with the reason, as in ``Replayed.aside``."""
        for number in range(self.buckets):
            with (Folder(self.path).bucket(number) / ASIDE).open(encoding="utf-8") as file:
                for line in file:
                    yield SetAside.from_dict(json.loads(line))

    def events_of(self, number: int) -> pl.DataFrame:
        """Return the events that were cut into a bucket, as they were told.

        Raises:
            StoreError: the folder ``events`` was removed.
        """
        folder = Folder(self.path)
        rows = (folder.cut or {"rows": [0] * self.buckets})["rows"][number]
        events = cut_events(folder, number)
        if events.height != rows:
            raise StoreError(
                f"{self.path} holds the tables of bucket {number} and not all of its events any "
                "more: replay the log into another folder"
            )
        return events

    def _scan(self, table: str) -> pl.LazyFrame:
        folder = Folder(self.path)
        return pl.scan_parquet(
            [folder.bucket(number) / f"{table}.parquet" for number in range(self.buckets)]
        )

    def __repr__(self) -> str:
        return f"<ReplayedFolder {str(self.path)!r} of {self.pipeline!r}: {self.events:,} events>"


def cut_events(folder: Folder, number: int) -> pl.DataFrame:
    """Return the events of a bucket that are in its files, in the order of the log."""
    parts = folder.parts_of(number)
    if not parts:
        return pl.DataFrame(schema=EVENTS)
    return named_by_count(pl.concat([pl.read_parquet(part) for part in parts]))


def _found(folder: Folder, number: int) -> dict[str, Any] | None:
    file = folder.bucket(number) / FOUND
    if not file.exists():
        return None
    found: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return found

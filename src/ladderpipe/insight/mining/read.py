"""From an XES log of whatever tool to events."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ...errors import DefinitionError, InvalidEventError
from ...logs.log_map import CloudEvents, LogMap, OwnXes
from ...logs.map_files import load_map, map_data
from ...logs.map_reader import map_from_dict
from ...logs.readers import LogFile
from ...logs.replay import known_as
from ...logs.row_identity import Repeats
from ...logs.rows import BadLine
from ...model.event import Event

__all__ = ["read_xes"]


def read_xes(
    path: str | Path,
    map: str | Path | LogMap | None = None,
    *,
    types: Mapping[str, Any] | None = None,
    source: str | None = None,
    on_bad_row: Callable[[BadLine], None] | None = None,
) -> Iterator[Event]:
    """Yield the events of an XES log, in the order in which they stand, in constant memory.

    Without *map* and *types* the log is one that :func:`export_log` wrote with
    ``what="events"``, and every event is as it was.

    Args:
        path: ``.xes``, compressed or not.
        map: what the activities mean: a TOML file as ``ladderpipe replay --map`` takes it, the
            name of a shipped map, or a map.
        types: instead of a map, which activity is which event, as under ``[types]`` in a map:
            ``{"Order received": "order.confirmed", "*": "ignore"}``.
        source: who numbers the log's events, where the map names an id; by default the map's
            ``source``, otherwise the file's name. Without an id their content names them.
        on_bad_row: told of every event that gave none of ours, with its number from 1 and the
            reason; without it, the first one is an error.

    Raises:
        DefinitionError: the map is malformed, or *map* and *types* are both given.
        InvalidEventError: the file is no XES, declares a document type, or an event is bad and
            nobody is told.
        OSError: the file cannot be opened.
    """
    found = _meaning(map, types)
    name = known_as(path, found, source)
    repeats = Repeats()
    with LogFile(path, found.layout, found.columns) as log:
        for row in log:
            mapped = (row,) if isinstance(row, BadLine) else found.events(row, name, repeats)
            for event in mapped:
                if isinstance(event, Event):
                    yield event
                elif event is not None:
                    _tell(event, log.path, on_bad_row)


def _meaning(
    map: str | Path | LogMap | None, types: Mapping[str, Any] | None
) -> LogMap | CloudEvents | OwnXes:
    if map is not None and types is not None:
        raise DefinitionError(
            "read_xes takes a map or types, and both were given: write the types into the map"
        )
    if types is not None:
        return map_from_dict({**map_data("xes"), "types": dict(types)})
    if map is None:
        return OwnXes()
    return map if isinstance(map, LogMap) else load_map(map)


def _tell(bad: BadLine, path: Path, on_bad_row: Callable[[BadLine], None] | None) -> None:
    if on_bad_row is None:
        raise InvalidEventError(
            f"{path.name}, event {bad.number}: {bad.reason}; mend it, or pass on_bad_row to read on"
        )
    on_bad_row(bad)

"""From a CRM's export, a table of deals with dates, to the tables of a board's history."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from ...errors import DefinitionError, LadderError
from ...logs.crm_map import CrmMap, Join, crm_map
from ...logs.crm_rows import Opportunity, read_row
from ...logs.readers import LogFile
from ...logs.rows import BadLine, Row
from ...model.clock import instant
from .derive import deals_of, visits_of
from .schema import CHANGES, DEALS, MOVES
from .table_builder import Columns
from .tables import Problem, Tables

__all__ = ["read_crm"]

_ROW = "crm.row"
"""The event type of what an export's row tells."""


def read_crm(
    paths: str | Path | Iterable[str | Path],
    map: str | Path | CrmMap,
    *,
    as_of: dt.datetime | str | None = None,
) -> Tables:
    """Return the deals of a CRM's export and their histories, as far as its dates tell them.

    A deal without any date has no history: it counts among the deals, and is in no visit. What
    an export knows of a deal only in the end (its final value, why it was lost) holds from then
    on, so that no earlier table knows it.

    Args:
        paths: one CSV or JSON lines file, or several with the same columns.
        map: a TOML file that says what the columns mean, the name of a shipped one, or a map.
        as_of: the instant at which the export was made; its latest date when left out. What
            happened later is cut off.

    Raises:
        DefinitionError: the map is malformed, a file lacks a column that it refers to, or no
            row has a date and *as_of* is left out.
        OSError: a file cannot be opened.
    """
    crm = map if isinstance(map, CrmMap) else crm_map(map)
    if not crm.deal or not crm.stages:
        raise DefinitionError(
            "the map has no [deal], or no [stages.key]: a table of deals needs both, since no "
            "ladder says which stages there are"
        )
    files = [Path(paths)] if isinstance(paths, str | Path) else [Path(path) for path in paths]
    export = _Export(crm)
    for file in files:
        export.take(file)
    return export.tables(None if as_of is None else instant(as_of))


class _Export:
    """The rows of an export on their way into tables."""

    def __init__(self, crm: CrmMap) -> None:
        self._crm = crm
        self._moves = Columns(MOVES)
        self._changes = Columns(CHANGES)
        self._undated: list[dict[str, Any]] = []
        self._also = Columns({"deal": pl.String} | dict.fromkeys(crm.also, pl.String))
        self._seen: set[str] = set()
        self._latest: dt.datetime | None = None
        self._problems: list[Problem] = []

    def take(self, file: Path) -> None:
        """Read a file; what is wrong with a row is noted, and the others go on."""
        joined = {join.name: self._joined(file.parent, join) for join in self._crm.joins}
        for row in self._rows(file, self._crm.columns):
            try:
                found = read_row(self._crm, row.values, joined)
                if found is None:
                    continue
                if found.id in self._seen:
                    raise DefinitionError(f"deal {found.id!r} has a row already: it may have one")
            except LadderError as error:
                self._problems.append(Problem(file.name, row.number, str(error)))
                continue
            self._add(found, file.name, row.number)

    def _rows(self, file: Path, columns: frozenset[str]) -> Iterator[Row]:
        with LogFile(file, self._crm.layout, columns) as log:
            for row in log:
                if isinstance(row, BadLine):
                    self._problems.append(Problem(file.name, row.number, row.reason))
                else:
                    yield row

    def _joined(self, folder: Path, join: Join) -> Mapping[str, Mapping[str, Any]]:
        """Return the rows of a joined file by what they are joined by; the first counts."""
        file = folder / join.file
        found: dict[str, Mapping[str, Any]] = {}
        for row in self._rows(file, self._crm.columns_of(join)):
            key = str(row.values[join.by])
            if key in found:
                why = f"{join.by} {key!r} has a row already: only the first counts"
                self._problems.append(Problem(file.name, row.number, why))
            found.setdefault(key, row.values)
        return found

    def _add(self, found: Opportunity, file: str, line: int) -> None:
        self._seen.add(found.id)
        self._also.add([(found.id, *found.also)])
        self._problems += [Problem(file, line, doubt) for doubt in found.doubts]
        if not found.is_dated:
            self._undated.append(_undated(found))
            return
        left = None
        for n, (stage, at) in enumerate(found.stays, start=1):
            # One row tells all stays of its deal, in their order: that order numbers them.
            cause = ("event", _ROW, file, str(line), n)
            self._moves.add([(found.id, n, left, stage.key, at, None, f"into {stage.key}", *cause)])
            left = stage.key
            self._changes.add([(found.id, at, *found.facts_in(stage), at)])
            self._latest = at if self._latest is None else max(at, self._latest)

    def tables(self, as_of: dt.datetime | None) -> Tables:
        """Return what was read, cut at *as_of*."""
        ends = [at for at in (as_of, self._latest) if at is not None]
        if not ends:
            raise DefinitionError(
                "no row of the export has a date, so nobody knows when it was made: say so with "
                "as_of, or mend the map's entered = ..."
            )
        stages = tuple(known.stage for known in self._crm.stages)
        moves, changes = self._moves.frame("deal", "n"), self._changes.frame("deal", "at")
        visits = visits_of(moves)
        dated = deals_of(visits, changes, stages)
        deals = pl.concat([dated, pl.DataFrame(self._undated, schema=DEALS)]).sort("deal")
        tables = Tables(
            pipeline=self._crm.pipeline,
            stages=stages,
            as_of=max(ends),
            deals=deals.join(self._also.frame("deal"), on="deal", maintain_order="left"),
            visits=visits,
            moves=moves,
            changes=changes,
            undated=len(self._undated),
            problems=tuple(self._problems),
        )
        return tables if as_of is None else tables.at(as_of)


def _undated(found: Opportunity) -> dict[str, Any]:
    title, value, currency, owner, source, reason = found.facts_in(found.stage)
    return {
        "deal": found.id,
        "title": title,
        "stage": found.stage.key,
        "status": found.stage.status,
        "value": value,
        "currency": currency,
        "owner": owner,
        "source": source,
        "loss_reason": reason,
    }

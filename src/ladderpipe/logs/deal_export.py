"""Exports of another system as deals to bring over: a row a deal, a row a change, or both joined.

What was read is sorted in a temporary database, so that exports of any size and in any order need
little memory; it is gone when reading ends.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from ..errors import DefinitionError, InvalidEventError, LadderError
from ..model.clock import instant_text
from ..model.deal_import import RefusedDeal, Stay, ToldDeal
from ..model.stage import Stage
from ..pipeline import Pipeline
from .crm_map import CrmMap, Join, crm_map
from .crm_rows import Opportunity, read_row
from .log_map import time_zone
from .placeholders import Scope, shown
from .readers import LogFile
from .rows import BadLine, Row

__all__ = ["DealExport", "told_deals"]

_TABLES = """
    CREATE TABLE deals (id TEXT PRIMARY KEY, line INTEGER, told TEXT) WITHOUT ROWID;
    CREATE TABLE changes (id TEXT, at TEXT, stage TEXT, place TEXT);
    CREATE TABLE refused (place TEXT, reason TEXT);
"""


def told_deals(
    paths: str | Path | Iterable[str | Path],
    map: str | Path | CrmMap,
    pipeline: Pipeline,
    *,
    history: str | Path | Iterable[str | Path] = (),
    zone: str | None = None,
) -> DealExport:
    """Return the deals of a CRM's exports, for :meth:`ladderpipe.Board.import_deals`.

    A stage history is told as it is; else the columns of dates say when stages were entered. A
    file that has the columns of the map's ``[history]`` and not those of its ``[deal]`` is a stage
    history wherever it is named. A date that contradicts the rest of its row is left out.

    Args:
        paths: CSV or JSON lines files with a row a deal.
        map: a TOML file that says what the columns mean, the name of a shipped one, or a map.
        pipeline: the ladder they are brought to. Its stages are found by the map's keys, or by
            what either calls them.
        history: files with a row for every change of a deal's stage.
        zone: of times that name none, instead of the map's, such as ``"Europe/Rome"``.

    Raises:
        DefinitionError: the map is malformed, or a file lacks a column that it refers to.
        OSError: a file cannot be opened.
        ValueError: the zone is none.
    """
    found = map if isinstance(map, CrmMap) else crm_map(map)
    crm = found.on_ladder(pipeline.stages)
    if zone is not None:
        crm = crm.in_zone(time_zone(zone))
    tables: list[Path] = []
    changes = _paths(history)
    for path in _paths(paths):
        (changes if _is_history(path, crm) else tables).append(path)
    if changes and crm.history is None:
        raise DefinitionError(
            f"{changes[0]} is a stage history, and the map has no [history]: say there which of "
            "its columns holds the deal, the stage and the time"
        )
    return DealExport(crm, tuple(tables), tuple(changes))


def _paths(given: str | Path | Iterable[str | Path]) -> list[Path]:
    return [Path(given)] if isinstance(given, str | Path) else [Path(path) for path in given]


def _is_history(path: Path, crm: CrmMap) -> bool:
    """Return whether a file is a stage history, by its columns."""
    if crm.history is None:
        return False
    with LogFile(path, crm.layout) as file:
        row = next((row for row in file if isinstance(row, Row)), None)
    if row is None or not crm.deal:
        return not crm.deal
    scope = Scope((row.values,), crm.empty)
    change = (crm.history.deal, crm.history.stage, crm.history.at)
    is_change, is_deal = (
        all(part.fill(scope) is not None for part in parts)
        for parts in (change, (crm.deal["id"], crm.deal["stage"]))
    )
    return is_change and not is_deal


@attrs.define
class DealExport:
    """The deals of a CRM's exports. Iterating reads the files, once more each time.

    Attributes:
        tables: the files with a row a deal.
        histories: the files with a row a change.
        left_out: how many deals the map's ``[only]`` left out, once it was read.
    """

    _crm: CrmMap
    tables: tuple[Path, ...]
    histories: tuple[Path, ...]
    left_out: int = 0

    def __iter__(self) -> Iterator[ToldDeal | RefusedDeal]:
        self.left_out = 0
        with contextlib.closing(sqlite3.connect("")) as spool:
            spool.executescript(_TABLES)
            for path in self.tables:
                self._read_deals(spool, path)
            for path in self.histories:
                spool.executemany(
                    "INSERT INTO changes VALUES (?, ?, ?, ?)", self._changes(path, spool)
                )
            spool.execute("CREATE INDEX by_deal ON changes (id, at)")
            for place, reason in spool.execute("SELECT place, reason FROM refused"):
                yield RefusedDeal(place, reason)
            for id, told in spool.execute("SELECT id, told FROM deals ORDER BY line, id"):
                if told is not None:
                    yield self._joined(spool, id, json.loads(told))
            yield from self._without_rows(spool)

    def _rows(
        self, spool: sqlite3.Connection, path: Path, columns: frozenset[str]
    ) -> Iterator[Row]:
        with LogFile(path, self._crm.layout, columns) as file:
            for row in file:
                if isinstance(row, BadLine):
                    _refuse(spool, f"{path.name}:{row.number}", row.reason)
                else:
                    yield row

    def _read_deals(self, spool: sqlite3.Connection, path: Path) -> None:
        crm = self._crm
        joined = {join.name: self._other(spool, path.parent, join) for join in crm.joins}
        for row in self._rows(spool, path, crm.columns):
            place = f"{path.name}:{row.number}"
            try:
                found = read_row(crm, row.values, joined)
                id = found.id if found is not None else self._id(row)
                told = None if found is None else json.dumps(_told(found, place))
                row_of = (id, row.number, told)
                if not spool.execute(
                    "INSERT OR IGNORE INTO deals VALUES (?, ?, ?)", row_of
                ).rowcount:
                    raise InvalidEventError(f"deal {id!r} has a row already: it may have one")
            except LadderError as error:
                _refuse(spool, place, str(error))
            else:
                self.left_out += found is None

    def _id(self, row: Row) -> str:
        return str(self._crm.deal["id"].fill(Scope((row.values,), self._crm.empty)))

    def _other(
        self, spool: sqlite3.Connection, folder: Path, join: Join
    ) -> Mapping[str, Mapping[str, Any]]:
        """Return the rows of a joined file by what they are joined by; the first counts."""
        found: dict[str, Mapping[str, Any]] = {}
        for row in self._rows(spool, folder / join.file, self._crm.columns_of(join)):
            found.setdefault(str(row.values[join.by]), row.values)
        return found

    def _changes(
        self, path: Path, spool: sqlite3.Connection
    ) -> Iterator[tuple[str, str, str, str]]:
        history = self._crm.history
        assert history is not None
        for row in self._rows(spool, path, history.columns):
            place, scope = f"{path.name}:{row.number}", Scope((row.values,), self._crm.empty)
            try:
                if not history.holds_for(scope):
                    continue
                deal, name = history.deal.fill(scope), history.stage.fill(scope)
                span = history.time.read_from(history.at, scope)
                if deal is None or name is None or span is None:
                    raise InvalidEventError(
                        f"a change needs a deal, a stage and a time, and one of them is empty: "
                        f"{shown(deal)}, {shown(name)}"
                    )
                stage = self._crm.stage_called(str(name)).stage
            except LadderError as error:
                _refuse(spool, place, str(error))
            else:
                yield str(deal), span.at.isoformat(), stage.key, place

    def _joined(self, spool: sqlite3.Connection, id: str, told: dict[str, Any]) -> ToldDeal:
        """Return a deal with the stays of its stage history, where it has one."""
        stays = [Stay(stage, at) for stage, at in told["stays"]]
        doubts = list(told["doubts"])
        changes = self._stays_of(spool, id)
        if changes:
            present = stays[-1]
            if changes[-1].stage == present.stage:
                stays, doubts = changes, []
            else:
                is_later = present.at is not None and present.at >= (changes[-1].at or present.at)
                stays = [*changes, present if is_later else Stay(present.stage)]
                doubts = (
                    []
                    if is_later
                    else [
                        f"it is in {present.stage!r}, and its stage history ends in "
                        f"{changes[-1].stage!r}: nothing says since when"
                    ]
                )
        return ToldDeal(id, stays, told["facts"], told["closing"], told["place"], doubts)

    def _stays_of(self, spool: sqlite3.Connection, id: str) -> list[Stay]:
        """Return the stays of a stage history; what leaves a deal where it is, is none."""
        order = {stage.stage.key: n for n, stage in enumerate(self._crm.stages)}
        rows = spool.execute(
            "SELECT DISTINCT at, stage FROM changes WHERE id = ?", (id,)
        ).fetchall()
        # Of one instant, the ladder's order: at once a deal climbs.
        rows.sort(key=lambda row: (dt.datetime.fromisoformat(row[0]), order[row[1]]))
        found: list[Stay] = []
        for at, stage in rows:
            if not found or found[-1].stage != stage:
                found.append(Stay(stage, at))
        return found

    def _without_rows(self, spool: sqlite3.Connection) -> Iterator[ToldDeal | RefusedDeal]:
        """Yield the deals that only a stage history tells of."""
        others = (
            "SELECT id, min(place) FROM changes WHERE id NOT IN (SELECT id FROM deals) GROUP BY id"
        )
        for id, place in spool.execute(others):
            if self.tables:
                yield RefusedDeal(place, f"deal {id!r} has a stage history and no row of its own")
            else:
                try:
                    yield ToldDeal(id, self._stays_of(spool, id), where=place)
                except LadderError as error:
                    yield RefusedDeal(place, str(error))


def _refuse(spool: sqlite3.Connection, place: str, reason: str) -> None:
    spool.execute("INSERT INTO refused VALUES (?, ?)", (place, reason))


def _told(found: Opportunity, place: str) -> dict[str, Any]:
    """Return a row's deal as JSON values."""
    stays: list[list[str | None]] = [[stage.key, instant_text(at)] for stage, at in found.stays]
    if not found.is_dated:
        stays.append([found.stage.key, None])
    return {
        "stays": stays,
        "facts": _facts(found),
        "closing": _closing(found, found.stage),
        "doubts": found.doubts,
        "place": place,
    }


def _facts(found: Opportunity) -> dict[str, Any]:
    facts = {
        "title": found.title,
        "owner": found.owner,
        "value": None if found.value is None else str(found.value),
        "currency": found.currency,
        "source": found.source,
        "company": found.company,
        "contact": dict(found.contact),
        "properties": dict(found.properties),
    }
    return {name: value for name, value in facts.items() if value not in (None, {})}


def _closing(found: Opportunity, stage: Stage) -> dict[str, Any]:
    closing: dict[str, Any] = {}
    if stage.is_closed and found.closing_value is not None:
        closing["value"] = str(found.closing_value)
        if found.currency is not None:
            closing["currency"] = found.currency
    if stage.status == "lost" and found.loss_reason is not None:
        closing["properties"] = {"loss_reason": found.loss_reason}
    return closing

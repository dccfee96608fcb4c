"""What a CRM was told, and what it has rung about: an SQLite file of its own.

Neither the board's store nor the CRM needs it to be right. Where it is lost, all is told once more,
and what was rung is found by the next reconciling. It holds no personal data but digests.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from ...errors import DefinitionError
from ...model.clock import instant, instant_text
from .protocol import Assignment, CrmError

__all__ = ["Entry", "Ledger", "State"]

State: TypeAlias = Literal["here", "gone", "merged"]

_PATIENCE: Final = 30.0
"""Seconds to wait for another process that writes."""
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS marks (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS deals (
    deal TEXT PRIMARY KEY,
    object TEXT,
    state TEXT NOT NULL DEFAULT 'here',
    fields TEXT,
    people TEXT,
    refused TEXT,
    trouble TEXT,
    seen TEXT,
    wanted INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS deals_of_object ON deals (object);
CREATE INDEX IF NOT EXISTS deals_wanted ON deals (deal) WHERE wanted = 1;
CREATE TABLE IF NOT EXISTS rung (object TEXT PRIMARY KEY, times INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS assignments (
    key TEXT PRIMARY KEY, deal TEXT NOT NULL, title TEXT NOT NULL, body TEXT NOT NULL
) WITHOUT ROWID;
"""


class Entry(NamedTuple):
    """What is known of one deal.

    Attributes:
        deal: our id.
        object: the CRM's id, ``None`` while it is not known.
        state: ``gone`` when it was deleted there, ``merged`` when it stands in another one.
        fields: digest of what the CRM was told last; ``None`` if it has to be told again.
        people: likewise of contact and company.
        refused: digest of what the CRM does not take.
        trouble: why, in words.
        seen: the CRM's time up to which changes of the stage were looked at.
    """

    deal: str
    object: str | None = None
    state: State = "here"
    fields: str | None = None
    people: str | None = None
    refused: str | None = None
    trouble: str | None = None
    seen: dt.datetime | None = None


class Ledger:
    """The file. Several processes may open it: one rings, another one tells.

    Args:
        path: of a file on a local disk; made if it is not there.

    Raises:
        CrmError: it cannot be opened.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with self._open() as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(_SCHEMA)

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with contextlib.closing(sqlite3.connect(self.path, timeout=_PATIENCE)) as connection:
                connection.execute("PRAGMA synchronous = NORMAL")
                with connection:
                    yield connection
        except sqlite3.Error as error:
            raise CrmError(f"the ledger {self.path} cannot be used: {error}") from error

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Let nobody else tell the CRM meanwhile; what is older must not come after what is newer.

        Raises:
            CrmError: somebody else is at it.
        """
        beside = self.path.with_name(f"{self.path.name}-telling")
        with contextlib.closing(sqlite3.connect(beside, timeout=0)) as connection:
            try:
                connection.execute("BEGIN EXCLUSIVE")
            except sqlite3.OperationalError as error:
                raise CrmError(
                    f"another process is telling the CRM by {self.path}: let one do that"
                ) from error
            yield

    def belongs_to(self, whose: str) -> None:
        """See that this is the ledger of one board and one CRM.

        Raises:
            DefinitionError: it is another one's.
        """
        known = self.mark("whose")
        if known is not None and known != whose:
            raise DefinitionError(
                f"the ledger {self.path} is of {known}, and not of {whose}: give each board and "
                "CRM a file of its own"
            )
        self.keep("whose", whose)

    def mark(self, name: str) -> str | None:
        """Return what was kept under a name."""
        with self._open() as connection:
            found = connection.execute("SELECT value FROM marks WHERE name = ?", (name,)).fetchone()
        return None if found is None else str(found[0])

    def keep(self, name: str, value: str) -> None:
        """Keep a text under a name."""
        with self._open() as connection:
            connection.execute("INSERT OR REPLACE INTO marks VALUES (?, ?)", (name, value))

    def entries(self, deals: Iterable[str]) -> dict[str, Entry]:
        """Return what is known of deals, each with an entry."""
        found = {}
        with self._open() as connection:
            for deal in deals:
                rows = connection.execute(f"{_ENTRIES} WHERE deal = ?", (deal,)).fetchall()
                found[deal] = _entry(rows[0]) if rows else Entry(deal)
        return found

    def of_object(self, object: str) -> list[Entry]:
        """Return the deals that stand in an object of the CRM."""
        with self._open() as connection:
            rows = connection.execute(f"{_ENTRIES} WHERE object = ?", (object,)).fetchall()
        return [_entry(row) for row in rows]

    def page(self, after: str, limit: int) -> list[Entry]:
        """Return deals in the order of their ids."""
        with self._open() as connection:
            rows = connection.execute(
                f"{_ENTRIES} WHERE deal > ? ORDER BY deal LIMIT ?", (after, limit)
            ).fetchall()
        return [_entry(row) for row in rows]

    def save(self, entries: Iterable[Entry], *, wanted: bool = False) -> None:
        """Keep what is known of deals.

        Args:
            wanted: whether they have to be told again, although the board has not changed them.
        """
        with self._open() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO deals (deal, object, state, fields, people, refused, "
                "trouble, seen, wanted) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [(*_row(entry), wanted) for entry in entries],
            )

    def wanted(self) -> list[str]:
        """Return deals that have to be told again."""
        with self._open() as connection:
            rows = connection.execute(
                "SELECT deal FROM deals WHERE wanted = 1 ORDER BY deal"
            ).fetchall()
        return [row[0] for row in rows]

    def troubles(self) -> dict[str, str]:
        """Return what the CRM did not take, by our ids."""
        with self._open() as connection:
            return dict(
                connection.execute(
                    "SELECT deal, trouble FROM deals WHERE trouble IS NOT NULL ORDER BY deal"
                ).fetchall()
            )

    def ring(self, objects: Iterable[str]) -> None:
        """Remember that something happened to objects of the CRM."""
        with self._open() as connection:
            connection.executemany(
                "INSERT INTO rung VALUES (?, 1) "
                "ON CONFLICT (object) DO UPDATE SET times = times + 1",
                [(one,) for one in sorted(set(objects))],
            )

    def rung(self, limit: int) -> dict[str, int]:
        """Return objects that were rung about, and how often."""
        with self._open() as connection:
            return dict(
                connection.execute("SELECT object, times FROM rung LIMIT ?", (limit,)).fetchall()
            )

    def answered(self, rung: Mapping[str, int]) -> None:
        """Forget what was rung, unless it was rung again in the meantime."""
        with self._open() as connection:
            connection.executemany(
                "DELETE FROM rung WHERE object = ? AND times = ?", list(rung.items())
            )

    def assign(self, assignment: Assignment) -> None:
        """Remember what an owner is to be told."""
        with self._open() as connection:
            connection.execute("INSERT OR IGNORE INTO assignments VALUES (?, ?, ?, ?)", assignment)

    def assignments(self) -> Sequence[Assignment]:
        """Return what owners are still to be told."""
        with self._open() as connection:
            rows = connection.execute("SELECT * FROM assignments ORDER BY key").fetchall()
        return [Assignment(*row) for row in rows]

    def assigned(self, key: str) -> None:
        """Forget what an owner was told."""
        with self._open() as connection:
            connection.execute("DELETE FROM assignments WHERE key = ?", (key,))


_ENTRIES: Final = "SELECT deal, object, state, fields, people, refused, trouble, seen FROM deals"


def _entry(row: Sequence[Any]) -> Entry:
    *told, seen = row
    return Entry(*told)._replace(seen=None if seen is None else instant(seen))


def _row(entry: Entry) -> tuple[str | None, ...]:
    return (*entry[:-1], None if entry.seen is None else instant_text(entry.seen))

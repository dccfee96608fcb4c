"""(d) Bytes per deal on SQLite, by table and index."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from ladderpipe import ManualClock

from .harness import Report, Row
from .ladders import DEAL, END, sales, shop_events
from .stores import open_board

METHOD = f"""\
Sales deals of {len(DEAL)} events with carts, eight moves each, taken in batches of a thousand.
The file as it stands (pages that are not full and all), then after `VACUUM`, and that by table
and index.\
"""

BY_TABLE = """
SELECT name, sum(pgsize) FROM dbstat WHERE name LIKE 'ladder%' OR name LIKE 'sqlite_auto%'
GROUP BY name HAVING sum(pgsize) > 2 * 4096 ORDER BY 2 DESC
"""


def run(quick: bool, folder: Path) -> Report:
    deals = 1_000 if quick else 5_000
    path = folder / "size.db"
    board = open_board(sales(), path, ManualClock(END))
    board.handle_many(shop_events(deals, in_flight=250))
    board.close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    rows = [_row("a deal, file as it stands", path.stat().st_size, deals)]
    connection.execute("VACUUM")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    rows.append(_row("a deal, after `VACUUM`", path.stat().st_size, deals))
    try:
        found = connection.execute(BY_TABLE).fetchall()
    except sqlite3.OperationalError:  # SQLite was compiled without dbstat
        found = []
    rows += [_row(f"of it in `{name}`", size, deals) for name, size in found]
    connection.close()
    return Report("Bytes", METHOD, rows)


def _row(what: str, size: int, deals: int) -> Row:
    return Row(what, f"{size / deals:,.0f} bytes")

"""(p) What a hash chain costs: time and space of linking an event, and of verifying it."""

from __future__ import annotations

import itertools
import sqlite3
import time
from pathlib import Path

from ladderpipe import ManualClock, verify

from .harness import Report, Row
from .ladders import DEAL, END, sales, shop_events
from .stores import open_board

METHOD = f"""\
Sales deals of {len(DEAL)} events with carts on SQLite: taken in batches of a thousand, verified,
then chained from the first event on, and verified once more. Processor time, all in one run,
once. Bytes are those of the chain's tables and indexes after `VACUUM`.\
"""

BYTES = """
SELECT sum(pgsize) FROM dbstat WHERE name LIKE 'ladder!_l%' ESCAPE '!'
    AND name NOT LIKE 'ladder!_lo%' ESCAPE '!' OR name LIKE 'ladder!_salts%' ESCAPE '!'
"""


def run(quick: bool, folder: Path) -> Report:
    deals = 1_000 if quick else 5_000
    events = deals * len(DEAL)
    path = folder / "chain.db"
    board = open_board(sales(), path, ManualClock(END))
    seconds = [time.process_time()]
    board.handle_many(shop_events(deals, in_flight=250))
    seconds.append(time.process_time())
    verify(board)
    seconds.append(time.process_time())
    while board.extend_chain().more:
        pass
    seconds.append(time.process_time())
    report = verify(board)
    seconds.append(time.process_time())
    assert report.agrees
    assert report.chain is not None
    assert report.chain.events == events
    board.close()
    taken, plain, linked, checked = (b - a for a, b in itertools.pairwise(seconds))
    connection = sqlite3.connect(path)
    connection.execute("VACUUM")
    rows = [
        Row("linking, against taking the events in batches", f"{linked / taken:.2f} times as long"),
        Row("verify with a chain, against verify", f"{checked / plain:.2f} times as long"),
    ]
    try:
        ((size,),) = connection.execute(BYTES)
        rows.append(Row("bytes of an event in the chain", f"{size / events:,.0f} bytes"))
    except sqlite3.OperationalError:  # SQLite was compiled without dbstat
        pass
    connection.close()
    return Report("Hash chain", METHOD, rows)

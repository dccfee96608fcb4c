"""(b) Taking events on SQLite in batches, against an ``executemany`` written by hand."""

from __future__ import annotations

from pathlib import Path

from ladderpipe import ManualClock

from .by_hand import SalesByHand
from .harness import Report, Row, compare, rate, timed
from .ladders import END, sales, shop_events
from .stores import assert_same_rows, connect, open_board

METHOD = """\
The same stream, a thousand events to a transaction. The other side is written by hand for this
one ladder (`benchmarks/by_hand.py`): it loads the deals of a batch, builds the rows from the
same events (JSON, times, digests and visit keys included) and writes them with `executemany`,
but looks for no duplicates, late events or timers. In the end every row of both files is
compared.\
"""

IN_FLIGHT = 250
BATCH = 1_000


def run(quick: bool, folder: Path) -> Report:
    events = list(shop_events(1_000 if quick else 10_000, IN_FLIGHT))
    clock, pipeline = ManualClock(END), sales()
    ours_path, hand_path = folder / "ours.db", folder / "hand.db"
    board = open_board(pipeline, ours_path, clock)
    open_board(sales(), hand_path, clock).close()
    hand = connect(hand_path)
    rules = [rule.key or "" for rule in pipeline.rules]
    writer = SalesByHand(hand, pipeline.fingerprint, END, rules)
    parts = [events[start : start + BATCH] for start in range(0, len(events), BATCH)]
    for_ours, for_hand = iter(parts), iter(parts)
    pair = compare(
        lambda: timed(lambda: board.handle_many(next(for_ours), batch=BATCH))(),
        lambda: timed(lambda: writer.take(next(for_hand)))(),
        rounds=len(parts),
    )
    board.close()
    hand.close()
    assert_same_rows(ours_path, hand_path)
    measured = f"{rate(BATCH, pair.ours, 'events')} : {rate(BATCH, pair.theirs, 'events')}"
    row = Row("`handle_many`, 1,000 events to a transaction", measured, pair.speed, target=0.5)
    return Report("Handle, in batches", METHOD, [row])

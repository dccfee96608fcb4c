"""Whatever a deal has been through, it comes back from an archive and goes on as if never away."""

from __future__ import annotations

import datetime as dt
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ladderpipe import Board, Event, ManualClock, MemoryStore, Pipeline, SqliteStore
from ladderpipe.board.retention.check import check
from ladderpipe.board.retention.file import ArchiveFile
from tests.ladders import ladders_and_events
from tests.shops import wide_rows

START = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
AWHILE = dt.timedelta(days=30)


def rows(board: Board, deal: str) -> Any:
    """Return what is stored of a deal but its effects."""
    found = wide_rows(board.store, board._session.number, [deal])
    return {name: (*row[:3], row[4]) for name, row in found.items()}


@given(
    told=ladders_and_events(hands=False, max_size=12),
    data=st.data(),
    store=st.sampled_from([MemoryStore, lambda: SqliteStore(":memory:")]),
)
@settings(max_examples=settings().max_examples // 2)
def test_a_restored_deal_is_what_it_was_and_goes_on_as_if_it_had_never_left(
    told: tuple[Pipeline, list[Event]], data: st.DataObject, store: Any
) -> None:
    pipeline, events = told
    clock = ManualClock(max((event.at for event in events), default=START))
    here, twin = (Board(pipeline, store=kind(), clock=clock) for kind in (store, MemoryStore))
    shuffled = data.draw(st.permutations(events))
    cut = data.draw(st.integers(0, len(events)))
    for board in (here, twin):
        board.handle_many(shuffled[:cut], batch=1)
    clock.set(clock.now() + AWHILE)
    for board in (here, twin):
        board.tick()
    deals = {event.deal for event in events}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "closed.jsonl"
        report = here.archive(before=clock.now() + AWHILE, to=file)
        assert report.removed == report.deals
        closed = [deal for deal in twin.deals() if deal.closed_at is not None]
        assert report.deals + len(report.kept) == len(closed)
        if report.deals:
            found = check(ArchiveFile(file), pipeline)
            assert found.agrees, found.differences
            here.restore(file)
    assert [rows(here, deal) for deal in deals] == [rows(twin, deal) for deal in deals]
    for board in (here, twin):
        board.handle_many(shuffled[cut:], batch=1)
    clock.set(clock.now() + AWHILE)
    for board in (here, twin):
        board.tick()
    assert [rows(here, deal) for deal in deals] == [rows(twin, deal) for deal in deals]

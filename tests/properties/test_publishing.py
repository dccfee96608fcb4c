"""Whoever follows what is published ends where the board is, whatever came late or was undone."""

from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from ladderpipe import Board, ManualClock, MemoryStore, SqliteStore
from ladderpipe.errors import LadderError
from ladderpipe.testing import events_of_many_deals, pipelines
from ladderpipe.testing.strategies import START
from tests.receivers import Cut, Follower, stored

DEALS = ("deal-1", "deal-2")
STORES = (MemoryStore, lambda: SqliteStore(":memory:"))
PAUSES = [0, 1, 10, 80, 100, 3600, 20_000, 400_000]
ACTS = ("tell", "tell", "tell", "wait", "tick", "publish", "cut", "withdraw", "move")


@given(data=st.data())
def test_a_follower_ends_where_the_board_is(data: st.DataObject) -> None:
    pipeline = data.draw(pipelines())
    told = data.draw(
        events_of_many_deals(pipeline, deals=DEALS, max_size=6).flatmap(st.permutations)
    )
    follower = Follower(drops_doubles=data.draw(st.booleans()))
    limit = data.draw(st.sampled_from([1, 2, 500]))
    clock = ManualClock(min((event.at for event in told), default=START))
    store = data.draw(st.sampled_from(STORES))()
    with Board(pipeline, store=store, clock=clock) as board:
        cursor: str | None = None
        waiting = list(told)
        for act in data.draw(st.lists(st.sampled_from(ACTS), max_size=25)):
            clock.advance(seconds=1)  # no two transactions record at one instant
            deal = data.draw(st.sampled_from(DEALS))
            if act == "tell" and waiting:
                board.handle(waiting.pop(), hold=True)
            elif act == "wait":
                clock.advance(seconds=data.draw(st.sampled_from(PAUSES)))
            elif act == "tick":
                board.tick()
            elif act == "publish":
                cursor = follower.follow(board, cursor, limit)
            elif act == "cut":
                follower.left = data.draw(st.integers(0, 3))
                with contextlib.suppress(Cut):
                    cursor = board.publish(follower, after=cursor, limit=limit).cursor
                follower.left = None
            elif act == "withdraw" and (known := board.events(deal)):
                try:
                    board.withdraw(data.draw(st.sampled_from(known)), by="ann")
                except LadderError:
                    continue
            elif act == "move":
                stage = data.draw(st.sampled_from(pipeline.stages))
                try:
                    board.override(deal, stage, by="ann")
                except LadderError:
                    continue
        clock.advance(seconds=1)
        cursor = follower.follow(board, cursor, limit)
        for deal in DEALS:
            assert follower.of(deal) == stored(board, deal)
        # Some time later there is nothing more to tell, and then nothing comes twice.
        clock.advance(hours=1)
        cursor = follower.follow(board, cursor, limit)
        clock.advance(hours=1)
        assert board.publish(follower, after=cursor).messages == 0

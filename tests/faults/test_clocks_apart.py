"""Workers whose clocks differ by ten minutes: what they agree on all the same, and what not.

That a worker goes by such a clock at all takes ``max_clock_difference=None``: without it, one that
is more than a minute off refuses to sweep (``tests/postgresql/test_clocks.py``).
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ladderpipe import Board, Event, ManualClock, MemoryStore
from ladderpipe.board.verify import verify
from ladderpipe.errors import EventFromFutureError
from tests.shops import START, at, lead_ladder, register

OFF = dt.timedelta(minutes=10)
MINUTE = dt.timedelta(minutes=1)
KINDS = ("lead", "call", "order")


@attrs.frozen
class OffsetClock:
    """The world's clock, as a machine tells it whose own is wrong by so much."""

    world: ManualClock
    off: dt.timedelta

    def now(self) -> dt.datetime:
        return self.world.now() + self.off


class Apart:
    """Two workers on one store, one of them wrong."""

    def __init__(self, off: dt.timedelta, store: Any = None) -> None:
        self.world = ManualClock(START)
        store = MemoryStore() if store is None else store
        ladder = register(
            lead_ladder(), into_new=lambda ctx: ctx.do("reminder", wait=dt.timedelta(hours=1))
        )
        self.right = Board(ladder, store=store, clock=self.world)
        self.wrong = Board(ladder, store=store, clock=OffsetClock(self.world, off))
        self.sent: list[dt.datetime] = []
        for board in (self.right, self.wrong):
            board.handles("reminder")(lambda delivery: self.sent.append(self.world.now()))

    def tell(self, board: Board, kind: str, deal: str = "d", id: str | None = None) -> None:
        now = self.world.now()
        board.handle(Event(kind, deal=deal, id=id or f"{kind} {now}", at=now))


steps = st.lists(
    st.tuples(
        st.integers(min_value=0, max_value=60 * 80),
        st.sampled_from((*KINDS, "tick", "deliver")),
        st.sampled_from("ab"),
        st.booleans(),
    ),
    max_size=12,
)


@settings(max_examples=60)
@given(steps, st.sampled_from((-4 * MINUTE, OFF)))
def test_a_history_does_not_depend_on_whose_clock_is_wrong(
    steps: list[tuple[int, str, str, bool]], off: dt.timedelta
):
    """As long as no clock is so far behind that events seem to come from the future."""
    shop = Apart(off)
    events = []
    for number, (minutes, what, deal, by_the_wrong_one) in enumerate(steps):
        shop.world.advance(minutes=minutes)
        board = shop.wrong if by_the_wrong_one else shop.right
        if what in KINDS:
            events.append(Event(what, deal=deal, id=str(number), at=shop.world.now()))
            board.handle(events[-1])
        else:
            getattr(board, what)()
    shop.world.advance(hours=200)
    shop.right.tick()
    histories = shop.right.pipeline.replay(events, until=shop.world.now())
    for history in histories:
        assert shop.right.history(history.deal.id).visits == history.visits
        assert shop.right.deal(history.deal.id) == history.deal
    assert verify(shop.right).differences == ()


def test_a_timer_that_fires_early_fires_at_its_due_time():
    shop = Apart(OFF)
    shop.tell(shop.right, "lead")
    shop.world.advance(hours=71, minutes=55)
    assert shop.right.tick().moves == 0
    assert shop.wrong.tick().moves == 1
    move = shop.right.history("d").moves[-1]
    assert move.at == at(START) + dt.timedelta(hours=72) > shop.world.now()
    assert move.recorded_at == shop.world.now() + OFF, "believed by the wrong clock, and stored so"


def test_an_event_that_comes_before_a_timer_which_fired_early_undoes_it():
    shop = Apart(OFF)
    shop.tell(shop.right, "lead")
    shop.world.advance(hours=71, minutes=55)
    shop.wrong.tick()
    shop.tell(shop.right, "call")
    assert [visit.stage.key for visit in shop.right.history("d").visits] == ["new", "talking"]


def test_a_mail_may_go_out_as_early_as_the_clock_is_ahead():
    shop = Apart(OFF)
    shop.tell(shop.right, "lead")
    shop.world.advance(minutes=49)
    shop.wrong.deliver()
    assert shop.sent == []
    shop.world.advance(minutes=1)
    shop.wrong.deliver()
    assert shop.sent == [shop.world.now()], "ten minutes before its hour was over"


def test_a_clock_that_is_behind_refuses_what_has_happened_and_another_takes_it():
    shop = Apart(-OFF)
    with pytest.raises(EventFromFutureError, match="sender's clock"):
        shop.tell(shop.wrong, "lead")
    assert shop.right.events("d") == []
    shop.tell(shop.right, "lead")
    shop.world.advance(hours=72, minutes=5)
    assert shop.wrong.tick().moves == 0, "it is late, and others are not"
    assert shop.right.tick().moves == 1


def test_a_lease_ends_early_for_who_is_ahead_and_the_key_is_the_same():
    shop = Apart(OFF)
    shop.tell(shop.right, "lead")
    shop.world.advance(hours=1)
    keys: list[str] = []

    def send(delivery: Any) -> None:
        keys.append(delivery.key)
        if len(keys) == 1:
            assert shop.wrong.deliver().delivered == 1

    for board in (shop.right, shop.wrong):
        board._session.handlers["reminder"] = send
    assert shop.right.deliver().delivered == 0, "it is not this one's any more"
    assert len(keys) == 2
    assert len(set(keys)) == 1

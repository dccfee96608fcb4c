"""Effects that are older than a week: a burst of them goes out only when told, on every store."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ladderpipe import Board, EffectState, Event, ManualClock, Pipeline, Stage, after, on
from ladderpipe.asynchronous import AsyncBoard
from ladderpipe.board.stale import BURST
from ladderpipe.stores import MemoryStore
from ladderpipe.stores.memory import MemoryTransaction
from tests.commands import run

NOW = dt.datetime(2026, 3, 2, 9, tzinfo=dt.UTC)
OLD = NOW - dt.timedelta(days=60)


def carts() -> Pipeline:
    """Return a ladder whose reminders never lose their point, as far as it knows."""
    full, left = Stage("full"), Stage("left", status="abandoned")
    pipeline = Pipeline(
        "carts",
        stages=[full, left],
        rules=[on("cart.filled", into=full, opens=True), after(hours=48, out_of=full, into=left)],
    )

    @pipeline.move_into(left)
    def remind(ctx: Any) -> None:
        ctx.do("reminder")

    return pipeline


class Shop:
    """A shop that tells carts of its past, and what went out to its customers."""

    def __init__(self, store: Any = None, stale_effects: Any = "hold") -> None:
        self.clock = ManualClock(NOW)
        self.board = Board(
            carts(),
            store=store or MemoryStore(),
            clock=self.clock,
            stale_effects=stale_effects,
        )
        self.sent: list[str] = []
        self.board.handles("reminder")(lambda delivery: self.sent.append(delivery.deal.id))
        self._number = 0

    def tell(self, count: int, at: dt.datetime, quiet: bool = False) -> list[str]:
        """Tell so many filled carts; return their ids."""
        names = [f"cart-{self._number + n}" for n in range(count)]
        self._number += count
        for name in names:
            event = Event("cart.filled", deal=name, id=name, at=at)
            self.board.handle(event, quiet=quiet)
        return names

    def work(self) -> Any:
        self.board.tick()
        return self.board.deliver()

    def states(self) -> set[EffectState]:
        return {effect.state for effect in self.board.effects()}


parts = st.lists(
    st.tuples(st.integers(0, BURST + 2), st.integers(0, 3), st.sampled_from([0, 1, 13])),
    max_size=5,
)


@given(parts)
def test_no_day_sends_a_burst_of_old_ones_and_new_ones_always_go(
    told: list[tuple[int, int, int]],
) -> None:
    """However they come in: at once, in drops, or over days."""
    shop = Shop()
    old: set[str] = set()
    fresh: set[str] = set()
    sent_at: list[dt.datetime] = []
    for stale, new, hours in told:
        old.update(shop.tell(stale, OLD))
        fresh.update(shop.tell(new, shop.clock.now() - dt.timedelta(hours=49)))
        before = len(old & set(shop.sent))
        report = shop.work()
        sent_at += [shop.clock.now()] * (len(old & set(shop.sent)) - before)
        assert fresh <= set(shop.sent)
        waiting = len(old - set(shop.sent))
        assert sum(report.held_back.values()) == waiting
        shop.clock.advance(hours=hours)
    for at in sent_at:
        assert sum(at - dt.timedelta(hours=24) < other <= at for other in sent_at) < BURST


@given(st.integers(0, 3 * BURST), st.integers(0, 3))
def test_they_go_when_told_and_are_dropped_when_told(stale: int, new: int) -> None:
    told, dropped = Shop(stale_effects="send"), Shop(stale_effects="expire")
    for shop in (told, dropped):
        shop.tell(stale, OLD)
        shop.tell(new, NOW - dt.timedelta(hours=49))
        assert shop.work().held_back == {}
    assert len(told.sent) == stale + new
    assert len(dropped.sent) == new
    expired = [e for e in dropped.board.effects() if e.state is EffectState.EXPIRED]
    assert len(expired) == stale


def test_what_is_to_be_done_is_another_word_than_these() -> None:
    with pytest.raises(ValueError, match="'hold', 'send', 'expire'"):
        Shop(stale_effects="ignore")


def test_a_burst_waits_for_a_decision(store: Any) -> None:
    shop = Shop(store)
    shop.tell(BURST, OLD)
    new = shop.tell(1, NOW - dt.timedelta(hours=49))
    report = shop.work()
    assert (shop.sent, report.held_back) == (new, {"reminder": BURST})
    assert EffectState.PENDING in shop.states()
    told = Shop(store, stale_effects="send")
    told.work()
    assert len(told.sent) == BURST
    assert told.states() == {EffectState.DELIVERED}


def test_who_asks_for_deliveries_and_says_nothing_gets_all_of_them(store: Any) -> None:
    shop = Shop(store, stale_effects=None)
    shop.tell(BURST, OLD)
    assert shop.work().held_back == {}
    assert len(shop.sent) == BURST


def test_a_burst_that_comes_in_after_counting_is_cut_short(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shop = Shop()
    shop.tell(2 * BURST, OLD)
    monkeypatch.setattr(MemoryTransaction, "count_ready", lambda *given: {})
    assert shop.work().held_back == {"reminder": BURST + 1}
    assert len(shop.sent) == BURST - 1


def test_a_burst_is_dropped_on_record(store: Any) -> None:
    shop = Shop(store, stale_effects="expire")
    shop.tell(120, OLD)
    report = shop.work()
    assert (shop.sent, report.counts) == ([], {EffectState.EXPIRED: 120})
    assert shop.states() == {EffectState.EXPIRED}


def test_a_dead_letter_that_is_sent_again_is_no_old_one(store: Any) -> None:
    """Who asks for it now means it, however old it is."""
    shop = Shop(store)
    shop.tell(BURST, OLD)
    shop.board.tick()
    keys = [effect.key for effect in shop.board.effects()]
    with shop.board.store.transaction() as transaction:
        for key in keys:
            transaction.settle_effect(key, "dead")
    for letter in shop.board.dead_letters():
        shop.board.send_again(letter.key)
    assert shop.board.deliver().held_back == {}
    assert len(shop.sent) == BURST


def test_carts_that_are_told_quietly_are_no_burst(store: Any) -> None:
    shop = Shop(store)
    shop.tell(2 * BURST, OLD, quiet=True)
    new = shop.tell(1, NOW - dt.timedelta(hours=49))
    assert shop.work().held_back == {}
    assert shop.sent == new


def test_what_a_quiet_cart_has_before_it_is_sent_in_time(store: Any) -> None:
    shop = Shop(store)
    (cart,) = shop.tell(1, NOW - dt.timedelta(hours=47), quiet=True)
    shop.work()
    assert shop.sent == []
    shop.clock.advance(hours=1)
    shop.work()
    assert shop.sent == [cart]


def test_a_worker_says_once_what_it_holds_back_and_works_on(
    store: Any, caplog: pytest.LogCaptureFixture
) -> None:
    shop = Shop(store, stale_effects=None)
    shop.tell(BURST, OLD)
    stop = threading.Event()
    shop.tell(1, NOW - dt.timedelta(hours=49))
    rounds = iter(range(1, 4))

    def on_round(*reports: Any) -> None:
        if next(rounds) == 3:
            stop.set()
        shop.tell(1, NOW - dt.timedelta(hours=49))

    with caplog.at_level(logging.WARNING, "ladderpipe"):
        shop.board.run(stop=stop, poll=dt.timedelta(milliseconds=50), on_round=on_round)
    assert len(shop.sent) == 3
    (record,) = (r for r in caplog.records if "older than" in r.getMessage())
    assert record.getMessage().startswith(f"{BURST} effects are older than 7 days: {BURST} 'rem")
    assert "stale_effects='expire'" in record.getMessage()


def test_a_board_that_is_awaited_holds_them_back_too(store: Any) -> None:
    Shop(store).tell(BURST, OLD)
    sent: list[str] = []

    async def work() -> Any:
        board = AsyncBoard(carts(), store=store, clock=ManualClock(NOW), stale_effects="hold")
        board.handles("reminder")(lambda delivery: sent.append(delivery.deal.id))
        await board.tick()
        return await board.deliver()

    assert asyncio.run(work()).held_back == {"reminder": BURST}
    assert sent == []


def test_the_command_ends_with_what_it_did_not_send(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    old = dt.datetime.now(dt.UTC) - dt.timedelta(days=60)
    with Board.open(carts(), "sqlite:///shop.db") as board:
        board.handle_many(
            Event("cart.filled", deal=f"c{n}", id=f"e{n}", at=old) for n in range(1_204)
        )
    handlers = "tests.integration.test_stale_effects:write_down"
    worker = ["worker", "sqlite:///shop.db", "-p", f"{__name__}:carts", "--handlers", handlers]
    refused = run(*worker, "--once")
    assert refused.code == 1
    assert "1,204 effects are older than 7 days: 1,204 'reminder'." in refused.err
    assert not Path("sent.txt").exists()
    assert run(*worker, "--once", "--stale-effects", "expire").code == 0
    assert not Path("sent.txt").exists()
    assert run(*worker, "--once").code == 0


def write_down(board: Board) -> None:
    def append(delivery: Any) -> None:
        with Path("sent.txt").open("a") as file:
            file.write(f"{delivery.deal.id}\n")

    board.handle_effect("reminder", append)

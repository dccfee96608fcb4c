"""Processes and threads hammer the same deals with overlapping duplicates: the fold comes out."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ladderpipe import Board, Event, ManualClock, Outcome
from ladderpipe.board.verify import verify
from tests.children import (
    HOUR,
    START,
    Files,
    Lines,
    busy_ladder,
    events_of_many_deals,
    open_board,
    race,
    run,
)
from tests.shops import assert_is_the_fold

PROCESSES, THREADS, DEALS = 8, 8, 50
NEW = {Outcome.OPENED, Outcome.MOVED, Outcome.STAYED, Outcome.WAITING}


def assert_each_was_taken_once(outcomes: Iterable[Any], events: int) -> None:
    counts: Counter[str] = Counter()
    for outcome, count in outcomes:
        assert outcome != "failure", count
        counts[outcome] += count
    assert sum(counts[outcome] for outcome in NEW) == events
    assert counts[Outcome.DUPLICATE] > events / 4


def assert_the_fold_came_out(board: Board, events: list[Event]) -> None:
    """What is stored is what the events make, whoever brought them and in whatever order."""
    board.tick()
    assert verify(board).differences == ()
    histories = {
        history.deal.id: history
        for history in board.pipeline.replay(events, until=board.clock.now())
    }
    assert {deal.id for deal in board.deals()} == set(histories)
    for deal, history in histories.items():
        assert board.history(deal).visits == history.visits
        assert board.deal(deal) == history.deal
    assert_is_the_fold(board, histories)


def assert_nothing_was_sent_twice(deliveries: list[Any]) -> None:
    sent = Counter(key for key, _ in deliveries)
    assert sent
    assert [key for key, count in sent.items() if count > 1] == []


def test_processes_on_one_file(tmp_path: Path):
    files = Files(tmp_path)
    run("race", files, PROCESSES, DEALS)
    assert Lines.read(files.troubles) == [], "nobody was told that the database is locked"
    events = events_of_many_deals(DEALS, random.Random(11))
    assert_each_was_taken_once(Lines.read(files.accepted), len(events))
    with open_board(files, ManualClock(START + 300 * HOUR)) as board:
        assert_the_fold_came_out(board, events)
        while board.deliver(limit=50).delivered:
            pass
    assert_nothing_was_sent_twice(Lines.read(files.delivered))


def test_threads_on_one_board(store: Any):
    dice = random.Random(5)
    board = Board(busy_ladder(), store=store, clock=ManualClock(START + 300 * HOUR))
    deliveries: list[Any] = []
    for name in ("mail", "note"):
        board.handles(name)(lambda d: deliveries.append((d.key, d.payload.get("about"))))
    events = events_of_many_deals(DEALS, dice)
    outcomes: list[Any] = []
    errors: list[BaseException] = []

    def work(number: int, share: list[Event]) -> None:
        try:
            outcomes.extend(race(board, share, random.Random(number)))
        except BaseException as error:
            errors.append(error)

    threads = []
    for number in range(THREADS):
        share = dice.sample(events, len(events) // 3)
        threads.append(threading.Thread(target=work, args=(number, share)))
    threads.append(threading.Thread(target=work, args=(99, events)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert_each_was_taken_once(outcomes, len(events))
    assert_the_fold_came_out(board, events)
    while board.deliver().delivered:
        pass
    assert_nothing_was_sent_twice(deliveries)


def test_threads_that_bring_the_same_event_at_once_store_it_once(store: Any):
    board = Board(busy_ladder(), store=store, clock=ManualClock(START))
    event = Event("lead", deal="d", id="e", at=START)
    outcomes: list[Outcome] = []
    start = threading.Barrier(8)

    def work() -> None:
        start.wait()
        outcomes.append(board.handle(event).outcome)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(outcomes) == {Outcome.OPENED: 1, Outcome.DUPLICATE: 7}


def test_an_opening_and_an_event_that_waits_for_it_cannot_miss_each_other(store: Any):
    board = Board(busy_ladder(), store=store, clock=ManualClock(START + HOUR))
    start = threading.Barrier(2)
    deals = [f"deal-{number}" for number in range(30)]

    def work(kind: str, minutes: int) -> None:
        start.wait()
        for deal in deals:
            at = START + minutes * HOUR / 60
            board.handle(Event(kind, deal=deal, id=f"{kind} {deal}", at=at))

    threads = [threading.Thread(target=work, args=each) for each in (("lead", 0), ("call", 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {deal.stage.key for deal in board.deals()} == {"talking"}
    assert_is_the_fold(board, deals)

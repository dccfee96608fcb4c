"""Processes that open, open anew or change one ladder at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from ladderpipe import Board, Pipeline, Stage, after, by_hand, on
from ladderpipe.errors import DefinitionError, PipelineChangedError
from ladderpipe.stores import PostgresStore
from tests.postgresql.conftest import OpenStore
from tests.postgresql.test_locks import wait_until, waiting_sessions
from tests.shops import Shop, lead_ladder


def changed_ladder(hours: float) -> Pipeline:
    """Return a ladder that differs from others in when a lead goes cold."""
    new, cold = Stage("new"), Stage("cold", status="abandoned")
    rules = [on("lead", into=new, opens=True), by_hand(into=new)]
    return Pipeline(
        "leads", stages=[cold, new], rules=[*rules, after(hours=hours, out_of=new, into=cold)]
    )


def at_once(*work: Callable[[], Any]) -> list[Any]:
    """Do all of it in threads of their own, and return what each returned or raised."""
    answers: list[Any] = [None] * len(work)

    def do(number: int) -> None:
        try:
            answers[number] = work[number]()
        except BaseException as error:
            answers[number] = error

    threads = [threading.Thread(target=do, args=(number,)) for number in range(len(work))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def released_together(
    store: PostgresStore, name: str, work: Sequence[Callable[[], Any]]
) -> list[Any]:
    """Do all of it at once, held up until each waits for the ladder to be free."""
    answers: list[Any] = []
    with store.transaction() as transaction:
        transaction.pipeline(name, change=True)
        thread = threading.Thread(target=lambda: answers.extend(at_once(*work)))
        thread.start()
        wait_until(transaction.connection, lambda c: waiting_sessions(c) == len(work))
    thread.join()
    return answers


def test_of_two_first_openings_one_is_first_and_the_other_told(open_store: OpenStore):
    ladders = [changed_ladder(hours) for hours in (1, 2, 3, 4)]
    stores = [open_store() for _ in ladders]
    answers = released_together(
        open_store(),
        "leads",
        [
            lambda ladder=ladder, store=store: Board(ladder, store=store)
            for ladder, store in zip(ladders, stores, strict=True)
        ],
    )
    opened = [answer for answer in answers if isinstance(answer, Board)]
    refused = [answer for answer in answers if isinstance(answer, PipelineChangedError)]
    assert (len(opened), len(refused)) == (1, 3), answers
    with stores[0].transaction(write=False) as transaction:
        row = transaction.pipeline("leads")
    assert row is not None
    assert row.fingerprint == opened[0].pipeline.fingerprint


def test_migrators_at_once_share_the_deals(shop: Shop, open_store: OpenStore):
    deals = [f"d{n}" for n in range(40)]
    for deal in deals:
        shop.tell("lead", deal)
    ladder = changed_ladder(5)
    new = ladder.stage("new")
    gone = {"talking": new, "won": new, "lost": new}
    boards = [Board(ladder, store=open_store(), clock=shop.clock, adopting=True) for _ in range(3)]
    answers = released_together(
        open_store(), "leads", [lambda b=board: b.migrate(gone, batch=3) for board in boards]
    )
    assert sum(answer.deals for answer in answers) == len(deals), answers
    for deal in deals:
        kinds = [event.type for event in boards[0].events(deal)]
        assert kinds == ["lead", "ladder.baseline"]
    assert Board(ladder, store=open_store()).migrate().deals == 0


def test_migrators_to_different_ladders_take_turns(shop: Shop, open_store: OpenStore):
    """The one that is late is refused; it does not overwrite what the first has adopted."""
    shop.tell("lead")
    ladders = [changed_ladder(5), changed_ladder(6)]
    boards = [
        Board(ladder, store=open_store(), clock=shop.clock, adopting=True) for ladder in ladders
    ]
    answers = released_together(
        open_store(),
        "leads",
        [
            lambda b=board: b.migrate(
                dict.fromkeys(["talking", "won", "lost"], b.pipeline.stage("new"))
            )
            for board in boards
        ],
    )
    # Another one's migration is under way, or over: then the stages of the mapping are gone.
    late = PipelineChangedError | DefinitionError
    for answer in answers:
        assert isinstance(answer, late) or answer.deals == 1, answers
    with open_store().transaction(write=False) as transaction:
        row = transaction.pipeline("leads")
    assert row is not None
    assert row.migrating is None, "nothing is left half done"
    assert row.fingerprint in [ladder.fingerprint for ladder in ladders]


def test_a_first_opening_beside_another_pipeline(shop: Shop, open_store: OpenStore):
    """Whoever opens a second ladder for the first time disturbs nobody."""
    ladder = lead_ladder()
    other = Pipeline("others", stages=ladder.stages, rules=ladder.rules)
    shop.tell("lead")
    with open_store().transaction() as transaction:
        transaction.pipeline("leads")
        assert Board(other, store=open_store()).pipeline is other

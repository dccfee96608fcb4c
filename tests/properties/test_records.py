"""Records as JSON: what is written can be read again, and the keys stay."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ladderpipe import (
    ANY,
    Board,
    CartLine,
    Deal,
    Effect,
    Event,
    History,
    ManualClock,
    Move,
    Outcome,
    Pipeline,
    Receipt,
    Stage,
    Task,
    Visit,
    by_hand,
    do,
    on,
    wait,
)
from ladderpipe.errors import DealNotFoundError, InvalidEventError
from ladderpipe.testing import events, pipelines

NINE = "2026-01-05T09:00:00Z"

# Programs that read records depend on these: a key may be added, none may go or change its name.
KEYS = {
    Event: {"type", "deal", "id", "at", "source", "seq", "data"},
    CartLine: {"sku", "title", "quantity", "unit_price", "key"},
    Deal: {
        *("id", "pipeline", "title", "stage", "status", "probability", "value", "currency"),
        *("weighted_value", "cart", "owner", "source", "contact", "company", "properties"),
        *("visit", "lost_from", "entered_at", "opened_at", "closed_at", "due_at"),
        *("last_event_at", "cart_currency", "unread"),
    },
    Move: {"deal", "n", "out_of", "into", "at", "recorded_at", "rule", "event"},
    Visit: {"deal", "n", "key", "stage", "entered_at", "left_at"},
    History: {"deal", "moves", "visits", "aside", "withdrawn", "effects"},
    Receipt: {"outcome", "deal", "moves", "refolded", "reason", "undeclared", "late", "event"},
    Effect: {
        *("key", "name", "deal", "visit_key", "payload", "state", "due_at", "expires_at"),
        *("run_to_completion", "attempts", "error", "purpose", "decisions"),
    },
    Task: {"key", "title", "deal", "owner", "due_at", "payload"},
}


def written(record: Any) -> Any:
    return json.loads(json.dumps(record.to_dict()))


def read_again(record: Any) -> Any:
    return type(record).from_dict(written(record))


@given(st.data(), pipelines())
def test_a_history_and_all_in_it_comes_back(data: st.DataObject, pipeline: Pipeline) -> None:
    told = data.draw(events(pipeline))
    assert [read_again(event) for event in told] == told
    history = pipeline.fold(told)
    if history is None:
        return
    for record in (history, history.deal, *history.moves, *history.visits, *history.deal.cart):
        assert read_again(record) == record
        assert set(written(record)) == KEYS[type(record)]


@given(st.data(), pipelines())
def test_a_deal_has_the_status_and_the_weighted_value_that_were_written(
    data: st.DataObject, pipeline: Pipeline
) -> None:
    """Equality does not see them: a stage is equal to its key."""
    history = pipeline.fold(data.draw(events(pipeline)))
    if history is None:
        return
    deal, bare = history.deal, read_again(history.deal)
    assert (bare.status, bare.weighted_value) == (deal.status, deal.weighted_value)
    own = Deal.from_dict(written(deal), pipeline.stages)
    assert own.stage is deal.stage
    assert own.lost_from is deal.lost_from


@given(st.data(), pipelines())
def test_what_a_board_answers_comes_back(data: st.DataObject, pipeline: Pipeline) -> None:
    told = data.draw(events(pipeline))
    with Board(pipeline, clock=ManualClock(max((e.at for e in told), default=NINE))) as board:
        for event in told:
            receipt = board.handle(event)
            assert read_again(receipt) == receipt
            assert set(written(receipt)) == KEYS[Receipt]
            if receipt.deal_or_none:
                stored = board.history(event.deal)
                assert read_again(stored) == stored


@pytest.fixture
def busy_board() -> Iterator[Board]:
    """Return a board with effects in several states, and a task."""
    lead = Stage(
        "lead",
        sequence=[
            do("task", title="Call", owner="ada"),
            do("email", template="hello", expires=dt.timedelta(days=1)),
            wait(days=2),
            do("email", template="again", run_to_completion=True),
        ],
    )
    won = Stage("won", status="won")
    rules = [on("lead", into=lead, opens=True), by_hand(into=won, out_of=ANY)]
    with Board(Pipeline("p", stages=[lead, won], rules=rules), clock=ManualClock(NINE)) as board:
        board.handle(Event("lead", deal="d", id="1", at=NINE))

        @board.handles("email")
        def fail(delivery: object) -> None:
            raise RuntimeError("no connection")

        board.deliver()
        yield board


def test_effects_and_tasks_come_back(busy_board: Board) -> None:
    effects, tasks = busy_board.effects(), busy_board.tasks()
    assert {effect.error is None for effect in effects} == {True, False}
    assert {effect.expires_at is None for effect in effects} == {True, False}
    for record in (*effects, *tasks):
        assert read_again(record) == record
        assert set(written(record)) == KEYS[type(record)]


def test_a_history_that_begins_at_a_baseline_comes_back(busy_board: Board) -> None:
    lead = Stage("lead")
    won = Stage("won", status="won")
    rules = [on("lead", into=lead, opens=True), by_hand(into=won)]
    pipeline = Pipeline("p", stages=[lead, won], rules=rules)
    board = Board(pipeline, store=busy_board.store, clock=busy_board.clock, adopting=True)
    board.migrate()
    board.move("d", won, by="ada")
    folded = pipeline.fold(board.events("d"))
    assert folded is not None
    assert len(folded.visits) == len(folded.moves) + 1
    assert read_again(folded) == folded


def test_amounts_are_text_and_instants_end_in_z() -> None:
    line = CartLine("NB-15", Decimal("1E+1"), None, Decimal("899.00"))
    assert line.to_dict() == {
        "sku": "NB-15",
        "title": None,
        "quantity": "10",
        "unit_price": "899.00",
        "key": "sku:NB-15",
    }
    assert Event("e", deal="d", id="1", at="2026-01-05T10:00:00+01:00").to_dict()["at"] == NINE


def test_what_is_done_to_a_record_does_nothing_to_the_deal(busy_board: Board) -> None:
    busy_board.handle(Event("seen", deal="d", id="2", at=NINE, data={"contact": {"tags": ["new"]}}))
    deal = busy_board.deal("d")
    deal.to_dict()["contact"]["tags"].append("spoilt")
    assert deal.contact == {"tags": ["new"]}


def test_a_record_of_tomorrow_may_have_more_keys() -> None:
    event = Event("e", deal="d", id="1", at=NINE)
    assert Event.from_dict({**event.to_dict(), "told_by": "a later release"}) == event


def test_what_is_no_event_says_what_is_missing() -> None:
    with pytest.raises(InvalidEventError, match="this record has no deal, at"):
        Event.from_dict({"type": "e", "id": "1"})


def test_a_receipt_without_a_deal_says_why() -> None:
    waiting = Receipt(Outcome.WAITING, None)
    assert waiting.deal_or_none is None
    with pytest.raises(DealNotFoundError, match="no rule has opened it yet"):
        waiting.deal  # noqa: B018
    with pytest.raises(LookupError, match="was removed"):
        Receipt(Outcome.ARCHIVED, None).deal  # noqa: B018

"""One identity is one event: whatever tells it again changes nothing (S12)."""

from __future__ import annotations

import datetime as dt
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ladderpipe import Board, Event, ManualClock, MemoryStore, Outcome, Pipeline, SqliteStore
from ladderpipe.board.verify import verify
from ladderpipe.logs.replay import replay
from ladderpipe.stores import PostgresStore
from ladderpipe.testing.copies import copies
from ladderpipe.testing.strategies import events_of_many_deals
from tests.ladders import ladders, ladders_and_events, sales_ladder
from tests.shops import contents, wide_rows

DEALS = ("deal-1", "deal-2")
LATER = dt.timedelta(days=1)
START = dt.datetime(2026, 1, 5, 9, tzinfo=dt.UTC)
CONTACT = {"name": "Ada Rossi", "email": "ada@example.com"}

MakeStore = Callable[[], Any]

_numbers = itertools.count()


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def make_store(request: pytest.FixtureRequest) -> MakeStore:
    """Return a function that makes an empty store, and another, and another."""
    if request.param == "memory":
        return MemoryStore
    if request.param == "sqlite":
        return lambda: SqliteStore(":memory:")
    url = request.getfixturevalue("postgres_url")
    return lambda: PostgresStore(url, prefix=f"p{next(_numbers)}_", pool_size=2)


on_every_store = settings(
    max_examples=settings().max_examples // 5,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@st.composite
def told(draw: st.DrawFn, **options: Any) -> tuple[Pipeline, list[Event]]:
    """Return a random ladder that asks for effects, and some deals' events in any order."""
    pipeline = draw(ladders(sequences=True))
    found = draw(events_of_many_deals(pipeline, deals=DEALS, max_size=6).filter(bool))
    return pipeline, draw(st.permutations(found))


def board_of(pipeline: Pipeline, store: Any, events: list[Event]) -> Board:
    """Return a board whose clock stands a day after everything."""
    return Board(pipeline, store=store, clock=ManualClock(max(e.at for e in events) + LATER))


def handle(board: Board, event: Event) -> Any:
    return {board.handle(event).outcome: 1}


def handle_many(board: Board, event: Event) -> Any:
    return board.handle_many([event]).outcomes


def handle_many_quietly(board: Board, event: Event) -> Any:
    return board.handle_many([event], quiet=True).outcomes


def handle_or_hold(board: Board, event: Event) -> Any:
    return {board.handle(event, hold=True).outcome: 1}


def handle_many_or_hold(board: Board, event: Event) -> Any:
    return board.handle_many([event], hold=True).outcomes


WAYS = [handle, handle_many, handle_many_quietly, handle_or_hold, handle_many_or_hold]


@given(data=st.data())
@on_every_store
def test_a_copy_told_later_changes_nothing(make_store: MakeStore, data: st.DataObject) -> None:
    pipeline, events = data.draw(told(), label="told")
    board = board_of(pipeline, make_store(), events)
    for event in events:
        data.draw(st.sampled_from(WAYS), label="how")(board, event)
        if data.draw(st.booleans(), label="tick"):
            board.tick()
        before = contents(board.store)
        copy = data.draw(st.sampled_from(events[: events.index(event) + 1]).flatmap(copies))
        how = data.draw(st.sampled_from(WAYS), label="again")
        assert how(board, copy) == {Outcome.DUPLICATE: 1}
        assert contents(board.store) == before
    report = verify(board)
    assert report.agrees, report.differences
    board.close()


@given(data=st.data())
@on_every_store
def test_a_copy_told_in_the_same_batch_changes_nothing(
    make_store: MakeStore, data: st.DataObject
) -> None:
    pipeline, events = data.draw(told(), label="told")
    once, again = (board_of(pipeline, make_store(), events) for _ in range(2))
    batch = list(events)
    for event in data.draw(st.lists(st.sampled_from(events), min_size=1, max_size=5)):
        after = next(place for place, told in enumerate(batch) if told is event)
        place = data.draw(st.integers(after + 1, len(batch)), label="place")
        batch.insert(place, data.draw(copies(event), label="copy"))
    alone = once.handle_many(events)
    report = again.handle_many(batch)
    copied = len(batch) - len(events)
    assert not report.failures
    assert report.outcomes == {**alone.outcomes, Outcome.DUPLICATE: copied}
    rows = [wide_rows(board.store, board._session.number, DEALS) for board in (once, again)]
    assert rows[0] == rows[1]
    assert verify(again).agrees
    for board in (once, again):
        board.close()


@st.composite
def retellings(draw: st.DrawFn, event: Event) -> Event:
    """Return anything under an event's name, at any time, the far future too."""
    return Event(
        draw(st.sampled_from([event.type, "order.confirmed", "cart.emptied", "nobody.asked"])),
        deal=event.deal,
        id=event.id,
        source=event.source,
        seq=draw(st.integers(-3, 3)),
        at=draw(
            st.sampled_from([event.at, event.at + LATER, event.at - LATER, START + 9999 * LATER])
        ),
        data=draw(st.sampled_from([{}, {"contact": CONTACT}, {**event.data, "owner": "Eve"}])),
    )


@given(data=st.data())
@on_every_store
def test_whatever_tells_a_forgotten_event_again_changes_nothing(
    make_store: MakeStore, data: st.DataObject
) -> None:
    pipeline, events = data.draw(told(), label="told")
    events = [attrs.evolve(e, data={**e.data, "contact": CONTACT}) for e in events]
    board = board_of(pipeline, make_store(), events)
    assert not board.handle_many(events).failures
    board.forget(email=CONTACT["email"])
    before = contents(board.store)
    for event in events:
        again = data.draw(retellings(event), label="again")
        how = data.draw(st.sampled_from(WAYS), label="how")
        assert how(board, again) == {Outcome.DUPLICATE: 1}
        assert contents(board.store) == before
    assert verify(board).agrees
    board.close()


def test_a_line_that_stands_in_a_log_again_and_again_counts_once(
    make_store: MakeStore, tmp_path: Path
) -> None:
    line = {"sku": "A", "quantity": 1, "unit_price": "5"}
    event = Event("cart.item_added", deal="d", id="1", at=START, source="shop", data={"line": line})
    log = tmp_path / "log.jsonl"
    log.write_text(
        "".join(
            json.dumps({**event.to_cloudevent(), "sequence": str(seq)}) + "\n" for seq in (7, 3, 9)
        )
    )
    board = board_of(sales_ladder(), make_store(), [event])
    assert replay(board, log).outcomes == {Outcome.OPENED: 1, Outcome.DUPLICATE: 2}
    before = contents(board.store)
    assert replay(board, log).outcomes == {Outcome.DUPLICATE: 3}
    assert contents(board.store) == before
    assert [stored.seq for stored in board.events("d")] == [7]
    assert board.deal("d").value == 5
    assert verify(board).agrees
    board.close()


# -- the pure fold ----------------------------------------------------------------------------


@st.composite
def with_copies(draw: st.DrawFn) -> tuple[Pipeline, list[Event], list[Event]]:
    """Return a ladder, one deal's events with copies among them, and each with its lowest seq."""
    pipeline, events = draw(ladders_and_events(hands=False, min_size=1, max_size=8))
    again = draw(st.lists(st.sampled_from(events).flatmap(copies), min_size=1, max_size=8))
    lowest = [
        attrs.evolve(event, seq=min(e.seq for e in (event, *again) if e.id == event.id))
        for event in events
    ]
    return pipeline, draw(st.permutations([*events, *again])), lowest


@given(with_copies(), st.data())
def test_of_copies_the_lowest_seq_counts_in_whatever_order_they_come(
    case: tuple[Pipeline, list[Event], list[Event]], data: st.DataObject
) -> None:
    pipeline, events, lowest = case
    expected = pipeline.fold(lowest)
    found = pipeline.fold(events)
    assert known(found) == known(expected)
    assert pipeline.fold(data.draw(st.permutations(events))) == found
    assert str(pipeline.explain(events)) == str(
        pipeline.explain(data.draw(st.permutations(events)))
    )


@st.composite
def with_unreadable_lines(draw: st.DrawFn) -> list[Event]:
    """Return events of which something is kept aside: for want of a key, a quantity, a currency."""
    amounts = st.sampled_from(["1", 2, -1, "-1.50", 0.5, "much"])
    line = st.fixed_dictionaries(
        {"sku": st.sampled_from(["", "A"]), "quantity": amounts, "unit_price": amounts},
        optional={"currency": st.sampled_from(["EUR", "USD"])},
    )
    cart = st.fixed_dictionaries({"currency": st.just("EUR"), "lines": st.lists(line, max_size=3)})
    amount = {"value": amounts.filter(lambda told: told != "much"), "currency": st.just("USD")}
    told = st.one_of(
        st.tuples(st.just("cart.updated"), st.fixed_dictionaries({"cart": cart})),
        st.tuples(st.just("cart.item_added"), st.fixed_dictionaries({"line": line})),
        st.tuples(st.sampled_from(["noted", "order.edited"]), st.fixed_dictionaries(amount)),
    )
    bought = {"cart": {"currency": "EUR", "lines": [{"sku": "A", "unit_price": 5}]}}
    opens = draw(st.sampled_from(["cart.updated", "order.confirmed"]))
    opening = Event(opens, deal="deal-1", id="opening", at=START, data=bought)
    return [opening] + [
        Event(kind, deal="deal-1", id=str(n), at=START, seq=n, data=data)
        for n, (kind, data) in enumerate(draw(st.lists(told, min_size=1, max_size=3)), 1)
    ]


@given(with_unreadable_lines(), st.data())
def test_what_is_kept_aside_is_the_same_however_its_amounts_are_written(
    events: list[Event], data: st.DataObject
) -> None:
    again = [attrs.evolve(data.draw(copies(event)), seq=event.seq) for event in events]
    pipeline = sales_ladder()
    assert known(pipeline.fold(again)) == known(pipeline.fold(events))


@given(with_copies())
def test_in_a_fold_that_is_stepped_the_first_told_counts(
    case: tuple[Pipeline, list[Event], list[Event]],
) -> None:
    pipeline, events, _ = case
    stepped = pipeline.open("deal-1")
    first: dict[str, Event] = {}
    for event in events:
        is_new = first.setdefault(event.id, event) is event
        before = stepped.history()
        assert (stepped.add(event).outcome is Outcome.DUPLICATE) != is_new
        assert is_new or stepped.history() == before
    assert stepped.history() == pipeline.fold(first.values())


def known(history: Any) -> Any:
    """Return a history without how its events were written."""
    if history is None:
        return None
    return history.deal, history.visits, [(*m[:7], m.event and m.event.id) for m in history.moves]

"""The tables are the fold, cut or believed at any instant, from any store."""

from __future__ import annotations

import datetime as dt
import itertools
from contextlib import closing
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ladderpipe import Board, History, ManualClock, SqliteStore, insight
from ladderpipe.board.as_of import deals_at, history_at
from ladderpipe.stores import PostgresStore

from .boards import DEALS, Story, assert_same_tables, stories

EXAMPLES = settings().max_examples // 2

_numbers = itertools.count()


def histories(board: Board, as_of: dt.datetime) -> list[History]:
    found = [board.pipeline.fold(board.events(deal), as_of) for deal in DEALS]
    return [history for history in found if history is not None]


def deal_row(history: History) -> dict[str, Any]:
    deal = history.deal
    reason = deal.properties.get("loss_reason")
    return {
        "deal": deal.id,
        "title": deal.title,
        "stage": deal.stage.key,
        "status": deal.status,
        "visit": deal.visit,
        "entered_at": deal.entered_at,
        "opened_at": deal.opened_at,
        "closed_at": deal.closed_at,
        "last_event_at": deal.last_event_at,
        "lost_from": None if deal.lost_from is None else deal.lost_from.key,
        "value": None if deal.value is None else deal.value.quantize(Decimal("0.000001")),
        "currency": deal.currency,
        "owner": deal.owner,
        "source": deal.source,
        "loss_reason": reason,
        "active_at": deal.last_event_at,
    }


@given(st.data())
@settings(max_examples=EXAMPLES)
def test_a_board_as_of_an_instant_is_what_the_fold_says(data: st.DataObject) -> None:
    story: Story = data.draw(stories())
    board = story.told()
    as_of = data.draw(story.instants(board))
    folded = histories(board, as_of)
    found = {deal.id: deal for deal in deals_at(board._session, as_of)}
    assert found == {history.deal.id: history.deal for history in folded}
    for history in folded:
        then = history_at(board._session, history.deal.id, as_of)
        assert (then.deal, then.visits) == (history.deal, history.visits)


@given(st.data())
@settings(max_examples=EXAMPLES)
def test_the_tables_are_what_the_fold_says_as_of_any_instant(data: st.DataObject) -> None:
    story: Story = data.draw(stories())
    board = story.told()
    as_of = data.draw(story.instants(board))
    tables = insight.tables(board, as_of=as_of)
    folded = histories(board, as_of)
    assert tables.deals.to_dicts() == [deal_row(history) for history in folded]
    visits = [visit for history in folded for visit in history.visits]
    assert tables.visits.select("deal", "n", "stage", "entered_at", "left_at").rows() == [
        (v.deal, v.n, v.stage.key, v.entered_at, v.left_at) for v in visits
    ]
    moves = [move for history in folded for move in history.moves]
    assert tables.moves.drop("recorded_at", "trigger").rows() == [
        (m.deal, m.n, m.out_of and m.out_of.key, m.into.key, m.at, m.rule)
        + ((m.event.type, m.event.source, m.event.id, m.event.seq) if m.event else (None,) * 4)
        for m in moves
    ]


@given(st.data())
@settings(max_examples=EXAMPLES)
def test_changes_are_what_the_fold_says_at_every_instant_of_an_event(data: st.DataObject) -> None:
    board = data.draw(stories()).told()
    changes = insight.tables(board).changes
    names = [name for name in changes.columns if name not in ("deal", "at")]
    for deal in DEALS:
        events = board.events(deal)
        found = changes.filter(deal=deal)
        opened = found["at"].min()
        instants = sorted({e.at for e in events if opened is not None and e.at >= opened})
        assert found["at"].to_list() == instants
        for row in found.to_dicts():
            history = board.pipeline.fold(events, row["at"])
            assert history is not None
            told = deal_row(history)
            assert {name: row[name] for name in names} == {name: told[name] for name in names}


@given(st.data())
@settings(max_examples=EXAMPLES)
def test_tables_cut_at_an_instant_are_the_tables_as_of_it(data: st.DataObject) -> None:
    story: Story = data.draw(stories())
    board = story.told()
    as_of = data.draw(story.instants(board))
    assert_same_tables(insight.tables(board).at(as_of), insight.tables(board, as_of=as_of))


@given(st.data())
@settings(max_examples=EXAMPLES)
def test_what_happened_later_does_not_matter(data: st.DataObject) -> None:
    story: Story = data.draw(stories(hands=False))
    board = story.told()
    as_of = data.draw(story.instants(board))
    earlier = Board(story.pipeline, clock=ManualClock(as_of))
    earlier.handle_many(step.event for step in story.steps if step.event and step.event.at <= as_of)
    cut = insight.tables(board).at(as_of)
    assert_same_tables(cut, insight.tables(earlier), but=["recorded_at"])


@given(st.data())
@settings(max_examples=EXAMPLES)
def test_what_was_believed_is_what_a_board_that_stopped_listening_says(
    data: st.DataObject,
) -> None:
    story: Story = data.draw(stories())
    then = story.told(steps=data.draw(st.integers(0, len(story.steps))))
    as_of = data.draw(story.instants(then))
    believed_at = then.clock.now()
    believed = insight.tables(story.told(), as_of=as_of, believed_at=believed_at)
    expected = insight.tables(then, as_of=as_of)
    assert_same_tables(believed, expected, but=["recorded_at"])
    both = zip(believed.moves["recorded_at"], expected.moves["recorded_at"], strict=True)
    assert all(ours is None or ours == theirs for ours, theirs in both)


@given(st.data())
@settings(max_examples=EXAMPLES)
def test_each_table_asked_for_alone_is_the_same(data: st.DataObject) -> None:
    story: Story = data.draw(stories())
    board = story.told()
    as_of = data.draw(story.instants(board))
    tables = insight.tables(board, as_of=as_of)
    assert insight.deals(board, as_of=as_of).equals(tables.deals)
    assert insight.visits(board, as_of=as_of).equals(tables.visits)
    assert insight.moves(board, as_of=as_of).equals(tables.moves)


@given(st.data())
@settings(max_examples=EXAMPLES)
def test_the_visits_of_a_deal_tile_its_life(data: st.DataObject) -> None:
    tables = insight.tables(data.draw(stories()).told())
    for deal in tables.deals.to_dicts():
        visits = tables.visits.filter(deal=deal["deal"])
        assert visits["n"].to_list() == list(range(1, deal["visit"] + 1))
        assert visits["entered_at"][0] == deal["opened_at"]
        assert visits["left_at"].to_list() == [*visits["entered_at"][1:], None]
        assert visits["from_stage"].to_list() == [None, *visits["stage"][:-1]]
        assert visits["into_stage"].to_list() == [*visits["stage"][1:], None]
        assert visits["left_by"].to_list() == [*visits["rule"][1:], None]
        stayed = visits["left_at"].fill_null(tables.as_of) - visits["entered_at"]
        assert stayed.sum() == tables.as_of - deal["opened_at"]


@given(data=st.data())
@settings(
    max_examples=max(10, EXAMPLES // 3),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_every_store_gives_the_same_tables(postgres_url: str, data: st.DataObject) -> None:
    story: Story = data.draw(stories())
    memory = story.told()
    as_of = data.draw(story.instants(memory))
    expected = insight.tables(memory, as_of=as_of)
    prefix = f"p{next(_numbers)}_"
    for store in (SqliteStore(":memory:"), PostgresStore(postgres_url, prefix=prefix)):
        with closing(store):
            assert_same_tables(insight.tables(story.told(store), as_of=as_of), expected)

"""A store that follows deals which live elsewhere: what it makes of that, and what it refuses."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ladderpipe import Board, Event, ManualClock, Pipeline, Stage, after, by_hand, do, on
from ladderpipe.errors import InvalidEventError, LadderError, StoreError
from ladderpipe.model.clock import instant_text
from ladderpipe.temporal.projection import (
    BY_THE_CUSTOMER,
    BY_THE_WORKFLOW,
    NOT_HERE,
    FollowingBoard,
    Projection,
)

START = dt.datetime(2026, 1, 5, 9, tzinfo=dt.UTC)


def ladder() -> Pipeline:
    new = Stage("new", sequence=[do("email", to="customer")])
    cold = Stage("cold", status="abandoned")
    won = Stage("won", status="won")
    return Pipeline(
        "shop",
        stages=[new, cold, won],
        rules=[
            on("opened", into=new, opens=True),
            on("opened", into=new, out_of=cold),
            on("ordered", into=won),
            after(hours=1, out_of=new, into=cold),
            by_hand(into=won),
        ],
    )


def lived(board: Board, clock: ManualClock, steps: list[str]) -> None:
    """Let the deal ``d`` of a board live, one step in twenty minutes."""
    for number, step in enumerate(steps):
        clock.advance(minutes=20)
        board.tick()
        given: dict[str, Any] = {"by": "ada", "id": f"hand-{number}"}
        try:
            if step in ("opened", "ordered"):
                board.handle(Event(step, deal="d", id=str(number), at=clock.now()))
            elif step == "late":
                at = clock.now() - dt.timedelta(minutes=50)
                board.handle(Event("opened", deal="d", id=str(number), at=at))
            elif step == "undo":
                board.undo("d", event=last_hand(board), **given)
            elif step == "edit":
                board.edit("d", contact={"email": f"{number}@example.com"}, **given)
            else:
                board.override("d", step, reason="so", **given)
        except LadderError:
            pass  # a hand that has nothing to take hold of; then there is nothing to follow


def last_hand(board: Board) -> Any:
    hands = [event.identity for event in board.events("d") if event.type == "ladder.override"]
    return hands[-1] if hands else None


STEPS = st.lists(
    st.sampled_from(["opened", "ordered", "late", "undo", "edit", "new", "cold", "won"]),
    max_size=12,
)


@given(STEPS, st.data())
@settings(max_examples=60)
def test_what_is_followed_is_the_same_in_any_order_and_however_often(
    steps: list[str], data: st.DataObject
) -> None:
    clock = ManualClock(START)
    board = Board(ladder(), clock=clock)
    lived(board, clock, steps)
    events = board.events("d")
    # Each activity brings some, and those that failed half way bring theirs again.
    told = data.draw(st.lists(st.sampled_from(events), max_size=20)) if events else []
    told += data.draw(st.permutations(events))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(told)), max_size=4)))
    follower = FollowingBoard(ladder(), clock=clock)

    for first, last in zip([0, *cuts], [*cuts, len(told)], strict=True):
        follower.follow("d", told[first:last], instant_text(clock.now()))

    assert list(follower.deals()) == list(board.deals())
    assert follower.summary() == board.summary()
    if list(board.deals()):
        assert follower.history("d").visits == board.history("d").visits
    assert follower.effects() == []
    assert follower.held() == []


def test_a_timer_fires_by_the_time_of_the_workflow_though_this_machine_is_behind() -> None:
    follower = FollowingBoard(ladder(), clock=ManualClock(START))
    opened = Event("opened", deal="d", id="1", at=START)

    follower.follow("d", [opened], instant_text(START + dt.timedelta(hours=2)))

    assert follower.deal("d").stage.key == "cold"
    assert follower.deal("d").entered_at == START + dt.timedelta(hours=1)


def test_one_identity_of_two_deals_is_held_and_said_since_a_store_knows_it_once() -> None:
    follower = FollowingBoard(ladder(), clock=ManualClock(START))
    for deal in ("one", "two"):
        follower.follow(deal, [Event("opened", deal=deal, id="1", at=START)], instant_text(START))

    (held,) = follower.held()
    assert (held.deal, [deal.id for deal in follower.deals()]) == ("two", ["one"])


def test_who_opens_such_a_store_to_write_is_told_where_the_deals_live(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/follows.db"
    with Projection(ladder(), url).board() as follower:
        follower.follow("d", [Event("opened", deal="d", id="1", at=START)], instant_text(START))
    with pytest.raises(StoreError, match="live elsewhere"):
        Board.open(ladder(), url)
    with Board.open(ladder(), url, read_only=True) as reports:
        assert [total.count for total in reports.summary()] == [1]
    with Projection(ladder(), url).board() as again:
        assert again.deal("d").stage.key == "new"


def test_a_store_with_deals_of_its_own_follows_none(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/own.db"
    Board.open(ladder(), url).close()
    with pytest.raises(StoreError, match="a store of its own"):
        Projection(ladder(), url).board()


def test_a_changed_ladder_is_adopted_by_the_store_too_which_follows_on(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/follows.db"
    with Projection(ladder(), url).board() as follower:
        follower.follow("d", [Event("opened", deal="d", id="1", at=START)], instant_text(START))
    old = ladder()
    reopens = on("called", into=old.stage("new"), out_of=old.stage("won"))
    changed = old.extended(rules=[reopens])
    with Projection(changed, url).board(adopting=True) as adopting:
        adopting.migrate({})
    with pytest.raises(StoreError, match="live elsewhere"):
        Board.open(changed, url)
    with Projection(changed, url).board() as again:
        ordered = Event("ordered", deal="d", id="2", at=START + dt.timedelta(minutes=1))
        again.follow("d", [ordered], instant_text(START))
        assert again.deal("d").stage.key == "won"


@pytest.mark.parametrize("name", [*BY_THE_WORKFLOW, *BY_THE_CUSTOMER, *NOT_HERE])
def test_nothing_is_written_through_it_that_the_workflows_would_not_know(name: str) -> None:
    follower = FollowingBoard(ladder())
    with pytest.raises(InvalidEventError, match=f"{name} is refused.* live in workflows"):
        getattr(follower, name)("d", "won", by="ada")


def test_what_a_board_can_do_is_refused_handed_on_or_its_own_affair() -> None:
    reads = {"deal", "deals", "page", "changes", "customer", "history", "events", "explain"}
    reads |= {"summary", "health", "effects", "unsent", "dead_letters", "tasks", "task_page"}
    reads |= {"held", "held_of_deals", "held_among", "options", "migration_plan", "chain"}
    tidies = {"migrate", "forget", "remove", "archive", "restore", "close", "open", "publish"}
    tidies |= {"extend_chain"}
    known = (
        {*BY_THE_WORKFLOW, *BY_THE_CUSTOMER, *NOT_HERE, "pipeline", "clock", "store", "follow"}
        | reads
        | tidies
    )
    assert {name for name in vars(Board) if not name.startswith("_")} <= known

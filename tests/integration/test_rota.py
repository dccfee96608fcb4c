"""Owners who take turns: nobody is passed over, nobody served twice, whoever is at work."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ladderpipe import (
    AssignOwner,
    Board,
    Event,
    ManualClock,
    Pipeline,
    Rota,
    Stage,
    by_hand,
    do,
    on,
)
from ladderpipe.board.verify import verify
from ladderpipe.errors import DefinitionError
from ladderpipe.stores import open_store

THREADS, TURNS = 6, 15


def ladder() -> Pipeline:
    new = Stage("new", sequence=[do("assign")])
    won = Stage("won", status="won")
    return Pipeline(
        "leads",
        stages=[new, won],
        rules=[on("lead.came", into=new, opens=True), by_hand(into=won)],
    )


def shop(store: Any) -> Board:
    return Board(ladder(), store=store, clock=ManualClock("2026-01-05T09:00:00Z"))


def lead(board: Board, deal: str, **data: Any) -> None:
    board.handle(Event("lead.came", deal=deal, id=deal, at="2026-01-05T09:00:00Z", data=data))


def owners(board: Board) -> dict[str, str | None]:
    return {deal.id: deal.owner for deal in board.deals()}


def test_owners_take_turns_in_the_order_of_the_list(store: Any) -> None:
    rota = Rota(shop(store), "sales")
    rota.set(["ada", "bruno", "carla"], by="ann")
    assert [rota.take(f"k{n}") for n in range(7)] == [
        *("ada", "bruno", "carla"),
        *("ada", "bruno", "carla"),
        "ada",
    ]
    assert rota.turns()[:2] == [("k0", "ada"), ("k1", "bruno")]


def test_a_turn_that_is_asked_for_again_is_the_same_turn(store: Any) -> None:
    rota = Rota(shop(store), "sales")
    rota.set(["ada", "bruno"], by="ann")
    assert [rota.take(key) for key in ("a", "b", "a", "a", "c")] == [
        *("ada", "bruno", "ada", "ada"),
        "ada",
    ]
    assert len(rota.turns()) == 3


def test_who_is_on_holiday_is_passed_over_and_falls_in_again(store: Any) -> None:
    rota = Rota(shop(store), "sales")
    rota.set(["ada", "bruno", "carla"], by="ann")
    assert [rota.take(f"a{n}") for n in range(3)] == ["ada", "bruno", "carla"]
    rota.set(["ada", "carla"], by="ann")
    assert [rota.take(f"b{n}") for n in range(4)] == ["ada", "carla", "ada", "carla"]
    rota.set(["ada", "bruno", "carla"], by="ann")
    assert [rota.take(f"c{n}") for n in range(4)] == ["bruno", "ada", "carla", "bruno"]
    assert rota.people() == ("ada", "bruno", "carla")


@given(
    st.lists(
        st.one_of(
            st.integers(0, 12),
            st.lists(st.sampled_from("abcde"), unique=True, max_size=5),
        ),
        max_size=30,
    )
)
def test_between_two_turns_of_one_everybody_who_was_there_has_had_one(acts: list[Any]) -> None:
    with Board(ladder(), clock=ManualClock("2026-01-05T09:00:00Z")) as board:
        rota = Rota(board, "sales")
        people: list[str] = []
        taken: dict[str, str] = {}
        since: dict[str, set[str]] = {}
        for act in acts:
            if isinstance(act, list):
                rota.set(act, by="ann")
                people = act
                for served in since.values():
                    served |= {name for name in "abcde" if name not in act}  # they were not there
                continue
            key = f"k{act}"
            owner = rota.take(key)
            if key in taken:
                assert owner == taken[key]
            elif not people:
                assert owner is None
            else:
                assert owner in people
                assert owner not in since or since[owner] | {owner} >= set(people)
                taken[key] = owner
                for served in since.values():
                    served.add(owner)
                since[owner] = set()
        assert dict(rota.turns()) == taken


def test_many_at_once_each_get_a_turn_of_their_own(store: Any) -> None:
    """Threads with boards of their own ask for turns, each turn several times over."""
    people = ["ada", "bruno", "carla"]
    Rota(shop(store), "sales").set(people, by="ann")
    found: list[tuple[str, str | None]] = []
    troubles: list[BaseException] = []

    def work(number: int) -> None:
        try:
            rota = Rota(shop(store), "sales")
            # Two threads each ask for the same turns, as after an answer that got lost.
            found.extend(
                (key, rota.take(key)) for n in range(TURNS) for key in [f"{number // 2}-{n}"]
            )
        except BaseException as error:
            troubles.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert troubles == []
    turns = Rota(shop(store), "sales").turns()
    assert len(turns) == len(dict(turns)) == THREADS // 2 * TURNS
    assert set(found) == set(turns), "who asked again was told the same"
    assert [owner for _, owner in turns] == [people[n % 3] for n in range(len(turns))]


# -- giving deals to owners ----------------------------------------------------------------------


def test_deals_are_given_to_owners_in_turn_and_the_history_says_so(store: Any) -> None:
    board = shop(store)
    rota = Rota(board, "sales")
    rota.set(["ada", "bruno"], by="ann")
    board.handle_effect("assign", AssignOwner(board, rota))
    for deal in ("a", "b", "c"):
        lead(board, deal)
    board.deliver()
    assert Counter(owners(board).values()) == {"ada": 2, "bruno": 1}
    [edit] = [event for event in board.events("a") if "owner" in event.data]
    assert edit.data["by"] == "rule"
    assert verify(board).differences == ()


def test_a_rule_of_ones_own_gives_by_region_and_by_value(store: Any) -> None:
    board = shop(store)
    rota = Rota(board, "sales")
    rota.set(["ada"], by="ann")

    def choose(deal: Any) -> str | Rota | None:
        if deal.value is not None and deal.value >= 5000:
            return "the boss"
        if deal.contact.get("region") == "south":
            return "sara"
        return None if deal.source == "test" else rota

    board.handle_effect("assign", AssignOwner(board, choose))
    lead(board, "big", value="9000", currency="EUR")
    lead(board, "south", contact={"region": "south"})
    lead(board, "other")
    lead(board, "trial", source="test")
    lead(board, "taken", owner="zoe")
    board.deliver()
    assert owners(board) == {
        "big": "the boss",
        "south": "sara",
        "other": "ada",
        "trial": None,
        "taken": "zoe",
    }
    assert len(rota.turns()) == 1


def test_whoever_crashed_between_turn_and_deal_loses_no_turn(store: Any) -> None:
    board = shop(store)
    rota = Rota(board, "sales")
    rota.set(["ada", "bruno"], by="ann")
    lead(board, "a")
    [effect] = board.effects("a")
    assert rota.take(effect.key) == "ada"  # and there the process died
    board.handle_effect("assign", AssignOwner(board, rota))
    board.deliver()
    lead(board, "b")
    board.deliver()
    assert owners(board) == {"a": "ada", "b": "bruno"}
    assert len(rota.turns()) == 2


def test_with_nobody_there_the_deal_waits_and_is_tried_again(store: Any) -> None:
    board = shop(store)
    clock: Any = board._session.clock
    rota = Rota(board, "sales")
    board.handle_effect("assign", AssignOwner(board, rota))
    lead(board, "a")
    assert board.deliver().delivered == 0
    assert "nobody takes turns in rota 'sales'" in str(board.effects("a")[0].error)
    rota.set(["ada"], by="ann")
    clock.advance(hours=1)
    board.deliver()
    assert owners(board) == {"a": "ada"}


@pytest.mark.parametrize("people", ["ada", ["ada", "ada"]])
def test_people_who_are_no_list_are_refused(people: Any) -> None:
    with pytest.raises(DefinitionError):
        Rota(Board(ladder(), store=open_store("memory:")), "sales").set(people, by="ann")

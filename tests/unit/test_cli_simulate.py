"""``simulate``: a ladder that is played, line by line."""

from __future__ import annotations

import io
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ladderpipe import Pipeline
from ladderpipe.cli.simulation import DEAL, Simulation
from ladderpipe.errors import LadderError
from ladderpipe.model.clock import instant
from ladderpipe.testing import pipelines
from tests.commands import SALES, START, Ran, run


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    def played(*lines: str) -> Ran:
        monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{line}\n" for line in lines)))
        return run("simulate", SALES, "--language", "en")

    return played


def test_what_leaving_a_stage_stops_is_told(play) -> None:  # type: ignore[no-untyped-def]
    told = play("cart.item_added", "wait 3d", "order.confirmed", "wait 4w")
    assert (told.code, told.err) == (0, "")
    reminded, bought = told.out.split("> order.confirmed")
    assert "Wed 2026-01-07 09:00" in reminded
    assert "sent: email cart-reminder" in reminded
    assert "stopped: email cart-last-reminder" in bought
    assert "sent: email cart-last-reminder" not in bought


def test_what_may_happen_is_chosen_by_its_number(play) -> None:  # type: ignore[no-untyped-def]
    first = play("?").out
    [number] = [line.split()[0] for line in first.splitlines() if "cart.item_added" in line]
    told = play("# a comment, and an empty line", "", number, "next").out
    assert "Checkout abandoned (abandoned)" in told


def test_a_hand_moves_and_takes_back(play) -> None:  # type: ignore[no-untyped-def]
    lost = "move lost loss_reason=price"
    told = play("cart.item_added", lost, "undo", "explain", "quit", "1")
    assert told.code == 0
    assert "Deal lost (lost)" in told.out
    assert "taken back" in told.out
    assert told.out.split("> explain")[0].rstrip().count("Quote requested (open)") == 2
    assert "> 1" not in told.out


def test_what_is_told_is_read_as_json(play) -> None:  # type: ignore[no-untyped-def]
    line = '{"line": {"sku": "x", "quantity": 2, "unit_price": "3.50"}, "currency": "CHF"}'
    assert "CHF 7.00" in play(f"cart.item_added {line}").out


@pytest.mark.parametrize(
    "line",
    [
        "77",
        "0",
        "wait",
        "wait 3y",
        "move",
        "move moon",
        "move lost x",
        "undo",
        "cart.saved {",
        "x [1]",
    ],
)
def test_a_step_that_makes_no_sense_changes_nothing(play, line: str) -> None:  # type: ignore[no-untyped-def]
    told = play("cart.item_added", line, "order.confirmed")
    assert told.code == 1
    assert "refused: " in told.out
    assert "Quote requested → Order confirmed" in told.out


def test_a_ladder_that_is_not_there_is_one_line() -> None:
    run("simulate", "nowhere:ladder").refusal()


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("tell"), st.integers(0, 9)),
        st.tuples(st.just("move"), st.integers(0, 9)),
        st.tuples(st.just("wait"), st.integers(0, 99)),
        st.tuples(st.just("next"), st.just(0)),
        st.tuples(st.just("undo"), st.just(0)),
    ),
    max_size=8,
)


@given(pipelines(), STEPS)
def test_any_ladder_can_be_played(pipeline: Pipeline, steps: list[tuple[str, int]]) -> None:
    played = Simulation(pipeline, instant(START), None)
    for act, n in steps:
        try:
            if act == "wait":
                list(played.until(played.now + n * (instant(START) - instant("2026-01-05T07:00Z"))))
            elif act == "next":
                list(played.until(played.next() or played.now))
            elif act == "undo":
                played.undo()
            elif act == "move" and played.hands():
                played.move(played.hands()[n % len(played.hands())].into.key, {})
            elif act == "tell" and played.happening():
                played.tell(played.happening()[n % len(played.happening())][0], None)
        except LadderError:
            pass
        list(played.until(played.now))
        history = pipeline.fold(played.board.events(DEAL), until=played.now)
        assert (history.deal if history else None) == played.deal
        assert list(played.news()) == []

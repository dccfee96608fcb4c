"""The test kit finds what it is there to find, and starts cheaply."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

import ladderpipe.testing as kit
from ladderpipe import Board, Event, History, ManualClock, Pipeline
from ladderpipe.testing import assert_single_stage, events, events_of_many_deals, pipelines
from tests.ladders import sales_ladder

NINE = dt.datetime(2026, 1, 5, 9, tzinfo=dt.UTC)


def test_every_public_name_is_there_and_sorted() -> None:
    assert kit.__all__ == sorted(kit.__all__)
    assert all(callable(getattr(kit, name)) for name in kit.__all__)
    with pytest.raises(AttributeError, match="misspelt"):
        kit.misspelt  # noqa: B018


def test_pytest_starts_without_hypothesis_and_without_a_warning() -> None:
    code = (
        "import sys, ladderpipe.testing.plugin; "
        "assert not {'hypothesis', 'yaml', 'jinja2'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_the_fixtures_make_an_empty_board_on_a_clock_that_stands(
    ladder_board: Board, ladder_clock: ManualClock
) -> None:
    ladder_board.handle(Event("order.confirmed", deal="cart-42", id="e1", at=ladder_clock.now()))
    assert ladder_board.deal("cart-42").stage == "order_confirmed"
    assert ladder_clock.now() == NINE


def test_the_plugin_takes_no_name_that_a_project_may_have_itself(tmp_path: Path) -> None:
    test = tmp_path / "test_it.py"
    test.write_text("def test_it(ladder_board): ...")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--fixtures", str(test)]
    told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    ours = told.stdout.partition("fixtures defined from ladderpipe")[2].partition("fixtures def")[0]
    names = {line.split()[0] for line in ours.splitlines() if " -- " in line}
    assert names == {"ladder_board", "ladder_clock", "ladder_pipeline"}


def test_a_board_fixture_without_a_pipeline_says_what_to_write(tmp_path: Path) -> None:
    test = tmp_path / "test_it.py"
    test.write_text("def test_it(ladder_board): ...")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(test)]
    told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert told.returncode == 1
    assert "write in conftest.py" in told.stdout
    assert "def ladder_pipeline():" in told.stdout


@given(st.data(), pipelines())
def test_events_are_ordered_unique_and_understood(data: st.DataObject, pipeline: Pipeline) -> None:
    found = data.draw(events(pipeline, deal="mine", min_size=3))
    assert len({event.id for event in found}) == len(found)
    assert [event.at for event in found] == sorted(event.at for event in found)
    assert {event.deal for event in found} == {"mine"}
    pipeline.fold(found)


def test_a_seed_draws_the_same_examples_whatever_order_sets_have() -> None:
    code = """if True:
        from hypothesis import given, seed, settings
        from ladderpipe.testing import pipelines
        from ladderpipe.testing.copies import copies
        from ladderpipe.testing.strategies import events_and_hands
        import hypothesis.strategies as st

        @st.composite
        def told(draw):
            ladder = draw(pipelines(sequences=True))
            return ladder, [draw(copies(event)) for event in draw(events_and_hands(ladder))]

        @seed(1)
        @settings(max_examples=40, database=None, deadline=None)
        @given(told())
        def show(case):
            print(*case[0].rules, case[1])

        show()
    """
    shown = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": hashes},
            capture_output=True,
            check=True,
        ).stdout
        for hashes in ("1", "2", "3")
    }
    assert len(shown) == 1


@given(events_of_many_deals(sales_ladder(), deals=["a", "b"]))
def test_several_deals_come_mixed_in_order_of_time(found: list[Event]) -> None:
    assert {event.deal for event in found} <= {"a", "b"}
    assert [event.at for event in found] == sorted(event.at for event in found)


@pytest.mark.parametrize(
    "wanted",
    [
        lambda story: story.deal.stage == "checkout_abandoned",
        lambda story: story.deal.stage == "cart_parked" and len(story.visits) > 1,
        lambda story: any(move.event is None for move in story.moves[:-1]),
    ],
    ids=["a timer fires", "a cart is emptied", "a cart comes back"],
)
def test_interesting_things_happen(wanted: object) -> None:
    ladder = sales_ladder()
    until = NINE + dt.timedelta(days=30)

    def happens(found: list[Event]) -> bool:
        history = ladder.fold(found, until)
        return history is not None and wanted(history)  # type: ignore[operator, no-any-return]

    unshrunk = settings(phases=[Phase.generate], max_examples=2_000, database=None)
    assert find(events(ladder), happens, settings=unshrunk)


def test_a_history_in_two_stages_is_found_out(pipeline: Pipeline) -> None:
    opened = Event("order.confirmed", deal="d", id="e", at=NINE)
    history = pipeline.fold([opened])
    assert history is not None
    assert_single_stage(history)
    (move,) = history.moves
    gap = move._replace(n=3, out_of=move.into, at=NINE + dt.timedelta(hours=1))
    for broken in ([move._replace(n=2)], [move, gap], [move._replace(at=gap.at)], []):
        with pytest.raises(AssertionError):
            assert_single_stage(History(history.deal, broken))

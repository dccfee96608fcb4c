"""What of a ladder tests reached: by folds, boards, state machines and whole runs of pytest."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis.internal.conjecture import engine

from ladderpipe import Board, Event, HookContext, ManualClock, Pipeline, Stage, after, by_hand, on
from ladderpipe.errors import MissingPropertyError
from ladderpipe.guards import cart_has_items, property_is_set
from ladderpipe.testing import (
    Coverage,
    covering,
    ladder_state_machine,
)

START = "2026-01-05T09:00:00Z"
LINE = {"line": {"sku": "A", "quantity": 1, "unit_price": "10"}}


def shop() -> Pipeline:
    cart = Stage("cart")
    asleep = Stage("asleep", status="abandoned")
    bought = Stage("bought", status="won")
    lost = Stage("lost", status="lost", requires=["loss_reason"])
    ladder = Pipeline(
        "shop",
        stages=[cart, asleep, bought, lost],
        rules=[
            on("cart.item_added", into=cart, out_of=asleep, opens=True, key="filled"),
            on("order.confirmed", into=bought, key="ordered"),
            after(
                hours=48,
                out_of=cart,
                into=asleep,
                when=cart_has_items & ~property_is_set("call_me"),
                key="forgotten",
            ),
            by_hand(into=lost, key="given up"),
        ],
    )

    @ladder.move_into(asleep)
    def remind(ctx: HookContext) -> None:
        ctx.do("email", to="customer")

    return ladder


def added(at: str = START, id: str = "e1", **data: object) -> Event:
    return Event("cart.item_added", deal="d", id=id, at=at, data={**LINE, **data})


def names(found: Coverage) -> set[str]:
    return {part.name for part in found.missed}


def test_what_a_fold_reaches_is_noted_and_all_else_is_named() -> None:
    ladder = shop()
    with covering(ladder) as found:
        ladder.fold([added()], until="2026-01-07T08:00:00Z")
    missed = names(found)
    assert "stage cart: entered" not in missed
    assert "rule filled: moved" not in missed
    assert {
        "stage cart: left",
        "stage asleep: entered",
        "rule ordered: moved",
        "rule forgotten: moved",
        "rule forgotten: blocked",
        "rule forgotten: cancelled",
        "rule forgotten: guard true",
        "rule forgotten: part 'the cart has items' false",
        "stage lost: requires loss_reason missing",
        "hook shop.remind on move into asleep: ran".replace("shop.", ""),
    } <= missed
    assert "rule forgotten: moved" in found.report()


def test_a_timer_fires_is_blocked_and_is_cancelled_by_leaving() -> None:
    ladder = shop()
    with covering(ladder) as found:
        ladder.fold([added()], until="2026-01-09T09:00:00Z")
        assert "rule forgotten: moved" not in names(found)
        assert {"rule forgotten: blocked", "rule forgotten: cancelled"} <= names(found)
        ladder.fold([added(properties={"call_me": "yes"})], until="2026-01-09T09:00:00Z")
        assert "rule forgotten: blocked" not in names(found)
        ladder.fold([added(), Event("order.confirmed", deal="d", id="e2", at=START)])
        assert "rule forgotten: cancelled" not in names(found)
    part = "rule forgotten: part 'not call_me is set' "
    assert not {name for name in names(found) if name.startswith(part)}


def test_a_guard_part_that_is_not_asked_is_not_reached() -> None:
    ladder = shop()
    emptied = Event("cart.emptied", deal="d", id="e2", at="2026-01-05T10:00:00Z")
    with covering(ladder) as found:
        ladder.fold([added(), emptied], until="2026-01-09T09:00:00Z")
    assert "rule forgotten: part 'the cart has items' false" not in names(found)
    assert "rule forgotten: part 'not call_me is set' true" in names(found)
    assert "rule forgotten: part 'not call_me is set' false" in names(found)


def test_a_board_reaches_hooks_and_what_is_required() -> None:
    ladder, clock = shop(), ManualClock(START)
    with covering(ladder) as found, Board(ladder, clock=clock) as board:
        board.handle(added())
        with pytest.raises(MissingPropertyError):
            board.move("d", "lost", by="Ada")
        assert "stage lost: requires loss_reason missing" not in names(found)
        assert "stage lost: requires loss_reason filled" in names(found)
        clock.advance(hours=49)
        board.tick()
        assert "hook remind on move into asleep: ran" not in names(found)
        board.move("d", "lost", by="Ada", properties={"loss_reason": "too dear"})
    assert "stage lost: requires loss_reason filled" not in names(found)


def test_a_rule_that_was_only_tried_has_not_moved() -> None:
    cart = Stage("cart")
    ladder = Pipeline(
        "p",
        stages=[cart],
        rules=[on("a", into=cart, when=property_is_set("x"), opens=True, key="r")],
    )
    with covering(ladder) as found:
        ladder.fold([Event("a", deal="d", id="e", at=START)])
    assert {"rule r: moved", "rule r: guard true"} <= names(found)
    assert "rule r: guard false" not in names(found)
    (part,) = [part for part in found.missed if part.name == "rule r: moved"]
    assert part.unreached == "it was tried, and never moved a deal"


def test_nothing_is_noted_before_or_after_and_an_inner_block_tells_the_outer_one() -> None:
    ladder = shop()
    ladder.fold([added()])
    with covering(ladder) as outer:
        with covering(ladder) as inner:
            ladder.fold([added()])
        ladder.fold([Event("order.confirmed", deal="d", id="e2", at=START), added()])
    ladder.fold([added()], until="2026-01-09T09:00:00Z")
    assert "watch" not in vars(ladder.ladder)
    assert "rule filled: moved" not in names(inner) | names(outer)
    assert "rule ordered: moved" in names(inner)
    assert "rule ordered: moved" not in names(outer)
    assert "rule forgotten: moved" in names(outer)


def test_watching_changes_no_history_and_asks_each_guard_once() -> None:
    asked = []

    def counted(deal: object, event: object) -> bool:
        asked.append(event)
        return True

    cart = Stage("cart")
    ladder = Pipeline("p", stages=[cart], rules=[on("a", into=cart, when=counted, opens=True)])
    event = Event("a", deal="d", id="e", at=START)
    plain = ladder.fold([event])
    with covering(ladder):
        assert ladder.fold([event]) == plain
    assert len(asked) == 2


def test_an_excuse_needs_a_reason_and_counts_as_long_as_it_excuses_something() -> None:
    with pytest.raises(ValueError, match="has no reason"), covering(shop(), excuse={"rule *": " "}):
        pass
    ladder = shop()
    with covering(ladder, excuse={"*": "a sketch", "rule x: moved": "gone"}) as found:
        pass
    assert found.missed == ()
    assert found.percent == 100
    assert found.idle == ("rule x: moved",)
    found.check()
    with covering(ladder) as found, pytest.raises(AssertionError, match="never moved a deal"):
        found.check(1)


@pytest.mark.parametrize("cover", [None, 100])
def test_a_state_machine_asks_for_its_share_of_the_ladder(cover: float | None) -> None:
    machine = ladder_state_machine(shop(), cover=cover, overrides=False, hands=False)
    machine.TestCase.settings = settings(max_examples=3, deadline=None, database=None)
    case = machine.TestCase("runTest")
    if cover is None:
        case.runTest()
        return
    with pytest.raises(AssertionError, match="rule given up: moved - it never moved a deal"):
        case.runTest()


def test_a_failing_state_machine_stops_looking_for_a_smaller_example(
    capsys: pytest.CaptureFixture[str],
) -> None:
    machine = ladder_state_machine(shop(), shrink_seconds=0)
    machine.check = lambda self, history: pytest.fail("never")  # type: ignore[method-assign]
    machine.TestCase.settings = settings(max_examples=20, deadline=None, database=None)
    usual = engine.MAX_SHRINKING_SECONDS
    with pytest.raises(pytest.fail.Exception):
        machine.TestCase("runTest").runTest()
    told = capsys.readouterr().out
    assert "looking for one stopped after 0 s" in told
    assert "five minutes" not in told
    assert usual == engine.MAX_SHRINKING_SECONDS


SHOP = """\
from ladderpipe import Pipeline, Stage, after, on

cart, asleep = Stage("cart"), Stage("asleep", status="abandoned")
ladder = Pipeline(
    "shop",
    stages=[cart, asleep],
    rules=[
        on("cart.saved", into=cart, out_of=asleep, opens=True, key="saved"),
        after(hours=48, out_of=cart, into=asleep, key="forgotten"),
    ],
)
"""
TESTS = """\
import pytest, shop
from ladderpipe import Event

EVENT = Event("cart.saved", deal="d", id="e", at="2026-01-05T09:00:00Z")

def test_saved():
    assert shop.ladder.fold([EVENT]).deal.stage == "cart"

def test_forgotten():
    assert shop.ladder.fold([EVENT], "2026-01-08T09:00:00Z").deal.stage == "asleep"
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "shop.py").write_text(SHOP)
    (tmp_path / "test_shop.py").write_text(TESTS)
    return tmp_path


def run(project: Path, *arguments: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    path = os.pathsep.join([str(project), os.environ.get("PYTHONPATH", "")])
    env = os.environ | {"PYTHONPATH": path}
    done = subprocess.run(
        command, cwd=project, env=env, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("workers", [(), ("-n2",)], ids=["alone", "with workers"])
def test_a_run_of_pytest_says_what_it_reached(project: Path, workers: tuple[str, ...]) -> None:
    code, told = run(project, "--ladder-cov=shop:ladder", "--ladder-fail-under=100", *workers)
    assert code == 1
    missed = re.findall("^  ([a-z]+ [^:]+: [a-z]+)", told, re.MULTILINE)
    assert missed == ["stage asleep: left"]
    assert re.search(r"FAIL shop: 100 % of the ladder is asked for, and \d+\.\d % is reached", told)


def test_a_run_of_pytest_passes_with_what_is_excused_by_file_and_by_mark(project: Path) -> None:
    (project / "pytest.ini").write_text(
        "[pytest]\nladder_cov = shop:ladder\n"
        "ladder_excuse =\n    stage * -- nobody waits in this test\n"
    )
    mark = '@pytest.mark.ladder_excuse("rule forgotten: moved", reason="one way")\n'
    tests = TESTS.replace("def test_saved", f"{mark}def test_saved").partition("def test_forg")[0]
    (project / "test_shop.py").write_text(tests)
    code, told = run(project, "--strict-markers", "--ladder-fail-under=100")
    assert code == 0, told
    assert "nobody waits in this test" in told
    assert "one way" in told
    (project / "pytest.ini").write_text("[pytest]\nladder_excuse =\n    stage asleep: left\n")
    code, told = run(project, "--ladder-cov")
    assert code == 4
    assert "has no reason" in told


def test_without_a_name_it_is_the_ladder_that_the_tests_folded(project: Path) -> None:
    code, told = run(project, "--ladder-cov")
    assert code == 0
    assert "ladder coverage: shop" in told
    (project / "test_shop.py").write_text("def test_nothing(): ...")
    code, told = run(project, "--ladder-cov")
    assert code == 0
    assert "no ladder:" in told
    code, told = run(project, "--ladder-cov", "test_shop.py")
    assert code == 4
    assert "write --ladder-cov=module:pipeline" in told

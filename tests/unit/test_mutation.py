"""Changing a ladder one thing at a time: what is changed, who holds it, who notices."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from ladderpipe import Board, Event, HookContext, ManualClock, Pipeline, Stage, on
from ladderpipe.errors import DefinitionError, MoveNotAllowedError
from ladderpipe.testing import covering
from ladderpipe.testing.mutation.changes import applied, apply, changes
from ladderpipe.testing.mutation.difference import Courses, is_the_same

START = "2026-01-05T09:00:00Z"

LADDER = """\
from ladderpipe import ANY, Pipeline, Stage, after, by_hand, do, on, wait
from ladderpipe.guards import cart_has_items, property_is_set, value_at_least

cart = Stage("cart")
review = Stage("review")
asleep = Stage("asleep", status="abandoned", sequence=[do("email"), wait(days=3), do("call")])
bought = Stage("bought", status="won")
lost = Stage("lost", status="lost", requires=["loss_reason"])

ladder = Pipeline(
    "shop",
    stages=[cart, review, asleep, bought, lost],
    rules=[
        on("order.confirmed", into=bought, out_of=ANY, opens=True, key="ordered"),
        on("order.confirmed", into=lost, key="never"),
        on("cart.saved", into=review, when=value_at_least(100), key="large"),
        on("cart.saved", into=cart, out_of=[asleep], key="back"),
        on("cart.updated", into=cart, out_of=[asleep], opens=True, key="filled"),
        after(
            hours=48, out_of=[cart, review], into=asleep,
            when=cart_has_items & ~property_is_set("call_me"), key="forgotten",
        ),
        by_hand(into=lost, key="given up"),
    ],
)
"""
HOOKS = """\
from shop import bought, ladder

@ladder.move_into(bought)
def thank(ctx):
    ctx.do("thanks")
"""
SPEC = """\
import pytest
from ladderpipe import Board, Event, ManualClock
from ladderpipe.errors import MissingPropertyError, MoveNotAllowedError

import hooks
from shop import ladder

START = "2026-01-05T09:00:00Z"

def filled(id="e1", at=START, price="10", **data):
    lines = [{"sku": "A", "quantity": 1, "unit_price": price}]
    return Event("cart.updated", deal="d", id=id, at=at, data={"cart": {"lines": lines}, **data})

def told(kind, id="e2", at="2026-01-05T10:00:00Z", **data):
    return Event(kind, deal="d", id=id, at=at, data=data)

def stages(events, until):
    history = ladder.fold(events, until)
    return history and [(m.into.key, m.at.isoformat()[:16]) for m in history.moves]

def test_a_forgotten_cart_falls_asleep_two_days_after_it_was_begun():
    course = [filled(), filled("e2", "2026-01-06T09:00:00Z", "20")]
    assert stages(course, "2026-01-07T08:59:00Z") == [("cart", "2026-01-05T09:00")]
    assert stages(course, "2026-01-12T09:00:00Z")[1:] == [("asleep", "2026-01-07T09:00")]

def test_who_came_back_has_two_days_again():
    course = [filled(), filled("e2", "2026-01-08T09:00:00Z", "20")]
    assert stages(course, "2026-01-20T09:00:00Z")[2:] == [
        ("cart", "2026-01-08T09:00"), ("asleep", "2026-01-10T09:00")]
    course = [filled(), told("cart.saved", at="2026-01-08T09:00:00Z")]
    assert stages(course, "2026-01-09T09:00:00Z")[2:] == [("cart", "2026-01-08T09:00")]

def test_who_saves_a_large_cart_in_their_sleep_is_reviewed():
    course = [filled(price="100"), told("cart.saved", at="2026-01-08T09:00:00Z")]
    assert stages(course, "2026-01-09T09:00:00Z")[2:] == [("review", "2026-01-08T09:00")]

def test_nobody_is_reminded_of_an_empty_cart_or_when_a_call_was_asked_for():
    assert len(stages([filled(), told("cart.emptied")], "2026-02-05T09:00:00Z")) == 1
    assert len(stages([filled(properties={"call_me": "y"})], "2026-02-05T09:00:00Z")) == 1

@pytest.mark.parametrize("price, stage", [("99.99", "cart"), ("100", "review"), ("500", "review")])
def test_a_large_cart_that_is_saved_is_reviewed(price, stage):
    deal = ladder.fold([filled(price=price), told("cart.saved")]).deal
    assert (deal.stage, deal.status) == (stage, "open")

def test_what_is_reviewed_falls_asleep_too_and_is_not_reviewed_twice():
    course = [filled(price="100"), told("cart.saved"), told("cart.saved", "e3")]
    assert stages(course, "2026-01-06T09:00:00Z")[1:] == [("review", "2026-01-05T10:00")]
    assert stages(course, "2026-01-12T09:00:00Z")[2:] == [("asleep", "2026-01-07T10:00")]

def test_a_reviewed_cart_stays_in_review_when_it_changes():
    course = [filled(price="100"), told("cart.saved"), filled("e3", "2026-01-05T11:00:00Z", "9")]
    course += [told("cart.saved", "e4", "2026-01-05T12:00:00Z")]
    assert [stage for stage, _ in stages(course, "2026-01-06T09:00:00Z")] == ["cart", "review"]

def test_saving_opens_nothing():
    assert ladder.fold([told("cart.saved", value=500)]) is None

@pytest.mark.parametrize("before", [[], [filled()], [filled(price="100"), told("cart.saved")]])
def test_an_order_wins_from_anywhere_once(before):
    order = told("order.confirmed", "o1", "2026-01-05T12:00:00Z")
    again = told("order.confirmed", "o2", "2026-01-05T13:00:00Z")
    after = filled("e9", "2026-01-05T14:00:00Z", "300")
    saved = told("cart.saved", "e10", "2026-01-05T15:00:00Z")
    course = [*before, order, again, after, saved]
    moves = stages(course, "2026-03-05T12:00:00Z")
    assert moves[-1] == ("bought", "2026-01-05T12:00")
    assert ladder.fold(course).deal.status == "won"

def test_an_order_wins_what_slept():
    course = [filled(), told("order.confirmed", at="2026-01-09T12:00:00Z")]
    assert stages(course, "2026-01-10T12:00:00Z")[1:] == [
        ("asleep", "2026-01-07T09:00"), ("bought", "2026-01-09T12:00")]

def test_a_deal_is_lost_by_hand_with_a_reason():
    clock = ManualClock(START)
    with Board(ladder, clock=clock) as board:
        with pytest.raises(MoveNotAllowedError):
            board.move("d", "lost", by="Ada", properties={"loss_reason": "dear"})
        board.handle(filled())
        with pytest.raises(MissingPropertyError):
            board.move("d", "lost", by="Ada")
        board.move("d", "lost", by="Ada", properties={"loss_reason": "dear"})
        assert board.deal("d").status == "lost"
        for kind in ("review", "lost", "cart"):
            with pytest.raises(MoveNotAllowedError):
                board.move("d", kind, by="Ada", properties={"loss_reason": "late"})
        board.handle(filled("e2", price="20"))
        assert board.deal("d").stage == "lost"
        clock.advance(hours=1)
        board.handle(told("order.confirmed", "o1"))
        assert board.deal("d").stage == "bought"
        with pytest.raises(MoveNotAllowedError):
            board.move("d", "lost", by="Ada", properties={"loss_reason": "late"})

@pytest.mark.parametrize("price", ["10", "100"])
def test_whoever_sleeps_is_written_to_and_called_three_days_later(price):
    clock = ManualClock(START)
    with Board(ladder, clock=clock) as board:
        board.handle(filled(price=price))
        if price == "100":
            board.handle(told("cart.saved", at=START))
            assert board.deal("d").stage == "review"
        clock.advance(hours=48)
        board.tick()
        assert (board.deal("d").stage, board.deal("d").status) == ("asleep", "abandoned")
        due = {(e.name, e.due_at.isoformat()[:10], e.run_to_completion) for e in board.effects()}
        assert due == {("email", "2026-01-07", False), ("call", "2026-01-10", False)}
        board.move("d", "lost", by="Ada", properties={"loss_reason": "dear"})

def test_who_bought_is_thanked():
    with Board(ladder, clock=ManualClock(START)) as board:
        board.handle(told("order.confirmed", at=START))
        assert [effect.name for effect in board.effects()] == ["thanks"]
"""
NO_SPEC = """\
import hooks
from hypothesis import settings
from ladderpipe.testing import ladder_state_machine
from shop import ladder

TestBadDay = ladder_state_machine(ladder).TestCase
TestBadDay.settings = settings(max_examples=5, deadline=None)
"""

PLANTED = (
    "rule forgotten: guard dropped",
    "rule forgotten: guard inverted",
    "rule forgotten: guard without 'the cart has items'",
    "rule forgotten: guard without 'not call_me is set'",
    "rule forgotten: delay halved",
    "rule forgotten: delay doubled",
    "rule forgotten: since activity",
    "rule forgotten: since opened",
    "rule forgotten: out_of without review",
    "rule large: guard 'the value is at least 100' a cent more",
    "rule large: tried after back",
    "rule ordered: out_of lost",
    "rule ordered: type order.confirmed misspelt",
    "rule ordered: opens dropped",
    "rule filled: out_of widened to ANY",
    "rule filled: out_of lost",
    "rule given up: out_of widened to ANY",
    "stage lost: requires loss_reason dropped",
    "stage bought: status lost",
    "stage asleep: sequence: call 3 removed",
    "hook thank on move into bought: removed",
    "rule never: removed",
)
SAME = ("rule never: removed",)
"""What no course of events shows: it stands behind a rule that always wins."""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "shop.py").write_text(LADDER)
    (tmp_path / "hooks.py").write_text(HOOKS)
    (tmp_path / "test_shop.py").write_text(SPEC)
    return tmp_path


def shop() -> Pipeline:
    names: dict[str, object] = {}
    exec(LADDER, names)
    ladder = names["ladder"]
    assert isinstance(ladder, Pipeline)

    @ladder.move_into(ladder.stage("bought"))
    def thank(ctx: HookContext) -> None:
        ctx.do("thanks")

    return ladder


def mutate(project: Path, *arguments: str) -> tuple[int, str, str]:
    command = [sys.executable, "-m", "ladderpipe.cli", "mutate", *arguments, "--jobs", "2"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def verdicts(project: Path, *arguments: str) -> dict[str, str]:
    code, out, err = mutate(project, *arguments, "--json")
    assert code in (0, 1), err
    found = {each["change"]: each["verdict"] for each in json.loads(out)}
    missed = {"survived", "unreached"} & set(found.values())
    assert code == bool(missed)
    return found


def test_every_change_has_a_name_of_its_own_and_leaves_the_ladder_as_it_is() -> None:
    ladder = shop()
    before = ladder.ladder, ladder.fingerprint, ladder.hooked and dict(ladder._hooks)
    names = [change.name for change in changes(ladder)]
    assert len(names) == len(set(names))
    assert set(PLANTED) <= set(names)
    for change in changes(ladder):
        try:
            changed = applied(ladder, change)
        except DefinitionError:
            continue
        assert changed.name == ladder.name
        assert [rule.key for rule in changed.rules if rule.key == "ordered"] or "ordered" in (
            change.name
        )
    assert before == (ladder.ladder, ladder.fingerprint, dict(ladder._hooks))
    assert ladder.stage("bought").status == "won"


def test_whoever_holds_the_ladder_and_its_stages_holds_the_changed_ones() -> None:
    ladder = shop()
    bought, old = ladder.stage("bought"), ladder.fingerprint
    order = Event("order.confirmed", deal="d", id="e", at=START)
    (change,) = [each for each in changes(ladder) if each.name == "stage bought: status lost"]
    apply(ladder, change)
    assert ladder.stage("bought") is bought
    assert (bought.status, bought.is_closed) == ("lost", True)
    assert ladder.fingerprint != old
    history = ladder.fold([order])
    assert history is not None
    assert history.deal.status == "lost"


@pytest.mark.parametrize("name", [name for name in PLANTED if name not in SAME])
@pytest.mark.slow
def test_a_course_of_events_shows_every_planted_fault_that_a_fold_can_show(name: str) -> None:
    ladder = shop()
    (change,) = [each for each in changes(ladder) if each.name == name]
    changed = applied(ladder, change)
    assert not is_the_same(ladder, changed)
    if "sequence" in name or name.startswith("hook"):
        return
    found = Courses(ladder).telling(changed)
    assert found is not None
    assert found.was != found.now
    assert len(found.events) <= 6


def test_what_says_the_same_in_other_words_is_the_same_ladder() -> None:
    a, b, won = Stage("a"), Stage("b"), Stage("won", status="won")
    opens = on("x", into=a, opens=True, key="open")
    ladder = Pipeline("p", stages=[a, b, won], rules=[opens, on("y", into=b, out_of=a, key="up")])
    found = {change.name: change for change in changes(ladder)}
    assert is_the_same(ladder, applied(ladder, found["rule up: out_of lost"]))
    assert not is_the_same(ladder, applied(ladder, found["rule up: out_of widened to ANY"]))
    assert Courses(ladder).telling(applied(ladder, found["rule up: out_of lost"])) is None


@pytest.mark.slow
def test_a_change_that_no_test_notices_is_told_with_what_would_show_it(project: Path) -> None:
    (project / "test_shop.py").write_text(SPEC.partition("def test_who_came_back")[0])
    name = "rule forgotten: guard without 'the cart has items'"
    code, out, _ = mutate(project, "shop:ladder", "--only", "rule forgotten: guard *")
    assert code == 1
    assert "no test noticed" in out
    assert name in out
    assert "then: " in out.partition(name)[2]
    excuses = [f"--excuse={name[:20]}* -- not yet", "--only=rule forgotten: guard without*"]
    code, out, _ = mutate(project, "shop:ladder", *excuses)
    assert code == 0
    assert "not yet" in out
    found = verdicts(project, "shop:ladder", "--only", "*large*removed")
    assert found == {"rule large: removed": "unreached"}


@pytest.mark.slow
def test_it_finds_a_ladder_that_a_function_returns_and_hooks_of_another_module(
    project: Path,
) -> None:
    text = LADDER.replace("ladder = Pipeline(", "def made():\n  return Pipeline(")
    (project / "made.py").write_text(text)
    (project / "test_shop.py").write_text(
        "from made import made\nfrom ladderpipe import Event\n"
        "def test_it():\n"
        f"    order = Event('order.confirmed', deal='d', id='e', at='{START}')\n"
        "    assert made().fold([order]).deal.status == 'won'\n"
    )
    only = ("--only", "stage bought: status *")
    assert set(verdicts(project, "made:made", *only).values()) == {"noticed"}
    (project / "test_shop.py").write_text(SPEC)
    only = ("--only", "hook *")
    assert set(verdicts(project, "shop:ladder", *only).values()) == {"noticed"}


@pytest.mark.slow
def test_tests_that_never_end_are_ended(project: Path) -> None:
    (project / "test_shop.py").write_text(
        "import time\nfrom shop import ladder\nfrom ladderpipe import Event\n"
        "def test_it():\n"
        f"    order = Event('order.confirmed', deal='d', id='e', at='{START}')\n"
        "    while ladder.fold([order]).deal.status != 'won': time.sleep(0.1)\n"
    )
    found = verdicts(project, "shop:ladder", "--only", "stage bought: status lost", "--timeout=6")
    assert set(found.values()) == {"timed out"}


CRASHES = """\
import os, signal, time
from shop import ladder
from ladderpipe import Event

def test_it():
    order = Event('order.confirmed', deal='d', id='e', at='2026-01-05T09:00:00Z')
    history = ladder.fold([order])
    if history is None:
        os.kill(os.getpid(), signal.SIGSEGV)
    if history.deal.status == 'lost':
        os._exit(0)
    while history.deal.status != 'won':
        time.sleep(0.1)
"""


@pytest.mark.slow
@pytest.mark.parametrize("fork", ["--fork", "--no-fork"])
def test_a_change_that_ends_its_process_or_never_ends_does_not_stop_the_others(
    project: Path, fork: str
) -> None:
    (project / "test_shop.py").write_text(CRASHES)
    only = ["--only=rule ordered: *", "--only=stage bought: status *", "--timeout=6", fork]
    found = verdicts(project, "shop:ladder", *only)
    assert found["rule ordered: removed"] == "noticed"
    assert found["rule ordered: opens dropped"] == "noticed"
    assert found["stage bought: status open"] == "timed out"
    assert found["rule ordered: into asleep instead"] == "timed out"
    if fork == "--fork":  # From outside, a process that says 0 passed.
        assert found["stage bought: status lost"] == "noticed"


NOTES_IMPORTS = """
import os
with open(os.path.join(os.path.dirname(__file__), "imports"), "a") as file:
    print(os.getpid(), file=file)
"""
AT_IMPORT = """\
import pytest
from shop import asleep, bought, lost, ladder
from ladderpipe import Event

CLOSED = {stage for stage in ladder.stages if stage.is_closed}
TYPES = ladder.rules[0].trigger.types
STEPS = asleep.sequence

def told(kind, id="e1", at="2026-01-05T09:00:00Z"):
    return Event(kind, deal="d", id=id, at=at)

def test_what_is_closed(): assert {bought, lost} == CLOSED

@pytest.mark.parametrize("kind", TYPES)
def test_it_wins(kind): assert ladder.fold([told(kind)]).deal.stage == "bought"

@pytest.mark.parametrize("n, step", enumerate(STEPS))
def test_whoever_sleeps_is_called(n, step): assert asleep.sequence[n] == step

def test_saving_opens_nothing(): assert ladder.fold([told("cart.saved")]) is None
"""
AT_COLLECTION_ONLY = """\
import hooks
from shop import ladder
from ladderpipe import Board, Event, ManualClock

def test_it():
    with Board(ladder, clock=ManualClock("2026-01-05T09:00:00Z")) as board:
        board.handle(Event("order.confirmed", deal="d", id="e", at="2026-01-05T09:00:00Z"))
        assert [effect.name for effect in board.effects()] == ["thanks"]
"""
BY_FUNCTION = """\
from made import made
from ladderpipe import Event

def test_it():
    order = Event("order.confirmed", deal="d", id="e", at="2026-01-05T09:00:00Z")
    assert made().fold([order]).deal.status == "won"
"""
WITH_A_THREAD = """\
import threading, time
threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()
"""
ASKED = (
    "rule ordered: opens dropped",
    "rule filled: removed",
    "stage bought: *",
    "stage asleep: *3*",
    "hook *",
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tests", "ladder", "is_warm"),
    [
        pytest.param(AT_IMPORT, "shop:ladder", True, id="the ladder is read at import"),
        pytest.param(AT_COLLECTION_ONLY, "shop:ladder", True, id="only hooks are registered"),
        pytest.param(BY_FUNCTION, "made:made", True, id="a function returns the ladder"),
        pytest.param(WITH_A_THREAD + AT_COLLECTION_ONLY, "shop:ladder", False, id="a thread runs"),
    ],
)
def test_a_fork_says_what_a_process_of_its_own_says(
    project: Path, tests: str, ladder: str, is_warm: bool
) -> None:
    made = LADDER.replace("ladder = Pipeline(", "def made():\n  return Pipeline(")
    (project / "made.py").write_text(made + NOTES_IMPORTS)
    (project / "shop.py").write_text(LADDER + NOTES_IMPORTS)
    (project / "test_shop.py").write_text(tests)
    asked = [ladder, *(f"--only={name}" for name in ASKED)]
    alone = verdicts(project, *asked, "--no-fork")
    (project / "imports").unlink()
    assert verdicts(project, *asked) == alone
    assert len(set(alone.values())) > 1
    processes = set((project / "imports").read_text().split())
    # mutate itself, the run that notes what tests reach, and the one that forks
    assert (len(processes) == 3) is is_warm, len(processes)


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks at /proc")
def test_no_process_is_left(project: Path) -> None:
    (project / "test_shop.py").write_text(CRASHES)
    verdicts(project, "shop:ladder", "--only=rule ordered: *", "--timeout=6")
    left = []
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if folder.name.isdigit() and Path(folder, "cwd").readlink() == project:
                left.append(Path(folder, "cmdline").read_bytes())
    assert left == []


@pytest.mark.parametrize(
    ("arguments", "tests", "told"),
    [
        (["shop:ladder"], "def test_it(): assert 0", "the tests fail on the ladder as it is"),
        (["shop:ladder"], "def test_it(): ...", "no test imports 'shop:ladder'"),
        (["shop.toml"], SPEC, "name that as module:name"),
        (["shop:ladder", "--excuse=rule *"], SPEC, "has no reason"),
    ],
)
def test_what_cannot_be_tried_is_refused(
    project: Path, arguments: list[str], tests: str, told: str
) -> None:
    (project / "test_shop.py").write_text(tests)
    code, out, err = mutate(project, *arguments)
    assert code in (1, 2)
    assert told in err
    assert "Traceback" not in out + err


def test_nothing_is_left_in_the_project(project: Path) -> None:
    before = {path.name for path in project.iterdir()}
    verdicts(project, "shop:ladder", "--only", "rule forgotten: delay halved")
    left = {path.name for path in project.iterdir()} - {"__pycache__"}
    assert left == before


@pytest.mark.slow
def test_a_good_specification_notices_every_planted_fault(project: Path) -> None:
    found = verdicts(project, "shop:ladder", *(f"--only={name}" for name in PLANTED))
    assert set(found) == set(PLANTED)
    unnoticed = {name for name, verdict in found.items() if verdict != "noticed"}
    assert unnoticed == set(SAME)
    assert {found[name] for name in SAME} == {"perhaps equivalent"}


def cart(price: str, id: str = "e1", at: str = START, **data: object) -> Event:
    lines = [{"sku": "A", "quantity": 1, "unit_price": price}]
    return Event("cart.updated", deal="d", id=id, at=at, data={"cart": {"lines": lines}, **data})


def told(kind: str, id: str, at: str) -> Event:
    return Event(kind, deal="d", id=id, at=at)


SOON, LATE = "2026-01-05T10:00:00Z", "2026-01-08T10:00:00Z"
COURSES = (
    [cart("10"), told("cart.saved", "e2", SOON)],
    [cart("100"), told("cart.saved", "e2", SOON), told("order.confirmed", "e3", LATE)],
    [cart("10"), cart("20", "e2", LATE), told("order.confirmed", "e3", LATE)],
    [cart("10"), told("cart.saved", "e2", LATE)],
    [cart("10", properties={"call_me": "y"}), told("order.confirmed", "e2", LATE)],
    [cart("10"), told("cart.emptied", "e2", SOON), told("order.confirmed", "e3", LATE)],
    [told("order.confirmed", "e1", START), told("order.confirmed", "e2", LATE)],
)
"""What happened in a shop, recorded, and nobody says what should have come of it."""


def unreached(ladder: Pipeline) -> set[str]:
    """Return what the courses, and a deal that is given up, do not reach of a ladder."""
    excuse = {"rule never: moved": "it stands behind 'ordered', which always wins"}
    with covering(ladder, excuse=excuse) as found:
        for course in COURSES:
            clock = ManualClock(START)
            with Board(ladder, clock=clock) as board:
                for event in course:
                    clock.set(event.at)
                    board.handle(event)
                clock.advance(days=30)
                board.tick()
        clock = ManualClock(START)
        with Board(ladder, clock=clock) as board:
            board.handle(cart("10"))
            for properties in ({}, {"loss_reason": "dear"}):
                with contextlib.suppress(MoveNotAllowedError):
                    board.move("d", "lost", by="Ada", properties=properties)
            clock.advance(hours=1)
            board.handle(told("order.confirmed", "e9", SOON))
    return {part.name for part in found.missed}


def test_without_a_specification_coverage_tells_some_of_the_planted_faults() -> None:
    before = unreached(shop())
    assert before == set()
    found = {change.name: change for change in changes(shop())}
    told = {name for name in PLANTED if unreached(applied(shop(), found[name]))}
    assert told == {
        "rule filled: out_of widened to ANY",
        "rule forgotten: delay doubled",
        "rule forgotten: guard inverted",
        "rule given up: out_of widened to ANY",
        "rule large: guard 'the value is at least 100' a cent more",
        "rule ordered: type order.confirmed misspelt",
    }

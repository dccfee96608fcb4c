"""Each refusal is of the closest builtin kind, names what it is about, and stores nothing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from ladderpipe import Board, Event, LadderError, Pipeline, Stage, Timer, after, by_hand, on
from ladderpipe.errors import (
    ClockError,
    DealNotFoundError,
    DefinitionError,
    EffectNotFoundError,
    EventConflictError,
    EventFromFutureError,
    GuardError,
    HookError,
    InstantError,
    InvalidEventError,
    MissingPropertyError,
    MoveNotAllowedError,
    PipelineChangedError,
    ReentrancyError,
    StoreError,
)
from ladderpipe.ladder.rules import VisitTimes
from tests.shops import Shop, contents, lead_ladder, register

Act = Callable[[Shop], Any]


def clash(shop: Shop) -> None:
    shop.tell("lead", "other", id="known")


def name_no_currency(shop: Shop) -> None:
    shop.wait(1)
    shop.tell("priced", id="e9", currency="Euro")


def open_other_definition(shop: Shop) -> None:
    first = Stage("first")
    other = Pipeline("leads", stages=[first], rules=[on("lead", into=first, opens=True)])
    Board(other, store=shop.store)


REFUSALS: dict[str, tuple[Act, type[LadderError], type[Exception], str]] = {
    "a deal nobody opened": (
        lambda shop: shop.board.deal("nobody"),
        DealNotFoundError,
        LookupError,
        "'leads' has no open deal 'nobody'",
    ),
    "its history": (
        lambda shop: shop.board.history("nobody"),
        DealNotFoundError,
        LookupError,
        "'nobody'",
    ),
    "its explanation": (
        lambda shop: shop.board.explain("nobody"),
        DealNotFoundError,
        LookupError,
        "'nobody'",
    ),
    "its removal": (
        lambda shop: shop.board.remove("nobody"),
        DealNotFoundError,
        LookupError,
        "'nobody'",
    ),
    "removing an open deal": (
        lambda shop: shop.board.remove("d"),
        MoveNotAllowedError,
        ValueError,
        "deal 'd' is not closed .it is in new.",
    ),
    "an unknown effect": (
        lambda shop: shop.board.send_again("k"),
        EffectNotFoundError,
        LookupError,
        "'k'",
    ),
    "an unknown task": (
        lambda shop: shop.board.complete("k"),
        EffectNotFoundError,
        LookupError,
        "'k'",
    ),
    "a second event of one name": (
        clash,
        EventConflictError,
        ValueError,
        "event 'known'.*deal 'other'",
    ),
    "an event from the future": (
        lambda shop: shop.tell("lead", id="e9", hours=1),
        EventFromFutureError,
        ValueError,
        "event 'e9' for deal 'd'.*1:00:00 from now.*check the sender's clock",
    ),
    "data the reducer cannot read": (
        lambda shop: shop.tell("cart.updated", id="e9", cart=7),
        InvalidEventError,
        ValueError,
        "event 'e9' .cart.updated. for deal 'd' is refused",
    ),
    "no currency": (
        name_no_currency,
        InvalidEventError,
        ValueError,
        "event 'e9'.*deal 'd'.*'Euro'",
    ),
    "an event of the board's own": (
        lambda shop: shop.tell("ladder.override", id="e9"),
        InvalidEventError,
        ValueError,
        "'e9'",
    ),
    "what is no event": (
        lambda shop: shop.board.handle("lead"),
        InvalidEventError,
        ValueError,
        "is no Event",
    ),
    "a forbidden hand": (
        lambda shop: shop.board.move("d", "won", by="me"),
        MoveNotAllowedError,
        ValueError,
        "deal 'd' is in new and cannot be moved into won",
    ),
    "a hand without what is required": (
        lambda shop: shop.board.move("d", "lost", by="me"),
        MissingPropertyError,
        ValueError,
        "deal 'd' is in new.*without why",
    ),
    "an unknown stage to list": (
        lambda shop: list(shop.board.deals(stage="moon")),
        DefinitionError,
        ValueError,
        "'moon'",
    ),
    "another definition": (
        open_other_definition,
        PipelineChangedError,
        RuntimeError,
        "pipeline 'leads'.*deals in stages that no longer exist: 1 in 'new'.*board.migrate",
    ),
    "a due time without a zone": (
        lambda shop: shop.board.tasks(due_by="2026-01-01T00:00:00"),
        InstantError,
        ValueError,
        "no time zone",
    ),
    "a sweep into the future": (
        lambda shop: shop.board.tick(until="2030-01-01T00:00:00Z"),
        ClockError,
        ValueError,
        "lies after the board's clock",
    ),
    "forgetting nobody": (
        lambda shop: shop.board.forget(),
        InvalidEventError,
        ValueError,
        "one contact key",
    ),
    "forgetting two": (
        lambda shop: shop.board.forget(email="a@b.c", phone="1"),
        InvalidEventError,
        ValueError,
        "one contact key",
    ),
    "forgetting emptiness": (
        lambda shop: shop.board.forget(email=""),
        InvalidEventError,
        ValueError,
        "email",
    ),
}


@pytest.mark.parametrize("what", REFUSALS)
def test_a_refusal_names_its_subject_and_stores_nothing(store: Any, what: str):
    act, error, builtin, message = REFUSALS[what]
    shop = Shop(lead_ladder(), store)
    shop.tell("lead", id="known", currency="EUR")
    before = contents(store)
    with pytest.raises(error, match=message) as raised:
        act(shop)
    assert isinstance(raised.value, builtin)
    assert contents(store) == before


def test_every_error_is_a_ladder_error_and_a_builtin():
    from ladderpipe import errors

    builtins = (ValueError, RuntimeError, LookupError)
    for name in errors.__all__:
        error = getattr(errors, name)
        assert issubclass(error, LadderError)
        assert error is LadderError or issubclass(error, builtins), name


class Broken(Timer):
    def due_at(self, visit: VisitTimes) -> dt.datetime:
        raise ZeroDivisionError


def broken_ladder(part: str) -> Pipeline:
    def raising(*args: Any) -> Any:
        raise ZeroDivisionError

    new, next_ = Stage("new"), Stage("next")
    rules = [on("lead", into=new, opens=True)]
    if part == "guard":
        rules.append(on("call", into=next_, when=raising, key="the call"))
    if part == "timer guard":
        rules.append(after(hours=1, into=next_, when=raising, key="the call"))
    if part == "hand":
        rules.append(by_hand(into=next_, when=raising, key="the call"))
    options = {}
    if part == "reducer":

        def reducer(deal: Any, event: Event) -> None:
            if event.type == "call":
                raise ZeroDivisionError

        options["reducer"] = reducer
    pipeline = Pipeline("broken", stages=[new, next_], rules=rules, **options)
    return pipeline


@pytest.mark.parametrize(
    ("part", "error", "message"),
    [
        ("guard", GuardError, "rule 'the call' raised ZeroDivisionError.*deal 'd'.*event 'e9'"),
        ("timer guard", GuardError, "rule 'the call' raised ZeroDivisionError.*deal 'd' .a timer"),
        ("reducer", InvalidEventError, "event 'e9' .call. for deal 'd': ZeroDivisionError"),
    ],
)
def test_what_the_callers_functions_raise_names_rule_and_deal(
    store: Any, part: str, error: type[LadderError], message: str
):
    shop = Shop(broken_ladder(part), store)
    shop.tell("lead")
    shop.wait(2)
    before = contents(store)
    with pytest.raises(error, match=message) as raised:
        shop.tell("call", id="e9")
    assert isinstance(raised.value.__cause__, ZeroDivisionError)
    assert contents(store) == before


def test_a_timer_that_raises_is_named(store: Any):
    import attrs

    new, next_ = Stage("new"), Stage("next")
    timer = attrs.frozen(Broken)()
    pipeline = Pipeline(
        "broken",
        stages=[new, next_],
        rules=[on("lead", into=new, opens=True), after(timer, into=next_, key="the timer")],
    )
    shop = Shop(pipeline, store)
    before = contents(store)
    with pytest.raises(GuardError, match="timer of rule 'the timer' raised ZeroDivisionError"):
        shop.tell("lead")
    assert contents(store) == before


def test_a_hook_error_names_hook_stage_and_deal(store: Any):
    def greet(ctx: Any) -> None:
        raise ZeroDivisionError

    shop = Shop(register(lead_ladder(), into_new=greet), store)
    with pytest.raises(
        HookError, match=r"greet .move into new. raised ZeroDivisionError.*deal 'd'"
    ):
        shop.tell("lead")
    assert issubclass(HookError, RuntimeError)
    assert issubclass(ReentrancyError, RuntimeError)


def test_a_closed_store_says_so(tmp_path: Any):
    board = Board.open(lead_ladder(), f"sqlite:///{tmp_path}/shop.db")
    board.close()
    with pytest.raises(StoreError, match="is closed: open a new one"):
        board.tick()


def test_a_naive_clock_is_refused(store: Any):
    class Naive:
        def now(self) -> dt.datetime:
            return dt.datetime(2026, 1, 5)

    board = Board(lead_ladder(), store=store, clock=Naive())
    with pytest.raises(InstantError, match="no time zone"):
        board.tick()

"""A task stays with whom it was given to, and else with whoever owns its deal, on every store."""

from __future__ import annotations

import itertools
from contextlib import ExitStack, closing
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ladderpipe import (
    Event,
    MemoryStore,
    Pipeline,
    SqliteStore,
    Stage,
    do,
    on,
    wait,
)
from ladderpipe.guards import property_is_set
from ladderpipe.stores import PostgresStore
from tests.shops import HOUR, Shop

_numbers = itertools.count()

KINDS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("lead", {"owner": "carla"}),
    ("warm", {}),
    ("back", {}),
    ("told", {"properties": {"calm": True}}),
    ("told", {"properties": {"calm": None}}),
    ("told", {"owner": "dan"}),
)


def ladder() -> Pipeline:
    """Return a ladder on which what is told late makes visits vanish and come back."""
    new = Stage("new", sequence=[do("task", title="Call"), wait(hours=5), do("task", title="Meet")])
    warm = Stage("warm", sequence=[do("task", title="Offer")])
    pipeline = Pipeline(
        "tasks",
        stages=[new, warm],
        rules=[
            on("lead", into=new, opens=True),
            on("warm", into=warm, when=~property_is_set("calm")),
            on("back", into=new, out_of=warm),
        ],
    )

    @pipeline.move_into(new)
    def look(ctx: Any) -> None:
        ctx.do("task", title="Look")

    return pipeline


def told(number: int, which: int, hour: int) -> tuple[str, Any]:
    kind, data = KINDS[which]
    return "tell", (kind, f"e{number}", hour, data)


def assigned(to: str | None) -> tuple[str, Any]:
    return "assign", to


def taken_back(number: int, target: str) -> tuple[str, Any]:
    return "tell", ("ladder.withdraw", f"w{number}", number, {"source": "", "id": target})


@st.composite
def stories(draw: st.DrawFn) -> list[tuple[str, Any]]:
    """Return what happens, one after another: what is told, in any order, and who gets a task."""
    steps = [told(0, 0, 0)]
    for number in range(1, draw(st.integers(2, 8))):
        if draw(st.booleans()):
            steps.append(assigned(draw(st.sampled_from(["fred", "greta", None]))))
        if draw(st.integers(0, 3)):
            which = draw(st.integers(0, len(KINDS) - 1))
            steps.append(told(number, which, draw(st.integers(0, 6))))
        else:
            ids = [what[1] for step, what in steps if step == "tell"]
            steps.append(taken_back(number, draw(st.sampled_from(ids))))
    return steps


def do_and_check(shop: Shop, story: list[tuple[str, Any]]) -> None:
    given_to: dict[str, str | None] = {}
    for step, what in story:
        tasks = sorted(shop.board.tasks(), key=lambda task: task.key)
        if step == "tell":
            kind, id, hour, data = what
            at = shop.clock.now() + (hour - 10) * HOUR
            shop.board.handle(Event(kind, deal="d", id=id, at=at, data=data))
        elif tasks:
            shop.board.assign(tasks[0], what, by="ann")
            given_to[tasks[0].key] = what
        for task in shop.board.tasks():
            owner = given_to.get(task.key) or shop.board.deal("d").owner
            assert task.owner == owner
            assert ("assigned_by" in task.payload) == (task.key in given_to)


@given(story=stories())
@example(
    story=[
        *(told(0, 0, 0), told(1, 1, 1), assigned("fred")),
        *(told(2, 3, 0), taken_back(3, "e2"), told(4, 5, 2)),
    ]
)
@example(story=[told(0, 0, 0), assigned("fred"), taken_back(1, "e0"), taken_back(2, "w1")])
@settings(
    max_examples=settings().max_examples // 2,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_a_task_stays_with_whom_it_was_given_to(postgres_url: str, story: list[tuple[str, Any]]):
    stores: list[Any] = [
        MemoryStore(),
        SqliteStore(":memory:"),
        PostgresStore(postgres_url, prefix=f"t{next(_numbers)}_", pool_size=2),
    ]
    with ExitStack() as stack:
        for store in stores:
            shop = Shop(ladder(), store)
            stack.enter_context(closing(shop.board))
            do_and_check(shop, story)

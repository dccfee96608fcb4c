"""What every store must keep of effects and tasks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ladderpipe import Delivery, EffectState, LadderError, Scope, drop, later
from ladderpipe.errors import CursorError

from .assertions import expect
from .shop import HOUR, Shop, refused, same
from .strategies import START

__all__ = ["EFFECTS"]


def _delivers_effects(shop: Shop) -> None:
    """Effects wait, are claimed once, tried again, given up and sent again."""
    said: list[str] = []

    def note(delivery: Delivery) -> None:
        said.append(delivery.key)
        if len(said) < 3:
            raise ConnectionError("nobody answers")

    shop.handle("lead.came")
    same(
        shop.states(),
        {"note": "pending", "task": "open", "letter": "pending"},
        "the states of the effects of a new deal",
    )
    shop.board.handle_effect("note", note)
    shop.board.deliver()
    same((len(said), shop.states()["note"]), (1, "pending"), "a delivery that failed once")
    shop.board.deliver()
    same(len(said), 1, "deliveries before the next try is due")
    shop.clock.advance(seconds=11)
    shop.board.deliver()
    same(shop.states()["note"], "dead", "an effect after its last try")
    (dead,) = shop.board.dead_letters()
    expect("nobody answers" in (dead.error or ""), "a dead letter does not say why")
    shop.board.send_again(dead)
    same(shop.board.deliver().delivered, 1, "a dead letter that was sent again")
    same(set(said), {dead.key}, "the keys of the deliveries")
    shop.clock.advance(hours=2)
    same(shop.board.deliver().delivered, 0, "deliveries without a handler")
    same(shop.states()["letter"], "pending", "an effect without a handler")


def _cancels_effects(shop: Shop) -> None:
    """Moving out cancels what waits, and a late event brings it back."""
    shop.handle("lead.came")
    shop.handle("called", hours=2, id="call")
    states = {"note": "cancelled", "task": "cancelled", "letter": "cancelled", "survey": "pending"}
    same(shop.states(), states, "the effects of a stage that was left")
    shop.handle("told", hours=3)
    shop.handle("paid", hours=4)
    same(shop.states()["survey"], "pending", "an effect that runs to completion")

    shop.handle("lead.came", "e", hours=5)
    shop.clock.advance(hours=60)
    shop.board.tick()
    same(shop.stage("e"), "cold", "the stage after 48 hours")
    shop.board.handle(shop.event("told", "e", hours=50))
    same(shop.stage("e"), "new", "the stage, since there was activity after all")
    states = {"note": "pending", "task": "open", "letter": "pending"}
    same(shop.states("e"), states, "the effects of a visit that is current again")


def _never_delivers_for_a_visit_that_ended(shop: Shop) -> None:
    """A claim first fires the deal's timers, and then there may be nothing left to send."""
    sent: list[str] = []
    shop.handle("lead.came")
    shop.board.handle_effect("letter", lambda delivery: sent.append(delivery.key))
    shop.clock.advance(hours=49)
    shop.board.deliver()
    same((sent, shop.stage()), ([], "cold"), "deliveries for a visit that ended unnoticed")


def _keeps_tasks(shop: Shop) -> None:
    """A task is open until somebody completes it or the deal moves on."""
    shop.handle("lead.came", data={"owner": "Ada"})
    shop.handle("lead.came", "e", 0.1, data={"owner": "Bruno"})
    same([task.deal for task in shop.board.tasks()], ["d", "e"], "the open tasks")
    (mine,) = shop.board.tasks(owner="Ada")
    shop.board.edit("d", by="Ada", owner="Carla")
    same([task.owner for task in shop.board.tasks(deal="d")], ["Carla"], "tasks follow the deal")
    shop.board.assign(mine, "Ada", by="Carla")
    shop.board.edit("d", by="Ada", owner="Dora")
    same([task.key for task in shop.board.tasks(owner="Ada")], [mine.key], "what is somebody's")
    shop.board.complete(mine)
    with refused(LadderError):
        shop.board.complete(mine)
    same(shop.board.effects("d", states=[EffectState.DELIVERED])[0].key, mine.key, "done tasks")
    shop.handle("called", "e", hours=1)
    same(shop.board.tasks(), [], "the open tasks of deals that moved on")


def _pages_tasks(shop: Shop) -> None:
    """Pages of tasks go by when each is to be done, and on where the last one ended."""
    for number, hours in enumerate((5, 1, 3, 1, 2)):
        shop.handle("lead.came", f"d{number}", hours, data={"owner": ("Ada", "Bo")[number % 2]})
    (first,) = shop.board.tasks(deal="d0")
    shop.board.assign(first, "Cy", by="Ada")

    def pages(**asked: Any) -> str:
        page = shop.board.task_page(limit=2, **asked)
        found = [page]
        while page.next is not None:
            page = shop.board.task_page(limit=2, after=page.next, **asked)
            found.append(page)
        tasks = [task for each in found for task in each.tasks]
        same({each.count for each in found}, {len(tasks)}, "how many tasks there are in all")
        same([task.due_at for task in tasks], sorted(task.due_at for task in tasks), "their order")
        return " ".join(sorted(task.deal for task in tasks))

    same(pages(), "d0 d1 d2 d3 d4", "all open tasks")
    same(pages(owner="Bo"), "d1 d3", "the tasks of an owner")
    same(pages(owner="Cy"), "d0", "the tasks that somebody was given")
    same(pages(owner="\x00"), "", "the tasks of a name that no store holds")
    same(pages(deal=["d4", "d1", "nobody", "\x00"]), "d1 d4", "the tasks of some deals")
    same(pages(deal=[]), "", "the tasks of no deal")
    same(pages(due_by=START + 2 * HOUR), "d1 d3 d4", "the tasks that are due")
    same(pages(scope=Scope(owners=["Ada"])), "d0 d2 d4", "the tasks that somebody may see")
    same(pages(scope=Scope(stages=["won"])), "", "the tasks of deals in another stage")
    same(pages(scope=Scope(owners=[])), "", "the tasks that nobody may see")
    after = shop.board.task_page(limit=1).next
    cursors = ("", "x", "A" * 5_000, f"{after}A", shop.board.page(limit=1).next)
    for wrong in cursors:
        with refused(CursorError):
            shop.board.task_page(after=wrong)
    with refused(ValueError):
        shop.board.task_page(limit=0)


def _tells_what_is_not_sent(shop: Shop) -> None:
    """What was not sent is told of many deals at once, as long as the deal stands where it does."""
    shop.board.handle_effect("note", lambda _: drop("not today"))
    shop.board.handle_effect("letter", lambda _: later(shop.clock.now() + HOUR, "a holiday"))
    for deal in ("d", "e", "f"):
        shop.handle("lead.came", deal)
    shop.board.deliver()
    shop.clock.advance(hours=1.5)
    shop.handle("called", "e", 1.5)
    shop.board.deliver()

    def told(*deals: str) -> dict[str, list[tuple[str, str]]]:
        found = shop.board.unsent(deals).items()
        return {deal: [(each.name, each.because) for each in unsent] for deal, unsent in found}

    both = [("note", "not today"), ("letter", "a holiday")]
    same(told("d", "e", "\x00", "nobody"), {"d": both}, "what is not sent of the deals asked for")
    same(told(), {}, "what is not sent of no deal")
    shop.clock.advance(hours=49)
    shop.board.tick()
    same(told("d", "e", "f"), {}, "what was not sent in a stage that was left")

    def fail(_: Delivery) -> None:
        raise ConnectionError("nobody answers")

    shop.board.handle_effect("survey", fail)
    shop.handle("lead.came", "g", 51)
    shop.handle("called", "g", 51)
    shop.board.deliver()
    same(told("g"), {}, "what is tried again")
    shop.clock.advance(hours=1)
    shop.board.deliver()
    ((_, because),) = told("g")["g"]
    expect("nobody answers" in because, "a dead letter does not say why")


def _tells_of_which_deals_something_is_held(shop: Shop) -> None:
    """Of many deals at once it is known of which something is held."""
    for deal in ("d", "e"):
        shop.handle("lead.came", deal)
    shop.board.handle(shop.event("told", "e", 10**6), hold=True)
    same(shop.board.held_among(["d", "e", "\x00", "nobody"]), {"e"}, "deals with something held")
    same(shop.board.held_among(["d"]), set(), "deals without anything held")
    shop.handle("lead.came", "f", data={"owner": "Ada"})
    shop.clock.advance(hours=1)
    for deal in ("f", "never-opened", "f"):
        shop.board.handle(shop.event("told", deal, 10**6), hold=True)

    def held(**asked: Any) -> list[str]:
        return [each.event.deal for each in shop.board.held_of_deals(**asked)]

    same(held(), ["e", "f", "f"], "what is held of open deals, the longest held first")
    same(held(limit=1), ["e"], "what is held longest")
    same(held(owner="Ada"), ["f", "f"], "what is held of somebody's deals")
    same(held(scope=Scope(owners=[None])), ["e"], "what is held and may be seen")
    same(held(scope=Scope(stages=["won"])), [], "what is held of deals in another stage")
    shop.board.discard(shop.board.held("e")[0], by="Ada", reason="a test")
    same(shop.board.held_among(["d", "e"]), set(), "deals of which all was put aside")


EFFECTS: Final[tuple[Callable[[Shop], None], ...]] = (
    _delivers_effects,
    _cancels_effects,
    _never_delivers_for_a_visit_that_ended,
    _keeps_tasks,
    _pages_tasks,
    _tells_what_is_not_sent,
    _tells_of_which_deals_something_is_held,
)

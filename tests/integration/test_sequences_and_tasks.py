"""Sequences start on moving in and are cancelled on moving out; tasks wait for people."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from ladderpipe import EffectState, Pipeline, Stage, after, by_hand, do, on, wait
from ladderpipe.errors import EffectNotFoundError
from tests.shops import HOUR, Shop, contents, lead_ladder, register


@pytest.fixture
def shop(store: Any) -> Shop:
    return Shop(lead_ladder(sequence=True), store)


def titles(shop: Shop, **wanted: Any) -> list[str]:
    return [task.title for task in shop.board.tasks(**wanted)]


# -- sequences ----------------------------------------------------------------------------------


def test_a_sequence_starts_when_the_deal_moves_in(shop: Shop):
    shop.tell("lead")
    entered = shop.clock.now()
    assert [(e.name, e.due_at - entered) for e in shop.board.effects("d")] == [
        ("email", dt.timedelta()),
        ("task", 24 * HOUR),
        ("email", 48 * HOUR),
    ]


def test_a_sequence_counts_from_the_move_however_late_it_is_noticed(store: Any):
    cold = Stage("cold", sequence=[wait(hours=1), do("email", template="back?")])
    new = Stage("new")
    rules = [on("lead", into=new, opens=True), after(hours=72, into=cold)]
    pipeline = Pipeline("late", stages=[new, cold], rules=rules)
    shop = Shop(pipeline, store)
    shop.tell("lead")
    shop.wait(100)
    shop.board.tick()
    (effect,) = shop.board.effects()
    assert effect.due_at == shop.board.deal("d").entered_at + HOUR
    assert shop.board.deliver().delivered == 1


def test_steps_are_done_one_after_another(shop: Shop):
    shop.tell("lead")
    shop.work()
    assert shop.mails == ["first"]
    shop.wait(47)
    shop.work()
    assert shop.mails == ["first"]
    shop.wait(1)
    shop.work()
    assert shop.mails == ["first", "last"]


def test_moving_out_cancels_the_rest_of_the_sequence(shop: Shop):
    shop.tell("lead")
    shop.work()
    shop.wait(2)
    shop.tell("call")
    assert shop.states() == {
        "first": "delivered",
        "Call": "cancelled",
        "last": "cancelled",
        "Meet": "open",
    }
    shop.wait(100)
    shop.work()
    assert shop.mails == ["first"]


def test_moving_back_starts_the_sequence_anew_and_never_two_at_once(shop: Shop):
    """New, talking, back to new: a ladder runs one sequence, where a linear pipeline runs two."""
    shop.tell("lead")
    shop.work()
    shop.wait(1)
    shop.tell("call")
    shop.wait(1)
    shop.board.move("d", "new", by="Bea")
    open_effects = shop.board.effects(states=[EffectState.PENDING, EffectState.OPEN])
    assert len({effect.visit_key for effect in open_effects}) == 1
    shop.work()
    assert shop.mails == ["first", "first"]
    shop.wait(48)
    shop.work()
    assert shop.mails == ["first", "first", "last"]


def test_a_step_that_is_noticed_too_late_is_dropped(shop: Shop):
    shop.tell("lead")
    shop.wait(48 + 7)
    shop.work()
    assert shop.mails == ["first"]
    assert shop.states()["last"] == "expired"


def test_hooks_and_sequence_of_one_stage_do_not_get_in_each_others_way(store: Any):
    pipeline = lead_ladder(sequence=True)
    register(pipeline, into_new=lambda ctx: ctx.do("email", template="from the hook"))
    shop = Shop(pipeline, store)
    shop.tell("lead")
    shop.wait(48)
    shop.work()
    assert sorted(shop.mails) == ["first", "from the hook", "last"]


def test_a_late_event_that_brings_a_visit_back_brings_its_sequence_back(store: Any):
    calm = Stage(
        "calm", sequence=[do("email", template="now"), wait(hours=5), do("task", title="T")]
    )
    warm = Stage("warm")
    pipeline = Pipeline(
        "back",
        stages=[calm, warm],
        rules=[
            on("lead", into=calm, opens=True),
            on("warm", into=warm, when=lambda deal, event: deal.owner is None),
        ],
    )
    shop = Shop(pipeline, store)
    shop.tell("lead")
    shop.work()
    shop.wait(2)
    shop.tell("warm")
    assert shop.states() == {"now": "delivered", "T": "cancelled"}
    shop.tell("assigned", hours=-1, owner="Bea")
    assert shop.states() == {"now": "delivered", "T": "open"}
    assert shop.mails == ["now"]


# -- tasks --------------------------------------------------------------------------------------


def test_a_task_lands_in_the_list_with_owner_title_and_due_time(shop: Shop):
    shop.tell("lead", owner="Carla")
    entered = shop.clock.now()
    (task,) = shop.board.tasks()
    assert (task.title, task.deal, task.owner) == ("Call", "d", "Carla")
    assert task.due_at == entered + 24 * HOUR + 4 * HOUR
    assert task.payload == {"title": "Call", "due_hours": 4}


def test_a_task_that_names_its_owner_is_that_persons(shop: Shop):
    shop.tell("lead", owner="Carla")
    shop.wait(1)
    shop.tell("call")
    (task,) = shop.board.tasks()
    assert (task.title, task.owner) == ("Meet", "Bea")
    assert titles(shop, owner="Bea") == ["Meet"]
    assert titles(shop, owner="Carla") == []


def test_tasks_are_listed_the_most_urgent_first(shop: Shop):
    shop.tell("lead", "a", owner="Carla")
    shop.wait(1)
    shop.tell("lead", "b", owner="Carla")
    shop.tell("call", "b")
    assert [task.deal for task in shop.board.tasks()] == ["b", "a"]
    assert titles(shop, deal="a") == ["Call"]
    assert titles(shop, due_by=shop.clock.now()) == ["Meet"]
    shop.wait(28)
    assert titles(shop, due_by=shop.clock.now().isoformat()) == ["Meet", "Call"]


def test_a_worker_delivers_no_task(shop: Shop):
    shop.tell("lead")
    shop.wait(30)
    shop.work()
    assert titles(shop) == ["Call"]


def test_a_completed_task_is_off_the_list(shop: Shop):
    shop.tell("lead")
    (task,) = shop.board.tasks()
    assert shop.board.complete(task) == task
    assert shop.board.tasks() == []
    assert shop.states()["Call"] == "delivered"
    with pytest.raises(EffectNotFoundError, match="it is delivered"):
        shop.board.complete(task)


def test_a_task_can_be_completed_by_its_key(shop: Shop):
    shop.tell("lead")
    (task,) = shop.board.tasks()
    assert shop.board.complete(task.key).title == "Call"


def test_an_unknown_task_cannot_be_completed(shop: Shop):
    before = contents(shop.store)
    with pytest.raises(LookupError, match=r"see board\.tasks"):
        shop.board.complete("nothing")
    assert contents(shop.store) == before


def test_a_task_goes_when_the_deal_moves_on(shop: Shop):
    shop.tell("lead")
    (task,) = shop.board.tasks()
    shop.wait(1)
    shop.tell("order")
    assert shop.board.tasks() == []
    with pytest.raises(EffectNotFoundError, match="it is cancelled"):
        shop.board.complete(task)


def test_completing_a_task_first_fires_the_timers_that_are_due(shop: Shop):
    shop.tell("lead")
    (task,) = shop.board.tasks()
    shop.wait(73)
    with pytest.raises(EffectNotFoundError, match="it is cancelled"):
        shop.board.complete(task)
    assert shop.stage == "cold", "what the refusal found out is kept"


def test_a_pending_mail_is_no_task(shop: Shop):
    shop.tell("lead")
    mail = next(effect for effect in shop.board.effects() if effect.name == "email")
    with pytest.raises(EffectNotFoundError, match="it is pending"):
        shop.board.complete(mail.key)


def test_a_task_outlives_the_stage_when_told_to_run_to_completion(store: Any):
    pipeline = register(
        lead_ladder(),
        into_new=lambda ctx: ctx.do("task", title="Post the catalogue", run_to_completion=True),
    )
    shop = Shop(pipeline, store)
    shop.tell("lead")
    shop.wait(1)
    shop.tell("order")
    (task,) = shop.board.tasks()
    shop.board.complete(task)


def test_an_expired_task_is_not_listed_and_cannot_be_completed(store: Any):
    pipeline = register(
        lead_ladder(), into_new=lambda ctx: ctx.do("task", title="Today", expires=5 * HOUR)
    )
    shop = Shop(pipeline, store)
    shop.tell("lead")
    (task,) = shop.board.tasks()
    shop.wait(6)
    assert shop.board.tasks() == []
    with pytest.raises(EffectNotFoundError, match="it is expired"):
        shop.board.complete(task)


def test_tasks_of_a_stage_that_was_only_passed_through_are_never_open(store: Any):
    new = Stage("new")
    middle = Stage("middle", sequence=[do("task", title="Too late")])
    end = Stage("end")
    pipeline = Pipeline(
        "through",
        stages=[new, middle, end],
        rules=[
            on("lead", into=new, opens=True),
            on("middle", into=middle, out_of=new),
            on("end", into=end),
            by_hand(into=new),
        ],
    )
    shop = Shop(pipeline, store)
    events = [shop.event(kind, hours=h) for h, kind in enumerate(["lead", "middle", "end"], -3)]
    shop.board.handle_many(events)
    assert shop.board.tasks() == []
    assert shop.states() == {"Too late": "cancelled"}

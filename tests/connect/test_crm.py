"""A board in step with any CRM: what is told, what people do there, and what goes wrong."""

from __future__ import annotations

import contextlib
import datetime as dt
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from ladderpipe import Board, Event, Pipeline
from ladderpipe.connect import CrmDeal, CrmError, CrmMap, CrmSync, Written
from ladderpipe.errors import DefinitionError
from ladderpipe.templates import sales_management

from .crms import LADDER, WORLDS, World, fill, now

Opening = Callable[..., CrmSync]
TOO_MUCH = "1234567890123.45"
"""More than any CRM takes."""


@pytest.fixture(scope="module", params=WORLDS)
def served(request: pytest.FixtureRequest) -> Iterator[World]:
    with WORLDS[request.param]() as world:
        yield world


# What is told.


def test_a_deal_stands_there_as_on_the_board(world: World, board: Board, sync: CrmSync) -> None:
    fill(board, "cart-1")
    assert sync.round().told == ["cart-1"]
    assert world.stands("cart-1", "quote_requested")
    assert float(world.amount(world.of("cart-1"))) == 12.5


def test_only_what_changed_is_told(world: World, board: Board, sync: CrmSync) -> None:
    fill(board, "cart-1")
    fill(board, "cart-2")
    sync.round()
    fill(board, "cart-2", "20")
    assert sync.round().told == ["cart-2"]
    assert float(world.amount(world.of("cart-2"))) == 20
    world.service.calls.clear()
    assert sync.round().told == []
    assert not world.service.calls


def test_won_and_lost_and_won_again(world: World, board: Board, sync: CrmSync) -> None:
    fill(board, "cart-1")
    for type, stage in (
        ("order.confirmed", "order_confirmed"),
        ("order.cancelled", "quote_requested"),
        ("order.confirmed", "order_confirmed"),
    ):
        at = now(board)
        board.handle(Event(type, deal="cart-1", id=f"{type} {at}", at=at))
        sync.round()
        assert world.stands("cart-1", stage)


def test_a_bad_deal_stands_alone_and_is_named(world: World, board: Board, sync: CrmSync) -> None:
    for number in range(9):
        fill(board, f"cart-{number}", TOO_MUCH if number == 4 else "12.50")
    done = sync.round()
    assert sorted(done.told) == [f"cart-{number}" for number in range(9) if number != 4]
    assert set(done.rejected) == set(sync.troubles()) == {"cart-4"}
    world.service.calls.clear()
    sync.round()
    assert not world.service.calls, "what is refused is not sent again and again"


def test_a_deal_that_was_refused_is_told_again_when_it_changes(board: Board, sync: CrmSync) -> None:
    fill(board, "cart-1", TOO_MUCH)
    sync.round()
    fill(board, "cart-1", "10")
    assert sync.round().told == ["cart-1"]
    assert sync.troubles() == {}


def test_a_bad_address_keeps_no_deal_out(board: Board, sync: CrmSync) -> None:
    fill(board, "cart-1", contact={"email": "a b@example.com"})
    fill(board, "cart-2")
    done = sync.round()
    assert sorted(done.told) == ["cart-1", "cart-2"]
    assert set(done.rejected) == {"cart-1"}


def test_a_deal_that_is_removed_from_the_board_is_left_alone(
    world: World, board: Board, sync: CrmSync
) -> None:
    fill(board, "cart-1")
    board.handle(Event("order.confirmed", deal="cart-1", id="o", at=now(board)))
    sync.round()
    board.remove("cart-1")
    world.deliver(sync)
    world.drag("cart-1", "lost", "no")
    world.deliver(sync)
    done = sync.round()
    assert (done.moved, done.refused, done.told) == ([], {}, [])
    assert sync.reconcile().drift == []


# What people do there.


def test_what_we_wrote_ourselves_moves_nothing(world: World, board: Board, sync: CrmSync) -> None:
    for number in range(60):
        fill(board, f"cart-{number}")
    while len(world.service.deals()) < 60:
        with contextlib.suppress(CrmError):  # as many as are allowed, and the others later
            sync.round()
        world.deliver(sync)
    sync.round()
    world.deliver(sync)
    done = sync.round()
    assert (done.moved, done.refused, done.told) == ([], {}, [])


def test_a_person_loses_a_deal_there(world: World, board: Board, sync: CrmSync) -> None:
    fill(board, "cart-1")
    sync.round()
    world.drag("cart-1", "lost", "too dear")
    for _ in range(2):
        world.deliver(sync)
        sync.ring([world.id(world.of("cart-1"))])  # whatever rings may ring twice
        sync.round()
    deal = board.deal("cart-1")
    assert deal.stage == "lost"
    assert deal.properties["loss_reason"] == "too dear"
    [hand] = [event for event in board.events("cart-1") if "by" in event.data]
    assert hand.data["by"] == world.people
    assert hand.id.startswith(f"{world.id(world.of('cart-1'))}@2026-01-05T")
    assert world.stands("cart-1", "lost")


def test_what_the_ladder_refuses_is_written_back_and_the_owner_is_told_once(
    world: World, board: Board, sync: CrmSync
) -> None:
    fill(board, "cart-1", owner="gino@shop.example")
    sync.round()
    world.drag("cart-1", "order_confirmed")
    for _ in range(3):
        world.deliver(sync)
        sync.ring([world.id(world.of("cart-1"))])
        sync.round()
    assert world.stands("cart-1", "quote_requested")
    assert board.deal("cart-1").stage == "quote_requested"
    [task] = world.tasks()
    assert task.startswith(f"{world.gino}: ")
    for words in ("Order confirmed", "It can be moved into: Deal lost.", "Quote requested"):
        assert words in task


def test_who_insists_is_told_again(world: World, board: Board, sync: CrmSync) -> None:
    fill(board, "cart-1")
    sync.round()
    for _ in range(2):
        world.drag("cart-1", "order_confirmed")
        world.deliver(sync)
        sync.round()
        assert world.stands("cart-1", "quote_requested")
    assert len(world.tasks()) == 2


def test_what_a_required_property_lacks_is_said_as_it_is_called_there(
    world: World, board: Board, opened: Opening
) -> None:
    sync = opened(language="it")
    fill(board, "cart-1")
    sync.round()
    world.drag("cart-1", "lost")
    world.deliver(sync)
    assert "loss_reason" in sync.round().refused["cart-1"]
    assert world.stands("cart-1", "quote_requested")
    [task] = world.tasks()
    assert f"Per «Trattativa persa» serve {world.mapping.properties['loss_reason']}." in task
    assert "riportata in «Richiesta preventivo»" in task


def test_a_language_that_nobody_speaks_is_refused(opened: Opening) -> None:
    with pytest.raises(DefinitionError, match="language"):
        opened(language="tlh")


def test_a_stage_that_is_none_of_the_ladders_is_written_back(
    world: World, board: Board, sync: CrmSync
) -> None:
    fill(board, "cart-1")
    sync.round()
    world.service.drag(world.id(world.of("cart-1")), world.strange)
    world.deliver(sync)
    assert world.strange in sync.round().refused["cart-1"]
    assert world.stands("cart-1", "quote_requested")


def test_what_was_deleted_there_stays_away(world: World, board: Board, sync: CrmSync) -> None:
    fill(board, "cart-1")
    sync.round()
    world.service.delete(world.id(world.of("cart-1")))
    world.service.bells.clear()
    fill(board, "cart-1", "20")
    sync.round()  # nobody rang: writing shows it
    done = sync.round()
    assert (done.gone, done.told) == (["cart-1"], [])
    fill(board, "cart-1", "30")
    assert sync.round().told == []
    assert world.service.deals() == {}


def test_what_was_deleted_is_made_anew_where_that_is_asked_for(
    world: World, board: Board, opened: Opening
) -> None:
    sync = opened(recreate=True)
    fill(board, "cart-1")
    sync.round()
    id = world.id(world.of("cart-1"))
    world.service.delete(id)
    sync.ring([id])
    told = [*sync.round().told, *sync.round().told]
    assert told == ["cart-1"]
    assert world.stands("cart-1", "quote_requested")
    assert world.id(world.of("cart-1")) != id


@pytest.mark.parametrize("served", ["pipedrive", "brevo"], indirect=True)
def test_a_copy_that_somebody_makes_is_left_alone(
    world: World, board: Board, opened: Opening
) -> None:
    sync = opened()
    fill(board, "cart-1")
    sync.round()
    copy = world.service.copy(world.id(world.of("cart-1")))
    strangers = {world.id(each) for each in world.service.deals().values()}
    assert strangers == {copy}, "the younger one is shown for our id"
    world.service.drag(copy, world.mapping.stages["lost"])
    world.deliver(sync)
    sync.round()
    fill(board, "cart-1", "20")
    sync.round()
    assert board.deal("cart-1").stage == "quote_requested"
    assert float(world.amount(world.of("cart-1"))) == 12.5
    world.deliver(sync)
    fill(board, "cart-1", "30")
    opened(ledger="another.db").round()
    assert float(world.amount(world.of("cart-1"))) == 12.5
    world.service.delete(copy)
    assert float(world.amount(world.of("cart-1"))) == 30


# What goes wrong.


def test_a_busy_crm_is_asked_again_when_it_says(world: World, board: Board, sync: CrmSync) -> None:
    world.service.faults.extend(["busy", "broken", "broken"])
    world.service.time.pauses.clear()
    fill(board, "cart-1")
    assert sync.round().told == ["cart-1"]
    assert world.service.time.pauses[0] == 3
    assert world.service.count() == 1


def test_a_crm_that_is_away_loses_nothing(world: World, board: Board, opened: Opening) -> None:
    fill(board, "cart-1")
    world.service.faults.extend(["broken"] * 5)
    with pytest.raises(CrmError, match="tried later"):
        opened().round()
    assert opened().round().told == ["cart-1"]


def test_a_wrong_token_is_said(
    board: Board, connected: Callable[..., Any], opened: Opening
) -> None:
    fill(board, "cart-1")
    with pytest.raises(CrmError, match="token"):
        opened(connected("wrong")).round()


def test_it_runs_until_it_is_stopped(world: World, board: Board, sync: CrmSync) -> None:
    fill(board, "cart-1")
    stop = threading.Event()
    poll = dt.timedelta(milliseconds=10)
    running = threading.Thread(target=sync.run, args=(stop,), kwargs={"poll": poll})
    running.start()
    try:
        wait_until(lambda: "cart-1" in world.service.deals())
        world.drag("cart-1", "lost", "too dear")
        world.deliver(sync)
        wait_until(lambda: board.deal("cart-1").stage == "lost")
    finally:
        stop.set()
        running.join()
    with pytest.raises(ValueError, match="poll"):
        sync.run(poll=dt.timedelta())


def test_a_long_round_is_left_when_it_is_to_stop_and_the_next_one_goes_on(
    world: World, board: Board, connected: Callable[..., Any], opened: Opening
) -> None:
    crm, stop = connected(), threading.Event()
    crm.batch, write = 2, crm.write

    def meanwhile(deals: Sequence[CrmDeal]) -> Written:
        stop.set()
        written: Written = write(deals)
        return written

    for number in range(5):
        fill(board, f"cart-{number}")
    crm.write = meanwhile
    sync = opened(crm)
    sync.run(stop)
    assert world.service.count() == 2
    assert len(sync.round().told) == 3
    assert world.service.count() == 5


def wait_until(holds: Callable[[], bool]) -> None:
    for _ in range(3000):
        if holds():
            return
        time.sleep(0.01)
    raise AssertionError("it never came to that")


def test_a_ledger_is_of_one_board_and_one_crm(
    world: World, connected: Callable[..., Any], sync: CrmSync, tmp_path: Path
) -> None:
    other = sales_management(language="en").to_dict() | {"name": "another"}
    with (
        Board(Pipeline.from_dict(other, allow=["ladderpipe.templates"])) as board,
        pytest.raises(DefinitionError, match="another"),
    ):
        CrmSync(board, connected(), world.mapping, tmp_path / "ledger.db")


def test_two_processes_do_not_tell_at_once(
    board: Board, opened: Opening, connected: Callable[..., Any]
) -> None:
    crm = connected()
    write = crm.write

    def meanwhile(deals: Sequence[CrmDeal]) -> Written:
        with pytest.raises(CrmError, match="another process"):
            opened().round()
        written: Written = write(deals)
        return written

    crm.write = meanwhile
    fill(board, "cart-1")
    assert opened(crm).round().told == ["cart-1"]


def test_after_the_ledger_is_lost_everything_is_found_again(
    world: World, board: Board, sync: CrmSync, opened: Opening
) -> None:
    fill(board, "cart-1")
    sync.round()
    world.service.catch_up()
    fresh = opened(ledger="another.db")
    fresh.round()
    assert world.service.count() == 1
    world.drag("cart-1", "lost", "no")
    world.deliver(fresh)
    assert fresh.round().moved == ["cart-1"]


# Whether both are the same.


def test_reconciling_finds_what_nobody_has_rung_about(
    world: World, board: Board, sync: CrmSync
) -> None:
    for number in range(5):
        fill(board, f"cart-{number}")
    sync.round()
    world.drag("cart-0", "lost", "no")
    world.service.edit(world.id(world.of("cart-1")))
    world.service.delete(world.id(world.of("cart-2")))
    world.service.bells.clear()
    world.deliver(sync)
    done = sync.reconcile()
    assert done.moved == ["cart-0"]
    assert done.gone == ["cart-2"]
    found = {(drift.deal, drift.field, drift.board, drift.crm) for drift in done.drift}
    assert found == {
        ("cart-1", world.amount_field, "12.5", "1"),
        ("cart-2", None, None, None),
    }
    sync.round()
    assert float(world.amount(world.of("cart-1"))) == 12.5
    assert sync.reconcile().drift == []


def test_drift_can_be_reported_alone(world: World, board: Board, sync: CrmSync) -> None:
    fill(board, "cart-1")
    sync.round()
    world.service.edit(world.id(world.of("cart-1")))
    assert len(sync.reconcile(mend=False).drift) == 1
    world.service.bells.clear()
    sync.round()
    assert float(world.amount(world.of("cart-1"))) == 1


# What it is set up with.


def test_a_map_that_does_not_go_with_the_ladder_is_refused(
    world: World, board: Board, connected: Callable[..., Any], tmp_path: Path
) -> None:
    lost = world.mapping.stages["lost"]
    mapping = CrmMap(pipeline="shop", stages={"lost": lost, "lots": lost})
    with pytest.raises(DefinitionError, match=r"'quote_requested'.*no stage 'lots'"):
        CrmSync(board, connected(), mapping, tmp_path / "l.db")


def test_checking_says_what_is_missing_and_writes_nothing(
    world: World, connected: Callable[..., Any]
) -> None:
    assert connected().check() == []
    stages = {**world.mapping.stages, "refunded": world.strange}
    mapping = CrmMap(
        pipeline=world.mapping.pipeline, stages=stages, properties={"loss_reason": "nowhere"}
    )
    found = connected(mapping=mapping).check()
    assert [world.strange in found[0], "nowhere" in found[1], len(found)] == [True, True, 2]
    assert world.mapping.stages["quote_requested"] in found[0], "what there is is said"
    stages = {**stages, "lost": world.strange}
    *_, last = connected(mapping=CrmMap(pipeline=world.mapping.pipeline, stages=stages)).check()
    assert world.mapping.stages["quote_requested"] in last, "where several are missing, too"
    assert connected(mapping=CrmMap(pipeline="77", stages=stages)).check()
    assert world.service.count() == 0


@pytest.mark.parametrize("token", ["", " ", "pat-…", "a\nb"])
def test_a_token_that_is_none_is_refused(connected: Callable[..., Any], token: str) -> None:
    with pytest.raises(DefinitionError, match="token"):
        connected(token)


@pytest.mark.parametrize("share", [0, -1, 1.5])
def test_a_share_that_is_none_is_refused(connected: Callable[..., Any], share: float) -> None:
    with pytest.raises(DefinitionError):
        connected(share=share)


@pytest.mark.parametrize(
    "text", ["", "stages = 1", "pipeline = 'a'\nstage = {}", "=", "pipeline = 'a'\n[stages]\n"]
)
def test_a_file_that_is_no_map_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "crm.toml"
    path.write_text(text)
    with pytest.raises(DefinitionError):
        CrmMap.from_file(path)


def test_a_file_holds_the_map(tmp_path: Path) -> None:
    path = tmp_path / "crm.toml"
    path.write_text(
        'pipeline = "shop"\n[stages]\nwon = "s-won"\n[properties]\nloss_reason = "why"\n'
    )
    expected = CrmMap(pipeline="shop", stages={"won": "s-won"}, properties={"loss_reason": "why"})
    assert CrmMap.from_file(path) == expected


def test_the_map_of_each_goes_with_the_ladder(world: World) -> None:
    assert world.mapping.mistakes(LADDER.stages) == []

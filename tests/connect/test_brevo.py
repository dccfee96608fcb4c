"""Brevo and a board in step: what it has of its own, beside what every CRM has in common."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ladderpipe import Board, Event
from ladderpipe.connect import Brevo, CrmError, CrmSync
from ladderpipe.errors import DefinitionError

from .brevos import PIPELINE, Account
from .crms import World, brevo, fill, now
from .test_crm_in_step import Dying, Killed


@pytest.fixture(scope="module")
def served() -> Iterator[World]:
    with brevo() as world:
        yield world


@pytest.fixture
def account(world: World) -> Account:
    account: Account = world.service
    return account


@pytest.fixture
def opened_with(
    connected: Callable[..., Brevo], opened: Callable[..., CrmSync]
) -> Callable[..., CrmSync]:
    """Return what keeps the board in step, connected with options of its own."""
    return lambda **options: opened(connected(**options))


def move_on(board: Board, deal: str) -> None:
    """Let the shop move a deal into *order review*."""
    board.handle(Event("checkout.started", deal=deal, id=f"{deal}-checkout", at=now(board)))


def test_a_deal_has_its_people(
    account: Account, board: Board, opened_with: Callable[..., CrmSync]
) -> None:
    acme = {"name": "Acme", "domain": "acme.example"}
    fill(board, "cart-1", owner="Gino@shop.example", company=acme)
    fill(board, "cart-2", owner="nobody@shop.example", company=acme)
    sync = opened_with(companies=True, names=("NOME", "COGNOME"))
    assert sync.round().rejected == {}
    deal = account.deals()["cart-1"]
    [contact, _] = account.contacts.values()
    assert contact["attributes"] == {"NOME": "Ada", "COGNOME": "Rossi"}
    [(company, told)] = account.companies.items()
    assert told == {"name": "Acme", "attributes": {"domain": "acme.example"}}
    assert deal["linkedContactsIds"] == [contact["id"]]
    assert deal["linkedCompaniesIds"] == [company]
    assert deal["attributes"]["deal_owner"] == "5e5e"
    assert "deal_owner" not in account.deals()["cart-2"]["attributes"]


def test_where_users_cannot_be_read_deals_are_told_without_owners(
    account: Account, board: Board, opened: Callable[..., CrmSync], connected: Callable[..., Brevo]
) -> None:
    account.shows_users = False
    crm = connected()
    assert ["users" in each for each in crm.check()] == [True]
    fill(board, "cart-1", owner="gino@shop.example")
    assert opened(crm).round().told == ["cart-1"]
    assert "deal_owner" not in account.deals()["cart-1"]["attributes"]


def test_a_contact_that_was_there_is_linked_beside_the_others(
    account: Account, board: Board, sync: CrmSync
) -> None:
    account._contact({"email": "bea@example.com", "attributes": {}})
    fill(board, "cart-1")
    sync.round()
    fill(board, "cart-1", contact={"email": "bea@example.com", "name": "Bea"})
    sync.round()
    [bea] = account._contacts_of("bea@example.com")
    assert account.contacts[bea]["attributes"] == {"FIRSTNAME": "Bea"}
    [ada] = account._contacts_of("cart-1@example.com")
    assert account.deals()["cart-1"]["linkedContactsIds"] == [ada, bea]


def test_an_amount_in_another_currency_is_left_out(
    account: Account, board: Board, opened_with: Callable[..., CrmSync]
) -> None:
    fill(board, "cart-1")
    opened_with(currency="usd").round()
    assert "amount" not in account.deals()["cart-1"]["attributes"]


def test_who_hands_a_deal_over_there_is_left_alone(
    account: Account, board: Board, sync: CrmSync
) -> None:
    fill(board, "cart-1", owner="gino@shop.example")
    sync.round()
    account._change(account.deals()["cart-1"]["id"], {"deal_owner": "somebody else"})
    account.deals()["cart-1"]["attributes"]["deal_owner"] = "somebody else"
    fill(board, "cart-1", "20")
    move_on(board, "cart-1")
    sync.round()
    attributes = account.deals()["cart-1"]["attributes"]
    assert (attributes["amount"], attributes["deal_owner"]) == (20, "somebody else")


def test_what_somebody_did_before_we_wrote_is_not_written_over(
    world: World, board: Board, sync: CrmSync
) -> None:
    fill(board, "cart-1")
    sync.round()
    world.drag("cart-1", "lost", "too dear")
    move_on(board, "cart-1")
    assert sync.round().told == []
    assert world.stands("cart-1", "lost")
    assert sync.round().moved == ["cart-1"]
    assert board.deal("cart-1").stage == "lost"


def test_a_new_amount_does_not_touch_the_stage(
    world: World, account: Account, board: Board, sync: CrmSync
) -> None:
    fill(board, "cart-1")
    sync.round()
    world.drag("cart-1", "lost", "too dear")
    fill(board, "cart-1", "20")
    assert sync.round().told == ["cart-1"]
    assert world.stands("cart-1", "lost")
    world.deliver(sync)
    assert sync.round().moved == ["cart-1"]
    assert account.deals()["cart-1"]["attributes"]["amount"] == 20


def test_a_move_that_was_taken_back_leaves_nothing(
    world: World, board: Board, sync: CrmSync
) -> None:
    fill(board, "cart-1")
    sync.round()
    world.drag("cart-1", "lost", "too dear")
    world.drag("cart-1", "quote_requested")
    world.deliver(sync)
    done = sync.round()
    assert (done.moved, done.refused, done.told) == ([], {}, [])


def test_what_lists_still_show_of_before_is_no_move(
    world: World, account: Account, board: Board, sync: CrmSync
) -> None:
    fill(board, "cart-1")
    sync.round()
    world.drag("cart-1", "lost", "too dear")
    world.deliver(sync)
    assert sync.round().moved == ["cart-1"]
    board.override("cart-1", "order_review", by="gino")
    sync.round()
    account.time.now += 50  # less than lists lag
    sync.reconcile()
    sync.round()
    assert board.deal("cart-1").stage == "order_review"
    assert world.stands("cart-1", "order_review")
    world.deliver(sync)
    assert sync.reconcile().drift == []


def test_a_told_stage_that_somebody_erased_is_no_move(
    world: World, account: Account, board: Board, sync: CrmSync
) -> None:
    fill(board, "cart-1")
    sync.round()
    account._change(account.deals()["cart-1"]["id"], {"ladderpipe_told": ""})
    world.deliver(sync)
    done = sync.reconcile()
    assert (done.moved, done.refused) == ([], {})
    assert [drift.field for drift in done.drift] == ["ladderpipe_told"]
    sync.round()
    assert account.deals()["cart-1"]["attributes"]["ladderpipe_told"] == "stage-1"


def test_a_deal_that_is_dragged_into_another_pipeline_is_written_back(
    world: World, account: Account, board: Board, sync: CrmSync
) -> None:
    fill(board, "cart-1")
    sync.round()
    id = account.deals()["cart-1"]["id"]
    account._change(id, {"pipeline": "other", "deal_stage": "stage-1"})
    world.deliver(sync)
    assert "other/stage-1" in sync.round().refused["cart-1"]
    assert account.deals()["cart-1"]["attributes"]["pipeline"] == PIPELINE
    assert world.stands("cart-1", "quote_requested")


def test_a_deal_that_was_made_although_the_answer_got_lost_is_not_made_twice(
    world: World,
    account: Account,
    board: Board,
    sync: CrmSync,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sync.round()
    posted = account._posted

    def done_but_broken(told: Any) -> tuple[int, Any]:
        posted(told)
        return 502, {}

    fill(board, "cart-1")
    with monkeypatch.context() as patch:
        patch.setattr(account, "_posted", done_but_broken)
        with pytest.raises(CrmError):
            sync.round()
    for _ in range(3):
        assert sync.round().told == [], "no list shows it yet"
    world.deliver(sync)
    assert sync.round().told == ["cart-1"]
    assert account.count() == 1


def test_a_lost_answer_is_not_asked_after_all_the_time(
    account: Account, board: Board, sync: CrmSync
) -> None:
    sync.round()
    fill(board, "cart-1")
    account.faults_at["/v3/crm/deals"] = ["done but broken"]
    with pytest.raises(CrmError):
        sync.round()
    account.calls.clear()
    for _ in range(120):
        account.time.now += 5
        sync.round()
    assert account.deals().keys() == {"cart-1"}
    assert account.calls.total() <= 4


def test_a_deal_that_no_list_shows_yet_is_not_gone(
    account: Account, board: Board, sync: CrmSync, opened: Callable[..., CrmSync]
) -> None:
    for number in range(5):
        fill(board, f"cart-{number}")
    sync.round()
    done = opened().reconcile()  # by another process, a moment later
    assert (done.gone, done.drift) == ([], [])


def test_many_deals_that_were_deleted_use_nothing_up(
    account: Account, board: Board, sync: CrmSync, opened: Callable[..., CrmSync]
) -> None:
    for number in range(40):
        fill(board, f"cart-{number}")
    sync.round()
    for deal in account.deals().values():
        account.delete(deal["id"])
    account.catch_up()
    account.calls.clear()
    assert len(opened().reconcile().gone) == 40
    assert account.calls.total() < 45


def test_of_a_deal_that_is_there_twice_the_one_that_we_know_goes_on(
    world: World,
    account: Account,
    board: Board,
    connected: Callable[..., Brevo],
    opened: Callable[..., CrmSync],
) -> None:
    fill(board, "cart-1")
    with pytest.raises(Killed):
        opened(Dying(connected(), dies_after="write")).round()
    [older] = account.past
    sync = opened()
    sync.round()  # no list shows the first one yet
    [_, known] = account.past
    world.deliver(sync)
    sync.round()
    account.drag(older, world.mapping.stages["lost"], why="not this one")
    world.deliver(sync)
    assert sync.round().moved == []
    account.drag(known, world.mapping.stages["lost"], why="too dear")
    world.deliver(sync)
    assert sync.round().moved == ["cart-1"]


def test_a_move_is_heard_of_although_another_deal_was_read_since(
    world: World, account: Account, board: Board, opened_with: Callable[..., CrmSync]
) -> None:
    sync = opened_with(poll=dt.timedelta(minutes=15))
    fill(board, "cart-1")
    fill(board, "cart-2")
    sync.round()
    world.deliver(sync)
    sync.round()
    account.time.now += 120
    world.drag("cart-1", "lost", "too dear")
    account.time.now += 600
    account.edit(world.id(world.of("cart-2")))
    move_on(board, "cart-2")
    assert sync.round().told == ["cart-2"]
    account.time.now += 600
    assert sync.round().moved == ["cart-1"]


def test_a_move_is_heard_of_although_a_list_broke_off(
    world: World, account: Account, board: Board, opened_with: Callable[..., CrmSync]
) -> None:
    sync = opened_with(per_hour=2000)
    for number in range(70):
        fill(board, f"cart-{number}")
    sync.round()
    world.deliver(sync)
    sync.round()
    world.drag("cart-69", "lost", "too dear")
    account.time.now += 600
    for number in range(60):
        account.edit(world.id(world.of(f"cart-{number}")))
    world.deliver(sync)
    account.faults_at["/v3/crm/deals"] = [None, *["broken"] * 5]
    with pytest.raises(CrmError):
        sync.round()
    assert sync.round().moved == ["cart-69"]


def test_an_account_that_gives_short_pages_only_is_listed_too(
    account: Account, board: Board, connected: Callable[..., Brevo], opened: Callable[..., CrmSync]
) -> None:
    account.longest_page = 50
    for number in range(70):
        fill(board, f"cart-{number}")
    opened(connected(per_hour=2000)).round()
    account.catch_up()
    assert len(opened(connected(per_hour=2000), "another.db").round().told) == 70
    assert account.count() == 70


def test_our_id_that_somebody_erased_comes_back(
    account: Account, board: Board, sync: CrmSync
) -> None:
    fill(board, "cart-1")
    sync.round()
    account._change(account.deals()["cart-1"]["id"], {"ladderpipe_deal": ""})
    account.catch_up()
    move_on(board, "cart-1")
    sync.round()
    assert account.deals().keys() == {"cart-1"}


def test_half_of_what_an_hour_allows_is_used_and_the_rest_is_told_later(
    world: World, account: Account, board: Board, sync: CrmSync
) -> None:
    account.allowed = (100, 3600.0)
    for number in range(120):
        fill(board, f"cart-{number}")
    hours = 0
    while account.count() < 120:
        with contextlib.suppress(CrmError):
            sync.round()
        with contextlib.suppress(CrmError):
            sync.round()
        world.deliver(sync)
        hours += 1
        assert hours < 5
    assert account.most_in_a_window == 50
    assert hours > 1
    assert len(account.deals()) == 120


def test_who_is_to_wait_for_long_is_not_kept_waiting(
    account: Account, board: Board, sync: CrmSync, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account, "busy_headers", lambda: {"x-sib-ratelimit-reset": "1800"})
    account.faults.append("busy")
    account.time.pauses.clear()
    fill(board, "cart-1")
    with pytest.raises(CrmError, match="429"):
        sync.round()
    assert account.time.pauses == []


def test_many_deals_are_found_page_by_page(
    account: Account, board: Board, connected: Callable[..., Brevo], opened: Callable[..., CrmSync]
) -> None:
    account.allowed = (1000, 3600.0)
    for number in range(130):
        fill(board, f"cart-{number}")
    opened(connected(per_hour=2000)).round()
    account.catch_up()
    account.calls.clear()
    assert len(opened(connected(per_hour=2000), "another.db").round().told) == 130
    assert account.count() == 130
    assert account.calls["/v3/crm/deals"] == 3
    assert not [path for path in account.calls if path.startswith("/v3/crm/deals/")]


def test_what_is_to_be_set_up_is_said(account: Account, connected: Callable[..., Brevo]) -> None:
    account.attributes["ladderpipe_told"] = "number"
    del account.attributes["ladderpipe_deal"]
    found = connected(names=("VORNAME", "COGNOME"), companies=True).check()
    assert ["'ladderpipe_deal'" in found[0], "not of type text" in found[1]] == [True, True]
    assert ["'VORNAME'" in found[2], len(found)] == [True, 3]


def test_a_poll_that_is_none_is_refused(connected: Callable[..., Brevo]) -> None:
    with pytest.raises(DefinitionError, match="poll"):
        connected(poll=dt.timedelta())


@pytest.mark.parametrize(
    "told",
    [{"share": 0.1}, {"per_hour": 30}, {"poll": dt.timedelta(minutes=1)}],
    ids=["share", "plan", "poll"],
)
def test_too_few_requests_to_tell_anything_are_refused(
    connected: Callable[..., Brevo], told: dict[str, Any]
) -> None:
    with pytest.raises(DefinitionError, match="an hour"):
        connected(**told)

"""HubSpot and a board in step: what is told, what people do in the portal, and what goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
import pytest

from ladderpipe import Board, Event
from ladderpipe.connect import (
    CrmError,
    CrmMap,
    CrmSync,
    HubSpot,
    HubSpotWebhooks,
    Receiver,
    Refused,
)
from ladderpipe.errors import InvalidEventError

from .crms import MAPS, World, fill, hubspot, now, ring_hubspot
from .portals import ADDRESS, SECRET, Portal


@pytest.fixture(scope="module")
def served() -> Iterator[World]:
    with hubspot() as world:
        yield world


@pytest.fixture
def portal(world: World) -> Portal:
    portal: Portal = world.service
    return portal


def ring_all(portal: Portal, sync: CrmSync) -> None:
    """Deliver all that was rung, as HubSpot would."""
    bells, portal.bells = portal.bells, []
    ring_hubspot(portal, sync, bells)


def stage(portal: Portal, deal: str) -> str:
    return portal.deals()[deal].properties["dealstage"].removeprefix("s-")


def test_a_deal_stands_in_the_portal_as_on_the_board(
    portal: Portal, board: Board, sync: CrmSync
) -> None:
    company = {"name": "Acme", "domain": "www.acme.example"}
    fill(board, "cart-1", owner="gino@shop.example", company=company)
    assert sync.round().told == ["cart-1"]
    deal = portal.deals()["cart-1"]
    assert deal.properties["dealstage"] == "s-quote"
    assert deal.properties["amount"] == "12.5"
    assert deal.properties["deal_currency_code"] == "EUR"
    assert deal.properties["hubspot_owner_id"] == "90"
    [contact] = portal.things["contacts"].values()
    assert contact.properties == {
        "email": "cart-1@example.com",
        "firstname": "Ada",
        "lastname": "Rossi",
    }
    [made] = portal.things["companies"].values()
    assert made.properties["domain"] == "acme.example"
    assert portal.pairs == {(deal.id, contact.id), (deal.id, made.id)}


def test_a_company_that_salespeople_have_made_is_not_made_again(
    portal: Portal, board: Board, sync: CrmSync
) -> None:
    portal._upsert(
        "companies",
        {
            "idProperty": "ladderpipe_company",
            "id": "theirs",
            "properties": {"domain": "acme.example"},
        },
    )
    fill(board, "cart-1", company={"domain": "acme.example"})
    sync.round()
    assert len(portal.things["companies"]) == 1


def test_a_company_that_the_search_does_not_show_yet_is_not_made_again(
    portal: Portal, board: Board, sync: CrmSync
) -> None:
    fill(board, "cart-1", company={"domain": "acme.example"})
    sync.round()
    portal.unseen = set(portal.things["companies"])
    fill(board, "cart-2", company={"domain": "acme.example"})
    sync.round()
    assert len(portal.things["companies"]) == 1


def test_many_deals_go_in_few_calls_and_what_is_known_in_none(
    portal: Portal, board: Board, sync: CrmSync
) -> None:
    for number in range(120):
        fill(board, f"cart-{number}")
    assert len(sync.round().told) == 120
    assert portal.calls["/crm/v3/objects/deals/batch/upsert"] == 2
    portal.calls.clear()
    assert sync.round().told == []
    assert not portal.calls


def test_only_what_changed_is_told_and_contacts_are_left_alone(
    portal: Portal, board: Board, sync: CrmSync
) -> None:
    fill(board, "cart-1")
    fill(board, "cart-2")
    sync.round()
    portal.calls.clear()
    fill(board, "cart-2", "20")
    assert sync.round().told == ["cart-2"]
    assert set(portal.calls) == {"/crm/v3/objects/deals/batch/update"}


@pytest.mark.parametrize("how", ["invalid", "poisoned"])
def test_a_bad_deal_stands_alone_and_is_named(
    portal: Portal, board: Board, sync: CrmSync, how: str
) -> None:
    for number in range(9):
        fill(board, f"cart-{number}")
    if how == "invalid":
        fill(board, "cart-4", "1234567890123.45")
    else:
        portal.poisoned = {"cart-4"}
    done = sync.round()
    assert sorted(done.told) == [f"cart-{number}" for number in range(9) if number != 4]
    assert set(done.rejected) == set(sync.troubles()) == {"cart-4"}
    portal.calls.clear()
    sync.round()
    assert not portal.calls, "what is refused is not sent again and again"


def test_reconciling_tries_again_what_was_refused(
    portal: Portal, board: Board, sync: CrmSync
) -> None:
    portal.poisoned = {"cart-1"}
    fill(board, "cart-1")
    sync.round()
    portal.poisoned = set()
    sync.reconcile()
    assert sync.round().told == ["cart-1"]


def test_a_bad_address_keeps_no_deal_out(portal: Portal, board: Board, sync: CrmSync) -> None:
    fill(board, "cart-1", contact={"email": "a b@example.com"})
    fill(board, "cart-2")
    done = sync.round()
    assert sorted(done.told) == ["cart-1", "cart-2"]
    assert set(done.rejected) == {"cart-1"}
    assert len(portal.things["contacts"]) == 1


def test_what_the_ladder_refuses_is_written_back_and_the_owner_is_told_once(
    portal: Portal, board: Board, sync: CrmSync
) -> None:
    fill(board, "cart-1", owner="gino@shop.example")
    sync.round()
    id = portal.deals()["cart-1"].id
    portal.drag(id, "s-won")
    for _ in range(3):
        ring_all(portal, sync)
        sync.ring([id])
        sync.round()
    assert stage(portal, "cart-1") == "quote"
    assert board.deal("cart-1").stage == "quote_requested"
    [task] = portal.things["tasks"].values()
    assert task.properties["hubspot_owner_id"] == "90"
    body = task.properties["hs_task_body"]
    assert "Order confirmed" in body
    assert "It can be moved into: Deal lost." in body
    assert "Quote requested" in task.properties["hs_task_subject"]
    assert portal.task_pairs == {(id, task.id)}


def test_a_task_that_was_made_although_the_answer_got_lost_is_not_made_twice(
    portal: Portal, board: Board, sync: CrmSync
) -> None:
    fill(board, "cart-1")
    sync.round()
    portal.drag(portal.deals()["cart-1"].id, "s-won")
    ring_all(portal, sync)
    portal.faults_at["/crm/v3/objects/tasks"] = ["done but broken"]
    with pytest.raises(CrmError):
        sync.round()
    assert len(portal.things["tasks"]) == 1
    sync.round()
    assert len(portal.things["tasks"]) == 1


def test_what_somebody_did_just_before_we_wrote_over_it_counts(
    portal: Portal, board: Board, sync: CrmSync
) -> None:
    fill(board, "cart-1")
    sync.round()
    portal.drag(portal.deals()["cart-1"].id, "s-lost", closed_lost_reason="too dear")
    board.handle(Event("checkout.started", deal="cart-1", id="c", at=now(board)))
    sync.round()  # before any bell has come
    assert stage(portal, "cart-1") == "review"
    ring_all(portal, sync)
    sync.round()
    assert board.deal("cart-1").stage == "lost"
    assert stage(portal, "cart-1") == "lost"


def test_what_was_deleted_in_the_portal_stays_away(
    portal: Portal, board: Board, sync: CrmSync
) -> None:
    fill(board, "cart-1")
    sync.round()
    portal.delete(portal.deals()["cart-1"].id)
    ring_all(portal, sync)
    assert sync.round().gone == ["cart-1"]
    fill(board, "cart-1", "20")
    sync.round()
    assert portal.deals() == {}


def test_merged_deals_are_followed(portal: Portal, board: Board, sync: CrmSync) -> None:
    fill(board, "cart-1")
    fill(board, "cart-2")
    sync.round()
    first, second = (portal.deals()[name].id for name in ("cart-1", "cart-2"))
    made = portal.merge(first, second)
    ring_all(portal, sync)
    assert sync.round().gone == ["cart-2"]
    fill(board, "cart-1", "30")
    fill(board, "cart-2", "40")
    sync.round()
    assert portal.deals().keys() == {"cart-1"}
    assert portal.deals()["cart-1"].id == made
    assert portal.deals()["cart-1"].properties["amount"] == "30"
    [task] = portal.things["tasks"].values()
    assert "cart-2" in task.properties["hs_task_subject"]


def test_a_merge_that_nobody_rang_about_is_noticed_by_writing(
    portal: Portal, board: Board, sync: CrmSync
) -> None:
    fill(board, "cart-1")
    fill(board, "cart-2")
    sync.round()
    portal.merge(*(portal.deals()[name].id for name in ("cart-1", "cart-2")))
    portal.bells.clear()
    fill(board, "cart-1", "30")
    fill(board, "cart-2", "40")
    for _ in range(3):
        sync.round()
    assert portal.deals()["cart-1"].properties["amount"] == "30"
    assert portal.deals().keys() == {"cart-1"}


def test_no_more_than_half_of_what_the_portal_allows(
    portal: Portal, board: Board, sync: CrmSync
) -> None:
    portal.allowed = (8, 10.0)
    for number in range(400):
        fill(board, f"cart-{number}")
    sync.round()
    for number in range(400):
        fill(board, f"cart-{number}", "20")
    portal.most_in_a_window = 0
    sync.round()
    assert portal.most_in_a_window == 4


def test_a_busy_portal_is_asked_again_when_it_says(
    portal: Portal, board: Board, sync: CrmSync
) -> None:
    portal.faults.extend(["busy", "broken", "done but broken"])
    portal.time.pauses.clear()
    fill(board, "cart-1")
    assert sync.round().told == ["cart-1"]
    assert portal.time.pauses[0] == 3
    assert len(portal.deals()) == len(portal.things["contacts"]) == 1


def test_checking_says_what_is_missing_and_writes_nothing(
    portal: Portal, connected: Callable[..., HubSpot]
) -> None:
    assert connected().check() == []
    portal.unique = {kind: set() for kind in portal.unique}
    portal.properties["deals"] = {"ladderpipe_deal"}
    stages = {**MAPS["hubspot"].stages, "lost": "s-nowhere"}
    mapping = CrmMap(pipeline="shop", stages=stages, properties=MAPS["hubspot"].properties)
    found = connected(mapping=mapping).check()
    assert [name for name in ("s-nowhere", "s-quote (Quote)") if name not in found[0]] == []
    assert "unique values" in found[1]
    assert "ladderpipe_company" in found[2]
    assert "closed_lost_reason" in found[3]
    other = CrmMap(pipeline="none", stages=stages)
    assert "shop (Shop)" in connected(mapping=other).check()[0]
    assert all(not path.endswith(("upsert", "update")) for path in portal.calls)


# Webhooks.


def test_webhooks_ring_over_the_network(portal: Portal, board: Board) -> None:
    rung: list[str] = []
    webhooks = HubSpotWebhooks(secrets=["old", SECRET], address=ADDRESS, ring=rung.extend)
    receiver = Receiver(board, {"/hubspot": webhooks})
    transport = httpx.WSGITransport(app=receiver.wsgi)
    with httpx.Client(transport=transport, base_url="https://inside") as client:
        bells = [
            {"subscriptionType": "deal.propertyChange", "objectId": 11},
            {"subscriptionType": "object.merge", "objectTypeId": "0-3", "mergedObjectIds": [12]},
            {"subscriptionType": "contact.creation", "objectId": 13},
        ]
        headers, body = portal.signed(bells)
        assert client.post("/hubspot", content=body, headers=headers).status_code == 200
        assert sorted(rung) == ["11", "12"]
        headers, body = portal.signed(bells, secret="wrong")
        assert client.post("/hubspot", content=body, headers=headers).status_code == 401
        headers, body = portal.signed([1])
        assert client.post("/hubspot", content=body, headers=headers).status_code == 400


@pytest.mark.parametrize(
    "change",
    [
        {"X-HubSpot-Signature-v3": "é"},
        {"X-HubSpot-Signature-v3": ""},
        {"X-HubSpot-Request-Timestamp": ""},
        {"X-HubSpot-Request-Timestamp": "soon"},
        {"X-HubSpot-Request-Timestamp": "1" * 30},
        {"X-HubSpot-Request-Timestamp": "١٢٣"},
        {"X-HubSpot-Request-Timestamp": "0"},
    ],
)
def test_a_hostile_call_is_refused(portal: Portal, change: dict[str, str]) -> None:
    headers, body = portal.signed([])
    with pytest.raises(Refused):
        webhooks().verify(headers | change, body, portal.clock.now())


@pytest.mark.parametrize("minutes", [-6, 6])
def test_a_call_of_another_time_is_refused(portal: Portal, minutes: int) -> None:
    headers, body = portal.signed([])
    now = portal.clock.now()
    webhooks().verify(headers, body, now.replace(minute=4))
    with pytest.raises(Refused, match="five minutes"):
        webhooks().verify(headers, body, now.replace(hour=9 + minutes // 60, minute=minutes % 60))


def test_an_address_is_signed_as_it_is_written_out(portal: Portal) -> None:
    escaped = ADDRESS.replace("?of=shop", "%3Fof=shop")
    headers, body = portal.signed([])
    HubSpotWebhooks(secrets=[SECRET], address=escaped, ring=print).verify(
        headers, body, portal.clock.now()
    )


@pytest.mark.parametrize("body", [b"", b"{}", b"[1]", b"NaN", b"\xff"])
def test_a_call_that_cannot_be_read_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidEventError):
        webhooks().names({}, body)


def webhooks() -> HubSpotWebhooks:
    return HubSpotWebhooks(secrets=[SECRET], address=ADDRESS, ring=print)

"""HubSpot and a board in step: what is told, what people do in the portal, and what goes wrong."""

from __future__ import annotations

import contextlib
import datetime as dt
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from ladderpipe import Board, Event, ManualClock, Pipeline
from ladderpipe.connect import (
    CrmDeal,
    CrmError,
    CrmMap,
    CrmSync,
    HubSpot,
    HubSpotWebhooks,
    Receiver,
    Refused,
    Written,
)
from ladderpipe.errors import DefinitionError, InvalidEventError
from ladderpipe.templates import sales_management

from .portals import ADA, ADDRESS, APP, SECRET, STAGES, Portal, a_portal
from .senders import NOW

LADDER = sales_management(language="en")
MAP = CrmMap(
    pipeline="shop",
    stages={stage.key: f"s-{name}" for stage, name in zip(LADDER.stages, STAGES, strict=True)},
    properties={"loss_reason": "closed_lost_reason"},
)


@pytest.fixture(scope="module")
def served() -> Iterator[Portal]:
    with a_portal() as portal:
        yield portal


@pytest.fixture
def portal(served: Portal) -> Portal:
    served.reset()
    return served


@pytest.fixture
def board() -> Board:
    return Board(sales_management(language="en"), clock=ManualClock(NOW))


Opening = Callable[..., CrmSync]
Connecting = Callable[..., HubSpot]


@pytest.fixture
def connected(portal: Portal) -> Iterator[Connecting]:
    with contextlib.ExitStack() as stack:

        def connecting(token: str = "token", mapping: CrmMap = MAP, **options: Any) -> HubSpot:
            passing = {"pause": portal.time.pause, "ticking": portal.time.ticking}
            crm = HubSpot(token, mapping, app=APP, url=portal.url, **passing, **options)
            stack.callback(crm.close)
            return crm

        yield connecting


@pytest.fixture
def opened(connected: Connecting, board: Board, tmp_path: Path) -> Opening:
    def opening(crm: HubSpot | None = None, ledger: str = "hubspot.db", **options: Any) -> CrmSync:
        return CrmSync(board, crm or connected(), MAP, tmp_path / ledger, **options)

    return opening


@pytest.fixture
def sync(opened: Opening) -> CrmSync:
    return opened()


def now(board: Board) -> dt.datetime:
    """Return an instant that no event has yet."""
    assert isinstance(board.clock, ManualClock)
    board.clock.advance(seconds=1)
    return board.clock.now()


def fill(board: Board, deal: str, price: str = "12.50", **data: Any) -> None:
    cart = {"currency": "EUR", "lines": [{"sku": "A", "quantity": 1, "unit_price": price}]}
    contact = {"email": f"{deal}@example.com", "name": "Ada Rossi"}
    told = {"cart": cart, "contact": contact, **data}
    told_at = now(board)
    board.handle(Event("cart.updated", deal=deal, id=f"{deal}-{told_at}", at=told_at, data=told))


def ring_all(portal: Portal, sync: CrmSync) -> None:
    """Deliver all that was rung, as HubSpot would."""
    bells, portal.bells = portal.bells, []
    webhooks = HubSpotWebhooks(secrets=[SECRET], address=ADDRESS, ring=sync.ring)
    for start in range(0, len(bells), 100):
        webhooks.rung(*portal.signed(bells[start : start + 100]), now=portal.clock.now())


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


def test_a_deal_that_was_refused_is_told_again_when_it_changes(
    portal: Portal, board: Board, sync: CrmSync
) -> None:
    fill(board, "cart-1", "1234567890123.45")
    sync.round()
    fill(board, "cart-1", "10")
    assert sync.round().told == ["cart-1"]
    assert sync.troubles() == {}


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


def test_bells_of_our_own_writes_move_nothing(portal: Portal, board: Board, sync: CrmSync) -> None:
    for number in range(60):
        fill(board, f"cart-{number}")
    sync.round()
    ring_all(portal, sync)
    done = sync.round()
    assert (done.moved, done.refused, done.told) == ([], {}, [])


def test_a_person_loses_a_deal_in_the_portal(portal: Portal, board: Board, sync: CrmSync) -> None:
    fill(board, "cart-1")
    sync.round()
    id = portal.deals()["cart-1"].id
    portal.drag(id, "s-lost", closed_lost_reason="too dear")
    for _ in range(2):  # webhooks come twice
        sync.ring([id])
        sync.round()
    deal = board.deal("cart-1")
    assert deal.stage == "lost"
    assert deal.properties["loss_reason"] == "too dear"
    [hand] = [event for event in board.events("cart-1") if "by" in event.data]
    assert hand.data["by"] == f"hubspot:{ADA}"
    assert hand.id.startswith(f"{id}@2026-01-05T09:")
    assert stage(portal, "cart-1") == "lost"


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


def test_what_a_required_property_lacks_is_said_as_it_is_called_there(
    portal: Portal, board: Board, opened: Opening
) -> None:
    sync = opened(language="it")
    fill(board, "cart-1")
    sync.round()
    portal.drag(portal.deals()["cart-1"].id, "s-lost")
    ring_all(portal, sync)
    assert "loss_reason" in sync.round().refused["cart-1"]
    assert stage(portal, "cart-1") == "quote"
    [task] = portal.things["tasks"].values()
    assert "Per «Trattativa persa» serve closed_lost_reason." in task.properties["hs_task_body"]
    assert "riportata in «Richiesta preventivo»" in task.properties["hs_task_subject"]


def test_a_language_that_nobody_speaks_is_refused(opened: Opening) -> None:
    with pytest.raises(DefinitionError, match="language"):
        opened(language="tlh")


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


def test_a_stage_that_is_none_of_the_ladders_is_written_back(
    portal: Portal, board: Board, sync: CrmSync
) -> None:
    fill(board, "cart-1")
    sync.round()
    portal.drag(portal.deals()["cart-1"].id, "somewhere-else")
    ring_all(portal, sync)
    assert "somewhere-else" in sync.round().refused["cart-1"]
    assert stage(portal, "cart-1") == "quote"


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


def test_a_deal_that_was_deleted_and_nobody_rang_is_noticed_by_writing_it(
    portal: Portal, board: Board, sync: CrmSync
) -> None:
    fill(board, "cart-1")
    sync.round()
    portal.delete(portal.deals()["cart-1"].id)
    portal.bells.clear()
    fill(board, "cart-1", "20")
    sync.round()
    assert sync.round().gone == ["cart-1"]
    assert sync.round().told == []
    assert portal.deals() == {}


def test_what_was_deleted_is_made_anew_where_that_is_asked_for(
    portal: Portal, board: Board, opened: Opening
) -> None:
    sync = opened(recreate=True)
    fill(board, "cart-1")
    sync.round()
    portal.delete(portal.deals()["cart-1"].id)
    ring_all(portal, sync)
    assert sync.round().told == ["cart-1"]
    assert stage(portal, "cart-1") == "quote"


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


def test_a_portal_that_is_away_loses_nothing(portal: Portal, board: Board, opened: Opening) -> None:
    fill(board, "cart-1")
    portal.faults.extend(["broken"] * 5)
    with pytest.raises(CrmError, match="tried later"):
        opened().round()
    assert opened().round().told == ["cart-1"]


def test_a_wrong_token_is_said(board: Board, connected: Connecting, opened: Opening) -> None:
    fill(board, "cart-1")
    with pytest.raises(CrmError, match="token"):
        opened(connected("wrong")).round()


def test_it_runs_until_it_is_stopped(portal: Portal, board: Board, sync: CrmSync) -> None:
    fill(board, "cart-1")
    stop = threading.Event()
    poll = dt.timedelta(milliseconds=10)
    running = threading.Thread(target=sync.run, args=(stop,), kwargs={"poll": poll})
    running.start()
    try:
        wait_until(lambda: "cart-1" in portal.deals())
        portal.drag(portal.deals()["cart-1"].id, "s-lost", closed_lost_reason="too dear")
        ring_all(portal, sync)
        wait_until(lambda: board.deal("cart-1").stage == "lost")
    finally:
        stop.set()
        running.join()
    with pytest.raises(ValueError, match="poll"):
        sync.run(poll=dt.timedelta())


def wait_until(holds: Callable[[], bool]) -> None:
    for _ in range(3000):
        if holds():
            return
        time.sleep(0.01)
    raise AssertionError("it never came to that")


def test_a_ledger_is_of_one_board_and_one_portal(
    connected: Connecting, sync: CrmSync, tmp_path: Path
) -> None:
    other = sales_management(language="en").to_dict() | {"name": "another"}
    with (
        Board(Pipeline.from_dict(other, allow=["ladderpipe.templates"])) as board,
        pytest.raises(DefinitionError, match="another"),
    ):
        CrmSync(board, connected(), MAP, tmp_path / "hubspot.db")


def test_two_processes_do_not_tell_at_once(
    portal: Portal, board: Board, opened: Opening, connected: Connecting
) -> None:
    class Meanwhile(HubSpot):
        """In whose round another process begins one."""

        def write(self, deals: Sequence[CrmDeal]) -> Written:
            with pytest.raises(CrmError, match="another process"):
                opened().round()
            return super().write(deals)

    fill(board, "cart-1")
    with contextlib.closing(Meanwhile("token", MAP, app=APP, url=portal.url)) as crm:
        assert opened(crm).round().told == ["cart-1"]


def test_after_the_ledger_is_lost_everything_is_found_again(
    portal: Portal, board: Board, sync: CrmSync, opened: Opening
) -> None:
    fill(board, "cart-1")
    sync.round()
    fresh = opened(ledger="another.db")
    fresh.round()
    assert len(portal.things["deals"]) == 1
    portal.drag(portal.deals()["cart-1"].id, "s-lost", closed_lost_reason="no")
    ring_all(portal, fresh)
    assert fresh.round().moved == ["cart-1"]


def test_reconciling_finds_what_nobody_has_rung_about(
    portal: Portal, board: Board, sync: CrmSync
) -> None:
    for number in range(3):
        fill(board, f"cart-{number}")
    sync.round()
    deals = portal.deals()
    portal.drag(deals["cart-0"].id, "s-lost", closed_lost_reason="no")
    deals["cart-1"].properties["amount"] = "1"
    portal.delete(deals["cart-2"].id)
    portal.bells.clear()
    done = sync.reconcile()
    assert done.moved == ["cart-0"]
    assert done.gone == ["cart-2"]
    found = {(drift.deal, drift.field, drift.board, drift.crm) for drift in done.drift}
    assert found == {("cart-1", "amount", "12.5", "1"), ("cart-2", None, None, None)}
    sync.round()
    assert portal.deals()["cart-1"].properties["amount"] == "12.5"
    assert sync.reconcile().drift == []


def test_drift_can_be_reported_alone(portal: Portal, board: Board, sync: CrmSync) -> None:
    fill(board, "cart-1")
    sync.round()
    portal.deals()["cart-1"].properties["amount"] = "1"
    assert len(sync.reconcile(mend=False).drift) == 1
    sync.round()
    assert portal.deals()["cart-1"].properties["amount"] == "1"


def test_a_deal_that_is_removed_from_the_board_is_left_alone(
    portal: Portal, board: Board, sync: CrmSync
) -> None:
    fill(board, "cart-1")
    board.handle(Event("order.confirmed", deal="cart-1", id="o", at=now(board)))
    sync.round()
    board.remove("cart-1")
    ring_all(portal, sync)
    portal.drag(portal.deals()["cart-1"].id, "s-lost")
    ring_all(portal, sync)
    done = sync.round()
    assert (done.moved, done.refused, done.told) == ([], {}, [])
    assert sync.reconcile().drift == []


def test_checking_says_what_is_missing_and_writes_nothing(
    portal: Portal, connected: Connecting
) -> None:
    assert connected().check() == []
    portal.unique = {kind: set() for kind in portal.unique}
    portal.properties["deals"] = {"ladderpipe_deal"}
    stages = {**MAP.stages, "lost": "s-nowhere"}
    mapping = CrmMap(pipeline="shop", stages=stages, properties=MAP.properties)
    found = connected(mapping=mapping).check()
    assert [name for name in ("s-nowhere", "s-quote (Quote)") if name not in found[0]] == []
    assert "unique values" in found[1]
    assert "ladderpipe_company" in found[2]
    assert "closed_lost_reason" in found[3]
    other = CrmMap(pipeline="none", stages=stages)
    assert "shop (Shop)" in connected(mapping=other).check()[0]
    assert all(not path.endswith(("upsert", "update")) for path in portal.calls)


def test_a_map_that_does_not_go_with_the_ladder_is_refused(
    board: Board, connected: Connecting, tmp_path: Path
) -> None:
    mapping = CrmMap(pipeline="shop", stages={"lost": "s-lost", "lots": "s-lost"})
    with pytest.raises(DefinitionError, match=r"'quote_requested'.*no stage 'lots'"):
        CrmSync(board, connected(), mapping, tmp_path / "l.db")


@pytest.mark.parametrize(
    "text", ["", "stages = 1", "pipeline = 'a'\nstage = {}", "=", "pipeline = 'a'\n[stages]\n"]
)
def test_a_file_that_is_no_map_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "hubspot.toml"
    path.write_text(text)
    with pytest.raises(DefinitionError):
        CrmMap.from_file(path)


def test_a_file_holds_the_map(tmp_path: Path) -> None:
    path = tmp_path / "hubspot.toml"
    path.write_text(
        'pipeline = "shop"\n[stages]\nwon = "s-won"\n[properties]\nloss_reason = "why"\n'
    )
    expected = CrmMap(pipeline="shop", stages={"won": "s-won"}, properties={"loss_reason": "why"})
    assert CrmMap.from_file(path) == expected


@pytest.mark.parametrize("token", ["", " ", "pat-…", "a\nb"])
def test_a_token_that_is_none_is_refused(connected: Connecting, token: str) -> None:
    with pytest.raises(DefinitionError, match="token"):
        connected(token)


@pytest.mark.parametrize("share", [0, -1, 1.5])
def test_a_share_that_is_none_is_refused(connected: Connecting, share: float) -> None:
    with pytest.raises(DefinitionError):
        connected(share=share)


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

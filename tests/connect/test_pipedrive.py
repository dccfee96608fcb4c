"""Pipedrive and a board in step: what it has of its own, beside what every CRM has in common."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ladderpipe import Board, Event
from ladderpipe.connect import CrmError, CrmMap, CrmSync, Pipedrive, PipedriveWebhooks, Refused
from ladderpipe.errors import DefinitionError, InvalidEventError

from .crms import MAPS, World, fill, now, pipedrive
from .pipedrives import ADA, DEAL_FIELD, DOMAIN_FIELD, SECRET, Company, stage_of


@pytest.fixture(scope="module")
def served() -> Iterator[World]:
    with pipedrive() as world:
        yield world


@pytest.fixture
def company(world: World) -> Company:
    company: Company = world.service
    return company


def test_a_deal_stands_there_as_on_the_board(
    company: Company,
    board: Board,
    connected: Callable[..., Pipedrive],
    opened: Callable[..., CrmSync],
) -> None:
    sync = opened(connected(domain_field=DOMAIN_FIELD))
    domain = {"name": "Acme", "domain": "acme.example"}
    fill(board, "cart-1", owner="gino@shop.example", company=domain)
    assert sync.round().told == ["cart-1"]
    deal = company.deals()["cart-1"]
    assert (stage_of(deal), deal["value"], deal["currency"]) == ("11", 12.5, "EUR")
    assert deal["owner_id"] == 90
    [person] = company.records["persons"].values()
    assert person["name"] == "Ada Rossi"
    assert deal["person_id"] == person["id"]
    [organization] = company.records["organizations"].values()
    assert organization["custom_fields"] == {DOMAIN_FIELD: "acme.example"}
    assert deal["org_id"] == organization["id"]


def test_persons_are_made_once_whether_a_search_shows_them_or_not(
    company: Company, board: Board, sync: CrmSync
) -> None:
    contact = {"email": "ada@example.com"}
    for number in range(6):
        fill(board, f"cart-{number}", contact=contact)
    sync.round()
    company.catch_up()
    fill(board, "cart-9", contact=contact)
    sync.round()
    assert len(company.records["persons"]) == 1


def test_a_deal_that_was_made_although_the_answer_got_lost_is_not_made_twice(
    company: Company, board: Board, opened: Callable[..., CrmSync]
) -> None:
    fill(board, "cart-1")
    company.faults_at["/api/v2/deals"] = ["done but broken"]  # the list, which may be asked again
    assert opened().round().told == ["cart-1"]
    fill(board, "cart-2")
    sync = opened()
    sync.round()
    fill(board, "cart-3")
    company.faults_at["/api/v2/deals"] = ["busy", "busy"]
    assert sync.round().told == ["cart-3"]
    for number in range(4, 8):
        fill(board, f"cart-{number}")
    posted = Posted(company)
    with posted, pytest.raises(CrmError):
        sync.round()
    opened().round()
    assert sorted(
        each["custom_fields"][DEAL_FIELD] for each in company.records["deals"].values()
    ) == [f"cart-{number}" for number in range(1, 8)]


class Posted:
    """Meanwhile nobody hears of a deal that was made."""

    def __init__(self, company: Company) -> None:
        self.company, self.made = company, company._made

    def __enter__(self) -> None:
        def made(kind: str, told: Any) -> tuple[int, Any]:
            answer = self.made(kind, told)
            return (502, {}) if kind == "deals" else answer

        self.company._made = made

    def __exit__(self, *_: object) -> None:
        del self.company._made


def test_won_and_lost_are_statuses_there(
    world: World, company: Company, board: Board, sync: CrmSync
) -> None:
    fill(board, "cart-1")
    board.handle(Event("order.confirmed", deal="cart-1", id="o", at=now(board)))
    sync.round()
    assert company.deals()["cart-1"]["status"] == "won"
    board.handle(Event("order.cancelled", deal="cart-1", id="c", at=now(board)))
    sync.round()
    assert stage_of(company.deals()["cart-1"]) == "11"
    company.drag(str(company.deals()["cart-1"]["id"]), "lost", lost_reason="too dear")
    world.deliver(sync)
    sync.round()
    deal = board.deal("cart-1")
    assert deal.stage == "lost"
    assert deal.properties["loss_reason"] == "too dear"
    [hand] = [event for event in board.events("cart-1") if "by" in event.data]
    assert hand.data["by"] == f"pipedrive:{ADA}"
    assert stage_of(company.deals()["cart-1"]) == "lost"


def test_what_happens_within_one_second_is_told_apart(
    world: World, company: Company, board: Board, sync: CrmSync
) -> None:
    fill(board, "cart-1")
    sync.round()
    id = str(company.deals()["cart-1"]["id"])
    company.drag(id, "12")
    world.deliver(sync)
    sync.round()  # refused, and written back, within the second
    company.drag(id, "lost", lost_reason="too dear")
    world.deliver(sync)
    sync.round()
    assert board.deal("cart-1").stage == "lost"


def test_comparing_reads_no_log_of_what_has_not_changed(
    company: Company, board: Board, sync: CrmSync
) -> None:
    for number in range(3):
        fill(board, f"cart-{number}")
    sync.round()
    company.at += dt.timedelta(seconds=5)
    sync.reconcile()
    company.calls.clear()
    assert sync.reconcile().drift == []
    assert not [path for path in company.calls if path.endswith("changelog")]


def test_checking_says_what_is_missing_and_writes_nothing(
    company: Company, connected: Callable[..., Pipedrive]
) -> None:
    assert connected(domain_field=DOMAIN_FIELD).check() == []
    stages = {**MAPS["pipedrive"].stages, "refunded": "99"}
    mapping = CrmMap(pipeline="3", stages=stages, properties={"loss_reason": "l" * 39})
    found = connected(mapping=mapping, deal_field="x", domain_field="y").check()
    assert "'99'" in found[0]
    assert "11 (Stage 11)" in found[0]
    assert ["'x'" in found[1], "l" * 39 in found[2], "'y'" in found[3]] == [True] * 3
    assert "no pipeline '4'" in connected(mapping=CrmMap(pipeline="4", stages=stages)).check()[0]
    assert not any(company.records.values())


def test_a_stage_that_can_be_none_of_its_is_refused(connected: Callable[..., Pipedrive]) -> None:
    with pytest.raises(DefinitionError, match="closedwon"):
        connected(mapping=CrmMap(pipeline="3", stages={"lost": "closedwon"}))


@pytest.mark.parametrize(
    "told",
    [
        "",
        "Basic",
        "Basic !",
        "Basic bGFkZGVycGlwZQ==",
        "Bearer x",
        "Basic \u00e9",
        f"Basic {SECRET}",
    ],
)
def test_who_does_not_know_the_password_is_refused(told: str) -> None:
    webhooks = PipedriveWebhooks(secrets=["old:one", SECRET], ring=print)
    with pytest.raises(Refused):
        webhooks.verify({"Authorization": told}, b"{}")


def test_what_a_webhook_is_about(company: Company) -> None:
    webhooks = PipedriveWebhooks(secrets=["old:one", SECRET], ring=print)
    headers, body = company.said({"meta": {"entity": "deal", "entity_id": "12"}})
    webhooks.verify(headers, body)
    assert webhooks.names({}, body) == {"12"}
    assert webhooks.names({}, b'{"meta": {"object": "deal", "id": 13}}') == {"13"}
    assert webhooks.names({}, b'{"meta": {"entity": "person", "entity_id": 14, "id": 1}}') == set()
    for bad in (b"", b"[]", b"{}", b'{"meta": 1}'):
        with pytest.raises(InvalidEventError):
            webhooks.names({}, bad)

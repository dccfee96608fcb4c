"""Each CRM as it stands in for the real one, behind one face: what is true of one is of all."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any, Final

import attrs

from ladderpipe import Board, Event, ManualClock
from ladderpipe.connect import (
    Brevo,
    CrmMap,
    CrmSync,
    HubSpot,
    HubSpotWebhooks,
    Pipedrive,
    PipedriveWebhooks,
)
from ladderpipe.templates import sales_management

from . import brevos, pipedrives, portals

LADDER = sales_management(language="en")


def _map(pipeline: str, stages: tuple[str, ...], why: str) -> CrmMap:
    keys = [stage.key for stage in LADDER.stages]
    told = dict(zip(keys, stages, strict=True))
    return CrmMap(pipeline=pipeline, stages=told, properties={"loss_reason": why})


MAPS: Final = {
    "hubspot": _map("shop", tuple(f"s-{name}" for name in portals.STAGES), "closed_lost_reason"),
    "pipedrive": _map("3", pipedrives.STAGES, "lost_reason"),
    "brevo": _map(brevos.PIPELINE, brevos.STAGES, "why"),
}


@attrs.frozen
class World:
    """One CRM: how it is connected, rung, and looked at.

    Attributes:
        options: what it is connected with, beside token and map.
        crm: its class.
        ring: delivers bells to a sync.
        stage: of a deal that it shows; likewise ``amount``, ``id``.
        tasks: what owners were told, and before a colon which owner.
        gino: as tasks name the one user whom the account has.
        people: how a board is told who moves deals there.
        strange: a stage of nobody's.
        amount_field: as the CRM calls it.
    """

    service: Any
    mapping: CrmMap
    crm: Callable[..., Any]
    options: dict[str, Any]
    ring: Callable[[CrmSync, list[Any]], None]
    stage: Callable[[Any], str]
    amount: Callable[[Any], Any]
    id: Callable[[Any], str]
    tasks: Callable[[], list[str]]
    gino: str
    people: str
    strange: str
    amount_field: str

    def connected(self, token: str = "token", mapping: CrmMap | None = None, **options: Any) -> Any:
        """Return the CRM, to be closed."""
        time = self.service.time
        told = {"url": self.service.url, "pause": time.pause, "ticking": time.ticking}
        return self.crm(token, mapping or self.mapping, **told | self.options | options)

    def deliver(self, sync: CrmSync) -> None:
        """Deliver all that was rung; where nothing rings, let the time come to ask."""
        bells, self.service.bells = self.service.bells, []
        self.ring(sync, bells)

    def of(self, deal: str) -> Any:
        """Return how one of our deals stands there."""
        return self.service.deals()[deal]

    def drag(self, deal: str, into: str, reason: str | None = None) -> None:
        """Move a deal there, into a stage of the ladder."""
        why = {} if reason is None else {self.mapping.properties["loss_reason"]: reason}
        self.service.drag(self.id(self.of(deal)), self.mapping.stages[into], **why)

    def stands(self, deal: str, stage: str) -> bool:
        """Return whether a deal stands there in what is a stage of the ladder."""
        return self.stage(self.of(deal)) == self.mapping.stages[stage]


def ring_hubspot(portal: portals.Portal, sync: CrmSync, bells: list[Any]) -> None:
    secrets, address = [portals.SECRET], portals.ADDRESS
    webhooks = HubSpotWebhooks(secrets=secrets, address=address, ring=sync.ring)
    for start in range(0, len(bells), 100):
        webhooks.rung(*portal.signed(bells[start : start + 100]), now=portal.clock.now())


@contextlib.contextmanager
def hubspot() -> Iterator[World]:
    with portals.a_portal() as portal:
        yield World(
            portal,
            MAPS["hubspot"],
            HubSpot,
            {"app": portals.APP},
            lambda sync, bells: ring_hubspot(portal, sync, bells),
            stage=lambda thing: str(thing.properties["dealstage"]),
            amount=lambda thing: thing.properties["amount"],
            id=lambda thing: str(thing.id),
            tasks=lambda: [
                f"{task.properties.get('hubspot_owner_id')}: "
                f"{task.properties['hs_task_subject']} {task.properties['hs_task_body']}"
                for task in portal.things["tasks"].values()
            ],
            gino="90",
            people=f"hubspot:{portals.ADA}",
            strange="somewhere-else",
            amount_field="amount",
        )


@contextlib.contextmanager
def pipedrive() -> Iterator[World]:
    def ring(sync: CrmSync, bells: list[Any]) -> None:
        webhooks = PipedriveWebhooks(secrets=[pipedrives.SECRET], ring=sync.ring)
        for bell in bells:
            webhooks.rung(*company.said(bell))

    with pipedrives.a_company() as company:
        yield World(
            company,
            MAPS["pipedrive"],
            Pipedrive,
            {"company": "shop", "deal_field": pipedrives.DEAL_FIELD},
            ring,
            stage=pipedrives.stage_of,
            amount=lambda record: record["value"],
            id=lambda record: str(record["id"]),
            tasks=lambda: [
                f"{each.get('owner_id')}: {each['subject']} {each['note']}"
                for each in company.records["activities"].values()
            ],
            gino="90",
            people=f"pipedrive:{pipedrives.ADA}",
            strange="99",
            amount_field="value",
        )


@contextlib.contextmanager
def brevo() -> Iterator[World]:
    def ring(sync: CrmSync, bells: list[Any]) -> None:
        account.time.now += 3600

    with brevos.an_account() as account:
        yield World(
            account,
            MAPS["brevo"],
            Brevo,
            {"currency": "EUR"},
            ring,
            stage=lambda record: str(record["attributes"]["deal_stage"]),
            amount=lambda record: record["attributes"]["amount"],
            id=lambda record: str(record["id"]),
            tasks=lambda: [
                f"{each.get('assignToId')}: {each['name']} {each['notes']}"
                for each in account.tasks.values()
            ],
            gino="gino@shop.example",
            people="brevo:somebody",
            strange="stage-99",
            amount_field="amount",
        )


WORLDS: Final = {"hubspot": hubspot, "pipedrive": pipedrive, "brevo": brevo}


def now(board: Board) -> dt.datetime:
    """Return an instant that no event has yet."""
    assert isinstance(board.clock, ManualClock)
    board.clock.advance(seconds=1)
    return board.clock.now()


def fill(board: Board, deal: str, price: str = "12.50", **data: Any) -> None:
    """Fill the cart of a deal."""
    cart = {"currency": "EUR", "lines": [{"sku": "A", "quantity": 1, "unit_price": price}]}
    contact = {"email": f"{deal}@example.com", "name": "Ada Rossi"}
    told = {"cart": cart, "contact": contact, **data}
    told_at = now(board)
    board.handle(Event("cart.updated", deal=deal, id=f"{deal}-{told_at}", at=told_at, data=told))

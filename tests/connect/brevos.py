"""An account of Brevo that stands in for the real one: no history, no bells, a list that lags.

It answers as the documentation of the API has it: deals are read one by one as they are, and in
lists as they were a minute ago; there is no batch and no upsert, and a deal only knows in which
stage it is and since when.
"""

from __future__ import annotations

import contextlib
import copy
import datetime as dt
import email.utils
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from starlette.requests import Request

from .senders import NOW
from .services import Service, serving

PIPELINE = "6093d296ad1e9c5cf2140a58"
STAGES = tuple(f"stage-{number}" for number in range(1, 10))
LAG = 60.0
"""Seconds until a list shows what was written."""

Record = dict[str, Any]


class Account(Service):
    """The state of an account."""

    def reset(self) -> None:
        super().reset()
        self.time.now = 1000.0
        self.past: dict[str, list[tuple[float, Record | None]]] = {}
        """Of each deal what it was, and from when on lists show it; ``None`` once it is deleted."""
        self.contacts: dict[int, Record] = {}
        self.companies: dict[str, Record] = {}
        self.tasks: dict[str, Record] = {}
        self.attributes = {"ladderpipe_deal": "text", "ladderpipe_told": "text", "why": "text"}
        self.allowed = (1000, 3600.0)
        self.longest_page = 500
        self.shows_users = True

    # What people do.

    def drag(self, id: str, stage: str, **told: str) -> None:
        with self.lock:
            self._change(id, {"pipeline": PIPELINE, "deal_stage": stage, **told})

    def edit(self, id: str) -> None:
        with self.lock:
            self._change(id, {"amount": 1})

    def delete(self, id: str) -> None:
        with self.lock:
            self.past[id].append((self._tick() + LAG, None))

    def merge(self, primary: str, other: str) -> None:
        """Brevo merges no deals: people delete one."""
        self.delete(other)

    def copy(self, id: str) -> str:
        """Make a deal with all attributes of another one."""
        with self.lock:
            record = self._now(id)
            assert record is not None
            return self._made(copy.deepcopy(record["attributes"]))

    def catch_up(self) -> None:
        """Let lists show what there is by now."""
        with self.lock:
            self.time.now += LAG + 1

    # What a test looks at.

    def deals(self) -> dict[str, Record]:
        with self.lock:
            return {
                each["attributes"]["ladderpipe_deal"]: each
                for each in map(self._now, self.past)
                if each is not None and "ladderpipe_deal" in each["attributes"]
            }

    def count(self) -> int:
        return sum(self._now(id) is not None for id in self.past)

    # The API.

    def is_let_in(self, request: Request) -> bool:
        return request.headers.get("api-key") == "token"

    def is_counted(self, path: str) -> bool:
        return not path.startswith("/v3/contacts")

    def busy_headers(self) -> dict[str, str]:
        return self._limits(3)

    def headers(self) -> dict[str, str]:
        # Whatever is answered says when the hour is over.
        date = email.utils.format_datetime(self._instant(), usegmt=True)
        return {"Date": date} | self._limits(1800)

    def _limits(self, reset: int) -> dict[str, str]:
        return {
            "x-sib-ratelimit-limit": str(self.allowed[0]),
            "x-sib-ratelimit-reset": str(reset),
        }

    def route(self, request: Request, path: list[str], told: Record) -> tuple[int, Any]:
        asked = request.query_params
        match request.method, path[1:]:
            case "GET", ["crm", "pipeline", "details", "all"]:
                stages = [{"id": id, "name": id.title()} for id in STAGES]
                sales = {"pipeline": PIPELINE, "pipeline_name": "Sales", "stages": stages}
                return 200, [sales, {"pipeline": "other", "pipeline_name": "B", "stages": []}]
            case "GET", ["crm", "attributes", kind]:
                known = self.attributes if kind == "deals" else {"domain": "text"}
                return 200, [
                    {"internalName": name, "attributeTypeName": type}
                    for name, type in known.items()
                ]
            case "GET", ["contacts", "attributes"]:
                names = ("NOME", "COGNOME", "FIRSTNAME", "LASTNAME")
                return 200, {"attributes": [{"name": name} for name in names]}
            case "GET", ["organization", "invited", "users"] if not self.shows_users:
                return 403, {"code": "permission_denied", "message": "Not part of your plan"}
            case "GET", ["organization", "invited", "users"]:
                users = [("Gino@shop.example", "active"), ("new@shop.example", "pending")]
                return 200, {"users": [{"email": who, "status": how} for who, how in users]}
            case "GET", ["crm", "tasktypes"]:
                return 200, [{"id": "call", "title": "Call"}, {"id": "todo", "title": "Todo"}]
            case "GET", ["crm", "deals"]:
                if int(asked["limit"]) > self.longest_page:
                    return 400, {"code": "out_of_range", "message": "Limit exceeds max value"}
                return 200, {"items": self._listed(asked)}
            case "GET", ["crm", "deals", id]:
                record = self._now(id)
                return (200, record) if record else (404, {"message": "Deal not found"})
            case "POST", ["crm", "deals"]:
                return self._posted(told)
            case "PATCH", ["crm", "deals", "link-unlink", id]:
                return self._linked(id, told)
            case "PATCH", ["crm", "deals", id]:
                return self._patched(id, told)
            case "POST", ["contacts"]:
                return self._contact(told)
            case "GET", ["contacts", address]:
                assert asked["identifierType"] == "email_id"
                [known_id] = self._contacts_of(unquote(address))
                return 200, self.contacts[known_id]
            case "GET", ["companies"]:
                domain = asked["filters[attributes.domain]"]
                found = [
                    {"id": id, "attributes": each["attributes"]}
                    for id, each in self.companies.items()
                    if each["attributes"]["domain"] == domain
                ]
                return 200, {"items": found}
            case "POST", ["companies"]:
                id = self.number()
                self.companies[id] = told
                return 201, {"id": id}
            case "GET", ["crm", "tasks"]:
                of = asked["filter[deals]"]
                return 200, {"items": [it for it in self.tasks.values() if of in it["dealsIds"]]}
            case "POST", ["crm", "tasks"]:
                assert told["taskTypeId"] == "todo"
                dt.datetime.fromisoformat(told["date"])
                id = self.number()
                self.tasks[id] = told
                return 201, {"id": id}
        return 404, {"message": "nothing here"}

    def _listed(self, asked: Any) -> list[Record]:
        since = asked.get("modifiedSince", "")
        shown = (self._at(id, self.time.now) for id in self.past)
        found = [
            each for each in shown if each and each["attributes"]["last_updated_date"] >= since
        ]
        found.sort(key=lambda each: each["attributes"]["created_at"])
        start, most = int(asked["offset"]), min(int(asked["limit"]), 60)
        return found[start : start + most]

    def _posted(self, told: Record) -> tuple[int, Any]:
        if error := self._error(told["attributes"]):
            return 400, {"code": "invalid_parameter", "message": error}
        attributes = _owned(told["attributes"])
        id = self._made({"pipeline": PIPELINE, "deal_stage": STAGES[0], **attributes})
        self._change(id, {"deal_name": told["name"]})
        record = self._now(id)
        assert record is not None
        record["linkedContactsIds"] = told.get("linkedContactsIds", [])
        record["linkedCompaniesIds"] = told.get("linkedCompaniesIds", [])
        return 201, {"id": id}

    def _made(self, attributes: Record) -> str:
        at, id = self._tick(), self.number()
        times = dict.fromkeys(("created_at", "last_updated_date", "stage_updated_at"), self._text())
        record = {"id": id, "attributes": attributes | times, "linkedContactsIds": []}
        self.past[id] = [(0.0, None), (at + LAG, record | {"linkedCompaniesIds": []})]
        return id

    def _patched(self, id: str, told: Record) -> tuple[int, Any]:
        if self._now(id) is None:
            return 404, {"code": "document_not_found", "message": "Deal not found"}
        attributes = told.get("attributes", {})
        if error := self._error(attributes):
            return 400, {"code": "invalid_parameter", "message": error}
        name = {"deal_name": told["name"]} if "name" in told else {}
        self._change(id, attributes | name)
        return 204, None

    def _error(self, told: Record) -> str | None:
        if "deal_stage" in told and (
            told["deal_stage"] not in STAGES or told.get("pipeline") != PIPELINE
        ):
            return "deal_stage is not valid"
        if not isinstance(told.get("amount", 0.0), float | int) or told.get("amount", 0.0) > 1e9:
            return "amount is too large"
        if told.get("deal_owner", "gino@shop.example") != "gino@shop.example":
            return "deal_owner is not valid"
        if (
            unknown := set(told)
            - {"deal_stage", "pipeline", "amount", "deal_owner"}
            - set(self.attributes)
        ):
            return f"unknown {unknown}"
        return None

    def _linked(self, id: str, told: Record) -> tuple[int, Any]:
        record = self._now(id)
        if record is None:
            return 404, {"message": "Deal not found"}
        record["linkedContactsIds"] += told.get("linkContactIds", [])
        record["linkedCompaniesIds"] += told.get("linkCompanyIds", [])
        return 204, None

    def _contact(self, told: Record) -> tuple[int, Any]:
        address = told["email"]
        if " " in address:
            return 400, {"code": "invalid_parameter", "message": "email is not valid"}
        if known := self._contacts_of(address):
            assert told["updateEnabled"]
            self.contacts[known[0]]["attributes"] |= told["attributes"]
            return 204, None
        id = int(self.number())
        self.contacts[id] = {"id": id, "email": address, "attributes": told["attributes"]}
        return 201, {"id": id}

    def _contacts_of(self, address: str) -> list[int]:
        return [id for id, each in self.contacts.items() if each["email"] == address]

    def _change(self, id: str, told: Record) -> None:
        at, before = self._tick(), self._now(id)
        assert before is not None
        record = copy.deepcopy(before)
        stages = ("pipeline", "deal_stage")
        if any(
            told.get(name, record["attributes"][name]) != record["attributes"][name]
            for name in stages
        ):
            record["attributes"]["stage_updated_at"] = self._text()
        record["attributes"] |= _owned(told) | {"last_updated_date": self._text()}
        self.past[id].append((at + LAG, record))

    def _now(self, id: str) -> Record | None:
        return self._at(id, float("inf"))

    def _at(self, id: str, when: float) -> Record | None:
        past = self.past.get(id, [(0.0, None)])
        return [record for since, record in past if since <= when][-1]

    def _tick(self) -> float:
        self.time.now = round(self.time.now + 0.002, 3)
        return self.time.now

    def _instant(self) -> dt.datetime:
        return NOW + dt.timedelta(seconds=self.time.now - 1000.0)

    def _text(self) -> str:
        at = self._instant()
        return f"{at:%Y-%m-%dT%H:%M:%S}.{round(at.microsecond / 1000):03}Z"


def _owned(told: Record) -> Record:
    """Return attributes with the owner, who is told by address, as they are shown: by an id."""
    return told | ({"deal_owner": "5e5e"} if "@" in told.get("deal_owner", "") else {})


@contextlib.contextmanager
def an_account() -> Iterator[Account]:
    """Serve an account of Brevo."""
    account = Account()
    with serving(account):
        yield account

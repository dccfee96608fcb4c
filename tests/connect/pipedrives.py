"""A company's Pipedrive that stands in for the real one: no upsert, a search that lags, a log.

It answers as the documentation of the API has it: version 2 for deals, whose types are strict, and
version 1 for what has changed, in whole seconds.
"""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import email.utils
import json
from collections.abc import Iterator
from typing import Any

from starlette.requests import Request

from .senders import NOW
from .services import Service, serving

STAGES = ("11", "12", "13", "14", "won", "15", "lost", "16", "17")
DEAL_FIELD = "d" * 40
DOMAIN_FIELD = "c" * 40
SECRET = "ladderpipe:correct horse"
US, ADA = 1, 7
"""The integration's own user, and one who drags deals."""

Record = dict[str, Any]


class Company(Service):
    """The state of a company's account."""

    def reset(self) -> None:
        super().reset()
        self.at = NOW
        kinds = ("deals", "persons", "organizations", "activities")
        self.records: dict[str, dict[str, Record]] = {kind: {} for kind in kinds}
        self.logs: dict[str, list[Record]] = {}
        self.searchable: set[tuple[str, str]] = set()
        self.fields = {DEAL_FIELD, "l" * 40}
        self.allowed = (80, 2.0)

    # What people do.

    def drag(self, id: str, stage: str, **told: str) -> None:
        with self.lock:
            change: Record = {"status": stage} if stage in ("won", "lost") else {}
            change = change or {"status": "open", "stage_id": int(stage)}
            self._change(self.records["deals"][id], change | told, ADA, "app")

    def edit(self, id: str) -> None:
        with self.lock:
            self._change(self.records["deals"][id], {"value": 1}, ADA, "app")

    def delete(self, id: str) -> None:
        with self.lock:
            self._change(self.records["deals"][id], {"is_deleted": True}, ADA, "app")

    def copy(self, id: str) -> str:
        """Make a deal with all fields of another one."""
        with self.lock:
            record = {**self.records["deals"][id], "id": int(self.number())}
            _, answer = self._made("deals", record)
            return str(answer["data"]["id"])

    def merge(self, primary: str, other: str) -> None:
        """Merge two deals, as Pipedrive does: one goes on, the other is deleted."""
        self.delete(other)

    def catch_up(self) -> None:
        """Let searches show what there is by now."""
        with self.lock:
            self.searchable |= {(kind, id) for kind in self.records for id in self.records[kind]}

    # What a test looks at.

    def deals(self) -> dict[str, Record]:
        with self.lock:
            return {
                record["custom_fields"][DEAL_FIELD]: record
                for record in self.records["deals"].values()
                if not record["is_deleted"] and record["custom_fields"].get(DEAL_FIELD)
            }

    def count(self) -> int:
        return sum(not record["is_deleted"] for record in self.records["deals"].values())

    def said(self, bell: Record, secret: str = SECRET) -> tuple[dict[str, str], bytes]:
        """Return headers and body of a delivery."""
        code = base64.b64encode(secret.encode()).decode()
        return {"Authorization": f"Basic {code}"}, json.dumps(bell).encode()

    # The API.

    def is_let_in(self, request: Request) -> bool:
        return request.headers.get("x-api-token") == "token"

    def headers(self) -> dict[str, str]:
        return {
            "Date": email.utils.format_datetime(self.at, usegmt=True),
            "x-ratelimit-limit": str(self.allowed[0]),
        }

    def route(self, request: Request, path: list[str], told: Record) -> tuple[int, Any]:
        asked = request.query_params
        match request.method, path:
            case "GET", ["v1", "users", "me"]:
                return _fine({"id": US})
            case "GET", ["v1", "users"]:
                return _fine([{"id": 90, "email": "Gino@shop.example", "active_flag": True}])
            case "GET", ["v1", "dealFields" | "organizationFields" as kind]:
                known = self.fields if kind == "dealFields" else {DOMAIN_FIELD}
                start = int(asked["start"])
                more = {"pagination": {"next_start": 1} if start == 0 else {}}
                fields = [{"key": key} for key in sorted(known)]
                return _fine(fields[:1] if start == 0 else fields[1:], more)
            case "GET", ["api", "v2", "stages"]:
                there = STAGES if asked["pipeline_id"] == "3" else ()
                return _fine([{"id": int(s), "name": f"Stage {s}"} for s in there if s.isdigit()])
            case "GET", ["v1", "deals", id, "changelog"]:
                return _fine(self.logs[id][::-1][: int(asked["limit"])])
            case "GET", ["api", "v2", kind, "search"]:
                return _fine({"items": self._search(kind, asked["term"])})
            case "GET", ["api", "v2", kind]:
                return self._listed(kind, asked)
            case "POST", ["api", "v2", kind]:
                return self._made(kind, told)
            case "PATCH", ["api", "v2", "deals", id]:
                return self._patched(id, told)
        return 404, {"success": False, "error": "nothing here"}

    def _search(self, kind: str, term: str) -> list[Record]:
        texts = {
            id: [each["value"] for each in record.get("emails", ())]
            + list(record.get("custom_fields", {}).values())
            for id, record in self.records[kind].items()
            if (kind, id) in self.searchable
        }
        return [{"item": {"id": int(id)}} for id, told in texts.items() if term in told][:1]

    def _listed(self, kind: str, asked: Any) -> tuple[int, Any]:
        found = [record for record in self.records[kind].values() if not record.get("is_deleted")]
        if "ids" in asked:
            found = [each for each in found if str(each["id"]) in asked["ids"].split(",")]
        if "deal_id" in asked:
            found = [each for each in found if str(each["deal_id"]) == asked["deal_id"]]
        if "updated_since" in asked:
            since = dt.datetime.fromisoformat(asked["updated_since"])
            found = [
                each for each in found if dt.datetime.fromisoformat(each["update_time"]) >= since
            ]
        found.sort(key=lambda each: (each["update_time"], each["id"]))
        start, limit = int(asked.get("cursor", 0)), min(int(asked["limit"]), 3)
        more = {"next_cursor": str(start + limit) if len(found) > start + limit else None}
        return _fine(found[start : start + limit], more) if "ids" not in asked else _fine(found)

    def _made(self, kind: str, told: Record) -> tuple[int, Any]:
        if kind == "deals" and (error := self._error(told, {"status": "open"})):
            return 400, {"success": False, "error": error}
        if kind == "persons" and any(" " in each["value"] for each in told["emails"]):
            return 400, {"success": False, "error": "emails are not valid"}
        record: Record = {"id": int(self.number()), "custom_fields": {}, "is_deleted": False}
        if kind == "deals":
            record |= {"stage_id": 11, "status": "open", "value": 0}
        record |= told
        self.records[kind][str(record["id"])] = record
        self.logs[str(record["id"])] = []
        self._tick(record)
        if kind == "deals":
            self._ring(record)
        return 201, {"success": True, "data": record}

    def _patched(self, id: str, told: Record) -> tuple[int, Any]:
        record = self.records["deals"].get(id)
        if record is None or record["is_deleted"]:
            return 404, {"success": False, "error": "Deal not found"}
        if error := self._error(told, record):
            return 400, {"success": False, "error": error}
        self._change(record, told, US, "api")
        return _fine(record)

    def _error(self, told: Record, record: Record) -> str | None:
        status = told.get("status", record["status"])
        wrong = [
            name
            for name, kind in {"value": float, "stage_id": int, "owner_id": int}.items()
            if name in told and type(told[name]) is not kind
        ]
        if wrong or ("stage_id" in told and str(told["stage_id"]) not in STAGES):
            return f"invalid {wrong or 'stage'}"
        if told.get("value", 0) > 1e9:
            return "value is too large"
        if "lost_reason" in told and status != "lost":
            return "lost_reason can only be set if the deal is lost"
        return None

    def _change(self, record: Record, told: Record, user: int, source: str) -> None:
        self._tick(record)
        custom = told.pop("custom_fields", {})
        for name, value in told.items():
            if record.get(name) != value:
                entry = {"field_key": name, "old_value": _text(record.get(name))}
                entry |= {"new_value": _text(value), "actor_user_id": user, "change_source": source}
                self.logs[str(record["id"])].append(
                    entry | {"time": f"{self.at:%Y-%m-%d %H:%M:%S}"}
                )
        record |= told
        record["custom_fields"] = record["custom_fields"] | custom
        self._ring(record)

    def _ring(self, record: Record) -> None:
        meta = {"action": "change", "entity": "deal", "entity_id": str(record["id"])}
        self.bells.append({"meta": meta})

    def _tick(self, record: Record) -> None:
        self.at += dt.timedelta(milliseconds=300)
        record["update_time"] = f"{self.at:%Y-%m-%dT%H:%M:%SZ}"


def stage_of(record: Record) -> str:
    return str(record["status"] if record["status"] in ("won", "lost") else record["stage_id"])


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _fine(data: Any, more: Record | None = None) -> tuple[int, Any]:
    return 200, {"success": True, "data": data, "additional_data": more or {}}


@contextlib.contextmanager
def a_company() -> Iterator[Company]:
    """Serve a company's Pipedrive."""
    company = Company()
    with serving(company):
        yield company

"""A portal of HubSpot that stands in for the real one: stateful, over HTTP, and out of order.

It answers as the documentation of the CRM's API has it. People move, delete and merge deals in it,
and each write rings a bell that waits in ``bells`` to be delivered.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any

import attrs
from starlette.requests import Request

from .services import Service, serving

APP = "4242"
SECRET = "the app's client secret"
ADDRESS = "https://shop.example/hooks/hubspot?of=shop"
STAGES = ("quote", "parked", "saved", "review", "won", "abandoned", "lost", "refunded", "merged")
ADA = 7
"""The user who drags deals in the portal."""


@attrs.define
class Thing:
    """A record: what it holds, and how its stage came about."""

    id: str
    properties: dict[str, str]
    history: list[dict[str, Any]] = attrs.Factory(list)
    is_archived: bool = False
    merged_into: str | None = None


class Portal(Service):
    """The state of a portal."""

    def reset(self) -> None:
        super().reset()
        kinds = ("deals", "contacts", "companies", "tasks")
        self.things: dict[str, dict[str, Thing]] = {kind: {} for kind in kinds}
        self.unique = {"deals": {"ladderpipe_deal"}, "contacts": {"email"}}
        self.unique["companies"] = {"ladderpipe_company"}
        self.properties = {"deals": {"closed_lost_reason"}, "contacts": set(), "companies": set()}
        self.pairs: set[tuple[str, str]] = set()
        self.task_pairs: set[tuple[str, str]] = set()
        self.poisoned: set[str] = set()
        self.unseen: set[str] = set()
        """Ids that a search does not show yet."""
        self.instants = 0

    # What people do.

    def drag(self, id: str, stage: str, **properties: str) -> None:
        with self.lock:
            self._set(self.things["deals"][id], {"dealstage": stage, **properties}, by_us=False)

    def edit(self, id: str) -> None:
        with self.lock:
            self.things["deals"][id].properties["amount"] = "1"

    def catch_up(self) -> None:
        """Let searches show what there is by now."""
        self.unseen = set()

    def delete(self, id: str) -> None:
        with self.lock:
            self.things["deals"][id].is_archived = True
            self.bells.append({"subscriptionType": "deal.deletion", "objectId": int(id)})

    def merge(self, primary: str, other: str) -> str:
        """Merge two deals, as HubSpot does: into a third."""
        with self.lock:
            first, second = self.things["deals"][primary], self.things["deals"][other]
            made = Thing(self.number(), second.properties | first.properties)
            earlier = first.properties.get("hs_merged_object_ids", "").split(";")
            earlier += second.properties.get("hs_merged_object_ids", "").split(";")
            ids = [each for each in [*earlier, primary, other] if each]
            made.properties["hs_merged_object_ids"] = ";".join(ids)
            made.history = sorted(first.history + second.history, key=lambda it: it["timestamp"])
            self.things["deals"][made.id] = made
            for each in (first, second):
                each.is_archived, each.merged_into = True, made.id
            bell = {
                "subscriptionType": "deal.merge",
                "objectId": int(made.id),
                "primaryObjectId": int(primary),
                "mergedObjectIds": [int(other)],
                "newObjectId": int(made.id),
            }
            self.bells.append(bell)
            return made.id

    # What a test looks at.

    def deals(self) -> dict[str, Thing]:
        """Return the deals that are there, by our ids."""
        with self.lock:
            return {
                thing.properties["ladderpipe_deal"]: thing
                for thing in self.things["deals"].values()
                if not thing.is_archived and "ladderpipe_deal" in thing.properties
            }

    def count(self) -> int:
        return sum(not thing.is_archived for thing in self.things["deals"].values())

    def signed(
        self, bells: list[dict[str, Any]], secret: str = SECRET
    ) -> tuple[dict[str, str], bytes]:
        """Return headers and body of a delivery."""
        body = json.dumps(bells).encode()
        at = str(int(self.clock.now().timestamp() * 1000))
        text = b"POST" + ADDRESS.encode() + body + at.encode()
        signature = base64.b64encode(hmac.digest(secret.encode(), text, hashlib.sha256)).decode()
        return {"X-HubSpot-Signature-v3": signature, "X-HubSpot-Request-Timestamp": at}, body

    # The API.

    def is_let_in(self, request: Request) -> bool:
        return request.headers.get("authorization") == "Bearer token"

    def headers(self) -> dict[str, str]:
        most, seconds = self.allowed
        return {
            "X-HubSpot-RateLimit-Max": str(most),
            "X-HubSpot-RateLimit-Interval-Milliseconds": str(int(seconds * 1000)),
        }

    def route(self, request: Request, path: list[str], told: dict[str, Any]) -> tuple[int, Any]:
        match path:
            case ["crm", "v3", "pipelines", "deals"]:
                stages = [{"id": f"s-{name}", "label": name.title()} for name in STAGES]
                return 200, {"results": [{"id": "shop", "label": "Shop", "stages": stages}]}
            case ["crm", "v3", "properties", kind, name]:
                if name in self.unique[kind] or name in self.properties[kind]:
                    return 200, {"name": name, "hasUniqueValue": name in self.unique[kind]}
                return 404, {"category": "OBJECT_NOT_FOUND"}
            case ["crm", "v3", "owners"]:
                return self._owners(request)
            case ["crm", "v3", "objects", kind, "batch", "upsert"]:
                return self._batch(kind, told["inputs"], self._upsert)
            case ["crm", "v3", "objects", kind, "batch", "update"]:
                return self._batch(kind, told["inputs"], self._update)
            case ["crm", "v3", "objects", kind, "batch", "read"]:
                return self._read(kind, told)
            case ["crm", "v3", "objects", "companies", "search"]:
                return self._search(told)
            case ["crm", "v3", "objects", "tasks"]:
                return self._task(told)
            case ["crm", "v3", "objects", "deals", id]:
                thing = self.things["deals"].get(id)
                while thing is not None and thing.merged_into is not None:
                    thing = self.things["deals"][thing.merged_into]
                if thing is None or thing.is_archived:
                    return 404, {"category": "OBJECT_NOT_FOUND", "message": "not found"}
                return 200, self._shown(thing)
            case ["crm", "v4", "associations", "deals", _, "batch", "associate", "default"]:
                return self._associate(told["inputs"])
            case ["crm", "v4", "objects", "deals", id, "associations", "tasks"]:
                found = [{"toObjectId": int(task)} for deal, task in self.task_pairs if deal == id]
                return 200, {"results": found}
        return 404, {"message": f"nothing at {'/'.join(path)}"}

    def _owners(self, request: Request) -> tuple[int, Any]:
        owners = [{"id": "90", "email": "Gino@shop.example"}, {"id": "91", "email": None}]
        if request.query_params.get("after") != "1":
            return 200, {"results": owners[1:], "paging": {"next": {"after": "1"}}}
        return 200, {"results": owners[:1]}

    def _batch(self, kind: str, inputs: list[dict[str, Any]], work: Any) -> tuple[int, Any]:
        ids = [each["id"] for each in inputs]
        if not 1 <= len(ids) <= 100 or len(set(ids)) != len(ids):
            return 400, {"category": "VALIDATION_ERROR", "message": "too many, none, or one twice"}
        invalid = [each for each in inputs if self._is_invalid(kind, each["properties"])]
        if invalid:
            return 400, {
                "category": "VALIDATION_ERROR",
                "message": "Property values were not valid",
            }
        results, errors = [], []
        for each in inputs:
            if self.poisoned & {each["id"], each["properties"].get("ladderpipe_deal")}:
                errors.append({"category": "CONFLICT", "message": "cannot be updated now"})
                continue
            result = work(kind, each)
            if result is None:
                errors.append({"category": "OBJECT_NOT_FOUND", "context": {"ids": [each["id"]]}})
            else:
                results.append(result)
        answer = {"status": "COMPLETE", "results": results}
        if errors:
            return 207, answer | {"numErrors": len(errors), "errors": errors}
        return 200, answer

    def _is_invalid(self, kind: str, told: dict[str, str]) -> bool:
        stage, amount = told.get("dealstage"), told.get("amount")
        return (
            (stage is not None and stage.removeprefix("s-") not in STAGES)
            or (amount is not None and len(amount) > 15)
            or (kind == "contacts" and " " in told.get("email", ""))
        )

    def _upsert(self, kind: str, told: dict[str, Any]) -> dict[str, Any]:
        by, id = told["idProperty"], told["id"]
        assert by in self.unique[kind]
        known = [
            thing
            for thing in self.things[kind].values()
            if thing.properties.get(by) == id and not thing.is_archived
        ]
        thing = known[0] if known else Thing(self.number(), {})
        self.things[kind][thing.id] = thing
        self._set(thing, {by: id, **told["properties"]}, by_us=True)
        return self._shown(thing) | {"new": not known}

    def _update(self, kind: str, told: dict[str, Any]) -> dict[str, Any] | None:
        thing = self.things[kind].get(told["id"])
        if thing is None or thing.is_archived:
            return None
        self._set(thing, told["properties"], by_us=True)
        return self._shown(thing)

    def _read(self, kind: str, told: dict[str, Any]) -> tuple[int, Any]:
        ids = [each["id"] for each in told["inputs"]]
        if len(ids) > (50 if told.get("propertiesWithHistory") else 100):
            return 400, {"message": "too many"}
        found = [self.things[kind][id] for id in ids if id in self.things[kind]]
        results = [self._shown(thing) for thing in found if not thing.is_archived]
        errors = [{"category": "OBJECT_NOT_FOUND"}] * (len(ids) > len(results))
        return (207 if errors else 200), {"results": results, "errors": errors}

    def _search(self, told: dict[str, Any]) -> tuple[int, Any]:
        [asked] = told["filterGroups"][0]["filters"]
        found = [
            {"id": thing.id, "properties": thing.properties}
            for thing in self.things["companies"].values()
            if thing.properties.get("domain") in asked["values"] and thing.id not in self.unseen
        ]
        return 200, {"results": found[: told["limit"]]}

    def _task(self, told: dict[str, Any]) -> tuple[int, Any]:
        task = Thing(self.number(), told["properties"])
        self.things["tasks"][task.id] = task
        for each in told["associations"]:
            self.task_pairs.add((str(each["to"]["id"]), task.id))
        return 201, self._shown(task)

    def _associate(self, inputs: list[dict[str, Any]]) -> tuple[int, Any]:
        pairs = [(each["from"]["id"], each["to"]["id"]) for each in inputs]
        self.pairs.update(pairs)
        return 200, {"results": [{"from": {"id": a}, "to": {"id": b}} for a, b in pairs]}

    def _set(self, thing: Thing, told: dict[str, str], *, by_us: bool) -> None:
        stage = told.get("dealstage")
        if stage is not None and thing.properties.get("dealstage") != stage:
            source = {"sourceType": "INTEGRATION", "sourceId": APP}
            if not by_us:
                source = {"sourceType": "CRM_UI", "sourceId": f"userId:{ADA}"}
                source["updatedByUserId"] = str(ADA)
            entry = {"value": stage, "timestamp": self._instant(), **source}
            thing.history.append(entry)
            bell = {"subscriptionType": "deal.propertyChange", "objectId": int(thing.id)}
            self.bells.append(bell | {"propertyName": "dealstage", "propertyValue": stage})
        thing.properties |= told

    def _shown(self, thing: Thing) -> dict[str, Any]:
        return {
            "id": thing.id,
            "properties": dict(thing.properties),
            "propertiesWithHistory": {"dealstage": thing.history[::-1]},
        }

    def _instant(self) -> str:
        self.instants += 1
        seconds, thousandths = divmod(self.instants, 1000)
        return f"2026-01-05T09:{seconds // 60:02}:{seconds % 60:02}.{thousandths:03}Z"


@contextlib.contextmanager
def a_portal() -> Iterator[Portal]:
    """Serve a portal."""
    portal = Portal()
    with serving(portal):
        yield portal

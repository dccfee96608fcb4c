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
import socket
import threading
from collections import Counter, deque
from collections.abc import Iterator
from typing import Any, Literal

import attrs
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ladderpipe import ManualClock

from .senders import NOW

APP = "4242"
SECRET = "the app's client secret"
ADDRESS = "https://shop.example/hooks/hubspot?of=shop"
STAGES = ("quote", "parked", "saved", "review", "won", "abandoned", "lost", "refunded", "merged")
ADA = 7
"""The user who drags deals in the portal."""

Fault = Literal["busy", "broken", "done but broken"]


class Time:
    """Seconds that pass when somebody waits."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.pauses: list[float] = []

    def ticking(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@attrs.define
class Thing:
    """A record: what it holds, and how its stage came about."""

    id: str
    properties: dict[str, str]
    history: list[dict[str, Any]] = attrs.Factory(list)
    is_archived: bool = False
    merged_into: str | None = None


class Portal:
    """The state of a portal, and what goes wrong next."""

    def __init__(self, time: Time, clock: ManualClock) -> None:
        self.time, self.clock = time, clock
        self.url = ""
        self.lock = threading.RLock()
        self.reset()

    def reset(self) -> None:
        kinds = ("deals", "contacts", "companies", "tasks")
        self.things: dict[str, dict[str, Thing]] = {kind: {} for kind in kinds}
        self.unique = {"deals": {"ladderpipe_deal"}, "contacts": {"email"}}
        self.unique["companies"] = {"ladderpipe_company"}
        self.properties = {"deals": {"closed_lost_reason"}, "contacts": set(), "companies": set()}
        self.pairs: set[tuple[str, str]] = set()
        self.task_pairs: set[tuple[str, str]] = set()
        self.faults: deque[Fault | None] = deque()
        self.faults_at: dict[str, list[Fault]] = {}
        self.bells: list[dict[str, Any]] = []
        self.poisoned: set[str] = set()
        self.unseen: set[str] = set()
        """Ids that a search does not show yet."""
        self.calls: Counter[str] = Counter()
        self.sent: deque[float] = deque()
        self.allowed = (100, 10.0)
        self.most_in_a_window = 0
        self.numbers = 100
        self.instants = 0

    # What people do.

    def drag(self, id: str, stage: str, **properties: str) -> None:
        with self.lock:
            self._set(self.things["deals"][id], {"dealstage": stage, **properties}, by_us=False)

    def delete(self, id: str) -> None:
        with self.lock:
            self.things["deals"][id].is_archived = True
            self.bells.append({"subscriptionType": "deal.deletion", "objectId": int(id)})

    def merge(self, primary: str, other: str) -> str:
        """Merge two deals, as HubSpot does: into a third."""
        with self.lock:
            first, second = self.things["deals"][primary], self.things["deals"][other]
            made = Thing(self._number(), second.properties | first.properties)
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

    async def answer(self, request: Request) -> Response:
        body = await request.body()
        return await run_in_threadpool(self._answer, request, json.loads(body) if body else {})

    def _answer(self, request: Request, told: dict[str, Any]) -> Response:
        with self.lock:
            path = request.url.path
            self.calls[path] += 1
            most, seconds = self.allowed
            while self.sent and self.sent[0] <= self.time.now - seconds:
                self.sent.popleft()
            self.sent.append(self.time.now)
            self.most_in_a_window = max(self.most_in_a_window, len(self.sent))
            fault = self.faults.popleft() if self.faults else None
            if at_this := self.faults_at.get(path):
                fault = at_this.pop(0)
            if len(self.sent) > most or fault == "busy":
                return JSONResponse({"category": "RATE_LIMITS"}, 429, {"Retry-After": "3"})
            if fault == "broken":
                return JSONResponse({}, 500)
            if request.headers.get("authorization") != "Bearer token":
                return JSONResponse({"category": "INVALID_AUTHENTICATION"}, 401)
            status, answer = self._route(request, path.strip("/").split("/"), told)
            if fault == "done but broken":
                return Response("bad gateway", 502)
            headers = {
                "X-HubSpot-RateLimit-Max": str(most),
                "X-HubSpot-RateLimit-Interval-Milliseconds": str(int(seconds * 1000)),
            }
            return JSONResponse(answer, status, headers)

    def _route(self, request: Request, path: list[str], told: dict[str, Any]) -> tuple[int, Any]:
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
        thing = known[0] if known else Thing(self._number(), {})
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
        task = Thing(self._number(), told["properties"])
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

    def _number(self) -> str:
        self.numbers += 1
        return str(self.numbers)

    def _instant(self) -> str:
        self.instants += 1
        seconds, thousandths = divmod(self.instants, 1000)
        return f"2026-01-05T09:{seconds // 60:02}:{seconds % 60:02}.{thousandths:03}Z"


@contextlib.contextmanager
def a_portal() -> Iterator[Portal]:
    """Serve a portal on a free port of this machine."""
    portal = Portal(Time(), ManualClock(NOW))
    route = Route("/{rest:path}", portal.answer, methods=["GET", "POST"])
    with socket.create_server(("127.0.0.1", 0)) as listening:
        settings = uvicorn.Config(Starlette(routes=[route]), log_level="warning", lifespan="off")
        server = uvicorn.Server(settings)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        portal.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        try:
            yield portal
        finally:
            server.should_exit = True
            thread.join()

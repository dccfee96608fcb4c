"""HubSpot: deals in a pipeline of its CRM, and the webhooks that ring when something happens there.

See https://developers.hubspot.com/docs/api-reference/crm-deals-v3/guide and
https://developers.hubspot.com/docs/apps/developer-platform/build-apps/authentication/request-validation.
Its official Python client was left alone: it had no release since May 2025, weighs 52 MB, and gives
neither a pace nor a way to split what was refused, which is most of what is needed here.
"""

from __future__ import annotations

import datetime as dt
import re
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NamedTuple

from ..errors import InvalidEventError
from ..model.clock import Clock, instant
from ..model.money import amount_text
from . import payload as read
from .address import checked_url
from .connector import MAX_BYTES, TOLERANCE, Doorbell, Refused
from .crm.http import CrmHttp, Pace, checked_token, json_of
from .crm.mapping import CrmMap, listed
from .crm.protocol import Assignment, CrmDeal, CrmError, FoundDeal, StageChange, Written
from .payload import word
from .request import Headers, base64_hmac, is_one_of

__all__ = ["HubSpot", "HubSpotWebhooks"]

_URL: Final = "https://api.hubapi.com"
_ALLOWED: Final = (100, 10.0)
"""Requests in seconds that the smallest portal allows; a larger one says so in its answers."""
_MOST: Final = 100
"""Records in a request; of those that are read with a history, half as many."""
_AMOUNTS: Final = ("amount",)
_INSTANTS: Final = ("closedate",)
_NOT_THERE: Final = 404
_OF_THE_REQUEST: Final = {400, 404, 409, 413, 414, 422}
_LONGEST_REASON: Final = 300
_TASK_OF_DEAL: Final = 216
"""How HubSpot numbers the association of a task with a deal."""


class _Input(NamedTuple):
    """One record of a batch: its key, as answers say it, and what is sent of it."""

    key: str
    body: Mapping[str, Any]


class _Refusal(NamedTuple):
    """Why a record is not taken."""

    reason: str
    is_missing: bool


class HubSpot:
    """A portal's deals, contacts and companies.

    Args:
        token: of a private app, or an OAuth access token.
        mapping: the portal's names of stages.
        app: id of the app that the token is of; what it has written is ours.
        deal_property: a deal property of your own, single-line text, that has unique values: it
            holds our id.
        company_property: likewise of companies, for the domain; ``None`` leaves companies out.
        share: which part of what the portal allows is ours; other apps live of the rest.
        timeout: seconds to connect, and between two parts of an answer.

    Raises:
        DefinitionError: the token is empty, the share is none, or the URL is not ``https``.
        ModuleNotFoundError: httpx is not installed.
    """

    name = "hubspot"
    batch = _MOST

    def __init__(
        self,
        token: str,
        mapping: CrmMap,
        *,
        app: str | int,
        deal_property: str = "ladderpipe_deal",
        company_property: str | None = "ladderpipe_company",
        share: float = 0.5,
        timeout: float = 30.0,
        url: str = _URL,
        pause: Callable[[float], object] = time.sleep,
        ticking: Callable[[], float] = time.monotonic,
    ) -> None:
        self._map, self._app = mapping, str(app)
        self._deal, self._company = deal_property, company_property
        self._pace = Pace(*_ALLOWED, share, pause, ticking)
        headers = {"Authorization": f"Bearer {checked_token(token)}"}
        self._http = CrmHttp(
            checked_url(url, plain_http=False), headers, self._pace, timeout, self._learn
        )
        self._owners: tuple[float, dict[str, str]] | None = None
        self._ticking = ticking

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _learn(self, headers: Mapping[str, str]) -> None:
        most = headers.get("x-hubspot-ratelimit-max", "")
        milliseconds = headers.get("x-hubspot-ratelimit-interval-milliseconds", "")
        if most.isdecimal() and milliseconds.isdecimal():
            self._pace.allow(int(most), int(milliseconds) / 1000)

    # What has to be set up.

    def check(self) -> list[str]:
        """Return what the portal lacks, in words; nothing is written."""
        found = [*self._check_stages(), *self._check_property("deals", self._deal, unique=True)]
        if self._company is not None:
            found += self._check_property("companies", self._company, unique=True)
        for theirs in self._map.properties.values():
            found += self._check_property("deals", theirs, unique=False)
        return found

    def _check_stages(self) -> list[str]:
        answer = self._http.call("GET", "/crm/v3/pipelines/deals")
        pipelines = {each["id"]: each for each in _results(answer)}
        pipeline = pipelines.get(self._map.pipeline)
        if pipeline is None:
            names = _labels(pipelines.values())
            return [f"no pipeline {self._map.pipeline!r}; there are {listed(names)}"]
        return self._map.missing(_labels(pipeline["stages"]))

    def _check_property(self, kind: str, name: str, *, unique: bool) -> list[str]:
        answer = self._http.call("GET", f"/crm/v3/properties/{kind}/{name}")
        wanted = "single-line text, with unique values" if unique else "single-line text"
        if answer.status_code == _NOT_THERE:
            return [f"{kind} have no property {name!r}: create it, {wanted}"]
        if unique and not json_of(answer).get("hasUniqueValue"):
            return [
                f"property {name!r} of {kind} has no unique values, and that cannot be changed: "
                f"create another one, {wanted}"
            ]
        return []

    # What is written.

    def fields(self, deal: CrmDeal) -> Mapping[str, str]:
        """Return the properties of a deal that are known."""
        told = {
            "dealname": deal.title,
            "pipeline": self._map.pipeline,
            "dealstage": deal.stage,
            "amount": "" if deal.value is None else amount_text(deal.value),
            "deal_currency_code": (deal.currency or "") if deal.value is not None else "",
            "closedate": "" if deal.closed_at is None else _instant_text(deal.closed_at),
            "hubspot_owner_id": self._owner(deal.owner) or "",
            **deal.properties,
        }
        return {name: _normal(name, text) for name, text in told.items() if text}

    def write(self, deals: Sequence[CrmDeal]) -> Written:
        """Create or update deals, with their contacts and companies."""
        written = Written()
        people = [deal for deal in deals if deal.has_new_people]
        contacts = self._contacts(people, written)
        companies = self._companies(people, written)
        known = [deal for deal in deals if deal.object is not None]
        self._update(known, written)
        self._upsert([deal for deal in deals if deal.object is None], written)
        self._associate("contacts", people, written, contacts, "email", "contact")
        self._associate("companies", people, written, companies, "domain", "company")
        return written

    def _update(self, deals: Sequence[CrmDeal], written: Written) -> None:
        path = "/crm/v3/objects/deals/batch/update"
        by_object = {str(deal.object): deal.id for deal in deals}
        inputs = [
            _Input(str(deal.object), {"id": deal.object, "properties": self.fields(deal)})
            for deal in deals
        ]
        done, refused = self._in_parts(path, inputs, lambda result: str(result["id"]))
        written.objects.update((by_object[object], object) for object in done)
        for object, refusal in refused.items():
            if refusal.is_missing:
                written.missing.add(by_object[object])
            else:
                written.rejected[by_object[object]] = refusal.reason

    def _upsert(self, deals: Sequence[CrmDeal], written: Written) -> None:
        inputs = [
            self._upserted(self._deal, deal.id, {**self.fields(deal), self._deal: deal.id})
            for deal in deals
        ]
        done, refused = self._upsert_all("deals", self._deal, inputs)
        for id, result in done.items():
            written.objects[id] = str(result["id"])
            if result.get("new"):
                written.created.add(id)
        written.rejected.update((id, refusal.reason) for id, refusal in refused.items())

    def _contacts(self, deals: Sequence[CrmDeal], written: Written) -> dict[str, str]:
        inputs = {
            deal.contact["email"]: self._upserted(
                "email", deal.contact["email"], _contact_properties(deal.contact)
            )
            for deal in deals
            if deal.contact
        }
        done, refused = self._upsert_all("contacts", "email", list(inputs.values()))
        for deal in deals:
            if deal.contact and deal.contact["email"] in refused:
                reason = refused[deal.contact["email"]].reason
                written.troubles[deal.id] = f"its contact is not taken: {reason}"
        return {address: str(result["id"]) for address, result in done.items()}

    def _companies(self, deals: Sequence[CrmDeal], written: Written) -> dict[str, str]:
        companies = {deal.company["domain"]: deal.company for deal in deals if deal.company}
        if self._company is None or not companies:
            return {}
        # Salespeople have made companies, too. What this search does not show yet is ours.
        found = self._companies_found(list(companies))
        inputs = [
            self._upserted(
                self._company,
                domain,
                {self._company: domain, "domain": domain, "name": company.get("name", domain)},
            )
            for domain, company in companies.items()
            if domain not in found
        ]
        done, refused = self._upsert_all("companies", self._company, inputs)
        for deal in deals:
            if deal.company and deal.company["domain"] in refused:
                reason = refused[deal.company["domain"]].reason
                written.troubles[deal.id] = f"its company is not taken: {reason}"
        return found | {domain: str(result["id"]) for domain, result in done.items()}

    def _companies_found(self, domains: Sequence[str]) -> dict[str, str]:
        asked = {"propertyName": "domain", "operator": "IN", "values": list(domains)}
        answer = self._http.call(
            "POST",
            "/crm/v3/objects/companies/search",
            {
                "filterGroups": [{"filters": [asked]}],
                "properties": ["domain"],
                "sorts": ["hs_object_id"],
                "limit": _MOST,
            },
        )
        found: dict[str, str] = {}
        for result in _results(answer):
            domain = (result["properties"].get("domain") or "").lower()
            found.setdefault(domain, str(result["id"]))
        return found

    def _associate(
        self,
        kind: str,
        deals: Sequence[CrmDeal],
        written: Written,
        known: Mapping[str, str],
        key: str,
        of: str,
    ) -> None:
        inputs = []
        for deal in deals:
            other, object = known.get(getattr(deal, of).get(key, "")), written.objects.get(deal.id)
            if other is not None and object is not None:
                pair = {"from": {"id": object}, "to": {"id": other}}
                inputs.append(_Input(f"{object}:{other}", pair))
        path = f"/crm/v4/associations/deals/{kind}/batch/associate/default"
        _, refused = self._in_parts(path, inputs, _pair_of)
        by_object = {object: deal for deal, object in written.objects.items()}
        for pair_key, refusal in refused.items():
            deal_id = by_object[pair_key.partition(":")[0]]
            written.troubles[deal_id] = f"its {of} is not associated: {refusal.reason}"

    def _upserted(self, property: str, key: str, told: Mapping[str, str]) -> _Input:
        return _Input(key, {"id": key, "idProperty": property, "properties": told})

    def _upsert_all(
        self, kind: str, property: str, inputs: Sequence[_Input]
    ) -> tuple[dict[str, Any], dict[str, _Refusal]]:
        path = f"/crm/v3/objects/{kind}/batch/upsert"
        return self._in_parts(path, inputs, lambda it: str(it["properties"].get(property)))

    def _in_parts(
        self, path: str, inputs: Sequence[_Input], key_of: Callable[[Any], str]
    ) -> tuple[dict[str, Any], dict[str, _Refusal]]:
        """Send records; where some are refused, in halves until each of those stands alone."""
        done: dict[str, Any] = {}
        refused: dict[str, _Refusal] = {}
        waiting = [inputs[start : start + _MOST] for start in range(0, len(inputs), _MOST)]
        while waiting:
            part = waiting.pop()
            answer = self._http.call("POST", path, {"inputs": [one.body for one in part]})
            told = json_of(answer)
            if answer.is_success:
                done.update((key_of(result), result) for result in told.get("results", ()))
            elif answer.status_code not in _OF_THE_REQUEST:
                raise CrmError(f"POST {path} is answered {answer.status_code}")
            left = [one for one in part if one.key not in done]
            if len(left) == len(part) == 1:
                refused[left[0].key] = _refusal(answer.status_code, told)
            elif left:
                # Those that 207 has left out go together; others are looked for by halves.
                half = len(left) if len(left) < len(part) else (len(left) + 1) // 2
                waiting += [rest for rest in (left[:half], left[half:]) if rest]
        return done, refused

    def _owner(self, address: str | None) -> str | None:
        if address is None or "@" not in address:
            return None
        if self._owners is None or self._ticking() - self._owners[0] > 600:
            self._owners = (self._ticking(), dict(self._owners_read()))
        return self._owners[1].get(address.lower())

    def _owners_read(self) -> Iterator[tuple[str, str]]:
        params: dict[str, Any] = {"limit": _MOST}
        while True:
            answer = self._http.call("GET", "/crm/v3/owners", params=params)
            for owner in _results(answer):
                if owner.get("email"):
                    yield owner["email"].lower(), str(owner["id"])
            after = json_of(answer).get("paging", {}).get("next", {}).get("after")
            if after is None:
                return
            params["after"] = after

    # What is read.

    def read(self, objects: Mapping[str, dt.datetime | None]) -> Mapping[str, FoundDeal]:
        """Return deals with the history of their stage."""
        found = self._read_many(objects)
        for object in objects:
            if object not in found and (other := self._read_one(object)) is not None:
                found[object] = other
        return {object: found[object] for object in objects if object in found}

    def read_restored(self, objects: Collection[str]) -> Mapping[str, FoundDeal]:
        """Return those of deleted deals that somebody has taken out of the recycling bin."""
        return self._read_many(objects)

    def _read_many(self, objects: Iterable[str]) -> dict[str, FoundDeal]:
        found: dict[str, FoundDeal] = {}
        names = list(objects)
        for start in range(0, len(names), _MOST // 2):
            part = names[start : start + _MOST // 2]
            answer = self._http.call(
                "POST",
                "/crm/v3/objects/deals/batch/read",
                {
                    "inputs": [{"id": object} for object in part],
                    "properties": self._read_properties(),
                    "propertiesWithHistory": ["dealstage"],
                },
            )
            if not answer.is_success and answer.status_code not in _OF_THE_REQUEST:
                raise CrmError(f"deals cannot be read: HubSpot answers {answer.status_code}")
            results = json_of(answer).get("results", ()) if answer.is_success else ()
            found |= {deal.object: deal for deal in map(self._found, results)}
        return found

    def _read_one(self, object: str) -> FoundDeal | None:
        """Return a deal, which may be the one that this one was merged into."""
        answer = self._http.call(
            "GET",
            f"/crm/v3/objects/deals/{object}",
            params={
                "properties": ",".join(self._read_properties()),
                "propertiesWithHistory": "dealstage",
            },
        )
        if answer.is_success:
            return self._found(json_of(answer))
        if answer.status_code not in _OF_THE_REQUEST:
            raise CrmError(f"deal {object} cannot be read: HubSpot answers {answer.status_code}")
        return None

    def _read_properties(self) -> list[str]:
        return [
            self._deal,
            "dealname",
            "pipeline",
            "dealstage",
            "amount",
            "deal_currency_code",
            "closedate",
            "hubspot_owner_id",
            "hs_merged_object_ids",
            *self._map.properties.values(),
        ]

    def _found(self, result: Mapping[str, Any]) -> FoundDeal:
        told = {name: str(value) for name, value in result["properties"].items() if value}
        history = (result.get("propertiesWithHistory") or {}).get("dealstage") or ()
        changes = sorted(map(self._change, history), key=lambda each: each.at, reverse=True)
        return FoundDeal(
            object=str(result["id"]),
            deal=told.get(self._deal),
            fields={name: _normal(name, text) for name, text in told.items()},
            changes=changes,
            merged=[each for each in told.get("hs_merged_object_ids", "").split(";") if each],
            properties=told,
        )

    def _change(self, told: Mapping[str, Any]) -> StageChange:
        source, user = str(told.get("sourceId") or ""), told.get("updatedByUserId")
        kind = str(told.get("sourceType") or told.get("source") or "")
        is_ours = kind in ("INTEGRATION", "API") and source == self._app
        by = user or source.removeprefix("userId:") or kind.lower() or "somebody"
        at = instant(told["timestamp"])
        return StageChange(stage=str(told["value"]), at=at, by=str(by), is_ours=is_ours)

    # What owners are told.

    def assign(self, assignment: Assignment, object: str, owner: str | None) -> str | None:
        """Make a task for the owner of a deal, unless there is one for this key."""
        mark = f"[{assignment.key}]"
        if self._has_task(object, mark):
            return None
        told = {
            "hs_task_subject": assignment.title,
            "hs_task_body": f"{assignment.body}\n\n{mark}",
            "hs_task_status": "NOT_STARTED",
            "hs_timestamp": _instant_text(dt.datetime.now(dt.UTC)),
        }
        if (user := self._owner(owner)) is not None:
            told["hubspot_owner_id"] = user
        kind = {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": _TASK_OF_DEAL}
        body = {"properties": told, "associations": [{"to": {"id": object}, "types": [kind]}]}
        answer = self._http.call("POST", "/crm/v3/objects/tasks", body, may_repeat=False)
        return None if answer.is_success else _refusal(answer.status_code, json_of(answer)).reason

    def _has_task(self, object: str, mark: str) -> bool:
        answer = self._http.call("GET", f"/crm/v4/objects/deals/{object}/associations/tasks")
        ids = [{"id": str(each["toObjectId"])} for each in _results(answer)]
        for start in range(0, len(ids), _MOST):
            part = {"inputs": ids[start : start + _MOST], "properties": ["hs_task_body"]}
            answer = self._http.call("POST", "/crm/v3/objects/tasks/batch/read", part)
            bodies = (each["properties"].get("hs_task_body") or "" for each in _results(answer))
            if any(mark in body for body in bodies):
                return True
        return False


def _results(answer: Any) -> Sequence[Mapping[str, Any]]:
    if not answer.is_success:
        return ()
    found: Sequence[Mapping[str, Any]] = json_of(answer).get("results", ())
    return found


def _refusal(status: int, told: Mapping[str, Any]) -> _Refusal:
    details = [told, *told.get("errors", ())]
    said = [str(each["message"]) for each in details if each.get("message")]
    is_missing = status == _NOT_THERE or any(
        each.get("category") == "OBJECT_NOT_FOUND" for each in details
    )
    reason = said[-1] if said else f"HubSpot answers {status}"
    return _Refusal(reason[:_LONGEST_REASON], is_missing)


def _pair_of(result: Mapping[str, Any]) -> str:
    return f"{result['from']['id']}:{result['to']['id']}"


def _labels(records: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    return {each["id"]: str(each.get("label", "")) for each in records}


def _contact_properties(contact: Mapping[str, str]) -> dict[str, str]:
    first, _, last = contact.get("name", "").partition(" ")
    told = {
        "email": contact["email"],
        "firstname": contact.get("first_name", first),
        "lastname": contact.get("last_name", last.strip()),
        "phone": contact.get("phone", ""),
    }
    return {name: text for name, text in told.items() if text}


def _normal(name: str, text: str) -> str:
    """Return what a property holds in one spelling: HubSpot gives back 12.5 of 12.50."""
    if name in _AMOUNTS:
        try:
            return f"{Decimal(text).normalize():f}"
        except InvalidOperation:
            return text
    if name in _INSTANTS:
        try:
            return _instant_text(instant(text))
        except ValueError:
            return text
    return text


def _instant_text(at: dt.datetime) -> str:
    return f"{at.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z"


class HubSpotWebhooks(Doorbell):
    """Webhooks of HubSpot about deals. They say which deals to look at, and nothing is believed.

    HubSpot signs the address that it calls, too, as it stands in the app's settings.

    Args:
        secrets: the app's client secret; two while it is being replaced.
        address: the whole URL that the app's webhooks go to.
        ring: called with ids of the objects: ``sync.ring``.

    Raises:
        DefinitionError: there is no secret, or one of them is empty.
    """

    def __init__(
        self,
        *,
        secrets: Sequence[str],
        address: str,
        ring: Callable[[Iterable[str]], object],
        clock: Clock | None = None,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        super().__init__(secrets=secrets, ring=ring, clock=clock, max_bytes=max_bytes)
        self._signed = b"POST" + _unescaped(address).encode()

    def check(self, headers: Headers, body: bytes, now: dt.datetime) -> None:
        """Refuse what none of the secrets has signed, by v3, within five minutes of *now*."""
        told = headers.get("x-hubspot-request-timestamp", "")
        if not re.fullmatch(r"\d{1,16}", told, re.ASCII):
            raise Refused("X-HubSpot-Request-Timestamp is no time in milliseconds since 1970")
        if abs(now.timestamp() - int(told) / 1000) > TOLERANCE.total_seconds():
            raise Refused("X-HubSpot-Request-Timestamp is more than five minutes from now")
        signed = self._signed + body + told.encode()
        right = [base64_hmac(key, signed) for key in self._keys]
        if not is_one_of(right, [headers.get("x-hubspot-signature-v3", "")]):
            raise Refused(
                "X-HubSpot-Signature-v3 is no signature of this call by any of the secrets"
            )

    def names(self, headers: Headers, body: bytes) -> set[str]:
        """Return the deals that a delivery names, those that were merged among them."""
        told = read.loaded(body)
        if not isinstance(told, list):
            raise InvalidEventError("HubSpot delivers a list of events, and this is none")
        found: set[str] = set()
        for each in told:
            if not isinstance(each, Mapping):
                raise InvalidEventError(
                    "HubSpot delivers a list of events, and one of these is none"
                )
            kind = word(each.get("subscriptionType")) or ""
            if kind.startswith("deal.") or word(each.get("objectTypeId")) == "0-3":
                merged = each.get("mergedObjectIds")
                ids = [each.get(name) for name in ("objectId", "primaryObjectId", "newObjectId")]
                ids += merged if isinstance(merged, list) else []
                found.update(id for id in map(word, ids) if id is not None and id.isdecimal())
        return found


_ESCAPES: Final = {
    "%3A": ":", "%2F": "/", "%3F": "?", "%40": "@", "%21": "!", "%24": "$", "%27": "'",
    "%28": "(", "%29": ")", "%2A": "*", "%2C": ",", "%3B": ";",
}  # fmt: skip
"""Those that HubSpot spells out before it signs, and no others."""


def _unescaped(address: str) -> str:
    return re.sub("%[0-9A-Fa-f]{2}", lambda it: _ESCAPES.get(it[0].upper(), it[0]), address)

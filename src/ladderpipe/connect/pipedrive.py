"""Pipedrive: deals in one of its pipelines, and the webhooks that ring when something happens.

See https://developers.pipedrive.com/docs/api/v1/Deals (version 2, and the changelog of version 1).
It knows no upsert, and what was just written a search does not find: so a deal is looked for in the
list of what has changed before it is made.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from ..errors import DefinitionError, InvalidEventError
from ..model.clock import instant, instant_text
from ..model.money import amount_text
from . import payload as read
from .address import checked_url
from .connector import Doorbell, Refused
from .crm.http import CrmHttp, Pace, checked_token, json_of, server_time
from .crm.mapping import CrmMap
from .crm.protocol import Assignment, CrmDeal, CrmError, FoundDeal, StageChange, Written
from .payload import word
from .request import Headers, is_one_of

__all__ = ["Pipedrive", "PipedriveWebhooks"]

_ALLOWED: Final = (20, 2.0)
"""Requests in seconds that the smallest plan allows; a larger one says so in its answers."""
_MOST: Final = 100
_PAGE: Final = 500
_NOT_THERE: Final = {404, 410}
_OF_THE_REQUEST: Final = {400, 404, 409, 410, 413, 422}
_LONGEST_REASON: Final = 300
_CLOSED: Final = ("won", "lost")
"""Statuses of Pipedrive, which are stages of ours."""
_LOST_REASON: Final = "lost_reason"
_OVERLAP: Final = dt.timedelta(minutes=5)
_WHOLE_SECOND: Final = dt.timedelta(microseconds=999_999)
_SETTLED: Final = dt.timedelta(seconds=2)


class Pipedrive:
    """A company's deals, persons and organizations.

    Stages of the map are ids of Pipedrive's stages, or ``won`` and ``lost``.

    Args:
        token: of a user of its own: what is done by the API in that user's name is ours.
        company: the first part of the address, ``acme`` of ``acme.pipedrive.com``.
        deal_field: key of a custom text field of deals, 40 letters and digits: it holds our id.
        domain_field: likewise of organizations, for the domain; without one they are left out.
        share: which part of what Pipedrive allows is ours.
        timeout: seconds to connect, and between two parts of an answer.
        url: another address than the company's.

    Raises:
        DefinitionError: the token or a stage is none, or the share is none.
        ModuleNotFoundError: httpx is not installed.
    """

    name = "pipedrive"
    batch = _MOST

    def __init__(
        self,
        token: str,
        mapping: CrmMap,
        *,
        company: str,
        deal_field: str,
        domain_field: str | None = None,
        share: float = 0.5,
        timeout: float = 30.0,
        url: str | None = None,
        pause: Callable[[float], object] = time.sleep,
        ticking: Callable[[], float] = time.monotonic,
    ) -> None:
        self._map, self._deal, self._domain = mapping, deal_field, domain_field
        strange = [each for each in mapping.stages.values() if not _is_stage(each)]
        if strange:
            raise DefinitionError(
                f"{', '.join(map(repr, strange))}: a stage of Pipedrive is a number, won or lost"
            )
        self._pace = Pace(*_ALLOWED, share, pause, ticking)
        where = checked_url(url or f"https://{company}.pipedrive.com", plain_http=False)
        self._http = CrmHttp(
            where, {"x-api-token": checked_token(token)}, self._pace, timeout, self._learn
        )
        self._known: dict[str, str] = {}
        self._listed_up_to: dt.datetime | None = None
        self._me: str | None = None
        self._users: dict[str, int] | None = None

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _learn(self, headers: Mapping[str, str]) -> None:
        most = headers.get("x-ratelimit-limit", "")
        if most.isdecimal():
            self._pace.allow(int(most), _ALLOWED[1])

    # What has to be set up.

    def check(self) -> list[str]:
        """Return what Pipedrive lacks, in words; nothing is written."""
        stages = {
            str(stage["id"]): str(stage.get("name", ""))
            for stage in self._all("/api/v2/stages", pipeline_id=self._map.pipeline)
        }
        if stages:
            found = self._map.missing(stages | dict.fromkeys(_CLOSED, "a status"))
        else:
            found = [f"no pipeline {self._map.pipeline!r}: its number is in its address"]
        names = [self._deal, *self._map.properties.values()]
        found += self._check_fields("deal", "/v1/dealFields", names)
        if self._domain is not None:
            found += self._check_fields("organization", "/v1/organizationFields", [self._domain])
        return found

    def _check_fields(self, kind: str, path: str, names: Sequence[str]) -> Iterator[str]:
        known = {str(each.get("key")) for each in self._all_by_start(path)}
        for name in names:
            if name not in known and name != _LOST_REASON:
                yield f"no {kind} field has the key {name!r}: create a text field, and copy its key"

    # What is written.

    def fields(self, deal: CrmDeal) -> Mapping[str, str]:
        """Return the fields of a deal that are known."""
        owner = self._user(deal.owner)
        told = {
            "title": deal.title,
            "stage": deal.stage,
            "value": "" if deal.value is None else _number(deal.value),
            "currency": (deal.currency or "") if deal.value is not None else "",
            "owner_id": "" if owner is None else str(owner),
            **deal.properties,
        }
        if deal.stage != "lost":
            told.pop(_LOST_REASON, None)  # Pipedrive takes it of lost deals only
        return {name: text for name, text in told.items() if text}

    def write(self, deals: Sequence[CrmDeal]) -> Written:
        """Create or update deals, with their persons and organizations."""
        written = Written()
        if any(deal.object is None for deal in deals):
            self._list_anew()
        for deal in deals:
            self._write(deal, written)
        return written

    def _write(self, deal: CrmDeal, written: Written) -> None:
        body = self._body(deal) | self._people(deal, written)
        object = deal.object or self._known.get(deal.id)
        if object is None:
            answer = self._http.call("POST", "/api/v2/deals", body, may_repeat=False)
        else:
            answer = self._http.call("PATCH", f"/api/v2/deals/{object}", body)
        if answer.is_success:
            made = str(_data(answer)["id"])
            written.objects[deal.id] = self._known[deal.id] = made
            if object is None:
                written.created.add(deal.id)
        elif object is not None and answer.status_code in _NOT_THERE:
            self._known.pop(deal.id, None)
            if deal.object is not None:
                written.missing.add(deal.id)
        elif answer.status_code in _OF_THE_REQUEST:
            written.rejected[deal.id] = _reason(answer)
        else:
            raise CrmError(f"a deal cannot be written: Pipedrive answers {answer.status_code}")

    def _body(self, deal: CrmDeal) -> dict[str, Any]:
        told = dict(self.fields(deal))
        body: dict[str, Any] = {"title": told.pop("title")}
        stage = told.pop("stage")
        if stage in _CLOSED:
            body["status"] = stage
        else:
            body |= {"status": "open", "stage_id": int(stage)}
        if "value" in told:
            body["value"] = float(told.pop("value"))
        if "owner_id" in told:
            body["owner_id"] = int(told.pop("owner_id"))
        for name in ("currency", _LOST_REASON):
            if name in told:
                body[name] = told.pop(name)
        return body | {"custom_fields": told | {self._deal: deal.id}}

    def _people(self, deal: CrmDeal, written: Written) -> dict[str, int]:
        if not deal.has_new_people:
            return {}
        found: dict[str, int] = {}
        if deal.contact:
            address = deal.contact["email"]
            name = deal.contact.get("name", address)
            body: dict[str, Any] = {"name": name, "emails": [{"value": address, "primary": True}]}
            if phone := deal.contact.get("phone"):
                body["phones"] = [{"value": phone, "primary": True}]
            person = self._found_or_made("persons", "email", address, body, _has_address)
            if isinstance(person, int):
                found["person_id"] = person
            else:
                written.troubles[deal.id] = f"its contact is not taken: {person}"
        if deal.company and self._domain is not None:
            domain = deal.company["domain"]
            body = {
                "name": deal.company.get("name", domain),
                "custom_fields": {self._domain: domain},
            }
            made = self._found_or_made(
                "organizations", "custom_fields", domain, body, self._has_domain
            )
            if isinstance(made, int):
                found["org_id"] = made
            else:
                written.troubles[deal.id] = f"its company is not taken: {made}"
        return found

    def _found_or_made(
        self,
        kind: str,
        field: str,
        term: str,
        body: Mapping[str, Any],
        matches: Callable[[Mapping[str, Any], str], bool],
    ) -> int | str:
        """Return the id of a record that there is, or is now; or why it is not taken."""
        params = {"term": term, "fields": field, "exact_match": "true", "limit": 1}
        answer = self._http.call("GET", f"/api/v2/{kind}/search", params=params)
        if answer.is_success and (items := _data(answer).get("items")):
            return int(items[0]["item"]["id"])
        # What was made a moment ago is in no search yet, but in the list of what has changed.
        since = server_time(answer.headers) - _OVERLAP
        recent = self._all(f"/api/v2/{kind}", updated_since=_second_text(since))
        for record in recent:
            if matches(record, term):
                return int(record["id"])
        answer = self._http.call("POST", f"/api/v2/{kind}", body, may_repeat=False)
        if answer.is_success:
            return int(_data(answer)["id"])
        if answer.status_code in _OF_THE_REQUEST:
            return _reason(answer)
        raise CrmError(f"{kind} cannot be written: Pipedrive answers {answer.status_code}")

    def _has_domain(self, record: Mapping[str, Any], domain: str) -> bool:
        return bool((record.get("custom_fields") or {}).get(self._domain) == domain)

    def _list_anew(self) -> None:
        """Look which deals of ours there are by now, whoever has heard of it."""
        params: dict[str, Any] = {"sort_by": "update_time", "sort_direction": "asc"}
        if self._listed_up_to is not None:
            params["updated_since"] = _second_text(self._listed_up_to - _OVERLAP)
        for record in self._all("/api/v2/deals", **params):
            ours = (record.get("custom_fields") or {}).get(self._deal)
            if ours and not record.get("is_deleted"):
                # Somebody may have copied it, our id and all.
                id, known = str(record["id"]), self._known.get(str(ours))
                self._known[str(ours)] = id if known is None else min(known, id, key=int)
            if record.get("update_time"):
                at = instant(record["update_time"])
                self._listed_up_to = max(at, self._listed_up_to or at)

    def _user(self, address: str | None) -> int | None:
        if address is None or "@" not in address:
            return None
        if self._users is None:
            answer = self._http.call("GET", "/v1/users")
            users = json_of(answer).get("data") or () if answer.is_success else ()
            self._users = {
                str(each.get("email", "")).lower(): int(each["id"])
                for each in users
                if each.get("active_flag", True)
            }
        return self._users.get(address.lower())

    # What is read.

    def read(self, objects: Mapping[str, dt.datetime | None]) -> Mapping[str, FoundDeal]:
        """Return deals, with what happened to their stages since it was looked at."""
        found: dict[str, FoundDeal] = {}
        names = list(objects)
        for start in range(0, len(names), _MOST):
            part = names[start : start + _MOST]
            answer = self._http.call(
                "GET", "/api/v2/deals", params={"ids": ",".join(part), "limit": _MOST}
            )
            if not answer.is_success:
                raise CrmError(f"deals cannot be read: Pipedrive answers {answer.status_code}")
            now = server_time(answer.headers)
            for record in json_of(answer).get("data") or ():
                object = str(record["id"])
                if not record.get("is_deleted") and object in objects:
                    found[object] = self._found(record, objects[object], now)
        return found

    def _found(
        self, record: Mapping[str, Any], seen: dt.datetime | None, now: dt.datetime
    ) -> FoundDeal:
        changed = instant(record["update_time"])
        complete = changed.replace(microsecond=0) + _WHOLE_SECOND
        is_known = seen is not None and seen >= complete
        custom = record.get("custom_fields") or {}
        told = {str(name): str(value) for name, value in custom.items() if value}
        told |= {
            name: str(record[name])
            for name in ("title", "currency", "owner_id", _LOST_REASON)
            if record.get(name)
        }
        if record.get("value") is not None:
            told["value"] = _number(Decimal(str(record["value"])))
        ours = told.pop(self._deal, None)
        return FoundDeal(
            object=str(record["id"]),
            deal=ours,
            fields=told | {"stage": _stage(record)},
            changes=() if is_known else self._changes(record),
            # What happens in the second of the last change may be still to come.
            as_of=complete if now - changed >= _SETTLED else None,
            properties=told,
        )

    def _changes(self, record: Mapping[str, Any]) -> list[StageChange]:
        """Return how the stage came about, going back from what it is."""
        path = f"/v1/deals/{record['id']}/changelog"
        answer = self._http.call("GET", path, params={"limit": _MOST})
        if not answer.is_success:
            raise CrmError(f"a deal cannot be read: Pipedrive answers {answer.status_code}")
        log: Sequence[Mapping[str, Any]] = json_of(answer).get("data") or ()
        state = {name: record.get(name) for name in ("stage_id", "status")}
        found = []
        for position, entry in enumerate(log):
            field = str(entry.get("field_key"))
            if field not in state:
                continue
            # Pipedrive tells whole seconds; the order within one is the log's.
            earlier = sum(each.get("time") == entry.get("time") for each in log[position + 1 :])
            at = _utc(str(entry["time"])) + dt.timedelta(microseconds=earlier)
            by = str(entry.get("actor_user_id") or "somebody")
            is_ours = entry.get("change_source") == "api" and by == self._myself()
            found.append(StageChange(stage=_stage(state), at=at, by=by, is_ours=is_ours))
            state[field] = entry.get("old_value")
        return found

    def _myself(self) -> str:
        if self._me is None:
            answer = self._http.call("GET", "/v1/users/me")
            if not answer.is_success:
                raise CrmError(f"Pipedrive answers {answer.status_code} to who we are")
            self._me = str(_data(answer)["id"])
        return self._me

    # What owners are told.

    def assign(self, assignment: Assignment, object: str, owner: str | None) -> str | None:
        """Make an activity for the owner of a deal, unless there is one for this key."""
        mark = f"[{assignment.key}]"
        there = self._all("/api/v2/activities", deal_id=object)
        if any(mark in str(each.get("note") or "") for each in there):
            return None
        body: dict[str, Any] = {
            "subject": assignment.title,
            "type": "task",
            "deal_id": int(object),
            "note": f"{assignment.body} {mark}",
        }
        if (user := self._user(owner)) is not None:
            body["owner_id"] = user
        answer = self._http.call("POST", "/api/v2/activities", body, may_repeat=False)
        return None if answer.is_success else _reason(answer)

    def _all(self, path: str, **params: Any) -> Iterator[Mapping[str, Any]]:
        asked = {**params, "limit": _PAGE}
        while True:
            answer = self._http.call("GET", path, params=asked)
            if not answer.is_success:
                raise CrmError(f"GET {path} is answered {answer.status_code}")
            told = json_of(answer)
            yield from told.get("data") or ()
            cursor = (told.get("additional_data") or {}).get("next_cursor")
            if not cursor:
                return
            asked["cursor"] = cursor

    def _all_by_start(self, path: str) -> Iterator[Mapping[str, Any]]:
        start: int | None = 0
        while start is not None:
            answer = self._http.call("GET", path, params={"start": start, "limit": _PAGE})
            if not answer.is_success:
                raise CrmError(f"GET {path} is answered {answer.status_code}")
            told = json_of(answer)
            yield from told.get("data") or ()
            start = ((told.get("additional_data") or {}).get("pagination") or {}).get("next_start")


def _is_stage(told: str) -> bool:
    return told in _CLOSED or (told.isascii() and told.isdecimal())


def _stage(record: Mapping[str, Any]) -> str:
    status = str(record.get("status"))
    return status if status in _CLOSED else str(record.get("stage_id"))


def _number(value: Decimal) -> str:
    return amount_text(value.normalize())


def _has_address(record: Mapping[str, Any], address: str) -> bool:
    return any(str(each.get("value", "")).lower() == address for each in record.get("emails") or ())


def _data(answer: Any) -> Mapping[str, Any]:
    data = json_of(answer).get("data")
    return data if isinstance(data, dict) else {}


def _reason(answer: Any) -> str:
    said = json_of(answer).get("error")
    return str(said or f"Pipedrive answers {answer.status_code}")[:_LONGEST_REASON]


def _utc(text: str) -> dt.datetime:
    """Return a time of version 1, which is in UTC and does not say so."""
    return instant(text if "T" in text else f"{text.replace(' ', 'T')}Z")


def _second_text(at: dt.datetime) -> str:
    return instant_text(at.replace(microsecond=0))


class PipedriveWebhooks(Doorbell):
    """Webhooks of Pipedrive about deals. They say which deals to look at; nothing is believed.

    Pipedrive signs nothing: it says a user and a password, which you choose for the webhook.

    Args:
        secrets: ``user:password``; two while one is being replaced.
        ring: called with ids of the deals: ``sync.ring``.

    Raises:
        DefinitionError: there is no secret, or one of them is empty.
    """

    def check(self, headers: Headers, body: bytes, now: dt.datetime) -> None:
        """Refuse who does not say one of the secrets."""
        scheme, _, told = headers.get("authorization", "").partition(" ")
        try:
            said = base64.b64decode(told.strip(), validate=True)
        except (binascii.Error, ValueError):
            said = b""
        right = [key.hex() for key in self._keys]
        if scheme.lower() != "basic" or not is_one_of(right, [said.hex()]):
            raise Refused("Authorization says none of the users and passwords of this webhook")

    def names(self, headers: Headers, body: bytes) -> set[str]:
        """Return the deal that a delivery names."""
        told = read.loaded_object(body)
        meta = told.get("meta")
        if not isinstance(meta, Mapping):
            raise InvalidEventError(
                "Pipedrive says in meta what a webhook is about, and here is none"
            )
        id = word(meta.get("entity_id"), meta.get("id") if "object" in meta else None)
        is_deal = "deal" in (meta.get("entity"), meta.get("object"))
        return {id} if is_deal and id is not None and id.isdecimal() else set()

"""Brevo: deals in a pipeline of its CRM, which keeps no history and allows few requests.

See https://developers.brevo.com/reference/get-all-deals and its neighbours, and
https://developers.brevo.com/docs/api-limits: 100 requests an hour for deals, companies and tasks.

**Whose move it was.** A deal in Brevo knows in which stage it is and since when (``deal_stage``,
``stage_updated_at``), and neither where it was before nor who moved it. So an attribute of its own
holds the stage that was told last, written in the same request as the stage. Where the two differ,
somebody has moved the deal since, and ``stage_updated_at`` names that move for ever, however often
it is looked at. A crash after a request leaves both as they were told, and nothing to be guessed.

A move that nobody has looked at is not written over: a deal is read right before its stage is
written, and only what differs is sent, so that a new amount does not touch the stage. What cannot
be known all the same:

- who it was: people in Brevo are ``brevo:somebody``;
- a move that was taken back, or followed by another one, before the deals were listed;
- a move in the moment between the reading and the request that tells another stage: that one
  remains, and the move is lost;
- whether a list shows at once what was just made. A deal whose answer got lost is not made anew for
  five minutes, unless the process begins anew before: then it may stand there twice, and the older
  one is gone on with.

Brevo's webhooks about deals are not used: what is listed is found without them, too.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final
from urllib.parse import quote

import attrs

from ..errors import DefinitionError
from ..model.clock import instant, instant_text
from ..model.money import amount_text
from .address import checked_url
from .crm.http import CrmHttp, Pace, checked_token, json_of, server_time
from .crm.mapping import CrmMap
from .crm.protocol import Assignment, CrmDeal, CrmError, FoundDeal, StageChange, Written

__all__ = ["Brevo"]

_URL: Final = "https://api.brevo.com"
_HOUR: Final = 3600.0
_CONTACTS_ALLOWED: Final = (10, 1.0)
"""Requests in seconds to contacts, which have a limit of their own."""
_MOST: Final = 50
_PAGE: Final = 500
_SHORT_PAGE: Final = 50
"""Fewer than this is the last page, however little of what was asked for Brevo gives in one."""
_SHARED: Final = 10
"""How many deals two pages have in common, so that those deleted meanwhile push none out."""
_FEW: Final = 3
"""As many deals are read one by one; more are listed."""
_ENOUGH: Final = 5
"""Requests that have to be left, or writing is not begun: reading alone would use them up."""
_WHOLE: Final = 600.0
"""Seconds that a list of all deals is good enough to say which are gone."""
_LAG: Final = dt.timedelta(minutes=5)
"""How late a list may show what was written."""
_NOT_THERE: Final = {400, 404}
_OF_THE_REQUEST: Final = {400, 404, 405, 409, 413, 415, 422}
_LONGEST_REASON: Final = 300
_TO_DO: Final = {"todo", "to do", "to-do", "task", "da fare"}
_DOMAIN: Final = "domain"


@attrs.frozen(kw_only=True)
class _Standing:
    """A deal as Brevo has last shown it.

    Attributes:
        stage: of our pipeline; of another one, its id comes before a slash.
        told: the stage that was told last, empty where nobody did or somebody has erased it.
        at: since when it is in its stage.
        linked: ids of contacts and companies, as text.
        is_ahead: whether we have written it since: what a list still shows of then is stale.
    """

    deal: str | None
    stage: str
    told: str
    at: dt.datetime
    made: dt.datetime
    updated: dt.datetime
    fields: Mapping[str, str]
    linked: frozenset[str]
    is_ahead: bool = False

    @property
    def is_moved(self) -> bool:
        """Whether somebody has moved it since its stage was told."""
        return bool(self.told) and self.stage != self.told

    def is_newer(self, updated: dt.datetime) -> bool:
        """Whether it is newer than what was updated then."""
        return self.updated > updated or (self.is_ahead and self.updated == updated)


class Brevo:
    """An account's deals, contacts and companies.

    Args:
        token: an API key of its own.
        mapping: the account's ids of stages.
        currency: of the account's amounts, which say none: an amount in another one is left out.
        deal_attribute: internal name of a deal attribute of your own, of type text, that holds our
            id.
        told_attribute: of another one, for the stage and owner that were told last.
        names: the contact attributes for first and last name; they are called as in the language
            that the account was opened in: ``("NOME", "COGNOME")``.
        companies: whether companies are told, by their attribute ``domain``. Each takes requests.
        per_hour: requests that the plan allows for deals.
        share: which part of that is ours; above 0, at most 1.
        poll: how often deals are asked for; each time is a request.
        timeout: seconds to connect, and between two parts of an answer.

    Raises:
        DefinitionError: the token is empty, the share is none, the poll is not longer than nothing,
            or the URL is not ``https``.
        ModuleNotFoundError: httpx is not installed.
    """

    name = "brevo"
    batch = _MOST

    def __init__(
        self,
        token: str,
        mapping: CrmMap,
        *,
        currency: str,
        deal_attribute: str = "ladderpipe_deal",
        told_attribute: str = "ladderpipe_told",
        names: tuple[str, str] = ("FIRSTNAME", "LASTNAME"),
        companies: bool = False,
        per_hour: int = 100,
        share: float = 0.5,
        poll: dt.timedelta = dt.timedelta(minutes=5),
        timeout: float = 30.0,
        url: str = _URL,
        pause: Callable[[float], object] = time.sleep,
        ticking: Callable[[], float] = time.monotonic,
    ) -> None:
        if poll <= dt.timedelta():
            raise DefinitionError(f"poll={poll} must be longer than nothing")
        self._map, self._currency, self._names = mapping, currency.upper(), names
        self._deal, self._told, self._companies = deal_attribute, told_attribute, companies
        self._poll, self._ticking = poll.total_seconds(), ticking
        where = checked_url(url, plain_http=False)
        headers = {"api-key": checked_token(token)}
        self._pace = Pace(per_hour, _HOUR, share, pause, ticking)
        self._http = CrmHttp(where, headers, self._pace, timeout)
        contacts_pace = Pace(*_CONTACTS_ALLOWED, share, pause, ticking)
        self._contacts = CrmHttp(where, headers, contacts_pace, timeout)
        self._there: dict[str, _Standing] = {}
        self._objects: dict[str, str] = {}
        self._moved: set[str] = set()
        self._shown: dict[str, dt.datetime] = {}
        self._made: dict[str, float] = {}
        self._unsure: dict[str, float] = {}
        self._company_ids: dict[str, str] = {}
        self._listed_at: float | None = None
        self._whole_at: float | None = None
        self._updated_up_to: dt.datetime | None = None
        self._users: tuple[float, frozenset[str]] | None = None
        self._task_type: str | None = None

    def close(self) -> None:
        """Close the connections."""
        self._http.close()
        self._contacts.close()

    # What has to be set up.

    def check(self) -> list[str]:
        """Return what the account lacks, in words; nothing is written."""
        own = [self._deal, self._told]
        found = [
            *self._check_stages(),
            *self._check_attributes("deals", own, self._map.properties.values()),
        ]
        if self._companies:
            found += self._check_attributes("companies", [], [_DOMAIN])
        answer = self._contacts.call("GET", "/v3/contacts/attributes")
        known = {each["name"]: each for each in _part(answer, "attributes")}
        found += [
            f"contacts have no attribute {name!r}; there are {', '.join(known) or 'none'}"
            for name in self._names
            if name not in known
        ]
        if not self._task_types():
            found.append("there are no types of tasks, and owners could be told nothing")
        return found

    def _check_stages(self) -> list[str]:
        answer = self._http.call("GET", "/v3/crm/pipeline/details/all")
        pipelines = {str(each["pipeline"]): each for each in _records(answer)}
        pipeline = pipelines.get(self._map.pipeline)
        if pipeline is None:
            listed = (f"{id} ({it.get('pipeline_name', '')})" for id, it in pipelines.items())
            return [f"no pipeline {self._map.pipeline!r}; there are {', '.join(listed) or 'none'}"]
        stages = {str(each["id"]): str(each.get("name", "")) for each in pipeline["stages"]}
        listed = (f"{id} ({name})" for id, name in stages.items())
        return [
            f"no stage {theirs!r}, which is to be {ours!r}; there are {', '.join(listed) or 'none'}"
            for ours, theirs in self._map.stages.items()
            if theirs not in stages
        ]

    def _check_attributes(
        self, kind: str, own: Sequence[str], others: Iterable[str]
    ) -> Iterator[str]:
        answer = self._http.call("GET", f"/v3/crm/attributes/{kind}")
        known = {str(each["internalName"]): each for each in _records(answer)}
        for name in (*own, *others):
            if name not in known:
                yield f"{kind} have no attribute {name!r}: create it, of type text"
            elif name in own and known[name].get("attributeTypeName") != "text":
                yield f"attribute {name!r} of {kind} is not of type text: create another one"

    # What is written.

    def fields(self, deal: CrmDeal) -> Mapping[str, str]:
        """Return the attributes of a deal that are known."""
        has_amount = deal.value is not None and (deal.currency or "").upper() == self._currency
        owner = self._user(deal.owner)
        told = {
            "deal_name": deal.title,
            "deal_stage": deal.stage,
            self._told: deal.stage if owner is None else f"{deal.stage} {owner}",
            "amount": _number(deal.value) if has_amount and deal.value is not None else "",
            **deal.properties,
        }
        return {name: text for name, text in told.items() if text}

    def write(self, deals: Sequence[CrmDeal]) -> Written:
        """Create or update deals, with their contacts and companies.

        One that somebody has moved and nobody has looked at is left as it is, to be told again.
        """
        if self._pace.left() < _ENOUGH:
            raise CrmError("the requests that Brevo allows in an hour are used up; told later")
        self._look(0.0 if self._unsure else self._poll)
        written = Written()
        for deal in deals:
            try:
                self._write(deal, written)
            except CrmError:
                if not (written.objects or written.rejected):
                    raise
                break  # what was told is told; the others come again
        return written

    def _write(self, deal: CrmDeal, written: Written) -> None:
        object = deal.object or self._objects.get(deal.id)
        if object in self._moved or (object is None and self._is_unsure(deal.id)):
            return
        body = self._body(deal, object)
        if object is not None and self._told in body.get("attributes", ()):
            self._get(object)
            if object in self._moved:
                return
            if object not in self._there:
                written.missing.add(deal.id)
                return
            body = self._body(deal, object)
        contacts, companies = self._people(deal, written)
        if object is None:
            links = {"linkedContactsIds": contacts, "linkedCompaniesIds": companies}
            self._make(deal, body | {name: ids for name, ids in links.items() if ids}, written)
        elif not body or self._is_taken("PATCH", f"/v3/crm/deals/{object}", body, deal, written):
            self._link(deal, object, contacts, companies, written)
            written.objects[deal.id] = object
            there = self._there.get(object)
            if there is not None and body:
                self._there[object] = attrs.evolve(
                    there,
                    stage=deal.stage,
                    told=deal.stage,
                    fields={**there.fields, **self.fields(deal)},
                    is_ahead=True,
                )
        elif deal.id in written.missing:
            self._forget(object)

    def _body(self, deal: CrmDeal, object: str | None) -> dict[str, Any]:
        """Return what differs from how the deal stands there; all of it, if that is not known."""
        there = self._there.get(object or "")
        known = {} if there is None else there.fields
        told: dict[str, Any] = {
            name: text for name, text in self.fields(deal).items() if known.get(name) != text
        }
        body = {"name": told.pop("deal_name")} if "deal_name" in told else {}
        if "deal_stage" in told:
            # Both in one request with what was told last, or a crash would look like a person.
            told |= {"pipeline": self._map.pipeline, self._told: self.fields(deal)[self._told]}
        if "amount" in told:
            told["amount"] = float(told["amount"])
        owner = _owner(told.get(self._told, ""))
        if owner and owner != _owner(known.get(self._told, "")):
            told["deal_owner"] = owner
        if there is None:
            told[self._deal] = deal.id
        return body | ({"attributes": told} if told else {})

    def _make(self, deal: CrmDeal, body: Mapping[str, Any], written: Written) -> None:
        try:
            answer = self._http.call("POST", "/v3/crm/deals", body, may_repeat=False)
        except CrmError:
            self._unsure[deal.id] = self._ticking()
            raise
        if not answer.is_success:
            self._refuse(answer, deal, written)
            return
        object, now = str(json_of(answer)["id"]), server_time(answer.headers)
        written.objects[deal.id] = object
        written.created.add(deal.id)
        self._made[object] = self._ticking()
        self._objects[deal.id] = object
        self._there[object] = _Standing(
            deal=deal.id,
            stage=deal.stage,
            told=deal.stage,
            at=now,
            made=now,
            updated=now - _LAG,  # the first listing knows better
            fields=self.fields(deal),
            linked=frozenset(),
        )

    def _is_taken(
        self, method: str, path: str, body: Mapping[str, Any], deal: CrmDeal, written: Written
    ) -> bool:
        answer = self._http.call(method, path, body)
        if answer.is_success:
            return True
        if answer.status_code == 404:
            written.missing.add(deal.id)
        else:
            self._refuse(answer, deal, written)
        return False

    def _refuse(self, answer: Any, deal: CrmDeal, written: Written) -> None:
        if answer.status_code not in _OF_THE_REQUEST:
            raise CrmError(f"a deal cannot be written: Brevo answers {answer.status_code}")
        written.rejected[deal.id] = _reason(answer)

    def _is_unsure(self, deal: str) -> bool:
        """Whether it may have been made, and the list may not show it yet."""
        since = self._unsure.get(deal)
        if since is None or self._ticking() - since >= _LAG.total_seconds():
            self._unsure.pop(deal, None)
            return False
        return True

    def _people(self, deal: CrmDeal, written: Written) -> tuple[list[int], list[str]]:
        """Return ids of contact and company that there are now."""
        contacts: list[int] = []
        companies: list[str] = []
        if deal.has_new_people and deal.contact:
            contact = self._contact(deal.contact)
            if isinstance(contact, int):
                contacts.append(contact)
            else:
                written.troubles[deal.id] = f"its contact is not taken: {contact}"
        if deal.has_new_people and deal.company and self._companies:
            id, reason = self._company(deal.company)
            if id is not None:
                companies.append(id)
            else:
                written.troubles[deal.id] = f"its company is not taken: {reason}"
        return contacts, companies

    def _contact(self, contact: Mapping[str, str]) -> int | str:
        """Return the id of a contact; or why it is not taken.

        A telephone number is not told: Brevo takes each of one contact only.
        """
        address = contact["email"]
        first, _, last = contact.get("name", "").partition(" ")
        told = (contact.get("first_name", first), contact.get("last_name", last.strip()))
        attributes = {name: text for name, text in zip(self._names, told, strict=True) if text}
        body = {"email": address, "attributes": attributes, "updateEnabled": True}
        answer = self._contacts.call("POST", "/v3/contacts", body)
        if answer.status_code == 204:  # it was there, and Brevo does not say its id
            path = f"/v3/contacts/{quote(address, safe='')}"
            answer = self._contacts.call("GET", path, params={"identifierType": "email_id"})
        if answer.is_success:
            return int(json_of(answer)["id"])
        if answer.status_code in _OF_THE_REQUEST:
            return _reason(answer)
        raise CrmError(f"a contact cannot be written: Brevo answers {answer.status_code}")

    def _company(self, company: Mapping[str, str]) -> tuple[str | None, str]:
        """Return the id of a company; or why it is not taken."""
        domain = company["domain"]
        if (known := self._company_ids.get(domain)) is not None:
            return known, ""
        params = {f"filters[attributes.{_DOMAIN}]": domain, "limit": _MOST}
        answer = self._http.call("GET", "/v3/companies", params=params)
        if not answer.is_success:
            raise CrmError(f"companies cannot be read: Brevo answers {answer.status_code}")
        for each in _part(answer, "items"):
            if (each.get("attributes") or {}).get(_DOMAIN) == domain:
                self._company_ids[domain] = str(each["id"])
                return self._company_ids[domain], ""
        body = {"name": company.get("name", domain), "attributes": {_DOMAIN: domain}}
        answer = self._http.call("POST", "/v3/companies", body, may_repeat=False)
        if answer.is_success:
            self._company_ids[domain] = str(json_of(answer)["id"])
            return self._company_ids[domain], ""
        if answer.status_code in _OF_THE_REQUEST:
            return None, _reason(answer)
        raise CrmError(f"a company cannot be written: Brevo answers {answer.status_code}")

    def _link(
        self,
        deal: CrmDeal,
        object: str,
        contacts: Sequence[int],
        companies: Sequence[str],
        written: Written,
    ) -> None:
        """Add contact and company to those that a deal has; an update would replace them."""
        there = self._there.get(object)
        linked = frozenset() if there is None else there.linked
        new = {
            "linkContactIds": [id for id in contacts if str(id) not in linked],
            "linkCompanyIds": [id for id in companies if id not in linked],
        }
        body = {name: ids for name, ids in new.items() if ids}
        if body:
            answer = self._http.call("PATCH", f"/v3/crm/deals/link-unlink/{object}", body)
            if not answer.is_success:
                written.troubles[deal.id] = f"its contact is not linked: {_reason(answer)}"

    def _user(self, address: str | None) -> str | None:
        """Return the address of a user of the account; what others have is left out."""
        if address is None or "@" not in address:
            return None
        if self._users is None or self._ticking() - self._users[0] > _HOUR:
            answer = self._http.call("GET", "/v3/organization/invited/users")
            users = _part(answer, "users") if answer.is_success else ()
            known = frozenset(
                str(each.get("email", "")).lower()
                for each in users
                if each.get("status", "active") == "active"
            )
            self._users = self._ticking(), known
        return address.lower() if address.lower() in self._users[1] else None

    # What is read.

    def changed(self) -> Iterable[str]:
        """Return the deals that somebody has moved since they were read."""
        self._look(self._poll)
        return sorted(object for object in self._moved if self._is_ours(object))

    def read(self, objects: Mapping[str, dt.datetime | None]) -> Mapping[str, FoundDeal]:
        """Return deals, each with the move that brought it into its stage."""
        asked = [object for object in objects if object not in self._moved]
        if len(asked) <= _FEW:
            for object in asked:
                self._get(object)
        elif self._whole_at is None or self._ticking() - self._whole_at >= _WHOLE:
            self._list_all()
        return {
            object: self._found(object, self._there[object])
            for object in objects
            if object in self._there
        }

    def _found(self, object: str, standing: _Standing) -> FoundDeal:
        self._shown[object] = standing.at
        self._moved.discard(object)
        is_ours = not standing.is_moved
        by = "us" if is_ours else "somebody"
        return FoundDeal(
            object=object,
            deal=standing.deal,
            fields=standing.fields,
            changes=[StageChange(stage=standing.stage, at=standing.at, by=by, is_ours=is_ours)],
            properties=standing.fields,
        )

    def _get(self, object: str) -> None:
        answer = self._http.call("GET", f"/v3/crm/deals/{object}")
        if answer.is_success:
            self._take(json_of(answer), is_listed=False)
        elif answer.status_code in _NOT_THERE:
            self._forget(object)
        else:
            raise CrmError(f"deal {object} cannot be read: Brevo answers {answer.status_code}")

    def _look(self, every: float) -> None:
        """List what has changed, unless that was done a moment ago."""
        if self._whole_at is None:
            self._list_all()
        elif self._listed_at is None or self._ticking() - self._listed_at >= every:
            assert self._updated_up_to is not None
            for record in self._list(modifiedSince=_milliseconds(self._updated_up_to - _LAG)):
                self._take(record)
            self._listed_at = self._ticking()

    def _list_all(self) -> None:
        """List all there are; those that are not among them are gone."""
        since = self._ticking()
        found = set()
        for record in self._list():
            found.add(str(record["id"]))
            self._take(record)
        self._updated_up_to = self._updated_up_to or dt.datetime(1970, 1, 2, tzinfo=dt.UTC)
        lag = _LAG.total_seconds()
        self._made = {id: at for id, at in self._made.items() if since - at < lag}
        for object in set(self._there) - found - set(self._made):
            self._forget(object)
        self._listed_at = self._whole_at = since

    def _list(self, **params: Any) -> Iterator[Mapping[str, Any]]:
        offset = 0
        while True:
            asked = {**params, "limit": _PAGE, "offset": offset, "sort": "asc"}
            answer = self._http.call("GET", "/v3/crm/deals", params=asked)
            if not answer.is_success:
                raise CrmError(f"deals cannot be listed: Brevo answers {answer.status_code}")
            items = _part(answer, "items")
            yield from items
            if len(items) < _SHORT_PAGE:
                return
            offset += len(items) - _SHARED

    def _take(self, record: Mapping[str, Any], *, is_listed: bool = True) -> None:
        """Keep how a deal stands; of what is listed, if it is one of ours, and not stale."""
        attributes = record.get("attributes") or {}
        object, deal = str(record["id"]), attributes.get(self._deal)
        made = _instant(attributes, "created_at")
        updated = _instant(attributes, "last_updated_date", "created_at")
        self._updated_up_to = max(updated, self._updated_up_to or updated)
        known = self._there.get(object)
        if is_listed and (not deal if known is None else known.is_newer(updated)):
            return
        stage = str(attributes.get("deal_stage"))
        if str(attributes.get("pipeline")) != self._map.pipeline:
            stage = f"{attributes.get('pipeline')}/{stage}"
        told = str(attributes.get(self._told) or "")
        texts = {str(name): _text(value) for name, value in attributes.items() if value is not None}
        standing = _Standing(
            deal=str(deal) if deal else None,
            stage=stage,
            told=told.partition(" ")[0],
            at=_instant(attributes, "stage_updated_at", "last_updated_date", "created_at"),
            made=made,
            updated=updated,
            fields={name: texts[name] for name in self._names_of_fields() if name in texts}
            | {"deal_stage": stage},
            linked=frozenset(
                str(id)
                for name in ("linkedContactsIds", "linkedCompaniesIds")
                for id in record.get(name) or ()
            ),
        )
        self._there[object] = standing
        if standing.is_moved and self._shown.get(object) != standing.at:
            self._moved.add(object)
        else:
            self._moved.discard(object)
        if standing.deal is not None:
            # Somebody may have copied it, our id and all: the older one is ours.
            other = self._objects.get(standing.deal)
            first = self._there.get(other or "")
            if other is None or first is None or (made, object) < (first.made, other):
                self._objects[standing.deal] = object

    def _is_ours(self, object: str) -> bool:
        """Whether it is ours, and no copy that somebody has made."""
        return self._objects.get(self._there[object].deal or "") == object

    def _names_of_fields(self) -> tuple[str, ...]:
        return "deal_name", "amount", self._told, *self._map.properties.values()

    def _forget(self, object: str) -> None:
        standing = self._there.pop(object, None)
        self._moved.discard(object)
        if standing is not None and self._objects.get(standing.deal or "") == object:
            del self._objects[standing.deal or ""]

    # What owners are told.

    def assign(self, assignment: Assignment, object: str, owner: str | None) -> str | None:
        """Make a task for the owner of a deal, unless there is one for this key."""
        mark = f"[{assignment.key}]"
        params = {"filter[deals]": object, "limit": _MOST}
        answer = self._http.call("GET", "/v3/crm/tasks", params=params)
        if not answer.is_success:
            raise CrmError(f"tasks cannot be read: Brevo answers {answer.status_code}")
        if any(mark in str(each.get("notes") or "") for each in _part(answer, "items")):
            return None
        if self._task_type is None:
            types = self._task_types()
            named = [each for each in types if str(each.get("title")).lower() in _TO_DO]
            if not types:
                return "there are no types of tasks"
            self._task_type = str((named or types)[0]["id"])
        body: dict[str, Any] = {
            "name": assignment.title,
            "taskTypeId": self._task_type,
            "date": _milliseconds(server_time(answer.headers)),
            "notes": f"{assignment.body} {mark}",
            "dealsIds": [object],
        }
        if (user := self._user(owner)) is not None:
            body["assignToId"] = user
        answer = self._http.call("POST", "/v3/crm/tasks", body, may_repeat=False)
        return None if answer.is_success else _reason(answer)

    def _task_types(self) -> Sequence[Mapping[str, Any]]:
        return _records(self._http.call("GET", "/v3/crm/tasktypes"))


def _records(answer: Any) -> Sequence[Mapping[str, Any]]:
    """Return the list that an answer is.

    Raises:
        CrmError: it is none.
    """
    try:
        told = answer.json() if answer.is_success else None
    except ValueError:
        told = None
    if not isinstance(told, list):
        raise CrmError(f"Brevo answers {answer.status_code}, and no list")
    return told


def _part(answer: Any, name: str) -> Sequence[Mapping[str, Any]]:
    part = json_of(answer).get(name)
    return part if isinstance(part, list) else ()


def _instant(attributes: Mapping[str, Any], *names: str) -> dt.datetime:
    for name in names:
        if told := attributes.get(name):
            return instant(told)
    raise CrmError(f"Brevo tells a deal without {names[-1]}")


def _milliseconds(at: dt.datetime) -> str:
    return instant_text(at.replace(microsecond=at.microsecond // 1000 * 1000))


def _owner(told: str) -> str:
    return told.partition(" ")[2]


def _number(value: Decimal) -> str:
    return amount_text(value.normalize())


def _text(value: Any) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _number(Decimal(str(value)))
    return str(value)


def _reason(answer: Any) -> str:
    said = json_of(answer).get("message")
    return str(said or f"Brevo answers {answer.status_code}")[:_LONGEST_REASON]

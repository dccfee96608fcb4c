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
  five minutes, unless the process begins anew before: then it may stand there twice, and the one
  that the ledger knows is gone on with.

Brevo's webhooks about deals are not used: what is listed is found without them, too.
"""

from __future__ import annotations

import datetime as dt
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from ..errors import DefinitionError
from .address import checked_url
from .brevo_deals import BrevoDeals, instant_in_milliseconds, number_text, part_of
from .crm.http import CrmHttp, ForbiddenError, Pace, checked_token, json_of, server_time
from .crm.mapping import CrmMap, listed
from .crm.protocol import Assignment, CrmDeal, CrmError, FoundDeal, Written

__all__ = ["Brevo"]

_URL: Final = "https://api.brevo.com"
_HOUR: Final = 3600.0
_CONTACTS_ALLOWED: Final = (10, 1.0)
"""Requests in seconds to contacts, which have a limit of their own."""
_MOST: Final = 50
_ENOUGH: Final = 5
"""Requests that have to be left, or writing is not begun: reading alone would use them up."""
_OF_THE_REQUEST: Final = {400, 404, 405, 409, 413, 415, 422}
_LONGEST_REASON: Final = 300
_TO_DO: Final = {"todo", "to do", "to-do", "task", "da fare"}
_DOMAIN: Final = "domain"


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
            nothing is left to tell after asking so often, or the URL is not ``https``.
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
        self._deal_attribute, self._told_attribute = deal_attribute, told_attribute
        self._companies = companies
        self._ticking = ticking
        where = checked_url(url, plain_http=False)
        headers = {"api-key": checked_token(token)}
        self._pace = Pace(per_hour, _HOUR, share, pause, ticking)
        asking = math.ceil(_HOUR / poll.total_seconds())
        if self._pace.left() < asking + _ENOUGH:
            raise DefinitionError(
                f"{self._pace.left()} of {per_hour} requests an hour are ours by share={share}, "
                f"and asking every {poll} takes {asking}: say a larger share, or a longer poll"
            )
        self._http = CrmHttp(where, headers, self._pace, timeout)
        contacts_pace = Pace(*_CONTACTS_ALLOWED, share, pause, ticking)
        self._contacts = CrmHttp(where, headers, contacts_pace, timeout)
        self._deals = BrevoDeals(
            self._http,
            self._pace.left,
            mapping,
            deal=deal_attribute,
            told=told_attribute,
            poll=poll.total_seconds(),
            ticking=ticking,
        )
        self._company_ids: dict[str, str] = {}
        self._users: tuple[float, frozenset[str]] | None = None
        self._task_type: str | None = None

    def close(self) -> None:
        """Close the connections."""
        self._http.close()
        self._contacts.close()

    # What has to be set up.

    def check(self) -> list[str]:
        """Return what the account lacks, in words; nothing is written."""
        own = [self._deal_attribute, self._told_attribute]
        found = [
            *self._check_stages(),
            *self._check_attributes("deals", own, self._map.properties.values()),
        ]
        if self._companies:
            found += self._check_attributes("companies", [], [_DOMAIN])
        answer = self._contacts.call("GET", "/v3/contacts/attributes")
        known = {each["name"]: each for each in part_of(answer, "attributes")}
        found += [
            f"contacts have no attribute {name!r}; there are {', '.join(known) or 'none'}"
            for name in self._names
            if name not in known
        ]
        if not self._task_types():
            found.append("there are no types of tasks, and owners could be told nothing")
        if self._known_users() is None:
            found.append(
                "the API key may not read the account's users: deals are told without their owners"
            )
        return found

    def _check_stages(self) -> list[str]:
        answer = self._http.call("GET", "/v3/crm/pipeline/details/all")
        pipelines = {str(each["pipeline"]): each for each in _records(answer)}
        pipeline = pipelines.get(self._map.pipeline)
        if pipeline is None:
            names = {id: str(each.get("pipeline_name", "")) for id, each in pipelines.items()}
            return [f"no pipeline {self._map.pipeline!r}; there are {listed(names)}"]
        return self._map.missing(
            {str(each["id"]): str(each.get("name", "")) for each in pipeline["stages"]}
        )

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
            self._told_attribute: deal.stage if owner is None else f"{deal.stage} {owner}",
            "amount": number_text(deal.value) if has_amount and deal.value is not None else "",
            **deal.properties,
        }
        return {name: text for name, text in told.items() if text}

    def write(self, deals: Sequence[CrmDeal]) -> Written:
        """Create or update deals, with their contacts and companies.

        One that somebody has moved and nobody has looked at is left as it is, to be told again.
        """
        if self._pace.left() < _ENOUGH:
            raise CrmError("the requests that Brevo allows in an hour are used up; told later")
        self._deals.look_first()
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
        object = deal.object or self._deals.object_of(deal.id)
        if object is None:
            if not self._deals.is_unsure(deal.id):
                self._make(deal, written)
        elif not self._deals.is_moved(object):
            self._update(deal, object, written)

    def _make(self, deal: CrmDeal, written: Written) -> None:
        contacts, companies = self._people(deal, written)
        links = {"linkedContactsIds": contacts, "linkedCompaniesIds": companies}
        body = self._body(deal, None) | {name: ids for name, ids in links.items() if ids}
        try:
            answer = self._http.call("POST", "/v3/crm/deals", body, may_repeat=False)
        except CrmError:
            self._deals.lost(deal.id)
            raise
        if not answer.is_success:
            self._refuse(answer, deal, written)
            return
        object = str(json_of(answer)["id"])
        written.objects[deal.id] = object
        written.created.add(deal.id)
        self._deals.made(object, deal, self.fields(deal), answer)

    def _update(self, deal: CrmDeal, object: str, written: Written) -> None:
        body = self._body(deal, object)
        if self._told_attribute in body.get("attributes", ()):
            self._deals.get(object)
            if self._deals.is_moved(object):
                return
            if self._deals.standing(object) is None:
                written.missing.add(deal.id)
                return
            body = self._body(deal, object)
        contacts, companies = self._people(deal, written)
        if body:
            answer = self._http.call("PATCH", f"/v3/crm/deals/{object}", body)
            if answer.status_code == 404:
                written.missing.add(deal.id)
                self._deals.forget(object)
                return
            if not answer.is_success:
                self._refuse(answer, deal, written)
                return
            self._deals.written(object, deal, self.fields(deal))
        self._link(deal, object, contacts, companies, written)
        written.objects[deal.id] = object

    def _body(self, deal: CrmDeal, object: str | None) -> dict[str, Any]:
        """Return what differs from how the deal stands there; all of it, if that is not known."""
        there = self._deals.standing(object)
        known = {} if there is None else there.fields
        fields = self.fields(deal)
        told: dict[str, Any] = {
            name: text for name, text in fields.items() if known.get(name) != text
        }
        body = {"name": told.pop("deal_name")} if "deal_name" in told else {}
        if "deal_stage" in told:
            # Both in one request with what was told last, or a crash would look like a person.
            told["pipeline"] = self._map.pipeline
            told[self._told_attribute] = fields[self._told_attribute]
        if "amount" in told:
            told["amount"] = float(told["amount"])
        owner = _owner(told.get(self._told_attribute, ""))
        if owner and owner != _owner(known.get(self._told_attribute, "")):
            told["deal_owner"] = owner
        if there is None or there.deal != deal.id:
            told[self._deal_attribute] = deal.id
        return body | ({"attributes": told} if told else {})

    def _refuse(self, answer: Any, deal: CrmDeal, written: Written) -> None:
        if answer.status_code not in _OF_THE_REQUEST:
            raise CrmError(f"a deal cannot be written: Brevo answers {answer.status_code}")
        written.rejected[deal.id] = _reason(answer)

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
        for each in part_of(answer, "items"):
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
        there = self._deals.standing(object)
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
            self._users = self._ticking(), self._known_users() or frozenset()
        return address.lower() if address.lower() in self._users[1] else None

    def _known_users(self) -> frozenset[str] | None:
        """Return the addresses of the account's active users; ``None`` if they are not for us."""
        try:
            answer = self._http.call("GET", "/v3/organization/invited/users")
        except ForbiddenError:
            return None
        users = part_of(answer, "users") if answer.is_success else ()
        return frozenset(
            str(each.get("email", "")).lower()
            for each in users
            if each.get("status", "active") == "active"
        )

    # What is read.

    def changed(self) -> Iterable[str]:
        """Return the deals that somebody has moved since they were read."""
        return self._deals.changed()

    def read(self, objects: Mapping[str, dt.datetime | None]) -> Mapping[str, FoundDeal]:
        """Return deals, each with the move that brought it into its stage."""
        return self._deals.read(objects)

    # What owners are told.

    def assign(self, assignment: Assignment, object: str, owner: str | None) -> str | None:
        """Make a task for the owner of a deal, unless there is one for this key."""
        mark = f"[{assignment.key}]"
        params = {"filter[deals]": object, "limit": _MOST}
        answer = self._http.call("GET", "/v3/crm/tasks", params=params)
        if not answer.is_success:
            raise CrmError(f"tasks cannot be read: Brevo answers {answer.status_code}")
        if any(mark in str(each.get("notes") or "") for each in part_of(answer, "items")):
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
            "date": instant_in_milliseconds(server_time(answer.headers)),
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


def _owner(told: str) -> str:
    return told.partition(" ")[2]


def _reason(answer: Any) -> str:
    said = json_of(answer).get("message")
    return str(said or f"Brevo answers {answer.status_code}")[:_LONGEST_REASON]

"""Brevo's deals as it has last shown them: listed now and then, and read one by one where needed.

What people have moved is found here; what is written, and whose it is, stands in ``brevo``.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import attrs

from ..model.clock import instant
from ..model.money import amount_text
from .crm.http import CrmHttp, json_of, server_time
from .crm.mapping import CrmMap
from .crm.protocol import CrmDeal, CrmError, FoundDeal, StageChange

__all__ = ["BrevoDeals", "instant_in_milliseconds", "number_text", "part_of"]

_LONG_PAGE: Final = 500
_SHORT_PAGE: Final = 50
"""Fewer than this is the last page, however little of what was asked for Brevo gives in one."""
_SHARED: Final = 10
"""How many deals two pages have in common, so that those deleted meanwhile push none out."""
_FEW: Final = 3
"""As many deals are read one by one; more are listed."""
_WHOLE: Final = 600.0
"""Seconds that a list of all deals is good enough to say which are gone."""
_LAG: Final = dt.timedelta(minutes=5)
"""How late a list may show what was written."""
_NOT_THERE: Final = {400, 404}
_EPOCH: Final = dt.datetime(1970, 1, 2, tzinfo=dt.UTC)


@attrs.frozen(kw_only=True)
class _Standing:
    """A deal as Brevo has last shown it.

    Attributes:
        deal: our id, ``None`` where somebody has erased it.
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


class BrevoDeals:
    """The deals of an account that carry an id of ours.

    Args:
        left: how many requests may go out now.
        deal: internal name of the attribute that holds our id.
        told: of the one for the stage and owner that were told last.
        poll: seconds that a list of what has changed is good enough.
    """

    def __init__(
        self,
        http: CrmHttp,
        left: Callable[[], int],
        mapping: CrmMap,
        *,
        deal: str,
        told: str,
        poll: float,
        ticking: Callable[[], float],
    ) -> None:
        self._http, self._left, self._map = http, left, mapping
        self._deal, self._told = deal, told
        self._poll, self._ticking = poll, ticking
        self._begun = ticking()
        self._there: dict[str, _Standing] = {}
        self._objects: dict[str, str] = {}
        self._moved: set[str] = set()
        self._shown: dict[str, dt.datetime] = {}
        self._made: dict[str, float] = {}
        self._unsure: dict[str, float] = {}
        self._page = _LONG_PAGE
        self._listed_at: float | None = None
        self._whole_at: float | None = None
        self._updated_up_to = _EPOCH

    # What is known.

    def standing(self, object: str | None) -> _Standing | None:
        """Return how a deal stands, ``None`` if that is not known."""
        return self._there.get(object or "")

    def object_of(self, deal: str) -> str | None:
        """Return Brevo's id of a deal; of one that is there twice, the older one's."""
        return self._objects.get(deal)

    def is_moved(self, object: str) -> bool:
        """Whether somebody has moved it, and nobody has looked at that."""
        return object in self._moved

    def is_unsure(self, deal: str) -> bool:
        """Whether it may have been made, and the lists may not show it yet."""
        return deal in self._unsure

    # What is written.

    def look_first(self) -> None:
        """Look at what has changed, and for deals whose answer got lost, before writing."""
        due = self._ticking() - _LAG.total_seconds()
        unsure = [deal for deal, since in self._unsure.items() if since <= due]
        self._look(0.0 if unsure else self._poll)
        for deal in unsure:  # a list would show them by now
            del self._unsure[deal]

    def lost(self, deal: str) -> None:
        """Say that a deal may have been made: the answer was never heard."""
        self._unsure[deal] = self._ticking()

    def made(self, object: str, deal: CrmDeal, fields: Mapping[str, str], answer: Any) -> None:
        """Say that a deal was made."""
        now = server_time(answer.headers)
        self._made[object] = self._ticking()
        self._objects[deal.id] = object
        self._there[object] = _Standing(
            deal=deal.id,
            stage=deal.stage,
            told=deal.stage,
            at=now,
            made=now,
            updated=now - _LAG,  # the first listing knows better
            fields=fields,
            linked=frozenset(),
        )

    def written(self, object: str, deal: CrmDeal, fields: Mapping[str, str]) -> None:
        """Say that a deal was told as it stands on the board."""
        there = self._there.get(object)
        if there is not None:
            self._there[object] = attrs.evolve(
                there,
                deal=deal.id,
                stage=deal.stage,
                told=deal.stage,
                fields={**there.fields, **fields},
                is_ahead=True,
            )

    def forget(self, object: str) -> None:
        """Say that a deal is gone."""
        standing = self._there.pop(object, None)
        self._moved.discard(object)
        if standing is not None and self._objects.get(standing.deal or "") == object:
            del self._objects[standing.deal or ""]

    # What is read.

    def changed(self) -> list[str]:
        """Return what somebody has moved since it was read."""
        self._look(self._poll)
        return sorted(object for object in self._moved if self._there[object].deal)

    def read(self, objects: Mapping[str, dt.datetime | None]) -> dict[str, FoundDeal]:
        """Return deals, each with the move that brought it into its stage.

        Args:
            objects: with each, up to when its changes were looked at.
        """
        asked = [object for object in objects if object not in self._moved]
        if len(asked) > _FEW:
            if self._whole_at is None or self._ticking() - self._whole_at >= _WHOLE:
                self._list_all()
            asked = self._not_listed_yet(asked)
        for object in asked:
            self.get(object)
        return {
            object: self._found(object, self._there[object], seen)
            for object, seen in objects.items()
            if object in self._there
        }

    def _not_listed_yet(self, objects: Sequence[str]) -> list[str]:
        """Return what the first list of a process lacks: another one may have just made it.

        Too many are not that: they were deleted.
        """
        missing = [object for object in objects if object not in self._there]
        is_fresh = self._ticking() - self._begun < _LAG.total_seconds()
        return missing if is_fresh and len(missing) <= self._left() // 2 else []

    def _found(self, object: str, standing: _Standing, seen: dt.datetime | None) -> FoundDeal:
        self._shown[object] = standing.at
        self._moved.discard(object)
        is_ours = not standing.is_moved
        # Of those with one id it is ours that was looked at before; else the older one, since
        # somebody may have copied it, our id and all.
        is_copy = seen is None and self._objects.get(standing.deal or "") != object
        return FoundDeal(
            object=object,
            deal=None if is_copy else standing.deal,
            fields=standing.fields,
            changes=[
                StageChange(
                    stage=standing.stage,
                    at=standing.at,
                    by="us" if is_ours else "somebody",
                    is_ours=is_ours,
                )
            ],
            properties=standing.fields,
        )

    def get(self, object: str) -> None:
        """Read a deal as it is now."""
        answer = self._http.call("GET", f"/v3/crm/deals/{object}")
        if answer.is_success:
            self._take(json_of(answer), is_listed=False)
        elif answer.status_code in _NOT_THERE:
            self.forget(object)
        else:
            raise CrmError(f"deal {object} cannot be read: Brevo answers {answer.status_code}")

    def _look(self, every: float) -> None:
        """List what has changed, unless that was done a moment ago."""
        if self._whole_at is None:
            self._list_all()
        elif self._listed_at is None or self._ticking() - self._listed_at >= every:
            self._take_listed(modifiedSince=instant_in_milliseconds(self._updated_up_to - _LAG))

    def _list_all(self) -> None:
        """List all there are; those that are not among them are gone."""
        since = self._ticking()
        found = self._take_listed()
        lag = _LAG.total_seconds()
        self._made = {id: at for id, at in self._made.items() if since - at < lag}
        for object in set(self._there) - found - set(self._made):
            self.forget(object)
        self._whole_at = since

    def _take_listed(self, **params: Any) -> set[str]:
        """Take over a list; what was looked at is kept only once all of it was."""
        found, up_to = set(), self._updated_up_to
        for record in self._list(**params):
            found.add(str(record["id"]))
            up_to = max(up_to, _updated(record))
            self._take(record)
        self._updated_up_to, self._listed_at = up_to, self._ticking()
        return found

    def _list(self, **params: Any) -> Iterator[Mapping[str, Any]]:
        offset = 0
        while True:
            asked = {**params, "limit": self._page, "offset": offset, "sort": "asc"}
            answer = self._http.call("GET", "/v3/crm/deals", params=asked)
            if answer.status_code == 400 and self._page > _SHORT_PAGE:
                self._page = _SHORT_PAGE  # how many it may be at most is not documented
                continue
            if not answer.is_success:
                raise CrmError(f"deals cannot be listed: Brevo answers {answer.status_code}")
            items = part_of(answer, "items")
            yield from items
            if len(items) < _SHORT_PAGE:
                return
            offset += len(items) - _SHARED

    def _take(self, record: Mapping[str, Any], *, is_listed: bool = True) -> None:
        """Keep how a deal stands; of what is listed, if it is one of ours, and not stale."""
        attributes = record.get("attributes") or {}
        object, deal = str(record["id"]), str(attributes.get(self._deal) or "")
        made, updated = _instant(attributes, "created_at"), _updated(record)
        known = self._there.get(object)
        if is_listed and (not deal if known is None else known.is_newer(updated)):
            return
        stage = str(attributes.get("deal_stage"))
        if str(attributes.get("pipeline")) != self._map.pipeline:
            stage = f"{attributes.get('pipeline')}/{stage}"
        told = str(attributes.get(self._told) or "")
        texts = {str(name): _text(value) for name, value in attributes.items() if value is not None}
        standing = _Standing(
            deal=deal or None,
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
        if deal:
            other = self._objects.get(deal)
            first = self._there.get(other or "")
            if other is None or first is None or (made, object) < (first.made, other):
                self._objects[deal] = object

    def _names_of_fields(self) -> tuple[str, ...]:
        return "deal_name", "amount", self._told, *self._map.properties.values()


def number_text(value: Decimal) -> str:
    """Return a number as attributes are compared."""
    return amount_text(value.normalize())


def instant_in_milliseconds(at: dt.datetime) -> str:
    """Return an instant in UTC as Brevo's documentation writes it."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def part_of(answer: Any, name: str) -> Sequence[Mapping[str, Any]]:
    """Return the list that stands in an answer under a name, empty if none does."""
    part = json_of(answer).get(name)
    return part if isinstance(part, list) else ()


def _updated(record: Mapping[str, Any]) -> dt.datetime:
    return _instant(record.get("attributes") or {}, "last_updated_date", "created_at")


def _instant(attributes: Mapping[str, Any], *names: str) -> dt.datetime:
    for name in names:
        if told := attributes.get(name):
            return instant(told)
    raise CrmError(f"Brevo tells a deal without {names[-1]}")


def _text(value: Any) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return number_text(Decimal(str(value)))
    return str(value)

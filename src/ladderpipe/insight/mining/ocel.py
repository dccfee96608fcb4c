"""Writing OCEL 2.0 in JSON: deals and people as objects, activities as events between them.

The standard: https://www.ocel-standard.org. What a deal was worth, and whose it was, are
attributes of its object that change over time, which XES and CSV cannot say.
"""

from __future__ import annotations

import datetime as dt
import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, Final, TextIO

from ..frames.as_believed import Change
from .cases import Activity, Case, Value

__all__ = ["write_ocel"]

_SPOOLED: Final = 16 * 2**20
"""Bytes of objects that are kept in memory while events are written; more lie in a file."""

_EVENT: Final = {
    "n": "integer",
    "out_of": "string",
    "rule": "string",
    "trigger": "string",
    "event_type": "string",
    "source": "string",
    "id": "string",
}
_DEAL: Final = {
    "value": "float",
    "currency": "string",
    "owner": "string",
    "source": "string",
    "loss_reason": "string",
}
_ONCE: Final = {"stage": "string", "status": "string"}
_BEGINNING: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
"""The standard's time for what holds from the start."""


def write_ocel(file: TextIO, cases: Iterable[Case]) -> None:
    """Write a log of *cases*; only the people and the activities' names stay in memory."""
    people: set[str] = set()
    names: set[str] = set()
    with tempfile.SpooledTemporaryFile(_SPOOLED, "w+", encoding="utf-8") as objects:
        file.write('{"events": [')
        separator = ""
        for case in cases:
            people.update(_people(case))
            objects.write(f"{_json(_deal(case))}\n")
            for number, activity in enumerate(case.activities, start=1):
                names.add(activity.name)
                file.write(f"{separator}\n{_json(_event(case.deal, number, activity))}")
                separator = ","
        file.write('\n],\n"objects": [')
        objects.seek(0)
        separator = ""
        for line in objects:
            file.write(f"{separator}\n{line.rstrip()}")
            separator = ","
        for person in sorted(people):
            file.write(f"{separator}\n{_json(_object(_person(person), 'person', []))}")
            separator = ","
    file.write(f'\n],\n"eventTypes": {_json(_types(dict.fromkeys(sorted(names), _EVENT)))},\n')
    file.write(f'"objectTypes": {_json(_types({"deal": {**_DEAL, **_ONCE}, "person": {}}))}}}\n')


def _people(case: Case) -> Iterator[str]:
    for activity in case.activities:
        if activity.resource is not None:
            yield activity.resource
    if "owner" in case.attributes:
        yield str(case.attributes["owner"])


def _event(deal: str, number: int, activity: Activity) -> dict[str, Any]:
    related = [{"objectId": _deal_id(deal), "qualifier": "deal"}]
    if activity.resource is not None:
        related.append({"objectId": _person(activity.resource), "qualifier": "by"})
    return {
        "id": f"{deal}#{number}",
        "type": activity.name,
        "time": _instant(activity.at),
        "attributes": [
            {"name": name, "value": _value(value)} for name, value in activity.attributes.items()
        ],
        "relationships": related,
    }


def _deal(case: Case) -> dict[str, Any]:
    written = [
        {"name": name, "value": _value(case.attributes[name]), "time": _instant(_BEGINNING)}
        for name in _ONCE
        if name in case.attributes
    ]
    found = _object(_deal_id(case.deal), "deal", [*written, *_changes(case.changes)])
    if "owner" in case.attributes:
        owner = _person(str(case.attributes["owner"]))
        found["relationships"] = [{"objectId": owner, "qualifier": "owner"}]
    return found


def _changes(changes: Iterable[Change]) -> Iterator[dict[str, Any]]:
    """Yield what an object's attributes became, whenever one of them did."""
    known: dict[str, Any] = dict.fromkeys(_DEAL)
    for change in changes:
        for name in _DEAL:
            value = getattr(change, name)
            if value is not None and value != known[name]:
                known[name] = value
                yield {"name": name, "value": _value(value), "time": _instant(change.at)}


def _object(id: str, kind: str, attributes: list[dict[str, Any]]) -> dict[str, Any]:
    return {"id": id, "type": kind, "attributes": attributes, "relationships": []}


def _types(kinds: Mapping[str, Mapping[str, str]]) -> list[dict[str, Any]]:
    return [
        {"name": kind, "attributes": [{"name": name, "type": t} for name, t in named.items()]}
        for kind, named in kinds.items()
    ]


def _deal_id(deal: str) -> str:
    return f"deal:{deal}"


def _person(name: str) -> str:
    return f"person:{name}"


def _instant(at: dt.datetime) -> str:
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _value(value: Value) -> str | int | float:
    if isinstance(value, Decimal):
        return float(value)
    return _instant(value) if isinstance(value, dt.datetime) else value


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)

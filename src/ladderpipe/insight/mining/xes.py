"""Writing XES, the XML of IEEE 1849-2016: a trace for every case, one after another.

The standard: https://www.xes-standard.org. The extensions used are its own: concept names
activities and cases, time says when, lifecycle that an activity is complete (a stage is entered
in an instant), organizational whose hand it was.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Final, TextIO
from xml.sax.saxutils import quoteattr

from ...logs.xes import OWN_EVENT
from ...model.event import Event
from .cases import Activity, Case, Value

__all__ = ["write_xes"]

_HEAD: Final = """<?xml version="1.0" encoding="UTF-8"?>
<log xes.version="1849.2016" xes.features="" xmlns="http://www.xes-standard.org/">
"""
_EXTENSIONS: Final = {
    "concept": "Concept",
    "time": "Time",
    "lifecycle": "Lifecycle",
    "org": "Organizational",
}
_UNPRINTABLE: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 has no way to write."""


def write_xes(file: TextIO, name: str, cases: Iterable[Case]) -> None:
    """Write a log of *cases*, called *name*."""
    file.write(_HEAD)
    file.writelines(f"{line}\n" for line in _header(name))
    for case in cases:
        file.writelines(f"{line}\n" for line in _trace(case))
    file.write("</log>\n")


def _header(name: str) -> Iterator[str]:
    for prefix, title in _EXTENSIONS.items():
        uri = f"http://www.xes-standard.org/{prefix}.xesext"
        yield f'  <extension name="{title}" prefix="{prefix}" uri="{uri}"/>'
    yield '  <global scope="trace">'
    yield _attribute("concept:name", "name")
    yield "  </global>"
    yield '  <global scope="event">'
    yield _attribute("concept:name", "name")
    yield _attribute("time:timestamp", dt.datetime(1970, 1, 1, tzinfo=dt.UTC))
    yield _attribute("lifecycle:transition", "complete")
    yield "  </global>"
    yield '  <classifier name="Activity" scope="event" keys="concept:name"/>'
    yield _attribute("concept:name", name)


def _trace(case: Case) -> Iterator[str]:
    yield "  <trace>"
    yield _attribute("concept:name", case.deal)
    yield from _attributes(case.attributes)
    for activity in case.activities:
        yield "    <event>"
        yield from (f"  {line}" for line in _event(activity))
        yield "    </event>"
    yield "  </trace>"


def _event(activity: Activity) -> Iterator[str]:
    yield _attribute("concept:name", activity.name)
    yield _attribute("time:timestamp", activity.at)
    yield _attribute("lifecycle:transition", "complete")
    if activity.resource is not None:
        yield _attribute("org:resource", activity.resource)
    yield from _attributes(activity.attributes)
    if activity.event is not None:
        yield _attribute(OWN_EVENT, _whole(activity.event))


def _whole(event: Event) -> str:
    """Return an event as JSON in ASCII, so that it comes back as it was."""
    return json.dumps(event.to_dict())


def _attributes(attributes: Mapping[str, Value]) -> Iterator[str]:
    for key, value in attributes.items():
        yield _attribute(key, value)


def _attribute(key: str, value: Value) -> str:
    kind, text = _written(value)
    return f"    <{kind} key={quoteattr(key)} value={quoteattr(text)}/>"


def _written(value: Value) -> tuple[str, str]:
    if isinstance(value, dt.datetime):
        return "date", value.isoformat(timespec="microseconds")
    if isinstance(value, Decimal):
        return "float", format(value, "f")
    if isinstance(value, int):
        return "int", str(value)
    return "string", _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", value)

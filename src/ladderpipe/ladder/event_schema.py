"""The JSON Schema of the events that a ladder expects, for those who send them.

Standard events are described in ``events.schema.json`` beside this module; of any other type only
the name is known, and what every event may carry.
"""

from __future__ import annotations

import json
from typing import Any

from .ladder import Ladder

__all__ = ["event_schema"]


def event_schema(ladder: Ladder) -> dict[str, Any]:
    """Return the schema (draft 2020-12) of one event, as a CloudEvent in JSON."""
    from importlib import resources  # takes longer than all the rest of this module

    text = (resources.files(__package__) / "events.schema.json").read_text("utf-8")
    described: dict[str, Any] = json.loads(text)
    parts: dict[str, Any] = described.pop("$defs")
    data: dict[str, Any] = described.pop("data")
    described["title"] = f"events of {ladder.name}"
    described["properties"]["type"]["enum"] = sorted(ladder.declared)
    described["allOf"] = [
        {
            "if": {"properties": {"type": {"const": kind}}},
            "then": {"properties": {"data": data[kind]}, "required": _required(data[kind])},
        }
        for kind in sorted(ladder.declared)
        if kind in data
    ]
    return {**described, "$defs": parts}


def _required(data: dict[str, Any]) -> list[str]:
    return ["data"] if "required" in data else []

"""The AsyncAPI document of what a board publishes: for whoever receives it.

See https://www.asyncapi.com/docs/reference/specification/v3.0.0.
"""

from __future__ import annotations

from typing import Any, Final

from .fingerprint import fingerprint
from .ladder import Ladder

__all__ = ["MOVED", "UNDONE", "asyncapi"]

MOVED: Final = "ladderpipe.deal.moved"
"""Type of the message that a deal has moved."""
UNDONE: Final = "ladderpipe.deal.undone"
"""Type of the message that a deal's last moves are no more."""

_TEXT: Final = {"type": "string"}
_INSTANT: Final = {"type": "string", "format": "date-time"}


def asyncapi(ladder: Ladder, title: str, address: str | None) -> dict[str, Any]:
    """Return the document (AsyncAPI 3.0.0) of a ladder's moves as CloudEvents in JSON."""
    stages = [stage.key for stage in ladder.stages]
    names = [{"$ref": f"#/channels/moves/messages/{name}"} for name in ("moved", "undone")]
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": title,
            "version": fingerprint(ladder)[:12],
            "description": (
                f"Moves of the deals of {ladder.name!r}, at least once, in order for each deal. "
                "Drop what has the source and the id of something you have."
            ),
        },
        "defaultContentType": "application/cloudevents+json",
        "channels": {
            "moves": {
                "address": address,
                "messages": {
                    "moved": {"$ref": "#/components/messages/moved"},
                    "undone": {"$ref": "#/components/messages/undone"},
                },
            }
        },
        "operations": {
            "publishMoves": {
                "action": "send",
                "channel": {"$ref": "#/channels/moves"},
                "messages": names,
            }
        },
        "components": {
            "messages": {
                "moved": _message(MOVED, "A deal has moved.", "moved"),
                "undone": _message(UNDONE, "A deal's last moves are no more.", "undone"),
            },
            "schemas": {
                "moved": _cloudevent(MOVED, _moved(ladder, stages)),
                "undone": _cloudevent(UNDONE, _undone(ladder, stages)),
            },
        },
    }


def _message(name: str, summary: str, schema: str) -> dict[str, Any]:
    payload = {"$ref": f"#/components/schemas/{schema}"}
    return {"name": name, "summary": summary, "payload": payload}


def _cloudevent(type: str, data: dict[str, Any]) -> dict[str, Any]:
    return _object(
        {
            "specversion": {"const": "1.0"},
            "id": _TEXT | {"description": "The same whenever this message is sent again."},
            "source": _TEXT | {"description": "The board."},
            "type": {"const": type},
            "subject": _TEXT | {"description": "The deal."},
            "time": _INSTANT | {"description": "When it moved; of what is undone, was recorded."},
            "datacontenttype": {"const": "application/json"},
            "data": data,
        }
    )


def _moved(ladder: Ladder, stages: list[str]) -> dict[str, Any]:
    cause = _object({"source": _TEXT, "id": _TEXT, "type": _TEXT})
    return _object(
        {
            "pipeline": {"const": ladder.name},
            "n": {
                "type": "integer",
                "minimum": 1,
                "description": (
                    "Number of the move, from 1. It takes the place of what was told with this "
                    "number or a higher one."
                ),
            },
            "out_of": {
                "oneOf": [_stages(stages), {"type": "null"}],
                "description": "Null when the deal opens.",
            },
            "into": _stages(stages),
            "rule": _TEXT,
            "event": {
                "oneOf": [cause, {"type": "null"}],
                "description": "What caused it; null for a timer.",
            },
            "by": {
                "type": ["string", "null"],
                "description": "Who moved it by hand.",
            },
            "recorded_at": _INSTANT,
        }
    )


def _undone(ladder: Ladder, stages: list[str]) -> dict[str, Any]:
    return _object(
        {
            "pipeline": {"const": ladder.name},
            "n": {
                "type": "integer",
                "minimum": 0,
                "description": "What was told with a higher number is no more.",
            },
            "stage": {
                "oneOf": [_stages(stages), {"type": "null"}],
                "description": "Where the deal is; null where it is not open any more.",
            },
        }
    )


def _stages(stages: list[str]) -> dict[str, Any]:
    return {"type": "string", "enum": stages}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": sorted(properties), "properties": properties}

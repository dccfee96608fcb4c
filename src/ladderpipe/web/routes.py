"""Every address of the application: what it takes, and what somebody must be allowed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import attrs

from ..problems import MEDIA_TYPE, SCHEMA
from . import acts, board_page, changes, deal_page, live, people_page
from .access import Action
from .call import Answer, Call, Document, Done, Page
from .live import EventStream

__all__ = ["OVERVIEWS", "ROUTES", "Overview", "Route"]

LIVE: Final = "/live"
MOVE: Final = "deal into expecting? entered? reason? properties? id?"
EDIT: Final = (
    "deal owner? value? currency? title? company? contact.name? contact.email? contact.phone? "
    "next_step? properties? note? id?"
)
LIST: Final = "view? sort? owner? source? search? stage? after? limit? fold?"

REFUSALS: Final[Mapping[str, str]] = {
    "400": "It cannot be read.",
    "401": "Nobody is signed in.",
    "403": "It came from another site, or is not allowed.",
    "404": "There is no such thing, or it is not the reader's to see.",
    "409": "The rules, or what has happened meanwhile, do not allow it.",
    "413": "It is more than 64 kB.",
    "422": "Something is missing, or cannot be what it is to be.",
    "503": "The database does not answer; see Retry-After.",
}


@attrs.frozen
class Route:
    """One method at one path.

    Attributes:
        takes: names of what it is asked with; ``?`` after one that may be left out.
        is_long: whether it takes seconds.
        is_wide: whether it looks at other pipelines of the same store, too.
        answers: media type of what a program is answered.
    """

    view: Callable[[Call], Answer]
    action: Action
    takes: str = ""
    is_long: bool = False
    is_wide: bool = False
    answers: str = "application/json"


@attrs.frozen
class Overview:
    """What is shown of all boards of an application that somebody sees.

    Attributes:
        gather: asks one of them.
        show: puts together what they have answered.
    """

    gather: Callable[[Call], Any]
    show: Callable[[Sequence[Any]], Answer]
    action: Action = "see"


def reports(call: Call) -> Document:
    """Show the reports of the pipeline."""
    return call.reports(call)


def openapi(call: Call) -> Page:
    """Describe every address, as OpenAPI has it."""
    document = {
        "openapi": "3.1.0",
        "info": {"title": call.pipeline.title, "version": "1"},
        "servers": [{"url": "../"}],
        "paths": {
            path: {
                method.lower(): _operation(path, method, route) for method, route in methods.items()
            }
            for path, methods in ROUTES.items()
            if path != LIVE or call.feed is not None
        },
        "components": {"schemas": {"Problem": PROBLEM}},
    }
    return Page("", {}, document)


PROBLEM: Final[Mapping[str, Any]] = {
    **SCHEMA,
    "description": "Problem details (RFC 9457), in the reader's language.",
    "properties": {
        **SCHEMA["properties"],
        "expecting": {"type": "string"},
        "entered": {"type": "string"},
    },
}


def _operation(path: str, method: str, route: Route) -> dict[str, Any]:
    names = route.takes.split()
    needed = [name for name in names if not name.endswith("?")]
    told: dict[str, Any] = {
        "summary": (route.view.__doc__ or "").partition("\n")[0],
        "operationId": f"{method.lower()}{path.replace('/', '_')}",
        "responses": {
            "200": {"description": "Done, or shown.", "content": {route.answers: {}}},
            **{status: _problem(words) for status, words in REFUSALS.items()},
        },
    }
    if method == "GET":
        told["parameters"] = [
            {
                "name": name.rstrip("?"),
                "in": "query",
                "required": name in needed,
                "schema": {"type": "string"},
            }
            for name in names
        ]
        return told
    properties = {name.rstrip("?"): _schema(path, name.rstrip("?")) for name in names}
    schema = {"type": "object", "required": needed, "properties": properties}
    told["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return told


def _schema(path: str, name: str) -> dict[str, Any]:
    if name == "properties":
        return {"type": "object"}
    if name == "deal" and path in ("/moves", "/edits"):
        return {"type": "array", "items": {"type": "string"}}
    return {"type": "string"}


def _problem(words: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": words, "content": {MEDIA_TYPE: {"schema": schema}}}


ROUTES: Final[Mapping[str, Mapping[str, Route]]] = {
    "/": {"GET": Route(board_page.board, "see", LIST)},
    "/column": {
        "GET": Route(board_page.column, "see", "stage sort? owner? source? search? after? limit?")
    },
    "/deal": {"GET": Route(deal_page.deal, "see", "deal", is_wide=True)},
    "/options": {"GET": Route(deal_page.options, "move", "deal into?")},
    "/changes": {"GET": Route(changes.changes, "see", "after?")},
    LIVE: {"GET": Route(live.live, "see", "after?", answers=EventStream.media_type)},
    "/customer": {"GET": Route(people_page.customer, "see", "key", is_wide=True)},
    "/tasks": {"GET": Route(people_page.needs, "see", "of? after?")},
    "/reports": {"GET": Route(reports, "reports", is_long=True)},
    "/move": {"POST": Route(acts.move, "move", MOVE)},
    "/moves": {"POST": Route(acts.moves, "move", "deal into reason? properties? id?")},
    "/override": {"POST": Route(acts.override, "override", MOVE)},
    "/undo": {"POST": Route(acts.undo, "undo", "deal event id?")},
    "/edit": {"POST": Route(acts.edit, "edit", EDIT)},
    "/edits": {"POST": Route(acts.edits, "edit", "deal owner?")},
    "/release": {"POST": Route(acts.release, "release", "deal key")},
    "/discard": {"POST": Route(acts.discard, "discard", "deal key reason")},
    "/done": {"POST": Route(acts.done, "task", "deal key back?")},
    "/assign": {"POST": Route(acts.assign, "task", "deal key to? back?")},
    "/unsubscribe": {"POST": Route(acts.unsubscribe, "unsubscribe", "key channel?")},
    "/api/openapi.json": {"GET": Route(openapi, "see")},
}


def boards(found: Sequence[Call]) -> Done:
    """Lead to the first board, and tell a program which there are."""
    known = [
        {"name": call.name, "pipeline": call.pipeline.name, "title": call.title, "at": call.folder}
        for call in found
    ]
    return Done(found[0].folder, {"boards": known})


OVERVIEWS: Final[Mapping[str, Mapping[str, Overview]]] = {
    "/": {"GET": Overview(lambda call: call, boards)},
    "/tasks": {"GET": Overview(people_page.needs_of, people_page.all_needs)},
}
"""What there is beside the folders of an application's boards, where it has several."""

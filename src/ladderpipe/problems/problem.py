"""The table of errors and statuses, and the problem that is made of an error."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final

import attrs

from .. import errors
from .words import RefusalWords, asked_for, refusal_words

__all__ = [
    "MEDIA_TYPE",
    "SCHEMA",
    "STATUSES",
    "Problem",
    "invalid_request",
    "problem_of",
]

MEDIA_TYPE: Final = "application/problem+json"
"""What a problem is sent as."""

RETRY_AFTER: Final = 5
"""Seconds after which a database may be asked again that was away or busy."""

STATUSES: Final[Mapping[type[errors.LadderError], HTTPStatus]] = {
    errors.CursorError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.DealNotFoundError: HTTPStatus.NOT_FOUND,
    errors.EffectNotFoundError: HTTPStatus.NOT_FOUND,
    errors.EventConflictError: HTTPStatus.CONFLICT,
    errors.EventFromFutureError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.EventNotFoundError: HTTPStatus.NOT_FOUND,
    errors.GuardError: HTTPStatus.CONFLICT,
    errors.HeldNotFoundError: HTTPStatus.NOT_FOUND,
    errors.HookError: HTTPStatus.CONFLICT,
    errors.InstantError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.InvalidEventError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.MissingPropertyError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.MoveNotAllowedError: HTTPStatus.CONFLICT,
    errors.PipelineChangedError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.StoreError: HTTPStatus.SERVICE_UNAVAILABLE,
}
"""The status of each error that is an answer; any other is a mistake on the side of the server.

Those of hooks and guards are answers where the application raises what it calls a refusal.
"""

SCHEMA: Final[Mapping[str, Any]] = {
    "title": "Problem",
    "description": "Problem details (RFC 9457).",
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What was refused, why, and what to do."},
        "deal": {"type": ["string", "null"]},
        "stage": {"type": ["string", "null"], "description": "The stage that the deal is in."},
        "into": {"type": ["string", "null"], "description": "The stage that was asked for."},
        "allowed": {
            "type": "array",
            "items": {"type": "string"},
            "description": "The stages into which a hand may move the deal from there.",
        },
        "missing": {
            "type": "array",
            "items": {"type": "string"},
            "description": "Names of what the stage requires and nobody has filled.",
        },
        "stale": {
            "type": "boolean",
            "description": "Whether the deal has left the stage in which it was expected.",
        },
        "event": {
            "type": "object",
            "properties": {"source": {"type": "string"}, "id": {"type": "string"}},
            "description": "The event that cannot be used.",
        },
        "findings": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "place": {"type": "array", "items": {"type": ["string", "integer"]}},
                    "reason": {"type": "string"},
                },
            },
            "description": "What is wrong with the request, and where.",
        },
    },
}
"""What a problem looks like, as JSON Schema; for a description of an interface."""

_AWAY: Final = frozenset({"OperationalError", "InterfaceError", "PoolTimeout"})
"""How drivers call it that their database does not answer; not all of them are installed."""


@attrs.frozen(kw_only=True)
class Problem:
    """What is answered instead of what was asked for.

    Attributes:
        type: a URI that names the kind of problem, ``urn:ladderpipe:deal-not-found``.
        title: the kind in words, the same each time.
        detail: what was refused, why, and what to do.
        members: what a program may want to know beside it, by name.
        headers: of the answer, its content type among them.
    """

    status: HTTPStatus
    type: str
    title: str
    detail: str
    members: Mapping[str, Any] = attrs.field(factory=dict)
    headers: Mapping[str, str] = attrs.field(factory=lambda: {"Content-Type": MEDIA_TYPE})

    def to_dict(self) -> dict[str, Any]:
        """Return the problem as JSON values."""
        told = {"type": self.type, "title": self.title, "status": self.status.value}
        return {**told, "detail": self.detail, **self.members}

    def body(self) -> bytes:
        """Return the problem as JSON, in ASCII: a refusal quotes what may be no Unicode."""
        return json.dumps(self.to_dict()).encode("ascii")


def problem_of(
    error: BaseException,
    refusals: tuple[type[BaseException], ...] = (),
    language: str | None = None,
) -> Problem | None:
    """Return what is answered to an error; ``None`` to one that is a mistake of the server's.

    Of a driver's error that says that the database is away, nothing is told.

    Args:
        refusals: exceptions of the application's own by which its hooks and guards refuse. Their
            words are told; any other that a hook or guard raised is a mistake.
        language: the one to say it in, as an ISO 639 code or as the request's header
            ``Accept-Language`` has it (``""`` when there is none): ``en``, or ``it`` in the words
            of the board in the browser. The answer then says which one it is in and that others
            are to be had. Left out, English.
    """
    words = _words(language)
    kind = next((each for each in type(error).__mro__ if each in STATUSES), None)
    if kind is None:
        is_away = any(each.__name__ in _AWAY for each in type(error).__mro__)
        return _database_away(words) if is_away else None
    told = error
    if isinstance(error, errors.HookError | errors.GuardError):
        if not isinstance(error.__cause__, refusals):
            return None
        told = error.__cause__
    status, name = STATUSES[kind], kind.__name__.removesuffix("Error")
    return _in_language(
        words,
        status=status,
        type="urn:ladderpipe:" + re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower(),
        title=(kind.__doc__ or status.phrase).partition("\n")[0],  # Python may leave docs out
        detail=words.refused(error, status) if words and words.language != "en" else str(told),
        members=_members(error),
    )


def _database_away(words: RefusalWords | None) -> Problem:
    away, title = HTTPStatus.SERVICE_UNAVAILABLE, "The database does not answer."
    detail = "the database does not answer, so nothing is stored: ask again in a moment"
    if words and words.language != "en":
        detail = words.refused(errors.StoreError(), away)
    kind = "urn:ladderpipe:database-away"
    return _in_language(words, status=away, type=kind, title=title, detail=detail)


def invalid_request(
    found: Iterable[tuple[Iterable[str | int], str]], language: str | None = None
) -> Problem:
    """Return what is answered to a request that is not what it should be.

    Args:
        found: the place and the reason of each finding.
        language: as :func:`problem_of` has it; reasons are told as they are.
    """
    told = [{"place": [*place], "reason": reason} for place, reason in found]
    said = (f"{'.'.join(map(str, each['place']))}: {each['reason']}" for each in told)
    return _in_language(
        _words(language),
        status=HTTPStatus.UNPROCESSABLE_ENTITY,
        type="urn:ladderpipe:invalid-request",
        title="Invalid request",
        detail="; ".join(said),
        members={"findings": told},
    )


def _words(language: str | None) -> RefusalWords | None:
    return None if language is None else refusal_words(asked_for(language))


def _in_language(words: RefusalWords | None, *, title: str, **told: Any) -> Problem:
    """Return a problem with its headers and the title that its kind has in a language."""
    headers = {"Content-Type": MEDIA_TYPE}
    if told["status"] is HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = str(RETRY_AFTER)
    if words is not None:
        headers |= {"Content-Language": words.language, "Vary": "Accept-Language"}
        title = words.gettext(title)
    return Problem(title=title, headers=headers, **told)


def _members(error: BaseException) -> dict[str, Any]:
    if isinstance(error, errors.MoveNotAllowedError):
        stale = error.expecting and error.stage and not error.options
        return {
            "deal": error.deal,
            "stage": error.stage and error.stage.key,
            "into": error.into and str(error.into),
            "allowed": [stage.key for stage in error.allowed],
            "missing": list(error.missing),
            **({"stale": True} if stale else {}),
        }
    event = getattr(error, "event", None)
    return {} if event is None else {"event": event.identity.to_dict()}

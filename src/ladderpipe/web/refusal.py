"""What is answered when something is refused: a status, and why, in the reader's words."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from ..errors import (
    DealNotFoundError,
    EffectNotFoundError,
    EventConflictError,
    EventFromFutureError,
    EventNotFoundError,
    GuardError,
    HeldNotFoundError,
    HookError,
    InstantError,
    InvalidEventError,
    MissingPropertyError,
    MoveNotAllowedError,
    PipelineChangedError,
    StoreError,
)
from .words import Words

__all__ = ["Refusal", "refusal_of"]

RETRY_AFTER: Final = 5
"""Seconds after which a browser may ask a database again that was away or busy."""

_AWAY: Final = frozenset({"OperationalError", "InterfaceError", "PoolTimeout"})
"""How drivers call it that their database does not answer; not all of them are installed."""


class Refusal(Exception):
    """Ends a request with a status other than success.

    Attributes:
        detail: why, in the reader's language.
        fields: what a program may want to know beside it.
    """

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        **fields: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})
        self.fields = fields

    def problem(self) -> dict[str, Any]:
        """Return it as RFC 9457 has it."""
        told = {"type": "about:blank", "title": self.status.phrase, "status": self.status.value}
        return {**told, "detail": self.detail, **self.fields}


def refusal_of(error: Exception, words: Words) -> Refusal | None:
    """Return what is answered to an error of the board's; ``None`` to one that nobody expects."""
    _ = words.gettext
    if isinstance(error, Refusal):
        return error
    if isinstance(error, DealNotFoundError):
        return Refusal(HTTPStatus.NOT_FOUND, _("There is no such deal."))
    if isinstance(error, EffectNotFoundError | HeldNotFoundError | EventNotFoundError):
        return Refusal(HTTPStatus.NOT_FOUND, _("It is not there any more."))
    if isinstance(error, MoveNotAllowedError):
        return _of_move(error, words)
    if isinstance(error, EventConflictError):
        detail = _("This was asked for before, with other content: load the page again.")
        return Refusal(HTTPStatus.CONFLICT, detail)
    if isinstance(error, HookError | GuardError):
        detail = _("The shop's own rules refused it: %(why)s", why=error.__cause__ or error)
        return Refusal(HTTPStatus.CONFLICT, detail)
    if isinstance(error, InvalidEventError | EventFromFutureError | InstantError):
        detail = _("This cannot be taken as it is: %(why)s", why=error)
        return Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, detail)
    if isinstance(error, PipelineChangedError):
        return _later(_("The pipeline is being changed: try again in a moment."))
    if isinstance(error, StoreError) or any(c.__name__ in _AWAY for c in type(error).__mro__):
        return _later(_("The database does not answer: try again in a moment."))
    return None


def _later(detail: str) -> Refusal:
    again = {"Retry-After": str(RETRY_AFTER)}
    return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, detail, headers=again)


def _of_move(error: MoveNotAllowedError, words: Words) -> Refusal:
    _ = words.gettext
    stage = words.stage(error.stage) if error.stage else None
    into = words.stage(error.into) if error.into else ""
    fields: dict[str, Any] = {
        "deal": error.deal,
        "stage": error.stage and error.stage.key,
        "into": error.into and str(error.into),
        "allowed": [stage.key for stage in error.allowed],
        "missing": list(error.missing),
    }
    if isinstance(error, MissingPropertyError):
        names = ", ".join(words.field(name) for name in error.missing)
        detail = _("For “%(stage)s” it takes: %(names)s.", stage=into, names=names)
        return Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, detail, **fields)
    if error.expecting and error.stage and not error.options:
        detail = _("The deal is in “%(stage)s” by now.", stage=stage)
        return Refusal(HTTPStatus.CONFLICT, detail, stale=True, **fields)
    option = next((each for each in error.options if each.into == error.into), None)
    if option is None:
        return Refusal(HTTPStatus.CONFLICT, _("This is not possible any more."), **fields)
    detail = _(
        "It cannot be moved into “%(stage)s”: %(why)s", stage=into, why=words.why_not(option)
    )
    return Refusal(HTTPStatus.CONFLICT, detail, **fields)

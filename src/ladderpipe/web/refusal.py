"""What is answered when something is refused: a status, and why, in the reader's words."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from ..errors import (
    DealNotFoundError,
    EventConflictError,
    GuardError,
    HookError,
    MissingPropertyError,
    MoveNotAllowedError,
    PipelineChangedError,
)
from ..problems import problem_of
from .words import Words

__all__ = ["Refusal", "refusal_of"]


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
    if isinstance(error, Refusal):
        return error
    # A salesperson is told whatever a hook raised: who wrote it is a colleague.
    problem = problem_of(error, refusals=(Exception,))
    if problem is None:
        return None
    detail = _said(error, problem.status, words)
    again = {name: text for name, text in problem.headers.items() if name == "Retry-After"}
    return Refusal(problem.status, detail, headers=again, **problem.members)


def _said(error: Exception, status: HTTPStatus, words: Words) -> str:
    """Return why something was refused, for whoever reads the page."""
    _ = words.gettext
    if isinstance(error, MoveNotAllowedError):
        return _said_of_move(error, words)
    if isinstance(error, EventConflictError):
        return _("This was asked for before, with other content: load the page again.")
    if isinstance(error, HookError | GuardError):
        return _("The shop's own rules refused it: %(why)s", why=error.__cause__)
    if isinstance(error, DealNotFoundError):
        return _("There is no such deal.")
    if isinstance(error, PipelineChangedError):
        return _("The pipeline is being changed: try again in a moment.")
    if status is HTTPStatus.NOT_FOUND:
        return _("It is not there any more.")
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        return _("The database does not answer: try again in a moment.")
    return _("This cannot be taken as it is: %(why)s", why=error)


def _said_of_move(error: MoveNotAllowedError, words: Words) -> str:
    _ = words.gettext
    into = words.stage(error.into) if error.into else ""
    if isinstance(error, MissingPropertyError):
        names = ", ".join(words.field(name) for name in error.missing)
        return _("For “%(stage)s” it takes: %(names)s.", stage=into, names=names)
    if error.expecting and error.stage and not error.options:
        return _("The deal is in “%(stage)s” by now.", stage=words.stage(error.stage))
    option = next((each for each in error.options if each.into == error.into), None)
    if option is None:
        return _("This is not possible any more.")
    return _("It cannot be moved into “%(stage)s”: %(why)s", stage=into, why=words.why_not(option))

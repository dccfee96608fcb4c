"""What is answered when something is refused: a status, and why, in the reader's words."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

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
    detail = words.refused(error, problem.status)
    again = {name: text for name, text in problem.headers.items() if name == "Retry-After"}
    return Refusal(problem.status, detail, headers=again, **problem.members)

"""Refusals behind FastAPI, as problems: in the routes of this package and in any application."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

from ..errors import LadderError
from ..problems import MEDIA_TYPE, SCHEMA, invalid_request, problem_of

__all__ = ["ProblemRoute", "install_error_handlers", "problems"]

_WORDS: Final = {
    404: "There is none.",
    409: "It is refused as things stand.",
    422: "It cannot be what it says.",
    503: "Not now: ask again.",
}

_LANGUAGE: Final = "`it` if `Accept-Language` asks for it, or `en`: of title and detail."


def install_error_handlers(app: FastAPI, refusals: tuple[type[BaseException], ...] = ()) -> None:
    """Let an application answer what a board refuses, and what is no request, as a problem.

    What no request is to blame for stays an error, which the server logs and answers with 500.

    Args:
        refusals: exceptions of the application's own by which its hooks and guards refuse, which
            are answered with 409 and in their words.
    """

    async def answer(request: Request, error: Exception) -> Response:
        return _answer_or_raise(request, error, refusals)

    app.add_exception_handler(LadderError, answer)
    app.add_exception_handler(RequestValidationError, answer)


class ProblemRoute(APIRoute):
    """A route that answers refusals itself, whatever the application does with its own.

    OpenAPI calls it what the first sentence of its docstring says.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **told: Any) -> None:
        told["summary"] = told.get("summary") or (endpoint.__doc__ or "").partition(".")[0] or None
        super().__init__(path, endpoint, **told)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers a request."""
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handle(request)
            except Exception as error:
                return _answer_or_raise(request, error)

        return answer


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what OpenAPI says of a route's refusals: these, and those of every route."""
    content = {MEDIA_TYPE: {"schema": SCHEMA}}
    headers = {"Content-Language": {"description": _LANGUAGE, "schema": {"type": "string"}}}
    return {
        status: {"description": _WORDS[status], "content": content, "headers": headers}
        for status in (*statuses, 422, 503)
    }


def _answer_or_raise(
    request: Request, error: Exception, refusals: tuple[type[BaseException], ...] = ()
) -> Response:
    language = request.headers.get("accept-language", "")
    if isinstance(error, RequestValidationError):
        # FastAPI's own answer repeats what was sent, which cannot always be written as JSON.
        problem = invalid_request(
            ((each["loc"], each["msg"].removeprefix("Value error, ")) for each in error.errors()),
            language,
        )
    else:
        found = problem_of(error, refusals, language)
        if found is None:
            raise error
        problem = found
    return Response(problem.body(), problem.status, dict(problem.headers))

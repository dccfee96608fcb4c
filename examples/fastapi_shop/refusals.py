"""What is answered where the board, the shop's table or a hook refuses."""

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from ladder import CreditExceeded
from sqlalchemy.exc import IntegrityError

from ladderpipe import errors

STATUSES = {
    errors.DealNotFoundError: 404,
    errors.MoveNotAllowedError: 409,
    errors.EventConflictError: 409,
    errors.MissingPropertyError: 422,
    errors.InvalidEventError: 422,
    errors.InstantError: 422,
    errors.EventFromFutureError: 503,
}


def answer_refusals(app: FastAPI) -> None:
    """Let the application say why something is refused; anything else is a mistake of ours."""
    for kind, status in STATUSES.items():
        app.add_exception_handler(kind, refuse_with(status))
    app.add_exception_handler(errors.HookError, refuse_credit)
    app.add_exception_handler(IntegrityError, refuse_order)
    app.add_exception_handler(RequestValidationError, refuse_body)


def refuse_with(status: int):
    return lambda request, error: refusal(str(error), status)


def refuse_credit(request, error):
    if isinstance(error.__cause__, CreditExceeded):
        return refusal(str(error.__cause__), 409)
    raise error


def refuse_order(request, error):
    return refusal("this cart is empty, or has been ordered already", 409)


def refuse_body(request, error):
    # FastAPI's own answer repeats what was sent, which cannot always be written as JSON.
    places = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
    return refusal("; ".join(places), 422)


def refusal(detail: str, status: int) -> JSONResponse:
    return JSONResponse({"detail": detail}, status)

"""What is answered where the board, the shop's table or a hook refuses."""

import database
from flask import Flask
from ladder import CreditExceeded

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


def answer_refusals(app: Flask) -> None:
    """Let the application say why something is refused; anything else is a mistake of ours."""
    for kind, status in STATUSES.items():
        app.register_error_handler(kind, refuse_with(status))
    app.register_error_handler(errors.HookError, refuse_credit)
    for kind in database.RefusedByTable:
        app.register_error_handler(kind, refuse_order)


def refuse_with(status):
    return lambda error: ({"detail": str(error)}, status)


def refuse_credit(error):
    if isinstance(error.__cause__, CreditExceeded):
        return {"detail": str(error.__cause__)}, 409
    raise error


def refuse_order(error):
    return {"detail": "this cart is empty, or has been ordered already"}, 409

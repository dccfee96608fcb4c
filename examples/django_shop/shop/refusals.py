"""What is answered where the board, the shop's table or a hook refuses."""

from django.db import IntegrityError
from django.http import JsonResponse

from ladderpipe import errors

from .sales import CreditExceeded

STATUSES = {
    errors.DealNotFoundError: 404,
    errors.MissingPropertyError: 422,  # a MoveNotAllowedError too, so it comes first
    errors.MoveNotAllowedError: 409,
    errors.EventConflictError: 409,
    errors.InvalidEventError: 422,
    errors.InstantError: 422,
    errors.EventFromFutureError: 503,
}


class RefusalMiddleware:
    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        return self.get_response(request)

    def process_exception(self, request, error):
        if isinstance(error, errors.HookError) and isinstance(error.__cause__, CreditExceeded):
            return refusal(str(error.__cause__), 409)
        if isinstance(error, IntegrityError):
            return refusal("this cart is empty, or has been ordered already", 409)
        for kind, status in STATUSES.items():
            if isinstance(error, kind):
                return refusal(str(error), status)
        return None  # a mistake of ours


def refusal(detail, status):
    return JsonResponse({"detail": detail}, status=status)

"""What is answered where the board, the shop's table or a hook refuses."""

from django.db import IntegrityError
from django.http import HttpResponse, JsonResponse

from ladderpipe.problems import problem_of

from .sales import CreditExceeded


class RefusalMiddleware:
    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        return self.get_response(request)

    def process_exception(self, request, error):
        if isinstance(error, IntegrityError):
            detail = "this cart is empty, or has been ordered already"
            return JsonResponse({"detail": detail}, status=409)
        language = request.headers.get("Accept-Language", "")
        problem = problem_of(error, refusals=(CreditExceeded,), language=language)
        if problem is None:
            return None  # a mistake of ours
        return HttpResponse(problem.body(), status=problem.status, headers=problem.headers)

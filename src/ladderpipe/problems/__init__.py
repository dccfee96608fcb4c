"""What a refusal is answered with over HTTP: a problem as RFC 9457 has it, whatever the framework.

::

    problem = problem_of(error, language=request.headers.get("Accept-Language", ""))
    if problem is None:
        raise error  # nobody's refusal: a mistake, which belongs into the log
    return Response(problem.body(), problem.status, problem.headers)

See https://www.rfc-editor.org/rfc/rfc9457.
"""

from ..public import publish
from .problem import MEDIA_TYPE, SCHEMA, STATUSES, Problem, invalid_request, problem_of

__all__ = [
    "MEDIA_TYPE",
    "SCHEMA",
    "STATUSES",
    "Problem",
    "invalid_request",
    "problem_of",
]

publish(__name__, Problem, invalid_request, problem_of)

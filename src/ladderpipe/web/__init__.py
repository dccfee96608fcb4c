"""The board for people: a kanban, lists and deals in a browser, as an ASGI or WSGI application.

``BoardApp`` is mounted into the application that signs people in. It needs the extra ``web``; under
WSGI and Django the extra ``wsgi``, too.
"""

from ..extras import how_to_install

try:
    import jinja2 as _jinja2  # noqa: F401
    import starlette as _starlette  # noqa: F401
except ModuleNotFoundError as _error:  # pragma: no cover - tested in a process of its own
    raise ModuleNotFoundError(
        f"ladderpipe.web needs Starlette and Jinja2: {how_to_install('web')}", name=_error.name
    ) from _error

from ..public import publish
from .access import Access, Action, User
from .app import BoardApp
from .django_view import board_view

__all__ = ["Access", "Action", "BoardApp", "User", "board_view"]

publish(__name__, Access, BoardApp, User, board_view)

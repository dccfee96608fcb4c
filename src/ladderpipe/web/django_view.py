"""The board inside Django: one view, behind Django's own sessions and sign-in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..extras import how_to_install
from .app import DJANGO_USER, BoardApp

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["board_view"]


def board_view(app: BoardApp) -> Callable[..., Any]:
    """Return the board as a Django view, for two lines in ``urlpatterns``.

    They are ``path("sales/", board_view(app))`` and ``path("sales/<path:path>", …)`` with the same
    view. The application's ``user`` is called with Django's request, in Django's thread. Who posts
    from where is checked by the application, without Django's token.

    Raises:
        DefinitionError: the board is an ``AsyncBoard``.
        ModuleNotFoundError: Django, or the extra ``wsgi``, is not installed.
    """
    try:
        from django.http import HttpResponse
        from django.views.decorators.csrf import csrf_exempt
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"board_view needs Django, which is not installed, and {how_to_install('wsgi')}",
            name=error.name,
        ) from error
    application = app.wsgi()

    def view(request: Any, path: str = "") -> Any:
        mounted = request.path_info.removesuffix(path).rstrip("/")
        environ = {
            "SERVER_PROTOCOL": "HTTP/1.1",
            "SERVER_NAME": "",
            "SERVER_PORT": "",
            **request.META,
            "REQUEST_METHOD": request.method,
            "SCRIPT_NAME": request.META.get("SCRIPT_NAME", "") + mounted,
            "PATH_INFO": f"/{path}",
            "wsgi.url_scheme": request.scheme,
            "wsgi.input": request,
            DJANGO_USER: app.user_of(request),
        }
        answered: dict[str, Any] = {}

        def start_response(status: str, headers: list[tuple[str, str]], *_: Any) -> None:
            answered.update(status=int(status.split()[0]), headers=headers)

        body = b"".join(application(environ, start_response))
        response = HttpResponse(body, status=answered["status"])
        for name, value in answered["headers"]:
            if name.lower() not in ("content-length", "connection"):
                response[name] = value
        return response

    found: Callable[..., Any] = csrf_exempt(view)
    return found

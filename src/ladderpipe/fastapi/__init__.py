"""A board behind FastAPI: routes that a shop and its salespeople's clients want, and refusals.

``router`` has the routes, ``install_error_handlers`` answers refusals in an application's own
endpoints, too. They need the extra ``fastapi``.
"""

from ..extras import how_to_install

try:
    import fastapi as _fastapi  # noqa: F401
    import pydantic as _pydantic  # noqa: F401
except ModuleNotFoundError as _error:  # pragma: no cover - tested in a process of its own
    raise ModuleNotFoundError(
        f"ladderpipe.fastapi needs FastAPI: {how_to_install('fastapi')}", name=_error.name
    ) from _error

from ..public import publish
from .refusals import install_error_handlers
from .routes import router

__all__ = ["install_error_handlers", "router"]

publish(__name__, install_error_handlers, router)

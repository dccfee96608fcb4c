"""The board in a Django project: an app for ``INSTALLED_APPS``, on Django's own connection.

``get_board()`` gives the board; what it writes belongs to the transaction that Django is in, and
in tests to the database of the tests. Needs the extra ``django``.
"""

from ..extras import how_to_install

try:
    import django as _django  # noqa: F401
except ModuleNotFoundError as _error:  # pragma: no cover - tested in a process of its own
    raise ModuleNotFoundError(
        f"ladderpipe.django needs Django: {how_to_install('django')}", name=_error.name
    ) from _error

from ..public import publish
from .boards import DjangoBoard, get_board, get_boards
from .signals import deal_moved

__all__ = ["DjangoBoard", "deal_moved", "get_board", "get_boards"]

publish(__name__, DjangoBoard, get_board, get_boards)

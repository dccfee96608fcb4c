"""What type checkers say of the board for people. Checked, never run."""

from typing import Any, assert_type

from starlette.requests import Request

from ladderpipe import AsyncBoard, Board, Deal, Scope
from ladderpipe.web import Access, Action, BoardApp, User, board_view


def plain(request: Request) -> User | None:
    return User(request.headers["x-user"], language="it")


async def awaited(request: Request) -> User | None:
    return None


class Own(Access):
    def scope(self, user: User) -> Scope | None:
        return Scope(owners=[user.id, None])

    def may(self, user: User, action: Action, deal: Deal | None) -> bool:
        return action != "override" and super().may(user, action, deal)


def mounted(board: Board, asynchronous: AsyncBoard) -> None:
    app = BoardApp(board, user=plain, access=Own(), language="it", login_url="/login")
    BoardApp(asynchronous, user=awaited)
    BoardApp({"sales": board, "leads": board}, user=plain, access={"sales": Own(), "leads": Own()})
    BoardApp({"sales": board, "leads": asynchronous}, user=plain, access=Own())
    BoardApp(board)  # type: ignore[call-arg]
    assert_type(app.user_of(None), User | None)
    wsgi: Any = app.wsgi()
    view = board_view(app)
    view(wsgi)

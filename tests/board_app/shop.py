"""A small sales team's board: its ladder, its people, and their board behind any server."""

from __future__ import annotations

import datetime as dt
import sys
from typing import Any

from ladderpipe import Board, Event, Pipeline, Scope, Stage, after, by_hand, do, on
from ladderpipe.asynchronous import AsyncBoard
from ladderpipe.web import Access, Action, BoardApp, User, board_view

__all__ = ["Team", "application", "pipeline", "renewals", "tell", "who"]

TITLES = {
    "contact": {"en": "First contact", "it": "Primo contatto"},
    "offer": {"en": "Offer sent", "it": "Offerta inviata"},
    "cold": {"en": "Gone cold", "it": "Raffreddata"},
    "won": {"en": "Won", "it": "Vinta"},
    "lost": {"en": "Lost", "it": "Persa"},
}


def pipeline() -> Pipeline:
    """Return a ladder with every kind of move that a hand may try."""
    call = do("task", title="Call back", due_hours=4)
    week = dt.timedelta(days=7)
    contact = Stage("contact", title=TITLES["contact"], probability=0.1, rots_after=week)
    offer = Stage("offer", title=TITLES["offer"], probability=0.5, sequence=[call])
    cold = Stage("cold", title=TITLES["cold"], status="abandoned")
    won = Stage("won", title=TITLES["won"], status="won")
    lost = Stage("lost", title=TITLES["lost"], status="lost", requires=["loss_reason"])
    return Pipeline(
        "team",
        title={"en": "Team sales", "it": "Vendite del team"},
        stages=[contact, offer, cold, won, lost],
        rules=[
            on("lead", into=contact, opens=True),
            by_hand(into=offer),
            by_hand(into=won, out_of=[offer]),
            by_hand(into=lost),
            after(hours=48, out_of=offer, into=cold),
        ],
    )


def renewals() -> Pipeline:
    """Return the ladder of customers who come back."""
    due = Stage(
        "due", title={"en": "To renew", "it": "Da rinnovare"}, sequence=[do("task", title="Write")]
    )
    renewed = Stage("renewed", title={"en": "Renewed", "it": "Rinnovata"}, status="won")
    gone = Stage(
        "gone", title={"en": "Gone", "it": "Persa"}, status="lost", requires=["loss_reason"]
    )
    return Pipeline(
        "renewals",
        title={"en": "Renewals", "it": "Rinnovi"},
        stages=[due, renewed, gone],
        rules=[on("lead", into=due, opens=True), by_hand(into=renewed), by_hand(into=gone)],
    )


def tell(board: Any, deal: str, at: dt.datetime, **data: Any) -> None:
    """Tell of a lead, which opens its deal."""
    told = {"title": f"Deal {deal}", "value": "1200", "currency": "EUR", **data}
    board.handle(Event("lead", deal=deal, id=f"lead-{deal}", at=at, data=told))


class Team(Access):
    """Anna leads the team and may do everything; the others see what is theirs, or nobody's."""

    def scope(self, user: User) -> Scope | None:
        return None if user.id == "anna" else Scope(owners=[user.id, None])

    def may(self, user: User, action: Action, deal: Any) -> bool:
        return user.id == "anna" or super().may(user, action, deal)


def who(request: Any) -> User | None:
    """Return whom a cookie names: of Starlette's request, or of Django's."""
    cookies = request.COOKIES if hasattr(request, "COOKIES") else request.cookies
    name = cookies.get("user")
    return User(name, language=cookies.get("language")) if name else None


def application(board: Any, **settings: Any) -> BoardApp:
    """Return the team's board, or several of its boards by name, as an application."""
    return BoardApp(board, **{"user": who, "access": Team(), **settings})


def serve(kind: str, url: str, port: int, *more: str) -> None:
    """Serve the board that is in a store, or both of them by name, until the process ends."""
    board: Any = Board.open(pipeline(), url)
    if more == ("several",):
        board = {"team": board, "renewals": Board.open(renewals(), url)}
    if kind in ("uvicorn", "awaited"):
        import uvicorn

        if kind == "awaited":
            board = AsyncBoard(pipeline(), store=board.store)
        uvicorn.run(application(board), host="127.0.0.1", port=port, log_level="warning")
        return
    from socketserver import ThreadingMixIn
    from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

    class Server(ThreadingMixIn, WSGIServer):
        daemon_threads = True

    class Quiet(WSGIRequestHandler):
        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    wsgi = application(board).wsgi() if kind == "wsgi" else django_site(application(board))
    make_server("127.0.0.1", port, wsgi, Server, Quiet).serve_forever()


def django_site(app: BoardApp) -> Any:
    """Return a Django site with the board in one of its folders."""
    from django.conf import settings
    from django.core.wsgi import get_wsgi_application
    from django.urls import path

    settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["127.0.0.1"], SECRET_KEY="tests")
    view = board_view(app)
    urlpatterns.extend([path("sales/", view), path("sales/<path:path>", view)])
    return get_wsgi_application()


urlpatterns: list[Any] = []

if __name__ == "__main__":
    # Django looks this module up by its name.
    sys.modules["tests.board_app.shop"] = sys.modules["__main__"]
    serve(sys.argv[1], sys.argv[2], int(sys.argv[3]), *sys.argv[4:])

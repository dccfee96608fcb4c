"""A sales team's board inside a FastAPI application that signs its people in.

    pip install '.[serve]' fastapi itsdangerous httpx     # from the clone
    uvicorn --factory sales_board:from_environment

It is at http://127.0.0.1:8000/ for marta and bea, both with "correct horse". Bea sees her own
deals and those that nobody has yet; marta leads the team and may do everything. DATABASE_URL is
where the board is (sqlite:///sales.db when left out), SECRET_KEY what signs the sessions.

Run as a program, it asks itself a few pages, as browsers would.
"""

import contextlib
import hashlib
import hmac
import html
import os
import secrets
import tempfile
import threading
from pathlib import Path
from urllib.parse import parse_qs

import httpx
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.concurrency import run_in_threadpool
from starlette.middleware.sessions import SessionMiddleware

from ladderpipe import Board, Event, Scope, SystemClock, templates
from ladderpipe.web import Access, BoardApp, User

pipeline = templates.sales_management(language="en")


# -- who works here ---------------------------------------------------------------------------


def hashed(password: str, salt: bytes) -> bytes:
    """Return what is kept of a password."""
    return hashlib.scrypt(password.encode(), salt=salt, n=2**14, r=8, p=1)


SALT = secrets.token_bytes(16)
PASSWORDS = {name: hashed("correct horse", SALT) for name in ("marta", "bea")}
NOBODYS = hashed(secrets.token_hex(), SALT)
MANAGERS = {"marta"}


def may_sign_in(name: str, password: str) -> bool:
    """Whether this is somebody's password; who there is cannot be told from how long it takes."""
    kept = PASSWORDS.get(name, NOBODYS)
    return hmac.compare_digest(kept, hashed(password[:100], SALT))


class Team(Access):
    """Managers see and do everything; the others what is theirs, and what is nobody's yet."""

    def scope(self, user):
        return None if user.id in MANAGERS else Scope(owners=[user.id, None])

    def may(self, user, action, deal):
        return user.id in MANAGERS or super().may(user, action, deal)


def who(request: Request) -> User | None:
    name = request.session.get("user")
    return User(name, name=name.title()) if name in PASSWORDS else None


# -- the application --------------------------------------------------------------------------


def application(board: Board) -> FastAPI:
    """Return the team's application: a page to sign in, and the board behind it."""

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI):
        """Fire timers beside the requests, as long as the application runs."""
        stop = threading.Event()
        worker = threading.Thread(target=board.run, kwargs={"stop": stop})
        worker.start()
        yield
        stop.set()
        worker.join()

    app = FastAPI(lifespan=lifespan)
    secret = os.environ.get("SECRET_KEY") or secrets.token_hex()
    app.add_middleware(SessionMiddleware, secret_key=secret, same_site="lax")

    @app.get("/")
    def start():
        return RedirectResponse("/sales/")

    @app.get("/login")
    def login(next: str = "/sales/"):
        return HTMLResponse(LOGIN.format(next=html.escape(next), said=""))

    @app.post("/login")
    async def sign_in(request: Request):
        form = parse_qs((await request.body()).decode("utf-8", "replace"))
        name, password = form.get("name", [""])[0], form.get("password", [""])[0]
        leads_to = form.get("next", [""])[0]
        if not await run_in_threadpool(may_sign_in, name, password):
            said = "Name or password is wrong."
            return HTMLResponse(LOGIN.format(next=html.escape(leads_to), said=said), 401)
        request.session.clear()
        request.session["user"] = name
        # Nowhere but to a page of this application.
        is_ours = leads_to.startswith("/") and not leads_to.startswith(("//", "/\\"))
        return RedirectResponse(leads_to if is_ours else "/sales/", 303)

    @app.post("/logout")
    def sign_out(request: Request):
        request.session.clear()
        return RedirectResponse("/login", 303)

    app.mount("/sales", BoardApp(board, user=who, access=Team(), login_url="/login"))
    return app


LOGIN = """<!DOCTYPE html>
<html lang="en"><title>Sign in</title>
<form method="post" action="/login">
<input type="hidden" name="next" value="{next}">
<p>{said}</p>
<p><label>Name <input name="name" autocomplete="username" required></label></p>
<p><label>Password <input name="password" type="password" required></label></p>
<p><button>Sign in</button></p>
</form></html>
"""


def from_environment() -> FastAPI:
    """Return the application on the database that the environment names."""
    return application(Board.open(pipeline, os.environ.get("DATABASE_URL", "sqlite:///sales.db")))


# -- what a browser would ask -----------------------------------------------------------------


@contextlib.contextmanager
def serving(app: FastAPI):
    """Serve an application until the block ends; yield its address."""
    server = uvicorn.Server(uvicorn.Config(app, "127.0.0.1", 0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            thread.join(0.01)
            assert thread.is_alive(), "the server did not start"
        yield "http://127.0.0.1:{1}".format(*server.servers[0].sockets[0].getsockname())
    finally:
        server.should_exit = True
        thread.join()


def fill(board: Board) -> None:
    """Tell of three carts: one of marta's, one of bea's, one of nobody's."""
    line = {"sku": "NB-15", "title": "Notebook 15", "quantity": 1, "unit_price": "899.00"}
    for deal, owner in (("cart-1", "marta"), ("cart-2", "bea"), ("cart-3", None)):
        data = {"line": line, "currency": "EUR", "contact": {"name": f"Customer of {deal}"}}
        data |= {"owner": owner} if owner else {}
        now = SystemClock().now()
        board.handle(Event("cart.item_added", deal=deal, id=f"added-{deal}", at=now, data=data))


def ask_a_few_pages(address: str) -> None:
    """Sign two people in, and look and act as each of them."""
    json = {"Accept": "application/json"}
    with (
        httpx.Client(base_url=address, trust_env=False, timeout=30) as marta,
        httpx.Client(base_url=address, trust_env=False, timeout=30) as bea,
    ):
        sent = bea.get("/sales/deal?deal=cart-2")
        print("nobody is sent to", sent.headers["location"])
        wrong = bea.post("/login", data={"name": "bea", "password": "guess"})
        print("a wrong password is answered", wrong.status_code)
        for name, client in (("marta", marta), ("bea", bea)):
            asked = {"name": name, "password": "correct horse", "next": "/sales/"}
            assert client.post("/login", data=asked).headers["location"] == "/sales/"
            columns = client.get("/sales/", headers=json).json()["columns"]
            print(name, "sees", sum(column["count"] for column in columns), "deals")
        print("marta's deal is to bea", bea.get("/sales/deal?deal=cart-1").status_code)
        refused = bea.post("/sales/move", json={"deal": "cart-2", "into": "lost"}, headers=json)
        print("a loss takes", refused.json()["missing"])
        # What bea does, marta's page is told at once.
        with marta.stream("GET", "/sales/live") as stream:
            lines = stream.iter_lines()
            assert next(line for line in lines if line.startswith("event:")) == "event: alive"
            told = {"deal": "cart-2", "into": "lost", "properties": {"loss_reason": "price"}}
            print(bea.post("/sales/move", json=told, headers=json).json()["message"])
            print("marta hears:", next(line for line in lines if line == "event: changed"))


if __name__ == "__main__":
    with (
        tempfile.TemporaryDirectory() as folder,
        Board.open(pipeline, f"sqlite:///{Path(folder) / 'sales.db'}") as board,
    ):
        fill(board)
        with serving(application(board)) as address:
            ask_a_few_pages(address)

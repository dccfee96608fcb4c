"""The shops in ``examples/``, each started as it would be in earnest and called over HTTP."""

from __future__ import annotations

import contextlib
import json
import mailbox
import os
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import attrs
import httpx
import psycopg

from ladderpipe import Board
from ladderpipe.templates import sales_management

EXAMPLES: Final = Path(__file__).parents[2] / "examples"
PROGRAMS: Final = Path(sys.executable).parent
DEADLINE: Final = 60.0
"""Seconds after which something that should happen is taken not to."""


@attrs.frozen
class Application:
    """How one of the shops is started; ``{port}``, ``{database}`` and ``{mailbox}`` are filled in.

    Attributes:
        folder: where it is in ``examples/``, and where its programs are started.
        serve: the program that answers requests.
        prepare: what is run before, and ends.
        work: the worker beside it, where the server is not its own.
    """

    folder: str
    serve: str
    prepare: str | None = None
    work: str | None = None


APPLICATIONS: Final = {
    "fastapi": Application(
        "fastapi_shop", "uvicorn app:app --host 127.0.0.1 --port {port} --log-level warning"
    ),
    "django": Application(
        "django_shop",
        "python manage.py runserver --noreload 127.0.0.1:{port}",
        prepare="python manage.py migrate",
        work="python manage.py ladder_worker --poll 0.2",
    ),
    "flask": Application(
        "flask_shop",
        "flask --app app run --port {port}",
        work="ladderpipe worker {database} --pipeline ladder:ladder --mailbox {mailbox} "
        "--language en --sender shop@example.com --poll 0.2",
    ),
}


@attrs.frozen
class WebShop:
    """A shop that is running: who calls it, its database, its mailbox, its process."""

    name: str
    client: httpx.Client
    database: str
    mailbox: Path
    server: subprocess.Popen[bytes]

    def fill(self, cart: str, price: str = "899.00", **more: Any) -> httpx.Response:
        """Put a notebook into a cart."""
        line = {"sku": "NB-15", "title": "Notebook 15", "quantity": 2, "unit_price": price}
        return self.post(f"/carts/{cart}/items", {"line": line, "currency": "EUR"}, **more)

    def order(self, cart: str, **more: Any) -> httpx.Response:
        """Confirm the order of a cart."""
        return self.post(f"/carts/{cart}/order", {}, **more)

    def move(self, deal: str, into: str, **more: Any) -> httpx.Response:
        """Move a deal as a salesperson would."""
        return self.post(f"/deals/{deal}/move", {"into": into, "by": "carla", **more})

    def post(self, path: str, body: Any, key: str | None = None) -> httpx.Response:
        """Post a request, with an idempotency key or without."""
        return self.send(path, json.dumps(body).encode(), key)

    def send(self, path: str, content: bytes, key: str | None = None) -> httpx.Response:
        """Post what is said to be JSON."""
        headers = {"Content-Type": "application/json"}
        if key is not None:
            headers["Idempotency-Key"] = key
        return self.client.post(path, content=content, headers=headers)

    def stage(self, deal: str) -> str | None:
        """Return the stage a deal is in, ``None`` where none was opened."""
        response = self.client.get(f"/deals/{deal}")
        return None if response.status_code == 404 else response.raise_for_status().json()["stage"]

    def orders(self, cart: str) -> int:
        """Count the orders of a cart."""
        return self.ordered().count(cart)

    def ordered(self) -> list[str]:
        """Return the cart of each order in the shop's own table, past the application."""
        if self.database.startswith("sqlite"):
            opened: Any = sqlite3.connect(self.database.removeprefix("sqlite:///"))
        else:
            opened = psycopg.connect(self.database)
        with closing(opened) as connection:
            return [cart for (cart,) in connection.execute("SELECT cart FROM orders")]

    def won(self) -> list[str]:
        """Return every deal that is won, past the application."""
        with Board.open(sales_management("en"), self.database, read_only=True) as board:
            return [deal.id for deal in board.deals(status="won")]

    def events(self, cart: str, kind: str) -> int:
        """Count the events of a type that the board has stored for a cart."""
        with Board.open(sales_management("en"), self.database, read_only=True) as board:
            return sum(event.type == kind for event in board.events(cart))

    def mails(self, recipient: str) -> list[str]:
        """Return the subjects of the mails sent to an address so far."""
        if not self.mailbox.exists():
            return []
        with closing(mailbox.mbox(self.mailbox, create=False)) as sent:
            return [str(mail["Subject"]) for mail in sent if recipient in str(mail["To"])]


@contextlib.contextmanager
def running(name: str, database: str, folder: Path) -> Iterator[WebShop]:
    """Start a shop and its worker on a database; stop them when the block ends."""
    application = APPLICATIONS[name]
    port, sent = free_port(), folder / "sent.mbox"
    surroundings = os.environ | {
        "DATABASE_URL": database,
        "MAILBOX": str(sent),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
    }

    def command(text: str) -> list[str]:
        words = text.format(port=port, database=database, mailbox=sent).split()
        return [str(PROGRAMS / words[0]), *words[1:]]

    with contextlib.ExitStack() as stack:
        log = stack.enter_context((folder / "log.txt").open("w+"))
        started: dict[str, Any] = {
            "cwd": EXAMPLES / application.folder,
            "env": surroundings,
            "stdin": subprocess.DEVNULL,
            "stdout": log,
            "stderr": log,
        }
        if application.prepare:
            subprocess.run(command(application.prepare), check=True, **started)
        server = stack.enter_context(process(command(application.serve), **started))
        client = stack.enter_context(
            httpx.Client(
                base_url=f"http://127.0.0.1:{port}",
                timeout=DEADLINE,
                event_hooks={"response": [refuse_server_errors]},
                trust_env=False,
            )
        )
        wait_until(lambda: answers(client, server, folder / "log.txt"))
        if application.work:
            stack.enter_context(process(command(application.work), **started))
        yield WebShop(name, client, database, sent, server)


@contextlib.contextmanager
def process(command: Sequence[str], **started: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program until the block ends; one that does not stop when asked is a failure."""
    child = subprocess.Popen(command, **started)
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            child.kill()
            raise


def answers(client: httpx.Client, server: subprocess.Popen[bytes], log: Path) -> bool:
    """Return whether the server takes requests already."""
    assert server.poll() is None, log.read_text("utf-8")
    try:
        return client.get("/board").is_success
    except httpx.TransportError:
        return False


def refuse_server_errors(response: httpx.Response) -> None:
    """Fail the test that makes the shop stumble: what it refuses, it refuses in so many words."""
    if response.status_code == 500:
        raise AssertionError(
            f"{response.request.method} {response.request.url}: {response.read()!r}"
        )


def wait_until(happened: Callable[[], object]) -> None:
    """Return as soon as something has happened.

    Raises:
        AssertionError: it has not within the deadline.
    """
    deadline = time.monotonic() + DEADLINE
    while not happened():
        assert time.monotonic() < deadline, "nothing happened in time"
        time.sleep(0.02)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port

"""Running the command line inside the tests' process, and shops for it to look at."""

from __future__ import annotations

import contextlib
import io
import json
import mailbox
from email.message import Message
from pathlib import Path
from typing import Any

import attrs

from ladderpipe import Board, Event, ManualClock, Pipeline
from ladderpipe.cli import main
from ladderpipe.templates import sales_management

START = "2026-01-05T09:00:00Z"
SALES = "ladderpipe.templates:sales_management"


@attrs.frozen
class Ran:
    """What a command printed and the code it ended with."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        assert self.code == 0, self.err
        return json.loads(self.out)

    def refusal(self, code: int = 1) -> str:
        """Return the one line that an error is told in."""
        assert self.code == code, (self.code, self.out, self.err)
        (line,) = self.err.splitlines()
        assert line.startswith("ladderpipe: ")
        return line


def run(*arguments: object) -> Ran:
    """Run ``ladderpipe`` with these arguments."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(argument) for argument in arguments])
    return Ran(code, out.getvalue(), err.getvalue())


def shop(path: Path, pipeline: Pipeline | None = None) -> str:
    """Store three deals at *path*: an abandoned one, an order, a fresh one; return the URL."""
    url = f"sqlite:///{path}"
    clock = ManualClock(START)
    with Board.open(pipeline or sales_management("en"), url, clock) as board:
        board.handle(filled("cart-1", clock, owner="marta", value="1798.00"))
        board.handle(filled("cart-2", clock, owner="paolo", value="12.50"))
        clock.advance(hours=1)
        board.handle(Event("order.confirmed", deal="cart-2", id="paid", at=clock.now()))
        clock.advance(hours=48)
        board.tick()
        board.handle(filled("cart-3", clock, owner="marta", value="50.00", currency="CHF"))
    return url


def filled(deal: str, clock: ManualClock, owner: str, value: str, currency: str = "EUR") -> Event:
    """Return the event of a customer who puts one thing into a cart."""
    line = {"sku": "NB-15", "title": "Notebook 15", "quantity": 1, "unit_price": value}
    contact = {"name": "Ada Rossi", "email": f"{deal}@example.com"}
    return Event(
        "cart.item_added",
        deal=deal,
        id=f"filled-{deal}",
        at=clock.now(),
        data={"line": line, "currency": currency, "owner": owner, "contact": contact},
    )


def mails_in(path: Path) -> list[Message]:
    """Return the mails in a mailbox file."""
    with contextlib.closing(mailbox.mbox(path, create=False)) as box:
        return list(box)

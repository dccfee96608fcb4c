"""A small shop, and every report on it on one page: python examples/report.py [report.html]

Open the file it writes in a browser: it holds everything it needs, and asks nobody for anything.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

from ladderpipe import Board, Event, ManualClock, insight
from ladderpipe.templates import sales_management

OWNERS = ("Marta", "Paolo", "Sara")


def shop(carts: int = 120) -> Board:
    """Return a board on which *carts* were filled in half a year; some became orders."""
    clock = ManualClock("2026-01-05T09:00:00Z")
    board = Board(sales_management("en"), clock=clock)
    chance = random.Random(7)
    for number in range(carts):
        cart = f"cart-{number:03}"
        fill(board, cart, chance)
        clock.advance(hours=chance.choice([1, 20, 60]))
        if chance.random() < 0.5:
            tell(board, cart, "checkout.started")
            clock.advance(hours=chance.choice([1, 4, 30]))
            if chance.random() < 0.7:
                tell(board, cart, "order.confirmed")
        board.tick()
    return board


def fill(board: Board, cart: str, chance: random.Random) -> None:
    """Put something into a cart."""
    price = f"{chance.uniform(80, 1200):.2f}"
    quantity = chance.randint(1, 9)
    tell(
        board,
        cart,
        "cart.item_added",
        line={"sku": "NB-15", "title": "Notebook 15", "quantity": quantity, "unit_price": price},
        currency="EUR",
        owner=chance.choice(OWNERS),
    )


def tell(board: Board, cart: str, what: str, **data: object) -> None:
    """Tell the board what happened just now."""
    now = board.clock.now()
    board.handle(Event(what, deal=cart, id=f"{what}-{cart}", at=now, data=data))


def main(path: Path) -> None:
    """Write the page."""
    board = shop()
    path.write_text(insight.page(board, language="en"), encoding="utf-8")
    print(f"{path}: {len(list(board.deals()))} deals")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "report.html"))

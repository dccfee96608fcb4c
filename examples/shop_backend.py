"""A shop that writes its order and moves the deal in one transaction.

``board.using(connection)`` is the board on the shop's own connection: the order, the move and the
effects that the move asks for are there together, or none of them is. The shop commits.

Run it without arguments: it works in a temporary directory.
"""

import sqlite3
import tempfile
from pathlib import Path

from ladderpipe import ANY, Board, Event, ManualClock, Pipeline, Stage, on
from ladderpipe.guards import cart_has_items

cart = Stage("cart", title="Cart")
ordered = Stage("ordered", title="Ordered", status="won")

ladder = Pipeline(
    "orders",
    stages=[cart, ordered],
    rules=[
        on("order.confirmed", into=ordered, out_of=ANY),
        on("cart.item_added", into=cart, when=cart_has_items, opens=True),
    ],
)


@ladder.move_into(ordered)
def thank(ctx):
    ctx.do("email", template="order-thanks")
    # A hook may write to the shop's own tables: it is the same transaction.
    ctx.connection.execute("INSERT INTO audit VALUES (?, ?)", (ctx.deal.id, str(ctx.deal.value)))


class PaymentRefused(Exception):
    pass


class Shop:
    """The shop's own code: sqlite3, two tables, and one transaction per request."""

    def __init__(self, database: Path, board: Board) -> None:
        self.connection = sqlite3.connect(database, isolation_level=None)
        self.board = board
        with self.transaction():
            self.connection.execute("CREATE TABLE orders (id TEXT PRIMARY KEY, deal TEXT NOT NULL)")
            self.connection.execute("CREATE TABLE audit (deal TEXT, value TEXT)")

    def transaction(self):
        # BEGIN IMMEDIATE takes the write lock now; a deferred transaction could fail to get it.
        self.connection.execute("BEGIN IMMEDIATE")
        return self.connection  # as a context manager, it commits or rolls back

    def place_order(self, order: str, deal: str, pay) -> None:
        with self.transaction():
            self.connection.execute("INSERT INTO orders VALUES (?, ?)", (order, deal))
            now = self.board.clock.now()
            event = Event("order.confirmed", deal=deal, id=f"order:{order}", at=now)
            self.board.using(self.connection).handle(event)
            pay()  # may refuse: then the order, the move and the mail have never been

    def count(self, table: str) -> int:
        return self.connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


def main(directory: Path) -> None:
    database = directory / "shop.db"
    clock = ManualClock("2026-01-05T09:00:00Z")
    with Board.open(ladder, f"sqlite:///{database}", clock=clock) as board:
        shop = Shop(database, board)
        line = {"sku": "NB-15", "quantity": 2, "unit_price": "899.00"}
        board.handle(
            Event("cart.item_added", deal="cart-42", id="e1", at=clock.now(), data={"line": line})
        )

        def state():
            deal = board.deal("cart-42")
            return deal.stage, shop.count("orders"), shop.count("audit"), len(board.effects())

        def show(words):
            stage, orders, audits, effects = state()
            print(f"{words:<34}deal in {stage:<9}orders {orders}, audits {audits}, mails {effects}")

        def refuse():
            raise PaymentRefused("card expired")

        show("A cart with two notebooks:")
        assert state() == (cart, 0, 0, 0)

        clock.advance(minutes=5)
        try:
            shop.place_order("A-1", "cart-42", pay=refuse)
        except PaymentRefused as reason:
            show(f"Payment refused ({reason}):")
        assert state() == (cart, 0, 0, 0), "all of it rolled back"

        clock.advance(minutes=5)
        shop.place_order("A-2", "cart-42", pay=lambda: None)
        show("Payment accepted:")
        assert state() == (ordered, 1, 1, 1), "all of it committed"

        shop.connection.close()


if __name__ == "__main__":
    # ignore_cleanup_errors: on Windows, a file that is still open cannot be removed
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory:
        main(Path(directory))

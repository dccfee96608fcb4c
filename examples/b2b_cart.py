"""A B2B cart from the first click to the order, on SQLite, in a simulated week.

A cart is filled and forgotten; after 48 hours it is abandoned and a reminder goes out. Ada comes
back, saves the cart, and orders. Bruno's cart is lost, by hand and with a reason.

Run it without arguments: it works in a temporary directory.
"""

import tempfile
from pathlib import Path

from ladderpipe import ANY, Board, Event, ManualClock, Pipeline, Stage, after, by_hand, on
from ladderpipe.errors import MissingPropertyError
from ladderpipe.guards import cart_has_items, cart_is_empty

quote = Stage("quote_requested", title="Richiesta preventivo", probability=0.20)
parked = Stage("cart_parked", title="Carrello parcheggiato", probability=0.05)
saved = Stage("cart_saved", title="Carrello salvato", probability=0.30)
review = Stage("order_review", title="Riepilogo ordine", probability=0.80)
confirmed = Stage("order_confirmed", title="Ordine confermato", status="won")
abandoned = Stage(
    "checkout_abandoned", title="Check Out abbandonato", status="abandoned", probability=0.10
)
lost = Stage("lost", title="Trattativa persa", status="lost", requires=["loss_reason"])

CART = ("cart.updated", "cart.item_added", "cart.item_removed", "cart.emptied")

sales_management = Pipeline(
    "sales-management",
    stages=[quote, parked, saved, review, confirmed, abandoned, lost],
    rules=[
        on("order.confirmed", into=confirmed, out_of=ANY, opens=True),
        on("checkout.started", into=review),
        on("cart.saved", into=saved, when=cart_has_items),
        on(*CART, into=parked, when=cart_is_empty),
        on(*CART, into=quote, out_of=[parked, abandoned], when=cart_has_items, opens=True),
        after(hours=48, out_of=quote, into=abandoned, when=cart_has_items),
        by_hand(into=lost),
    ],
)


@sales_management.move_into(abandoned)
def remind(ctx):
    if ctx.deal.contact:
        ctx.do("email", template="cart-reminder", to=ctx.deal.contact["email"])


def notebook(quantity):
    line = {"sku": "NB-15", "title": "Notebook 15", "quantity": quantity, "unit_price": "899.00"}
    return {"line": line, "currency": "EUR"}


def main(directory: Path) -> None:
    clock = ManualClock("2026-01-05T09:00:00Z")
    with Board.open(sales_management, f"sqlite:///{directory / 'shop.db'}", clock=clock) as board:
        sent = []

        @board.handles("email")
        def send(delivery):
            sent.append(delivery.payload["to"])
            tell(f"e-mail {delivery.payload['template']} to {delivery.payload['to']}")

        def tell(words):
            print(f"{clock.now():%a %d %b %H:%M}  {words}")

        def happens(kind, deal, **data):
            number = len(board.events(deal))
            event = Event(kind, deal=deal, id=f"{deal}-{number}", at=clock.now(), data=data)
            receipt = board.handle(event)
            tell(f"{deal}: {kind} → {receipt.deal.stage.title}, {receipt.deal.value} EUR")
            return receipt

        ada = {"contact": {"name": "Ada Rossi", "email": "ada@example.com"}}
        happens("cart.item_added", "cart-ada", **notebook(2), **ada)
        clock.advance(hours=3)
        happens("cart.item_added", "cart-bruno", **notebook(10))

        clock.advance(hours=46)  # 49 hours after Ada's click, and nobody swept in between
        board.tick()
        tell(f"cart-ada: nobody came back → {board.deal('cart-ada').stage.title}")
        board.deliver()

        clock.advance(hours=5)
        happens("cart.item_added", "cart-ada", **notebook(1))
        happens("cart.saved", "cart-ada")
        clock.advance(hours=20)
        happens("checkout.started", "cart-ada")
        clock.advance(minutes=4)
        happens("order.confirmed", "cart-ada")

        try:
            board.move("cart-bruno", lost, by="carla")
        except MissingPropertyError as refused:
            tell(f"refused: {refused}")
        board.move("cart-bruno", lost, by="carla", properties={"loss_reason": "price"})
        tell(f"cart-bruno: by hand → {board.deal('cart-bruno').stage.title}")

        print("\ncart-ada, visit by visit")
        for visit in board.history("cart-ada").visits:
            print(f"  {visit.entered_at:%a %d %b %H:%M}  {visit.stage.title}")

        print("\nThe board")
        for row in board.summary():
            print(f"  {row.stage.title:<22}{row.count} deal  {row.value} {row.currency}")

        check(board, sent)


def check(board, sent) -> None:
    history = board.history("cart-ada")
    assert [str(visit.stage) for visit in history.visits] == [
        "quote_requested",
        "checkout_abandoned",
        "quote_requested",
        "cart_saved",
        "order_review",
        "order_confirmed",
    ]
    assert f"{history.moves[1].at:%d %H:%M}" == "07 09:00", "the due time, not the sweep's"
    assert sent == ["ada@example.com"]
    assert board.deal("cart-ada").status == "won"
    assert board.deal("cart-bruno").lost_from == abandoned


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        main(Path(directory))

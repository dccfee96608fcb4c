"""A shop's backend on FastAPI and SQLAlchemy, with its sales board in the same transactions.

    pip install '.[mail,postgres]' fastapi sqlalchemy uvicorn     # from the clone
    uvicorn app:app

DATABASE_URL is where the shop's tables and the board's are (sqlite:///shop.db when left out, or
postgresql://…), and MAILBOX the file that mails are appended to. Who may call what is left to you.
"""

import contextlib
import os
import threading
from decimal import Decimal
from typing import Annotated, Any
from uuid import uuid4

from fastapi import FastAPI, Header, Response
from ladder import ladder
from pydantic import BaseModel, Field
from refusals import answer_refusals
from sqlalchemy import select
from sqlalchemy.orm import Session
from tables import DATABASE_URL, Order, engine

from ladderpipe import Board, Event, Outcome, Receipt
from ladderpipe.mail import FileMailbox

board = Board.open(ladder, DATABASE_URL)
mailbox = os.environ.get("MAILBOX", "sent.mbox")
board.handle_effect("email", FileMailbox(mailbox, sender="Shop <shop@example.com>", language="en"))


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI):
    """Fire timers and send mails beside the requests, as long as the application runs."""
    stop = threading.Event()
    worker = threading.Thread(target=board.run, kwargs={"stop": stop})
    worker.start()
    yield
    stop.set()
    worker.join()
    board.close()


app = FastAPI(title="A shop with a sales board", lifespan=lifespan)
answer_refusals(app)


# -- what customers do ------------------------------------------------------------------------


class Line(BaseModel):
    sku: str
    title: str = ""
    quantity: int = Field(default=1, gt=0)
    unit_price: Decimal = Field(gt=0, max_digits=10, decimal_places=2)


class Filling(BaseModel):
    line: Line
    contact: dict[str, Any] = {}
    currency: str = "EUR"


Key = Annotated[str, Header(alias="Idempotency-Key", default_factory=lambda: uuid4().hex)]


def tell(board: Board, kind: str, cart: str, key: str, data: dict[str, Any]) -> Receipt:
    """Tell the board what a request says; a request that is sent again happened when it did."""
    source = f"/carts/{cart}"
    known = (e.at for e in board.events(cart) if (e.source, e.id) == (source, key))
    at = next(known, None) or board.clock.now()
    return board.handle(Event(kind, deal=cart, id=key, source=source, at=at, data=data))


@app.post("/carts/{cart}/items")
def fill_cart(cart: str, filling: Filling, key: Key):
    data = filling.model_dump(mode="json")
    return answer(tell(board, "cart.item_added", cart, key, data))


@app.delete("/carts/{cart}/items")
def empty_cart(cart: str, key: Key):
    return answer(tell(board, "cart.emptied", cart, key, {}))


@app.post("/carts/{cart}/checkout")
def check_out(cart: str, key: Key):
    return answer(tell(board, "checkout.started", cart, key, {}))


@app.post("/carts/{cart}/order", status_code=201)
def confirm_order(cart: str, key: Key, response: Response):
    """Win the deal and write the order: both are there at the commit, or neither."""
    with Session(engine) as session, session.begin():
        receipt = tell(board.using(session), "order.confirmed", cart, key, {})
        if receipt.outcome is Outcome.DUPLICATE:
            response.status_code = 200
            order = session.scalars(select(Order).where(Order.cart == cart)).one()
        else:
            # The deal is locked from here to the commit, and its value stands still.
            order = Order(cart=cart, cents=round((receipt.deal.value or 0) * 100))
            session.add(order)
            session.flush()
        return {"order": order.number, "cart": cart, "total": f"{order.cents / 100:.2f}"}


@app.post("/events", status_code=202)
def take_webhook(message: dict[str, Any]):
    """Take a CloudEvent from the till, the ERP…; late ones find their place in the history."""
    return answer(board.handle(Event.from_cloudevent(message)))


# -- what salespeople do ----------------------------------------------------------------------


class ByHand(BaseModel):
    into: str
    by: str  # whoever is logged in, where people log in
    reason: str | None = None
    properties: dict[str, Any] = {}


@app.get("/board")
def show_board():
    return [
        {
            "stage": stage.key,
            "title": stage.title,
            "deals": [deal.to_dict() for deal in board.deals(stage=stage)],
        }
        for stage in ladder.stages
        if not stage.is_closed
    ]


@app.get("/deals/{deal}")
def show_deal(deal: str):
    return board.deal(deal).to_dict()


@app.post("/deals/{deal}/move")
def move_by_hand(deal: str, hand: ByHand):
    receipt = board.move(
        deal, hand.into, by=hand.by, reason=hand.reason, properties=hand.properties
    )
    return answer(receipt)


# -- what both are answered -------------------------------------------------------------------


def answer(receipt: Receipt) -> dict[str, Any]:
    return receipt.to_dict()

"""A shop's backend on FastAPI and SQLAlchemy, with its sales board in the same transactions.

    pip install '.[mail,postgres,fastapi,sqlalchemy]' uvicorn     # from the clone
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

from fastapi import FastAPI, Header, Request, Response
from fastapi.responses import JSONResponse
from ladder import CreditExceeded, ladder
from pydantic import BaseModel, Field
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from tables import Order, engine

from ladderpipe import Board, Deal, Event, Outcome, Receipt
from ladderpipe.fastapi import install_error_handlers
from ladderpipe.mail import FileMailbox

board = Board.open(ladder, engine=engine)
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
install_error_handlers(app, refusals=(CreditExceeded,))


@app.exception_handler(IntegrityError)
async def refuse_order(request: Request, error: IntegrityError):
    return JSONResponse({"detail": "this cart is empty, or has been ordered already"}, 409)


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
def fill_cart(cart: str, filling: Filling, key: Key) -> Receipt:
    return tell(board, "cart.item_added", cart, key, filling.model_dump(mode="json"))


@app.delete("/carts/{cart}/items")
def empty_cart(cart: str, key: Key) -> Receipt:
    return tell(board, "cart.emptied", cart, key, {})


@app.post("/carts/{cart}/checkout")
def check_out(cart: str, key: Key) -> Receipt:
    return tell(board, "checkout.started", cart, key, {})


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
def take_webhook(message: dict[str, Any]) -> Receipt:
    """Take a CloudEvent from the till, the ERP…; late ones find their place in the history."""
    return board.handle(Event.from_cloudevent(message), hold=True)


# -- what salespeople do ----------------------------------------------------------------------


class ByHand(BaseModel):
    into: str
    by: str  # whoever is logged in, where people log in
    reason: str | None = None
    properties: dict[str, Any] = {}


class Column(BaseModel):
    stage: str
    title: str
    deals: list[Deal]


@app.get("/board")
def show_board() -> list[Column]:
    return [
        Column(stage=stage.key, title=stage.title, deals=list(board.deals(stage=stage)))
        for stage in ladder.stages
        if not stage.is_closed
    ]


@app.get("/deals/{deal}")
def show_deal(deal: str) -> Deal:
    return board.deal(deal)


@app.post("/deals/{deal}/move")
def move_by_hand(deal: str, hand: ByHand) -> Receipt:
    return board.move(deal, hand.into, by=hand.by, reason=hand.reason, properties=hand.properties)

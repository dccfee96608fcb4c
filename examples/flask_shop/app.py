"""A shop's backend on Flask, with its sales board in the same transactions.

    pip install '.[cli,postgres]' flask     # from the clone
    flask --app app run          # http://127.0.0.1:5000/board
    ladderpipe worker sqlite:///shop.db --pipeline ladder:ladder \
        --mailbox sent.mbox --language en --sender 'Shop <shop@example.com>'

DATABASE_URL puts the shop's tables and the board's on PostgreSQL. Who may call what is left to you.
"""

import json
from decimal import Decimal
from uuid import uuid4

import database
from flask import Flask, render_template, request
from ladder import CreditExceeded, ladder

from ladderpipe import Board, Event, Outcome
from ladderpipe.errors import InvalidEventError, LadderError
from ladderpipe.problems import problem_of

database.create_table()
board = Board.open(ladder, database.URL)
app = Flask(__name__)


# -- what customers do ------------------------------------------------------------------------


@app.post("/carts/<cart>/items")
def fill_cart(cart):
    return answer(tell(board, "cart.item_added", cart))


@app.delete("/carts/<cart>/items")
def empty_cart(cart):
    return answer(tell(board, "cart.emptied", cart))


@app.post("/carts/<cart>/checkout")
def check_out(cart):
    return answer(tell(board, "checkout.started", cart))


@app.post("/carts/<cart>/order")
def confirm_order(cart):
    """Win the deal and write the order: both are there at the commit, or neither."""
    with database.transaction() as connection:
        receipt = tell(board.using(connection), "order.confirmed", cart)
        if receipt.outcome is Outcome.DUPLICATE:
            status = 200
            number, total = database.find_order(connection, cart)
        else:
            # The deal is locked from here to the commit, and its value stands still.
            status, total = 201, receipt.deal.value or 0
            number = database.add_order(connection, cart, total)
    return {"order": number, "cart": cart, "total": f"{Decimal(total):.2f}"}, status


def tell(board, kind, cart):
    """Tell the board what a request says; a request that is sent again happened when it did."""
    key = request.headers.get("Idempotency-Key") or uuid4().hex
    source = f"/carts/{cart}"
    known = (e.at for e in board.events(cart) if (e.source, e.id) == (source, key))
    at = next(known, None) or board.clock.now()
    return board.handle(Event(kind, deal=cart, id=key, source=source, at=at, data=body()))


# -- what other systems and salespeople do ----------------------------------------------------


@app.post("/events")
def take_webhook():
    """Take a CloudEvent from the till, the ERP…; late ones find their place in the history."""
    return answer(board.handle(Event.from_cloudevent(body()), hold=True)), 202


@app.get("/board")
def show_board():
    in_work = [stage for stage in ladder.stages if not stage.is_closed]
    columns = [(stage, list(board.deals(stage=stage))) for stage in in_work]
    return render_template("board.html", title=ladder.title, columns=columns)


@app.get("/deals/<deal>")
def show_deal(deal):
    return board.deal(deal).to_dict()


@app.post("/deals/<deal>/move")
def move_by_hand(deal):
    asked = body()
    receipt = board.move(
        deal,
        str(asked.get("into")),
        by=asked.get("by"),  # whoever is logged in, where people log in
        reason=asked.get("reason"),
        properties=asked.get("properties"),
    )
    return answer(receipt)


# -- what they are answered -------------------------------------------------------------------


def body():
    try:
        found = json.loads(request.data or b"{}")
    except (ValueError, RecursionError) as error:
        raise InvalidEventError(f"what is asked is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise InvalidEventError("what is asked is not a JSON object: send {…}")
    return found


def answer(receipt):
    return receipt.to_dict()


@app.errorhandler(LadderError)
def refuse(error):
    language = request.headers.get("Accept-Language", "")
    problem = problem_of(error, refusals=(CreditExceeded,), language=language)
    if problem is None:
        raise error  # a mistake of ours
    return problem.body(), problem.status, problem.headers


def refuse_order(error):
    return {"detail": "this cart is empty, or has been ordered already"}, 409


for kind in database.RefusedByTable:
    app.register_error_handler(kind, refuse_order)

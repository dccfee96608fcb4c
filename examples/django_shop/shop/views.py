"""What customers, other systems and salespeople do with the shop."""

import json
from uuid import uuid4

from django.db import transaction
from django.http import JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from ladderpipe import Event, Outcome
from ladderpipe.django import get_board
from ladderpipe.errors import InvalidEventError

from .models import Order

board = get_board()


@require_http_methods(["POST", "DELETE"])
def change_cart(request, cart):
    kind = "cart.item_added" if request.method == "POST" else "cart.emptied"
    return answer(tell(kind, cart, request))


@require_POST
def check_out(request, cart):
    return answer(tell("checkout.started", cart, request))


@require_POST
def confirm_order(request, cart):
    """Win the deal and write the order: both are there at the commit, or neither."""
    with transaction.atomic():
        receipt = tell("order.confirmed", cart, request)
        if receipt.outcome is Outcome.DUPLICATE:
            order = Order.objects.get(cart=cart)
        else:
            # The deal is locked from here to the commit, and its value stands still.
            order = Order.objects.create(cart=cart, total=receipt.deal.value or 0)
    status = 200 if receipt.outcome is Outcome.DUPLICATE else 201
    told = {"order": order.number, "cart": cart, "total": f"{order.total:.2f}"}
    return JsonResponse(told, status=status)


@require_POST
def take_webhook(request):
    """Take a CloudEvent from the till, the ERP…; late ones find their place in the history."""
    event = Event.from_cloudevent(read(request))
    return answer(board.handle(event, hold=True), status=202)


@require_GET
def show_board(request):
    in_work = [stage for stage in board.pipeline.stages if not stage.is_closed]
    columns = [(stage, list(board.deals(stage=stage))) for stage in in_work]
    return render(request, "shop/board.html", {"title": board.pipeline.title, "columns": columns})


@require_GET
def show_deal(request, deal):
    return JsonResponse(board.deal(deal).to_dict())


@require_POST
def move_by_hand(request, deal):
    asked = read(request)
    receipt = board.move(
        deal,
        str(asked.get("into")),
        by=asked.get("by"),  # whoever is logged in, where people log in
        reason=asked.get("reason"),
        properties=asked.get("properties"),
    )
    return answer(receipt)


def tell(kind, cart, request):
    """Tell the board what a request says; a request that is sent again happened when it did."""
    key = request.headers.get("Idempotency-Key") or uuid4().hex
    source = f"/carts/{cart}"
    known = (e.at for e in board.events(cart) if (e.source, e.id) == (source, key))
    at = next(known, None) or board.clock.now()
    event = Event(kind, deal=cart, id=key, source=source, at=at, data=read(request))
    return board.handle(event)


def read(request):
    try:
        body = json.loads(request.body or b"{}")
    except (ValueError, RecursionError) as error:
        raise InvalidEventError(f"what is asked is no JSON: {error}") from None
    if not isinstance(body, dict):
        raise InvalidEventError("what is asked is not a JSON object: send {…}")
    return body


def answer(receipt, status=200):
    return JsonResponse(receipt.to_dict(), status=status)

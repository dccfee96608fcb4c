"""A deal: where it is and why, what is known of it, and what can be done with it."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterable
from typing import Final

from ..fold.options import Option
from ..model.deal import Deal
from ..model.event import BY_HAND, EDITED, OVERRIDE, OWN_SOURCE, Event
from ..model.history import History
from .call import Call, CustomerDeals, Page
from .reading import card_of, company_name
from .timeline import timeline

__all__ = ["UNDO", "deal", "fresh_id", "last_hand", "options"]

FEW: Final = 10
"""So many other deals of a customer, and of a company, are named; a page of their own has all."""
NOBODYS: Final = CustomerDeals([], [])
UNDO: Final = dt.timedelta(minutes=10)
"""How long what somebody did can be taken back with one click."""


def deal(call: Call) -> Page:
    """Show a deal."""
    shown = call.deal("see")
    board, now = call.board, call.now
    history = board.history(shown.id)
    explanation = board.explain(shown.id)
    tasks = board.tasks(deal=shown.id)
    held = board.held(shown.id)
    possible = board.options(shown.id, by=call.user.id)
    others, company = others_of(call, shown), of_company(call, shown)
    colleagues = [deal for deal in company.deals if deal not in others.deals]
    context = {
        "deal": shown,
        "card": card_of(shown, call, now),
        "entries": timeline(call, history, explanation, held),
        "planned": [each for each in history.effects if each.state in ("pending", "waiting")],
        "tasks": tasks,
        "held": held,
        "options": [each for each in possible if each.into != shown.stage],
        "others": _with_pipeline(call, others.deals[:FEW]),
        "colleagues": _with_pipeline(call, colleagues[:FEW]),
        "unread": others.unread or company.unread,
        "is_wide": bool(call.others),
        "undoable": last_hand(history, board.events(shown.id), now),
        "fresh_id": fresh_id,
        "may": {
            action: call.may(action, shown)
            for action in ("move", "undo", "edit", "task", "override", "release", "discard")
        },
    }
    record = {
        **history.to_dict(),
        "explanation": explanation.to_dict(),
        "tasks": [task.to_dict() for task in tasks],
        "held": [each.to_dict() for each in held],
        "options": [each.to_dict() for each in possible],
        "others": [each.to_dict() for each in others.deals],
        "of_company": [each.to_dict() for each in colleagues],
        "unread": others.unread or company.unread,
    }
    return Page("deal.html", context, record)


def options(call: Call) -> Page:
    """Show where a deal may be moved, what that takes, and what would start and stop."""
    shown = call.deal("move")
    found = call.board.options(shown.id, by=call.user.id)
    wanted = call.query.choice("into", [stage.key for stage in call.pipeline.stages])
    context = {
        "deal": shown,
        "card": card_of(shown, call, call.now),
        "options": [each for each in found if each.into != shown.stage],
        "wanted": wanted,
        "fresh_id": fresh_id,
        "may": {"override": call.may("override", shown)},
    }
    record = {
        "deal": shown.id,
        "stage": shown.stage.key,
        "options": [
            {
                **each.to_dict(),
                "possible": each.is_possible,
                "because": because(call, each),
                "hint": call.words.hint(each),
            }
            for each in found
        ],
    }
    return Page("options.html", context, record)


def because(call: Call, option: Option) -> str | None:
    """Return why a deal cannot be moved somewhere, in the reader's words."""
    return None if option.is_possible else call.words.why_not(option)


def others_of(call: Call, shown: Deal) -> CustomerDeals:
    """Return what the user sees of the customer's other deals."""
    email = shown.contact.get("email")
    return call.deals_of(f"email:{email}").besides(shown) if email else NOBODYS


def of_company(call: Call, shown: Deal) -> CustomerDeals:
    """Return what the user sees of the other deals with the company."""
    company = company_name(shown)
    return call.deals_of(f"company:{company}").besides(shown) if company else NOBODYS


def _with_pipeline(call: Call, deals: Iterable[Deal]) -> list[tuple[Deal, str, str]]:
    return [(deal, call.folder_of(deal), call.title_of(deal)) for deal in deals]


def last_hand(history: History, events: list[Event], now: dt.datetime) -> Event | None:
    """Return the last thing that somebody did by hand, while it can be taken back."""
    withdrawn = {each.event.identity for each in history.withdrawn}
    hands = [
        event
        for event in events
        if event.source == OWN_SOURCE
        and event.type in (BY_HAND, OVERRIDE, EDITED)
        and event.identity not in withdrawn
    ]
    last = hands[-1] if hands else None
    return last if last is not None and now - last.at <= UNDO else None


def fresh_id() -> str:
    """Return an id for a form, so that sending it twice does it once."""
    return os.urandom(12).hex()

"""Pages about people: a customer's deals, and what needs the reader."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Final

from ..errors import DealNotFoundError
from ..model.clock import instant_text
from ..model.deal import Deal
from ..model.effect import Task
from ..model.held import Held
from .call import Call, Page
from .reading import cards_of, is_rotting

__all__ = ["customer", "needs"]

SOON: Final = dt.timedelta(days=1)
FEW: Final = 50
"""Of each kind so many are shown: who has more begins with these."""


def customer(call: Call) -> Page:
    """Show the deals of one customer."""
    key = call.query.needed("key")
    seen = [deal for deal in call.board.customer(key) if call.sees(deal)][::-1]
    cards = cards_of(call, seen).values()
    context = {
        "key": key,
        "cards": cards,
        "may_unsubscribe": call.may("unsubscribe") and "@" in key,
    }
    return Page("customer.html", context, {"key": key, "deals": [card.to_dict() for card in cards]})


def needs(call: Call) -> Page:
    """Show what needs the reader: tasks, timers, held events, deals that stand still."""
    everybody = call.query.choice("of", ("me", "all"), "me") == "all"
    owner = None if everybody else call.user.id
    now = call.now
    tasks = list(_tasks(call, owner, now))
    due = [deal for deal in _deals(call, owner, "due") if deal.due_at and deal.due_at - now < SOON]
    longest = _deals(call, owner, "age")
    rotting = [deal for deal in longest if is_rotting(deal, now)]
    idle = [deal for deal in longest if not _goes_on(call, deal)]
    held = list(_held(call, owner))
    cards = cards_of(call, {deal.id: deal for deal in (*due, *longest)}.values())
    context = {
        "everybody": everybody,
        "may": {"task": call.may("task")},
        "overdue": [each for each in tasks if each[0].due_at < now],
        "today": [each for each in tasks if each[0].due_at >= now],
        "due": [cards[deal.id] for deal in due],
        "held": held,
        "rotting": [cards[deal.id] for deal in rotting],
        "idle": [cards[deal.id] for deal in idle],
    }
    record = {
        "at": instant_text(now),
        "tasks": [task.to_dict() for task, _ in tasks],
        "due": [deal.to_dict() for deal in due],
        "held": [each.to_dict() for each, _ in held],
        "rotting": [deal.to_dict() for deal in rotting],
        "no_next_step": [deal.to_dict() for deal in idle],
    }
    return Page("needs.html", context, record)


def _tasks(call: Call, owner: str | None, now: dt.datetime) -> Iterator[tuple[Task, Deal]]:
    """Yield the tasks that are due within a day, each with its deal."""
    found = call.board.tasks(owner=owner, due_by=now + SOON)
    for task in found[:FEW]:
        deal = _seen(call, task.deal)
        if deal is not None:
            yield task, deal


def _deals(call: Call, owner: str | None, sort: str) -> tuple[Deal, ...]:
    """Return deals that are neither closed nor given up."""
    return call.board.page(
        sort=sort,  # type: ignore[arg-type]
        owner=owner,
        status="open",
        limit=FEW,
        scope=call.scope,
    ).deals


def _goes_on(call: Call, deal: Deal) -> bool:
    return bool(deal.properties.get("next_step")) or bool(call.board.tasks(deal=deal.id))


def _held(call: Call, owner: str | None) -> Iterator[tuple[Held, Deal]]:
    for each in call.board.held()[:FEW]:
        deal = _seen(call, each.deal)
        if deal is not None and owner in (None, deal.owner):
            yield each, deal


def _seen(call: Call, name: str) -> Deal | None:
    try:
        deal = call.board.deal(name)
    except DealNotFoundError:  # it was removed meanwhile, or waits for its opening
        return None
    return deal if call.sees(deal) else None

"""Pages about people: a customer's deals, and what needs the reader."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

import attrs

from ..errors import DealNotFoundError
from ..model.clock import instant_text
from ..model.deal import Deal
from ..model.effect import Task
from ..model.held import Held
from .call import Call, Page
from .reading import Card, cards_of, is_rotting

__all__ = ["all_needs", "customer", "needs", "needs_of"]

SOON: Final = dt.timedelta(days=1)
FEW: Final = 50
"""Of each kind so many are shown: who has more begins with these."""


def customer(call: Call) -> Page:
    """Show the deals of one customer."""
    key = call.query.needed("key")
    found = call.deals_of(key)
    by_pipeline = {}
    for other in (None, *call.others):
        pipeline = call.pipeline if other is None else other.board.pipeline
        deals = [deal for deal in found if deal.pipeline == pipeline.name]
        if deals:
            by_pipeline[call.title_of(deals[0])] = [*cards_of(call, deals, other).values()]
    cards = [card for group in by_pipeline.values() for card in group]
    context = {
        "key": key,
        "by_pipeline": by_pipeline,
        "is_wide": bool(call.others),
        "may_unsubscribe": call.may("unsubscribe") and "@" in key,
    }
    return Page("customer.html", context, {"key": key, "deals": [card.to_dict() for card in cards]})


@attrs.frozen
class Needs:
    """What needs the reader in one pipeline."""

    call: Call
    everybody: bool
    tasks: tuple[tuple[Task, Deal], ...]
    due: tuple[Card, ...]
    held: tuple[tuple[Held, Deal], ...]
    rotting: tuple[Card, ...]
    idle: tuple[Card, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values; the keys stay."""
        return {
            "at": instant_text(self.call.now),
            "tasks": [task.to_dict() for task, _ in self.tasks],
            "due": [card.deal.to_dict() for card in self.due],
            "held": [each.to_dict() for each, _ in self.held],
            "rotting": [card.deal.to_dict() for card in self.rotting],
            "no_next_step": [card.deal.to_dict() for card in self.idle],
        }


def needs(call: Call) -> Page:
    """Show what needs the reader: tasks, timers, held events, deals that stand still."""
    found = needs_of(call)
    return Page("needs.html", _together([found]), found.to_dict())


def all_needs(found: Sequence[Needs]) -> Page:
    """Show what needs the reader in any pipeline."""
    record = {"boards": {each.call.name: each.to_dict() for each in found}}
    return Page("needs.html", _together(found), record)


def needs_of(call: Call) -> Needs:
    """Return what needs the reader in one pipeline."""
    everybody = call.query.choice("of", ("me", "all"), "me") == "all"
    owner = None if everybody else call.user.id
    now = call.now
    longest = _deals(call, owner, "age")
    soon = [d for d in _deals(call, owner, "due") if d.due_at and d.due_at - now < SOON]
    cards = cards_of(call, {deal.id: deal for deal in (*soon, *longest)}.values())
    return Needs(
        call,
        everybody,
        tasks=tuple(_tasks(call, owner, now)),
        due=tuple(cards[deal.id] for deal in soon),
        held=tuple(_held(call, owner)),
        rotting=tuple(cards[deal.id] for deal in longest if is_rotting(deal, now)),
        idle=tuple(cards[deal.id] for deal in longest if not _goes_on(call, deal)),
    )


def _together(found: Sequence[Needs]) -> dict[str, Any]:
    """Return what the page shows: of each kind the most urgent first, of whichever pipeline."""
    tasks = [(task, deal, each.call) for each in found for task, deal in each.tasks]
    tasks.sort(key=lambda one: one[0].due_at)
    held = [(held, deal, each.call) for each in found for held, deal in each.held]
    now = found[0].call.now

    def cards(kind: Callable[[Needs], Iterable[Card]], since: Callable[[Deal], Any]) -> list[Card]:
        every = [card for each in found for card in kind(each)]
        return sorted(every, key=lambda card: since(card.deal))

    return {
        "everybody": found[0].everybody,
        "overdue": [each for each in tasks if each[0].due_at < now],
        "today": [each for each in tasks if each[0].due_at >= now],
        "held": sorted(held, key=lambda one: one[0].since),
        "due": cards(lambda each: each.due, lambda deal: deal.due_at),
        "rotting": cards(lambda each: each.rotting, lambda deal: deal.entered_at),
        "idle": cards(lambda each: each.idle, lambda deal: deal.entered_at),
    }


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

"""Pages about people: a customer's deals, and what needs the reader."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

import attrs

from ..board.listing import Sort
from ..board.task_list import TaskPage
from ..errors import CursorError, DealNotFoundError
from ..model.clock import instant_text
from ..model.deal import Deal
from ..model.effect import Task
from ..model.held import Held
from ..model.stage import Stage
from .call import Call, Page, link
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
        deals = [deal for deal in found.deals if deal.pipeline == pipeline.name]
        if deals:
            by_pipeline[call.title_of(deals[0])] = [*cards_of(call, deals, other).values()]
    cards = [card for group in by_pipeline.values() for card in group]
    context = {
        "key": key,
        "by_pipeline": by_pipeline,
        "unread": found.unread,
        "is_wide": bool(call.others),
        "may_unsubscribe": call.may("unsubscribe") and "@" in key,
    }
    record = {"key": key, "deals": [card.to_dict() for card in cards], "unread": found.unread}
    return Page("customer.html", context, record)


@attrs.frozen
class Needs:
    """What needs the reader in one pipeline.

    Attributes:
        count: how many tasks there are to do within a day, whichever page this is.
        next: cursor of the next page of tasks; the other kinds are on the first.
    """

    call: Call
    everybody: bool
    tasks: tuple[tuple[Task, Deal], ...]
    due: tuple[Card, ...]
    held: tuple[tuple[Held, Deal], ...]
    rotting: tuple[Card, ...]
    idle: tuple[Card, ...]
    count: int
    next: str | None
    is_first: bool

    @property
    def pages(self) -> tuple[int, str | None, str | None, Call] | None:
        """How many tasks there are, and where the first and the next are, if not all are here."""
        if self.is_first and self.next is None:
            return None
        of = "all" if self.everybody else ""
        page = f"{self.call.folder}tasks"
        first = None if self.is_first else link(page, of=of)
        following = link(page, of=of, after=self.next) if self.next else None
        return self.count, first, following, self.call

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values; the keys stay."""
        return {
            "at": instant_text(self.call.now),
            "tasks": [task.to_dict() for task, _ in self.tasks],
            "count": self.count,
            "next": self.next,
            "due": [card.deal.to_dict() for card in self.due],
            "held": [each.to_dict() for each, _ in self.held],
            "rotting": [card.deal.to_dict() for card in self.rotting],
            "no_next_step": [card.deal.to_dict() for card in self.idle],
        }


def needs(call: Call) -> Page:
    """Show what needs the reader: tasks, timers, held events, deals that stand still."""
    found = needs_of(call, call.query.text("after"))
    return Page("needs.html", _together([found]), found.to_dict())


def all_needs(found: Sequence[Needs]) -> Page:
    """Show what needs the reader in any pipeline."""
    record = {"boards": {each.call.name: each.to_dict() for each in found}}
    return Page("needs.html", _together(found), record)


def needs_of(call: Call, after: str = "") -> Needs:
    """Return what needs the reader in one pipeline.

    Of each kind no more is read than is shown: tasks page by page, of the others the first.

    Args:
        after: from where on tasks are wanted, and nothing else.
    """
    everybody = call.query.choice("of", ("me", "all"), "me") == "all"
    owner = None if everybody else call.user.id
    page = _tasks(call, owner, after)
    tasks = ((task, _seen(call, task.deal)) for task in page.tasks)
    due = [] if after else _due(call, owner)
    rotting = [] if after else _rotting(call, owner)
    idle = [] if after else _without_next_step(call, _deals(call, owner, "age"))
    cards = cards_of(call, {deal.id: deal for deal in (*due, *rotting, *idle)}.values())
    return Needs(
        call,
        everybody,
        tasks=tuple((task, deal) for task, deal in tasks if deal is not None),
        due=tuple(cards[deal.id] for deal in due),
        held=() if after else tuple(_held(call, owner)),
        rotting=tuple(cards[deal.id] for deal in rotting),
        idle=tuple(cards[deal.id] for deal in idle),
        count=page.count,
        next=page.next,
        is_first=not after,
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
        "more": {
            kind: any(len(getattr(each, kind)) >= FEW for each in found)
            for kind in ("held", "due", "rotting", "idle")
        },
        "pages": [each.pages for each in found if each.pages],
    }


def _tasks(call: Call, owner: str | None, after: str) -> TaskPage:
    """Return a page of the tasks that are due within a day."""
    try:
        return call.board.task_page(
            owner=owner, due_by=call.now + SOON, after=after or None, limit=FEW, scope=call.scope
        )
    except CursorError as error:
        detail = call.words.gettext("“%(name)s” cannot be “%(value)s”.", name="after", value=after)
        raise call.query.refused(detail) from error


def _due(call: Call, owner: str | None) -> list[Deal]:
    now = call.now
    found = _deals(call, owner, "due")
    return [deal for deal in found if deal.due_at is not None and deal.due_at - now < SOON]


def _rotting(call: Call, owner: str | None) -> list[Deal]:
    """Return the deals that rot, stage by stage: one may say sooner than another that they do."""
    stages = [stage for stage in call.pipeline.stages if stage.rots_after]
    found = (deal for stage in stages for deal in _deals(call, owner, "age", stage))
    rotting = [deal for deal in found if is_rotting(deal, call.now)]
    return sorted(rotting, key=lambda deal: deal.entered_at)[:FEW]


def _deals(
    call: Call, owner: str | None, sort: Sort, stage: Stage | None = None
) -> tuple[Deal, ...]:
    """Return deals that are neither closed nor given up."""
    return call.board.page(
        stage, sort=sort, owner=owner, status="open", limit=FEW, scope=call.scope
    ).deals


def _without_next_step(call: Call, deals: Sequence[Deal]) -> list[Deal]:
    """Return those of these deals that have neither a next step nor a task."""
    without = [deal for deal in deals if not deal.properties.get("next_step")]
    busy = {task.deal for task in call.board.tasks(deal=[deal.id for deal in without])}
    return [deal for deal in without if deal.id not in busy]


def _held(call: Call, owner: str | None) -> Iterator[tuple[Held, Deal]]:
    for each in call.board.held_of_deals(owner=owner, scope=call.scope, limit=FEW):
        deal = _seen(call, each.deal)
        if deal is not None:
            yield each, deal


def _seen(call: Call, name: str) -> Deal | None:
    try:
        deal = call.board.deal(name)
    except DealNotFoundError:  # it was removed meanwhile, or waits for its opening
        return None
    return deal if call.sees(deal) else None

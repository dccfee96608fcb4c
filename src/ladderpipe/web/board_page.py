"""The board itself: a column a stage, or a list; and one column alone, page by page."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Set
from typing import Any

import attrs

from ..board.listing import Page as Found
from ..board.read import StageTotal
from ..model.clock import instant_text
from ..model.money import amount_text
from ..model.stage import Stage
from ..stores.filters import Scope
from .call import Call, Page, link
from .changes import cursor_now
from .deal_page import fresh_id
from .reading import MOST, PAGE, Card, Filters, cards_of, filters_of, found

__all__ = ["board", "column"]


@attrs.frozen
class Column:
    """One stage of the kanban.

    Attributes:
        count: how many deals it holds, those on further pages included.
        totals: what they are worth, by currency; none where deals were filtered.
        next: cursor of its next page.
    """

    stage: Stage
    cards: tuple[Card, ...]
    count: int
    totals: tuple[StageTotal, ...]
    next: str | None
    is_folded: bool
    fold_link: str
    more_link: str

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values; the keys stay."""
        return {
            "stage": self.stage.key,
            "title": self.stage.title,
            "status": self.stage.status,
            "count": self.count,
            "totals": [
                {
                    "currency": each.currency,
                    "value": amount_text(each.value),
                    "weighted_value": None
                    if each.weighted_value is None
                    else amount_text(each.weighted_value),
                }
                for each in self.totals
            ],
            "deals": [card.to_dict() for card in self.cards],
            "next": self.next,
        }


def board(call: Call) -> Page:
    """Show the kanban, or the list."""
    filters = filters_of(call)
    view = call.query.choice("view", ("board", "list"), "board")
    since = cursor_now(call)
    shown = _list(call, filters) if view == "list" else _kanban(call, filters)
    context = {
        "view": view,
        "filters": filters,
        "since": since,
        "board_link": link("./", **filters.to_query()),
        "list_link": link("./", view="list", **filters.to_query()),
        "mine_link": link("./", **_mine(call, filters, view)),
        "owners": _owners(shown.context),
        **shown.context,
    }
    return Page(shown.template, context, shown.record)


def column(call: Call) -> Page:
    """Show one column alone, from a cursor on."""
    filters = filters_of(call)
    call.query.choice("stage", [each.key for each in call.pipeline.stages])
    stage = call.pipeline.stage(call.query.needed("stage"))
    limit = call.query.number("limit", PAGE, MOST)
    page = found(call, filters, stage, after=call.query.text("after"), limit=limit)
    shown = _column(filters, stage, page, cards_of(call, page.deals))
    return Page("column.html", {"column": shown, "filters": filters}, shown.to_dict())


def _owners(shown: Mapping[str, Any]) -> list[str]:
    """Return the owners that are on the page, to be offered where one is asked for."""
    cards = [card for column in shown.get("columns", ()) for card in column.cards]
    cards += shown.get("cards", ())
    return sorted({card.deal.owner for card in cards if card.deal.owner})


def _mine(call: Call, filters: Filters, view: str) -> dict[str, str]:
    told = {"view": "list" if view == "list" else "", **filters.to_query()}
    return {**told, "owner": "" if filters.owner == call.user.id else call.user.id}


def _kanban(call: Call, filters: Filters) -> Page:
    folded = set(call.query.several("fold"))
    # Money is added up by the database, which adds up what a search finds nowhere.
    totals = [] if filters.search else call.board.summary(scope=_narrowed(call, filters))
    pages = {stage: found(call, filters, stage) for stage in call.pipeline.stages}
    shown = (page.deals for stage, page in pages.items() if stage.key not in folded)
    cards = cards_of(call, itertools.chain.from_iterable(shown))
    columns = [
        _column(filters, stage, page, cards, totals, folded) for stage, page in pages.items()
    ]
    record = {
        "pipeline": call.pipeline.name,
        "at": instant_text(call.now),
        "columns": [each.to_dict() for each in columns],
    }
    return Page("board.html", {"columns": columns}, record)


def _narrowed(call: Call, filters: Filters) -> Scope | None:
    """Return the scope of the user, and of the filters beside it."""
    scope = call.scope or Scope()
    owners, sources = scope.owners, scope.sources
    if filters.owner:
        owners = (filters.owner,) if owners is None or filters.owner in owners else ()
    if filters.source:
        sources = (filters.source,) if sources is None or filters.source in sources else ()
    narrowed = Scope(owners=owners, sources=sources, stages=scope.stages)
    return None if narrowed == Scope() else narrowed


def _column(
    filters: Filters,
    stage: Stage,
    page: Found,
    cards: Mapping[str, Card],
    totals: Iterable[StageTotal] = (),
    folded: Set[str] = frozenset(),
) -> Column:
    is_folded = stage.key in folded
    others = folded ^ {stage.key}
    return Column(
        stage=stage,
        cards=() if is_folded else tuple(cards[deal.id] for deal in page.deals),
        count=page.count,
        totals=tuple(each for each in totals if each.stage == stage),
        next=page.next,
        is_folded=is_folded,
        fold_link=link("./", **filters.to_query(), fold=sorted(others)),
        more_link=link(
            "./", view="list", **filters.to_query(), stage=stage.key, after=page.next or ""
        ),
    )


def _list(call: Call, filters: Filters) -> Page:
    key = call.query.choice("stage", [stage.key for stage in call.pipeline.stages])
    stage = call.pipeline.stage(key) if key else None
    limit = call.query.number("limit", PAGE, MOST)
    page = found(call, filters, stage, after=call.query.text("after"), limit=limit)
    cards = tuple(cards_of(call, page.deals).values())
    told = {"view": "list", **filters.to_query(), "stage": key}
    context = {
        "cards": cards,
        "count": page.count,
        "stage": key,
        "required": sorted({name for each in call.pipeline.stages for name in each.requires}),
        "fresh_id": fresh_id(),
        "done": call.query.number("done", 0, MOST) if "done" in call.query else None,
        "refused": call.query.number("refused", 0, MOST) if "refused" in call.query else 0,
        "next_link": link("./", **told, after=page.next) if page.next else None,
        "first_link": link("./", **told) if "after" in call.query else None,
        "sort_links": {
            sort: link("./", **{**told, "sort": sort}) for sort in ("age", "value", "due", "title")
        },
    }
    record = {
        "pipeline": call.pipeline.name,
        "at": instant_text(call.now),
        "count": page.count,
        "deals": [card.to_dict() for card in cards],
        "next": page.next,
    }
    return Page("list.html", context, record)

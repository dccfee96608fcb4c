"""Reading deals as the address says: filters, sort and cursor of kanban, list and column."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

import attrs

from ..board.listing import Page as Found
from ..model.deal import Deal
from ..model.delivery import EffectState
from ..model.effect import Effect
from ..model.stage import Stage
from .call import Call, Other

__all__ = ["MOST", "PAGE", "Card", "Filters", "card_of", "cards_of", "filters_of", "found"]

PAGE: Final = 50
MOST: Final = 500
"""Cards that a column shows at most; a list goes on from there."""
SORTS: Final = ("age", "value", "recent", "due", "title")


@attrs.frozen
class Filters:
    """Which deals are wanted, and in which order; the same for the kanban and the list."""

    sort: str = "age"
    owner: str = ""
    source: str = ""
    search: str = ""

    def to_query(self) -> dict[str, str]:
        """Return it as the address has it, without what goes without saying."""
        told = attrs.asdict(self)
        return {name: value for name, value in told.items() if value and value != "age"}

    @property
    def narrows(self) -> bool:
        """Whether fewer than all deals are wanted."""
        return bool(self.owner or self.source or self.search)


@attrs.frozen
class Unsent:
    """What was to be sent and was not.

    Attributes:
        reason: in a word or two, as far as it fits.
        sentence: what, whether it may still be sent, and why.
    """

    effect: Effect
    reason: str
    sentence: str

    @property
    def may_go_out(self) -> bool:
        """Whether it only waits."""
        return self.effect.state in (EffectState.PENDING, EffectState.WAITING)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values; the keys stay."""
        told = self.effect.to_dict()
        kept = {name: told[name] for name in ("key", "name", "state", "due_at")}
        return {**kept, "because": self.effect.because}


@attrs.frozen
class Card:
    """A deal as a column or a list shows it.

    Attributes:
        id: of the element on the page, since a deal's own can hold anything.
        initials: of its owner.
        tint: one of eight colours, always the same for one owner.
        due_in: how long until its next timer is due, within a day; empty otherwise.
        is_rotting: whether it has been in its stage for longer than is good.
        is_held: whether something was told of it that cannot be used.
        unsent: what was to be sent and was not.
        next_step: what somebody means to do.
        digits: decimals of its value: none for a round amount, so that the eye finds the others.
        folder: where its pages are, from the page that it is shown on.
        origin: what its pipeline is called, where there are deals of several.
    """

    deal: Deal
    id: str
    age: str
    initials: str
    tint: int
    due_in: str
    is_rotting: bool
    is_held: bool
    unsent: tuple[Unsent, ...]
    next_step: str
    digits: int | None
    folder: str
    origin: str

    @property
    def people(self) -> str:
        """Contact and company, as far as they are known; once, where both are called the same."""
        names = dict.fromkeys((contact_name(self.deal), company_name(self.deal)))
        return " · ".join(filter(None, names))

    def to_dict(self) -> dict[str, Any]:
        """Return the deal as JSON values, with what is beside it on the card; the keys stay."""
        unsent = [each.to_dict() for each in self.unsent]
        return {**self.deal.to_dict(), "is_held": self.is_held, "unsent": unsent}


def filters_of(call: Call) -> Filters:
    """Return what the address asks for.

    Raises:
        Refusal: 400, it asks for what there is not.
    """
    query = call.query
    return Filters(
        sort=query.choice("sort", SORTS, "age"),
        owner=query.text("owner"),
        source=query.text("source"),
        search=query.text("search"),
    )


def found(
    call: Call, filters: Filters, stage: Stage | None, *, after: str = "", limit: int = PAGE
) -> Found:
    """Return one page of deals.

    Raises:
        Refusal: 400, the cursor is none.
    """
    try:
        return call.board.page(
            stage=stage,
            sort=filters.sort,  # type: ignore[arg-type]
            after=after or None,
            limit=limit,
            owner=filters.owner or None,
            source=filters.source or None,
            search=filters.search or None,
            scope=call.scope,
        )
    except ValueError as error:
        detail = call.words.gettext("“%(name)s” cannot be “%(value)s”.", name="after", value=after)
        raise call.query.refused(detail) from error


def cards_of(call: Call, deals: Iterable[Deal], other: Other | None = None) -> dict[str, Card]:
    """Return deals as they are shown among others, by id; what is beside them is read at once.

    Args:
        other: the pipeline that they are all of; the board's own when left out.
    """
    shown, now = list(deals), call.now
    board, folder = (call.board, call.folder) if other is None else (other.board, other.folder)
    ids = [deal.id for deal in shown]
    held = board.held_among(ids) if ids else ()
    unsent = board.unsent(ids) if ids else {}
    return {
        deal.id: card_of(deal, call, now, held, unsent.get(deal.id, ()), folder) for deal in shown
    }


def card_of(
    deal: Deal,
    call: Call,
    now: dt.datetime,
    held: Collection[str] = (),
    unsent: Sequence[Effect] = (),
    folder: str | None = None,
) -> Card:
    """Return a deal as it is shown."""
    owner = deal.owner or ""
    digest = hashlib.blake2b(owner.encode(), digest_size=1).digest()[0]
    words = owner.partition("@")[0].replace(".", " ").replace("_", " ").split()
    return Card(
        deal=deal,
        id=f"d-{hashlib.blake2b(deal.id.encode(), digest_size=8).hexdigest()}",
        age=call.words.age(deal.entered_at, now),
        initials="".join(word[0] for word in words[:2]).upper(),
        tint=digest % 8,
        due_in=_due_in(deal, call, now),
        is_rotting=is_rotting(deal, now),
        is_held=deal.id in held,
        unsent=tuple(Unsent(each, *call.words.unsent(each)) for each in unsent),
        next_step=str(deal.properties.get("next_step") or ""),
        digits=0 if deal.value is not None and deal.value % 1 == 0 else None,
        folder=call.folder if folder is None else folder,
        origin=call.title if call.folder else "",
    )


def is_rotting(deal: Deal, now: dt.datetime) -> bool:
    """Return whether a deal has been in its stage for longer than the stage says is good."""
    rots_after = deal.stage.rots_after
    return rots_after is not None and deal.entered_at + rots_after < now


def _due_in(deal: Deal, call: Call, now: dt.datetime) -> str:
    if deal.due_at is None or deal.due_at - now >= dt.timedelta(days=1):
        return ""
    if deal.due_at <= now:
        return call.words.gettext("now")
    return call.words.format.narrow(deal.due_at - now)


def contact_name(deal: Deal) -> str:
    """Return what to call the person behind a deal."""
    told = deal.contact
    return str(told.get("name") or told.get("email") or told.get("phone") or "")


def company_name(deal: Deal) -> str:
    """Return what to call the company behind a deal."""
    company = deal.company
    return str((company.get("name") or "") if isinstance(company, Mapping) else company or "")

"""Lists of deals: the pages of a column, searches, a customer's deals, and what has changed."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Literal, TypeAlias

import attrs

from ..errors import PipelineChangedError
from ..model.canonical import is_storable, plain_text
from ..model.customer import CHANNELS
from ..model.deal import Deal
from ..model.stage import Stage, Status
from ..stores.base import CROWD, StoredDeal, Transaction
from ..stores.listing import (
    COMPANY,
    FIRST_HEARD,
    ORDERS,
    Changed,
    DealFilter,
    Names,
    Order,
    Place,
    Scope,
    folded,
    short_key,
    words_of,
)
from .boundary import UNREADABLE
from .cursor import Since, place_of, place_text, since_of, since_text
from .decision import draft_of
from .session import Session

__all__ = ["Changes", "Page", "Sort"]

Sort: TypeAlias = Literal["age", "value", "recent", "due", "title"]
"""An order of deals: the longest in its stage first, the most valuable, the one that something
happened to last, the next that a timer is due for, by title. What is not known comes last."""

PAGE: Final = 500
MOST: Final = 1_000
OVERLAP: Final = dt.timedelta(seconds=90)
"""Changes of this time are read again: two machines' clocks may be a minute apart, and a commit
comes some time after the instant that it records."""


@attrs.frozen
class Page:
    """A part of a list of deals.

    Attributes:
        deals: in the order that was asked for.
        next: the cursor of the next page, to be passed as ``after``; ``None`` when this is the
            last one.
        count: how many deals the whole list has, whichever page this is.
    """

    deals: tuple[Deal, ...]
    next: str | None
    count: int


@attrs.frozen
class Changes:
    """Deals that were written since a cursor was given, as they are now.

    Attributes:
        deals: those that are open, in the order in which they were written.
        gone: ids of those that are not open, or not any more: removed, archived, or waiting for an
            event that opens them.
        cursor: to be passed as ``after`` next time.
    """

    deals: tuple[Deal, ...]
    gone: tuple[str, ...]
    cursor: str


def page(
    session: Session, wanted: DealFilter | None, sort: Sort, after: str | None, limit: int
) -> Page:
    """Return a page of the deals that match."""
    order, limit = _order(sort), _limit(limit, 1)
    place = None if after is None else place_of(after, order)
    if wanted is None:
        return Page((), None, 0)
    wanted = _of_stages(session, wanted)
    with session.reading() as transaction:
        found = transaction.listed(session.number, wanted, order, place, limit + 1)
        rows = _rows(session, transaction, found.places[:limit], wanted)
    has_more = len(found.places) > limit
    following = place_text(order, found.places[limit - 1]) if has_more else None
    return Page(tuple(_readable(session, rows)), following, found.matching)


def deals(session: Session, wanted: DealFilter | None, sort: Sort | None) -> Iterator[Deal]:
    """Yield deals page by page, so that a long list needs little memory."""
    order = FIRST_HEARD if sort is None else _order(sort)
    if wanted is None:
        return iter(())
    if order is FIRST_HEARD and wanted == DealFilter(stages=wanted.stages, owner=wanted.owner):
        return _by_number(session, wanted)
    return _pages(session, _of_stages(session, wanted), order)


def _by_number(session: Session, wanted: DealFilter) -> Iterator[Deal]:
    after = 0
    while True:
        with session.reading() as transaction:
            rows = transaction.deals(session.number, wanted, after, PAGE)
        yield from _readable(session, rows)
        if len(rows) < PAGE:
            return
        after = rows[-1][0].id


def _pages(session: Session, wanted: DealFilter, order: Order) -> Iterator[Deal]:
    place: Place | None = None
    while True:
        with session.reading() as transaction:
            found = transaction.listed(session.number, wanted, order, place, PAGE)
            rows = _rows(session, transaction, found.places, wanted)
        yield from _readable(session, rows)
        if len(found.places) < PAGE:
            return
        place = found.places[-1]


def _rows(
    session: Session, transaction: Transaction, places: Sequence[Place], wanted: DealFilter
) -> list[tuple[StoredDeal, str | None]]:
    """Return the rows at these places; one that has just moved elsewhere is not there any more."""
    known = transaction.deals_by_id([place.id for place in places])
    rows = (known[place.id] for place in places if place.id in known)
    return [row for row in rows if row[0].stage in (wanted.stages or ())]


def _readable(session: Session, rows: Iterable[tuple[StoredDeal, str | None]]) -> Iterator[Deal]:
    for stored, document in rows:
        try:
            found = _deal(session, stored, document)
        except PipelineChangedError:
            raise
        except UNREADABLE as error:
            session.observer.unreadable(stored.deal, error)
        else:
            yield found


def _deal(session: Session, stored: StoredDeal, document: str | None) -> Deal:
    return draft_of(session.pipeline, stored, lambda: document).as_deal()


def changes(session: Session, after: str | None, limit: int) -> Changes:
    """Return what was written since."""
    limit = _limit(limit, 0)
    since = Since() if after is None else since_of(after)
    settled = session.now() - OVERLAP
    if limit == 0:
        return Changes((), (), after or since_text(Since(settled)))
    with session.reading() as transaction:
        rows = transaction.changed(session.number, (since.at, since.id), limit)
    if after is not None and since.seen and since.seen == _digest(rows):
        return Changes((), (), after)
    found = tuple(
        _readable(session, ((row.deal, row.document) for row in rows if row.deal.stage is not None))
    )
    gone = tuple(row.deal.deal for row in rows if row.deal.stage is None)
    return Changes(found, gone, since_text(_read_to(since, rows, settled, limit)))


def _read_to(since: Since, rows: Sequence[Changed], settled: dt.datetime, limit: int) -> Since:
    """Return where to read on.

    Who commits late stands behind what was read already. So all that was not settled when it was
    read is read again, once the end is reached; until then it goes on, however much there is.
    """
    again = since.again
    if again is None and rows and rows[-1].at > settled:
        again = max(since.at, settled)
    if len(rows) == limit:
        return Since(rows[-1].at, rows[-1].deal.id, again)
    if again is not None:
        return Since(again, 0, None, _digest([row for row in rows if row.at >= again]))
    return Since(rows[-1].at, rows[-1].deal.id) if rows else since


def _digest(rows: Sequence[Changed]) -> str:
    """Return what tells these rows from others, and from the same ones written again."""
    digest = hashlib.blake2b(digest_size=8)
    for row in rows:
        digest.update(repr(row).encode())
    return digest.hexdigest()


def deals_of_customer(session: Session, key: str) -> list[Deal]:
    """Return the deals whose customer or company has a key, in the order of their numbers."""
    wanted = customer_key(key)
    if wanted is None:
        return []
    with session.reading() as transaction:
        if wanted.startswith(COMPANY):
            company = wanted.removeprefix(COMPANY)
            ids = transaction.deals_of_company(session.number, company, CROWD + 1)
        else:
            rows = transaction.deals_of_customer([wanted], CROWD + 1)
            ids = [row.id for row in rows if row.pipeline == session.number]
        known = transaction.deals_by_id(ids)
    found = (known[id] for id in ids if id in known)
    return list(_readable(session, (row for row in found if row[0].stage is not None)))


def filter_of(
    session: Session,
    *,
    stage: Stage | str | None = None,
    status: Status | None = None,
    owner: str | None = None,
    source: str | None = None,
    search: str | None = None,
    customer: str | None = None,
    scope: Scope | None = None,
) -> DealFilter | None:
    """Return what a store is asked for; ``None`` when no deal can match."""
    scope = scope or Scope()
    stages = _stages(session, stage, status, scope)
    words = () if search is None else words_of(plain_text(search))
    key = None if customer is None else customer_key(customer)
    texts = [*words, *(text for text in (owner, source) if text is not None)]
    if stages == () or not all(map(is_storable, texts)) or (customer is not None and key is None):
        return None
    sources = _storable(scope.sources)
    return DealFilter(
        stages=stages,
        owner=None if owner is None else plain_text(owner),
        source=None if source is None else short_key(plain_text(source)),
        words=words,
        customer=key,
        owners=_storable(scope.owners),
        sources=None if sources is None else tuple(map(short_key, sources)),
    )


def _stages(
    session: Session, stage: Stage | str | None, status: Status | None, scope: Scope
) -> tuple[str, ...] | None:
    if stage is None and status is None and scope.stages is None:
        return None
    found = session.pipeline.stages if stage is None else (session.pipeline.stage(stage),)
    keys = [one.key for one in found if status is None or one.status == status]
    return tuple(key for key in keys if scope.stages is None or key in scope.stages)


def _of_stages(session: Session, wanted: DealFilter) -> DealFilter:
    if wanted.stages is not None:
        return wanted
    return attrs.evolve(wanted, stages=tuple(stage.key for stage in session.pipeline.stages))


def _storable(names: Names | None) -> Names | None:
    if names is None:
        return None
    return tuple(name for name in names if name is None or is_storable(name))


def customer_key(key: str) -> str | None:
    """Return a key of a customer or a company as stores hold it; ``None`` when none holds it."""
    key = plain_text(key)
    if not is_storable(key):
        return None
    kind, colon, rest = key.partition(":")
    if not colon:
        kind, rest = "email", key
    if kind == COMPANY.rstrip(":"):
        return f"{COMPANY}{short_key(folded(rest))}"
    return f"{kind}:{rest.strip().lower() if kind in CHANNELS else rest}"


def _order(sort: str) -> Order:
    order = ORDERS.get(sort) if isinstance(sort, str) else None
    if order is None:
        raise ValueError(f"sort={sort!r} is no order of deals: choose one of {', '.join(ORDERS)}")
    return order


def _limit(limit: int, least: int) -> int:
    if isinstance(limit, bool) or not isinstance(limit, int) or not least <= limit <= MOST:
        raise ValueError(f"limit={limit!r}: ask for {least} to {MOST:,} deals at a time")
    return limit

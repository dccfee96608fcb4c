"""Lists of deals: the pages of a column, searches, a customer's deals, and what has changed."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias

import attrs

from ..errors import PipelineChangedError
from ..model.canonical import is_storable, plain_text
from ..model.customer import CHANNELS
from ..model.deal import Deal
from ..model.record import json_record
from ..model.stage import Stage, Status
from ..pipeline import Pipeline
from ..public import publish
from ..stores.base import CROWD, StoredDeal, Transaction
from ..stores.filters import DealFilter, Names, Scope
from ..stores.listing import (
    COMPANY,
    FIRST_HEARD,
    ORDERS,
    Changed,
    Order,
    Place,
    folded,
    short_key,
    words_of,
)
from .boundary import UNREADABLE
from .cursor import (
    Since,
    place_of,
    place_text,
    since_of,
    since_text,
)
from .session import Session
from .stored import draft_of

__all__ = ["Changes", "Page", "Sort"]

Sort: TypeAlias = Literal["age", "value", "recent", "due", "title"]
"""An order of deals: the longest in its stage first, the most valuable, the one that something
happened to last, the next that a timer is due for, by title. What is not known comes last."""

PAGE: Final = 500
MOST: Final = 1_000
OVERLAP: Final = dt.timedelta(seconds=90)
"""Changes of this time are read again: two machines' clocks may be a minute apart, and a commit
comes some time after the instant that it records."""


@json_record()
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

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values; the keys stay."""
        deals = [deal.to_dict() for deal in self.deals]
        return {"deals": deals, "next": self.next, "count": self.count}


@json_record()
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

    def to_dict(self) -> dict[str, Any]:
        """Return them as JSON values; the keys stay."""
        deals = [deal.to_dict() for deal in self.deals]
        return {"deals": deals, "gone": list(self.gone), "cursor": self.cursor}


def page(
    session: Session, wanted: DealFilter | None, sort: Sort, after: str | None, limit: int
) -> Page:
    """Return a page of the deals that match."""
    order, limit = _order(sort), checked_limit(limit, 1)
    place = None if after is None else place_of(after, order)
    if wanted is None:
        return Page((), None, 0)
    wanted = of_stages(session.pipeline, wanted)
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
    return _pages(session, of_stages(session.pipeline, wanted), order)


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


def _readable(
    session: Session,
    rows: Iterable[tuple[StoredDeal, str | None]],
    *,
    of: Pipeline | None = None,
) -> Iterator[Deal]:
    """Yield deals of a pipeline, the session's when left out; what cannot be read is noted."""
    for stored, document in rows:
        try:
            found = _deal(of or session.pipeline, stored, document)
        except PipelineChangedError:
            raise
        except UNREADABLE as error:
            session.observer.unreadable(stored.deal, error)
        else:
            yield found


def _deal(pipeline: Pipeline, stored: StoredDeal, document: str | None) -> Deal:
    return draft_of(pipeline, stored, lambda: document).as_deal()


def changes(session: Session, after: str | None, limit: int) -> Changes:
    """Return what was written since."""
    rows, cursor = changed_since(session, after, limit)
    found = tuple(
        _readable(session, ((row.deal, row.document) for row in rows if row.deal.stage is not None))
    )
    gone = tuple(row.deal.deal for row in rows if row.deal.stage is None)
    return Changes(found, gone, cursor)


def changed_since(session: Session, after: str | None, limit: int) -> tuple[Sequence[Changed], str]:
    """Return the rows that were written since a cursor was given, and the next one."""
    limit = checked_limit(limit, 0)
    since = Since() if after is None else since_of(after)
    settled = session.now() - OVERLAP
    if limit == 0:
        return (), after or since_text(Since(settled))
    with session.reading() as transaction:
        rows, read_to = changed_in(transaction, session.number, since, settled, limit)
    if after is not None and since.seen and since.seen == _digest(rows):
        return (), after
    return rows, since_text(read_to)


def changed_in(
    transaction: Transaction, number: int, since: Since, settled: dt.datetime, limit: int
) -> tuple[Sequence[Changed], Since]:
    """Return the rows that were written since, and where to read on.

    Args:
        settled: what was recorded by then is all committed.
    """
    rows = transaction.changed(number, (since.at, since.id), limit)
    return rows, _read_to(since, rows, settled, limit)


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


def deals_of_customer(
    session: Session, key: str, scope: Scope | None, also: Mapping[Pipeline, Scope | None]
) -> list[Deal]:
    """Return the deals whose customer or company has a key, in the order of their numbers."""
    found: dict[int, Pipeline] = {}
    with session.reading() as transaction:
        for pipeline, seen in {**also, session.pipeline: scope}.items():
            wanted = filter_of(pipeline, customer=key, scope=seen)
            number = _number(session, transaction, pipeline)
            if wanted is not None and number is not None:
                wanted = of_stages(pipeline, wanted)
                listed = transaction.listed(number, wanted, FIRST_HEARD, None, CROWD + 1)
                found |= dict.fromkeys((place.id for place in listed.places), pipeline)
        ids = sorted(found)[: CROWD + 1]
        known = transaction.deals_by_id(ids)
    return [
        deal for id in ids if id in known for deal in _readable(session, [known[id]], of=found[id])
    ]


def _number(session: Session, transaction: Transaction, pipeline: Pipeline) -> int | None:
    """Return the store's number for a pipeline; ``None`` when it holds no deals of it.

    Raises:
        PipelineChangedError: the store holds another definition of it.
    """
    if pipeline is session.pipeline:
        return session.number
    row = transaction.pipeline(pipeline.name)
    if row is None:
        return None
    if row.migrating is not None or row.fingerprint != pipeline.fingerprint:
        raise PipelineChangedError(
            f"the store holds another definition of pipeline {pipeline.name!r}: read its deals "
            "with the one that a board of it has adopted"
        )
    return row.id


def filter_of(
    pipeline: Pipeline,
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
    stages = _stages(pipeline, stage, status, scope)
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
    pipeline: Pipeline, stage: Stage | str | None, status: Status | None, scope: Scope
) -> tuple[str, ...] | None:
    if stage is None and status is None and scope.stages is None:
        return None
    found = pipeline.stages if stage is None else (pipeline.stage(stage),)
    keys = [one.key for one in found if status is None or one.status == status]
    return tuple(key for key in keys if scope.stages is None or key in scope.stages)


def of_stages(pipeline: Pipeline, wanted: DealFilter) -> DealFilter:
    """Return a filter that names every stage where it names none."""
    if wanted.stages is not None:
        return wanted
    return attrs.evolve(wanted, stages=tuple(stage.key for stage in pipeline.stages))


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


def checked_limit(limit: int, least: int, what: str = "deals") -> int:
    """Return how many to read at a time.

    Raises:
        ValueError: that is less than *least*, or too many.
    """
    if isinstance(limit, bool) or not isinstance(limit, int) or not least <= limit <= MOST:
        raise ValueError(f"limit={limit!r}: ask for {least} to {MOST:,} {what} at a time")
    return limit


publish("ladderpipe", Changes, Page)

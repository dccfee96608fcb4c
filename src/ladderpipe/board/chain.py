"""The hash chain: links are appended for what was recorded since, and nobody waits for it.

It follows the board as any consumer does: deals that were written since are looked at again, and
what of their events has no leaf yet comes into the next link. So does, now and then, every deal:
a transaction that committed after everybody had gone on is found then. A link is appended in one
transaction, under a lock of the chain's own and of the deals that nobody else is at.
"""

from __future__ import annotations

import datetime as dt
import functools
import json
import secrets
from collections.abc import Sequence
from typing import Final

import attrs

from ..model.clock import instant, instant_text
from ..model.event import Event
from ..public import publish
from ..stores.base import Transaction
from ..stores.chain import Leaf, Link, RetiredLeaf
from .cursor import Since, since_of, since_text
from .links import SALT_BYTES, Header, head_text, leaf_of
from .listing import OVERLAP, changed_in
from .session import Session

__all__ = ["Chain", "ChainExtension"]

PAGE: Final = 200
"""Deals that are looked at for a link."""
MOST: Final = 1_000
"""Events, and retired leaves, of a link."""
WALK_EVERY: Final = dt.timedelta(days=1)
"""How often all deals are looked at, whether or not anybody has written them."""


@attrs.frozen(kw_only=True)
class Chain:
    """How far a pipeline's hash chain goes.

    Attributes:
        head: what to note elsewhere, see :meth:`ladderpipe.Board.chain`; ``None`` before the
            first link.
        links: how many there are.
        events: how many events are in it.
        forgotten: how many leaves were retired because a person was forgotten.
        removed: how many because their deals were removed or archived.
        late: how many events had been recorded long before they came into the chain: their
            transaction committed late, or they were put there by somebody else.
        linked_at: when the last link was made.
        complete_to: what was recorded by then is all in it; ``None`` before the first time.
    """

    head: str | None
    links: int
    events: int
    forgotten: int
    removed: int
    late: int
    linked_at: dt.datetime | None
    complete_to: dt.datetime | None


@attrs.frozen(kw_only=True)
class ChainExtension:
    """What one call has appended to a chain.

    Attributes:
        links: how many links.
        events: how many events came into it.
        retired: how many leaves are noted as forgotten or removed.
        head: of the chain as it is now; ``None`` where there is nothing to chain yet.
        more: whether there is more to do: call again at once.
    """

    links: int
    events: int
    retired: int
    head: str | None
    more: bool


@attrs.frozen(kw_only=True)
class Position:
    """How far a chain has come.

    Attributes:
        changes: cursor of the deals that were read as they were written.
        walk: number of the deal that the round of all deals has come to; ``None`` if it is over.
        walked_at: when that round began.
        again: deals that others were at.
        settled: what was recorded by then is all in the chain.
    """

    changes: str
    walk: int | None
    walked_at: dt.datetime
    again: tuple[int, ...] = ()
    settled: dt.datetime | None = None

    def text(self) -> str:
        """Return it as a store keeps it."""
        told = attrs.asdict(self)
        told["walked_at"] = instant_text(self.walked_at)
        told["settled"] = None if self.settled is None else instant_text(self.settled)
        return json.dumps(told)

    @classmethod
    def of(cls, text: str) -> Position:
        """Return what :meth:`text` wrote."""
        told = json.loads(text)
        settled = told["settled"]
        return cls(
            changes=told["changes"],
            walk=told["walk"],
            walked_at=instant(told["walked_at"]),
            again=tuple(told["again"]),
            settled=None if settled is None else instant(settled),
        )


def chain_in(transaction: Transaction, number: int) -> Chain | None:
    """Return how far the chain of a pipeline goes; ``None`` if none was begun."""
    text = transaction.chain(number)
    if text is None:
        return None
    last = transaction.last_link(number)
    header = None if last is None else Header.of(last.header)
    return Chain(
        head=None if last is None else head_text(last),
        links=0 if header is None else header.n,
        events=0 if header is None else header.events,
        forgotten=0 if header is None else header.forgotten,
        removed=0 if header is None else header.removed,
        late=0 if header is None else header.late,
        linked_at=None if header is None else header.at,
        complete_to=Position.of(text).settled,
    )


def chain(session: Session) -> Chain | None:
    """Return how far the chain of a board's pipeline goes."""
    with session.reading() as transaction:
        return chain_in(transaction, session.number)


def extend(session: Session, limit: int) -> ChainExtension:
    """Append links for what is not in the chain yet, which begins it, if there is none."""
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise ValueError(f"limit={limit!r}: append at least one link")
    with session.reading() as transaction:
        last = transaction.last_link(session.number)
    links = events = retired = 0
    more = True
    while more and links < limit:
        step = session.retried(functools.partial(_extend_once, session))
        more = step.more
        if step.link is not None:
            last = step.link
            links, events, retired = links + 1, events + step.events, retired + step.retired
            session.observer.linked(last.n, head_text(last), step.events, step.retired)
    head = None if last is None else head_text(last)
    return ChainExtension(links=links, events=events, retired=retired, head=head, more=more)


@attrs.frozen
class _Step:
    link: Link | None
    events: int
    retired: int
    more: bool


def _extend_once(session: Session) -> _Step:
    """Look at a page of deals, and append a link if anything of them belongs into one."""
    with session.writing() as unit:
        transaction, number = unit.transaction, session.number
        text = transaction.chain(number)
        if text is None:
            transaction.begin_chain(number, _beginning(unit.now).text())
            text = transaction.chain(number)
            assert text is not None
        place = Position.of(text)
        found = _look(transaction, number, place, unit.now)
        retired = transaction.retired_leaves(number, MOST)
        link = None
        if found.events or retired:
            name = session.pipeline.name
            link = _append(
                transaction, number, name, unit.now, place.settled, found.events, retired
            )
        if found.place != place:
            transaction.move_chain(number, found.place.text())
        more = found.more or len(retired) == MOST
        return _Step(link, len(found.events), len(retired), more)


def _beginning(now: dt.datetime) -> Position:
    """Return where a chain begins: with a round of all deals, and what is written meanwhile."""
    return Position(changes=since_text(Since(now - OVERLAP)), walk=0, walked_at=now)


@attrs.frozen
class _Found:
    events: Sequence[tuple[int, Event, dt.datetime]]
    place: Position
    more: bool


def _look(transaction: Transaction, number: int, place: Position, now: dt.datetime) -> _Found:
    """Return events that are not in the chain, and how far everything was looked at."""
    since = since_of(place.changes)
    # All of them, seen before or not: a deal that looks as it did may have more events.
    rows, read_to = changed_in(transaction, number, since, now - OVERLAP, PAGE)
    ids = [*place.again[:PAGE], *(row.deal.id for row in rows)]
    walk, walked_at = place.walk, place.walked_at
    if walk is None and now - walked_at >= WALK_EVERY:
        walk, walked_at = 0, now
    is_at_end = len(rows) < PAGE
    if is_at_end and walk is not None:
        page = transaction.every_deal(number, walk, PAGE)
        ids += (stored.id for stored, _ in page)
        walk = page[-1][0].id if len(page) == PAGE else None
    # Who writes is not waited for, nor kept waiting: what others are at comes with a later link.
    free = transaction.free_deals(ids) if ids else set()
    taken = sorted(set(ids) - free)
    if taken:
        taken = sorted(transaction.deals_by_id(taken))
    events = transaction.unchained(sorted(free), MOST + 1) if free else []
    if len(events) > MOST:
        return _Found(events[:MOST], place, more=True)
    again = tuple(dict.fromkeys((*place.again[PAGE:], *taken)))
    more = not is_at_end or walk is not None or len(place.again) > PAGE
    settled = place.settled
    if not more and not again:
        settled = max(settled or now - OVERLAP, now - OVERLAP)
    found = Position(
        changes=since_text(read_to), walk=walk, walked_at=walked_at, again=again, settled=settled
    )
    return _Found(events, found, more)


def _append(
    transaction: Transaction,
    number: int,
    name: str,
    now: dt.datetime,
    settled: dt.datetime | None,
    events: Sequence[tuple[int, Event, dt.datetime]],
    retired: Sequence[RetiredLeaf],
) -> Link:
    """Append a link with these events, which says what is retired."""
    known = transaction.salts(sorted({deal for deal, _, _ in events})) if events else {}
    salts = {deal: known.get(deal) or secrets.token_bytes(SALT_BYTES) for deal, _, _ in events}
    hashes = [leaf_of(salts[deal], name, event, at) for deal, event, at in events]
    late = sum(is_late(at, settled, known.get(deal)) for deal, _, at in events)
    previous = transaction.last_link(number)
    link = Header.after(previous, name, now, settled, hashes, retired, late).link()
    transaction.save_salts({deal: salt for deal, salt in salts.items() if not known.get(deal)})
    transaction.append_link(
        number,
        link,
        [
            Leaf(deal, event.source, event.id, link.n, leaf)
            for (deal, event, _), leaf in zip(events, hashes, strict=True)
        ],
    )
    transaction.note_retired(number, link.n, retired)
    emptied = {leaf.link for leaf in retired}
    if emptied:
        # All of them being retired, on record, nothing needs them: the links stay, their leaves go.
        transaction.drop_leaves(number, emptied - transaction.open_links(number, emptied))
    return link


def is_late(recorded_at: dt.datetime, settled: dt.datetime | None, salt: bytes | None) -> bool:
    """Return whether an event without a leaf should have had one.

    Those of a deal whose leaves were retired are new ones: of a person forgotten, or restored.
    """
    return settled is not None and recorded_at <= settled and salt != b""


publish("ladderpipe", Chain, ChainExtension)

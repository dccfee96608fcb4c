"""Reading what is stored: deals, histories, the board's columns and totals."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Final, cast

import attrs

from ..errors import DealNotFoundError, PipelineChangedError
from ..fold.draft import order_key
from ..fold.fold import in_order
from ..fold.withdrawals import standing
from ..model.canonical import is_storable, plain_text
from ..model.customer import CHANNELS
from ..model.deal import Deal
from ..model.effect import Effect, EffectState, decisions_of
from ..model.event import Event
from ..model.history import History, SetAside
from ..model.money import product, stored_amount, total
from ..model.stage import Purpose, Stage, Status
from ..stores.base import CROWD, DealFilter, EffectRow, StoredDeal, Transaction
from .boundary import UNREADABLE
from .decision import draft_of, move_of, stored_until
from .session import Session

if TYPE_CHECKING:
    from ..fold.explain import Explanation

__all__ = ["StageTotal"]

PAGE: Final = 500


@attrs.frozen
class StageTotal:
    """The open deals of one stage in one currency.

    Attributes:
        currency: ``None`` for deals whose events named none; never summed with others.
        value: sum of the values that are known.
        weighted_value: value times the stage's probability; ``None`` when it has none.
        unvalued: how many of them have a value that is not known.
    """

    stage: Stage
    currency: str | None
    count: int
    value: Decimal
    weighted_value: Decimal | None
    unvalued: int = 0


def deal(session: Session, deal_id: str) -> Deal:
    """Return a deal as it is stored."""
    with session.reading() as transaction:
        stored, document = _find(session, transaction, deal_id)
        return draft_of(session.pipeline, stored, lambda: document).as_deal()


def deals(
    session: Session,
    stage: Stage | str | None,
    status: Status | None,
    owner: str | None,
) -> Iterator[Deal]:
    """Yield deals page by page, so that a long list needs little memory."""
    owner = None if owner is None else plain_text(owner)
    wanted = DealFilter(stages=_stages(session, stage, status), owner=owner)
    if owner is not None and not is_storable(owner):
        return
    after = 0
    while True:
        with session.reading() as transaction:
            page = transaction.deals(session.number, wanted, after, PAGE)
        for stored, document in page:
            try:
                found = _deal(session, stored, document)
            except PipelineChangedError:
                raise
            except UNREADABLE as error:
                session.observer.unreadable(stored.deal, error)
            else:
                yield found
        if len(page) < PAGE:
            return
        after = page[-1][0].id


def _deal(session: Session, stored: StoredDeal, document: str | None) -> Deal:
    return draft_of(session.pipeline, stored, lambda: document).as_deal()


def _stages(
    session: Session, stage: Stage | str | None, status: Status | None
) -> tuple[str, ...] | None:
    if stage is None and status is None:
        return None
    found = session.pipeline.stages if stage is None else (session.pipeline.stage(stage),)
    return tuple(s.key for s in found if status is None or s.status == status)


def history(session: Session, deal_id: str) -> History:
    """Return all that a deal has been through, the moves before a baseline included."""
    with session.reading() as transaction:
        stored, document = _find(session, transaction, deal_id)
        events = {(event.source, event.id): event for event, _ in transaction.events(stored.id)}
        records = transaction.moves(stored.id)
        held = transaction.held(session.number, deal_id)
        effects = _effects(session, transaction, stored)
    rows = [move_of(session.pipeline.ladder, stored.deal, record, events) for record in records]
    draft = draft_of(session.pipeline, stored, lambda: document)
    aside = [
        SetAside(events[row.source, row.id], row.reason)
        for row in held
        if row.data is None and (row.source, row.id) in events
    ]
    ordered = in_order(session.pipeline.ladder, events.values())
    withdrawn = standing(ordered).withdrawn
    aside.sort(key=lambda each: order_key(session.pipeline.ladder, each.event))
    return History(
        draft,
        rows,
        keys=[record.visit_key for record in records],
        aside=aside,
        withdrawn=withdrawn,
        effects=effects,
    )


def deals_of_customer(session: Session, key: str) -> list[Deal]:
    """Return the open and closed deals whose customer has a key, in the order of their numbers."""
    key = key if ":" in key else f"email:{key}"
    if not is_storable(key):
        return []
    kind, _, rest = key.partition(":")
    wanted = f"{kind}:{rest.strip().lower()}" if kind in CHANNELS else key
    found = []
    with session.reading() as transaction:
        rows = transaction.deals_of_customer([plain_text(wanted)], CROWD + 1)
        for row in rows:
            is_own = row.pipeline == session.number
            loaded = transaction.load_by_id(row.id) if is_own else None
            if loaded is not None and loaded[0].stage is not None:
                found.append(_deal(session, *loaded))
    return found


def events(session: Session, deal_id: str) -> list[Event]:
    """Return a deal's stored events in the order in which they happened; waiting ones too."""
    with session.reading() as transaction:
        stored, _ = stored_deal(session, transaction, deal_id)
        found = [] if stored is None else transaction.events(stored.id)
    return [event for event, _ in found]


def explain(session: Session, deal_id: str) -> Explanation:
    """Explain what is stored of a deal: every event, hand and timer, and what it did."""
    with session.reading() as transaction:
        stored, _ = stored_deal(session, transaction, deal_id)
        if stored is None:
            raise _not_found(session, deal_id)
        found = [event for event, _ in transaction.events(stored.id)]
        effects = _effects(session, transaction, stored)
    return attrs.evolve(session.pipeline.explain(found, stored_until(stored)), effects=effects)


def _effects(session: Session, transaction: Transaction, stored: StoredDeal) -> tuple[Effect, ...]:
    return tuple(map(effect_of, transaction.effects(session.number, stored.id, None)))


def effect_of(row: EffectRow) -> Effect:
    """Return a stored effect as a record."""
    return Effect(
        key=row.key,
        name=row.name,
        deal=row.deal,
        visit_key=row.visit_key,
        payload=json.loads(row.payload),
        state=EffectState(row.state),
        due_at=row.due_at,
        expires_at=row.expires_at,
        run_to_completion=row.run_to_completion,
        attempts=row.attempts,
        error=row.error,
        purpose=cast("Purpose | None", row.purpose),
        decisions=decisions_of(row.decisions),
    )


def summary(session: Session) -> list[StageTotal]:
    """Return count, value and weighted value per stage and currency, in ladder order."""
    with session.reading() as transaction:
        return totals(session, transaction.totals(session.number))


def totals(
    session: Session, deals: Iterable[tuple[str, str | None, str | Decimal | None]]
) -> list[StageTotal]:
    """Return what deals come to, each told by its stage's key, currency and value."""
    counts: Counter[tuple[str, str | None]] = Counter()
    unvalued: Counter[tuple[str, str | None]] = Counter()
    sums: dict[tuple[str, str | None], Decimal] = {}
    for stage, currency, value in deals:
        key = stage, currency
        try:
            found = stored_amount(value) if isinstance(value, str) else value or Decimal()
        except InvalidOperation as error:
            session.observer.unreadable(None, error)
            continue
        counts[key] += 1
        unvalued[key] += value is None
        sums[key] = total((sums.get(key, Decimal()), found))
    rows = []
    for stage in session.pipeline.stages:
        of_stage = [(code, summed) for (key, code), summed in sums.items() if key == stage.key]
        for currency, summed in sorted(of_stage, key=lambda pair: pair[0] or ""):
            weight = stage.probability
            weighted = None if weight is None else product(summed, Decimal(str(weight)))
            key = stage.key, currency
            total_of = StageTotal(stage, currency, counts[key], summed, weighted, unvalued[key])
            rows.append(total_of)
    return rows


def _find(
    session: Session, transaction: Transaction, deal_id: str
) -> tuple[StoredDeal, str | None]:
    stored, document = stored_deal(session, transaction, deal_id)
    if stored is None or stored.stage is None:
        raise _not_found(session, deal_id, stored)
    return stored, document


def stored_deal(
    session: Session, transaction: Transaction, deal_id: str
) -> tuple[StoredDeal | None, str | None]:
    """Return a deal's row and document, where there is one."""
    if not is_storable(deal_id):
        return None, None
    stored, document, _ = transaction.load(session.number, plain_text(deal_id), create=False)
    return stored, document


def _not_found(
    session: Session, deal_id: str, stored: StoredDeal | None = None
) -> DealNotFoundError:
    why = "check the id"
    if stored is not None and stored.removed_at is not None:
        why = f"it was removed at {stored.removed_at.isoformat()}"
    elif stored is not None:
        why = "its events wait until one opens it; board.explain says why none has"
    return DealNotFoundError(
        f"pipeline {session.pipeline.name!r} has no open deal {deal_id!r}: {why}"
    )

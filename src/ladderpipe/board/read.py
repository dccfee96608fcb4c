"""Reading what is stored: deals, histories, the board's columns and totals."""

from __future__ import annotations

import json
from collections.abc import Iterable
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

import attrs

from ..errors import DealNotFoundError
from ..fold.draft import order_key
from ..fold.order import in_order
from ..fold.revisit import Past
from ..fold.withdrawals import standing
from ..model.canonical import is_storable, plain_text
from ..model.deal import Deal
from ..model.delivery import EffectState
from ..model.event import Event
from ..model.history import History, SetAside
from ..model.money import amount_text, product
from ..model.record import json_record
from ..model.stage import Purpose, Stage
from ..public import publish
from ..stores.base import EffectRow, StoredDeal, Transaction
from ..stores.listing import StageSum, sums_of
from .session import Session
from .stored import draft_of, move_of, stored_until

if TYPE_CHECKING:
    from ..fold.explain import Explanation
    from ..model.effect import Effect, Task
    from ..stores.filters import Scope

__all__ = ["StageTotal"]


@json_record()
@attrs.frozen
class StageTotal:
    """The open deals of one stage in one currency.

    Attributes:
        currency: ``None`` for deals whose events named none; never summed with others.
        value: sum of the values that are known.
        weighted_value: value times the stage's probability; ``None`` when it has none.
        unvalued: how many of them have a value that is not known, or cannot be read.
    """

    stage: Stage
    currency: str | None
    count: int
    value: Decimal
    weighted_value: Decimal | None
    unvalued: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values, amounts as text; the keys stay."""
        weighted = self.weighted_value
        return {
            "stage": self.stage.key,
            "currency": self.currency,
            "count": self.count,
            "value": amount_text(self.value),
            "weighted_value": None if weighted is None else amount_text(weighted),
            "unvalued": self.unvalued,
        }


def deal(session: Session, deal_id: str) -> Deal:
    """Return a deal as it is stored."""
    with session.reading() as transaction:
        stored, document = _find(session, transaction, deal_id)
        return draft_of(session.pipeline, stored, lambda: document).as_deal()


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
        past=Past(session.pipeline.ladder, events.values(), stored_until(stored)),
    )


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
    from ..model.effect import Effect, decisions_of

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


def task_of(row: EffectRow) -> Task:
    """Return a stored task as a record."""
    from ..model.effect import Task

    payload = json.loads(row.payload)
    return Task(
        key=row.key,
        title=str(payload.get("title", "")) or row.name,
        deal=row.deal,
        owner=row.owner,
        due_at=row.ready_at,
        payload=payload,
    )


def summary(session: Session, scope: Scope | None) -> list[StageTotal]:
    """Return count, value and weighted value per stage and currency, in ladder order."""
    from .listing import filter_of

    wanted = filter_of(session.pipeline, scope=scope)
    if wanted is None:
        return []
    with session.reading() as transaction:
        sums = transaction.stage_sums(session.number, wanted)
    return _in_order(session, sums)


def totals(
    session: Session, deals: Iterable[tuple[str, str | None, Decimal | None]]
) -> list[StageTotal]:
    """Return what deals come to, each told by its stage's key, currency and value."""
    return _in_order(session, sums_of(deals))


def _in_order(session: Session, sums: list[StageSum]) -> list[StageTotal]:
    places = {stage.key: place for place, stage in enumerate(session.pipeline.stages)}
    rows = []
    known = (found for found in sums if found.stage in places)
    for found in sorted(known, key=lambda one: (places[one.stage], one.currency or "")):
        stage = session.pipeline.stages[places[found.stage]]
        weight = stage.probability
        weighted = None if weight is None else product(found.value, Decimal(str(weight)))
        unvalued = found.deals - found.valued
        rows.append(StageTotal(stage, found.currency, found.deals, found.value, weighted, unvalued))
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


def storable_ids(deals: Iterable[str]) -> list[str]:
    """Return ids of deals as stores hold them, each once, without those that none can hold."""
    return list(dict.fromkeys(plain_text(deal) for deal in deals if is_storable(deal)))


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


publish("ladderpipe", StageTotal)

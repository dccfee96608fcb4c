"""What ``--json`` prints: instants as ISO 8601 in UTC, amounts as text, keys that stay.

The keys are those of the library's records; what has no value is null.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from ..board.read import StageTotal
from ..ladder.check import Finding
from ..model.deal import CartLine, Deal
from ..model.event import Event
from ..model.history import History
from ..model.move import Move
from ..model.receipt import Receipt
from ..model.visit import Visit
from .printing import instant_text

__all__ = [
    "deal_record",
    "finding_record",
    "history_record",
    "receipt_record",
    "total_record",
]


def deal_record(deal: Deal) -> dict[str, Any]:
    """Return a deal, its cart included."""
    return {
        "id": deal.id,
        "pipeline": deal.pipeline,
        "title": deal.title,
        "stage": deal.stage.key,
        "status": deal.status,
        "value": _decimal(deal.value),
        "currency": deal.currency,
        "weighted_value": _decimal(deal.weighted_value),
        "owner": deal.owner,
        "contact": dict(deal.contact),
        "company": deal.company,
        "source": deal.source,
        "properties": dict(deal.properties),
        "cart": [_line(line) for line in deal.cart],
        "visit": deal.visit,
        "entered_at": instant_text(deal.entered_at),
        "opened_at": instant_text(deal.opened_at),
        "closed_at": instant_text(deal.closed_at),
        "lost_from": deal.lost_from.key if deal.lost_from else None,
        "due_at": instant_text(deal.due_at),
        "last_event_at": instant_text(deal.last_event_at),
    }


def history_record(history: History) -> dict[str, Any]:
    """Return a deal with its moves and its visits."""
    return {
        "deal": deal_record(history.deal),
        "moves": [_move(move) for move in history.moves],
        "visits": [_visit(visit) for visit in history.visits],
    }


def receipt_record(receipt: Receipt) -> dict[str, Any]:
    """Return what a board answered."""
    return {
        "outcome": receipt.outcome.value,
        "deal": deal_record(receipt.deal) if receipt.deal else None,
        "moves": [_move(move) for move in receipt.moves],
        "refolded": receipt.refolded,
    }


def finding_record(finding: Finding) -> dict[str, Any]:
    """Return a finding of ``check``."""
    return {
        "code": finding.code,
        "severity": finding.severity,
        "message": finding.message,
        "stage": finding.stage,
        "rule": finding.rule,
    }


def total_record(total: StageTotal) -> dict[str, Any]:
    """Return what one stage holds in one currency."""
    return {
        "currency": total.currency,
        "count": total.count,
        "value": _decimal(total.value),
        "weighted_value": _decimal(total.weighted_value),
    }


def _line(line: CartLine) -> dict[str, Any]:
    return {
        "sku": line.sku,
        "title": line.title,
        "quantity": _decimal(line.quantity),
        "unit_price": _decimal(line.unit_price),
    }


def _move(move: Move) -> dict[str, Any]:
    return {
        "n": move.n,
        "out_of": move.out_of.key if move.out_of else None,
        "into": move.into.key,
        "at": instant_text(move.at),
        "recorded_at": instant_text(move.recorded_at),
        "rule": move.rule,
        "event": None if move.event is None else _event(move.event),
    }


def _event(event: Event) -> dict[str, Any]:
    return {
        "type": event.type,
        "source": event.source,
        "id": event.id,
        "at": instant_text(event.at),
        "data": event.data,
    }


def _visit(visit: Visit) -> dict[str, Any]:
    return {
        "n": visit.n,
        "key": visit.key,
        "stage": visit.stage.key,
        "entered_at": instant_text(visit.entered_at),
        "left_at": instant_text(visit.left_at),
    }


def _decimal(number: Decimal | None) -> str | None:
    return None if number is None else f"{number:f}"

"""The tables of a store in memory."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from .base import (
    Checkpoint,
    EffectRow,
    HeldRow,
    MoveRecord,
    NewEvent,
    PipelineRow,
    StoredDeal,
    Subscription,
)
from .listing import Told

__all__: list[str] = []


class Tables:
    """What a store in memory holds."""

    def __init__(self) -> None:
        self.pipelines: dict[str, PipelineRow] = {}
        self.deals: dict[int, tuple[int, StoredDeal]] = {}
        self.deal_ids: dict[tuple[int, str], int] = {}
        self.documents: dict[int, str] = {}
        self.events: dict[tuple[int, str, str], NewEvent] = {}
        self.events_of: dict[int, tuple[tuple[int, str, str], ...]] = {}
        self.remarks: dict[tuple[int, str, str], str] = {}
        self.moves: dict[int, tuple[MoveRecord, ...]] = {}
        self.checkpoints: dict[int, tuple[Checkpoint, ...]] = {}
        self.effects: dict[str, tuple[int, EffectRow]] = {}
        self.held: dict[tuple[int, str], HeldRow] = {}
        self.held_customers: dict[tuple[int, str], tuple[str, ...]] = {}
        self.customers: dict[str, tuple[int, ...]] = {}
        self.customer_of: dict[int, Sequence[str]] = {}
        self.secrets: dict[str, bytes] = {}
        self.subscriptions: dict[str, frozenset[Subscription]] = {}
        self.told: dict[int, Told] = {}
        self.touched: dict[int, dt.datetime] = {}
        self.arms: dict[str, tuple[str, dt.datetime]] = {}
        self.next_id = 1

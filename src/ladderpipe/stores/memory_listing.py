"""Lists of deals in memory: all of them are looked at, filtered and sorted."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from operator import attrgetter
from typing import Any

from .base import StoredDeal
from .filters import DealFilter
from .listing import COMPANY, Changed, Listed, Order, Place, StageSum, Told, cut, sums_of, value_of
from .memory_tables import Tables

__all__: list[str] = []


class MemoryListing:
    """What a transaction in memory answers when lists are asked for."""

    _tables: Tables

    def _deals_of(self, pipeline: int) -> list[StoredDeal]:
        raise NotImplementedError

    def _told(self, deal: StoredDeal) -> Told:
        return self._tables.told.get(deal.id, Told())

    def _matching(self, pipeline: int, wanted: DealFilter) -> list[StoredDeal]:
        return [
            deal
            for deal in self._deals_of(pipeline)
            if deal.stage is not None and self._is_wanted(deal, self._told(deal), wanted)
        ]

    def _is_wanted(self, deal: StoredDeal, told: Told, wanted: DealFilter) -> bool:
        return (
            (wanted.stages is None or deal.stage in wanted.stages)
            and wanted.owner in (None, deal.owner)
            and wanted.source in (None, told.source)
            and (wanted.owners is None or deal.owner in wanted.owners)
            and (wanted.sources is None or told.source in wanted.sources)
            and all(word in told.text for word in wanted.words)
            and (wanted.customer is None or self._is_of(deal.id, told, wanted.customer))
        )

    def _is_of(self, deal_id: int, told: Told, customer: str) -> bool:
        if customer.startswith(COMPANY):
            return told.company == customer.removeprefix(COMPANY)
        return deal_id in self._tables.customers.get(customer, ())

    def listed(
        self, pipeline: int, wanted: DealFilter, order: Order, after: Place | None, limit: int
    ) -> Listed:
        places = [self._place(order, deal) for deal in self._matching(pipeline, wanted)]
        return Listed(cut(places, order, after, limit), len(places))

    def _place(self, order: Order, deal: StoredDeal) -> Place:
        told = self._told(deal)
        of: list[Any] = [told if column in Told._fields else deal for column in order.columns]
        key = tuple(attrgetter(name)(each) for name, each in zip(order.columns, of, strict=True))
        return Place(None if None in key else key, deal.id)

    def deals_by_id(self, ids: Sequence[int]) -> dict[int, tuple[StoredDeal, str | None]]:
        tables = self._tables
        known = [number for number in ids if number in tables.deals]
        return {id: (tables.deals[id][1], tables.documents.get(id)) for id in known}

    def changed(self, pipeline: int, after: tuple[dt.datetime, int], limit: int) -> list[Changed]:
        touched = self._tables.touched
        found = sorted(
            (touched[deal.id], deal.id, deal)
            for deal in self._deals_of(pipeline)
            if deal.id in touched and (touched[deal.id], deal.id) > after
        )
        documents = self._tables.documents
        return [Changed(at, deal, documents.get(number)) for at, number, deal in found[:limit]]

    def stage_sums(self, pipeline: int, wanted: DealFilter) -> list[StageSum]:
        found = self._matching(pipeline, wanted)
        return sums_of((deal.stage or "", deal.currency, self._value(deal)) for deal in found)

    def _value(self, deal: StoredDeal) -> Decimal | None:
        units, fraction = self._told(deal)[:2]
        return None if units is None or fraction is None else value_of(units, fraction)

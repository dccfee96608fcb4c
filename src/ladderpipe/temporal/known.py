"""What a customer's workflows know, laid over a deal's own memory where a store has other deals."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..board.unit import Unit
from ..model.clock import instant, instant_text
from ..model.event import Event
from ..stores.base import CustomerDeal, HeldRow, PipelineRow, Subscription, Transaction

__all__ = ["Known"]

Told = dict[str, Any]


class Known:
    """The deal's own memory, and over it what the customer's workflows know."""

    own: Transaction
    number: int

    def __init__(
        self,
        pipeline: str,
        deal: str,
        address: str,
        keys: Mapping[str, str],
        facts: Mapping[str, Told],
    ) -> None:
        self.address = address
        self.keys = set(keys.values())
        self.arm: list[str] | None = None
        self._pipeline = pipeline
        self._address = facts[address]
        self._arms = {key: told["arm"] for key, told in facts.items() if told["arm"] is not None}
        self._own_deal = pipeline, deal
        self._by_key = [
            (key, told)
            for hash_, key in keys.items()
            for told in facts[hash_]["deals"]
            if (told["pipeline"], told["deal"]) != self._own_deal
        ]
        names = sorted({(told["pipeline"], told["deal"]) for _, told in self._by_key})
        self._ids = {name: -1 - place for place, name in enumerate(names)}
        pipelines = sorted({name for name, _ in names} - {pipeline})
        self._numbers = {name: -1 - place for place, name in enumerate(pipelines)}
        self._deals = {self._ids[_name(told)]: told for _, told in self._by_key}

    def over(self, unit: Unit) -> Any:
        """Lay it over the transaction of a unit."""
        self.own, self.number = unit.transaction, unit.number
        self._numbers[self._pipeline] = unit.number
        return self

    def __getattr__(self, name: str) -> Any:
        return getattr(self.own, name)

    def lock_customers(self, keys: Sequence[str], wait: bool) -> bool:
        """Return that they are locked: their workflows hold them for this deal."""
        return True

    def pipelines(self) -> list[PipelineRow]:
        """Return the pipelines, with what is asked of those of the other deals."""
        own = self.own.pipelines()
        others = self._numbers.keys() - {row.name for row in own}
        return own + [
            PipelineRow(self._numbers[name], name, "", self._won_in(name), None)
            for name in sorted(others)
        ]

    def _won_in(self, pipeline: str) -> str:
        """Return what is asked of a definition, as far as these deals tell it."""
        won = {
            told["stage"]
            for told in self._deals.values()
            if told["pipeline"] == pipeline and told["is_won"]
        }
        stages = [{"key": stage, "status": "won"} for stage in sorted(won)]
        return json.dumps({"fold": {"stages": stages}})

    def deals_of_customer(self, keys: Sequence[str], limit: int) -> list[CustomerDeal]:
        """Return the other deals that hold one of the keys, under numbers that no deal here has."""
        return [
            CustomerDeal(
                key,
                self._numbers[told["pipeline"]],
                self._ids[_name(told)],
                told["deal"],
                told["stage"],
                None if told["closed_at"] is None else instant(told["closed_at"]),
            )
            for key, told in self._by_key
        ]

    def hands_since(
        self, deal_ids: Sequence[int], since: dt.datetime, types: Sequence[str]
    ) -> list[tuple[int, Event]]:
        """Return what was done by hand, here and on the other deals."""
        own = self.own.hands_since([id for id in deal_ids if id not in self._deals], since, types)
        others = [
            (id, Event.from_dict(hand))
            for id, told in self._deals.items()
            for hand in told["hands"]
            if id in deal_ids
        ]
        wanted = [(id, hand) for id, hand in others if hand.at >= since and hand.type in types]
        return [*own, *wanted]

    def held_of_customer(self, pipeline: int, keys: Sequence[str]) -> list[HeldRow]:
        """Return what is held, here and of the other deals."""
        others = [
            _held_from(key, kind, told["deal"])
            for told in self._deals.values()
            if self._numbers[told["pipeline"]] == pipeline
            for key, kind in told["held"]
        ]
        return [*self.own.held_of_customer(pipeline, keys), *others]

    def last_subscription(self, address: str) -> Subscription | None:
        """Return what was said last of being written to."""
        said = self._address["said"]
        told = None
        if said is not None:
            given = {**said, "address": address, "at": instant(said["at"]), "pipeline": 0}
            told = Subscription(**given)
        both = [each for each in (told, self.own.last_subscription(address)) if each is not None]
        return max(both, key=lambda each: (*each[2:6], not each.wanted), default=None)

    def sent_to(
        self, address: str, since: dt.datetime, besides: str, deal_id: int | None, limit: int
    ) -> list[dt.datetime]:
        """Return when something went to the address, as all deals know it."""
        found = [
            instant(row["at"])
            for row in self._address["sent"]
            if row["key"] != besides
            and (deal_id is None or (row["pipeline"], row["deal"]) == self._own_deal)
        ]
        return sorted((at for at in found if at > since), reverse=True)[:limit]

    def newer_effect(self, address: str, name: str, due_at: dt.datetime, key: str) -> str | None:
        """Return the key of a newer effect of that name to the address."""
        # Of a customer who is held out nothing went, though it counts for caps.
        sent = [row for row in self._address["sent"] if not row.get("stays")]
        for row in (*sent, *self._address["waiting"]):
            if row["name"] == name and (instant(row["due_at"]), row["key"]) > (due_at, key):
                return str(row["key"])
        return None

    def arms(self, keys: Sequence[str]) -> dict[str, tuple[str, dt.datetime]]:
        """Return which arm of a trial the keys are in."""
        return {key: (arm, instant(at)) for key, (arm, at) in self._arms.items() if key in keys}

    def note_arm(self, keys: Sequence[str], arm: str, at: dt.datetime) -> None:
        """Note the arm, for the customer's workflows."""
        self.arm = [arm, instant_text(at)]


def _name(told: Told) -> tuple[str, str]:
    return told["pipeline"], told["deal"]


def _held_from(key: str, type_: str, deal: str) -> HeldRow:
    nothing = dict.fromkeys(HeldRow._fields)
    return HeldRow(**{**nothing, "key": key, "type": type_, "deal": deal, "id": key, "kind": ""})  # type: ignore[arg-type]

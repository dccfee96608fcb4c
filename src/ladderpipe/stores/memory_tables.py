"""The tables of a store in memory, and all that is in them as JSON values and back."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ..errors import StoreError
from ..model.clock import instant, instant_text
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
from .chain import Leaf, Link, RetiredLeaf
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
        self.chains: dict[int, str] = {}
        self.links: dict[tuple[int, int], Link] = {}
        self.leaves: dict[int, tuple[Leaf, ...]] = {}
        self.salts: dict[int, bytes] = {}
        self.retired: dict[tuple[int, int, bytes], RetiredLeaf] = {}
        self.next_id = 1

    def to_json(self) -> dict[str, Any]:
        """Return all that is in them; less checkpoints, which are made again when they are needed.

        What is nothing is left out, so that a former version's reads as one of this version.
        """
        tables = {name: table for name, table in vars(self).items() if name not in _NOT_KEPT}
        return {
            name: [[_plain(key), _plain(value)] for key, value in table.items()]
            for name, table in tables.items()
            if table
        } | {"next_id": self.next_id}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Tables:
        """Return the tables that :meth:`to_json` wrote.

        Raises:
            StoreError: it did not write this.
        """
        tables = cls()
        try:
            tables.next_id = told["next_id"]
            for name, rows in told.items():
                if name not in _NOT_KEPT:
                    table = vars(tables)[name]
                    table.update((_read(key), _read(value)) for key, value in rows)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise StoreError(
                f"this is nothing that a store in memory has written ({type(error).__name__}: "
                f"{error}): give what dump() returned, of this version or a former one"
            ) from error
        return tables


_NOT_KEPT: Final = ("checkpoints", "next_id")
_KINDS: Final = {
    kind.__name__: kind
    for kind in (EffectRow, HeldRow, MoveRecord, NewEvent, PipelineRow, StoredDeal, Subscription)
} | {"Told": Told}
_KIND: Final = "row"


def _plain(value: Any) -> Any:
    """Return a value as JSON has it, and what JSON has not with a name for what it is."""
    if isinstance(value, dt.datetime):
        return {"at": instant_text(value)}
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if type(value).__name__ in _KINDS:
        defaults = value._field_defaults
        given = {
            name: _plain(part)
            for name, part in value._asdict().items()
            if name not in defaults or part != defaults[name]
        }
        return {_KIND: type(value).__name__, **given}
    if isinstance(value, tuple | list):
        return [_plain(part) for part in value]
    if isinstance(value, frozenset):
        return {"set": [_plain(part) for part in sorted(value)]}
    return value


def _read(told: Any) -> Any:
    if isinstance(told, list):
        return tuple(map(_read, told))
    if not isinstance(told, dict):
        return told
    if _KIND in told:
        kind = _KINDS[told[_KIND]]
        # What a former version had, and this one has not, is left out.
        given = {name: _read(part) for name, part in told.items() if name in kind._fields}
        return kind(**given)
    ((name, part),) = told.items()
    if name == "at":
        return instant(part)
    return bytes.fromhex(part) if name == "bytes" else frozenset(map(_read, part))

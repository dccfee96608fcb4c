"""Everything a store holds of one deal, read from it and written as JSON values and back.

Which deals, and into which file, is the business of :mod:`.archive` and :mod:`.file`.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeVar

import attrs

from ...ladder.ladder import Ladder
from ...model.canonical import canonical_text
from ...model.clock import instant, instant_text
from ...model.delivery import EffectState
from ...model.event import Event
from ...pipeline import Pipeline
from ...stores.base import EffectRow, HeldRow, MoveRecord, NewEvent, StoredDeal, Transaction
from ..boundary import UNREADABLE
from ..compare import StoredHistory, first_difference
from ..hold import held_rows
from ..remarks import REMARKS

__all__ = ["ArchivedDeal", "ArchivedEvent", "read_deals"]

Row = TypeVar("Row", bound=NamedTuple)

WAITING: Final = ("pending", "open", "claimed", "waiting")
"""States of effects that are still to come; of an archived deal, nothing is."""


@attrs.frozen
class ArchivedEvent:
    """An event as it was recorded; the digest of a forgotten one is ``None``.

    ``remark`` says that it came to nothing, see :mod:`ladderpipe.board.remarks`.
    """

    event: Event
    recorded_at: dt.datetime
    digest: str | None
    remark: str | None = None


@attrs.frozen
class ArchivedDeal:
    """What a store held of a deal. Numbers that the store gave out are 0 in it.

    Attributes:
        row: the deal's narrow row.
        document: its data.
        moves: all of them, those before a baseline included.
        aside: what is kept of events that are set aside: whose, since when and why.
    """

    row: StoredDeal
    document: Mapping[str, Any]
    events: tuple[ArchivedEvent, ...]
    moves: tuple[MoveRecord, ...]
    effects: tuple[EffectRow, ...]
    aside: tuple[HeldRow, ...] = ()

    @property
    def id(self) -> str:
        """The deal's id."""
        return self.row.deal

    @property
    def is_being_delivered(self) -> bool:
        """Whether a worker is at one of its effects."""
        return any(effect.state == "claimed" for effect in self.effects)

    def laid_to_rest(self) -> ArchivedDeal:
        """Return the deal with what still waited to be sent or done as expired."""
        return attrs.evolve(
            self,
            effects=tuple(
                effect._replace(state="expired", delayed_until=None)
                if effect.state in WAITING
                else effect
                for effect in self.effects
            ),
        )

    def first_difference(self, pipeline: Pipeline) -> str | None:
        """Return in words the first thing that is not what the fold makes of its events."""
        events = [archived.event for archived in self.events]
        digests = {(a.event.source, a.event.id): a.digest for a in self.events}
        found = StoredHistory(
            self.row,
            self.document,
            events,
            digests,
            self.moves,
            self.effects,
            {(row.source, row.id) for row in self.aside},
        )
        try:
            return first_difference(pipeline, found)
        except UNREADABLE as error:
            return f"it cannot be compared ({type(error).__name__}: {error})"

    def new_events(self, deal_id: int, ladder: Ladder) -> list[NewEvent]:
        """Return the rows of its events, for the deal that the store knows by this number."""
        return [
            NewEvent(
                deal_id,
                archived.event.source,
                archived.event.id,
                archived.event.type,
                archived.event.at,
                archived.event.seq,
                archived.event.data_text(),
                archived.digest,
                archived.recorded_at,
                not ladder.declares(archived.event.type),
            )
            for archived in self.events
        ]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values; what is nothing is left out."""
        return {
            "deal": self.id,
            "row": _to_json(self.row, leave_out=("id", "deal")),
            "document": dict(self.document),
            "events": [_event_to_json(archived) for archived in self.events],
            "moves": [_to_json(move) for move in self.moves],
            "effects": [
                _to_json(effect, leave_out=("deal_id", "deal", "lease"))
                | {"payload": json.loads(effect.payload)}
                for effect in self.effects
            ],
        } | ({"aside": [_to_json(row) for row in self.aside]} if self.aside else {})

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> ArchivedDeal:
        """Return what :meth:`to_json` wrote, laid to rest.

        Raises:
            LookupError, TypeError, ValueError: it did not write this.
        """
        deal = given["deal"]
        row = _from_json(StoredDeal, {"id": 0, "deal": deal} | given["row"])
        read = cls(
            # SQLite has numbers for what is true or false, and PostgreSQL takes none for it.
            row._replace(has_effects=bool(row.has_effects)),
            given["document"],
            tuple(_event_from_json(deal, event) for event in given["events"]),
            tuple(_from_json(MoveRecord, move) for move in given["moves"]),
            tuple(_effect_from_json(deal, effect) for effect in given["effects"]),
            tuple(_from_json(HeldRow, row) for row in given.get("aside", ())),
        )
        # Whoever wrote the file: a mail that it says still waits is nobody's here.
        return read.laid_to_rest()


def read_deals(
    transaction: Transaction, pipeline: int, page: Sequence[tuple[StoredDeal, str | None]]
) -> Iterator[ArchivedDeal]:
    """Yield all that a store holds of these deals, in their order."""
    ids = [stored.id for stored, _ in page]
    events, moves = transaction.events_of(ids), transaction.moves_of(ids)
    identities = [(event.source, event.id) for found in events.values() for event, _ in found]
    known = transaction.known_events(pipeline, identities) if identities else {}
    for stored, document in page:
        remarks = transaction.remarks(stored.id)
        yield ArchivedDeal(
            stored._replace(id=0),
            json.loads(document) if document else {},
            tuple(
                ArchivedEvent(
                    event,
                    recorded_at,
                    known[event.source, event.id].digest,
                    remarks.get((event.source, event.id)),
                )
                for event, recorded_at in events.get(stored.id, ())
            ),
            tuple(moves.get(stored.id, ())),
            tuple(map(_without_number, transaction.effects(pipeline, stored.id, None))),
            tuple(row for row in held_rows(transaction, pipeline, stored.deal) if not row.data),
        )


def _without_number(effect: EffectRow) -> EffectRow:
    return effect._replace(deal_id=0, payload=canonical_text(json.loads(effect.payload)))


def _event_to_json(archived: ArchivedEvent) -> dict[str, Any]:
    written = archived.event.to_dict()
    del written["deal"]  # it is said once, above all its events
    written |= {"digest": archived.digest, "recorded_at": instant_text(archived.recorded_at)}
    return written | ({} if archived.remark is None else {"remark": archived.remark})


def _event_from_json(deal: str, given: Mapping[str, Any]) -> ArchivedEvent:
    event = Event.from_dict({**given, "deal": deal})
    remark = given.get("remark")
    if remark not in (None, *REMARKS):
        raise ValueError(f"remark={remark!r}: it is one of {', '.join(REMARKS)}")
    return ArchivedEvent(event, instant(given["recorded_at"]), given["digest"], remark)


def _effect_from_json(deal: str, given: Mapping[str, Any]) -> EffectRow:
    payload = canonical_text(given["payload"])
    state = EffectState(given["state"]).value
    told = {**given, "deal_id": 0, "deal": deal, "payload": payload, "state": state}
    return _from_json(EffectRow, told)


def _to_json(row: NamedTuple, leave_out: Sequence[str] = ()) -> dict[str, Any]:
    return {
        name: instant_text(value) if isinstance(value, dt.datetime) else value
        for name, value in row._asdict().items()
        if value is not None and name not in leave_out
    }


def _from_json(kind: type[Row], given: Mapping[str, Any]) -> Row:
    """Return a row, with ``None`` for what was left out."""
    instants = _INSTANTS[kind]
    filled = dict.fromkeys(kind._fields) | kind._field_defaults | dict(given)
    return kind._make(
        instant(value) if name in instants and value is not None else value
        for name, value in ((name, filled[name]) for name in kind._fields)
    )


def _instants(kind: type[NamedTuple]) -> frozenset[str]:
    return frozenset(
        name for name, type_ in kind.__annotations__.items() if "datetime" in str(type_)
    )


_INSTANTS: Final[Mapping[type[NamedTuple], frozenset[str]]] = {
    kind: _instants(kind) for kind in (StoredDeal, MoveRecord, EffectRow, HeldRow)
}

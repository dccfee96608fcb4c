"""What a row is on SQL databases, and what a record: the dialect's part, and words by numbers.

A dialect says how a statement runs, how it is spelled, and how instants look on its connection;
as it stands here, they are aware datetimes there too.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from ..model.event import (
    BASELINE,
    BY_HAND,
    EDITED,
    OVERRIDE,
    STANDARD_TYPES,
    WITHDRAW,
    Event,
    digest_of,
    stored_event,
)
from .base import EffectRow, HeldRow, KnownEvent, MoveRecord, NewEffect, NewEvent, StoredDeal
from .words import Words

__all__ = ["Row"]

Row = tuple[Any, ...]

_USUAL_TYPES: Final = (BY_HAND, OVERRIDE, EDITED, WITHDRAW, BASELINE, *STANDARD_TYPES)
"""Types of events that every pipeline takes."""

_WORDS_AT_ONCE: Final = 500
"""How many words are read before single ones are looked up."""

DIGEST_BYTES: Final = 4
"""How much of an event's digest its row holds: the row gives the digest, and this shows whether
the row is still what was recorded."""


class SqlRows:
    """Runs the named statements of a dialect on one connection, and reads and writes their rows.

    Args:
        words: those that the connection knows to be committed; ``None`` in a transaction of the
            caller's, in which nobody can tell.
    """

    def __init__(self, statements: Any, words: Words | None) -> None:
        self._sql = statements
        self._words = Words() if words is None else words
        self._new_words: Words | None = None

    # -- the dialect --------------------------------------------------------------------------

    def _spelled(self, text: str) -> Any:
        """Return a statement as the dialect spells it."""
        raise NotImplementedError

    def _read(self, statement: Any, values: Sequence[Any] = ()) -> list[Row]:
        """Run a statement and return all its rows."""
        raise NotImplementedError

    def _write(self, statement: Any, values: Sequence[Any]) -> int:
        """Run a statement and return how many rows it touched."""
        raise NotImplementedError

    def _each(self, statement: Any, rows: Sequence[Row]) -> None:
        """Run a statement for every row; it may wait until something is read."""
        raise NotImplementedError

    def _list(self, values: Sequence[Any]) -> Any:
        """Return a list as a parameter."""
        raise NotImplementedError

    def known_events(
        self, pipeline: int, identities: Sequence[tuple[str, str]]
    ) -> dict[tuple[str, str], KnownEvent]:
        """Return what is stored under these identities."""
        raise NotImplementedError

    def _instant(self, at: dt.datetime | None) -> Any:
        """Return an instant as a parameter."""
        return at

    def _from_instant(self, at: Any) -> dt.datetime:
        """Return the instant that a column holds."""
        found: dt.datetime = at
        return found

    def _or_none(self, at: Any) -> dt.datetime | None:
        return None if at is None else self._from_instant(at)

    # -- rows and records ---------------------------------------------------------------------

    def _event(self, row: Row) -> tuple[Event, dt.datetime]:
        word, deal, id, at, source, seq, data, recorded_at = row
        kind = self._word(word)
        return stored_event(kind, deal, id, at, source, seq, json.loads(data)), recorded_at

    def _event_values(self, pipeline: int, event: NewEvent) -> Row:
        deal, source, id, kind, at, seq, data, digest, recorded_at, undeclared = event
        begins = digest and blob_of(digest[: 2 * DIGEST_BYTES])
        told = (self._number(kind), self._instant(at), seq, data, begins)
        return (pipeline, deal, source, id, *told, self._instant(recorded_at), undeclared)

    def _known(self, row: Row) -> KnownEvent:
        deal, word, at, seq, begins, name, data = row
        kind, at = self._word(word), self._from_instant(at)
        digest = whole_digest(begins, kind, name, at, data)
        return KnownEvent(deal, kind, at, seq, digest, name, data)

    def _deal(self, row: Row) -> StoredDeal:
        return StoredDeal._make(row)

    def _with_document(self, row: Row) -> tuple[StoredDeal, str | None]:
        return self._deal(row[1:]), row[0]

    def _deal_values(self, deal: StoredDeal) -> Row:
        """Return the values of all fields from the third on."""
        return tuple(deal[2:])

    def _move(self, row: Row) -> MoveRecord:
        n, key, out_of, into, at, recorded_at, rule, source, id = row
        left = None if out_of is None else self._word(out_of)
        entered, began = self._word(into), self._from_instant(at)
        noted = self._from_instant(recorded_at)
        told = (hex_of(key), left, entered, began, noted, self._word(rule), source, id)
        return MoveRecord(n, *told)

    def _move_values(self, deal_id: int, move: MoveRecord) -> Row:
        n, key, out_of, into, at, recorded_at, rule, source, id = move
        left = None if out_of is None else self._number(out_of)
        stages = (blob_of(key), left, self._number(into))
        instants = (self._instant(at), self._instant(recorded_at))
        return (deal_id, n, *stages, *instants, self._number(rule), source, id)

    def _effect(self, row: Row) -> EffectRow:
        return EffectRow._make(row)

    def _effect_values(self, effect: NewEffect) -> Row:
        return (*effect, effect.ready_at)

    def _held(self, row: Row) -> HeldRow:
        return HeldRow._make(row)

    def _held_values(self, row: HeldRow) -> Row:
        return tuple(row)

    # -- words --------------------------------------------------------------------------------

    def _number(self, word: str) -> int:
        """Return a word's number; one that has none gets one in this transaction."""
        number = self._words.numbers.get(word)
        if number is None:
            number = self._known_number(word)
        if number is None:
            # What is not committed yet, others must not hear of: it may be undone.
            self._new_words = self._new_words or Words()
            self._each(self._sql.ADD_WORD, [(word,)])
            number = self._known_number(word)
        assert number is not None
        return number

    def _note_words(self, definition: str) -> None:
        """Give numbers to what a pipeline declares, so that each has one, whoever uses it first."""
        for word in sorted({*_USUAL_TYPES, *_declared(json.loads(definition))}):
            self._number(word)

    def _without_known(self, pipeline: int, events: Sequence[NewEvent]) -> Sequence[NewEvent]:
        """Leave out known events if a type has no number yet: a duplicate leaves no word."""
        if all(self._known_number(kind) is not None for kind in {event.type for event in events}):
            return events
        known = self.known_events(pipeline, [(event.source, event.id) for event in events])
        return [event for event in events if (event.source, event.id) not in known]

    def _known_number(self, word: str) -> int | None:
        """Return a word's number, if it has one."""
        found = self._remembered_words()
        if word not in found.numbers:
            for (number,) in self._read(self._sql.WORD_NUMBER, (word,)):
                found.note(number, word)
                return int(number)
        return found.numbers.get(word)

    def _word(self, number: int) -> str:
        """Return the word that a row has a number of."""
        word = self._words.words.get(number)
        return self._look_up_word(number) if word is None else word

    def _look_up_word(self, number: int) -> str:
        found = self._remembered_words()
        if number not in found.words:
            for (word,) in self._read(self._sql.WORD, (number,)):
                found.note(number, word)
                return str(word)
        # Somebody has changed the row by hand, which verify tells.
        return found.words.get(number, f"(word {number})")

    def _remembered_words(self) -> Words:
        """Return where words are remembered, which after the first of its own is here."""
        found = self._words if self._new_words is None else self._new_words
        if not found.words:
            for number, word in self._read(self._sql.WORDS, (_WORDS_AT_ONCE,)):
                found.note(number, word)
        return found

    def _forget_new_words(self) -> None:
        """Ask again for what was read since this transaction added a word, which is undone."""
        if self._new_words is not None:
            self._new_words.clear()


def blob_of(text: str | None) -> bytes | None:
    """Return a key or digest as a column holds it: half as long."""
    return None if text is None else bytes.fromhex(text)


def hex_of(blob: Any) -> Any:
    """Return the key or digest that :func:`blob_of` wrote; what is none stays as it is."""
    return blob.hex() if isinstance(blob, bytes) else blob


def whole_digest(
    begins: Any, type: str, deal: str | None, at: dt.datetime, data: str
) -> str | None:
    """Return the digest of a stored event, which its row gives, if it begins as is stored.

    What begins otherwise was altered since, and is known by what is stored; what is forgotten has
    nothing stored.
    """
    known: str | None = hex_of(begins)
    if known is None or deal is None:
        return known
    digest = digest_of(type, deal, at, data)
    return digest if digest.startswith(known) else known


def _declared(definition: Mapping[str, Any]) -> Iterator[str]:
    """Yield the stages, rules and event types of a pipeline, as a store keeps it."""
    fold = definition.get("fold", {})
    for named in (*fold.get("stages", ()), *fold.get("rules", ())):
        yield named["key"]
        yield from named.get("on", ())
    yield from definition.get("events") or ()

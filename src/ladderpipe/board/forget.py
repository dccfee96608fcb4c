"""Forgetting people: personal data goes, the moves stay. And removing whole deals."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import attrs

from ..errors import DealNotFoundError, InvalidEventError, MoveNotAllowedError
from ..fold.draft import Draft
from ..fold.reducer import CartDraft, DealData
from ..model.canonical import canonical_text, is_storable, plain_text
from ..model.event import BASELINE, Event
from ..public import publish
from ..stores.base import StoredDeal
from .baseline import folded_anew, write_baseline
from .session import Session
from .sweep import sweep
from .unit import Unit

__all__ = ["FORGOTTEN", "ForgetReport"]

FORGOTTEN: Final = "[forgotten]"
"""What stands where personal data was."""

SHORTEST: Final = 4
"""Shorter values of a contact (a language, a title) are not searched for in other texts."""

_PERSONAL: Final = frozenset(("contact",))
_FREE_TEXT: Final = frozenset(("title", "reason"))
"""Texts that people write, at the top of an event's data: nobody can tell what is in them."""


@attrs.frozen
class ForgetReport:
    """What forgetting a contact did.

    Attributes:
        deals: ids of the deals whose personal data was removed.
    """

    deals: tuple[str, ...]


def forget(session: Session, contact: Mapping[str, str], properties: Iterable[str]) -> ForgetReport:
    """Remove personal data of one contact from every deal that names it."""
    if len(contact) != 1:
        raise InvalidEventError(
            "forget takes one contact key, for example forget(email='ada@example.com')"
        )
    ((key, value),) = contact.items()
    if not isinstance(value, str) or not value or not re.fullmatch(r"[\w-]+", key):
        raise InvalidEventError(f"forget({key}={value!r}): give the contact's {key} as text")
    value = plain_text(value)
    if not is_storable(value):
        return ForgetReport(())
    dropped = frozenset(properties)
    with session.reading() as transaction:
        found = transaction.deals_with_contact(session.number, key, value)
    forgotten = []
    for deal_id in found:
        with session.writing() as unit:
            unit.check_pipeline()
            forgotten.append(_forget_deal(unit, deal_id, value, dropped))
    session.store.erase_traces()
    return ForgetReport(tuple(name for name in forgotten if name is not None))


def _forget_deal(unit: Unit, deal_id: int, value: str, dropped: frozenset[str]) -> str | None:
    found = unit.transaction.load_by_id(deal_id)
    if found is None or found[0].removed_at is not None:
        return None
    sweep(unit, found[0], unit.now)
    unit.flush()
    stored, document = unit.transaction.load_by_id(deal_id) or found
    events = [event for event, _ in unit.transaction.events(deal_id)]
    draft = unit.draft(stored, document)
    eraser = Eraser(_personal_values(events, draft.data, value), dropped)
    unit.transaction.replace_event_data(
        unit.number, [(event, canonical_text(eraser.event_data(event))) for event in events]
    )
    if not folded_anew(unit, stored, may_open=False):
        eraser.erase(draft)
        write_baseline(unit, stored, draft)
    _forget_effects(unit, stored, eraser)
    return stored.deal


def _forget_effects(unit: Unit, stored: StoredDeal, eraser: Eraser) -> None:
    """Erase payloads, and send nothing more: there is nobody left to send it to.

    What was not delivered counts as expired, so that no late event can revive it.
    """
    for row in unit.transaction.effects(unit.number, stored.id, None):
        payload = eraser.value(json.loads(row.payload))
        unit.transaction.replace_effect_payload(row.key, canonical_text(payload))
        error = None if row.error is None else eraser.text(row.error)
        state = row.state if row.state in ("delivered", "open") else "expired"
        unit.transaction.settle_effect(row.key, state, error=error)


class Eraser:
    """Takes personal data out of texts and JSON values."""

    def __init__(self, values: Iterable[str], properties: frozenset[str]) -> None:
        longest_first = sorted(set(values), key=lambda text: (-len(text), text))
        pattern = "|".join(re.escape(text) for text in longest_first)
        self._pattern = re.compile(pattern, re.IGNORECASE)
        self._properties = properties

    def text(self, text: str) -> str:
        """Return *text* with every personal value replaced."""
        return self._pattern.sub(FORGOTTEN, text)

    def event_data(self, event: Event) -> dict[str, Any]:
        """Return an event's data without contact, title and reason, and without what names them."""
        gone = _FREE_TEXT | _PERSONAL
        kept = {k: self.value(part) for k, part in event.data.items() if k not in gone}
        if event.type == BASELINE:
            kept["state"]["data"].pop("title", None)
        return kept

    def value(self, value: Any) -> Any:
        """Return a JSON value without what is personal."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.value(part) for part in value]
        if isinstance(value, Mapping):
            gone = _PERSONAL | self._properties
            return {self.text(k): self.value(part) for k, part in value.items() if k not in gone}
        return value

    def erase(self, draft: Draft) -> None:
        """Take what is personal out of a deal that is about to become a baseline."""
        data = draft.data
        data.contact = {}
        data.company = self.value(data.company)
        data.source = None if data.source is None else self.text(data.source)
        data.properties = self.value(data.properties)
        data.cart = CartDraft(
            {
                sku: attrs.evolve(line, title=None if line.title is None else self.text(line.title))
                for sku, line in data.cart.items()
            }
        )
        data.title = None
        draft.changed = True
        if draft.stage is not None:
            draft.name_deal()


def _personal_values(events: Iterable[Event], data: DealData, value: str) -> Iterator[str]:
    yield value
    for contact in (data.contact, *(event.data.get("contact") for event in events)):
        for text in _texts(contact):
            if len(text) >= SHORTEST:
                yield text


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part)


def remove(session: Session, deal_id: str) -> None:
    """Remove a closed deal with all its rows; a tombstone stays, and answers ``ARCHIVED``.

    Raises:
        DealNotFoundError: there is no such deal.
        MoveNotAllowedError: it is not closed.
    """
    with session.writing() as unit:
        stored, _ = unit.load(deal_id, create=False)
        if stored is None or stored.removed_at is not None:
            raise DealNotFoundError(f"there is no deal {deal_id!r} to remove: check the id")
        if stored.stage is None or not session.pipeline.stage(stored.stage).is_closed:
            raise MoveNotAllowedError(
                f"deal {deal_id!r} is not closed (it is in {stored.stage}), and only closed deals "
                "are removed: move it to a won or lost stage first"
            )
        unit.transaction.remove_deal_events(stored.id)
        unit.note_removal(stored)
    session.store.erase_traces()


publish("ladderpipe", ForgetReport)

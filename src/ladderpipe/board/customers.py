"""A deal's customer keys as its row holds them: worked out of its data, never in a transaction."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable
from typing import Final

from ..errors import HookError
from ..fold.draft import Draft
from ..fold.withdrawals import standing
from ..model.canonical import is_storable
from ..model.customer import (
    CHANNELS,
    address_key,
    address_of,
    channel_of,
    contact_keys,
    fields_with_address,
    tells_id,
)
from ..model.event import BASELINE, Event
from ..pipeline import Pipeline

__all__ = ["addresses_told", "customer_text", "keys_of", "source_of", "wants_mail"]

LONGEST_KEY: Final = 512
NOBODY: Final = '["",[],[]]'
"""What a deal's row keeps of a customer of whom nothing is known."""

UNSUBSCRIBED: Final = "contact.unsubscribed"
SUBSCRIBED: Final = "contact.subscribed"
_SAID: Final = {UNSUBSCRIBED: False, SUBSCRIBED: True}


def source_of(
    ordered: Iterable[Event], carried: str | None = None, otherwise: str | None = None
) -> str | None:
    """Return the source of the last of these events that told an id of the customer.

    Args:
        carried: the source where a baseline carries what was told before.
        otherwise: the source where nothing told one.
    """
    told = list(ordered)
    for event in reversed(told):
        if event.type == BASELINE or tells_id(event.data):
            break
    else:
        return otherwise
    for event in reversed(standing(told).events):
        if event.type == BASELINE:
            return carried
        if event.data and tells_id(event.data):
            return event.source
    return otherwise


def customer_text(pipeline: Pipeline, draft: Draft, source: str, has_said: bool) -> str:
    """Return what a deal's row keeps of its customer.

    That is the source that told the ids, the keys, and the fields of the contact that hold an
    address: an effect that waits for one is asked about again when there is one more.

    Args:
        has_said: whether an event unsubscribes the customer and says no address; kept, too.

    Raises:
        HookError: the pipeline's own function raised, or returned what is no list of texts.
    """
    if pipeline.customer is contact_keys:
        keys = contact_keys(draft.data, source)
    else:
        keys = _asked(pipeline, draft, source)
    kept = {key for key in keys if len(key) <= LONGEST_KEY and is_storable(key)}
    return _text(source, tuple(sorted(kept)), fields_with_address(draft.data.contact), has_said)


def _asked(pipeline: Pipeline, draft: Draft, source: str) -> list[str]:
    if pipeline.customer is None or draft.last_event_at is None:
        return []
    try:
        keys = list(pipeline.customer(draft.as_deal(), source))
        if not all(isinstance(key, str) and key for key in keys):
            raise TypeError(f"it returned {keys!r}")
    except Exception as error:
        raise HookError(
            f"Pipeline(customer=...) raised {error!r} for deal {draft.deal!r}: it must return a "
            "list of texts for every deal, an empty one for a deal of nobody; nothing was stored"
        ) from error
    return keys


@functools.lru_cache(maxsize=4096)
def _text(source: str, keys: tuple[str, ...], fields: tuple[str, ...], has_said: bool) -> str:
    told = [source, keys, fields, *([True] if has_said else [])]
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"))


def has_said(customer: str | None) -> bool:
    """Return whether an event unsubscribes the customer and says no address."""
    return _parts(customer)[3]


def is_same(customer: str | None, other: str | None) -> bool:
    """Return whether two rows keep the same of their customers, as far as the fold can tell."""
    return _parts(customer)[:3] == _parts(other)[:3]


def known_source(customer: str | None) -> str:
    """Return the source that a deal's row keeps."""
    return _parts(customer)[0]


def keys_of(customer: str | None) -> tuple[str, ...]:
    """Return the keys that a deal's row keeps."""
    return _parts(customer)[1]


def is_reached_anew(before: str | None, now: str | None) -> bool:
    """Return whether a contact has an address of a kind that it did not have before."""
    return now != before and not set(_parts(now)[2]) <= set(_parts(before)[2])


@functools.lru_cache(maxsize=4096)
def _parts(customer: str | None) -> tuple[str, tuple[str, ...], tuple[str, ...], bool]:
    source, keys, fields, *said = ("", (), ()) if customer is None else json.loads(customer)
    return source, tuple(keys), tuple(fields), bool(said)


def wants_mail(event: Event) -> bool | None:
    """Return whether an event says that somebody wants mail; ``None`` if it says nothing of it."""
    if event.type in _SAID:
        return _SAID[event.type]
    contact = event.data.get("contact")
    if isinstance(contact, dict) and contact.get("unsubscribed") is True:
        return False
    return None


def addresses_told(event: Event) -> set[str]:
    """Return the addresses, as keys, that an event's contact has, on the channel that it names."""
    contact, channel = event.data.get("contact"), event.data.get("channel")
    if not isinstance(contact, dict):
        return set()
    chosen = CHANNELS if not isinstance(channel, str) else (channel_of(channel),)
    keys = (address_key(each, address_of(contact, each)) for each in chosen)
    return {key for key in keys if key is not None}


def unsubscribes_all(event: Event) -> bool:
    """Return whether an event unsubscribes somebody without saying which address."""
    return wants_mail(event) is False and not addresses_told(event)

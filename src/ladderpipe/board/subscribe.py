"""Subscribing and unsubscribing an address on the board."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import InvalidEventError
from ..model.canonical import is_storable, plain_text
from ..model.customer import CHANNELS, HASHED, Channel, address_key, address_of, channel_of
from ..model.event import OWN_SOURCE
from ..stores.base import CROWD, Subscription
from .session import Session
from .unit import Unit

__all__ = ["set_subscription"]


def set_subscription(session: Session, key: str, channel: str, wanted: bool) -> None:
    """Note on the board that the holder of an address wants to be written to, or does not."""
    if not isinstance(key, str) or not key.strip() or not is_storable(key):
        raise InvalidEventError(f"{key!r} is no address and no customer's key: give one as text")
    if key.startswith(HASHED):
        return _set_by_hash(session, key.removeprefix(HASHED), wanted)
    with session.writing() as unit:
        unit.check_pipeline()
        addresses = set(_reached(unit, plain_text(key), channel_of(channel)))
        if not addresses:
            raise InvalidEventError(
                f"no deal of a customer {key!r} has an address for {channel!r}, and it is an "
                "address that is unsubscribed: give that"
            )
        for address in sorted(addresses):
            unit.note_subscription(address, wanted, unit.now, 0, OWN_SOURCE, os.urandom(8).hex())
    return None


def _set_by_hash(session: Session, address: str, wanted: bool) -> None:
    """Note what the holder of an address wants of which only the hash is known.

    Its keys cannot be locked, so a mail that is being claimed at this moment may still go out.
    """
    if not re.fullmatch(r"[0-9a-f]{32}", address, re.ASCII):
        raise InvalidEventError(f"{address!r} is no name of an address: give what a delivery had")
    with session.writing() as unit:
        unit.check_pipeline()
        place = unit.now, 0, OWN_SOURCE, os.urandom(8).hex(), unit.number
        unit.transaction.note_subscription(Subscription(address, wanted, *place))


def _reached(unit: Unit, key: str, channel: Channel) -> Iterator[str]:
    """Yield the addresses, as keys, that a customer's key stands for."""
    kind, colon, rest = key.partition(":")
    if kind in CHANNELS or not colon:
        address = address_key(channel, rest if colon else key)
        assert address is not None
        yield address
        return
    deals = unit.transaction.deals_of_customer([key], CROWD + 1)
    for deal in deals if len(deals) <= CROWD else ():
        document = unit.transaction.document(deal.id)
        found = address_key(channel, address_of(_contact(document), channel))
        if found is not None:
            yield found


def _contact(document: str | None) -> Mapping[str, Any]:
    contact = json.loads(document or "{}").get("contact")
    return contact if isinstance(contact, Mapping) else {}

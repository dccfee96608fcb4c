"""Noting who does not want to be written to, under a hash that nothing takes away.

Said by any event of any deal, whether or not the deal can use it, or on the board. Only
``contact.subscribed`` and ``board.subscribe`` take it back; a field of a contact never does, since
shops repeat the contact with every cart.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any, Protocol

from ..model.customer import channel_of, hashed
from ..model.event import Event
from ..stores.base import Subscription, Transaction
from .customers import addresses_told, unsubscribes_all, wants_mail

__all__ = ["note_of", "subscription"]


class Noting(Protocol):
    """A unit of work, as far as it is told what is said of addresses."""

    transaction: Transaction

    def note_subscription(
        self, key: str, wanted: bool, at: dt.datetime, seq: int, source: str, id: str
    ) -> None:
        """Note that the holder of an address wants to be written to, or does not."""


def note_of(unit: Noting, events: Iterable[Event], deal_id: int | None, has_said: bool) -> None:
    """Note what these new events say of addresses.

    One that unsubscribes and names no address means every address that the deal's events told, or
    are going to tell.

    Args:
        has_said: whether the deal has an event that unsubscribes and names no address.
    """
    for event in events:
        wanted = wants_mail(event)
        own = addresses_told(event)
        if wanted is not None and own:
            _note(unit, event, wanted, own)
        if deal_id is None:
            continue
        if wanted is False and not own:
            told = [known for known, _ in unit.transaction.events(deal_id)]
            addresses = {key for known in told for key in _of_channel(event, addresses_told(known))}
            _note(unit, event, False, addresses)
        elif own and has_said:
            for known, _ in unit.transaction.events(deal_id):
                if unsubscribes_all(known):
                    _note(unit, known, False, _of_channel(known, own))


def _of_channel(event: Event, addresses: Iterable[str]) -> set[str]:
    channel = event.data.get("channel")
    begins = f"{channel_of(channel)}:" if isinstance(channel, str) else ""
    return {address for address in addresses if address.startswith(begins)}


def _note(unit: Noting, event: Event, wanted: bool, addresses: Iterable[str]) -> None:
    for key in sorted(addresses):
        unit.note_subscription(key, wanted, event.at, event.seq, event.source, event.id)


def subscription(secret: bytes, key: str, wanted: bool, *place: Any) -> Subscription:
    """Return what is kept of an address, given its key and the place of what was said."""
    return Subscription(hashed(secret, key), wanted, *place)

"""Noting who does not want to be written to, under a hash that nothing takes away.

Said by any event of any deal, whether or not the deal can use it, or on the board. Only
``contact.subscribed`` and ``board.subscribe`` take it back; a field of a contact never does, since
shops repeat the contact with every cart. An event that is withdrawn has never said anything.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

from ..fold.order import in_order
from ..fold.withdrawals import standing
from ..model.customer import channel_of, hashed
from ..model.event import Event
from ..pipeline import Pipeline
from ..stores.base import Subscription, Transaction
from .customers import addresses_told, unsubscribes_all, wants_mail

__all__ = ["note_of", "subscription", "take_back"]


class Noting(Protocol):
    """A unit of work, as far as it is told what is said of addresses."""

    transaction: Transaction

    pipeline: Pipeline

    def note_subscription(
        self, key: str, wanted: bool, at: dt.datetime, seq: int, source: str, id: str
    ) -> None:
        """Note that the holder of an address wants to be written to, or does not."""

    def take_back_subscription(self, key: str, wanted: bool, event: Event) -> None:
        """Note no more what an event said of an address."""


def note_of(
    unit: Noting,
    events: Iterable[Event],
    deal_id: int | None,
    has_said: bool = False,
    has_taken_back: bool = False,
) -> None:
    """Note what these new events say of addresses.

    One that unsubscribes and names no address means every address that the deal's events told, or
    are going to tell.

    Args:
        has_said: whether the deal has an event that unsubscribes and names no address.
        has_taken_back: whether it has one that takes another back: what that said was never said.
    """
    if deal_id is not None and has_taken_back:
        _note_anew(unit, [event for event, _ in unit.transaction.events(deal_id)])
        return
    for event in events:
        wanted = wants_mail(event)
        if wanted is None and not has_said:
            continue
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


def take_back(unit: Noting, event: Event, deal_id: int | None) -> None:
    """Note no more what an event said that has no place among its deal's, but what those say."""
    wanted = wants_mail(event)
    if wanted is None:
        return
    for key in sorted(addresses_told(event)):
        unit.take_back_subscription(key, wanted, event)
    if deal_id is not None:
        # One of them may have the same name, time and address.
        _note_anew(unit, [known for known, _ in unit.transaction.events(deal_id)])


def _note_anew(unit: Noting, told: Sequence[Event]) -> None:
    """Note what those of a deal's events say that stand, and no more what the others said."""
    left = standing(in_order(unit.pipeline.ladder, told)).events
    stands = {(key, event.identity) for key, event in _said(left)}
    for key, event in _said(told):
        wanted = wants_mail(event)
        assert wanted is not None
        if (key, event.identity) in stands:
            _note(unit, event, wanted, [key])
        else:
            unit.take_back_subscription(key, wanted, event)


def _said(events: Sequence[Event]) -> Iterator[tuple[str, Event]]:
    """Yield each address of which something is said, with the event that says it."""
    everywhere = {address for event in events for address in addresses_told(event)}
    for event in events:
        if unsubscribes_all(event):
            addresses = _of_channel(event, everywhere)
        elif wants_mail(event) is not None:
            addresses = addresses_told(event)
        else:
            continue
        for address in sorted(addresses):
            yield address, event


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

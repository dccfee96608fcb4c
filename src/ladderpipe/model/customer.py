"""Who a deal's customer is: the keys that a contact is known by, and the address of a channel.

What reads and writes them in a store is :mod:`ladderpipe.board.customers`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Literal, Protocol, TypeAlias

from .deal import Deal

__all__ = ["Channel", "CustomerKeys", "HasContact", "contact_keys"]

TO_CUSTOMER: Final = "customer"
"""What ``to`` says when an effect is for the deal's customer, whatever the address."""

Channel: TypeAlias = Literal["email", "phone"]
"""A way to reach a person, called as the field of the contact that holds the address."""

HASHED: Final = "hashed:"
"""What the name of an address begins with that is known by its hash only."""

CHANNELS: Final[tuple[Channel, ...]] = ("email", "phone")
_BY_PHONE: Final = ("phone", "sms", "whatsapp")

_IDS: Final = ("id", "customer_id")

CustomerKeys: TypeAlias = Callable[[Deal, str], Iterable[str]]
"""Works out the keys of a deal's customer, from the deal and the source that told its ids."""


class HasContact(Protocol):
    """What keys are worked out from: a deal, or the fold's draft of its data."""

    @property
    def contact(self) -> Mapping[str, Any]:
        """The contact as the deal's data holds it."""

    @property
    def properties(self) -> Mapping[str, Any]:
        """The free properties."""


def contact_keys(deal: HasContact, source: str) -> list[str]:
    """Return the usual keys: ``email:`` with the address, and ``id:`` with source and id.

    Ids are the contact's ``id`` and ``customer_id``, or the property ``customer_id``; they count
    together with the source of the event that told them, since two shops number alike.

    Args:
        source: of the last event that told an id.
    """
    contact = deal.contact
    found = []
    email = address_key("email", address_of(contact, "email"))
    if email is not None:
        found.append(email)
    for id in (*(contact.get(name) for name in _IDS), deal.properties.get("customer_id")):
        if _is_id(id) and (key := f"id:{source}:{id}") not in found:
            found.append(key)
    return found


def tells_id(data: Mapping[str, Any]) -> bool:
    """Return whether an event's data tells an id of the customer."""
    contact, properties = data.get("contact"), data.get("properties")
    if isinstance(contact, dict) and any(_is_id(contact.get(name)) for name in _IDS):
        return True
    return isinstance(properties, dict) and _is_id(properties.get("customer_id"))


def _is_id(value: Any) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool) and value != ""


def channel_of(name: str) -> Channel:
    """Return the channel that effects of that name, or people who say that word, mean."""
    return "phone" if name in _BY_PHONE else "email"


def channel_for(effect: str, to: Any, contact: Mapping[str, Any]) -> Channel | None:
    """Return how an effect speaks to a deal's customer; ``None`` if it speaks to somebody else.

    It does by ``to="customer"``, or by the very address that the contact has. An effect ``email``
    that names nobody goes to the contact, too.
    """
    if to == TO_CUSTOMER or (to is None and effect == "email"):
        return channel_of(effect)
    for channel in CHANNELS:
        own = address_key(channel, address_of(contact, channel))
        if own is not None and own == address_key(channel, to):
            return channel
    return None


def address_of(contact: Mapping[str, Any], channel: Channel) -> str | None:
    """Return the address that a contact has for a channel, as it was told."""
    value = contact.get(channel)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return value.strip() or None if isinstance(value, str) else None


def fields_with_address(contact: Mapping[str, Any]) -> tuple[Channel, ...]:
    """Return the channels by which a contact can be reached."""
    return tuple(channel for channel in CHANNELS if address_of(contact, channel)) if contact else ()


def address_key(channel: Channel, address: Any) -> str | None:
    """Return an address as a key, in which small letters and large ones are the same."""
    if not isinstance(address, str) or not address.strip():
        return None
    return f"{channel}:{address.strip().lower()}"


def hashed(secret: bytes, key: str) -> str:
    """Return what stands for a key where the key itself must not be kept."""
    return hashlib.blake2b(key.encode(errors="replace"), key=secret, digest_size=16).hexdigest()

"""Events: facts from outside, with the time they happened and an identity."""

from __future__ import annotations

import binascii
import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import attrs

from ..errors import InstantError, InvalidEventError
from ..public import publish
from .canonical import canonical, canonical_text, check_text, plain_int, plain_text
from .clock import instant, instant_text
from .record import json_record, plain_validator
from .sameness import same_data

__all__ = ["Event", "Identity"]


@json_record()
class Identity(NamedTuple):
    """What names an event within its pipeline, as in CloudEvents."""

    source: str
    id: str

    def to_dict(self) -> dict[str, str]:
        """Return it as JSON values; the keys stay."""
        return self._asdict()

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Identity:
        """Return what :meth:`to_dict` wrote.

        Raises:
            KeyError: a key is missing.
        """
        return cls(record["source"], record["id"])


BY_HAND: Final = "ladder.by_hand"
OVERRIDE: Final = "ladder.override"
BASELINE: Final = "ladder.baseline"
DISCARDED: Final = "ladder.discarded"
"""Takes the place of an event that was put aside for good: known, and without any effect."""
EDITED: Final = "deal.edited"
"""Corrects what is known of a deal; a hand, so it comes last in its instant, and no activity."""
WITHDRAW: Final = "ladder.withdraw"
"""Takes back one event of its own deal: ``data`` has its ``source`` and ``id``."""
TOLD: Final = "ladder.told"
"""What another system says: that the deal was in the stage ``data["stage"]`` since then (S13a).

``timers_from`` says from when on the timers of that visit may fire, ``sequence_from`` from when
what is asked for there counts; instants, as text.
"""
MERGED: Final = "cart.merged"
"""Says that a deal went on in another one, which ``data["into"]`` names."""
LINK_CLICKED: Final = "link.clicked"
"""Says that somebody followed the link back to the cart: ``data`` has the ``effect`` and the
``template`` of the mail that it stood in."""
TIMERS_FROM: Final = "timers_from"
SEQUENCE_FROM: Final = "sequence_from"
RESERVED: Final = "ladder."
OWN_SOURCE: Final = "ladderpipe"
"""Source of the events that the board writes itself: hands, overrides and baselines."""

STANDARD_TYPES: Final = (
    "cart.updated",
    "cart.item_added",
    "cart.item_removed",
    "cart.emptied",
    "cart.saved",
    MERGED,
    "checkout.started",
    "payment.failed",
    "order.confirmed",
    "order.edited",
    "order.cancelled",
    "order.refunded",
    "contact.subscribed",
    "contact.unsubscribed",
    LINK_CLICKED,
)
"""What a shop tells, from the first thing in a cart on; a ladder knows them unasked."""

PHASE_EVENT, PHASE_TIMER, PHASE_HAND, PHASE_BASELINE = range(4)
"""The order within one instant: events, timers, hands, baselines."""

_PHASES: Final = {
    BY_HAND: PHASE_HAND,
    OVERRIDE: PHASE_HAND,
    EDITED: PHASE_HAND,
    BASELINE: PHASE_BASELINE,
}

_NAMED: Final = ("deal", "id", "at", "source", "seq", "data")

MAX_NAME = 512
MAX_NAME_BYTES = 1024
"""In UTF-8: PostgreSQL's index on (pipeline, source, id) holds at most 2,704 bytes an entry."""
MAX_SEQ = 2**63 - 1


def phase_of(event_type: str) -> int:
    """Return the place within one instant of events of this type."""
    return _PHASES.get(event_type, PHASE_EVENT)


def checked_name(value: Any, field: str) -> str:
    """Return *value* as plain text, if it can be a name in an event, on whatever store.

    Raises:
        InvalidEventError: it is no text, empty, too long, or no Unicode.
    """
    if type(value) is str and 0 < len(value) <= MAX_NAME and value.isascii() and "\0" not in value:
        return value  # as nearly every name is
    if not isinstance(value, str) or (not value and field != "source"):
        raise InvalidEventError(f"event {field}={value!r} must be text that is not empty")
    name = plain_text(value)
    if len(name) > MAX_NAME:
        raise InvalidEventError(
            f"event {field} has {len(name)} characters, more than the {MAX_NAME} a key may have"
        )
    check_text(name, f"event {field}")
    if len(name) * 4 > MAX_NAME_BYTES and (size := len(name.encode())) > MAX_NAME_BYTES:
        raise InvalidEventError(
            f"event {field} {name[:20]!r}… takes {size} bytes in UTF-8, more than the "
            f"{MAX_NAME_BYTES} that every store can keep: make it shorter, for example a digest"
        )
    return name


def _type(value: str) -> str:
    return checked_name(value, "type")


def _deal(value: str) -> str:
    return checked_name(value, "deal")


def _id(value: str) -> str:
    return checked_name(value, "id")


def _source(value: str) -> str:
    return checked_name(value, "source")


def _seq(value: int) -> int:
    given: Any = value
    if not isinstance(given, int) or isinstance(given, bool):
        raise InvalidEventError(f"event seq={given!r} must be a whole number of at most 64 bits")
    seq = plain_int(given)
    if not -MAX_SEQ <= seq <= MAX_SEQ:
        raise InvalidEventError("event seq has more than the 64 bits that every store can keep")
    return seq


def _names_and_number() -> dict[str, Any]:
    name = {"type": "str", "min_length": 1, "max_length": MAX_NAME}
    return {
        "type": plain_validator(_type, name),
        "deal": plain_validator(_deal, name),
        "id": plain_validator(_id, name),
        "source": plain_validator(_source, {**name, "min_length": 0}),
        "seq": plain_validator(_seq, {"type": "int", "ge": -MAX_SEQ, "le": MAX_SEQ}),
    }


@json_record(_names_and_number)
@attrs.frozen
class Event:
    """Something that happened, and to which deal.

    (``source``, ``id``) names the event within its pipeline, as in CloudEvents: a second
    delivery with the same identity changes nothing. Whatever subclass a value has, Python's own
    is kept: ``str``, ``int``, ``float``, ``dict``, ``list`` and ``datetime``.

    Args:
        type: what happened, for example ``"cart.item_added"``.
        deal: id of the deal it happened to.
        id: identity within ``source``. Like every name of an event (``type``, ``deal``,
            ``source``) it has at most 512 characters, and 1,024 bytes in UTF-8.
        at: when it happened, to the microsecond; aware, or ISO 8601 text with an offset.
        source: who tells; empty when there is only one.
        seq: order among events of one instant, for sources that number theirs; 64 bits.
        data: JSON values. What stands at the top under ``contact``, ``company``, ``owner``,
            ``title``, ``source``, ``value``, ``currency`` or ``properties`` belongs to the deal.

    Raises:
        InvalidEventError: a name is empty or too long, or the data is not JSON.
        InstantError: ``at`` has no time zone.
    """

    type: str = attrs.field(converter=_type)
    deal: str = attrs.field(converter=_deal, kw_only=True)
    id: str = attrs.field(converter=_id, kw_only=True)
    at: dt.datetime = attrs.field(converter=instant, kw_only=True)
    source: str = attrs.field(default="", converter=_source, kw_only=True)
    seq: int = attrs.field(default=0, converter=_seq, kw_only=True)
    data: Mapping[str, Any] = attrs.field(factory=dict, converter=canonical, kw_only=True)

    def __hash__(self) -> int:
        return hash((self.source, self.id))

    @property
    def identity(self) -> Identity:
        """What names it within its pipeline: ``source`` and ``id``."""
        return Identity(self.source, self.id)

    @property
    def phase(self) -> int:
        """Its place within one instant: events, then timers, then hands, then baselines."""
        return phase_of(self.type)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values, under its own names; the keys stay."""
        return {
            "type": self.type,
            "deal": self.deal,
            "id": self.id,
            "at": instant_text(self.at),
            "source": self.source,
            "seq": self.seq,
            "data": canonical(self.data),
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Event:
        """Return the event that :meth:`to_dict` wrote; keys that it does not know are passed over.

        Raises:
            InvalidEventError: one of ``type``, ``deal``, ``id`` and ``at`` is missing, or one of
                them cannot be what it says.
            InstantError: ``at`` has no time zone.
        """
        missing = [name for name in ("type", "deal", "id", "at") if name not in record]
        if missing:
            raise InvalidEventError(
                f"this record has no {', '.join(missing)}, so it is no event: "
                "give what Event.to_dict() returned"
            )
        named = {name: record[name] for name in _NAMED if name in record}
        return cls(record["type"], **named)

    def data_text(self) -> str:
        """Return the data as canonical JSON text."""
        return canonical_text(self.data) if self.data else "{}"

    def digest(self, data_text: str | None = None) -> str:
        """Return what two deliveries of one event agree in: type, deal, instant and data."""
        return digest_of(self.type, self.deal, self.at, data_text or self.data_text())

    def says_the_same(self, other: Event) -> bool:
        """Return whether *other* tells the same: type, deal, instant and data.

        However it is written: 100, 100.0 and ``"100"`` are the same amount. ``seq`` does not
        matter.
        """
        return (
            self.type == other.type
            and self.deal == other.deal
            and self.at == other.at
            and same_data(self.data, other.data)
        )

    @classmethod
    def from_cloudevent(cls, message: Mapping[str, Any]) -> Event:
        """Build an event from a CloudEvents 1.0 structured-mode JSON object.

        ``subject`` is the deal and ``sequence`` (of the sequence extension, as an integer) is
        ``seq``. See https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md.

        Raises:
            InvalidEventError: an attribute that we need is missing, or the data is no JSON.
            InstantError: ``time`` has no offset.
        """
        if not isinstance(message, Mapping):
            raise InvalidEventError(f"a CloudEvent is a JSON object, not {message!r}")
        missing = [n for n in ("id", "source", "type", "subject", "time") if not message.get(n)]
        if missing:
            raise InvalidEventError(
                f"this CloudEvent has no {', '.join(missing)}: subject must name the deal "
                "and time must say when it happened"
            )
        sequence = message.get("sequence", 0)
        try:
            seq = int(sequence) if isinstance(sequence, str) else sequence
        except ValueError:
            raise InvalidEventError(
                f"CloudEvent sequence {sequence!r} is not a whole number"
            ) from None
        return cls(
            message["type"],
            deal=message["subject"],
            id=message["id"],
            at=message["time"],
            source=message["source"],
            seq=seq,
            data=_cloud_data(message),
        )

    def to_cloudevent(self) -> dict[str, Any]:
        """Return the event as a CloudEvents 1.0 structured-mode JSON object.

        CloudEvents has no empty source: one without a source is written as ``/``.
        """
        message: dict[str, Any] = {
            "specversion": "1.0",
            "id": self.id,
            "source": self.source or "/",
            "type": self.type,
            "subject": self.deal,
            "time": instant_text(self.at),
            "datacontenttype": "application/json",
            "data": dict(self.data),
        }
        if self.seq:
            message["sequence"] = str(self.seq)
        return message


def _cloud_data(message: Mapping[str, Any]) -> Any:
    """Return the data of a CloudEvent; what is binary there must be JSON all the same."""
    encoded = message.get("data_base64")
    if encoded is None:
        return message.get("data") or {}
    if message.get("data") is not None:
        raise InvalidEventError("this CloudEvent has data and data_base64: it may have one of them")
    try:
        return json.loads(binascii.a2b_base64(encoded, strict_mode=True))
    except (ValueError, TypeError) as error:
        raise InvalidEventError(
            f"data_base64 of CloudEvent {message['id']!r} is no JSON in base64 ({error}), and an "
            f"event's data is JSON: its datacontenttype is {message.get('datacontenttype')!r}"
        ) from None


_set_type, _set_deal, _set_id, _set_at, _set_source, _set_seq, _set_data = (
    getattr(Event, field.name).__set__ for field in attrs.fields(Event)
)


def digest_of(type: str, deal: str, at: dt.datetime, data_text: str) -> str:
    """Return what :meth:`Event.digest` does, of an event that says this."""
    text = "\x00".join((type, deal, at.isoformat(), data_text))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def stored_event(
    type: str, deal: str, id: str, at: dt.datetime, source: str, seq: int, data: dict[str, Any]
) -> Event:
    """Return an event as a store has kept it, equal to the one that was stored.

    Nothing is checked or copied, since it was when the event was made: checking takes three
    quarters of the time that making an event does, for each event of a deal that is folded again.
    """
    event = object.__new__(Event)
    _set_type(event, type)
    _set_deal(event, deal)
    _set_id(event, id)
    _set_at(event, at)
    _set_source(event, source)
    _set_seq(event, seq)
    _set_data(event, data)
    return event


def named_by(withdrawal: Event) -> Identity:
    """Return what a withdrawal takes back."""
    data = withdrawal.data
    return Identity(str(data.get("source") or ""), str(data.get("id")))


def _checked_withdrawal(event: Event) -> Event:
    """Refuse a withdrawal that names nothing.

    Raises:
        InvalidEventError: its data does not say which event is meant.
    """
    id, source = event.data.get("id"), event.data.get("source", "")
    if not isinstance(id, str) or not id or not isinstance(source, str):
        raise InvalidEventError(
            f"event {event.id!r} takes an event back and does not say which: its data must have "
            f'"id" and, unless it is empty, "source", and is {event.data!r}'
        )
    return event


def _checked_telling(event: Event) -> Event:
    """Refuse what another system tells if it names no stage, or says no time where it should.

    Raises:
        InvalidEventError: it does.
    """
    stage = event.data.get("stage")
    if stage is not None and (not isinstance(stage, str) or not stage):
        raise InvalidEventError(
            f"event {event.id!r} ({TOLD}) must say in which stage the deal was: its data has "
            f'"stage": {stage!r}, where the key of a stage was expected'
        )
    for name in (TIMERS_FROM, SEQUENCE_FROM):
        told_instant(event, name)
    return event


def told_instant(event: Event, name: str) -> dt.datetime | None:
    """Return an instant that another system's telling carries; ``None`` if it says none.

    Raises:
        InvalidEventError: what it says is no instant.
    """
    told = event.data.get(name)
    try:
        return None if told is None else instant(told)
    except InstantError as error:
        raise InvalidEventError(f"event {event.id!r} ({TOLD}): {name}: {error}") from None


def discarded(event: Event, by: str, reason: str) -> Event:
    """Return the event as it stands from now on: known, so that no copy is taken, and inert."""
    note = {"type": event.type, "by": by, "reason": reason}
    return Event(
        DISCARDED,
        deal=event.deal,
        id=event.id,
        at=event.at,
        source=event.source,
        seq=event.seq,
        data={**event.data, DISCARDED: note},
    )


def is_quiet_hand(event: Event | None) -> bool:
    """Return whether a hand made a move that is to send nothing."""
    return (
        event is not None and event.type in (BY_HAND, OVERRIDE) and event.data.get("quiet") is True
    )


def from_outside(event: Event) -> Event:
    """Return an event as a plain :class:`Event`, unless only the board itself writes such.

    Raises:
        InvalidEventError: it is no event, or its type begins with ``ladder.``.
    """
    if type(event) is not Event:
        if not isinstance(event, Event):
            raise InvalidEventError(f"{event!r} is no Event: build one with Event(...)")
        event = Event(**{field.name: getattr(event, field.name) for field in attrs.fields(Event)})
    if not event.type.startswith(RESERVED):
        return event
    if event.type == WITHDRAW:
        return _checked_withdrawal(event)
    if event.type == TOLD:
        return _checked_telling(event)
    raise InvalidEventError(
        f"event {event.id!r} has the type {event.type!r}: types beginning with "
        f"{RESERVED!r} are written by the board itself; use board.move or board.override"
    )


publish("ladderpipe", Event, Identity)

"""Effects: work outside the database, written with the move and delivered after the commit."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Literal, TypeAlias

import attrs

from ..errors import InvalidEventError
from ..public import publish
from .canonical import canonical, plain_text
from .clock import instant, instant_text
from .deal import Deal
from .delivery import EffectState
from .record import json_record, within
from .stage import Purpose

__all__ = [
    "Delivery",
    "Drop",
    "Effect",
    "Handler",
    "Later",
    "SendDecision",
    "Task",
    "drop",
    "later",
]

LONGEST_REASON: Final = 500
MOST_DECISIONS: Final = 20
"""How many decisions are kept of one effect: the last ones."""


@json_record()
@attrs.frozen(kw_only=True)
class SendDecision:
    """What was decided about sending an effect, and why; kept with the effect.

    Attributes:
        at: when it was decided.
        until: when it is asked about again; only of what was delayed.
        because: the reason in words; empty when it was sent.
    """

    at: dt.datetime
    outcome: Literal["sent", "delayed", "waiting", "dropped"]
    because: str = ""
    until: dt.datetime | None = None

    def __str__(self) -> str:
        until = "" if self.until is None else f" until {instant_text(self.until)}"
        if self.outcome == "dropped":
            return f"dropped: {self.because}"
        return f"{self.outcome}{until}" + (f" because {self.because}" if self.because else "")

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values; the keys stay."""
        return {
            "at": instant_text(self.at),
            "outcome": self.outcome,
            "because": self.because,
            "until": None if self.until is None else instant_text(self.until),
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> SendDecision:
        """Return the decision that :meth:`to_dict` wrote.

        Raises:
            KeyError: a key is missing.
            InstantError: an instant is none.
        """
        until = record.get("until")
        return cls(
            at=instant(record["at"]),
            outcome=record["outcome"],
            because=record.get("because", ""),
            until=None if until is None else instant(until),
        )


def decisions_text(decisions: Iterable[SendDecision]) -> str:
    """Return decisions as a store keeps them, of many the last ones."""
    kept = list(decisions)[-MOST_DECISIONS:]
    told = [decision.to_dict() for decision in kept]
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"))


def decisions_of(text: str | None) -> tuple[SendDecision, ...]:
    """Return the decisions that a store keeps."""
    return tuple(map(SendDecision.from_dict, json.loads(text))) if text else ()


@json_record()
@attrs.frozen(kw_only=True)
class Effect:
    """An effect as the store holds it.

    Attributes:
        key: stable name, the same on every redelivery; for the receiver's own deduplication.
        visit_key: the visit that asked for it.
        due_at: when it may be delivered first.
        attempts: how often it was claimed so far.
        error: what the last try said, if it failed.
        purpose: of one that is for the deal's customer; ``None`` of any other.
        decisions: what was decided about sending it, the latest last.
    """

    key: str
    name: str
    deal: str
    visit_key: str
    payload: Mapping[str, Any]
    state: EffectState
    due_at: dt.datetime
    expires_at: dt.datetime | None
    run_to_completion: bool
    attempts: int
    error: str | None
    purpose: Purpose | None = None
    decisions: tuple[SendDecision, ...] = ()

    @property
    def because(self) -> str:
        """Why it stands where it stands, as it was decided or as the last try failed."""
        return (self.decisions[-1].because if self.decisions else "") or self.error or ""

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values; the keys stay."""
        expires_at = self.expires_at
        return {
            "key": self.key,
            "name": self.name,
            "deal": self.deal,
            "visit_key": self.visit_key,
            "payload": canonical(self.payload),
            "state": self.state.value,
            "due_at": instant_text(self.due_at),
            "expires_at": None if expires_at is None else instant_text(expires_at),
            "run_to_completion": self.run_to_completion,
            "attempts": self.attempts,
            "error": self.error,
            "purpose": self.purpose,
            "decisions": [decision.to_dict() for decision in self.decisions],
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Effect:
        """Return the effect that :meth:`to_dict` wrote.

        Raises:
            KeyError: a key is missing.
            ValueError: there is no such state, or an instant is none.
        """
        expires_at = record["expires_at"]
        as_they_are = ("key", "name", "deal", "visit_key", "payload", "run_to_completion")
        return cls(
            state=EffectState(record["state"]),
            due_at=instant(record["due_at"]),
            expires_at=None if expires_at is None else instant(expires_at),
            attempts=record["attempts"],
            error=record["error"],
            purpose=record.get("purpose"),
            decisions=tuple(within(SendDecision, each) for each in record.get("decisions", ())),
            **{name: record[name] for name in as_they_are},
        )


@attrs.frozen(kw_only=True)
class Delivery:
    """What a handler is given.

    Attributes:
        key: the effect's stable key. At least once means that a handler may see it again.
        payload: as it was asked for; ``to``, where it means the customer, is the address that the
            deal's contact has at the claim.
        deal: the deal as it stood at the claim.
        attempt: 1 for the first try.
        recipient: of what is for the deal's customer, a name for the address that it goes to,
            which tells nobody the address; ``board.unsubscribe`` takes it.
    """

    key: str
    name: str
    payload: Mapping[str, Any]
    deal: Deal
    pipeline: str
    due_at: dt.datetime
    attempt: int
    recipient: str | None = None


@json_record()
@attrs.frozen(kw_only=True)
class Task:
    """An open task for a person.

    Attributes:
        key: what ``board.complete`` takes.
        owner: who should do it: the payload's ``owner``, otherwise the deal's.
        due_at: when it should be done.
    """

    key: str
    title: str
    deal: str
    owner: str | None
    due_at: dt.datetime
    payload: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values; the keys stay."""
        return {
            "key": self.key,
            "title": self.title,
            "deal": self.deal,
            "owner": self.owner,
            "due_at": instant_text(self.due_at),
            "payload": canonical(self.payload),
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Task:
        """Return the task that :meth:`to_dict` wrote.

        Raises:
            KeyError: a key is missing.
            InstantError: ``due_at`` has no time zone.
        """
        as_they_are = ("key", "title", "deal", "owner", "payload")
        named = {name: record[name] for name in as_they_are}
        return cls(due_at=instant(record["due_at"]), **named)


Handler: TypeAlias = Callable[[Delivery], object]
"""Delivers one effect; raising means that it is tried again. What it returns is of no account,
unless it is :func:`later` or :func:`drop`."""


@attrs.frozen
class Later:
    """A handler's answer: not now. See :func:`later`."""

    at: dt.datetime
    because: str


@attrs.frozen
class Drop:
    """A handler's answer: not at all. See :func:`drop`."""

    because: str


def later(at: dt.datetime | str, because: str) -> Later:
    """Return what a handler answers to be asked again at an instant; no failure, and no try.

    The board's backoff still holds: an instant that is sooner, or past, means after a first pause.

    Args:
        because: the reason in words, which stands on the effect.

    Raises:
        InvalidEventError: there is no reason.
        InstantError: *at* has no time zone.
    """
    return Later(instant(at), _reason("later", because))


def drop(because: str) -> Drop:
    """Return what a handler answers so that its effect is never sent; no failure.

    Args:
        because: the reason in words, which stands on the effect.

    Raises:
        InvalidEventError: there is no reason.
    """
    return Drop(_reason("drop", because))


def _reason(what: str, because: object) -> str:
    if not isinstance(because, str) or not because.strip():
        raise InvalidEventError(
            f"{what}(because={because!r}): say why, so that whoever looks later knows"
        )
    text = plain_text(because).encode(errors="replace").decode().replace("\x00", "\ufffd")
    return text if len(text) <= LONGEST_REASON else f"{text[: LONGEST_REASON - 1]}…"


publish(
    "ladderpipe",
    Delivery,
    Drop,
    Effect,
    Later,
    SendDecision,
    Task,
    drop,
    later,
)

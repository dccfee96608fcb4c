"""What a baseline holds besides a deal's state: where the deal stood, and who had told it what.

With that, what is told later and sorts before it can still be weighed (S12).
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Final

import attrs

from ..ladder.ladder import Ladder
from ..model.clock import instant, instant_text
from ..model.event import BASELINE, PHASE_TIMER, Event
from .order import Cause, OrderKey
from .tellings import Tellings

__all__ = ["Baseline", "in_turn", "mark", "marks"]

_MARK: Final = 11
"""Letters of a mark: eight bytes, in base64."""


@attrs.frozen(kw_only=True)
class Baseline:
    """What stands in a baseline beside the deal's state.

    Attributes:
        number: how many baselines of the deal there are, this one included: the last one counts.
        written_at: when it was written. Nothing that its visit waits for is due before.
        last: the last event that the deal had seen.
        horizon: when the deal's last timer was tried.
        began: what began the visit that it holds; ``None`` before the opening.
        settled: what last won the deal, or took it out of a closed stage.
        told: by part of the deal's data, what told it last; see :mod:`.tellings`.
        renamed: the stages that were renamed since, by their old names.
        seen: marks of the events that are in it, see :func:`mark`; one that was set aside is not.
    """

    number: int
    written_at: dt.datetime
    last: Cause | None = None
    horizon: dt.datetime | None = None
    began: Cause | None = None
    settled: Cause | None = None
    told: Mapping[str, Cause] = attrs.field(factory=dict)
    renamed: Mapping[str, str] = attrs.field(factory=dict)
    seen: frozenset[str] = frozenset()

    @classmethod
    def of(cls, event: Event) -> Baseline | None:
        """Return what a baseline event holds; ``None`` of one that former versions wrote."""
        data = event.data
        if "number" not in data:
            return None
        horizon, marks = data.get("horizon"), data["seen"]
        return cls(
            number=data["number"],
            written_at=instant(data["written_at"]),
            horizon=None if horizon is None else instant(horizon),
            told={
                part: cause
                for told, parts in data["told"]
                for cause in [Cause.from_json(told)]
                for part in parts
            },
            renamed=data.get("renamed", {}),
            seen=frozenset(marks[at : at + _MARK] for at in range(0, len(marks), _MARK)),
            **{name: Cause.from_json(data[name]) for name in _CAUSES if name in data},
        )

    @property
    def at(self) -> dt.datetime:
        """When the deal stood where it stood: at its last event, or timer if that is later."""
        last = None if self.last is None else self.last.at
        return max((at for at in (last, self.horizon) if at is not None), default=self.written_at)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        parts: dict[Cause, list[str]] = {}
        for part, cause in sorted(self.told.items()):
            parts.setdefault(cause, []).append(part)
        written: dict[str, Any] = {
            "number": self.number,
            "written_at": instant_text(self.written_at),
            "horizon": self.horizon and instant_text(self.horizon),
            "told": [[cause.to_json(), told] for cause, told in parts.items()],
            "renamed": dict(self.renamed) or None,
            "seen": "".join(sorted(self.seen)),
        }
        for name in _CAUSES:
            cause = getattr(self, name)
            written[name] = cause and cause.to_json()
        return {name: part for name, part in written.items() if part is not None}

    def has_seen(self, event: Event) -> bool:
        """Return whether an event is in it."""
        return mark(event.source, event.id) in self.seen

    def is_after(self, ladder: Ladder, key: OrderKey) -> bool:
        """Return whether what has that place in S9 comes late to it."""
        if self.last is not None and key <= self.last.key(ladder):
            return True
        return self.horizon is not None and (key[0], key[1]) <= (self.horizon, PHASE_TIMER)

    def tellings(self, ladder: Ladder) -> Tellings:
        """Return when each part was told last, to be gone on with."""
        return Tellings(ladder, self.told)

    def answer(self, ladder: Ladder, key: OrderKey, is_closing: bool) -> str | None:
        """Return in words what speaks against a rule for what came late; ``None`` if nothing.

        Args:
            key: the place in S9 of the event.
            is_closing: whether the rule leads into a closed stage.
        """
        if self.began is None or key > self.began.key(ladder):
            return None
        if not is_closing:
            return (
                f"it came late, and happened before the deal's visit began (by {self.began}): "
                "then only a rule into a closed stage counts"
            )
        if self.settled is not None and key < self.settled.key(ladder):
            return (
                f"it came late, and the deal was won or left a closed stage since, by "
                f"{self.settled}"
            )
        return None


_CAUSES: Final = ("last", "began", "settled")


def mark(source: str, id: str) -> str:
    """Return what a baseline knows an event by: short, and telling nothing of what is forgotten."""
    digest = hashlib.blake2b(f"{source}\x00{id}".encode(), digest_size=8).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def marks(events: Iterable[Event]) -> frozenset[str]:
    """Return the marks of events."""
    return frozenset(mark(event.source, event.id) for event in events)


def in_turn(events: Iterable[Event]) -> list[Event]:
    """Return the baselines among *events* as they were written, former versions' first."""
    found = [event for event in events if event.type == BASELINE]
    return sorted(found, key=lambda event: (event.data.get("number", 0), event.at))

"""What is known under one key of a customer, over all deals and pipelines: no more than is asked.

Plain JSON values and no ladder: each deal says of itself how it stands and what it sent, always all
of it, so that what is told twice or too late changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ..model.clock import instant
from ..stores.base import CROWD

__all__ = ["Ledger"]

MOST_DEALS: Final = 2 * CROWD
"""Beyond so many deals a key is a crowd's for good, and of further ones nothing is kept."""
LONGEST_MEMORY: Final = 1_000
"""How many things that were sent are remembered, the latest."""


class Ledger:
    """What one key's workflow holds.

    Args:
        carried: what :meth:`to_json` returned.
    """

    def __init__(self, carried: Mapping[str, Any]) -> None:
        self._deals: dict[str, Mapping[str, Any]] = dict(carried.get("deals", {}))
        self._sent: dict[str, Mapping[str, Any]] = dict(carried.get("sent", {}))
        self._said: Mapping[str, Any] | None = carried.get("said")
        self._arm: list[str] | None = carried.get("arm")
        self._is_crowd: bool = carried.get("is_crowd", False)

    def to_json(self) -> dict[str, Any]:
        """Return all that it holds."""
        return {
            "deals": self._deals,
            "sent": self._sent,
            "said": self._said,
            "arm": self._arm,
            "is_crowd": self._is_crowd,
        }

    def facts(self) -> dict[str, Any]:
        """Return what a policy asks for; the deals of a crowd are nobody's."""
        holding = [deal for deal in self._deals.values() if deal["holds"]]
        is_crowd = self._is_crowd or len(holding) > CROWD
        said = [said for deal in self._deals.values() for said in deal["said"]]
        said += [] if self._said is None else [self._said]
        return {
            "deals": [] if is_crowd else [{**deal, "sent": [], "said": []} for deal in holding],
            "sent": list(self._sent.values()),
            "waiting": [row for deal in self._deals.values() for row in deal["waiting"]],
            "said": max(said, key=place_of, default=None),
            "arm": self._arm,
        }

    def report(self, told: Mapping[str, Any]) -> None:
        """Take how a deal stands, unless something later is known of it."""
        name = f"{told['pipeline']}/{told['deal']}"
        known = self._deals.get(name)
        if known is not None and instant(known["at"]) >= instant(told["at"]):
            return
        if known is None and len(self._deals) >= MOST_DEALS:
            self._is_crowd = True
            return
        self._deals[name] = told
        own = {row["key"]: row for row in told["sent"]}
        for key, row in list(self._sent.items()):
            is_the_deals = (row["pipeline"], row["deal"]) == (told["pipeline"], told["deal"])
            is_older = not row.get("stays") and instant(row["at"]) < instant(told["at"])
            if is_the_deals and is_older and key not in own:
                del self._sent[key]
        self._sent.update(own)
        self._forget_the_oldest()

    def say(self, told: Mapping[str, Any]) -> None:
        """Take what a person, and no event, said of being written to; the later counts."""
        if self._said is None or place_of(told) > place_of(self._said):
            self._said = told

    def claim(self, effect: Mapping[str, Any]) -> None:
        """Count an effect as sent while it is decided about, as a lease counts in a store."""
        self._sent.setdefault(effect["key"], effect)

    def settle(self, told: Mapping[str, Any]) -> None:
        """Take what was decided about an effect, and which arm of a trial the customer is in."""
        effect = told["effect"]
        if told["counts"]:
            self._sent[effect["key"]] = effect
        else:
            self._sent.pop(effect["key"], None)
        if self._arm is None:
            self._arm = told["arm"]
        self._forget_the_oldest()

    def _forget_the_oldest(self) -> None:
        if len(self._sent) > LONGEST_MEMORY:
            latest = sorted(self._sent.items(), key=lambda named: instant(named[1]["at"]))
            self._sent = dict(latest[-LONGEST_MEMORY:])


def place_of(said: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return by what the last of several is found that were said of being written to (S14a)."""
    at = instant(said["at"])
    return at, said["seq"], said["source"], said["id"], not said["wanted"]

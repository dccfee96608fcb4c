"""Reading a send policy out of a definition, each refusal with the place it is about."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..model.calendar import Calendar
from .plain import Part
from .policy import AtMost, Policy, StopWhen, at_most, bought, in_conversation, unsubscribed

__all__ = ["policy"]

_FIELDS = ("stop_when", "caps", "beyond", "quiet", "zone", "holdout", "over")


def policy(part: Part, calendar: Callable[[Part], Calendar]) -> Policy:
    """Return the policy that a definition describes.

    Args:
        calendar: returns the calendar that a name names.
    """
    found = part.fields(*_FIELDS)
    given: dict[str, Any] = {
        name: found[name].text() for name in ("beyond", "zone", "over") if name in found
    }
    if "stop_when" in found:
        given["stop_when"] = [_condition(each) for each in found["stop_when"].items()]
    if "caps" in found:
        given["caps"] = [_cap(each) for each in found["caps"].items()]
    if "quiet" in found:
        by_hours = isinstance(found["quiet"].value, str)
        given["quiet"] = calendar(found["quiet"]) if by_hours else found["quiet"].texts()
    if "holdout" in found:
        given["holdout"] = found["holdout"].number()
    with part.named():
        return Policy(**given)


def _condition(part: Part) -> StopWhen:
    if isinstance(part.value, str):
        known: dict[str, StopWhen] = {
            "bought": bought,
            "unsubscribed": unsubscribed,
            "in_conversation": in_conversation,
        }
        if part.value not in known:
            raise part.refusal(
                f"nothing stops when {part.value!r}: write {', '.join(known)}, or bought: [names]"
            )
        return known[part.value]
    pipelines = part.fields("bought", required=("bought",))["bought"]
    with pipelines.named():
        return bought(*pipelines.texts())


def _cap(part: Part) -> AtMost:
    found = part.fields("at_most", "hours", "days", required=("at_most",))
    span = {name: found[name].number() for name in ("hours", "days") if name in found}
    with part.named():
        return at_most(found["at_most"].value, **span)

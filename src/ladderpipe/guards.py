"""Guards: what has to hold for a rule to move a deal. They combine with ``&``, ``|`` and ``~``."""

from .ladder.guards import (
    Guard,
    GuardFunction,
    cart_has_items,
    cart_is_empty,
    guard,
    property_equals,
    property_is_set,
    value_at_least,
    value_at_most,
)

__all__ = [
    "Guard",
    "GuardFunction",
    "cart_has_items",
    "cart_is_empty",
    "guard",
    "property_equals",
    "property_is_set",
    "value_at_least",
    "value_at_most",
]

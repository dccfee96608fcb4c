"""Send policies, and who a deal's customer is: what ``Pipeline(send=..., customer=...)`` takes."""

from .ladder.policy import (
    AtMost,
    Bought,
    InConversation,
    Policy,
    Unsubscribed,
    at_most,
    bought,
    in_conversation,
    unsubscribed,
)
from .model.customer import CustomerKeys, contact_keys
from .public import publish

__all__ = [
    "AtMost",
    "Bought",
    "CustomerKeys",
    "InConversation",
    "Policy",
    "Unsubscribed",
    "at_most",
    "bought",
    "contact_keys",
    "in_conversation",
    "unsubscribed",
]

publish(__name__, *(globals()[name] for name in __all__))

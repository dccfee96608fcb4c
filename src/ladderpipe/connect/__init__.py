"""Shops and other systems, connected: their webhooks become events, once their signature holds.

A connector is pure: ``verify`` says whether a delivery is authentic, ``events`` what it tells.
``Receiver`` puts connectors before a board, as an ASGI or WSGI application. Only Standard Webhooks,
and CloudEvents signed by them, need the extra ``connect``.
"""

from ..public import publish
from .cloudevents import CloudEvents
from .connector import Connector, Refused
from .receiver import Receiver
from .shopify import Shopify
from .standard_webhooks import StandardWebhooks
from .stripe import Stripe
from .woocommerce import WooCommerce

__all__ = [
    "CloudEvents",
    "Connector",
    "Receiver",
    "Refused",
    "Shopify",
    "StandardWebhooks",
    "Stripe",
    "WooCommerce",
]

publish(__name__, *(globals()[name] for name in __all__))

"""Shops and other systems, connected: their webhooks become events, once their signature holds.

A connector is pure: ``verify`` says whether a delivery is authentic, ``events`` what it tells.
``Receiver`` puts connectors before a board, as an ASGI or WSGI application. The other way,
``Webhook`` tells another system. Standard Webhooks, and CloudEvents signed by them, webhooks and
links need the extra ``connect``.
"""

from ..public import publish
from .cloudevents import CloudEvents
from .connector import Connector, Refused
from .links import Clicked, RestoreLink, SignedLink, UnsubscribeLink
from .receiver import Receiver
from .shopify import Shopify
from .standard_webhooks import StandardWebhooks
from .stripe import Stripe
from .webhook import NotTaken, Webhook
from .woocommerce import WooCommerce

__all__ = [
    "Clicked",
    "CloudEvents",
    "Connector",
    "NotTaken",
    "Receiver",
    "Refused",
    "RestoreLink",
    "Shopify",
    "SignedLink",
    "StandardWebhooks",
    "Stripe",
    "UnsubscribeLink",
    "Webhook",
    "WooCommerce",
]

publish(__name__, *(globals()[name] for name in __all__))

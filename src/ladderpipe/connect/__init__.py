"""Shops, CRMs and other systems, connected: their webhooks become events, once they are authentic.

A connector is pure: ``verify`` says whether a delivery is authentic, ``events`` what it tells.
``Receiver`` puts connectors before a board, as an ASGI or WSGI application; ``Reconciler`` asks
shops for what no webhook told. The other way, ``Webhook`` tells another system, and ``CrmSync``
keeps a board and a CRM in step. CRMs, Standard Webhooks, and CloudEvents signed by them, asking,
webhooks and links need the extra ``connect``.
"""

from ..public import publish
from .api import Unreachable
from .brevo import Brevo
from .cloudevents import CloudEvents
from .connector import Connector, Doorbell, Refused
from .crm.mapping import CrmMap
from .crm.protocol import (
    Assignment,
    Crm,
    CrmDeal,
    CrmError,
    FoundDeal,
    StageChange,
    Written,
)
from .crm.sync import CrmDrift, CrmRound, CrmSync
from .hubspot import HubSpot, HubSpotWebhooks
from .links import Clicked, RestoreLink, SignedLink, UnsubscribeLink
from .pipedrive import Pipedrive, PipedriveWebhooks
from .receiver import Receiver
from .reconcile import Reconcilable, Reconciled, Reconciler
from .shopify import Shopify
from .standard_webhooks import StandardWebhooks
from .stripe import Stripe
from .webhook import NotTaken, Webhook
from .woocommerce import WooCommerce

__all__ = [
    "Assignment",
    "Brevo",
    "Clicked",
    "CloudEvents",
    "Connector",
    "Crm",
    "CrmDeal",
    "CrmDrift",
    "CrmError",
    "CrmMap",
    "CrmRound",
    "CrmSync",
    "Doorbell",
    "FoundDeal",
    "HubSpot",
    "HubSpotWebhooks",
    "NotTaken",
    "Pipedrive",
    "PipedriveWebhooks",
    "Receiver",
    "Reconcilable",
    "Reconciled",
    "Reconciler",
    "Refused",
    "RestoreLink",
    "Shopify",
    "SignedLink",
    "StageChange",
    "StandardWebhooks",
    "Stripe",
    "Unreachable",
    "UnsubscribeLink",
    "Webhook",
    "WooCommerce",
    "Written",
]

publish(__name__, *(globals()[name] for name in __all__))

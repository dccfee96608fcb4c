"""A deal of the board in the words of a CRM."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from ...model.deal import Deal
from .mapping import CrmMap
from .protocol import CrmDeal

__all__ = ["standing"]

_OF_A_CONTACT: Final = ("name", "first_name", "last_name", "phone")


def standing(deal: Deal, mapping: CrmMap, object: str | None) -> CrmDeal:
    """Return how a deal stands, for the object that it has in a CRM."""
    return CrmDeal(
        id=deal.id,
        object=object,
        stage=mapping.stages[deal.stage.key],
        title=deal.title or deal.id,
        value=deal.value,
        currency=deal.currency,
        owner=deal.owner,
        closed_at=deal.closed_at,
        contact=_contact(deal.contact),
        company=_company(deal.company),
        properties={
            theirs: _text(deal.properties.get(ours)) for ours, theirs in mapping.properties.items()
        },
    )


def _contact(told: Mapping[str, Any]) -> dict[str, str]:
    address = _text(told.get("email")).lower()
    if "@" not in address:
        return {}
    known = {name: _text(told.get(name)) for name in _OF_A_CONTACT}
    return {"email": address} | {name: text for name, text in known.items() if text}


def _company(told: Any) -> dict[str, str]:
    if not isinstance(told, Mapping):
        return {}
    domain = _domain(_text(told.get("domain")) or _text(told.get("website")))
    if not domain:
        return {}
    name = _text(told.get("name"))
    return {"domain": domain} | ({"name": name} if name else {})


def _domain(address: str) -> str:
    """Return the domain of a web address, without ``www.``.

    >>> _domain("https://www.Example.com/contacts")
    'example.com'
    """
    try:
        host = urlsplit(address if "//" in address else f"//{address}").hostname or ""
    except ValueError:
        return ""
    return host.removeprefix("www.") if "." in host else ""


def _text(value: Any) -> str:
    """Return a value as a CRM's form would hold it."""
    if value is None or isinstance(value, Mapping | list):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value).strip()

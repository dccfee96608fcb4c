"""The few pages that people see who open a link in a mail: English and Italian, no scripts."""

from __future__ import annotations

import base64
import enum
import hashlib
from html import escape
from http import HTTPStatus
from typing import Final

from .reply import Reply
from .request import Headers

__all__ = ["Page", "page"]


class Page(enum.Enum):
    """What there is to say."""

    ASK = enum.auto()
    DONE = enum.auto()
    NO_CART = enum.auto()
    REFUSED = enum.auto()
    LATER = enum.auto()


_WORDS: Final[dict[str, dict[Page, tuple[str, str]]]] = {
    "en": {
        Page.ASK: (
            "Stop these mails?",
            "One click, and nothing more is sent to this address but what concerns your orders.",
        ),
        Page.DONE: ("Done", "Nothing more is sent to this address but what concerns your orders."),
        Page.NO_CART: ("This cart is gone", "It is not kept any more. Please fill a new one."),
        Page.REFUSED: (
            "This link does not work",
            "It is too old or not complete. Open it from the mail again, or write to the shop.",
        ),
        Page.LATER: ("Please try again", "Something is not working just now. Try in a minute."),
    },
    "it": {
        Page.ASK: (
            "Non ricevere più queste e-mail?",
            "Un clic, e a questo indirizzo arriverà soltanto ciò che riguarda i tuoi ordini.",
        ),
        Page.DONE: (
            "Fatto",
            "A questo indirizzo arriverà soltanto ciò che riguarda i tuoi ordini.",
        ),
        Page.NO_CART: (
            "Questo carrello non c'è più",
            "Non è più conservato: puoi riempirne uno nuovo.",
        ),
        Page.REFUSED: (
            "Questo link non funziona",
            "È troppo vecchio o incompleto. Riaprilo dall'e-mail, oppure scrivi al negozio.",
        ),
        Page.LATER: ("Riprova", "In questo momento qualcosa non funziona. Riprova fra un minuto."),
    },
}
_BUTTON: Final = {"en": "Stop these mails", "it": "Non ricevere più"}

_STYLE: Final = (
    "body{font:17px/1.5 system-ui,sans-serif;max-width:30rem;margin:15vh auto;padding:0 1rem;"
    "color:#1f2937;background:#fff}button{font:inherit;padding:.6rem 1.2rem;border:0;"
    "border-radius:6px;background:#1d4ed8;color:#fff;cursor:pointer}"
)
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS: Final = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}


def page(
    shown: Page, status: HTTPStatus, headers: Headers, more: dict[str, str] | None = None
) -> Reply:
    """Return a page in the language that the browser asks for first of those there are."""
    language = _language(headers.get("accept-language", ""))
    title, text = _WORDS[language][shown]
    # Without an action the form goes to where the page is, the token included.
    button = (
        '<form method="post"><input type="hidden" name="List-Unsubscribe" value="One-Click">'
        f"<button>{escape(_BUTTON[language])}</button></form>"
    )
    body = (
        f'<!doctype html><html lang="{language}"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style>"
        f"<main><h1>{escape(title)}</h1><p>{escape(text)}</p>"
        f"{button if shown is Page.ASK else ''}</main></html>"
    )
    return Reply(status, body.encode(), {**_HEADERS, **(more or {})})


def _language(accepted: str) -> str:
    for part in accepted[:200].split(","):
        language = part.partition(";")[0].strip().partition("-")[0].lower()
        if language in _WORDS:
            return language
    return "en"

"""The addresses that a configuration names."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from ..errors import DefinitionError

__all__ = ["checked_url"]

AT_HOME: Final = ("localhost", "127.0.0.1", "::1")
"""Where plain ``http`` leaves no machine."""


def checked_url(url: str, plain_http: bool) -> str:
    """Return an address of ours or of another system that a configuration names.

    Raises:
        DefinitionError: it is none, holds a password, or is not ``https``.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port  # which raises where it is no number
    except (ValueError, AttributeError, TypeError):
        host = None
    if not host or not (url.isascii() and url.isprintable()) or "\\" in url or " " in url:
        raise DefinitionError(f"url={url!r} is no web address: write https://erp.example/hooks")
    if "@" in parts.netloc:
        raise DefinitionError(
            "the url holds a user or a password: leave it out (a Webhook has "
            "headers={'Authorization': …} for it)"
        )
    is_near = plain_http or host in AT_HOME
    is_fine = parts.scheme == "https" or (parts.scheme == "http" and is_near)
    if not is_fine:
        raise DefinitionError(
            f"url={url!r} is not https, so others could read what is sent: write https://; a "
            "Webhook takes plain_http=True for a network of your own"
        )
    return url

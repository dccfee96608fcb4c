"""A request's parts, from any framework: its headers, and the signatures in them."""

from __future__ import annotations

import base64
import datetime as dt
import email.utils
import hmac
import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

__all__ = ["Headers", "HeadersLike"]

HeadersLike: TypeAlias = Mapping[Any, Any] | Iterable[tuple[Any, Any]]
"""Names and values, text or bytes: what web frameworks call ``request.headers``, or pairs."""


class Headers(dict[str, str]):
    """Headers by their name in small letters; of one that came twice, both values."""

    @classmethod
    def of(cls, headers: HeadersLike) -> Headers:
        """Return any framework's headers as these."""
        if isinstance(headers, Headers):
            return headers
        found = cls()
        # Flask's headers have items and are no Mapping.
        for name, value in headers.items() if hasattr(headers, "items") else headers:
            key, told = _text(name).lower(), _text(value)
            found[key] = f"{found[key]}, {told}" if key in found else told
        return found


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def base64_hmac(key: bytes, body: bytes) -> str:
    """Return the HMAC-SHA256 of a body in base64."""
    return base64.b64encode(hmac.digest(key, body, "sha256")).decode("ascii")


def is_one_of(expected: Iterable[str], told: Iterable[str]) -> bool:
    """Return whether one of the signatures that were told is expected, in constant time each."""
    seen = [one.encode("utf-8", "surrogatepass") for one in told]
    # All are compared, so that the time taken does not say which secret it was.
    found = [hmac.compare_digest(right.encode(), one) for right in expected for one in seen]
    return any(found)


def retry_after(told: str | None, now: dt.datetime) -> dt.timedelta | None:
    """Return how long a ``Retry-After`` asks to wait (RFC 9110, 10.2.3); ``None`` if it is none."""
    text = (told or "").strip()
    if re.fullmatch(r"\d{1,9}", text, re.ASCII):
        return dt.timedelta(seconds=int(text))
    try:
        at = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    # It is in GMT, which RFC 5322's "-0000" leaves without a zone.
    at = at if at.tzinfo is not None else at.replace(tzinfo=dt.UTC)
    return max(at - now, dt.timedelta())

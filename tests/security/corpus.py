"""Texts and data that break software: what hostile, careless or unlucky senders send."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

__all__ = ["AMOUNTS", "DATA", "TEXTS", "UNSTORABLE"]


def nested(levels: int) -> dict[str, Any]:
    """Return mappings in mappings, that many deep."""
    outermost: dict[str, Any] = {}
    inner = outermost
    for _ in range(levels):
        inner["a"] = {}
        inner = inner["a"]
    return outermost


UNSTORABLE: Final = {
    "NUL": "a\x00b",
    "half a surrogate pair": "a\ud800b",
}
"""What no database keeps as text."""

TEXTS: Final = {
    **UNSTORABLE,
    "empty": "",
    "SQL": "'; DROP TABLE ladder_deals; --",
    "placeholders": "%s %(x)s :name $1 ?1 ? {0} {{x}}",
    "quotes": "\"'\\`",
    "wildcards": "%_*",
    "terminal codes": "\x1b[31m\x1b]0;title\x07\r\n\t\x7f\x9b31m",
    "right to left": "\u202eabc\u2066",
    "mail header": "x\r\nBcc: all@example.com",
    "HTML": "</script><script>alert(1)</script><img src=x onerror=alert(1)>",
    "template": "{{ deal.__class__ }}{% include '/etc/passwd' %}",
    "formula": "=HYPERLINK(1)",
    "path": "../../etc/passwd",
    "four-byte characters": "😀" * 300,
    "long": "x" * 1_000_000,
    "long name": "é" * 512,
    "combining": "e\u0301" + "é",
    "blank": " \u00a0\u2003",
}
"""Texts by what is nasty about them."""

AMOUNTS: Final = {
    "NaN": "NaN",
    "signalling NaN": "sNaN1",
    "infinity": "-Infinity",
    "not a number": float("nan"),
    "infinite decimal": Decimal("Infinity"),
    "huge exponent": "1e999999",
    "huge decimal exponent": Decimal("1e999999"),
    "tiny exponent": "1e-999999",
    "beyond any exponent": "1e99999999999999999999",
    "too many digits": "9" * 1_000_000,
    "too many digits of an integer": 10**5000,
    "hexadecimal": "0x10",
    "minus zero": "-0",
    "negative": "-5",
    "boolean": True,
    "a list": ["1"],
}
"""What stands where an amount of money should."""

DATA: Final[dict[str, Any]] = {
    "too deep": nested(10_000),
    "deep enough": nested(60),
    "no mapping": ["line"],
    "text": "line",
    "keys that are no text": {1: 2},
    "a set": {"properties": {"x": {1, 2}}},
    "an object": {"properties": {"x": object()}},
    "bytes": {"properties": {"x": b"x"}},
    "an infinite number": {"properties": {"x": float("inf")}},
    "an integer without end": {"properties": {"x": 10**5000}},
    "an integer beyond 64 bits": {"properties": {"x": 2**80, "y": -(2**80)}},
    "numbers at the edge": {"properties": {"x": 1e308, "y": 5e-324, "z": -0.0, "e": 1e22}},
    "wide": {"properties": {f"k{n}": n for n in range(5_000)}},
    "long text": {"properties": {"x": "y" * 1_000_000}},
    "our own words": {"ladder": {"stage": "won"}, "properties": {"__proto__": 1, "$ref": 2}},
}
"""Event data by what is nasty about it."""

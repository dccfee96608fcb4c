"""Canonical JSON: what may be inside an event, and the one text that stands for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, NoReturn

from ..errors import InvalidEventError

__all__ = [
    "canonical",
    "canonical_text",
    "check_text",
    "is_storable",
    "json_encoder",
    "plain_int",
    "plain_text",
]

MAX_DEPTH = 64
"""How deep data may be nested; deeper is refused rather than half understood."""

MAX_DIGITS = 4_000
"""Digits of a whole number; Python itself reads and writes no more than 4,300."""

_LARGEST = 10**MAX_DIGITS


def json_encoder(sort_keys: bool = False, allow_nan: bool = True) -> Callable[[Any], str]:
    """Return what writes plain JSON values, in no circle, as compact text.

    ``JSONEncoder.encode`` makes its inner encoder anew for each text, which takes as long as a
    short one; this is made once.
    """
    encoder = json.JSONEncoder(
        sort_keys=sort_keys, separators=(",", ":"), ensure_ascii=False, allow_nan=allow_nan
    )
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:  # an interpreter without it
        return encoder.encode
    text = json.encoder.encode_basestring
    write = make(None, encoder.default, text, None, ":", ",", sort_keys, False, allow_nan)
    return lambda value: "".join(write(value, 0))


_encode = json_encoder(sort_keys=True, allow_nan=False)


def canonical(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return a deep copy of *value* made of plain JSON values only; decimals become text.

    Raises:
        InvalidEventError: something in it is not JSON, not finite, too long a number or nested
            too deeply, or two of its keys are the same text.
    """
    if type(value) is not dict and not isinstance(value, Mapping):
        raise InvalidEventError(f"data must be a mapping of names to values, not {value!r}")
    return _mapping(value, "data", MAX_DEPTH)


def canonical_text(value: Mapping[str, Any]) -> str:
    """Return the canonical JSON text of data that :func:`canonical` made."""
    return _encode(value)


def plain_text(text: str) -> str:
    """Return *text* as Python's own ``str``: a member of an enumeration is its value."""
    return text if type(text) is str else str.__str__(text)


def plain_int(number: int) -> int:
    """Return *number* as Python's own ``int``, whatever a subclass makes of ``int(...)``."""
    return number if type(number) is int else int.__pos__(number)


def check_text(text: str, what: str) -> str:
    """Return *text* if every store can keep it unharmed.

    Raises:
        InvalidEventError: it contains NUL or half of a surrogate pair.
    """
    if is_storable(text):
        return text
    if "\x00" in text:
        raise InvalidEventError(f"{what} contains a NUL character, which databases refuse")
    raise InvalidEventError(
        f"{what} contains half of a surrogate pair: it was decoded wrongly upstream"
    )


def is_storable(text: str) -> bool:
    """Whether every store can keep *text*; where it cannot, no store holds it either."""
    if "\x00" in text:
        return False
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return False
    return True


def _mapping(value: Mapping[Any, Any], path: str, depth: int) -> dict[str, Any]:
    plain = {_key(k, path): _value(v, path, k, depth) for k, v in value.items()}
    if len(plain) < len(value):
        raise InvalidEventError(f"{path} has two keys that are the same text: leave one out")
    return plain


def _key(key: Any, path: str) -> str:
    if type(key) is not str:
        if not isinstance(key, str):
            raise InvalidEventError(f"{path} has the key {key!r}: JSON keys are text")
        key = plain_text(key)
    return check_text(key, f"a key of {path}")


def _value(value: Any, path: str, name: Any, depth: int) -> Any:
    kind = type(value)
    if kind is str:
        return check_text(value, f"{path}.{name}")
    if kind is int:
        return value if -_LARGEST < value < _LARGEST else _refuse_integer(path, name)
    if kind is bool or value is None:
        return value
    # Asking an abstract class takes longer than all the rest.
    if kind is dict or isinstance(value, Mapping):
        return _mapping(value, _deeper(path, name, depth), depth - 1)
    if isinstance(value, list | tuple):
        path = _deeper(path, name, depth)
        return [_value(v, path, i, depth - 1) for i, v in enumerate(value)]
    if isinstance(value, float):
        value = value if kind is float else float.__pos__(value)
        if value - value == 0:
            return value
        raise InvalidEventError(f"{path}.{name} is {value!r}: JSON has finite numbers only")
    if isinstance(value, Decimal):
        if Decimal.is_finite(value):
            return Decimal.__str__(value)
        raise InvalidEventError(f"{path}.{name} is {value!r}: an amount must be finite")
    if isinstance(value, str):
        return check_text(plain_text(value), f"{path}.{name}")
    if isinstance(value, int):
        return _value(plain_int(value), path, name, depth)
    raise InvalidEventError(
        f"{path}.{name} is a {kind.__name__}, which is not JSON: "
        "send text, numbers, booleans, lists and mappings (a date as ISO 8601 text)"
    )


def _refuse_integer(path: str, name: Any) -> NoReturn:
    raise InvalidEventError(
        f"{path}.{name} is a whole number of more than {MAX_DIGITS:,} digits: send it as text"
    )


def _deeper(path: str, name: Any, depth: int) -> str:
    if depth <= 1:
        raise InvalidEventError(f"data is nested more than {MAX_DEPTH} levels deep at {path[:80]}…")
    return f"{path}.{name}"

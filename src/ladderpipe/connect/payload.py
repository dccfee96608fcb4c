"""What is in a payload, as anybody may write it.

Nothing here raises about one value: what is not what it should be is as if it were not there, since
an order with a strange line is an order all the same.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, NoReturn, TypeAlias

from ..errors import InstantError, InvalidEventError
from ..model.clock import instant
from ..model.money import amount, currency_code

__all__ = ["Payload"]

Payload: TypeAlias = Mapping[str, Any]

LONGEST_NAME: Final = 200
_NO_STORE_KEEPS = re.compile(r"\\u(?:0000|d[89a-f])", re.IGNORECASE)
_HARMFUL = re.compile("[\x00\ud800-\udfff]")


def loaded(body: bytes) -> Any:
    """Return a body's JSON: numbers with a point as decimals, text as every store can keep it.

    Raises:
        InvalidEventError: it is no JSON in UTF-8.
    """
    try:
        text = body.decode("utf-8-sig")
        found = json.loads(text, parse_float=Decimal, parse_constant=_refuse)
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise InvalidEventError(
            f"the body is no JSON in UTF-8 ({type(error).__name__}), so it tells nothing: "
            "look at what the sender wrote"
        ) from None
    return _keepable(found) if _NO_STORE_KEEPS.search(text) else found


def loaded_object(body: bytes) -> Payload:
    """Return a body's JSON object.

    Raises:
        InvalidEventError: it is none.
    """
    found = loaded(body)
    if isinstance(found, dict):
        return found
    raise InvalidEventError(
        f"the body is a JSON {type(found).__name__}, and this sender's are objects: "
        "look whether the webhook is of the kind that this connector reads"
    )


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _keepable(value: Any) -> Any:
    if isinstance(value, str):
        return _HARMFUL.sub("\ufffd", value)
    if isinstance(value, dict):
        return {_keepable(name): _keepable(it) for name, it in value.items()}
    if isinstance(value, list):
        return [_keepable(it) for it in value]
    return value


def part(value: Any, *names: str) -> dict[str, Any]:
    """Return the mapping at the end of a path of names, an empty one if there is none."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def parts(value: Any) -> list[dict[str, Any]]:
    """Return the mappings in a list."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def word(*values: Any) -> str | None:
    """Return the first that is text and not empty, or a whole number, as text."""
    for value in values:
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if isinstance(value, str) and (found := value.strip()):
            return found
    return None


def words(*values: Any) -> str | None:
    """Return first and last name, what was told of them, with a space between."""
    return " ".join(filter(None, map(word, values))) or None


def line(**told: Any) -> dict[str, Any]:
    """Return a line of a cart: the texts and numbers of it, as they were told."""
    return {name: it for name, value in told.items() if (it := _scalar(value)) not in (None, "")}


def _scalar(value: Any) -> Any:
    kind = type(value)  # JSON has no subclasses
    return value if kind is str or kind is Decimal else str(value) if kind is int else None


def price(value: Any) -> Decimal | None:
    """Return an amount, if it is one."""
    try:
        # As text, since equal amounts of other decimal places are one key of its cache.
        return amount(str(value) if isinstance(value, Decimal) else value, "")
    except InvalidEventError:
        return None


def currency(*values: Any) -> str | None:
    """Return the first that is a currency, in capital letters."""
    for value in values:
        if isinstance(value, str):
            with contextlib.suppress(InvalidEventError):
                return currency_code(value.upper())
    return None


def when(value: Any, otherwise: dt.datetime, zone: str = "") -> dt.datetime:
    """Return the instant that text tells, in *zone* if it names none; else *otherwise*."""
    if isinstance(value, str) and value:
        for told in (value, value + zone):
            with contextlib.suppress(InstantError):
                return instant(told)
    return otherwise


def name_of(*told: str | None) -> str:
    """Return an identity made of these parts, short enough for every store."""
    found = "/".join(one for one in told if one)
    return found if len(found) <= LONGEST_NAME else digest(found)


def digest(*content: Any) -> str:
    """Return what two deliveries of the same content agree in."""
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=9).hexdigest()


def filled(**told: Any) -> dict[str, Any]:
    """Return what is filled of this."""
    return {name: it for name, it in told.items() if it is not None and it not in ("", {})}


def contact(**told: Any) -> dict[str, Any]:
    """Return a contact of what is known; of a language tag, the language."""
    language = (word(told.pop("language", None)) or "").replace("_", "-").partition("-")[0]
    return filled(**{name: word(it) for name, it in told.items()}, language=language.lower())

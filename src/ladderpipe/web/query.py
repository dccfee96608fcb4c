"""What a request says: its query and its form, read strictly, so that nothing odd gets further."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qsl

import attrs

from .refusal import Refusal
from .words import Words

__all__ = ["Params", "form_of", "query_of"]

MAX_BODY: Final = 64 * 1024
MAX_FIELDS: Final = 2_000
LONGEST: Final = 20_000
"""Characters of one value; a note is the longest of them."""

_UNUSABLE: Final = re.compile("[\x00\ud800-\udfff]")
PROPERTY: Final = "property."
"""What a form calls a property by, before its name."""


@attrs.frozen
class Params:
    """Names with one value or several, as text; in a JSON body, with whatever stands there."""

    _values: Mapping[str, Sequence[Any]]
    _words: Words

    def text(self, name: str, default: str = "") -> str:
        """Return one value, without the space around it.

        Raises:
            Refusal: 400, it is no text, or holds what no text of ours holds.
        """
        found = self._values.get(name, ())
        return self._checked(name, found[-1]).strip() if found else default

    def needed(self, name: str) -> str:
        """Return a value that must be there.

        Raises:
            Refusal: 400, it is not.
        """
        found = self.text(name)
        if not found:
            raise self.refused(self._words.gettext("“%(name)s” is missing.", name=name))
        return found

    def choice(self, name: str, choices: Iterable[str], default: str = "") -> str:
        """Return one of several values.

        Raises:
            Refusal: 400, it is none of them.
        """
        found = self.text(name) or default
        known = list(choices)
        if found not in known and found != default:
            raise self.refused(
                self._words.gettext("“%(name)s” cannot be “%(value)s”.", name=name, value=found)
            )
        return found

    def number(self, name: str, default: int, most: int) -> int:
        """Return a whole number from 1 to *most*.

        Raises:
            Refusal: 400, it is none.
        """
        found = self.text(name)
        if not found:
            return default
        if not (found.isascii() and found.isdigit() and 1 <= int(found[:9]) <= most):
            raise self.refused(
                self._words.gettext("“%(name)s” cannot be “%(value)s”.", name=name, value=found)
            )
        return int(found)

    def several(self, name: str) -> list[str]:
        """Return every value of a name; in JSON, those of its list."""
        found = self._values.get(name, ())
        listed = [one for each in found for one in (each if isinstance(each, list) else [each])]
        return [self._checked(name, one) for one in listed]

    def properties(self) -> dict[str, Any]:
        """Return the properties that are to be set: fields ``property.NAME``, or a JSON object.

        Raises:
            Refusal: 400, they are no object.
        """
        told: Any = next(iter(self._values.get("properties", ())), {})
        if not isinstance(told, Mapping):
            raise self.refused(self._words.gettext("“%(name)s” is missing.", name="properties"))
        written = {
            name.removeprefix(PROPERTY): self.text(name)
            for name in self._values
            if name.startswith(PROPERTY)
        }
        return {**told, **{name: value for name, value in written.items() if value}}

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def refused(self, detail: str) -> Refusal:
        """Return the refusal of what a request says."""
        return Refusal(HTTPStatus.BAD_REQUEST, detail)

    def _checked(self, name: str, value: Any) -> str:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise self.refused(self._words.gettext("“%(name)s” is no text.", name=name))
        text = str(value)
        if len(text) > LONGEST or _UNUSABLE.search(text):
            raise self.refused(self._words.gettext("“%(name)s” is no text.", name=name))
        return text


def query_of(raw: bytes, words: Words) -> Params:
    """Return what stands behind the question mark.

    Raises:
        Refusal: 400, it cannot be read.
    """
    return Params(_pairs(raw, words), words)


def form_of(body: bytes, content_type: str, words: Words) -> Params:
    """Return what was posted: a form, or a JSON object.

    Raises:
        Refusal: 400, it cannot be read; 415, it is neither.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/json":
        return Params(_object(body, words), words)
    if kind == "application/x-www-form-urlencoded" or not body:
        return Params(_pairs(body, words), words)
    raise Refusal(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE, words.gettext("Post a form, or a JSON object.")
    )


def _pairs(raw: bytes, words: Words) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    try:
        text = raw.decode("ascii")
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError:
        raise Refusal(
            HTTPStatus.BAD_REQUEST, words.gettext("This address or form cannot be read.")
        ) from None
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


def _object(body: bytes, words: Words) -> dict[str, list[Any]]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Refusal(HTTPStatus.BAD_REQUEST, words.gettext("Post a form, or a JSON object."))
    return {name: [value] for name, value in found.items() if value is not None}

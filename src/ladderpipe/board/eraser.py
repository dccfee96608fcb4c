"""Taking a person out of what a deal holds, field by field.

What people write (company, properties, titles of lines, payloads, errors) loses the person's own
values where they stand as words of their own. What programs read (amounts, keys of lines, names of
properties, stages, instants, identities) is never touched, whatever it happens to look like.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from ..errors import InvalidEventError
from ..fold.deal_data import DealData
from ..model.event import BASELINE, DISCARDED, EDITED, RESERVED, Event
from ..model.money import amount, currency_code
from ..model.stage import TASK

__all__ = ["FORGOTTEN", "Eraser", "contacts_of"]

FORGOTTEN: Final = "[forgotten]"
"""What stands where personal data was."""

_WRITTEN_BY_PEOPLE: Final = frozenset(("contact", "title", "reason"))
"""At the top of an event's data: nobody can tell what is in them, so all of it goes."""

_READ_BY_PROGRAMS: Final = frozenset(("value", "currency", "owner"))
_READ_OF_A_LINE: Final = frozenset(
    ("sku", "variant_id", "key", "id", "quantity", "unit_price", "currency")
)
_READ_OF_A_TASK: Final = frozenset(("owner", "due_hours"))

_LEAST_DIGITS: Final = 4
"""A shorter number tells nobody from anybody, and a guard may want it to be a number."""

_LEAST_DIGITS_OF_A_NAME: Final = 6
_FIGURE: Final = re.compile(
    r"-?\d[\d.,]*(e[+-]?\d+)?|\d{4}-\d\d-\d\d([T ][\d:.,]+\s?(Z|[+-][\d:]+)?)?", re.IGNORECASE
)
"""A text that is an amount or an instant: it is one word, whatever stands between its digits."""

_RUNS_ON: Final = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]"
)
"""Letters of scripts that put no space between words."""


class Eraser:
    """Takes a person's values out of texts and JSON values.

    Args:
        values: texts and numbers of the person's contacts.
        properties: names of what is dropped from free data entirely.
    """

    def __init__(self, values: Iterable[Any], properties: frozenset[str]) -> None:
        texts = {" ".join(str(value).split()) for value in values}
        telling = sorted(filter(_tells_something, texts), key=lambda text: (-len(text), text))
        self._pattern = re.compile("|".join(map(_as_words, telling)) or r"(?!)", re.IGNORECASE)
        self._numbers = {text for text in telling if len(text) >= _LEAST_DIGITS}
        self._dropped = properties | {"contact"}

    def text(self, text: str) -> str:
        """Return *text* with every personal value replaced that stands as words of its own."""
        if _FIGURE.fullmatch(text):
            return FORGOTTEN if self._pattern.fullmatch(text) else text
        return self._pattern.sub(FORGOTTEN, text)

    def free(self, value: Any) -> Any:
        """Return a JSON value that people fill as they like, without what is personal."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.free(part) for part in value]
        if isinstance(value, Mapping):
            return {
                self._name(name): self.free(part)
                for name, part in value.items()
                if name not in self._dropped
            }
        if isinstance(value, int | float) and not isinstance(value, bool):
            return FORGOTTEN if str(value) in self._numbers else value
        return value

    def event_data(self, event: Event) -> dict[str, Any]:
        """Return an event's data without contact, title and reason, and without what names them."""
        if event.type == BASELINE:
            state = event.data["state"]
            erased = {**event.data, "state": {**state, "data": self.deal(state["data"])}}
            if "told" in event.data:
                told = event.data["told"]
                erased["told"] = [[by, [self.part(part) for part in parts]] for by, parts in told]
            return erased
        if event.type != DISCARDED:
            return self._told(event.type, event.data)
        note = event.data[DISCARDED]
        told = {name: part for name, part in event.data.items() if name != DISCARDED}
        return self._told(note["type"], told) | {DISCARDED: {**note, "reason": FORGOTTEN}}

    def _told(self, kind: str, data: Mapping[str, Any]) -> dict[str, Any]:
        is_own = kind.startswith(RESERVED)
        erased = {}
        for name, part in data.items():
            if name in _WRITTEN_BY_PEOPLE or (kind == EDITED and name == "note"):
                continue
            if name == "line":
                part = self._line(part)
            elif name == "cart":
                part = self._cart(part)
            elif name in _READ_BY_PROGRAMS:
                part = self._read(name, part)
            elif name in _FREE_OF_A_DEAL or not is_own:
                part = self.free(part)
            erased[name] = part
        return erased

    def _read(self, name: str, part: Any) -> Any:
        """Return what programs read, unless it is not what they could read under that name."""
        check = _READABLE.get(name)
        if part is None or check is None:
            return part
        try:
            check(part)
        except InvalidEventError:
            return self.free(part)
        return part

    def deal(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Return a deal's data, as :meth:`DealData.to_dict` writes it, without what is personal."""
        erased = {k: part for k, part in document.items() if k not in _WRITTEN_BY_PEOPLE}
        for name in _FREE_OF_A_DEAL & erased.keys():
            erased[name] = self.free(erased[name])
        if "cart" in erased:
            erased["cart"] = [self._line(line) for line in erased["cart"]]
        if "taken" in erased:
            lines = [self._line(line) for line in erased["taken"]["cart"]]
            erased["taken"] = {**erased["taken"], "cart": lines}
        if "unread" in erased:
            erased["unread"] = [self._unread(part) for part in erased["unread"]]
        return erased

    def _unread(self, part: Mapping[str, Any]) -> dict[str, Any]:
        told = part["told"]
        told = self._line(told) if part["part"] == "line" else self.free(told)
        return {**part, "told": told, "reason": self.text(part["reason"])}

    def data(self, data: DealData) -> None:
        """Take what is personal out of a deal's data."""
        erased = DealData.from_dict(self.deal(data.to_dict()))
        for name in DealData.__slots__:
            setattr(data, name, getattr(erased, name))

    def part(self, part: str) -> str:
        """Return the name of a part of a deal's data, as baselines note it."""
        slot, dot, name = part.partition(".")
        return f"{slot}{dot}{self._name(name)}"

    def payload(self, effect: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        """Return an effect's payload without what is personal; a task can still be listed."""
        kept = _READ_OF_A_TASK if effect == TASK else frozenset[str]()
        free: dict[str, Any] = self.free({k: v for k, v in payload.items() if k not in kept})
        return free | {name: payload[name] for name in kept & payload.keys()}

    def _cart(self, cart: Any) -> Any:
        if not isinstance(cart, Mapping) or not isinstance(cart.get("lines"), list):
            return self.free(cart)
        rest = {k: v for k, v in cart.items() if k not in ("lines", "currency")}
        kept = {k: cart[k] for k in ("currency",) if k in cart}
        return {**self.free(rest), **kept, "lines": [self._line(line) for line in cart["lines"]]}

    def _line(self, line: Any) -> Any:
        if not isinstance(line, Mapping):
            return self.free(line)
        free: dict[str, Any] = self.free(
            {k: v for k, v in line.items() if k not in _READ_OF_A_LINE}
        )
        return free | {name: self._read(name, line[name]) for name in _READ_OF_A_LINE & line.keys()}

    def _name(self, name: str) -> str:
        """Return the name of a property: programs look for it, unless it is an address or phone."""
        digits = sum(map(str.isdigit, name))
        return self.text(name) if "@" in name or digits >= _LEAST_DIGITS_OF_A_NAME else name


_FREE_OF_A_DEAL: Final = frozenset(("company", "source", "properties"))
_READABLE: Final[Mapping[str, Callable[[Any], object]]] = {
    "value": lambda part: amount(part, "value"),
    "quantity": lambda part: amount(part, "quantity"),
    "unit_price": lambda part: amount(part, "unit price"),
    "currency": currency_code,
}


def contacts_of(event: Event) -> Iterator[Any]:
    """Yield every text and number of the contacts that an event tells or carries."""
    if event.type == BASELINE:
        yield from leaves(event.data["state"]["data"].get("contact"))
    yield from leaves(event.data.get("contact"))


def leaves(value: Any) -> Iterator[Any]:
    """Yield the texts and numbers in a JSON value."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from leaves(part)
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        yield value


def _tells_something(text: str) -> bool:
    """Whether there is more in a text than punctuation."""
    return any(unicodedata.category(letter)[0] not in "PZC" for letter in text)


def _as_words(text: str) -> str:
    """Return the pattern of a text as words of its own, however it is written and spaced."""
    forms = {unicodedata.normalize(form, text) for form in ("NFC", "NFD")} | {text, text.upper()}
    return "|".join(map(_between_words, sorted(forms, key=len, reverse=True)))


def _between_words(text: str) -> str:
    before = after = ""
    if _is_of_words(text[0]):
        before = r"(?<!\w)(?<!\d[.,:])" if text[0].isdigit() else r"(?<!\w)"
    if _is_of_words(text[-1]):
        after = r"(?![\w\u0300-\u036f])" + (r"(?![.,:]\d)" if text[-1].isdigit() else "")
    return before + r"\s+".join(map(re.escape, text.split())) + after


def _is_of_words(letter: str) -> bool:
    return re.match(r"\w", letter) is not None and not _RUNS_ON.match(letter)

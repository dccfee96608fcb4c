"""Reading a map: TOML into a :class:`~ladderpipe.logs.log_map.LogMap`, each refusal with its place.

The maps we ship, in ``ladderpipe/maps``, show the usual parts. All of them::

    extends = "cart-events"       # a shipped map or a file: say only what is different

    [read]
    format = "csv"                # or jsonl, xes, cloudevents; by the file's suffix when left out
    delimiter = ";"               # by the suffix when left out: a comma, or a tab for .tsv
    quote = "'"                   # " when left out; "" when nothing is quoted
    encoding = "cp1252"           # utf-8 when left out
    columns = ["when", "what"]    # of a CSV file without a header line
    empty = ["NULL", "-"]         # texts that stand for nothing, as no text does
    decimal = ","                 # how |amount and |number read numbers
    thousands = "."               # a point, where decimal is a comma
    explode = "events"            # this list's items are the events; they see the row around them

    [time]
    format = "%d/%m/%Y %H:%M"     # iso when left out; epoch-s, epoch-ms, epoch-us; or strptime's
    zone = "Europe/Rome"          # of times that name none; without it such times are refused
    columns = { "Close Date" = "%m/%d/%Y" }  # formats of single columns

    [event]
    deal = "{customer}/{cart}"    # columns in braces, {a.b} in nested JSON; {{ is a brace
    type = "{action}"             # or the same for all: "order.confirmed"
    at = "{when}"
    id = "{uid}"                  # of a row; without it its content names it. Needs a source
    seq = "{n}"                   # instead of the line's number; order within one instant
    source = "shop"               # who numbers these

    [[events]]                    # what else a row means, if it has a time; its deal is the same
    type = "order.confirmed"
    at = "{paid_at}"

    [only]                        # the rows that count: a text, or some; true is any, false none
    channel = ["web", "app"]

    [types]                       # without it every row's type is the event's
    view = "ignore"
    saved = "cart.saved"
    "*" = "keep"                  # what is not named: keep its name, ignore it; else it is bad

    [types.add]
    event = "cart.item_added"
    data.line = { sku = "{id|text}", quantity = 1, unit_price = "{price|amount}" }

    [types.snapshot]
    event = "cart.updated"
    data.cart.lines = { each = "items", item = { sku = "{sku}", quantity = "{qty}" } }

    [data]                        # of every event; what is empty is left out
    contact = { email = "{email}" }

    [check]                       # bad unless the whole column is so, in ignored rows too
    customer = "[0-9]+"

A column comes as the log has it, or converted: ``|text``, ``|amount`` (exact, as text),
``|number``, ``|cents`` (an amount in hundredths), ``|money`` and ``|code`` (the amount and the
currency of "USD 1,000.00"), ``|upper``. ``{a ?? b}`` is the first column that is not empty. A value
may be ``{ sum = ["{net|amount}", "{tax|amount}"] }``, or depend on columns: ``{ when = { status =
["Won", "Lost"] }, then = "{status}", else = "{stage}" }``; true is any text there, false none.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final, cast

import attrs

from ..errors import DefinitionError, InvalidEventError
from ..ladder.plain import Part, nearest
from ..model.event import MAX_NAME
from ..model.money import amount
from .log_map import EPOCH_UNITS, IGNORED, CloudEvents, Kind, LogMap, TimeFormat, time_zone
from .placeholders import (
    NOTHING,
    Choice,
    Column,
    Constant,
    Each,
    First,
    Listing,
    Sum,
    Table,
    Template,
    Text,
)
from .readers import Layout

__all__ = [
    "READ_FIELDS",
    "TemplateReader",
    "conditions",
    "map_from_dict",
    "read_layout",
    "read_time",
]

KEPT: Final = "keep"
"""Where an event type is expected: the log's own name is the event's type."""

_SECTIONS: Final = (
    "extends",
    "read",
    "time",
    "event",
    "events",
    "only",
    "types",
    "data",
    "check",
)
READ_FIELDS: Final = (
    "format",
    "delimiter",
    "quote",
    "encoding",
    "columns",
    "empty",
    "decimal",
    "thousands",
    "explode",
)
_REFERENCE: Final = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


def map_from_dict(data: Mapping[str, Any]) -> LogMap | CloudEvents:
    """Return the map that plain data describes.

    Raises:
        DefinitionError: it is malformed; the message begins with the place.
    """
    top = Part("", data).fields(*_SECTIONS)
    read = top["read"].fields(*READ_FIELDS) if "read" in top else {}
    layout = read_layout(read)
    if layout.format == "cloudevents":
        others = [name for name in top if name != "read"]
        if others:
            raise top[others[0]].refusal("CloudEvents say themselves what they are: leave it out")
        return CloudEvents(layout)
    return TemplateReader(read).log_map(layout, top)


def read_layout(read: Mapping[str, Part]) -> Layout:
    """Return how a file is written down, out of the parts of ``[read]``."""
    given: dict[str, Any] = {}
    if "format" in read:
        given["format"] = _one_of(read["format"], ("csv", "jsonl", "xes", "cloudevents"))
    for name in ("delimiter", "quote"):
        if name in read:
            given[name] = _character(read[name], allow_none=name == "quote")
    if "encoding" in read:
        given["encoding"] = read["encoding"].text()
        try:
            codecs.lookup(given["encoding"])
        except LookupError:
            raise read["encoding"].refusal(
                f"no encoding is called {given['encoding']!r}; try utf-8 or cp1252"
            ) from None
    if "columns" in read:
        given["columns"] = tuple(part.text() for part in read["columns"].items())
    return Layout(**given)


def _one_of(part: Part, known: tuple[str, ...]) -> str:
    value = part.text()
    if value not in known:
        raise part.refusal(f"{value!r} is not known here{nearest(value, known)}")
    return value


def _character(part: Part, allow_none: bool = False) -> str | None:
    if allow_none and part.value == "":
        return None
    if not isinstance(part.value, str) or len(part.value) != 1 or part.value in "\r\n":
        raise part.refusal(f"{part.value!r} must be one character")
    return part.value


class TemplateReader:
    """Reads templates, of which it knows how numbers are written."""

    def __init__(self, read: Mapping[str, Part]) -> None:
        self._read = read
        self._decimal = _character(read["decimal"]) if "decimal" in read else "."
        usual = "." if self._decimal == "," else None
        self._thousands = _character(read["thousands"]) if "thousands" in read else usual
        if self._decimal == self._thousands:
            raise read["thousands"].refusal("it is the decimal sign too: one of them is wrong")
        self._conversions: dict[str, Callable[[Any, str], Any]] = {
            "text": _as_text,
            "amount": lambda value, name: str(self._number(value, name)),
            "number": lambda value, name: _as_number(self._number(value, name)),
            "cents": lambda value, name: str(self._number(value, name).scaleb(-2)),
            "upper": lambda value, name: _as_text(value, name).upper(),
            "money": lambda value, name: str(self._number(_without_code(value), name)),
            "code": _code,
        }

    def log_map(self, layout: Layout, top: Mapping[str, Part]) -> LogMap:
        """Return the whole map."""
        if "event" not in top:
            raise DefinitionError(
                '[event] is missing: say deal = "{...}", type = "{...}" and at = "{...}", with '
                "the log's columns in braces"
            )
        event = top["event"].fields(
            "deal", "type", "at", "id", "seq", "source", required=("deal", "type", "at")
        )
        if "id" in event and "source" not in event:
            raise event["id"].refusal(
                "an id of the log's own needs a source beside it that says who numbers these, "
                'for example source = "shop": the file may be called otherwise tomorrow'
            )
        found = LogMap(
            layout=layout,
            deal=self.text(event["deal"]),
            type=self.text(event["type"]),
            at=self.text(event["at"]),
            id=self.text(event["id"]) if "id" in event else None,
            seq=self.text(event["seq"]) if "seq" in event else None,
            source=_source(event["source"]) if "source" in event else None,
            time=read_time(top["time"]) if "time" in top else TimeFormat(),
            kinds={n: self.kind(p) for n, p in _mapping(top, "types").items()},
            data=self.table(top["data"]) if "data" in top else NOTHING,
            checks={name: _pattern(part) for name, part in _mapping(top, "check").items()},
            explode=self._read["explode"].text() if "explode" in self._read else None,
            empty=self.empty,
            only=conditions(top["only"]) if "only" in top else {},
        )
        further = top["events"].items() if "events" in top else []
        return attrs.evolve(found, further=tuple(self.further(part, found) for part in further))

    def further(self, part: Part, first: LogMap) -> LogMap:
        """Return the map of another event of the same row."""
        needed = ("type", "at") if first.id is None else ("type", "at", "id")
        fields = part.fields("deal", "type", "at", "id", "seq", required=needed)
        given: dict[str, Any] = {name: self.text(value) for name, value in fields.items()}
        return attrs.evolve(first, **given, is_further=True)

    @property
    def empty(self) -> frozenset[str]:
        """The texts that stand for nothing."""
        return frozenset(("", *(part.text() for part in _list(self._read, "empty"))))

    def kind(self, part: Part) -> Kind:
        """Return what rows of one foreign type become."""
        if isinstance(part.value, str):
            return Kind(_event_type(part))
        fields = part.fields("event", "data", required=("event",))
        data = self.table(fields["data"]) if "data" in fields else NOTHING
        return Kind(_event_type(fields["event"]), data)

    def table(self, part: Part) -> Template:
        """Return the template of a mapping."""
        return Table({name: self.template(value) for name, value in part.mapping().items()})

    def template(self, part: Part) -> Template:
        """Return the template of any value."""
        value = part.value
        if isinstance(value, str):
            return self.text(part)
        if isinstance(value, Mapping):
            if value.keys() == {"sum"} and isinstance(value["sum"], list):
                parts = part.fields("sum")["sum"].items()
                return Sum(tuple(self.template(item) for item in parts))
            if isinstance(value.get("when"), Mapping):
                return self.choice(part)
            if "each" not in value:
                return self.table(part)
            each = part.fields("each", "item", required=("item",))
            return Each(each["each"].text(), self.template(each["item"]))
        if isinstance(value, list):
            return Listing(tuple(self.template(item) for item in part.items()))
        if isinstance(value, bool | int | float):
            return Constant(value)
        raise part.refusal(f"{value!r} is no JSON value: write it as text, in quotes")

    def choice(self, part: Part) -> Template:
        """Return the template of a value that depends on columns."""
        fields = part.fields("when", "then", "else", required=("when", "then"))
        otherwise = self.template(fields["else"]) if "else" in fields else None
        return Choice(conditions(fields["when"]), self.template(fields["then"]), otherwise)

    def text(self, part: Part) -> Template:
        """Return the template of a text with columns in braces."""
        parts: list[str | Column | First] = []
        text = part.text()
        end = 0
        for match in _REFERENCE.finditer(text):
            parts.append(text[end : match.start()])
            end = match.end()
            found = match[0]
            if found in ("{{", "}}"):
                parts.append(found[0])
            elif found in ("{", "}"):
                raise part.refusal(
                    f"{text!r} has a brace without its partner: write {{column}}, or "
                    f"{found * 2} for a brace that is meant"
                )
            else:
                parts.append(self.reference(part, match[1]))
        parts = [piece for piece in (*parts, text[end:]) if piece != ""]
        if len(parts) == 1 and not isinstance(parts[0], str):
            return parts[0]
        if any(not isinstance(piece, str) for piece in parts):
            return Text(tuple(parts))
        return Constant("".join(cast("list[str]", parts)))

    def reference(self, part: Part, reference: str) -> Column | First:
        """Return what stands in braces: a column, or ``a ?? b``, the first that is not empty."""
        named = [self.column(part, name) for name in reference.split("??")]
        return named[0] if len(named) == 1 else First(tuple(named))

    def column(self, part: Part, reference: str) -> Column:
        """Return a reference to a column, ``name`` or ``name|conversion``."""
        name, bar, conversion = (
            reference.rpartition("|") if "|" in reference else (reference, "", "")
        )
        if not name.strip():
            raise part.refusal("an empty {}: write the column's name in it")
        if not bar:
            return Column(name.strip())
        if conversion.strip() not in self._conversions:
            raise part.refusal(
                f"{conversion.strip()!r} is no conversion{nearest(conversion, self._conversions)}"
            )
        return Column(name.strip(), self._conversions[conversion.strip()])

    def _number(self, value: Any, name: str) -> Decimal:
        if isinstance(value, str):
            value = self._plain_number(value.strip(), name)
        return amount(value, name)

    def _plain_number(self, text: str, name: str) -> str:
        """Return a number in the signs of JSON, refusing what the map's signs do not make.

        Taking "12.50" for 1,250, because the point stands for thousands, would be a guess.
        """
        if not self._thousands and not self._decimal:
            return text
        whole, sign, part = text.partition(self._decimal or ".")
        groups = whole.split(self._thousands) if self._thousands else [whole]
        first, others = groups[0].lstrip("+-"), groups[1:]
        grouped = len(first) <= 3 or not others
        if not grouped or not first.isdecimal() or any(len(g) != 3 for g in others):
            raise InvalidEventError(
                f"{name} is {text!r}, which is no number in the map's signs, "
                f"{self._decimal or '.'!r} before the fraction and "
                f"{self._thousands or 'nothing'!r} between thousands: see [read] of the map"
            )
        return "".join(groups) + ("." if sign else "") + part


def conditions(part: Part) -> dict[str, frozenset[str] | bool]:
    """Return what columns must be: one of some texts, filled (true) or empty (false)."""
    found: dict[str, frozenset[str] | bool] = {}
    for column, wanted in part.mapping().items():
        is_flag = isinstance(wanted.value, bool)
        found[column] = wanted.flag() if is_flag else frozenset(wanted.texts())
    if not found:
        raise part.refusal('it names no column: write { "Deal - Status" = "Won" }')
    return found


def _without_code(value: Any) -> Any:
    """Return an amount without the code of its currency before or after it."""
    return _CODE.sub("", value) if isinstance(value, str) else value


def _code(value: Any, name: str) -> str | None:
    """Return the code of a currency that stands beside an amount, ``None`` if none does."""
    found = _CODE.search(value) if isinstance(value, str) else None
    return None if found is None else found[0].strip()


_CODE: Final = re.compile(r"^\s*[A-Z]{3}(?=[\s\d.,-])\s*|(?<=[\d\s])\s*[A-Z]{3}\s*$")


def _as_text(value: Any, name: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise InvalidEventError(f"{name} is {value!r}, where text or a number was expected")
    return str(value)


def _as_number(value: Decimal) -> int | float:
    return int(value) if value == value.to_integral_value() else float(value)


def _event_type(part: Part) -> str | None:
    name = part.text()
    if len(name) > MAX_NAME or name.startswith("ladder."):
        raise part.refusal(
            f"{name!r} cannot be an event type: write one such as 'cart.item_added', "
            f"{IGNORED!r} or {KEPT!r}"
        )
    return None if name == KEPT else name


def _source(part: Part) -> str:
    source = part.text()
    if "{" in source:
        raise part.refusal(f"{source!r} must be the same for the whole log: no column can be in it")
    return source


def _mapping(top: Mapping[str, Part], name: str) -> dict[str, Part]:
    return top[name].mapping() if name in top else {}


def _list(fields: Mapping[str, Part], name: str) -> list[Part]:
    return fields[name].items() if name in fields else []


def _pattern(part: Part) -> re.Pattern[str]:
    try:
        return re.compile(part.text())
    except re.error as error:
        raise part.refusal(f"{part.value!r} is no regular expression ({error})") from None


def read_time(part: Part) -> TimeFormat:
    """Return how a file writes its times, out of ``[time]``."""
    fields = part.fields("format", "zone", "columns")
    columns = fields["columns"].mapping() if "columns" in fields else {}
    usual = _usual_time(fields)
    own = {}
    for name, each in columns.items():
        pattern = each.text()
        if usual.zone is None and pattern != "iso" and pattern not in EPOCH_UNITS:
            _check_pattern(each, pattern)
        own[name] = pattern
    return attrs.evolve(usual, columns=own)


def _usual_time(fields: Mapping[str, Part]) -> TimeFormat:
    """Return how times are written unless their column is written otherwise."""
    pattern = fields["format"].text() if "format" in fields else "iso"
    if "zone" in fields:
        if pattern in EPOCH_UNITS:
            raise fields["zone"].refusal("seconds since 1970 are the same in every zone: leave it")
        try:
            return TimeFormat(pattern, time_zone(fields["zone"].text()))
        except ValueError as error:
            raise fields["zone"].refusal(str(error)) from None
    if pattern != "iso" and pattern not in EPOCH_UNITS:
        _check_pattern(fields["format"], pattern)
    return TimeFormat(pattern)


def _check_pattern(part: Part, pattern: str) -> None:
    if "%" not in pattern:
        known = ("iso", *EPOCH_UNITS)
        raise part.refusal(
            f"{pattern!r} is no time format{nearest(pattern, known)}, or a pattern "
            "of strptime such as '%d/%m/%Y %H:%M'"
        )
    if "%z" not in pattern and "%s" not in pattern:
        raise part.refusal(
            f"{pattern!r} has no %z, so its times name no instant: say beside it which zone they "
            'are in, for example zone = "Europe/Rome"'
        )

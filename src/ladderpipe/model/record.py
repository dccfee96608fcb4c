"""What records have in common as JSON: how one in another is read, and what Pydantic sees.

Pydantic asks a class for its schema, which is a dictionary, so nothing here imports Pydantic. See
https://docs.pydantic.dev/latest/concepts/types/#customizing-validation-with-__get_pydantic_core_schema__.
"""

from __future__ import annotations

import datetime as dt
import enum
import inspect
import re
import typing
from collections.abc import Callable, Mapping
from decimal import Decimal
from types import UnionType
from typing import Any, TypeVar

import attrs

from .canonical import canonical
from .clock import instant
from .money import AMOUNT, read_amount

__all__ = ["json_record", "plain_validator", "within"]

T = TypeVar("T")
Schema = dict[str, Any]


def within(kind: type[T], told: Any, *stages: Any) -> T:
    """Return the record that another one's JSON holds; one that has been read is itself.

    Args:
        stages: those of its ladder, where it takes them.
    """
    if isinstance(told, kind):
        return told
    found: T = kind.from_dict(told, *stages)  # type: ignore[attr-defined]
    return found


def json_record(
    own: Callable[[], Mapping[str, Any]] = dict,
    *,
    optional: tuple[str, ...] = (),
    sparse: bool = False,
) -> Callable[[type[T]], type[T]]:
    """Let Pydantic have a class of records as a field: by its annotations, docstring and own JSON.

    What :meth:`to_dict` writes is what OpenAPI shows, and what :meth:`from_dict` reads is what is
    taken. A class without ``from_dict`` is told and never read.

    Args:
        own: the types, or schemas, of the keys that are no fields of the class, or are written in
            another way.
        optional: keys that may be missing where a record is read, beside fields with a default.
        sparse: whether these may be missing where a record is written, too.
    """

    def core_schema(cls: type[T], source: Any, handler: Any) -> Schema:
        fields = {
            name: {
                "type": "typed-dict-field",
                "schema": _schema(kind, handler),
                "required": not (has_default or name in optional),
            }
            for name, kind, has_default in _keys(cls, own())
        }
        shape: Schema = {"type": "typed-dict", "fields": fields, "extra_behavior": "ignore"}
        return _whole(cls, shape)

    def json_schema(cls: type[T], core_schema: Schema, handler: Any) -> Schema:
        told: Schema = handler(core_schema)
        schema: Schema = handler.resolve_ref_schema(told)
        summary, described = _docstring(cls)
        schema.update(title=cls.__name__, description=summary)
        for name, text in described.items():
            if name in schema["properties"]:
                schema["properties"][name]["description"] = text
        if handler.mode == "serialization" and not sparse:
            schema["required"] = list(schema["properties"])
        return told

    def mark(cls: type[T]) -> type[T]:
        setattr(cls, "__get_pydantic_core_schema__", classmethod(core_schema))  # noqa: B010
        setattr(cls, "__get_pydantic_json_schema__", classmethod(json_schema))  # noqa: B010
        return cls

    return mark


def plain_validator(read: Callable[[Any], object], shape: Schema) -> Schema:
    """Return a schema whose values *read* checks, and which looks like *shape* in JSON."""
    function = {"type": "no-info", "function": lambda value, _: read(value)}
    return {"type": "function-wrap", "function": function, "schema": shape}


def _whole(cls: type[Any], shape: Schema) -> Schema:
    """Return the schema of a record: itself, or its JSON; in Python not when strict."""

    def read(value: Any, checked: Callable[[Any], Any]) -> Any:
        if isinstance(value, cls):
            return value
        if not hasattr(cls, "from_dict"):
            raise ValueError(f"{cls.__name__} is told by a board and never read: give the record")
        return cls.from_dict(checked(value))

    function = {"type": "no-info", "function": read}
    lax = {"type": "function-wrap", "function": function, "schema": shape}
    instance = {"type": "is-instance", "cls": cls}
    return {
        "type": "lax-or-strict",
        "lax_schema": lax,
        "strict_schema": {"type": "json-or-python", "json_schema": lax, "python_schema": instance},
        "serialization": {"type": "function-plain", "function": lambda value: value.to_dict()},
        "ref": f"{cls.__module__}.{cls.__qualname__}:{id(cls)}",
    }


def _keys(cls: type[Any], own: Mapping[str, Any]) -> list[tuple[str, Any, bool]]:
    """Return the keys of a record's JSON, each with its type and whether it may be missing."""
    found: dict[str, tuple[Any, bool]] = {}
    hints = typing.get_type_hints(cls)
    if attrs.has(cls):
        for field in attrs.fields(cls):
            found[field.alias] = hints[field.name], field.default is not attrs.NOTHING
    else:
        found = {name: (hints[name], False) for name in getattr(cls, "_fields", ())}
    for name, kind in own.items():
        found[name] = kind, found.get(name, (None, False))[1]
    return [(name, kind, missing) for name, (kind, missing) in found.items()]


def _schema(kind: Any, handler: Any) -> Schema:
    """Return the schema of a field, as strict about JSON's types as what is written is."""
    if isinstance(kind, dict):
        return kind
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, UnionType):
        (told,) = (each for each in arguments if each is not type(None))
        return {"type": "nullable", "schema": _schema(told, handler)}
    if origin is tuple:
        return {"type": "list", "items_schema": _schema(arguments[0], handler)}
    if origin is Mapping:
        keys = {"type": "dict", "keys_schema": {"type": "str"}}
        return plain_validator(canonical, keys)
    if kind is dt.datetime:
        return plain_validator(instant, {"type": "datetime"})
    if kind is Decimal:
        # Or pages that show OpenAPI make up amounts of eighty digits.
        shown = {"pydantic_js_extra": {"examples": ["12.5"]}}
        told = {"type": "str", "pattern": AMOUNT, "metadata": shown}
        return plain_validator(read_amount, told)
    if kind in (str, int, float, bool):
        return {"type": kind.__name__, "strict": True}
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        # Pydantic's own, of older versions, takes no text when strict, not even JSON's.
        return plain_validator(kind, handler.generate_schema(kind))
    found: Schema = {"type": "any"} if kind is Any else handler.generate_schema(kind)
    return found


def _docstring(cls: type[Any]) -> tuple[str, dict[str, str]]:
    """Return what a class says of itself, and of attributes; Python may have left it out."""
    text = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", inspect.getdoc(cls) or "").replace("``", "`")
    summary, _, sections = text.partition("\n\n")
    listed = re.search(r"^(?:Attributes|Args):\n((?:    .+\n?)+)", sections, re.MULTILINE)
    entries = re.split(r"^    (\w+): ", listed[1], flags=re.MULTILINE) if listed else [""]
    described = zip(entries[1::2], entries[2::2], strict=True)
    return " ".join(summary.split()), {name: " ".join(told.split()) for name, told in described}

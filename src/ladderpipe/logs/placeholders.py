"""Templates: values of an event in which the columns of a log's row are filled in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Final, Protocol

import attrs

from ..errors import InvalidEventError
from ..model.money import amount, total

__all__ = [
    "NOTHING",
    "Choice",
    "Column",
    "Constant",
    "Each",
    "First",
    "Listing",
    "Scope",
    "Sum",
    "Table",
    "Template",
    "Text",
    "chosen",
    "columns_of",
    "holds",
    "items_of",
    "shown",
]


class Scope:
    """What a template may refer to: an item of a list, then the row it stands in."""

    __slots__ = ("_empty", "_levels")

    def __init__(self, levels: tuple[Mapping[str, Any], ...], empty: frozenset[str]) -> None:
        self._levels = levels
        self._empty = empty

    def names(self) -> Iterator[str]:
        """Yield the columns there are."""
        for level in self._levels:
            yield from level

    def within(self, item: Mapping[str, Any]) -> Scope:
        """Return the scope of an item of a list."""
        return Scope((item, *self._levels), self._empty)

    def find(self, name: str) -> Any:
        """Return a column's value, ``None`` where it is empty or missing.

        In nested JSON ``a.b`` is ``b`` inside ``a``, unless something is called ``a.b``.
        """
        for level in self._levels:
            value = level[name] if name in level else _walk(level, name)
            if value is not None or name in level:
                return None if isinstance(value, str) and value.strip() in self._empty else value
        return None


def _walk(value: Any, name: str) -> Any:
    if "." not in name:
        return None
    for step in name.split("."):
        if isinstance(value, Mapping):
            value = value.get(step)
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


class Template(Protocol):
    """A value of an event, in which columns still have to be filled in."""

    @property
    def columns(self) -> frozenset[str]:
        """The columns it refers to."""
        ...

    def fill(self, scope: Scope) -> Any:
        """Return the value, ``None`` when everything it refers to is empty.

        Raises:
            InvalidEventError: a column does not hold what it should.
        """


@attrs.frozen
class Constant:
    """The same in every event."""

    value: Any
    columns: ClassVar[frozenset[str]] = frozenset()

    def fill(self, scope: Scope) -> Any:
        """Return the value."""
        return self.value


NOTHING: Final = Constant({})
"""No data at all."""


@attrs.frozen
class Column:
    """``{name}`` alone: the column's value as the log has it, or converted."""

    name: str
    convert: Callable[[Any, str], Any] | None = None
    columns: frozenset[str] = attrs.field(init=False)

    @columns.default
    def _find_columns(self) -> frozenset[str]:
        return frozenset((self.name,))

    def fill(self, scope: Scope) -> Any:
        """Return the column's value."""
        value = scope.find(self.name)
        if value is None or self.convert is None:
            return value
        return self.convert(value, self.name)


@attrs.frozen
class Text:
    """Text with columns in it, such as ``{user}/{cart}``."""

    parts: tuple[str | Column | First, ...]

    columns: frozenset[str] = attrs.field(init=False)

    @columns.default
    def _find_columns(self) -> frozenset[str]:
        return columns_of(part for part in self.parts if not isinstance(part, str))

    def fill(self, scope: Scope) -> str | None:
        """Return the text, with nothing where a column is empty."""
        found = [part if isinstance(part, str) else part.fill(scope) for part in self.parts]
        if all(isinstance(p, str) or v is None for p, v in zip(self.parts, found, strict=True)):
            return None
        return "".join("" if value is None else str(value) for value in found)


@attrs.frozen
class First:
    """``{a ?? b}``: the first of several columns that is not empty."""

    parts: tuple[Template, ...]
    columns: frozenset[str] = attrs.field(init=False)

    @columns.default
    def _find_columns(self) -> frozenset[str]:
        return columns_of(self.parts)

    def fill(self, scope: Scope) -> Any:
        """Return the first value."""
        return self.chosen(scope).fill(scope)

    def chosen(self, scope: Scope) -> Template:
        """Return the part whose value it is; the last where all are empty."""
        return next((p for p in self.parts if p.fill(scope) is not None), self.parts[-1])


@attrs.frozen
class Sum:
    """``{sum = [...]}``: amounts added up, exact, as text; what is empty adds nothing."""

    parts: tuple[Template, ...]
    columns: frozenset[str] = attrs.field(init=False)

    @columns.default
    def _find_columns(self) -> frozenset[str]:
        return columns_of(self.parts)

    def fill(self, scope: Scope) -> str | None:
        """Return the sum, ``None`` when everything it refers to is empty."""
        found = [value for part in self.parts if (value := part.fill(scope)) is not None]
        return str(total(amount(value, "sum") for value in found)) if found else None


@attrs.frozen
class Choice:
    """``{when = {...}, then = ..., else = ...}``: what a value is depends on columns.

    Attributes:
        conditions: by column, the texts of which it must be one; true for any, false for none.
    """

    conditions: Mapping[str, frozenset[str] | bool]
    then: Template
    otherwise: Template | None
    columns: frozenset[str] = attrs.field(init=False)

    @columns.default
    def _find_columns(self) -> frozenset[str]:
        ways = [part for part in (self.then, self.otherwise) if part is not None]
        return columns_of(ways) | set(self.conditions)

    def fill(self, scope: Scope) -> Any:
        """Return the value on whose side the columns are; ``None`` where that has none."""
        way = self.chosen(scope)
        return None if way is None else way.fill(scope)

    def chosen(self, scope: Scope) -> Template | None:
        """Return the template on whose side the columns are."""
        return self.then if holds(self.conditions, scope) else self.otherwise


def holds(conditions: Mapping[str, frozenset[str] | bool], scope: Scope) -> bool:
    """Return whether every column is what it must be."""
    for column, wanted in conditions.items():
        value = scope.find(column)
        if isinstance(wanted, bool):
            if (value is not None) != wanted:
                return False
        elif _as_written(value) not in wanted:
            return False
    return True


def _as_written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value).strip()


def chosen(template: Template, scope: Scope) -> Template | None:
    """Return the column, or the text, that a template's value comes from."""
    while isinstance(template, First | Choice):
        way = template.chosen(scope)
        if way is None:
            return None
        template = way
    return template


@attrs.frozen
class Table:
    """A mapping; what is empty is left out, and so is a table whose columns are all empty."""

    parts: Mapping[str, Template]
    columns: frozenset[str] = attrs.field(init=False)

    @columns.default
    def _find_columns(self) -> frozenset[str]:
        return columns_of(self.parts.values())

    def fill(self, scope: Scope) -> dict[str, Any] | None:
        """Return the mapping."""
        given = {}
        is_filled = not self.columns
        for name, part in self.parts.items():
            value = part.fill(scope)
            if value is not None:
                given[name] = value
                is_filled = is_filled or bool(part.columns)
        return given if is_filled else None


@attrs.frozen
class Listing:
    """A list written out in the map."""

    parts: tuple[Template, ...]

    columns: frozenset[str] = attrs.field(init=False)

    @columns.default
    def _find_columns(self) -> frozenset[str]:
        return columns_of(self.parts)

    def fill(self, scope: Scope) -> list[Any] | None:
        """Return the list, without what is empty."""
        filled = [value for part in self.parts if (value := part.fill(scope)) is not None]
        return filled if filled or not self.columns else None


@attrs.frozen
class Each:
    """``{each = "items", item = …}``: a list with one entry for every item of a list in the log."""

    path: str
    item: Template
    columns: frozenset[str] = attrs.field(init=False)

    @columns.default
    def _find_columns(self) -> frozenset[str]:
        return frozenset((self.path,))

    def fill(self, scope: Scope) -> list[Any] | None:
        """Return the list, without the items that came out empty."""
        items = scope.find(self.path)
        if items is None:
            return None
        found = [self.item.fill(scope.within(item)) for item in items_of(items, self.path)]
        return [value for value in found if value is not None]


def columns_of(parts: Any) -> frozenset[str]:
    """Return the columns that templates refer to."""
    return frozenset().union(*(part.columns for part in parts))


def items_of(value: Any, path: str) -> list[Mapping[str, Any]]:
    """Return the items of a list of objects.

    Raises:
        InvalidEventError: it is none.
    """
    if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
        raise InvalidEventError(f"{path} is {shown(value)}, not a list of objects")
    return value


def shown(value: Any) -> str:
    """Return a value as a message quotes it."""
    if value is None:
        return "empty"
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:79]}…"

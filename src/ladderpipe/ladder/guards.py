"""Guards: pure predicates on (deal, event) that combine with ``&``, ``|`` and ``~``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import attrs

from ..errors import DefinitionError, InvalidEventError
from ..model.canonical import canonical, plain_text
from ..model.money import amount, currency_code
from ..public import publish

if TYPE_CHECKING:
    from ..model.deal import Deal
    from ..model.event import Event

__all__ = [
    "Guard",
    "GuardFunction",
    "cart_has_items",
    "cart_is_empty",
    "guard",
    "property_equals",
    "property_is_set",
    "value_at_least",
    "value_at_most",
]

GuardFunction: TypeAlias = "Callable[[Deal, Event | None], bool]"


class Facts(Protocol):
    """What a guard may read: a deal, or the fold's draft of one."""

    @property
    def cart(self) -> Any: ...
    @property
    def value(self) -> Decimal | None: ...
    @property
    def currency(self) -> str | None: ...
    @property
    def properties(self) -> Mapping[str, Any]: ...
    def as_deal(self) -> Deal: ...


class Guard:
    """A condition on a rule. Combine guards with ``&`` (and), ``|`` (or) and ``~`` (not)."""

    __slots__ = ()

    def holds(self, deal: Facts, event: Event | None) -> bool:
        """Return whether the guard lets the move through; *event* is ``None`` for a timer."""
        raise NotImplementedError

    def definition(self) -> Any:
        """Return the guard as plain data, as it stands in a definition file."""
        raise NotImplementedError

    def __and__(self, other: Guard | GuardFunction) -> Guard:
        return AllOf((self, guard(other)))

    def __rand__(self, other: GuardFunction) -> Guard:
        return AllOf((guard(other), self))

    def __or__(self, other: Guard | GuardFunction) -> Guard:
        return AnyOf((self, guard(other)))

    def __ror__(self, other: GuardFunction) -> Guard:
        return AnyOf((guard(other), self))

    def __invert__(self) -> Guard:
        return Not(self)


@attrs.frozen
class AllOf(Guard):
    """True when every part is."""

    parts: tuple[Guard, ...]

    def holds(self, deal: Facts, event: Event | None) -> bool:
        return all(part.holds(deal, event) for part in self.parts)

    def definition(self) -> Any:
        return {"all": [part.definition() for part in self.parts]}

    def __str__(self) -> str:
        return " and ".join(_bracketed(part) for part in self.parts)


@attrs.frozen
class AnyOf(Guard):
    """True when at least one part is."""

    parts: tuple[Guard, ...]

    def holds(self, deal: Facts, event: Event | None) -> bool:
        return any(part.holds(deal, event) for part in self.parts)

    def definition(self) -> Any:
        return {"any": [part.definition() for part in self.parts]}

    def __str__(self) -> str:
        return " or ".join(_bracketed(part) for part in self.parts)


@attrs.frozen
class Not(Guard):
    """True when the inner guard is not."""

    inner: Guard

    def holds(self, deal: Facts, event: Event | None) -> bool:
        return not self.inner.holds(deal, event)

    def definition(self) -> Any:
        return {"not": self.inner.definition()}

    def __str__(self) -> str:
        return f"not {_bracketed(self.inner)}"


@attrs.frozen
class CartHasItems(Guard):
    """True while at least one line is in the cart."""

    def holds(self, deal: Facts, event: Event | None) -> bool:
        return bool(deal.cart)

    def definition(self) -> Any:
        return "cart_has_items"

    def __str__(self) -> str:
        return "the cart has items"


@attrs.frozen
class CartIsEmpty(Guard):
    """True while no line is in the cart."""

    def holds(self, deal: Facts, event: Event | None) -> bool:
        return not deal.cart

    def definition(self) -> Any:
        return "cart_is_empty"

    def __str__(self) -> str:
        return "the cart is empty"


@attrs.frozen
class ValueAtLeast(Guard):
    """True when the deal's value is known and reaches an amount, in the currency if named."""

    least: Decimal
    currency: str | None = None

    def holds(self, deal: Facts, event: Event | None) -> bool:
        value = _value_in(deal, self.currency)
        return value is not None and value >= self.least

    def definition(self) -> Any:
        return {"value_at_least": _amount_written(self.least, self.currency)}

    def __str__(self) -> str:
        return f"the value is at least {self.least} {self.currency or ''}".rstrip()


@attrs.frozen
class ValueAtMost(Guard):
    """True when the deal's value is known and exceeds no amount, in the currency if named."""

    most: Decimal
    currency: str | None = None

    def holds(self, deal: Facts, event: Event | None) -> bool:
        value = _value_in(deal, self.currency)
        return value is not None and value <= self.most

    def definition(self) -> Any:
        return {"value_at_most": _amount_written(self.most, self.currency)}

    def __str__(self) -> str:
        return f"the value is at most {self.most} {self.currency or ''}".rstrip()


def _value_in(deal: Facts, currency: str | None) -> Decimal | None:
    """Return what is to be compared; of another currency it is as unknown as one never told."""
    return deal.value if currency is None or deal.currency == currency else None


def _amount_written(bound: Decimal, currency: str | None) -> dict[str, str]:
    return {"amount": str(bound), **({} if currency is None else {"currency": currency})}


@attrs.frozen
class PropertyEquals(Guard):
    """True when a property has exactly this value."""

    name: str
    expected: Any = attrs.field(hash=False)

    def holds(self, deal: Facts, event: Event | None) -> bool:
        found = deal.properties.get(self.name)
        return type(found) is type(self.expected) and bool(found == self.expected)

    def definition(self) -> Any:
        return {"property_equals": {"name": self.name, "value": self.expected}}

    def __str__(self) -> str:
        return f"{self.name} is {self.expected!r}"


@attrs.frozen
class PropertyIsSet(Guard):
    """True when a property is there and neither ``None`` nor empty text."""

    name: str

    def holds(self, deal: Facts, event: Event | None) -> bool:
        return is_filled(deal.properties.get(self.name))

    def definition(self) -> Any:
        return {"property_is_set": self.name}

    def __str__(self) -> str:
        return f"{self.name} is set"


@attrs.frozen
class FunctionGuard(Guard):
    """A function of the user's own, called with a frozen deal and the event."""

    function: GuardFunction

    def holds(self, deal: Facts, event: Event | None) -> bool:
        return bool(self.function(deal.as_deal(), event))

    def definition(self) -> Any:
        from .import_path import import_path

        return {"function": import_path(self.function, "guard")}

    def __str__(self) -> str:
        name = getattr(self.function, "__qualname__", repr(self.function))
        return str(name).rpartition("<locals>.")[2]


def guard(condition: Guard | GuardFunction) -> Guard:
    """Return *condition* as a guard; a function takes ``(deal, event)`` and returns a bool.

    Raises:
        DefinitionError: it cannot be called, is asynchronous or does not take two arguments.
    """
    if isinstance(condition, Guard):
        return condition
    if not callable(condition):
        raise DefinitionError(f"when={condition!r} is no guard: give a function of (deal, event)")
    if inspect.iscoroutinefunction(condition):
        raise DefinitionError(
            f"guard {condition.__name__} is asynchronous: a guard is a pure function of "
            "(deal, event) and may not wait for anything; send what it asks for as an event"
        )
    try:
        inspect.signature(condition).bind(None, None)
    except TypeError:
        raise DefinitionError(
            f"guard {getattr(condition, '__name__', condition)!r} must take two arguments: "
            "the deal, and the event (None when a timer asks)"
        ) from None
    except ValueError:
        pass  # some built-in callables have no signature to look at
    return FunctionGuard(condition)


def value_at_least(least: Decimal | int | str, currency: str | None = None) -> Guard:
    """Return a guard that is true from a value of *least* on, in *currency* if it is given.

    It is false of a deal whose value is not known.

    Raises:
        DefinitionError: *least* is no amount, or *currency* no ISO 4217 code.
    """
    return ValueAtLeast(*_bound(least, currency, "value_at_least"))


def value_at_most(most: Decimal | int | str, currency: str | None = None) -> Guard:
    """Return a guard that is true up to a value of *most*, in *currency* if it is given.

    It is false of a deal whose value is not known; ``~value_at_least(…)`` is true of it.

    Raises:
        DefinitionError: *most* is no amount, or *currency* no ISO 4217 code.
    """
    return ValueAtMost(*_bound(most, currency, "value_at_most"))


def _bound(
    bound: Decimal | int | str, currency: str | None, guard: str
) -> tuple[Decimal, str | None]:
    try:
        return amount(bound, guard), None if currency is None else currency_code(currency)
    except InvalidEventError as error:
        raise DefinitionError(str(error)) from None


def property_equals(name: str, value: Any) -> Guard:
    """Return a guard that is true while the property *name* equals *value* (a JSON value).

    Raises:
        DefinitionError: the name is empty or the value is not JSON.
    """
    try:
        return PropertyEquals(_property(name), canonical({"value": value})["value"])
    except InvalidEventError as error:
        raise DefinitionError(f"property_equals({name!r}): {error}") from None


def property_is_set(name: str) -> Guard:
    """Return a guard that is true while the property *name* is neither missing nor empty.

    Raises:
        DefinitionError: the name is empty.
    """
    return PropertyIsSet(_property(name))


cart_has_items: Guard = CartHasItems()
cart_is_empty: Guard = CartIsEmpty()


def is_filled(value: Any) -> bool:
    """Whether a required property counts as filled: neither missing, nor empty, nor white space."""
    if isinstance(value, str):
        return bool(value.strip())
    return value is not None and value not in ([], {})


def _property(name: str) -> str:
    if not isinstance(name, str) or not name:
        raise DefinitionError(f"a property needs a name, not {name!r}")
    return plain_text(name)


def _bracketed(part: Guard) -> str:
    return f"({part})" if isinstance(part, AllOf | AnyOf) else str(part)


publish("ladderpipe.guards", *(globals()[name] for name in __all__ if name != "GuardFunction"))

"""The cart while it is being folded: its lines as shops tell them, by what each line is of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final, NamedTuple, TypeAlias

from ..errors import InvalidEventError
from ..model.deal import Cart, CartLine
from ..model.money import amount, check_total, currency_code, may_be_too_much, total
from ..public import publish

__all__ = ["LINE_KEYS", "CartDraft", "LineTold", "read_line"]

LINE_KEYS: Final = ("sku", "variant_id", "key", "id", "title")
"""What may say what a line is of; the first that is filled does."""

Slot: TypeAlias = "str | tuple[str, int]"
"""Where a line stands: its key, and for further lines of that key a number beside it."""


class LineTold(NamedTuple):
    """A line as an event told it; ``None`` for what it did not tell."""

    key: str
    sku: str | None
    quantity: Decimal | None
    title: str | None
    unit_price: Decimal | None
    currency: str | None


def read_line(line: Any) -> LineTold:
    """Return what a cart line tells.

    Raises:
        InvalidEventError: it cannot be read.
    """
    if not isinstance(line, Mapping):
        raise InvalidEventError(
            f'{line!r} is no cart line: send {{"sku": ..., "quantity": ..., "unit_price": ...}}'
        )
    key = sku = None
    for name in LINE_KEYS:
        text = _text(line.get(name))
        if text is not None:
            key, sku = f"{name}:{text}", text if name == "sku" else None
            break
    if key is None:
        raise InvalidEventError(f"nothing says what it is of: send one of {', '.join(LINE_KEYS)}")
    quantity, price, currency = line.get("quantity"), line.get("unit_price"), line.get("currency")
    if quantity is not None:
        quantity = amount(quantity, "its quantity")
        if quantity < 0:
            raise InvalidEventError("its quantity is less than nothing: send cart.item_removed")
    return LineTold(
        key,
        sku,
        quantity,
        _text(line.get("title")),
        amount(price, "its unit price") if price not in (None, "") else None,
        currency_code(currency) if currency not in (None, "") else None,
    )


def _text(value: Any) -> str | None:
    """Return text, or a number as its text; ``None`` for what says nothing."""
    if isinstance(value, str):
        return value if value and not value.isspace() else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


class CartDraft(dict[Slot, CartLine]):
    """Lines in the order in which they were first told.

    Attributes:
        currency: of the unit prices; ``None`` while nobody has told it.
        is_told: whether anything was ever told of the cart.
    """

    __slots__ = ("_beside", "currency", "is_told")

    def __init__(self, currency: str | None = None, is_told: bool = False) -> None:
        super().__init__()
        self.currency = currency
        self.is_told = is_told
        # Of keys that have several lines: their slots, the one told last at the end.
        self._beside: dict[str, list[Slot]] = {}

    def put(
        self, sku: str, quantity: Decimal, title: str | None, unit_price: Decimal | None
    ) -> None:
        """Set the line of a SKU; what is not told (title, price) stays as last known.

        Raises:
            InvalidEventError: it comes to more than reports can add up.
        """
        key = f"sku:{sku}"
        for slot in self._slots(key)[:-1]:
            self._remove(key, slot)
        self._set(self._slot(key), LineTold(key, sku, None, title, unit_price, None), quantity)

    def take(self, sku: str, quantity: Decimal | None) -> None:
        """Remove *quantity* of a SKU, its line told last for ``None``; stops at zero."""
        self.remove(f"sku:{sku}", quantity)

    def place(self, told: LineTold) -> None:
        """Add a line of a whole cart: to the one of its key and price, or beside the others.

        Raises:
            InvalidEventError: it comes to more than reports can add up.
        """
        key, quantity = told.key, Decimal(1) if told.quantity is None else told.quantity
        if not quantity:
            return
        slots = self._slots(key)
        for slot in slots:
            if self[slot].unit_price == told.unit_price:
                self._set(slot, told, total((self[slot].quantity, quantity)))
                break
        else:
            slot = self._new_slot(key, slots)
            self._set(slot, told, quantity)
        self._note_last(key, slots, slot)

    def add(self, told: LineTold) -> bool:
        """Add to the line of this key and price, else to the last told one at the price told now.

        Returns:
            Whether that makes another cart.

        Raises:
            InvalidEventError: it comes to more than reports can add up.
        """
        key, quantity = told.key, Decimal(1) if told.quantity is None else told.quantity
        slots = self._slots(key)
        slot = slots[-1] if slots else key
        if len(slots) > 1 and told.unit_price is not None:
            same = [each for each in slots if self[each].unit_price == told.unit_price]
            slot = same[0] if same else slot
        known = self.get(slot)
        after = quantity if known is None else total((known.quantity, quantity))
        if not after:
            return False
        self._set(slot, told, after)
        self._note_last(key, slots, slot)
        return known is None or bool(quantity) or known.unit_price != self[slot].unit_price

    def holds(self, key: str) -> bool:
        """Return whether there is a line of this key."""
        return bool(self._slots(key))

    def remove(self, key: str, quantity: Decimal | None) -> None:
        """Take *quantity* from the lines of a key, beginning with the one told last.

        Without a quantity it is the whole line told last. It stops at zero.
        """
        for slot in reversed(self._slots(key)):
            known = self[slot]
            if quantity is not None and quantity < known.quantity:
                rest = total((known.quantity, -quantity))
                self[slot] = CartLine(known.sku, rest, known.title, known.unit_price, known.key)
                return
            self._remove(key, slot)
            if quantity is None:
                return
            quantity = total((quantity, -known.quantity))

    def worth(self) -> Decimal | None:
        """Return the sum of the lines that have a price; ``None`` while no amount is known."""
        if not self:
            return Decimal() if self.is_told else None
        priced = [line.total for line in self.values() if line.unit_price is not None]
        return total(priced) if priced else None

    def differs(self, other: CartDraft) -> bool:
        """Return whether anything else is in the other cart, or at other prices."""
        if None not in (self.currency, other.currency) and self.currency != other.currency:
            return bool(self or other)
        return len(self) != len(other) or self._counted() != other._counted()

    def copy(self) -> CartDraft:
        """Return a cart that can be changed without changing this one."""
        copied = CartDraft(self.currency, self.is_told)
        copied.update(self)
        if self._beside:
            copied._beside = {key: list(slots) for key, slots in self._beside.items()}
        return copied

    def freeze(self) -> Cart:
        """Return the cart as a record."""
        return Cart(tuple(self.values()), self.currency)

    def to_list(self) -> list[dict[str, Any]]:
        """Return the lines as JSON values; what is not known is left out."""
        lines = []
        for slot, line in self.items():
            written = _line_to_dict(line)
            if len(self._beside.get(line.key, ())) > 1:
                written["told"] = self._beside[line.key].index(slot)
            lines.append(written)
        return lines

    @classmethod
    def from_list(
        cls, lines: Iterable[Mapping[str, Any]] | None, currency: str | None = None
    ) -> CartDraft:
        """Return what :meth:`to_list` wrote; ``None`` for a cart of which nothing was told."""
        cart = cls(currency, lines is not None)
        ranks: dict[str, list[tuple[int, Slot]]] = {}
        for written in lines or ():
            line = _line_from_dict(written)
            slot: Slot = line.key
            if "told" in written:
                known = ranks.setdefault(line.key, [])
                slot = (line.key, len(known)) if known else slot
                known.append((written["told"], slot))
            cart[slot] = line
        cart._beside = {key: [slot for _, slot in sorted(r, key=_rank)] for key, r in ranks.items()}
        return cart

    def _slots(self, key: str) -> list[Slot]:
        """Return where the lines of a key stand, the one told last at the end."""
        if self._beside and key in self._beside:
            return self._beside[key]
        return [key] if key in self else []

    def _slot(self, key: str) -> Slot:
        slots = self._slots(key)
        return slots[-1] if slots else key

    def _new_slot(self, key: str, slots: list[Slot]) -> Slot:
        if key not in self:
            return key
        taken = {slot[1] for slot in slots if isinstance(slot, tuple)}
        return key, next(n for n in range(1, len(slots) + 1) if n not in taken)

    def _note_last(self, key: str, slots: list[Slot], last: Slot) -> None:
        order = [*(slot for slot in slots if slot != last), last]
        if len(order) > 1:
            self._beside[key] = order

    def _remove(self, key: str, slot: Slot) -> None:
        del self[slot]
        if key in self._beside:
            rest = [each for each in self._beside[key] if each != slot]
            if rest in ([], [key]):
                del self._beside[key]
            else:
                self._beside[key] = rest

    def _set(self, slot: Slot, told: LineTold, quantity: Decimal) -> None:
        known = self.get(slot)
        key, sku, _, title, unit_price, _ = told
        if known is not None:
            title = known.title if title is None else title
            unit_price = known.unit_price if unit_price is None else unit_price
        line = CartLine(sku, quantity, title, unit_price, key)
        if may_be_too_much(quantity, unit_price):
            check_total(quantity, f"the quantity of line {sku or key!r}")
            check_total(line.total, f"line {sku or key!r} ({quantity} × {unit_price})")
            others = [each.total for where, each in self.items() if where != slot]
            check_total(total([*others, line.total]), "the cart")
        self[slot] = line
        self.is_told = True

    def _counted(self) -> dict[tuple[str, Decimal | None], Decimal]:
        return {(line.key, line.unit_price): line.quantity for line in self.values()}


def _rank(place: tuple[int, Slot]) -> int:
    return place[0]


def _line_to_dict(line: CartLine) -> dict[str, Any]:
    written: dict[str, Any] = {"quantity": str(line.quantity)}
    if line.sku is not None:
        written["sku"] = line.sku
    if line.key != f"sku:{line.sku}":
        written["key"] = line.key
    if line.title is not None:
        written["title"] = line.title
    if line.unit_price is not None:
        written["unit_price"] = str(line.unit_price)
    return written


def _line_from_dict(written: Mapping[str, Any]) -> CartLine:
    price, sku = written.get("unit_price"), written.get("sku")
    return CartLine(
        sku,
        Decimal(written["quantity"]),
        written.get("title"),
        None if price is None else Decimal(price),
        written.get("key") or f"sku:{sku}",
    )


publish("ladderpipe", CartDraft)

"""What lists of deals are made of: the filter, the order, the place in it, what a deal is found by.

Text is compared here and not by the databases, which know other alphabets' letters each in its own
way: what is stored and what is asked for are folded alike, and a store compares the results.
"""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import json
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import ROUND_FLOOR, Context, Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from ..model.money import shortest, stored_amount, total
from .stored_deal import StoredDeal

if TYPE_CHECKING:
    from .filters import DealFilter

__all__: list[str] = []

LONGEST_KEY: Final = 200
"""Characters of a text that an index holds; of a longer one it holds a digest."""
LONGEST_TITLE: Final = 64
"""Characters of a title that deals are sorted by, so that a cursor, which holds them, is short."""
MOST_WORDS: Final = 10
"""Words of a search that count."""
COMPANY: Final = "company:"
"""What the key of a company begins with, where one of a customer may stand too."""
SEALED_DOCUMENT: Final = "sealed"
"""The part of a stored document that is encrypted: no document of a deal has one of this name."""
FEW: Final = 1_000
"""As many deals are sorted when they are asked for; more are read in the order of an index."""

_TENTHS: Final = 10
"""Decimal places of a stored amount: its fraction is a whole number of 10^-10."""
_EXACT: Final = Context(prec=60)
_CENT: Final = Decimal("0.01")
_LARGEST: Final = 2**63


class Order(NamedTuple):
    """An order of deals: by columns, then by number; what is not known comes last."""

    name: str
    columns: tuple[str, ...]
    is_descending: bool = False

    @property
    def is_by_instant(self) -> bool:
        """Whether its column holds instants."""
        return self.columns[:1] not in ((), ("units",), ("title",))

    @property
    def before_all(self) -> int:
        """The number that comes before every deal's among those of equal rank."""
        return _LARGEST - 1 if self.is_descending else 0


FIRST_HEARD: Final = Order("first_heard", ())
"""The order in which deals were first heard of."""

ORDERS: Final[Mapping[str, Order]] = {
    order.name: order
    for order in (
        Order("age", ("entered_at",)),
        Order("value", ("units", "fraction"), is_descending=True),
        Order("recent", ("last_event_at",), is_descending=True),
        Order("due", ("due_at",)),
        Order("title", ("title",)),
    )
}
"""The orders that can be asked for, by name."""


class Place(NamedTuple):
    """Where a deal stands in an order: what it is sorted by, ``None`` if not known; its number."""

    key: tuple[Any, ...] | None
    id: int


class Listed(NamedTuple):
    """A page: the places of its deals in order, and how many deals the filter lets through."""

    places: list[Place]
    matching: int


class Told(NamedTuple):
    """What a deal's data says that lists are filtered and sorted by, and searched in.

    Attributes:
        units: the value rounded down to a whole number; ``None`` when it is not known.
        fraction: what is left of it, in 10^-10.
        title: the beginning of the title, folded; ``None`` when there is none.
        source: as :func:`short_key` has it.
        company: likewise, folded.
        text: all that a search looks in, folded.
    """

    units: int | None = None
    fraction: int | None = None
    title: str | None = None
    source: str | None = None
    company: str | None = None
    text: str = ""


class StageSum(NamedTuple):
    """What the open deals of one stage and currency come to."""

    stage: str
    currency: str | None
    deals: int
    valued: int
    value: Decimal


class Changed(NamedTuple):
    """A deal that was written, and when."""

    at: dt.datetime
    deal: StoredDeal
    document: str | None


class Listing(Protocol):
    """What lists of deals ask of a transaction."""

    def listed(
        self, pipeline: int, wanted: DealFilter, order: Order, after: Place | None, limit: int
    ) -> Listed:
        """Return the places of open deals that match, in order, and how many match in all.

        ``wanted.stages`` is never ``None`` here.

        Args:
            after: only those behind this place; ``None`` from the first.
        """

    def deals_by_id(self, ids: Sequence[int]) -> dict[int, tuple[StoredDeal, str | None]]:
        """Return rows and documents by number."""

    def changed(self, pipeline: int, after: tuple[dt.datetime, int], limit: int) -> list[Changed]:
        """Return deals by when they were written last and by number, above *after*.

        Those that wait for an opening and those that were removed are among them.
        """

    def stage_sums(self, pipeline: int, wanted: DealFilter) -> list[StageSum]:
        """Return count and value of open deals by stage and currency.

        Of a filter, only stages, owners and sources count.
        """


def folded(text: str) -> str:
    """Return text as searches compare it: large letters as small ones, one blank between words.

    Compatibility forms are one (NFKC): a letter with its accent and one followed by it, wide and
    narrow letters, ligatures.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(text.casefold().split())


def words_of(search: str) -> tuple[str, ...]:
    """Return the words that a deal has to have, each once; the first ten count."""
    return tuple(dict.fromkeys(folded(search).split()))[:MOST_WORDS]


def short_key(text: str | None) -> str | None:
    """Return a text as an index holds it: itself, or a digest of what is too long for one."""
    if text is None or len(text) <= LONGEST_KEY:
        return text
    digest = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    return f"{text[: LONGEST_KEY - 33]}…{digest}"


def told_of(deal: str, value: str | None, document: str) -> Told:
    """Return what a deal's id, value and data say that lists ask for."""
    found = json.loads(document)
    data = found if isinstance(found, dict) else {}
    units, fraction = parts_of(value)
    title, source, company = data.get("title"), data.get("source"), data.get("company")
    texts = [deal, title, *_texts(data.get("contact")), *_texts(company)]
    if SEALED_DOCUMENT in data:
        # Of a person it says nothing; what stands for a company is compared as a whole.
        texts = [deal]
    if isinstance(company, dict):
        company = company.get("name")
    return Told(
        units,
        fraction,
        folded(title)[:LONGEST_TITLE] if isinstance(title, str) else None,
        short_key(source) if isinstance(source, str) else None,
        short_key(folded(company)) if isinstance(company, str) else None,
        "\n".join(folded(str(text)) for text in texts if text is not None),
    )


def told_again(
    rows: Iterable[tuple[int, int, str, str | None, str]],
) -> Iterator[tuple[int, int, Told]]:
    """Yield pipeline, number and what :func:`told_of` says of deals that are stored already.

    Of one that cannot be read nothing is known; :func:`~ladderpipe.verify` names it.
    """
    for pipeline, number, deal, value, document in rows:
        try:
            yield pipeline, number, told_of(deal, value, document)
        except (ValueError, TypeError, AttributeError):
            yield pipeline, number, Told(text=folded(deal))


def _texts(part: Any) -> list[Any]:
    parts = part.values() if isinstance(part, dict) else (part,)
    return [each for each in parts if isinstance(each, str | int) and not isinstance(each, bool)]


@functools.lru_cache(maxsize=1024)
def parts_of(value: str | None) -> tuple[int | None, int | None]:
    """Return an amount as two whole numbers, which every database sorts and adds up exactly."""
    if value is None:
        return None, None
    try:
        amount = stored_amount(value)
    except InvalidOperation:
        return None, None
    units = int(amount.to_integral_value(ROUND_FLOOR))
    rest = _EXACT.subtract(amount, units)
    if not -_LARGEST <= units < _LARGEST:
        return None, None
    return units, int(rest.scaleb(_TENTHS, _EXACT))


def value_of(units: int, fraction: int) -> Decimal:
    """Return the amount, or the sum of amounts, that has these parts, to two places or more."""
    found = shortest(total((Decimal(units), Decimal(fraction).scaleb(-_TENTHS, _EXACT))))
    return max(found, found.quantize(_CENT, context=_EXACT), key=_places)


def _places(amount: Decimal) -> int:
    exponent = amount.as_tuple().exponent
    return -exponent if isinstance(exponent, int) else 0


def sums_of(deals: Iterable[tuple[str, str | None, Decimal | None]]) -> list[StageSum]:
    """Return what deals come to, each told by its stage, currency and value."""
    groups: dict[tuple[str, str | None], list[Decimal | None]] = {}
    for stage, currency, value in deals:
        groups.setdefault((stage, currency), []).append(value)
    sums = []
    for (stage, currency), values in groups.items():
        known = [value for value in values if value is not None]
        sums.append(StageSum(stage, currency, len(values), len(known), total(known)))
    return sums


def cut(places: list[Place], order: Order, after: Place | None, limit: int) -> list[Place]:
    """Return the first of these places behind one, in order."""
    known = sorted((p for p in places if p.key is not None), reverse=order.is_descending)
    unknown = sorted((p for p in places if p.key is None), reverse=order.is_descending)
    if after is not None:
        behind = _behind(known, order, after) if after.key is not None else []
        unknown = _behind(unknown, order, after) if after.key is None else unknown
        return [*behind, *unknown][:limit]
    return [*known, *unknown][:limit]


def _behind(places: list[Place], order: Order, after: Place) -> list[Place]:
    if order.is_descending:
        return [place for place in places if place < after]
    return [place for place in places if place > after]

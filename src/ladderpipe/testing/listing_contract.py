"""What every store must do when lists are asked for; a part of the store contract."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, Final

from ladderpipe import Deal, Pipeline, Scope, Stage, on
from ladderpipe.errors import CursorError, PipelineChangedError

from .shop import Shop, contract_ladder, refused, same

__all__: list[str] = []

_VALUES: Final = ("9", "10", None, "10.00", "-1.5", "999999999999999.25", "-1.4999999999")
_TITLES: Final = ("beta", "Alfa", None, "ALFA", "100%", "Étude", "é")


def _open(shop: Shop) -> None:
    for number, (value, title) in enumerate(zip(_VALUES, _TITLES, strict=True)):
        data = {
            "value": value,
            "title": title,
            "owner": ("Ada", None, "Bo%")[number % 3],
            "source": "shop" if number % 2 else None,
            "company": {"name": "Straße & Co"} if number < 3 else "Acme",
            "contact": {"name": f"Ada Rossi {number}", "email": f"a_{number}@example.com"},
        }
        told = {name: part for name, part in data.items() if part is not None}
        shop.handle("lead.came", f"d{number}", number % 4, data={"currency": "EUR", **told})
    shop.handle("paid", "d5", hours=5)


def _pages(shop: Shop, **asked: Any) -> Iterator[Deal]:
    page = shop.board.page(limit=2, **asked)
    yield from page.deals
    while page.next is not None:
        page = shop.board.page(limit=2, after=page.next, **asked)
        yield from page.deals


def _ids(shop: Shop, **asked: Any) -> str:
    return " ".join(deal.id for deal in _pages(shop, **asked))


def pages_deals(shop: Shop) -> None:
    """Pages of every order go on where the last one ended: numbers as numbers, unknown last."""
    _open(shop)
    same(_ids(shop, sort="age"), "d0 d4 d1 d2 d6 d3 d5", "the longest in their stage first")
    same(_ids(shop, sort="value"), "d5 d3 d1 d0 d6 d4 d2", "the most valuable first")
    same(_ids(shop, sort="recent"), "d5 d3 d6 d2 d1 d4 d0", "what happened last first")
    if not shop.is_sealed:  # where a title is encrypted, none is known
        same(_ids(shop, sort="title"), "d4 d1 d3 d0 d2 d6 d5", "by title")
    same(_ids(shop, sort="due", stage="new"), "d0 d4 d1 d2 d6 d3", "the next due first")
    same(_ids(shop, sort="due"), "d0 d4 d1 d2 d6 d3 d5", "those without a timer last")
    same(shop.board.page("new", limit=1).count, 6, "the number of deals in a stage")
    first = ["d0", "d1"] if shop.is_sealed else ["d4", "d1"]
    same([d.id for d in shop.board.deals(sort="title")][:2], first, "all deals by title")
    cursor = shop.board.page(sort="value", limit=1).next
    for wrong in ("", "x", "é", f"{cursor}A", (cursor or "")[:-1], "A" * 5_000):
        with refused(CursorError):
            shop.board.page(sort="value", after=wrong)
    with refused(CursorError):
        shop.board.page(sort="age", after=cursor)


def searches_deals(shop: Shop) -> None:
    """A search means the same letters on every store, and no sign has a meaning of its own."""
    _open(shop)
    if shop.is_sealed:
        _searches_what_is_sealed(shop)
        return
    for search, expected in {
        "ALFA": "d1 d3",
        "%": "d4",
        "_": "d0 d1 d2 d3 d4 d5 d6",
        "\\": "",
        "\x00": "",
        "rossi ADA 4": "d4",
        "STRASSE": "d0 d1 d2",
        "É": "d5 d6",
        "e\u0301tude": "d5",
        "D3": "d3",
        "a_2@": "d2",
        " ": "d0 d1 d2 d3 d4 d5 d6",
    }.items():
        found = [deal.id for deal in shop.board.deals(search=search)]
        same(" ".join(found), expected, f"what {search!r} finds")
        same(shop.board.page(search=search).count, len(found), f"how many {search!r} finds")
    shop.board.edit("d0", by="Ada", title="Gamma", contact={"name": None})
    same(_ids(shop, search="beta"), "", "a title of former times")
    same(_ids(shop, search="gamma"), "d0", "the title of today")


def _searches_what_is_sealed(shop: Shop) -> None:
    """Ask where all that people write is encrypted: for ids of deals, and for whole addresses."""
    for search, expected in {
        "d": "d0 d1 d2 d3 d4 d5 d6",
        "D3": "d3",
        "A_2@example.com": "d2",
        "a_2@example.com d2": "d2",
        "a_2@example.com d3": "",
        "a_2@": "",
        "alfa": "",
        "sealed": "",
    }.items():
        found = [deal.id for deal in shop.board.deals(search=search)]
        same(" ".join(found), expected, f"what {search!r} finds")
        same(shop.board.page(search=search).count, len(found), f"how many {search!r} finds")


def filters_deals(shop: Shop) -> None:
    """What a scope leaves out is in no list, no count and no total."""
    _open(shop)
    other = shop.open(shop.board.pipeline)
    same(_ids(shop, owner="Bo%"), "d2 d5", "the deals of an owner")
    same(_ids(shop, source="shop", stage="new"), "d1 d3", "the deals of a source")
    same(_ids(shop, customer="A_1@example.com"), "d1", "the deals of a customer")
    same(_ids(shop, customer="company:ACME"), "d4 d6 d3 d5", "the deals of a company")
    same([d.id for d in other.customer("company:straße & co")], ["d0", "d1", "d2"], "a company's")
    nobodys = Scope(owners=[None])
    same(_ids(shop, scope=nobodys), "d4 d1", "the deals that nobody owns")
    same(sum(row.count for row in other.summary(nobodys)), 2, "the summary of these")
    same(_ids(shop, scope=Scope(owners=["Ada", None], sources=["shop"])), "d1 d3", "a scope")
    same(shop.board.page(scope=Scope(stages=["won"])).count, 1, "the deals of a scope's stages")
    same(other.summary(Scope(owners=[])), [], "the summary of nothing")
    same(_ids(shop, owner="\x00"), "", "the deals of a name that no store holds")
    totals = [(row.stage.key, row.count, row.unvalued, str(row.value)) for row in other.summary()]
    expected = [("new", 6, 1, "26.0000000001"), ("won", 1, 0, "999999999999999.25")]
    same(totals, expected, "the summary")


def finds_customers(shop: Shop) -> None:
    """A customer's deals are found in the pipelines that are named, as far as each is seen."""
    board, renewals = shop.board, contract_ladder("renewals")
    other = shop.open(renewals)
    ours = {"contact": {"email": "ada@example.com"}, "company": "Acme"}
    for told, deal, owner in ((board, "a", "Bo"), (other, "b", "Ada"), (board, "c", "Ada")):
        told.handle(shop.event("lead.came", deal, data={**ours, "owner": owner}))
    other.handle(shop.event("lead.came", "a", data=ours))
    other.handle(shop.event("told", "waits", data=ours))

    def found(key: str, **asked: Any) -> str:
        return " ".join(f"{d.pipeline[0]}/{d.id}" for d in board.customer(key, **asked))

    nothing, hers = Scope(owners=[]), Scope(owners=["Ada"])
    nobodys, won = Scope(owners=[None]), Scope(stages=["won"])
    for key in ("Ada@example.com", "company:ACME"):
        same(found(key), "c/a c/c", "the deals of this pipeline alone")
        same(found(key, also={renewals: None}), "c/a r/b c/c r/a", "those of both, in one order")
        same(found(key, scope=hers, also={renewals: None}), "r/b c/c r/a", "a scope of the first")
        same(found(key, scope=hers, also={renewals: nobodys}), "c/c r/a", "a scope of each")
        same(found(key, also={renewals: won}), "c/a c/c", "the stages of a scope")
        same(found(key, scope=nothing, also={renewals: nothing}), "", "nothing that is seen")
        unheard = {contract_ladder("unheard"): None}
        same(found(key, also=unheard), "c/a c/c", "a pipeline that the store does not know")
    same(found("\x00", also={renewals: None}), "", "a key that no store holds")
    shop.clock.advance(hours=1)
    other.handle(shop.event("paid", "b", 1))
    same(found("ada@example.com", scope=nothing, also={renewals: won}), "r/b", "a deal that moved")
    new = Stage("new")
    changed = Pipeline("renewals", stages=[new], rules=[on("lead.came", into=new, opens=True)])
    with refused(PipelineChangedError):
        board.customer("ada@example.com", also={changed: None})


def sums_up_large_amounts(shop: Shop) -> None:
    """A sum is exact, also where it is larger than the whole numbers of a database."""
    line = {"sku": "x", "quantity": 1_000, "unit_price": "900000000000000"}
    for number in range(11):
        data = {"line": line, "currency": "EUR"}
        shop.handle("cart.item_added", f"d{number}", number / 10, data=data)
    for deal, value in (("small", "0.75"), ("unknown", None)):
        shop.handle("lead.came", deal, 2, data={"currency": "EUR", "value": value})
    found = [(row.count, row.unvalued, row.value) for row in shop.board.summary()]
    same(found, [(13, 1, Decimal("9900000000000000000.75"))], "the summary of large amounts")


def tells_changes(shop: Shop) -> None:
    """What changed is told, whatever changed it, and what is gone is told as such."""
    board = shop.board
    before = board.changes(limit=0).cursor
    shop.handle("lead.came")
    shop.handle("told", "waits")
    first = board.changes(before)
    same([deal.id for deal in first.deals], ["d"], "the open deals that changed")
    same(first.gone, ("waits",), "the deals that are not open")
    same(board.changes(first.cursor).deals, (), "what changed since")
    shop.handle("told", data={"title": "x"})
    again = board.changes(first.cursor)
    same(again.deals, (board.deal("d"),), "a deal that was written at the same instant again")
    shop.clock.advance(hours=47)
    shop.handle("lead.came", "e", 47)
    shop.clock.advance(hours=2)
    second = board.changes(again.cursor)
    same({deal.id for deal in second.deals} >= {"e"}, True, "a new deal")
    board.tick()
    third = board.changes(second.cursor)
    same([deal.id for deal in third.deals], ["d"], "the deal that a timer moved")
    shop.handle("paid", "e", 49)
    board.remove("e")
    shop.clock.advance(hours=1)
    same(board.changes(third.cursor).gone, ("e",), "the deal that was removed")
    every = board.changes()
    same({deal.id for deal in every.deals} | set(every.gone), {"d", "e", "waits"}, "all deals")
    with refused(CursorError):
        board.changes(board.page(limit=1).next or "")


LISTING: Final[tuple[Callable[[Shop], None], ...]] = (
    pages_deals,
    searches_deals,
    filters_deals,
    sums_up_large_amounts,
    finds_customers,
    tells_changes,
)

"""Pages against a plain sort: on every store, put together, they are the sorted list."""

from __future__ import annotations

import datetime as dt
import itertools
import random
from collections.abc import Callable, Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ladderpipe import (
    ANY,
    Board,
    Changes,
    Deal,
    Event,
    ManualClock,
    Pipeline,
    Scope,
    Stage,
    after,
    on,
)
from ladderpipe.board.listing import Sort
from ladderpipe.model.clock import instant
from ladderpipe.stores import PostgresStore, listing
from tests.shops import make_store

START: Final = instant("2026-01-05T09:00:00Z")
TEXTS: Final = (
    *("100%", "a_b", "a\\b", "%", "''; --", "Ada", "ADA", "ada rossi", "È vero", "E\u0300 VERO"),
    *("\u2615\U0001f469\u200d\U0001f4bb", "straße", "STRASSE", "\ufb01n", "İzmir", "x" * 300),
)
OWNERS: Final = ("Ada", "ada", "Bo%", None)
SOURCES: Final = ("shop", "s" * 5_000, "s" * 4_999 + "t", None)
SORTS: Final = get_args(Sort)
_numbers = itertools.count()

on_every_store = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    if request.param == "postgres":
        made: Any = PostgresStore(request.getfixturevalue("postgres_url"))
    else:
        made = make_store(request.param, tmp_path)
    with closing(made):
        yield made


def ladder() -> Pipeline:
    new, talking, won = Stage("new"), Stage("talking"), Stage("won", status="won")
    return Pipeline(
        f"p{next(_numbers)}",
        stages=[new, talking, won],
        rules=[
            on("lead", into=new, opens=True),
            on("call", into=talking),
            on("back", into=new),
            on("order", into=won, out_of=ANY),
            after(hours=48, out_of=talking, into=new),
        ],
    )


VALUES: Final = (
    *("9", "10", "10.00", "-1.5", "-1.4999999999", "0", "999999999999999.0000000001", None),
)


@st.composite
def told(draw: st.DrawFn) -> dict[str, Any]:
    """Return what an event tells of a deal."""
    text = st.none() | st.sampled_from(TEXTS)
    data = {
        "title": draw(text),
        "owner": draw(st.sampled_from(OWNERS)),
        "source": draw(st.sampled_from(SOURCES)),
        "value": draw(st.sampled_from(VALUES)),
        "currency": draw(st.sampled_from(["EUR", "CHF"])),
        "company": draw(text | st.fixed_dictionaries({"name": st.sampled_from(TEXTS)})),
        "contact": {"name": draw(text), "email": draw(st.sampled_from(["Ada@x.it", None]))},
    }
    return {name: value for name, value in data.items() if value is not None}


@st.composite
def lives(draw: st.DrawFn) -> list[Event]:
    """Return events of up to a dozen deals, several of which are told alike."""
    events = []
    for number in range(draw(st.integers(0, 12))):
        at = START + dt.timedelta(hours=draw(st.integers(0, 3)))
        deal = draw(st.sampled_from(["D", "d%", "é_"])) + str(number)
        events.append(Event("lead", deal=deal, id=f"o{number}", at=at, data=draw(told())))
        for kind in draw(st.lists(st.sampled_from(["call", "order", "told"]), max_size=2)):
            at += dt.timedelta(hours=draw(st.integers(1, 3)))
            events.append(Event(kind, deal=deal, id=f"{kind}{number}", at=at, data=draw(told())))
    return list({event.id: event for event in events}.values())


def board_of(store: Any, events: list[Event]) -> Board:
    board = Board(ladder(), store=store, clock=ManualClock(START + dt.timedelta(hours=12)))
    report = board.handle_many(events)
    assert not report.failures
    return board


KEYS: Final[dict[str, Callable[[Deal], Any]]] = {
    "age": lambda deal: deal.entered_at,
    "value": lambda deal: deal.value,
    "recent": lambda deal: deal.last_event_at,
    "due": lambda deal: deal.due_at,
    "title": lambda deal: deal.title and listing.folded(deal.title)[:64],
}


def plainly_sorted(deals: list[Deal], sort: str) -> list[Deal]:
    """Sort deals that come in the order in which they were first heard of."""
    is_descending = sort in ("value", "recent")
    if is_descending:
        deals = deals[::-1]  # equals stay as they are, whichever way the others are sorted
    known = [deal for deal in deals if KEYS[sort](deal) is not None]
    unknown = [deal for deal in deals if KEYS[sort](deal) is None]
    return [*sorted(known, key=KEYS[sort], reverse=is_descending), *unknown]


def texts_of(deal: Deal) -> str:
    company = deal.company.get("name") if isinstance(deal.company, dict) else deal.company
    found = [deal.id, deal.title, *deal.contact.values(), company]
    return "\n".join(listing.folded(text) for text in found if text is not None)


@st.composite
def filters(draw: st.DrawFn) -> dict[str, Any]:
    names = st.none() | st.lists(st.sampled_from(OWNERS), max_size=3)
    sources = st.none() | st.lists(st.sampled_from(SOURCES), max_size=3)
    scopes = st.builds(
        Scope,
        owners=names,
        sources=sources,
        stages=st.none() | st.lists(st.sampled_from(["new", "won"]), max_size=2),
    )
    found = {
        "stage": draw(st.sampled_from([None, "new", "talking"])),
        "owner": draw(st.sampled_from([*OWNERS, None, None, "nobody\x00"])),
        "source": draw(st.sampled_from([*SOURCES, None, None])),
        "search": draw(
            st.sampled_from([None, None, "", "%", "_", "\\", "\x00", "ADA", "rossi ada", "strasse"])
            | st.sampled_from(TEXTS)
        ),
        "customer": draw(st.sampled_from([None, None, None, "ada@X.it", "company:Ada", "id:x"])),
        "scope": draw(st.none() | scopes),
    }
    return {name: value for name, value in found.items() if value is not None}


def is_wanted(deal: Deal, asked: dict[str, Any]) -> bool:
    scope = asked.get("scope") or Scope()
    words = listing.folded(asked.get("search", "")).split()
    customer = asked.get("customer")
    company = deal.company.get("name") if isinstance(deal.company, dict) else deal.company
    return (
        asked.get("stage") in (None, str(deal.stage))
        and asked.get("owner") in (None, deal.owner)
        and asked.get("source") in (None, deal.source)
        and (scope.owners is None or deal.owner in scope.owners)
        and (scope.sources is None or deal.source in scope.sources)
        and (scope.stages is None or str(deal.stage) in scope.stages)
        and all(word in texts_of(deal) for word in words)
        and (customer != "ada@X.it" or deal.contact.get("email") == "Ada@x.it")
        and (customer != "company:Ada" or (company or "").lower() == "ada")
        and customer != "id:x"
    )


def pages(board: Board, limit: int, **asked: Any) -> Iterator[Any]:
    found = board.page(limit=limit, **asked)
    yield found
    while found.next is not None:
        found = board.page(limit=limit, after=found.next, **asked)
        yield found


@pytest.mark.parametrize("few", [0, 1_000])
@on_every_store
@given(events=lives(), asked=filters(), sort=st.sampled_from(SORTS), limit=st.integers(1, 5))
def test_all_pages_together_are_the_sorted_list(
    store: Any,
    few: int,
    events: list[Event],
    asked: dict[str, Any],
    sort: Sort,
    limit: int,
) -> None:
    board = board_of(store, events)
    every = list(board.deals())
    wanted = [deal for deal in every if is_wanted(deal, asked)]
    with pytest.MonkeyPatch.context() as patch:
        # How many deals are sorted when they are asked for decides how they are found.
        patch.setattr("ladderpipe.stores.sql_listing.FEW", few)
        found = list(pages(board, limit, sort=sort, **asked))
        listed = list(board.deals(sort=sort, **asked))
    assert [deal for page in found for deal in page.deals] == plainly_sorted(wanted, sort)
    assert all(len(page.deals) == limit for page in found[:-1])
    assert {page.count for page in found} == {len(wanted)}
    assert listed == plainly_sorted(wanted, sort)
    assert list(board.deals(**asked)) == wanted


@on_every_store
@given(events=lives(), owners=st.none() | st.lists(st.sampled_from(OWNERS), max_size=3))
def test_a_summary_is_the_sum_of_what_may_be_seen(
    store: Any, events: list[Event], owners: list[str | None] | None
) -> None:
    board = board_of(store, events)
    scope = Scope(owners=owners)
    seen = list(board.deals(scope=scope))
    rows = board.summary(scope)
    assert sum(row.count for row in rows) == len(seen)
    for row in rows:
        mine = [d for d in seen if d.stage == row.stage and d.currency == row.currency]
        values = [deal.value for deal in mine if deal.value is not None]
        assert (row.count, row.unvalued) == (len(mine), len(mine) - len(values))
        assert row.value == sum(values, Decimal())


@on_every_store
@given(events=lives(), sort=st.sampled_from(SORTS), seed=st.integers(0, 10**6))
def test_who_stays_in_his_place_is_told_once_whoever_moves_meanwhile(
    store: Any, events: list[Event], sort: Sort, seed: int
) -> None:
    board, chance = board_of(store, events), random.Random(seed)
    before = {deal.id: deal for deal in board.deals(stage="new")}
    found: list[str] = []
    left: set[str] = set()
    page = board.page("new", sort=sort, limit=2)
    while True:
        found += [deal.id for deal in page.deals]
        assert not left & {deal.id for deal in page.deals}
        if page.next is None:
            break
        for deal in chance.sample(sorted(before), min(2, len(before))):
            at = board.clock.now()
            if board.deal(deal).stage == "new":
                board.handle(Event("call", deal=deal, id=f"m{next(_numbers)}", at=at))
                left.add(deal)
        page = board.page("new", sort=sort, limit=2, after=page.next)
    assert len(found) == len(set(found))
    assert set(before) - left <= set(found)


@on_every_store
@given(
    steps=st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 200)), max_size=25),
    limit=st.integers(1, 4),
)
def test_whoever_follows_the_changes_ends_with_what_is_stored(
    store: Any, steps: list[tuple[str, int]], limit: int
) -> None:
    clock = ManualClock(START)
    board = Board(ladder(), store=store, clock=clock)
    known: dict[str, Deal] = {}
    cursor = None

    def follow() -> None:
        nonlocal cursor
        told = limit
        while told == limit:
            changes = board.changes(cursor, limit=limit)
            cursor, told = changes.cursor, len(changes.deals) + len(changes.gone)
            known.update({deal.id: deal for deal in changes.deals})
            for deal in changes.gone:
                known.pop(deal, None)

    for number, (deal, seconds) in enumerate(steps):
        clock.advance(seconds=seconds)
        if seconds % 3 == 0 and deal in {each.id for each in board.deals(status="won")}:
            board.remove(deal)
        else:
            kind = ("lead", "call", "order", "back")[number % 4]
            board.handle(Event(kind, deal=deal, id=f"e{number}", at=clock.now()), hold=True)
        if seconds % 2:
            follow()
    clock.advance(hours=49)
    board.tick()
    follow()
    assert known == {deal.id: deal for deal in board.deals()}
    cursor = board.changes(cursor).cursor
    assert board.changes(cursor) == Changes((), (), cursor)

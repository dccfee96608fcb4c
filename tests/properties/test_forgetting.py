"""Forgetting takes a person out of what people write, and leaves what programs read."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ladderpipe import MemoryStore, Pipeline, SqliteStore, after, insight, on
from ladderpipe.board.verify import verify
from ladderpipe.fold.deal_data import DealData
from ladderpipe.fold.reducer import cart_reducer
from ladderpipe.insight import Tables
from ladderpipe.model.event import BASELINE
from ladderpipe.stores import PostgresStore
from ladderpipe.stores.base import StoredDeal
from tests.insight.boards import assert_same_tables
from tests.shops import START, Shop, lead_ladder, register

EMAIL: Final = "ada@example.com"
BRUNO: Final = "bruno@example.com"
PHONE: Final = 391234567890

OWN: Final = (
    *("1000", "1000.00", "5", "0", "e", "A", "NB-15", "EUR", "2026", "2026-01-05T09:00:00+00:00"),
    *("new", "talking", "won", "lead", "call", "lines", "state", "data", "stage", "unit_price"),
    *("sku", "value", "note", "size", "Bea", "web", "first", "d", "[forgotten]", "null"),
    *("Zoë Ünal", "zoë", "  Ada \t Rossi ", "Rossi", "王伟", "Straße", "O'Neill", "+39 06 5555"),
    *(PHONE, str(PHONE), 1000, 10000, "a.b", "cafe\u0301", " "),
)
"""Strings that the deal itself is made of, and that a contact may share with it."""

OPTIONAL: Final = {
    "name": st.sampled_from(OWN),
    "zip": st.sampled_from(OWN),
    "phone": st.sampled_from(OWN),
    "address": st.lists(st.sampled_from(OWN), max_size=2),
    "notes": st.fixed_dictionaries({}, optional={"text": st.sampled_from(OWN)}),
}
contacts = st.fixed_dictionaries({"email": st.just(EMAIL)}, optional=OPTIONAL)


@st.composite
def prose(draw: st.DrawFn) -> str:
    """Return what somebody might write, with strings of the deal's own among it."""
    words = st.sampled_from([*map(str, OWN), EMAIL, "please", "tea", "1000.00 EUR", "rossiter"])
    glue = draw(st.sampled_from([" ", ", ", "-", ": ", "/"]))
    return glue.join(draw(st.lists(words, min_size=1, max_size=4)))


values = st.one_of(prose(), st.sampled_from([PHONE, 1000, 10000, 5, True, None, 1.5]))
lines = st.fixed_dictionaries(
    {"sku": st.sampled_from(["A", "1000", "e", "NB-15"]), "quantity": st.sampled_from([1, "5"])},
    optional={
        "title": prose(),
        "unit_price": st.sampled_from(["1000.00", 1000, "5", "0"]),
        "engraving": prose(),
    },
)
data = st.fixed_dictionaries(
    {"line": lines},
    optional={
        "title": prose(),
        "company": st.one_of(prose(), st.fixed_dictionaries({"name": prose()})),
        "owner": st.sampled_from(["Bea", "Rossi"]),
        "source": prose(),
        "value": st.sampled_from(["1000.00", 1000, "10000"]),
        "currency": st.just("EUR"),
        "properties": st.dictionaries(
            st.sampled_from(["note", "size", "call", "loss_reason", "e", "1000", EMAIL]), values
        ),
        "note": values,
    },
)


@attrs.frozen
class Life:
    """What is told of Ada's deal, then or later of another person in it too."""

    first: Mapping[str, Any]
    contact: Mapping[str, Any]
    second: Mapping[str, Any]
    reason: str
    opens: bool
    is_adopted: bool
    payload: Mapping[str, Any]
    buys: bool


lives = st.builds(
    Life,
    first=data,
    contact=contacts,
    second=data,
    reason=prose(),
    opens=st.booleans(),
    is_adopted=st.booleans(),
    payload=st.fixed_dictionaries({"title": prose()}, optional={"due_hours": st.just(1000)}),
    buys=st.booleans(),
)


def knows_her(deal: Any, event: Any) -> bool:
    """A guard that has no answer for a deal without a contact."""
    return deal.contact["email"] in (EMAIL, BRUNO)


def ladder(changed: bool = False) -> Pipeline:
    """Return the ladder of leads on which only somebody known buys; or another definition."""
    leads = lead_ladder()
    new, won, lost = (leads.stage(name) for name in ("new", "won", "lost"))
    rules = [on("buy", into=won, when=knows_her), *leads.rules]
    if changed:
        rules.append(after(hours=900, out_of=new, into=lost))
    return Pipeline("leads", stages=leads.stages, rules=rules)


def told(life: Life, store: Any) -> Shop:
    """Return a shop that was told it; with another definition adopted in between, if it says so."""

    def ask(ctx: Any) -> None:
        ctx.do("task", **life.payload)
        ctx.do("sms", to=ctx.deal.contact.get("phone"), text=life.reason)

    shop = Shop(register(ladder(), into_new=ask), store)
    first = {**life.first, "contact": life.contact}
    shop.tell("lead" if life.opens else "chat", id="first", **first)
    shop.tell("lead", "other", contact={"email": BRUNO, "zip": "1000"}, value="1000.00")
    shop.wait(1)
    shop.tell("cart.item_added", id="second", **life.second)
    other = {**life.second, "note": life.reason}
    shop.board.handle(shop.event("cart.item_added", id="second", **other), hold=True)
    for each in shop.board.held("d"):
        shop.board.discard(each.key, by="Bea", reason=f"said: {life.reason}")
    if life.opens:
        shop.wait(1)
        shop.board.override("d", "talking", by="Bea", reason=life.reason)
    if life.buys:
        shop.wait(0.25)
        shop.tell("buy")
        shop.wait(0.25)
        shop.tell("cart.emptied")
    if life.is_adopted:
        shop.wait(1)
        now = shop.clock.now().isoformat()
        shop = Shop(ladder(changed=True), store, start=now, adopting=True)
        shop.board.migrate()
    shop.wait(2)
    return shop


def stored_deal(shop: Shop) -> tuple[StoredDeal, Mapping[str, Any]]:
    with shop.store.transaction(write=False) as transaction:
        stored, document, _ = transaction.load(shop.board._session.number, "d", create=False)
    return stored, json.loads(document) if document else {}


def what_programs_read(shop: Shop) -> Any:
    """Return all of a deal that forgetting a person must not change."""
    stored, document = stored_deal(shop)
    changing = ("cursor_", "baseline_at", "has_effects", "definition", "swept_to", "timers")
    changing += ("customer",)
    row = {k: v for k, v in stored._asdict().items() if not k.startswith(changing)}
    cart = [
        {name: part for name, part in line.items() if name != "title"}
        for line in document.get("cart", ())
    ]
    kept = {name: document.get(name) for name in ("value", "currency", "owner")}
    names = set(document.get("properties", ())) - {EMAIL, "[forgotten]"}
    moves: list[Any] = []
    if stored.stage is not None:
        history = shop.board.history("d")
        moves = [(m.n, m.out_of, m.into, m.at, m.rule) for m in history.moves]
        moves += history.visits
    events = [(e.type, e.source, e.id, e.at, e.seq) for e in shop.board.events("d")]
    return row, cart, kept, names, moves, [e for e in events if not e[2].startswith("baseline")]


def tables_at(shop: Shop, hours: float) -> Tables:
    at = dt.datetime.fromisoformat(START) + dt.timedelta(hours=hours)
    return insight.tables(shop.board, as_of=at)


def words_of(text: str) -> list[str]:
    """Return the words of a text, an amount or an instant being one."""
    found = re.findall(r"\d+(?:[.,:]\d+)+|[^\W\u4e00-\u9fff]+|[\u4e00-\u9fff]", text.casefold())
    return list(found)


def holds(text: str, value: Any) -> bool:
    """Return whether a value stands in a text, as words of their own."""
    if re.fullmatch(r"[\d.]+|2026-01-05T[\d:+]+", text):
        return text == str(value)
    searched, sought = words_of(text), words_of(str(value))
    places = range(len(searched) - len(sought) + 1)
    return bool(sought) and any(searched[n : n + len(sought)] == sought for n in places)


def leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        yield from itertools.chain.from_iterable(map(leaves, value))
    elif value is not None and not isinstance(value, bool):
        yield value


def free_texts(shop: Shop) -> Iterator[Any]:
    """Yield every text and number of the deal that is nobody's key, amount or instant."""
    _, document = stored_deal(shop)
    yield from of_the_deal(document)
    for event in shop.board.events("d"):
        if event.type == BASELINE:
            yield from of_the_deal(event.data["state"]["data"])
            continue
        assert not {"contact", "title", "reason"} & event.data.keys()
        yield from leaves([event.data.get(name) for name in ("company", "source", "note")])
        yield from leaves(event.data.get("properties"))
        line = event.data.get("line", {})
        yield from leaves([line.get("title"), line.get("engraving")])
    for effect in shop.board.effects("d"):
        yield from leaves({k: v for k, v in effect.payload.items() if k != "due_hours"})
        yield from leaves(effect.error)
    with shop.store.transaction(write=False) as transaction:
        number = shop.board._session.number
        for row in transaction.held(number, "d", discarded=True):
            yield from leaves([row.reason, row.note, json.loads(row.data or "null")])


def of_the_deal(document: Mapping[str, Any]) -> Iterator[Any]:
    assert "contact" not in document
    yield from leaves([document.get(name) for name in ("company", "source", "properties")])
    yield from leaves([line.get("title") for line in document.get("cart", ())])


def assert_forgotten(life: Life, shop: Shop) -> None:
    personal = list(leaves(life.contact))
    for found, value in itertools.product(free_texts(shop), personal):
        if found == "[forgotten]":
            continue
        if isinstance(found, str):
            text = found.replace("[forgotten]", "\n")
            assert not holds(text, value), (found, value)
        else:
            assert str(found) != str(value) or found < 1000, (found, value)


def assert_only_the_person_is_gone(life: Life, store: Any) -> None:
    shop = told(life, store)
    before = what_programs_read(shop)
    seen = {hours: tables_at(shop, hours) for hours in (0, 1.1, 1.3, 2.1, 2.3, 2.6, 3)}

    assert shop.board.forget(email=EMAIL).deals == ("d",)

    assert_forgotten(life, shop)
    assert what_programs_read(shop) == before
    for event in shop.board.events("d"):
        if event.type != BASELINE:
            cart_reducer(DealData(), event)
    shop.pipeline.fold(shop.board.events("d"))
    shop.board.tasks()
    assert verify(shop.board).differences == ()
    for hours, tables in seen.items():
        but = ("title", "source", "loss_reason")
        assert_same_tables(tables_at(shop, hours), tables, but=but)
        assert tables_at(shop, hours).problems == ()

    shop.wait(1)
    assert shop.board.forget(email=EMAIL).deals == ()
    shop.tell("chat", contact={"email": "cleo@example.com", "zip": "5", "name": "A"})
    shop.wait(1)
    assert shop.board.forget(email="cleo@example.com").deals == ("d",)
    assert what_programs_read(shop)[1:4] == before[1:4]
    assert verify(shop.board).differences == ()


@given(lives)
def test_only_the_person_is_gone_in_memory(life: Life) -> None:
    assert_only_the_person_is_gone(life, MemoryStore())


@settings(max_examples=15)
@given(lives)
def test_only_the_person_is_gone_on_sqlite(
    tmp_path_factory: pytest.TempPathFactory, life: Life
) -> None:
    folder: Path = tmp_path_factory.mktemp("forgetting")
    store = SqliteStore(folder / "shop.db")
    try:
        assert_only_the_person_is_gone(life, store)
    finally:
        store.close()


@settings(max_examples=10)
@given(lives)
def test_only_the_person_is_gone_on_postgresql(postgres_server: Any, life: Life) -> None:
    store = PostgresStore(postgres_server.emptied_url())
    try:
        assert_only_the_person_is_gone(life, store)
    finally:
        store.close()

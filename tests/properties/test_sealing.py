"""In a sealed store nothing personal stands as it is, and forgetting a person reaches every copy.

Whatever was told, held, sent and said by hand: no raw row has it, and once the person is forgotten,
neither the store nor a backup from before opens with the keys that are left.
"""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import json
import re
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st

from ladderpipe import EncryptReport, MemoryStore, SqliteStore, encrypt
from ladderpipe.board.verify import verify
from ladderpipe.errors import LadderError, SealedError
from ladderpipe.stores import MariadbStore, PostgresStore, Store, seal
from tests.keyrings import MemoryRing
from tests.shops import Shop, lead_ladder, register, tables_of

SEALED: Final = re.compile(rb"s1\.([0-9a-f]{24})\.")
DEALS: Final = ("d", "e", "f")
LETTERS: Final = "qzxjwkßé王日ñ"

marks = st.text(LETTERS, min_size=9, max_size=14).map("".join)
people = st.lists(marks, min_size=2, max_size=2, unique=True)


@attrs.frozen
class Step:
    """Something that happens: what, to which deal, about which person."""

    what: str
    deal: str
    person: int


steps = st.lists(
    st.builds(
        Step,
        what=st.sampled_from(
            (
                *("lead", "chat", "call", "order", "edit", "override", "assign", "drop"),
                *("conflict", "future", "waiting", "work", "wait", "discard", "release"),
            )
        ),
        deal=st.sampled_from(DEALS),
        person=st.sampled_from((0, 1)),
    ),
    min_size=3,
    max_size=12,
)


def contact(mark: str) -> dict[str, Any]:
    """Return the contact of a person."""
    return {"email": f"{mark}@example.com", "name": f"Sig.ra {mark}", "notes": [mark]}


class Life:
    """A shop that says of people what it can, wherever it can."""

    def __init__(self, store: Store, marks: list[str]) -> None:
        self.marks = marks

        def ask(ctx: Any) -> None:
            who = ctx.deal.contact.get("name", "nobody")
            ctx.do("task", title=f"Call {who}", due_hours=3)
            ctx.do("letter", to="customer", text=f"Dear {who}")
            ctx.do("email", to=ctx.deal.contact.get("email"), text=who)

        pipeline = register(lead_ladder(), into_new=ask, into_talking=ask)
        self.shop = Shop(pipeline, store)
        self.board = self.shop.board

        def fail(delivery: Any) -> None:
            raise RuntimeError(f"no letter for {delivery.payload.get('text')}")

        self.board.handles("letter")(fail)
        self.count = 0
        self.known: dict[str, list[str]] = {}

    def of(self, deal: str, person: int) -> str:
        """Return the mark of somebody whom a deal knows; people write of nobody else there."""
        known = self.known.get(deal, ["nobody"])
        return known[person % len(known)]

    def go(self, told: list[Step]) -> None:
        """Let it all happen."""
        for step in told:
            with contextlib.suppress(LadderError, LookupError):
                self.do(step)

    def do(self, step: Step) -> None:
        """Let one thing happen; what the ladder refuses is refused."""
        mark, shop, deal = self.marks[step.person], self.shop, step.deal
        tells = step.what in ("lead", "chat", "call", "order", "conflict", "future", "waiting")
        if tells:
            named = f"{deal}-waits" if step.what == "waiting" else deal
            self.known.setdefault(named, []).append(mark)
        else:
            mark = self.of(deal, step.person)
        self.count += 1
        shop.wait(1 / 60)  # so that what happens has one order, whatever its ids are
        data = {
            "contact": contact(mark),
            "title": f"For {mark}",
            "company": {"name": f"{mark} & Figli"},
            "source": f"from {mark}",
            "properties": {"note": f"{mark} said so", "customer_id": mark},
            "line": {"sku": "A", "quantity": 1, "title": f"Ring of {mark}"},
        }
        if step.what in ("lead", "chat", "call", "order"):
            self.board.handle(shop.event(step.what, deal, id=f"e{self.count}", **data), hold=True)
        elif step.what == "conflict":
            id = f"same-{deal}"
            self.board.handle(shop.event("chat", deal, id=id, **data), hold=True)
            other = {**data, "title": f"Not for {mark} {self.count}"}
            self.board.handle(shop.event("chat", deal, id=id, **other), hold=True)
        elif step.what in ("future", "waiting"):
            name = f"{deal}-waits" if step.what == "waiting" else deal
            self.board.handle(
                shop.event("lead", name, hours=50, id=f"e{self.count}", **data), hold=True
            )
        elif step.what == "edit":
            self.board.edit(deal, by="Bea", title=f"Now of {mark}", note=f"{mark} rang")
        elif step.what == "override":
            self.board.override(deal, "talking", by="Bea", reason=f"{mark} asked for it")
        elif step.what == "assign":
            for task in self.board.tasks()[:1]:
                self.board.assign(task.key, to="Bea", by="Bo")
        elif step.what == "drop":
            for effect in self.board.dead_letters()[:1]:
                mark = self.of(effect.deal, step.person)
                self.board.drop(effect.key, by="Bea", reason=f"{mark} is gone")
        elif step.what in ("discard", "release"):
            for held in self.board.held()[:1]:
                mark = self.of(held.event.deal, step.person)
                if step.what == "discard":
                    self.board.discard(held, by="Bea", reason=f"{mark} erred")
                else:
                    self.board.release(held, id=f"again-{self.count}")
        elif step.what == "wait":
            shop.wait(20)
        else:
            shop.work()


def spellings(mark: str) -> Iterator[bytes]:
    """Yield a mark as it might stand in a file."""
    for text in {mark, mark.upper(), mark.lower(), mark.casefold()}:
        yield text.encode()
        yield text.encode("utf-16-le")
        yield json.dumps(text)[1:-1].encode()
        yield text.encode().hex().encode()
        for skipped in range(3):
            # What base64 makes of its middle, wherever a group of three bytes begins.
            whole = text.encode()[skipped:]
            yield base64.urlsafe_b64encode(whole[: len(whole) // 3 * 3])
            yield base64.b64encode(whole[: len(whole) // 3 * 3])


def assert_says_nothing_of(raw: bytes, marks: list[str]) -> None:
    for mark in marks:
        for spelling in spellings(mark):
            assert spelling not in raw, (mark, spelling)


def raw_files(path: Path) -> bytes:
    """Return every byte of a SQLite database, its log included."""
    return b"".join(file.read_bytes() for file in sorted(path.parent.glob(f"{path.name}*")))


def rows_of(store: Any) -> Mapping[str, list[tuple[Any, ...]]]:
    """Return every row, as the database has it."""
    with store.transaction(write=False) as transaction:
        return tables_of(transaction.connection)


def keys_in(rows: Any) -> set[str]:
    """Return the names of the keys that rows are sealed with."""
    return {key.decode() for key in SEALED.findall(repr(rows).encode())}


def copy_of(path: Path) -> Path:
    """Return a backup of a SQLite file."""
    to = path.with_name("backup.db")
    with (
        contextlib.closing(sqlite3.connect(path)) as one,
        contextlib.closing(sqlite3.connect(to)) as other,
    ):
        one.backup(other)
    return to


def readable(store: Store, marks: list[str], at: dt.datetime) -> str:
    """Return all that a board on a store can read, as text."""
    shop = Life(store, marks).shop
    shop.clock.set(at)
    found: list[Any] = []
    asked: list[Callable[[], Any]] = [
        lambda: list(shop.board.deals()),
        shop.board.effects,
        shop.board.held,
        shop.board.tasks,
    ]
    for deal in (*DEALS, *(f"{deal}-waits" for deal in DEALS)):
        asked += [
            lambda deal=deal: shop.board.events(deal),
            lambda deal=deal: shop.board.history(deal).to_dict(),
        ]
    for each in asked:
        try:
            found.append(each())
        except (SealedError, LookupError):
            continue
    return repr(found)


@given(people, steps)
@settings(max_examples=settings().max_examples // 2)
def test_forgetting_reaches_the_store_and_a_backup_from_before(
    marks: list[str], told: list[Step]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, ring = Path(folder) / "deals.db", MemoryRing()
        store = seal(SqliteStore(path), ring)
        life = Life(store, marks)
        life.go(told)
        assert_says_nothing_of(raw_files(path), marks)
        backup = copy_of(path)
        before = readable(seal(SqliteStore(backup), ring.copy()), marks, life.shop.clock.now())
        backup = copy_of(path)

        report = life.board.forget(email=contact(marks[0])["email"])
        assert not report.failures
        found = verify(life.board)
        assert found.agrees, found.differences

        left = ring.copy()
        again = readable(seal(SqliteStore(backup), left), marks, life.shop.clock.now())
        assert marks[0] not in again
        if marks[0] in before:
            assert report.deals
        # Nothing that is left of a forgotten deal is sealed with a key of the backup's.
        with contextlib.closing(sqlite3.connect(backup)) as connection:
            gone = rows_of_deals(connection, report.deals)
        assert not keys_in(gone) & set(left), gone
        assert marks[0] not in readable(store, marks, life.shop.clock.now())
        assert not store.keys_to_destroy()  # type: ignore[attr-defined]
        assert not keys_in(rows_of(store)) - set(left)
        assert_says_nothing_of(raw_files(path), marks)
        # The other one's are all there.
        others = [deal for deal in DEALS if deal not in report.deals]
        for deal in others:
            with contextlib.suppress(LookupError):
                life.board.history(deal)
        assert (marks[1] in before) >= (marks[1] in again)


def rows_of_deals(connection: sqlite3.Connection, deals: tuple[str, ...]) -> list[Any]:
    """Return every row of these deals."""
    found: list[Any] = []
    for deal in deals:
        found += connection.execute("SELECT * FROM ladder_held WHERE deal = ?", (deal,)).fetchall()
        row = connection.execute("SELECT id, customer FROM ladder_deals WHERE deal = ?", (deal,))
        for number, customer in row.fetchall():
            found.append(customer)
            for table in ("events", "documents", "effects", "checkpoints"):
                asked = f"SELECT * FROM ladder_{table} WHERE deal = ?"
                found += connection.execute(asked, (number,)).fetchall()
    return found


def assert_a_plain_one_comes_over(make: Callable[[], Any], marks: list[str], told: Any) -> None:
    """A plain store is sealed row by row; then nothing is plain, and all is as it was."""
    before, after = told
    ring = MemoryRing()
    plain, twin = Life(make(), marks), Life(MemoryStore(), marks)
    plain.go(before)
    twin.go(before)
    now, known, count = plain.shop.clock.now(), plain.known, plain.count
    plain.shop.store.close()

    store = seal(make(), ring)
    life = Life(store, marks)
    life.shop.clock.set(now)
    life.known, life.count = known, count
    life.go(after)
    twin.go(after)
    assert [history_of(life, deal) for deal in DEALS] == [history_of(twin, deal) for deal in DEALS]
    report = encrypt(life.board)
    assert not report.failures
    assert_says_nothing_of(repr(rows_of(store)).encode(), marks)
    assert encrypt(life.board) == EncryptReport(deals=0, held=0)
    assert [history_of(life, deal) for deal in DEALS] == [history_of(twin, deal) for deal in DEALS]
    found = verify(life.board)
    assert found.agrees, found.differences
    held = [sorted((h.event.id, h.kind) for h in each.board.held()) for each in (life, twin)]
    assert held[0] == held[1]
    for mark in marks:
        email = contact(mark)["email"]
        assert sorted(life.board.forget(email=email).deals) == sorted(
            twin.board.forget(email=email).deals
        )
    assert marks[0] not in readable(store, marks, life.shop.clock.now())
    store.close()


both = st.tuples(steps, steps)


@given(people, both)
@settings(max_examples=settings().max_examples // 3)
def test_a_plain_file_comes_over(marks: list[str], told: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "deals.db"
        assert_a_plain_one_comes_over(lambda: SqliteStore(path), marks, told)
        assert_says_nothing_of(raw_files(path), marks)


@given(people, both)
@settings(max_examples=3)
def test_a_plain_database_of_postgresql_comes_over(
    postgres_server: Any, marks: list[str], told: Any
) -> None:
    url = postgres_server.emptied_url()
    assert_a_plain_one_comes_over(lambda: PostgresStore(url, listen=False), marks, told)


@given(people, both)
@settings(max_examples=3)
def test_a_plain_database_of_mariadb_comes_over(
    mariadb_server: Any, marks: list[str], told: Any
) -> None:
    url = mariadb_server.emptied_url()
    assert_a_plain_one_comes_over(lambda: MariadbStore.from_url(url), marks, told)


def assert_sealed_and_plain_agree(store: Store, marks: list[str], told: list[Step]) -> None:
    one, other = Life(store, marks), Life(MemoryStore(), marks)
    one.go(told)
    other.go(told)
    for deal in DEALS:
        assert history_of(one, deal) == history_of(other, deal)
    assert_says_nothing_of(repr(rows_of(store)).encode(), marks)
    assert {e.id for e in one.board.deals()} == {e.id for e in other.board.deals()}
    email = contact(marks[1])["email"]
    forgotten = [life.board.forget(email=email).deals for life in (one, other)]
    assert sorted(forgotten[0]) == sorted(forgotten[1])
    for deal in DEALS:
        assert history_of(one, deal) == history_of(other, deal)
    found = verify(one.board)
    assert found.agrees, found.differences
    one.go(told)
    assert_says_nothing_of(repr(rows_of(store)).encode(), marks)


def history_of(life: Life, deal: str) -> Any:
    """Return what happened to a deal, but for the ids that each shop gives out."""
    try:
        found = life.board.history(deal)
    except LookupError:
        return None
    data = attrs.asdict(found.deal, recurse=False)
    del data["pipeline"]
    moves = [(m.n, m.out_of, m.into, m.at, m.rule) for m in found.moves]
    effects = sorted(
        (e.name, e.state.value, json.dumps(dict(e.payload), sort_keys=True, default=str), e.due_at)
        for e in life.board.effects(deal)
    )
    return repr(data), moves, effects


@given(people, steps)
@settings(max_examples=settings().max_examples // 3)
def test_a_sealed_store_and_a_plain_one_agree_on_sqlite(marks: list[str], told: list[Step]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = seal(SqliteStore(Path(folder) / "deals.db"), MemoryRing())
        assert_sealed_and_plain_agree(store, marks, told)
        store.close()


@given(people, steps)
@settings(max_examples=8)
def test_on_postgresql(postgres_server: Any, marks: list[str], told: list[Step]) -> None:
    store = seal(PostgresStore(postgres_server.emptied_url()), MemoryRing())
    assert_sealed_and_plain_agree(store, marks, told)
    store.close()


@given(people, steps)
@settings(max_examples=8)
def test_on_mariadb(mariadb_server: Any, marks: list[str], told: list[Step]) -> None:
    store = seal(MariadbStore.from_url(mariadb_server.emptied_url()), MemoryRing())
    assert_sealed_and_plain_agree(store, marks, told)
    store.close()

"""Whatever a board goes through, its chain agrees; and what anybody else does to it is named."""

from __future__ import annotations

import contextlib
import datetime as dt
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ladderpipe import (
    Board,
    Event,
    ManualClock,
    MemoryStore,
    Pipeline,
    SqliteStore,
    Stage,
    by_hand,
    on,
)
from ladderpipe.board.verify import VerifyReport, verify
from ladderpipe.errors import LadderError
from ladderpipe.testing import events_of_many_deals, pipelines
from ladderpipe.testing.strategies import START

DEALS: Final = ("deal-1", "deal-2", "deal-3")
STORES: Final[Any] = (MemoryStore, lambda: SqliteStore(":memory:"))
PAUSES: Final = [0, 1, 80, 100, 3_600, 100_000]
ACTS: Final = (
    *("tell", "tell", "tell", "tell", "wait", "tick", "extend", "extend"),
    *("forget", "remove", "archive", "restore", "migrate", "withdraw", "move", "edit"),
)
EMAIL: Final = "ada@example.com"


class Life:
    """A board that is told things at random, and the heads of its chain that somebody notes."""

    def __init__(self, data: st.DataObject, folder: Path) -> None:
        self.data = data
        self.folder = folder
        self.pipeline: Pipeline = data.draw(pipelines())
        told = data.draw(
            events_of_many_deals(self.pipeline, deals=DEALS, max_size=8).flatmap(st.permutations)
        )
        self.waiting = list(told)
        self.clock = ManualClock(min((event.at for event in told), default=START))
        self.store: Any = data.draw(st.sampled_from(STORES))()
        self.board = Board(self.pipeline, store=self.store, clock=self.clock)
        self.heads: list[str] = []
        self.archives: list[Path] = []

    def act(self, act: str) -> None:
        """Do one thing, whatever becomes of it."""
        self.clock.advance(seconds=1)
        with contextlib.suppress(LadderError):
            getattr(self, act)()

    def deal(self) -> str:
        return self.data.draw(st.sampled_from(DEALS))

    def tell(self) -> None:
        if self.waiting:
            event = self.waiting.pop()
            if self.data.draw(st.booleans()):
                data = {**event.data, "contact": {"email": EMAIL}}
                event = attrs.evolve(event, data=data)
            self.board.handle(event, hold=True)

    def wait(self) -> None:
        self.clock.advance(seconds=self.data.draw(st.sampled_from(PAUSES)))

    def tick(self) -> None:
        self.board.tick()

    def extend(self) -> None:
        extended = self.board.extend_chain(limit=self.data.draw(st.integers(1, 3)))
        if extended.head is not None:
            self.heads.append(extended.head)

    def forget(self) -> None:
        self.board.forget(email=EMAIL)

    def remove(self) -> None:
        self.board.remove(self.deal())

    def archive(self) -> None:
        path = self.folder / f"{len(self.archives)}.jsonl"
        later = self.clock.now() + dt.timedelta(days=1)
        if self.board.archive(before=later, to=path).deals:
            self.archives.append(path)

    def restore(self) -> None:
        if self.archives:
            self.board.restore(self.data.draw(st.sampled_from(self.archives)))

    def migrate(self) -> None:
        rules = [*self.pipeline.rules, on(f"new.{len(self.pipeline.rules)}", into=self.stage())]
        self.pipeline = Pipeline(self.pipeline.name, stages=self.pipeline.stages, rules=rules)
        self.board = Board(self.pipeline, store=self.store, clock=self.clock, adopting=True)
        self.board.migrate()

    def withdraw(self) -> None:
        known = self.board.events(self.deal())
        if known:
            self.board.withdraw(self.data.draw(st.sampled_from(known)), by="ann")

    def stage(self) -> Stage:
        return self.data.draw(st.sampled_from(self.pipeline.stages))

    def move(self) -> None:
        self.board.override(self.deal(), self.stage(), by="ann")

    def edit(self) -> None:
        self.board.edit(self.deal(), by="ann", owner="bea")

    def check(self) -> VerifyReport:
        """Hold the store to every head that was noted."""
        report = verify(self.board)
        for head in self.heads:
            report = verify(self.board, head=head)
            assert report.agrees, report.differences
        assert report.agrees, report.differences
        return report


@given(data=st.data())
def test_the_chain_of_a_board_agrees_and_holds_each_event_once(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        life = Life(data, Path(folder))
        for act in data.draw(st.lists(st.sampled_from(ACTS), max_size=25)):
            life.act(act)
            if act == "extend":
                life.check()
        life.check()
        while life.board.extend_chain().more:
            pass
        report = life.check()
        assert report.chain is not None
        assert report.chain.events == report.events
        assert (report.chain.not_chained, report.chain.not_noted) == (0, 0)
        assert (report.chain.late, report.chain.missed) == (0, ())
        told = life.board.chain()
        assert told is not None
        assert (told.events, told.links) == (report.events, report.chain.links)
        life.store.close()


# -- damage -------------------------------------------------------------------------------------


def ladder() -> Pipeline:
    new, won = Stage("new"), Stage("won", status="won")
    rules = [on("lead", into=new, opens=True), on("order", into=won), by_hand(into=new)]
    return Pipeline("shop", stages=[new, won], rules=rules)


values = st.one_of(
    st.text("abc", max_size=3), st.integers(0, 9), st.lists(st.booleans(), max_size=2)
)
told_events = st.lists(
    st.tuples(
        st.sampled_from(DEALS),
        st.sampled_from(["lead", "order", "note"]),
        st.dictionaries(st.sampled_from(["a", "b"]), values, max_size=2),
    ),
    min_size=3,
    max_size=10,
)

Damage = Callable[[Any, st.DataObject], None]

CHANGES: Final = {
    "data": "json_set(data, '$.added', 1)",
    "data emptied": "'{\"x\": null}'",
    "at": "at + 1",
    "seq": "seq + 1",
    "recorded_at": "recorded_at - 1",
    "type_word": "(SELECT max(id) FROM ladder_words WHERE id <> type_word)",
    "id": "id || '-'",
    "source": "source || '-'",
    "deal": "(SELECT id FROM ladder_deals d WHERE d.id <> ladder_events.deal LIMIT 1)",
}


def run(board: Board, statement: str, *values: Any) -> int:
    with board.store.transaction() as transaction:
        transaction.connection.execute("PRAGMA defer_foreign_keys = ON")
        changed: int = transaction.connection.execute(statement, values).rowcount
        return changed


def rows(board: Board, statement: str) -> list[Any]:
    with board.store.transaction(write=False) as transaction:
        found: list[Any] = transaction.connection.execute(statement).fetchall()
        return found


def chained(history: list[Any], steps: list[int]) -> tuple[Board, list[str]]:
    """Return a board that was told this, with a link after each step and a deal forgotten."""
    clock = ManualClock(START)
    board = Board(ladder(), store=SqliteStore(":memory:"), clock=clock)
    board.handle(Event("lead", deal="gone", id="g", at=START, data={"contact": {"email": EMAIL}}))
    board.handle(Event("lead", deal="kept", id="k", at=START))
    heads = [board.extend_chain().head or ""]
    board.forget(email=EMAIL)
    for n, (deal, kind, data) in enumerate(history):
        clock.advance(seconds=100)
        board.handle(Event(kind, deal=deal, id=f"e{n}", at=clock.now(), data=data))
        if n in steps:
            heads.append(board.extend_chain().head or "")
    clock.advance(hours=1)
    heads.append(board.extend_chain().head or "")
    return board, heads


def one_of(
    board: Board, data: st.DataObject, table: str, where: str = "1"
) -> tuple[str, list[Any]]:
    """Return how a statement finds one row of a table, drawn at random."""
    keys = {
        "ladder_events": ["source", "id"],
        "ladder_leaves": ["deal", "source", "id"],
        "ladder_links": ["n"],
        "ladder_salts": ["deal"],
        "ladder_retired": ["link", "leaf"],
    }[table]
    found = rows(board, f"SELECT {', '.join(keys)} FROM {table} WHERE {where} ORDER BY 1, 2 + 0")
    row = data.draw(st.sampled_from(found))
    return " AND ".join(f"{key} = ?" for key in keys), list(row)


def changes(table: str, column: str, value: str, where: str = "1") -> Damage:
    def damage(board: Board, data: st.DataObject) -> None:
        found, key = one_of(board, data, table, where)
        assert run(board, f"UPDATE {table} SET {column} = {value} WHERE {found}", *key) == 1

    return damage


def removes(table: str, where: str = "1") -> Damage:
    def damage(board: Board, data: st.DataObject) -> None:
        found, key = one_of(board, data, table, where)
        assert run(board, f"DELETE FROM {table} WHERE {found}", *key) == 1

    return damage


def swaps_data(board: Board, data: st.DataObject) -> None:
    found = rows(board, "SELECT id, data, at FROM ladder_events WHERE id LIKE 'e%'")
    one, other = data.draw(st.lists(st.sampled_from(found), min_size=2, max_size=2, unique=True))
    column = "data" if one[1] != other[1] else "at"
    place = 1 if column == "data" else 2
    for whose, value in ((one[0], other[place]), (other[0], one[place])):
        run(board, f"UPDATE ladder_events SET {column} = ? WHERE id = ?", value, whose)


def inserts(board: Board, data: st.DataObject) -> None:
    found, key = one_of(board, data, "ladder_events")
    columns = "deal, at, seq, source, pipeline, type_word, data, digest, recorded_at, undeclared"
    run(
        board,
        f"INSERT INTO ladder_events (id, {columns}) SELECT 'forged', {columns} "
        f"FROM ladder_events WHERE {found}",
        *key,
    )


def cuts_the_end(board: Board, data: st.DataObject) -> None:
    for table, column in (("ladder_leaves", "link"), ("ladder_retired", "link")):
        run(board, f"DELETE FROM {table} WHERE {column} = (SELECT max(n) FROM ladder_links)")
    run(
        board,
        "UPDATE ladder_retired SET retired = 0 WHERE retired = (SELECT max(n) FROM ladder_links)",
    )
    run(board, "DELETE FROM ladder_links WHERE n = (SELECT max(n) FROM ladder_links)")


def drops_the_chain(board: Board, data: st.DataObject) -> None:
    for table in ("leaves", "retired", "salts", "links", "chains"):
        run(board, f"DELETE FROM ladder_{table}")


DAMAGE: Final[dict[str, Damage]] = {
    **{
        f"the {what} of an event": changes("ladder_events", what.split()[0], value)
        for what, value in CHANGES.items()
    },
    "an event removed": removes("ladder_events"),
    "what two events say is swapped": swaps_data,
    "an event inserted": inserts,
    "a leaf": changes("ladder_leaves", "leaf", "zeroblob(32)"),
    "the link of a leaf": changes("ladder_leaves", "link", "link + 1"),
    "the id of a leaf": changes("ladder_leaves", "id", "id || '-'"),
    "a leaf removed": removes("ladder_leaves"),
    "a salt": changes("ladder_salts", "salt", "zeroblob(16)", "length(salt) > 0"),
    "a salt erased": changes("ladder_salts", "salt", "zeroblob(0)", "length(salt) > 0"),
    "a salt removed": removes("ladder_salts"),
    "the header of a link": changes("ladder_links", "header", "replace(header, '0', '1')"),
    "the hash of a link": changes("ladder_links", "hash", "zeroblob(32)"),
    "a link removed": removes("ladder_links"),
    "the end of the chain": cuts_the_end,
    "the whole chain": drops_the_chain,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
@settings(max_examples=10)
@given(history=told_events, steps=st.lists(st.integers(0, 9)), data=st.data())
def test_damage_is_named(
    damage: Damage, history: list[Any], steps: list[int], data: st.DataObject
) -> None:
    board, heads = chained(history, steps)
    assert verify(board, head=heads[-1]).agrees
    damage(board, data)
    report = verify(board, head=heads[-1])
    said = [str(found) for found in report.differences]
    named = [what for what in said if "chain" in what]
    if report.chain is not None:
        named += report.chain.missed
    assert named, said
    board.close()

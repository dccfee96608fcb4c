"""S11: a late event into a long deal is folded from the last checkpoint before it."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from ladderpipe import Board, Event, ManualClock, Pipeline, SqliteStore, Stage, by_hand, on
from ladderpipe.board.verify import verify
from ladderpipe.model.clock import instant
from ladderpipe.stores.base import Checkpoint
from tests.ladders import guarded_ladder
from tests.shops import HOUR, Shop, assert_is_the_fold, contents, lead_ladder, wide_rows

EVENTS = 300
ADA = {"email": "ada@example.com", "name": "Ada Rossi"}


def long_deal(store: Any, count: int = EVENTS, deal: str = "d") -> Shop:
    """Return a shop with a deal of so many events, an hour apart, the second one a call."""
    shop = Shop(lead_ladder(), store)
    return with_long_deal(shop, count, deal)


def with_long_deal(shop: Shop, count: int, deal: str = "d") -> Shop:
    shop.tell("lead", deal, id=f"{deal}-0", contact=ADA)
    for number in range(1, count):
        shop.wait(1)
        kind = "call" if number == 1 else "note"
        shop.tell(kind, deal, id=f"{deal}-{number}", properties={f"p{number % 7}": number})
    return shop


def checkpoints(shop: Shop, deal: str = "d") -> list[Checkpoint]:
    with shop.board.store.transaction(write=False) as transaction:
        stored, _, _ = transaction.load(shop.board._session.number, deal, create=False)
        return [] if stored is None else transaction.checkpoints(stored.id)


def late(shop: Shop, hours: float, **given: Any) -> Any:
    """Tell what happened so many hours ago."""
    return shop.tell("note", id=f"late-{hours}", hours=-hours - 0.5, **given)


def assert_agrees(shop: Shop) -> None:
    report = verify(shop.board)
    assert report.agrees, report.differences
    assert_is_the_fold(shop.board)


class Watched:
    """A store of which is noted how much of deals' pasts was read."""

    def __init__(self, store: Any) -> None:
        self.store = store
        self.events = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    def transaction(self, write: bool = True) -> Any:
        return _Watching(self, self.store.transaction(write))


@attrs.define
class _Watching:
    watched: Watched
    inner: Any

    def __enter__(self) -> Any:
        transaction = self.inner.__enter__()
        read = transaction.events

        def events(*arguments: Any) -> Any:
            found = read(*arguments)
            self.watched.events += len(found)
            return found

        transaction.events = events
        return transaction

    def __exit__(self, *error: Any) -> Any:
        return self.inner.__exit__(*error)


def test_a_short_deal_has_none(store: Any):
    shop = long_deal(store, count=60)
    late(shop, 10)
    assert checkpoints(shop) == []


def test_a_long_deal_has_one_now_and_then(store: Any):
    shop = long_deal(store)
    assert 1 <= len(checkpoints(shop)) <= EVENTS // 64
    assert_agrees(shop)


def test_a_batch_leaves_some_on_its_way(store: Any):
    shop = Shop(lead_ladder(), store)
    events = [shop.event("lead", id="0")]
    for number in range(1, EVENTS):
        events.append(shop.event("note", id=f"{number}", hours=number))
    shop.wait(EVENTS)
    shop.board.handle_many(events)
    assert len(checkpoints(shop)) == (EVENTS - 1) // 64
    assert_agrees(shop)


def test_a_late_event_reads_only_what_is_after_the_last_before_it(store: Any):
    shop = long_deal(Watched(store))
    watched = shop.board.store
    watched.events = 0
    receipt = late(shop, 2, owner="Bea")
    assert receipt.refolded
    assert 0 < watched.events < 200
    assert shop.board.deal("d").owner == "Bea"
    assert_agrees(shop)


def test_a_late_event_that_changes_nothing_reads_only_up_to_the_next(store: Any):
    shop = long_deal(Watched(store))
    late(shop, 280, owner="Bea")
    before, made = rows(shop), checkpoints(shop)
    watched = shop.board.store
    watched.events = 0
    # What it tells is told again an hour later.
    receipt = late(shop, 200, properties={f"p{(EVENTS - 200) % 7}": "nothing"})
    assert receipt.refolded
    assert (receipt.moves, receipt.reason) == ((), None)
    assert 0 < watched.events < 200
    assert rows(shop) == before
    assert checkpoints(shop) == made
    assert_agrees(shop)


def rows(shop: Shop) -> Any:
    """Return the row of the deal, its data and its moves."""
    return wide_rows(shop.board.store, shop.board._session.number, ["d"])["d"][:3]


def test_a_deal_that_arrives_backwards_reads_none_of_it_whole(store: Any):
    shop = Shop(lead_ladder(), Watched(store))
    shop.wait(EVENTS)
    for number in range(EVENTS):
        shop.tell("note", id=f"{number}", hours=-number)
    assert shop.board.store.events < EVENTS * 2 * 64
    shop.tell("lead", id="opening", hours=-EVENTS)
    assert shop.board.history("d").visits[0].stage == "new"
    assert 1 < len(checkpoints(shop)) <= EVENTS // 64
    assert_agrees(shop)


def test_what_is_set_aside_elsewhere_stays_so(store: Any):
    shop = Shop(guarded_ladder(), store)
    shop.tell("opened", id="0")
    for number in range(1, EVENTS):
        shop.wait(1)
        kind = "asked" if number in (20, 150, 290) else "note"
        shop.board.handle(shop.event(kind, id=f"{number}"), hold=True)
    late(shop, EVENTS - 2)
    for hours in (140, 5, 280, 240, 149, 9):
        late(shop, hours)
        assert sorted(held.event.id for held in shop.board.held()) == ["150", "20", "290"]
        assert_agrees(shop)


def test_a_remark_elsewhere_stays(store: Any):
    """An event that would have opened a deal of its own came to nothing: health counts it."""
    shop = Shop(lead_ladder(), store)
    shop.tell("lead", id="0")
    shop.tell("order", id="won")
    for number in range(1, EVENTS):
        shop.wait(1)
        shop.tell("lead" if number in (20, 150, 290) else "note", id=f"{number}")
    late(shop, EVENTS - 2)
    known = remarks(shop)
    for hours in (140, 5, 280, 240, 149, 9):
        late(shop, hours)
        assert remarks(shop) == known
        assert_agrees(shop)


def remarks(shop: Shop) -> Any:
    with shop.board.store.transaction(write=False) as transaction:
        stored, _, _ = transaction.load(shop.board._session.number, "d", create=False)
        return None if stored is None else transaction.remarks(stored.id)


def test_what_is_after_a_late_event_is_made_anew(store: Any):
    shop = long_deal(store)
    late(shop, EVENTS - 10, owner="Bea")
    found = checkpoints(shop)
    assert len(found) == EVENTS // 64
    assert all('"owner":"Bea"' in point.data for point in found)
    assert_agrees(shop)


def test_a_late_event_that_moves_the_deal_numbers_its_later_visits_anew(store: Any):
    stages = [Stage("a"), Stage("b")]
    rules = [on("up", into=stages[1]), on("down", into=stages[0], opens=True)]
    shop = Shop(Pipeline("swing", stages=stages, rules=rules), store)
    for number in range(200):
        shop.tell("down" if number % 2 == 0 else "up", id=f"e{number}")
        shop.wait(1)
    shop.tell("up", id="up", hours=-191.5)
    shop.tell("down", id="down", hours=-191.25)
    assert shop.board.deal("d").visit == 202
    assert_agrees(shop)


def test_what_was_taken_back_is_in_none(store: Any):
    shop = long_deal(store)
    late(shop, EVENTS - 10, owner="Bea")
    shop.board.withdraw(f"late-{EVENTS - 10}", by="Ada")
    assert not any("Bea" in point.data for point in checkpoints(shop))
    late(shop, 3)
    assert shop.board.deal("d").owner is None
    assert_agrees(shop)


def test_what_was_taken_back_stays_so_however_early_that_is_dated(store: Any):
    shop = long_deal(store)
    late(shop, 5, owner="Bea")
    early = shop.clock.now() - 290 * HOUR
    taken = {"source": "", "id": "late-5"}
    shop.board.handle(Event("ladder.withdraw", deal="d", id="back", at=early, data=taken))
    assert shop.board.deal("d").owner is None
    late(shop, 7)
    assert shop.board.deal("d").owner is None
    assert_agrees(shop)


@pytest.mark.parametrize("stage", ["open", "waiting"])
def test_nothing_of_a_forgotten_person_is_in_any(store: Any, stage: str):
    shop = Shop(lead_ladder(), store)
    if stage == "open":
        with_long_deal(shop, EVENTS)
    else:
        for number in range(EVENTS):
            shop.tell("note", id=f"{number}", contact=ADA)
            shop.wait(1)
    assert any("ada@example.com" in point.data for point in checkpoints(shop))
    shop.board.forget(email="ada@example.com")
    assert "ada@example.com" not in repr(contents(store))
    late(shop, 3)
    late(shop, 3.25)
    assert "ada@example.com" not in repr(contents(store))
    assert verify(shop.board).agrees


def test_those_of_a_removed_deal_go_with_it(store: Any):
    shop = long_deal(store)
    shop.tell("order", id="order")
    assert checkpoints(shop)
    shop.board.remove("d")
    assert checkpoints(shop) == []
    assert verify(shop.board).agrees


def test_an_archived_deal_comes_back_without_and_makes_its_own(store: Any, tmp_path: Path):
    shop = long_deal(store)
    shop.tell("order", id="order")
    shop.wait(1)
    shop.board.archive(before=shop.clock.now(), to=tmp_path / "a.jsonl")
    assert checkpoints(shop) == []
    shop.board.restore(tmp_path / "a.jsonl")
    late(shop, 30)
    late(shop, 31)
    assert verify(shop.board).agrees


def test_another_ladder_believes_none(store: Any):
    """Nor does the first one, when it comes back."""
    shop = long_deal(store)
    former, annex = shop.board.pipeline, Stage("annex")
    changed = Pipeline(
        former.name,
        stages=[*former.stages, annex],
        rules=[*former.rules, by_hand(into=annex)],
    )
    for hours, pipeline, mapping in (
        (20, changed, {}),
        (30, former, {"annex": former.stages[0]}),
    ):
        shop.board = Board(pipeline, store=store, clock=shop.clock, adopting=True)
        shop.board.migrate(mapping)
        assert checkpoints(shop) == []
        late(shop, hours, owner="Bea")
        assert verify(shop.board).agrees


def test_a_timer_that_fired_by_a_wrong_clock_is_in_none(store: Any):
    shop = long_deal(store, count=150)
    shop.clock.advance(hours=500)
    shop.board.tick()
    shop.clock = ManualClock(shop.clock.now() - 400 * HOUR)
    shop.board = Board(shop.board.pipeline, store=store, clock=shop.clock)
    shop.board.tick()
    late(shop, 2, owner="Bea")
    assert_agrees(shop)


# -- verify ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("state = json_set(state, '$.stage', 'lost')", 'has stage "lost", the fold says "talking"'),
        ("state = json_set(state, '$.visit', 7)", "has visit 7, the fold says 2"),
        ("data = json_set(data, '$.owner', 'Eve')", 'its owner is stored as "Eve"'),
        ("at = at + 3600000000", "at"),
    ],
)
def test_one_that_was_tampered_with_is_found(tmp_path: Path, change: str, said: str):
    shop = long_deal(SqliteStore(tmp_path / "shop.db"))
    assert verify(shop.board).agrees
    last = "at = (SELECT max(at) FROM ladder_checkpoints)"
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        connection.execute(f"UPDATE ladder_checkpoints SET {change} WHERE {last}")
    (difference,) = verify(shop.board).differences
    assert "checkpoint" in difference.what
    assert said in difference.what
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        # As the difference says.
        connection.execute("DELETE FROM ladder_checkpoints")
    late(shop, 2)
    assert_agrees(shop)


# -- all or nothing -------------------------------------------------------------------------------


WRITES = (sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE)


def failing(number: int) -> Callable[..., int]:
    """Return what lets a connection do all but the write, or commit, with this number."""
    asked = itertools.count(1)

    def allowed(action: int, what: str | None, *_: Any) -> int:
        is_one = action in WRITES or what == "COMMIT"
        return sqlite3.SQLITE_DENY if is_one and next(asked) == number else sqlite3.SQLITE_OK

    return allowed


def test_where_a_statement_fails_all_is_as_before(tmp_path: Path):
    shop = long_deal(SqliteStore(tmp_path / "shop.db"), count=200)
    with shop.board.store.transaction() as transaction:
        connection = transaction.connection
    before, failures = contents(shop.board.store), 0
    while True:
        connection.set_authorizer(failing(failures + 1))
        try:
            late(shop, 100, owner="Bea")
            break
        except sqlite3.DatabaseError:
            connection.set_authorizer(None)
            assert contents(shop.board.store) == before
            failures += 1
    connection.set_authorizer(None)
    assert failures > 6
    assert any("Bea" in point.data for point in checkpoints(shop))
    assert_agrees(shop)


def test_an_own_store_may_be_asked_for_a_part_of_the_past(store: Any):
    shop = long_deal(store, count=10)
    with shop.board.store.transaction(write=False) as transaction:
        stored, _, _ = transaction.load(shop.board._session.number, "d", create=False)
        assert stored is not None
        events = transaction.events(stored.id)
        at = events[4][0].at
        assert transaction.events(stored.id, at) == events[5:]
        assert transaction.moves(stored.id, 1) == transaction.moves(stored.id)[1:]
        assert transaction.checkpoint(stored.id, instant("2030-01-01T00:00:00Z")) is None
        assert isinstance(events[0][0], Event)

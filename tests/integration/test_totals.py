"""The totals that are kept with every move are what the deals come to, whatever happens to them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest

from ladderpipe import Board, ManualClock, Pipeline, Scope, Stage, on
from ladderpipe.board.verify import verify
from ladderpipe.errors import HookError, LadderError
from tests.shops import START, Shop, lead_ladder, register, tables_of
from tests.totals import assert_counted, recounted, summed

HUGE: Final = "999999999999999.1234567891"


@pytest.fixture
def shop(store: Any) -> Shop:
    """A shop with deals of two owners and of nobody, from here and there, of any value."""
    shop = Shop(lead_ladder(), store)
    for number, value in enumerate(["10.10", "0.0000000001", "-3", None, HUGE, HUGE, "7"]):
        told: dict[str, Any] = {} if value is None else {"value": value, "currency": "EUR"}
        told |= [{}, {"owner": "Ada"}, {"owner": "Bob", "source": "web"}][number % 3]
        shop.tell("lead", f"d{number}", contact={"email": f"{number}@example.com"}, **told)
    shop.tell("call", "waits")
    return shop


def migrates(shop: Shop, folder: Path) -> None:
    old = shop.pipeline
    first, *others = old.stages
    fresh = Stage("fresh", title="Fresh")
    rules = [on("lead", into=fresh, opens=True), on("order", into=others[2], out_of=[fresh])]
    changed = Pipeline(old.name, stages=[first, fresh, *others[1:]], rules=rules)
    Board(changed, store=shop.store, clock=shop.clock, adopting=True).migrate({"new": fresh})
    shop.board = Board(changed, store=shop.store, clock=shop.clock)


def is_archived_and_comes_back(shop: Shop, folder: Path) -> None:
    shop.tell("order", "d1")
    shop.tell("order", "d4")
    shop.wait(1)
    archive = folder / "old.jsonl"
    assert shop.board.archive(before=shop.clock.now(), to=archive).removed == 2
    assert_counted(shop.board)
    assert shop.board.restore(archive).restored == 2


def is_removed(shop: Shop, folder: Path) -> None:
    shop.tell("order", "d2")
    shop.board.remove("d2")


def fails(shop: Shop, folder: Path) -> None:
    def refuse(context: Any) -> None:
        raise RuntimeError("no")

    hooked = register(lead_ladder(), into_won=refuse)
    board = Board(hooked, store=shop.store, clock=shop.clock)
    with pytest.raises(HookError):
        board.handle(shop.event("order", "d2", value="99", owner="Eve"))
    events = [shop.event("order", "d1"), shop.event("call", "d2"), shop.event("lead", "new one")]
    assert [failure.event.deal for failure in board.handle_many(events).failures] == ["d1"]


def comes_late(shop: Shop, folder: Path) -> None:
    shop.tell("call", "d1", hours=-1, owner="Cyd", value="5")
    shop.tell("lead", "waits", hours=-2)
    shop.tell("order", "waits", hours=-3)


def is_taken_back(shop: Shop, folder: Path) -> None:
    call = shop.event("call", "d2", owner="Cyd", source="phone", value="11.5", currency="USD")
    shop.board.handle(call)
    assert_counted(shop.board)
    shop.board.withdraw(call, by="Ada")
    shop.board.withdraw(shop.board.events("d3")[0], by="Ada")
    shop.board.override("d0", "won", by="Ada")
    shop.board.undo("d0", by="Ada", expecting="won")


def is_edited(shop: Shop, folder: Path) -> None:
    shop.board.edit("d1", by="Ada", owner="Bob", value=None, currency="USD")
    shop.board.edit("d4", by="Ada", value="1")
    shop.board.edit("d2", by="Ada", owner="Eve")


def grows_old(shop: Shop, folder: Path) -> None:
    shop.wait(100)
    shop.board.tick()


def is_forgotten(shop: Shop, folder: Path) -> None:
    shop.tell("call", "d2", source="2@example.com")
    shop.board.forget(email="2@example.com")


def comes_in_a_batch(shop: Shop, folder: Path) -> None:
    events = [shop.event(kind, f"d{n}", value=n) for n in range(40) for kind in ("lead", "order")]
    shop.board.handle_many(events)


@pytest.mark.parametrize(
    "happens",
    [
        migrates,
        is_archived_and_comes_back,
        is_removed,
        fails,
        comes_late,
        is_taken_back,
        is_edited,
        grows_old,
        is_forgotten,
        comes_in_a_batch,
    ],
    ids=lambda happens: happens.__name__,
)
def test_totals_are_what_the_deals_come_to_when_a_deal(
    shop: Shop, tmp_path: Path, happens: Callable[[Shop, Path], None]
) -> None:
    assert_counted(shop.board)
    assert summed(shop.board)["new", "EUR"][2] == Decimal("2000000000000012.3469135783")
    happens(shop, tmp_path)
    assert_counted(shop.board)


def test_what_the_caller_rolls_back_was_never_counted(tmp_path: Path, postgres_url: str) -> None:
    for url in (f"sqlite:///{tmp_path}/shop.db", postgres_url):
        with Board.open(lead_ladder(), url, ManualClock(START)) as board:
            shop = Shop(lead_ladder(), board.store)
            shop.tell("lead", value="5")
            before = summed(board)
            with contextlib.suppress(LadderError), board.store.transaction() as transaction:
                joined = board.using(transaction.connection)
                joined.handle(shop.event("order", value="6"))
                joined.handle(shop.event("lead", "other"))
                assert summed(joined) != before
                assert summed(joined) == recounted(joined.deals())
                raise LadderError("not after all")
            assert summed(board) == before
            assert_counted(board)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_whoever_changes_deals_by_himself_is_found_and_the_totals_can_be_made_right(
    kind: str, tmp_path: Path, postgres_url: str
) -> None:
    url = postgres_url if kind == "postgresql" else f"sqlite:///{tmp_path}/shop.db"
    with Board.open(lead_ladder(), url, ManualClock(START)) as board:
        shop = Shop(lead_ladder(), board.store)
        for number in range(5):
            shop.tell("lead", f"d{number}", value=number, currency="EUR")
        with board.store.transaction() as transaction:
            transaction.connection.execute("UPDATE ladder_deals SET units = 7 WHERE deal = 'd1'")
            transaction.connection.execute("DELETE FROM ladder_totals WHERE deals < 0")
        (found,) = verify(board).differences
        assert "the totals that are kept of stages 'new'" in str(found)
        assert "--recount" in str(found)
        assert not verify(board, recount=True).agrees
        assert verify(board).agrees
        assert summed(board) == {("new", "EUR"): (5, 0, Decimal(16))}


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_total_of_no_deals_leaves_no_name_behind(
    kind: str, tmp_path: Path, postgres_url: str
) -> None:
    url = postgres_url if kind == "postgresql" else f"sqlite:///{tmp_path}/shop.db"
    with Board.open(lead_ladder(), url, ManualClock(START)) as board:
        shop = Shop(lead_ladder(), board.store)
        shop.tell("lead", source="ada@example.com", contact={"email": "ada@example.com"})
        shop.tell("call")
        board.forget(email="ada@example.com")
        with board.store.transaction(write=False) as transaction:
            left = tables_of(transaction.connection)
        assert "ada@example.com" not in repr(left)
        assert len(left["ladder_totals"]) == 1
        assert summed(board, Scope(stages=["talking"])) == recounted(board.deals())

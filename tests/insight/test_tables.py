"""Tables of a board: closing and reopening, baselines, removed deals, and what is refused."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from decimal import Decimal
from typing import Any

import pytest
from polars.testing import assert_frame_equal

from ladderpipe import ANY, Board, MemoryStore, Pipeline, SqliteStore, Stage, after, insight, on
from ladderpipe.errors import ClockError, PipelineChangedError, ReentrancyError
from ladderpipe.insight.frames import from_board as reading
from ladderpipe.insight.frames.schema import CHANGES, DEALS, MOVES, VISITS
from ladderpipe.ladder.guards import guard
from ladderpipe.model.clock import instant
from tests.shops import HOUR, START, Shop, lead_ladder

from .boards import assert_same_tables, rows

NOON = instant(START)


def ladder(*names: str, hours: float = 72, **status: Any) -> Pipeline:
    """Return a ladder on which ``to.x`` moves any deal into ``x``."""
    stages = [Stage(name, status=status.get(name, "open")) for name in names]
    rules = [on(f"to.{s}", into=s, out_of=ANY, opens=True, reenter=True) for s in stages]
    timer = after(hours=hours, out_of=stages[0], into=stages[1])
    return Pipeline("changing", stages=stages, rules=[*rules, timer])


def told(*stages: str, store: Any = None) -> Shop:
    """Return a shop whose deal ``d`` entered these stages, an hour between each."""
    status = {"won": "won", "paid": "won", "lost": "lost", "dead": "lost"}
    shop = Shop(ladder("a", "b", "won", "paid", "lost", "dead", **status), store or MemoryStore())
    for stage in stages:
        shop.tell(f"to.{stage}", value="100", owner=stage)
        shop.wait(1)
    return shop


@pytest.mark.parametrize(
    ("stages", "closed_after", "lost_from"),
    [
        (["a", "won"], 1, None),
        (["a", "won", "paid", "won"], 1, None),
        (["a", "won", "a", "won"], 3, None),
        (["a", "won", "a"], None, None),
        (["a", "b", "lost"], 2, "b"),
        (["a", "b", "lost", "dead"], 3, "b"),
        (["a", "lost", "b", "dead"], 3, "b"),
        (["a", "lost", "won"], 2, None),
        (["a", "won", "lost"], 2, "won"),
        (["lost"], 0, None),
    ],
)
def test_closing_is_kept_from_won_to_won_and_cleared_by_reopening(
    stages: list[str], closed_after: int | None, lost_from: str | None
) -> None:
    shop = told(*stages)
    (row,) = insight.deals(shop.board).to_dicts()
    assert row["closed_at"] == (None if closed_after is None else NOON + closed_after * HOUR)
    assert row["lost_from"] == lost_from
    deal = shop.board.deal("d")
    assert (row["closed_at"], row["lost_from"]) == (deal.closed_at, deal.lost_from)


def test_tables_of_no_deals_have_all_their_columns() -> None:
    tables = insight.tables(Shop(lead_ladder(), MemoryStore()).board)
    for name, columns in [
        ("deals", DEALS),
        ("visits", VISITS),
        ("moves", MOVES),
        ("changes", CHANGES),
    ]:
        frame = getattr(tables, name)
        assert frame.is_empty()
        assert dict(frame.schema) == columns


def test_a_timer_that_nobody_swept_has_fired_and_is_not_recorded() -> None:
    shop = Shop(lead_ladder(), MemoryStore())
    shop.tell("lead")
    shop.wait(100)
    _, fired = insight.moves(shop.board).to_dicts()
    assert (fired["trigger"], fired["at"], fired["recorded_at"]) == (
        "timer",
        NOON + 72 * HOUR,
        None,
    )
    shop.board.tick()
    _, fired = insight.moves(shop.board).to_dicts()
    assert fired["recorded_at"] == shop.clock.now()
    assert shop.board.deal("d").stage == insight.deals(shop.board)["stage"][0] == "cold"


def test_a_late_event_changes_the_past_and_not_what_was_believed_of_it() -> None:
    shop = Shop(lead_ladder(), MemoryStore())
    shop.tell("lead")
    shop.wait(80)
    shop.board.tick()
    monday = shop.clock.now()
    shop.wait(1)
    shop.tell("order", hours=-20)
    assert insight.deals(shop.board, as_of=monday)["stage"].to_list() == ["won"]
    assert insight.deals(shop.board, believed_at=monday)["stage"].to_list() == ["cold"]


def test_who_made_a_move_is_told_apart() -> None:
    shop = Shop(lead_ladder(), MemoryStore())
    shop.board.move("d", "new", by="Ada")
    shop.wait(1)
    shop.tell("call")
    shop.wait(50)
    shop.board.override("d", "won", by="Ada")
    triggers = insight.moves(shop.board)["trigger"].to_list()
    assert triggers == ["hand", "event", "timer", "override"]


def test_deals_that_wait_for_their_opening_are_in_no_table() -> None:
    shop = Shop(lead_ladder(), MemoryStore())
    shop.tell("call")
    tables = insight.tables(shop.board)
    assert tables.deals.is_empty()
    assert tables.changes.is_empty()
    assert tables.notes == ()


def test_removed_deals_are_counted_and_not_told() -> None:
    shop = Shop(lead_ladder(), MemoryStore())
    for deal in ("one", "two"):
        shop.tell("lead", deal)
        shop.tell("order", deal, hours=0)
    shop.board.remove("one")
    tables = insight.tables(shop.board)
    assert tables.deals["deal"].to_list() == ["two"]
    assert tables.removed == 1
    (note,) = tables.notes
    assert note["en"].endswith("not counted: 1.")


# -- baselines ----------------------------------------------------------------------------------


@pytest.fixture
def migrated() -> Shop:
    """Return a shop whose stage ``b`` became ``bb`` five hours after the opening."""
    shop = told("a", "b", "won", "a", "b")
    changed = ladder(
        "a", "bb", "won", "paid", "lost", "dead", won="won", paid="won", lost="lost", dead="lost"
    )
    found = Shop(changed, shop.store, start=shop.clock.now().isoformat(), adopting=True)
    found.board.migrate({"b": changed.stage("bb")})
    found.wait(1)
    found.tell("to.won", value="300", owner="Bea")
    return found


def test_moves_before_a_baseline_are_the_stored_ones(migrated: Shop) -> None:
    tables = insight.tables(migrated.board)
    assert tables.visits["stage"].to_list() == ["a", "bb", "won", "a", "bb", "won"]
    assert tables.moves["recorded_at"].null_count() == 0
    (deal,) = tables.deals.to_dicts()
    stored = migrated.board.deal("d")
    assert (deal["closed_at"], deal["visit"]) == (stored.closed_at, stored.visit)


@pytest.mark.parametrize("hours", [0, 0.5, 1, 2, 2.5, 3, 4, 5, 5.5])
def test_an_instant_before_a_baseline_is_told_by_the_stored_rows(
    migrated: Shop, hours: float
) -> None:
    as_of = NOON + hours * HOUR
    before = insight.tables(migrated.board, as_of=as_of)
    assert_same_tables(before, insight.tables(migrated.board).at(as_of))
    (deal,) = before.deals.to_dicts()
    assert deal["stage"] == ["a", "bb", "won", "a", "bb", "bb"][int(hours)]
    assert deal["owner"] == ["a", "b", "won", "a", "b", "b"][int(hours)]


def test_a_belief_before_a_baseline_is_told_by_the_rows_stored_then(migrated: Shop) -> None:
    tables = insight.tables(migrated.board, believed_at=NOON + 3.5 * HOUR)
    assert tables.visits["stage"].to_list() == ["a", "bb", "won", "a"]


def test_what_came_too_late_for_its_baseline_is_in_the_tables_from_where_that_stands(
    migrated: Shop,
) -> None:
    before = insight.tables(migrated.board)
    receipt = migrated.tell("to.bb", hours=-5.5, value="1", owner="Cleo")
    assert receipt.late
    tables = insight.tables(migrated.board)
    assert tables.moves.rows() == before.moves.rows()
    deal = migrated.board.deal("d")
    assert tables.deals["owner"].to_list() == [deal.owner]
    assert tables.deals["value"].to_list() == [deal.value]


def test_forgetting_a_person_changes_no_stage_and_no_value() -> None:
    shop = told("a", "b")
    shop.tell("to.a", contact={"name": "Ada Rossi", "email": "ada@example.com"}, title="Ada Rossi")
    shop.wait(1)
    before = insight.tables(shop.board)
    shop.board.forget(email="ada@example.com")
    after = insight.tables(shop.board)
    assert_same_tables(after, before, but=["title"])
    assert "Ada Rossi" not in after.deals["title"].to_list()


# -- what is refused, and what goes wrong -------------------------------------------------------


def test_there_are_no_tables_of_the_future() -> None:
    board = told("a").board
    later = board.clock.now() + HOUR
    with pytest.raises(ClockError, match="lies after the board's clock"):
        insight.tables(board, as_of=later)
    with pytest.raises(ClockError, match="lies after the board's clock"):
        insight.tables(board, believed_at=later)
    with pytest.raises(ClockError, match="lies after believed_at"):
        insight.tables(board, as_of=NOON + HOUR, believed_at=NOON)
    with pytest.raises(ClockError, match="these tables end at"):
        insight.tables(board, as_of=NOON).at(NOON + HOUR)


def test_a_board_with_another_definition_than_the_store_gets_no_tables() -> None:
    shop = told("a")
    other = Board(ladder("a", "b", "c"), store=shop.store, clock=shop.clock, adopting=True)
    with pytest.raises(PipelineChangedError, match=r"finish board\.migrate"):
        insight.tables(other)


def test_a_hook_cannot_read_tables() -> None:
    pipeline = lead_ladder()
    shop = Shop(pipeline, MemoryStore())
    seen: list[str] = []

    def hook(ctx: Any) -> None:
        with pytest.raises(ReentrancyError):
            insight.tables(shop.board)
        seen.append("refused")

    hooked = lead_ladder()
    hooked.move_into(hooked.stage("new"))(hook)
    Shop(hooked, MemoryStore()).tell("lead")
    assert seen == ["refused"]


def test_a_deal_that_cannot_be_folded_stays_as_it_is_stored_and_is_named() -> None:
    broken = False

    def fragile(deal: Any, event: Any) -> bool:
        if broken and deal.owner == "bad":
            raise RuntimeError("no")
        return True

    new, cold = Stage("new"), Stage("cold", status="abandoned")
    pipeline = Pipeline(
        "fragile",
        stages=[new, cold],
        rules=[
            on("lead", into=new, opens=True),
            after(hours=1, out_of=new, into=cold, when=guard(fragile)),
        ],
    )
    shop = Shop(pipeline, MemoryStore())
    shop.tell("lead", "bad", owner="bad", value="7")
    shop.tell("lead", "good")
    shop.wait(2)
    broken = True
    tables = insight.tables(shop.board)
    assert dict(tables.deals.select("deal", "stage").rows()) == {"bad": "new", "good": "cold"}
    (problem,) = tables.problems
    assert str(problem).startswith("deal 'bad': the guard of rule")


def test_all_pages_see_one_snapshot(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "PAGE", 2)
    shop = Shop(lead_ladder(), SqliteStore(tmp_path / "shop.db"))
    for number in range(5):
        shop.tell("lead", f"d{number}")
    writer = Shop(lead_ladder(), SqliteStore(tmp_path / "shop.db"))
    heard: list[tuple[int, int]] = []

    def write(done: int, total: int) -> None:
        heard.append((done, total))
        writer.tell("order", f"d{5 - done}")
        writer.tell("lead", f"new-{done}")

    tables = insight.tables(shop.board, progress=write)
    assert heard == [(2, 5), (4, 5), (5, 5)]
    assert tables.deals["stage"].to_list() == ["new"] * 5
    assert len(insight.deals(shop.board)) == 8


def test_values_have_every_decimal_place_that_an_event_may_tell() -> None:
    shop = Shop(lead_ladder(), MemoryStore())
    told = ["1.0000000005", "-0.0000000001", "999999999999999.9999999999"]
    for deal, value in enumerate(told):
        shop.tell("lead", f"d{deal}", value=value)
    values = insight.deals(shop.board)["value"].to_list()
    assert values == [Decimal(value) for value in told]


def test_who_has_no_polars_is_told_what_to_install() -> None:
    code = (
        "import sys; sys.modules['polars'] = None\n"
        "try:\n    import ladderpipe.insight\n"
        "except ImportError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install '.[insight]'" in done.stdout


def test_instants_may_be_text() -> None:
    board = told("a", "b").board
    as_of = (NOON + dt.timedelta(minutes=30)).isoformat()
    assert_frame_equal(insight.deals(board, as_of=as_of), insight.tables(board).at(as_of).deals)
    assert rows(insight.visits(board, as_of=as_of), deal="d")[0]["stage"] == "a"

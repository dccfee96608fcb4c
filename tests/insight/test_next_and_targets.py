"""Articles in carts, targets, what to do next, time deal by deal: against calculations by hand."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ladderpipe import Board, Event, ManualClock, Pipeline, Stage, after, do, insight, on, wait
from ladderpipe.errors import DefinitionError
from ladderpipe.templates import sales_management
from tests.insight.lives import LADDER, START, Life, life, lives, tables_of

NOW = "2026-01-05T09:00Z"

LINES = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c"]),
        st.sampled_from(["A", "B", "C"]),
        st.integers(1, 5),
        st.sampled_from([None, "0.10", "19.99", "1000"]),
    ),
    unique_by=lambda line: line[1],
    max_size=3,
)


def shop(carts: dict[str, list[tuple[str, str, int, str | None]]]) -> Board:
    """Return a shop with these carts: deal, SKU, quantity, price."""
    board = Board(sales_management(), clock=ManualClock(NOW))
    for deal, lines in carts.items():
        told = [
            {"sku": sku, "title": f"Article {sku}", "quantity": many, "unit_price": price}
            for _, sku, many, price in lines
        ]
        data = {"cart": {"currency": "EUR", "lines": told}}
        board.handle(Event("cart.updated", deal=deal, id=deal, at=NOW, data=data))
    return board


@settings(max_examples=40, deadline=None)
@given(carts=st.dictionaries(st.sampled_from(["d1", "d2", "d3", "d4"]), LINES, max_size=4))
def test_what_lies_in_the_carts_is_counted_article_by_article(carts: Any) -> None:
    board = shop(carts)
    open_deals = {deal.id for deal in board.deals()}
    expected: dict[str, tuple[int, int, Decimal | None]] = {}
    for deal, lines in carts.items():
        for _, sku, many, price in lines if deal in open_deals else []:
            held, number, value = expected.get(sku, (0, 0, None))
            worth = None if price is None else many * Decimal(price)
            both = value if worth is None else worth if value is None else value + worth
            expected[sku] = (held + 1, number + many, both)
    found = {
        row["sku"]: (row["deals"], int(row["quantity"]), row["value"])
        for row in insight.articles(board).table.to_dicts()
    }
    assert found == expected


def test_an_article_without_a_price_is_counted_and_worth_nobody_knows_what() -> None:
    board = shop({"d": [("", "A", 2, None), ("", "B", 1, "10")]})
    report = insight.articles(board)
    assert report.table.select("article", "quantity", "value", "share").rows() == [
        ("Article B", Decimal(1), Decimal(10), 1.0),
        ("Article A", Decimal(2), None, None),
    ]
    assert report.notes[0]["en"].startswith("1 line has no price")
    chart: Any = report.chart("it")
    assert chart.to_dict()


def test_what_was_bought_does_not_lie_in_a_cart() -> None:
    board = shop({"d": [("", "A", 2, "5")], "e": [("", "A", 1, "5")]})
    board.handle(Event("order.confirmed", deal="d", id="o", at=NOW))
    assert insight.articles(board).table["quantity"].to_list() == [1]
    assert insight.articles(board, status="won").table["quantity"].to_list() == [2]
    with pytest.raises(DefinitionError, match="status='bought'"):
        insight.articles(board, status="bought")  # type: ignore[arg-type]


def busy() -> Board:
    """Return a board with a deal that has a task, one with a timer, one with nothing, one won."""
    todo = Stage(
        "todo", sequence=[do("task", title="Call"), wait(days=3), do("task", title="Call again")]
    )
    timed, idle = Stage("timed"), Stage("idle", title={"en": "Idle", "it": "Ferma"})
    won = Stage("won", status="won")
    rules = [on(f"to.{s}", into=s, opens=True) for s in (todo, timed, idle, won)]
    rules.append(after(days=30, out_of=timed, into=idle))
    pipeline = Pipeline("busy", stages=[todo, timed, idle, won], rules=rules)
    clock = ManualClock(NOW)
    board = Board(pipeline, clock=clock)
    for deal, stage, owner in (
        ("a", "todo", "Ada"), ("b", "timed", "Ada"), ("c", "idle", "Bo"), ("d", "won", "Bo"),
        ("e", "todo", None), ("f", "todo", "Ada"),
    ):  # fmt: skip
        at = clock.now()
        data = {"owner": owner, "value": "10", "currency": "EUR"}
        board.handle(Event(f"to.{stage}", deal=deal, id=deal, at=at, data=data))
        clock.advance(hours=24)
        board.tick()
    return board


def test_an_open_deal_without_task_or_timer_has_no_next_step() -> None:
    report = insight.no_next_step(busy())
    # Six deals, a day between each; c was told on the third day, and it is the end of the sixth.
    assert report.table.select("deal", "stage", "owner", "idle_days").rows() == [
        ("c", "idle", "Bo", 4.0),
    ]
    assert report.printed("it")["Fase"].to_list() == ["Ferma"]


def test_open_tasks_are_counted_by_owner_and_by_when_they_are_due() -> None:
    board = busy()
    now = board.clock.now()
    by_hand: dict[str | None, list[dt.timedelta]] = {}
    for task in board.tasks():
        by_hand.setdefault(task.owner, []).append(task.due_at - now)
    rows = {row["owner"]: row for row in insight.open_tasks(board).table.to_dicts()}
    assert set(rows) == set(by_hand) == {"Ada", None}
    day, none = dt.timedelta(days=1), dt.timedelta()
    for owner, waits in by_hand.items():
        row = rows[owner]
        assert row["tasks"] == len(waits)
        assert row["overdue"] == sum(w < none for w in waits) > 0
        assert row["due_soon"] == sum(none <= w <= day for w in waits)
        assert row["due_later"] == sum(w > day for w in waits)
        assert row["longest_days"] == -min(waits) / day
    chart: Any = insight.open_tasks(board).chart("en")
    assert chart.to_dict()


WON = [
    life("a", (0, "new"), (48, "won"), value=Decimal(600), currency="EUR", owner="Ada"),
    life("b", (0, "new"), (72, "won"), value=Decimal(150), currency="EUR", owner="Ada"),
    life("c", (0, "new"), (72, "won"), currency="EUR", owner="Ada"),
    life("d", (0, "new"), (72, "won"), value=Decimal(99), currency="EUR", owner="Bo"),
    life("e", (0, "new"), (24 * 31, "won"), value=Decimal(7), currency="EUR", owner="Ada"),
    life("f", (0, "new"), (72, "won"), (96, "new"), value=Decimal(1), currency="EUR", owner="Ada"),
]
JANUARY, FEBRUARY = dt.date(2026, 1, 1), dt.date(2026, 2, 1)


def test_targets_are_held_against_what_each_won_in_the_period() -> None:
    wanted = [
        {"start": JANUARY, "owner": "Ada", "target": "1000"},
        {"start": FEBRUARY, "owner": "Ada", "target": 5},
        {"start": FEBRUARY, "owner": "Cy", "target": Decimal("10.50")},
    ]
    report = insight.targets(tables_of(WON), wanted)  # type: ignore[arg-type]
    columns = ("start", "owner", "target", "won_value", "share", "missing", "won", "valued")
    assert report.table.select(columns).rows() == [
        (JANUARY, "Ada", Decimal(1000), Decimal(750), 0.75, Decimal(250), 3, 2),
        (JANUARY, "Bo", None, Decimal(99), None, None, 1, 1),
        (FEBRUARY, "Ada", Decimal(5), Decimal(7), 1.4, Decimal(0), 1, 1),
        (FEBRUARY, "Cy", Decimal("10.5"), Decimal(0), 0.0, Decimal("10.5"), 0, 0),
    ]
    assert report.notes[-1]["en"].startswith("1 won deal has no value")
    chart: Any = report.chart("it")
    assert chart.to_dict()


@settings(max_examples=40, deadline=None)
@given(deals=lives())
def test_what_came_is_the_sum_of_what_was_won_by_each_in_each_quarter(deals: list[Life]) -> None:
    tables = tables_of(deals)
    by_hand: dict[tuple[Any, Any], Decimal] = {}
    for deal in tables.deals.to_dicts():
        if deal["status"] == "won" and deal["value"] is not None and deal["currency"] == "EUR":
            key = (deal["owner"], (deal["closed_at"].month - 1) // 3)
            by_hand[key] = by_hand.get(key, Decimal(0)) + deal["value"]
    wanted = pl.DataFrame(
        {"start": [JANUARY], "owner": ["Ada"], "target": ["1"], "currency": ["EUR"]}
    )
    table = insight.targets(tables, wanted, every="quarter").table.filter(currency="EUR")
    found = {(row["owner"], 0): row["won_value"] for row in table.to_dicts() if row["won_value"]}
    assert found == {key: value for key, value in by_hand.items() if key[1] == 0 and value}


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        ([{"start": JANUARY, "owner": "Ada"}], "targets without target"),
        ([{"start": JANUARY, "owner": "Ada", "target": "much"}], "cannot be read"),
        ([{"start": JANUARY, "owner": "Ada", "target": 1}] * 2, "two targets for 'Ada'"),
        ([{"start": JANUARY, "owner": "Ada", "target": 1}], "name no currency"),
    ],
)
def test_targets_that_say_too_little_are_refused(wanted: Any, why: str) -> None:
    dollars = life("usd", (0, "new"), value=Decimal(1), currency="USD")
    deals = [*WON, dollars] if "currency" in why else WON
    with pytest.raises(DefinitionError, match=why):
        insight.targets(tables_of(deals), wanted)


@settings(max_examples=40)
@given(deals=lives())
def test_time_in_each_stage_adds_up_to_the_age_of_the_deal(deals: list[Life]) -> None:
    tables = tables_of(deals)
    table = insight.time_per_deal(tables).table
    by_deal = {one.deal: one for one in deals}
    for row in table.to_dicts():
        stays = by_deal[row["deal"]].stays
        ends = [*(at for at, _ in stays[1:]), 24.0 * 60]
        for stage in LADDER:
            # A stay of no length is in no report.
            hours = [
                end - at
                for (at, there), end in zip(stays, ends, strict=True)
                if there == stage and end > at
            ]
            told = row[f"days_in_{stage.key}"]
            assert told == (pytest.approx(sum(hours) / 24) if hours else None)
        age = tables.as_of - START - dt.timedelta(hours=stays[0][0])
        assert row["total_days"] == pytest.approx(age / dt.timedelta(days=1))


def test_the_page_says_what_is_to_be_done_and_what_lies_in_the_carts() -> None:
    page = insight.page(busy(), forecasts=False, targets=[
        {"start": JANUARY, "owner": "Bo", "target": 100},
    ])  # fmt: skip
    for key in ("open_tasks", "no_next_step", "targets"):
        assert f'<article id="{key}"' in page
    carts = insight.page(shop({"d": [("", "A", 2, "5")]}), forecasts=False, language="it")
    assert '<article id="articles"' in carts
    then = insight.page(busy(), as_of=NOW, forecasts=False)
    assert "open_tasks" not in then, "of an earlier instant nobody knows what was to be done"


def test_several_pipelines_stand_on_one_page_each_with_its_own_links() -> None:
    page = insight.page([busy(), tables_of(WON)], forecasts=False)
    assert page.count("<h1>") == 2
    assert '<article id="p1-summary"' in page
    assert '<article id="p2-summary"' in page
    assert '<a href="#p2-summary"' in page

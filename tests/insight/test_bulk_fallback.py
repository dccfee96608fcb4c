"""What a bulk replay leaves to the ordinary fold, and that it says so."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import polars as pl
import pytest

from ladderpipe import Board, Event, ManualClock, Pipeline
from ladderpipe.errors import EventConflictError, InvalidEventError
from ladderpipe.insight.bulk import can_replay_in_columns, replay
from ladderpipe.insight.bulk.columnar import ALWAYS_STEPPED, WORTH_A_STEP
from ladderpipe.insight.bulk.fallback import events_of
from ladderpipe.ladder.guards import cart_has_items
from ladderpipe.ladder.rules import after, on
from ladderpipe.model.stage import Stage
from ladderpipe.templates import crm_default, kanban, new_to_won, prospecting, sales_management
from tests.insight.bulk_frames import WAYS, folded_in, told_by_the_fold, told_in_bulk
from tests.ladders import SHOP, LongAgo, sales_ladder
from tests.unit.ladders import everything

START = dt.datetime(2026, 1, 5, 9, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)
LINE = {"sku": "NB-15", "quantity": 1, "unit_price": "899.00"}


@pytest.fixture(params=WAYS, autouse=True)
def way(request: pytest.FixtureRequest) -> Iterator[str]:
    with folded_in(request.param):
        yield request.param


def added(deal: str, n: int, **line: Any) -> Event:
    return told("cart.item_added", deal, n, line={**LINE, **line})


def told(kind: str, deal: str, n: int, **data: Any) -> Event:
    return Event(kind, deal=deal, id=f"{deal} {n}", at=START + n * MINUTE, data=data)


def assert_one_by_one(count: int, events: list[Event], pipeline: Pipeline | None = None) -> None:
    pipeline = pipeline or sales_ladder()
    replayed = replay(pipeline, events, workers=1)
    assert replayed.columnar
    assert replayed.one_by_one == count
    assert told_in_bulk(replayed) == told_by_the_fold(pipeline, events)


def test_a_timer_on_a_calendar_is_left_to_the_ordinary_fold() -> None:
    new, old = Stage("new"), Stage("old", status="abandoned")
    ladder = Pipeline(
        "p",
        stages=[new, old],
        rules=[
            on("came", into=new, opens=True),
            after(hours=2, calendar=SHOP, out_of=new, into=old, key="late"),
        ],
    )
    assert can_replay_in_columns(ladder) == ["the timer of rule 'late' counts on a calendar"]
    events = [told("came", f"d{n}", 97 * n) for n in range(40)]
    replayed = replay(ladder, events)
    assert not replayed.columnar
    assert told_in_bulk(replayed) == told_by_the_fold(ladder, events)


@pytest.mark.parametrize(
    "template", [crm_default, kanban, new_to_won, prospecting, sales_management]
)
def test_every_template_can_be_replayed_in_columns(template: Any) -> None:
    assert can_replay_in_columns(template()) == []


def test_functions_and_timers_of_ones_own_are_named_as_the_reason() -> None:
    reasons = can_replay_in_columns(everything())
    assert [reason for reason in reasons if "count_visits" in reason]
    assert [reason for reason in reasons if "has a function in it" in reason]
    assert [reason for reason in reasons if "is a class of your own" in reason]


def test_a_stage_that_requires_a_title_is_left_to_the_ordinary_fold() -> None:
    new, named = Stage("new"), Stage("named", requires=["title"])
    pipeline = Pipeline("p", stages=[new, named], rules=[on("a", into=new, opens=True)])
    assert "requires a title" in can_replay_in_columns(pipeline)[0]


def test_a_ladder_with_a_function_takes_the_ordinary_fold_and_says_so() -> None:
    new, old = Stage("new"), Stage("old")
    rules = [on("cart.item_added", into=new, opens=True), after(LongAgo(), into=old)]
    pipeline = Pipeline("p", stages=[new, old], rules=rules)
    events = [added("a", 0), added("b", 1), added("a", 2)]
    replayed = replay(pipeline, events)
    assert not replayed.columnar
    assert "is a class of your own" in replayed.why_not[0]
    assert replayed.one_by_one == 2
    assert told_in_bulk(replayed) == told_by_the_fold(pipeline, events)


def test_a_cart_emptied_after_the_order_stays_in_columns_and_keeps_its_value() -> None:
    events = [added("a", 0), told("order.confirmed", "a", 1), told("cart.emptied", "a", 2)]
    assert_one_by_one(0, events)
    assert replay(sales_ladder(), events).deals["value"].to_list() == [899]


def test_an_amount_finer_than_the_columns_hold_takes_the_ordinary_fold() -> None:
    assert_one_by_one(1, [added("a", 0, unit_price="0.00001"), added("b", 1)])


@pytest.mark.parametrize("price", ["900719925474", "-900719925474"])
def test_a_value_larger_than_the_columns_hold_takes_the_ordinary_fold(price: str) -> None:
    assert_one_by_one(1, [added("a", 0, unit_price=price, quantity=5_000), added("b", 1)])


def test_a_cart_of_very_many_lines_takes_the_ordinary_fold() -> None:
    many = [added("a", n, sku=f"sku {n}") for n in range(70)]
    fewer = [added("b", n, sku=f"sku {n}") for n in range(60)]
    assert_one_by_one(1, [*many, *fewer])


def test_a_whole_cart_of_many_lines_is_put_in_columns() -> None:
    lines = [{**LINE, "sku": f"sku {n}", "quantity": n % 3} for n in range(50)]
    assert_one_by_one(0, [added("a", 0), told("cart.updated", "a", 1, cart={"lines": lines})])


def test_deals_much_longer_than_the_others_are_not_worth_a_step_of_all(way: str) -> None:
    long = [added("long", n) for n in range(ALWAYS_STEPPED + 1)]
    others = [added(f"deal {n}", 0) for n in range(WORTH_A_STEP + 1)]
    assert_one_by_one(1 if way == "steps" else 0, [*long, *others])


def test_an_event_that_cannot_be_used_is_set_aside_as_the_fold_does_it() -> None:
    nobody = told("cart.emptied", "a", 1, owner=5)
    nothing = told("cart.item_added", "b", 0)
    found = replay(sales_ladder(), [added("a", 2), nobody, nothing])
    assert [aside.event for aside in found.aside] == [nobody, nothing]
    assert_one_by_one(2, [added("a", 2), nobody, nothing])


def test_what_columns_do_not_hold_takes_the_ordinary_fold() -> None:
    """Parts that cannot be read, two currencies, two prices, refunds, carts given back."""
    line = {"sku": "A", "unit_price": "10"}
    assert_one_by_one(1, [added("a", 0), added("a", 1, quantity=-1)])
    euros = told("cart.item_added", "a", 0, line=LINE, currency="EUR")
    assert_one_by_one(1, [euros, told("note", "a", 1, value=5, currency="USD")])
    two_prices = {"lines": [line, {**line, "unit_price": "8"}]}
    assert_one_by_one(1, [told("cart.updated", "a", 0, cart=two_prices)])
    assert_one_by_one(1, [added("a", 0), told("order.refunded", "a", 1)])
    emptied = [added("a", 0), told("cart.emptied", "a", 1)]
    assert_one_by_one(1, [*emptied, told("order.placed", "a", 2)])
    assert_one_by_one(0, [added("a", 0), told("order.confirmed", "a", 2, value="12")])


def test_of_many_deals_only_those_that_were_merged_take_the_ordinary_fold() -> None:
    merged = Stage("merged", status="merged")
    ladder = sales_ladder().extended(stages=[merged], rules=[on("cart.merged", into=merged)])
    into_another = [added("a", 0), told("cart.merged", "a", 1, into="b")]
    into_itself = [added("b", 0), told("cart.merged", "b", 1, into="b")]
    others = [added(f"deal {n}", 0) for n in range(50)]
    assert_one_by_one(2, [*into_another, *into_itself, *others], ladder)


def test_one_identity_with_two_contents_is_refused() -> None:
    first = added("a", 0)
    with pytest.raises(EventConflictError):
        replay(sales_ladder(), [first, attrs.evolve(first, data={"line": {"sku": "other"}})])


def test_one_identity_in_two_deals_names_two_events_of_two_histories() -> None:
    assert_one_by_one(0, [added("a", 0), attrs.evolve(added("a", 0), deal="b")])


def test_deals_with_a_baseline_take_the_ordinary_fold() -> None:
    """Forgetting a person wrote one; the visit that it carries on is there too."""
    clock = ManualClock(START)
    board = Board(sales_ladder(), clock=clock)
    board.handle(told("cart.item_added", "a", 0, line=LINE, contact={"email": "ada@example.com"}))
    board.forget(email="ada@example.com")
    clock.advance(hours=1)
    board.handle(told("order.confirmed", "a", 60))
    assert board.handle(told("cart.saved", "a", -1, owner="Bea")).late
    stored = [*board.events("a"), added("b", 1)]
    assert "ladder.baseline" in {event.type for event in stored}
    assert_one_by_one(1, stored)


def test_a_blocked_timer_that_an_event_puts_off_waits_anew() -> None:
    new, quiet = Stage("new"), Stage("quiet")
    opening = on("cart.emptied", into=new, opens=True)
    timer = after(hours=1, since="activity", into=quiet, when=cart_has_items)
    pipeline = Pipeline("p", stages=[new, quiet], rules=[opening, timer])
    events = [told("cart.emptied", "a", 0), added("a", 90)]
    replayed = replay(pipeline, events, START + 200 * MINUTE)
    assert replayed.moves["at"].to_list() == [START, START + 150 * MINUTE]


def test_no_events_make_no_histories() -> None:
    replayed = replay(sales_ladder(), [])
    assert replayed.columnar
    assert not len(replayed.moves) + len(replayed.deals) + len(replayed.visits)


def test_all_cores_and_one_tell_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ladderpipe.insight.bulk.columnar.BLOCK_EVENTS", 10)
    monkeypatch.setattr("ladderpipe.insight.bulk.columnar.LEAST_DEALS", 2)
    events = [added(f"deal {n % 17}", n, sku=f"sku {n % 5}") for n in range(200)]
    one, four = (replay(sales_ladder(), events, workers=n) for n in (1, 4))
    assert told_in_bulk(one) == told_in_bulk(four) == told_by_the_fold(sales_ladder(), events)


def test_a_parquet_file_and_frames_one_after_another_tell_the_same(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {
            "deal": ["b", "a", "b"],
            "type": ["cart.item_added", "cart.item_added", "order.confirmed"],
            "at": [START, START, START + MINUTE],
            "id": ["1", "2", "3"],
            "sku": ["NB-15", "MS-01", None],
            "quantity": [1, 2, None],
            "unit_price": [899.0, 19.9, None],
        }
    )
    path = tmp_path / "events.parquet"
    frame.with_columns(pl.col("type", "sku").cast(pl.Categorical)).write_parquet(path)
    expected = told_in_bulk(replay(sales_ladder(), frame))
    assert expected["deals"][0][:3] == ("a", "quote_requested", "open")
    assert [str(row[-2]) for row in expected["deals"]] == ["39.8000000000", "899.0000000000"]
    assert told_in_bulk(replay(sales_ladder(), path)) == expected
    assert told_in_bulk(replay(sales_ladder(), [frame[:1], frame[1:]])) == expected
    assert told_in_bulk(replay(sales_ladder(), frame.lazy())) == expected


def test_names_are_categories_and_deals_and_identities_are_texts() -> None:
    """Whichever way they went, and where no deal was opened at all."""
    plain, refunded = [added("a", 0)], [added("b", 0), told("order.refunded", "b", 1)]
    named = {"out_of", "into", "rule", "trigger", "event_type", "event_source"}
    for events in ([], plain, refunded, plain + refunded):
        found = replay(sales_ladder(), events)
        assert {n for n, kind in found.moves.schema.items() if kind == pl.Categorical} == named
        assert found.moves.schema["deal"] == found.moves.schema["event_id"] == pl.String
        assert found.deals.schema["stage"] == found.visits.schema["stage"] == pl.Categorical


def test_replays_of_different_ladders_and_files_are_put_together() -> None:
    sales = replay(sales_ladder(), [added("a", 0)])
    others = replay(new_to_won(), [told("lead.created", "b", 0)])
    assert len(pl.concat([sales.deals, others.deals])) == len(sales.deals) + len(others.deals)
    assert sales.moves.filter(into="quote_requested")["into"].to_list() == ["quote_requested"]


@pytest.mark.parametrize(
    "kind",
    [
        pl.String,
        pl.Categorical,
        pl.Categorical(pl.Categories("a shop's", "tests")),
        pl.Enum(["unused", "", "Käse", "b", "𝔫", "1", "2", "3", "MS-01", "NB-15", "EUR", "nie"]),
    ],
)
def test_texts_may_be_categories_of_any_kind(kind: Any) -> None:
    columns = {
        "deal": ["𝔫", "b", "Käse", "b", "Käse"],
        "id": ["1", "1", "1", "2", "3"],
        "source": ["", "Käse", "b", "Käse", ""],
        "sku": ["NB-15", None, "MS-01", "NB-15", None],
        "currency": [None, "EUR", None, None, "EUR"],
    }
    texts = pl.DataFrame(columns).with_columns(
        at=pl.Series([START + n * MINUTE for n in range(5)]),
        type=pl.Series([f"cart.item_{n}" for n in ("added", "seen", "added", "added", "seen")]),
        seq=pl.Series([0] * 5),
        quantity=pl.Series([2, None, 3, 1, None]),
        unit_price=pl.Series([1.5, None, 2.25, 0.1, None]),
    )
    coded = texts.with_columns(pl.col(*columns).cast(kind))
    expected = told_by_the_fold(sales_ladder(), events_of(texts))
    replayed = replay(sales_ladder(), coded)
    assert replayed.one_by_one == 0
    assert told_in_bulk(replayed) == expected
    parts = [texts[:2].with_columns(pl.col(*columns).cast(kind)), coded[2:]]
    assert told_in_bulk(replay(sales_ladder(), parts)) == expected


GOOD = pl.DataFrame({"deal": ["a"], "type": ["cart.emptied"], "at": [START], "id": ["1"]})


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (GOOD.drop("id"), "no column id"),
        (GOOD.with_columns(pl.col("at").dt.replace_time_zone(None)), "names no instants"),
        (GOOD.with_columns(pl.col("at").dt.cast_time_unit("ns")), "nanoseconds"),
        (GOOD.with_columns(id=pl.lit(7)), "cast it to text"),
        (GOOD.with_columns(deal=pl.lit(None, pl.String)), "no deal"),
        (GOOD.with_columns(deal=pl.lit("")), "empty"),
        (GOOD.with_columns(sku=pl.lit("A"), data=pl.lit("{}")), "drop one"),
        (GOOD.with_columns(value=pl.lit(True)), "cast it to numbers"),
        (GOOD.with_columns(data=pl.lit("{")), "is no JSON"),
        (["no event"], "neither events nor frames"),
    ],
)
def test_columns_that_cannot_be_events_are_refused(frame: Any, said: str) -> None:
    with pytest.raises(InvalidEventError, match=said):
        replay(sales_ladder(), frame)


def test_a_ladder_that_asks_very_much_is_left_to_the_ordinary_fold() -> None:
    stages = [Stage("new"), *(Stage(f"s{n}", requires=[f"p{n}"]) for n in range(13))]
    rules = [on("a", into=stage, opens=True, when=cart_has_items) for stage in stages]
    pipeline = Pipeline("p", stages=stages, rules=rules)
    assert "14 different questions" in can_replay_in_columns(pipeline)[0]

"""What Spark is not asked, what it is refused, and that nothing is lost without a word."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from ladderpipe import Deal, Event, Pipeline, Stage, insight
from ladderpipe import on as on_event
from ladderpipe import spark as on
from ladderpipe.errors import DefinitionError, InvalidEventError
from ladderpipe.templates import sales_management

from .frames import collected, on_spark, replayed

SHOP = sales_management()
NEW = Stage("new")
AT = dt.datetime(2026, 1, 5, 9, tzinfo=dt.UTC)
GOOD = {
    "deal": "'d'",
    "type": "'order.confirmed'",
    "at": "timestamp'2026-01-05T09:00:00Z'",
    "id": "'e1'",
}


def of(spark: Any, **columns: str) -> Any:
    """Return a frame of one event; an expression of Spark's for each column, none for ``""``."""
    told = {**GOOD, **columns}
    return spark.range(1).selectExpr(
        *(f"{what} AS `{name}`" for name, what in told.items() if what)
    )


def test_a_good_event_is_good(spark: Any) -> None:
    assert on.fold(of(spark, seq="3", source="'shop'", data="'{}'"), SHOP).count() == 1


@pytest.mark.parametrize("name", GOOD)
def test_a_column_that_is_missing_is_named(spark: Any, name: str) -> None:
    with pytest.raises(InvalidEventError, match=f"have no column {name}:"):
        on.fold(of(spark, **{name: ""}), SHOP)


@pytest.mark.parametrize(
    ("name", "what", "words"),
    [
        ("deal", "7", "deal is int: cast it to text"),
        ("id", "named_struct('a', 1)", "id is struct<a:int>: cast it to text"),
        ("type", "null", "type is void: cast it to text"),
        ("at", "'2026-01-05T09:00:00Z'", "at is string: cast it to a timestamp"),
        ("at", "timestamp_ntz'2026-01-05 09:00:00'", "at is timestamp_ntz: cast it to a timestamp"),
        ("at", "date'2026-01-05'", "at is date: cast it to a timestamp"),
        ("seq", "1.5", r"seq is decimal\(2,1\): cast it to whole numbers"),
        ("source", "1", "source is int: cast it to text"),
        ("data", "map('line', 'x')", "data is map<string,string>: cast it to text"),
        ("quantity", "true", "quantity is boolean: cast it to numbers"),
        ("properties.size", "array(1)", "properties.size is array<int>: cast it to text, true or"),
        ("properties", "map('a', 'b')", "properties is .*: cast it to a column properties.NAME"),
    ],
)
def test_a_column_of_another_type_is_named(spark: Any, name: str, what: str, words: str) -> None:
    with pytest.raises(InvalidEventError, match=f"the column {words}"):
        on.fold(of(spark, **{name: what}), SHOP)


def test_data_is_told_once(spark: Any) -> None:
    with pytest.raises(InvalidEventError, match=r"data as JSON text and in columns \(owner\)"):
        on.fold(of(spark, data="'{}'", owner="'Ada'"), SHOP)


def test_what_is_no_frame_of_sparks_is_refused(spark: Any) -> None:
    frame: Any = insight.replay(SHOP, []).moves
    with pytest.raises(TypeError, match=r"a DataFrame is no frame of Spark's: insight\.replay"):
        on.fold(frame, SHOP)


def test_a_stream_is_refused(spark: Any) -> None:
    stream = spark.readStream.format("rate").load()
    with pytest.raises(ValueError, match="is a stream, of which every batch would be folded"):
        on.fold(stream, SHOP)


def test_no_buckets_and_no_such_table_are_refused(spark: Any) -> None:
    with pytest.raises(ValueError, match="0 buckets hold no deals"):
        on.fold(of(spark), SHOP, buckets=0)
    table: Any = "visits"
    with pytest.raises(ValueError, match="no table 'visits': ask for one of moves, deals, aside"):
        on.fold(of(spark), SHOP, table=table)


def action_fails(frame: Any, words: str) -> None:
    from pyspark.errors import PythonException

    with pytest.raises(PythonException, match=words):
        frame.collect()


@pytest.mark.parametrize("name", GOOD)
def test_an_event_without_one_of_them_fails_the_action(spark: Any, name: str) -> None:
    kind = "timestamp" if name == "at" else "string"
    frame = of(spark).union(of(spark, **{name: f"cast(null AS {kind})"}))
    action_fails(on.fold(frame, SHOP), rf"InvalidEventError: an event has no (instant )?\(?{name}")


def test_one_identity_with_two_contents_fails_the_action(spark: Any) -> None:
    frame = of(spark).union(of(spark, at="timestamp'2026-01-06T09:00:00Z'"))
    action_fails(on.fold(frame, SHOP), "EventConflictError")


SIZED = """
from ladderpipe import Pipeline, Stage, on
from ladderpipe.guards import guard


@guard
def is_big(deal, event):
    return event.data["size"] > 5


new = Stage("new")
ladder = Pipeline("sized", stages=[new], rules=[on("lead.came", into=new, when=is_big, opens=True)])
"""


@pytest.fixture
def sized(spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    """Return a ladder with a function, from a module that the workers have, too."""
    module = tmp_path / "sized_ladder.py"
    module.write_text(SIZED)
    monkeypatch.syspath_prepend(tmp_path)
    spark.addArtifacts(str(module), pyfile=True)
    from sized_ladder import ladder  # type: ignore[import-not-found]

    assert isinstance(ladder, Pipeline)
    return ladder


def leads(*sizes: int | str | None) -> list[Event]:
    told = [{} if size is None else {"size": size} for size in sizes]
    return [
        Event("lead.came", deal=f"d{n}", id=f"e{n}", at=AT, data=data)
        for n, data in enumerate(told)
    ]


def test_a_guard_in_a_module_is_asked_by_the_workers(spark: Any, sized: Pipeline) -> None:
    events = leads(1, 7, 9)
    moves = collected(on.fold(on_spark(spark, events), sized))
    assert moves["deal"].to_list() == ["d1", "d2"]
    assert moves.equals(replayed(insight.replay(sized, events)))


def test_events_that_cannot_be_used_fail_the_action_with_their_number(
    spark: Any, sized: Pipeline
) -> None:
    frame = on_spark(spark, leads(7, None, "x", 9))
    for table in ("moves", "deals"):
        folded = on.fold(frame, sized, buckets=1, table=table)  # type: ignore[arg-type]
        action_fails(folded, r"2 of the 4 events .* event 'e1' of deal 'd1' \(.*\), and 1 more")


def test_events_that_cannot_be_used_are_a_table_where_they_are_left_aside(
    spark: Any, sized: Pipeline
) -> None:
    events = leads(7, None, "x", 9)
    frame = on_spark(spark, events)
    one = insight.replay(sized, events)
    moves = collected(on.fold(frame, sized, strict=False))
    assert moves.equals(replayed(one))
    aside = collected(on.fold(frame, sized, table="aside"), "aside")
    assert aside["id"].to_list() == ["e1", "e2"]
    assert aside["at"].unique().to_list() == [AT]
    assert aside["reason"].to_list() == [reason for _, reason in one.aside]
    assert len(moves) + len(aside) == len(events)


def test_a_function_that_workers_cannot_import_is_refused(spark: Any) -> None:
    by_lambda = Pipeline(
        "vip",
        stages=[NEW],
        rules=[on_event("lead", into=NEW, opens=True, when=lambda deal, event: True)],
    )
    with pytest.raises(DefinitionError, match=r"'.*<lambda>' has no import path.*define it with"):
        on.fold(of(spark), by_lambda)


def test_a_module_that_workers_do_not_have_fails_the_action(
    spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "only_here.py").write_text(SIZED)
    monkeypatch.syspath_prepend(tmp_path)
    from only_here import ladder  # type: ignore[import-not-found]

    folded = on.fold(on_spark(spark, leads(7)), ladder)
    action_fails(folded, "'only_here:is_big' cannot be imported: No module named 'only_here'")


def test_hooks_stay_here(spark: Any) -> None:
    ladder = Pipeline(
        "hooked", stages=[NEW], rules=[on_event("order.confirmed", into=NEW, opens=True)]
    )
    told: list[Deal] = []

    @ladder.move_into(NEW)
    def _(ctx: Any) -> None:
        told.append(ctx.deal)

    assert on.fold(of(spark), ladder).count() == 1
    assert told == []

"""Records as Pydantic's fields: what is written is what their schema says, and is read again."""

from __future__ import annotations

import datetime as dt
import functools
import json
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Any, Literal

import attrs
import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Discriminator, Tag, TypeAdapter, ValidationError

from ladderpipe import (
    Board,
    CartLine,
    Changes,
    Consequence,
    Deal,
    Effect,
    Event,
    Explanation,
    Held,
    HeldKind,
    History,
    Identity,
    ManualClock,
    Move,
    Option,
    Outcome,
    Page,
    Pipeline,
    Receipt,
    Refusal,
    SendDecision,
    SetAside,
    Stage,
    StageTotal,
    Step,
    Task,
    TaskPage,
    Unread,
    Visit,
    Withdrawn,
    do,
    on,
)
from ladderpipe.testing import events, pipelines

NINE = "2026-01-05T09:00:00Z"
READ = (
    *(Event, Deal, CartLine, Unread, Move, Visit, History, SetAside, Withdrawn, Receipt),
    *(Identity, Effect, SendDecision, Task, Held),
)
TOLD = (Explanation, Step, Refusal, Option, Consequence, StageTotal, Page, Changes, TaskPage)
SPARSE = (Explanation, Step)
"""Of these what does not apply is not written."""
Mode = Literal["validation", "serialization"]


@functools.cache
def adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


@functools.cache
def validator(kind: Any, mode: Mode) -> jsonschema.Draft202012Validator:
    schema = adapter(kind).json_schema(mode=mode)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def as_its_schema_says(record: Any) -> Any:
    """Return what Pydantic writes, which is what the record writes, and as it was announced."""
    kind = type(record)
    told = json.loads(adapter(kind).dump_json(record))
    assert told == json.loads(json.dumps(record.to_dict())) == adapter(kind).dump_python(record)
    announced = validator(kind, "serialization")
    announced.validate(told)
    shown = announced.schema["properties"]
    assert set(told) <= set(shown) if kind in SPARSE else set(told) == set(shown)
    if kind in READ:
        validator(kind, "validation").validate(told)
    return told


def comes_back(record: Any) -> None:
    told, kind = as_its_schema_says(record), adapter(type(record))
    assert kind.validate_python(told) == record
    assert kind.validate_json(json.dumps(told)) == record
    assert kind.validate_json(json.dumps(told), strict=True) == record
    assert kind.validate_python(record) is record
    assert kind.validate_python(record, strict=True) is record
    with pytest.raises(ValidationError):
        kind.validate_python(told, strict=True)


@given(st.data(), pipelines())
def test_a_history_and_all_in_it_comes_back(data: st.DataObject, pipeline: Pipeline) -> None:
    told = data.draw(events(pipeline))
    for event in told:
        comes_back(event)
        comes_back(event.identity)
    explained = pipeline.explain(told)
    for step in (explained, *explained.steps):
        as_its_schema_says(step)
    if (history := pipeline.fold(told)) is not None:
        deal = history.deal
        parts = (*history.moves, *history.visits, *history.aside, *history.withdrawn)
        for record in (history, deal, *deal.cart, *deal.unread, *parts):
            comes_back(record)


@given(st.data(), pipelines())
def test_what_a_board_answers_comes_back(data: st.DataObject, pipeline: Pipeline) -> None:
    told = data.draw(events(pipeline))
    with Board(pipeline, clock=ManualClock(max((e.at for e in told), default=NINE))) as board:
        for event in told:
            comes_back(board.handle(event, hold=True))
        for record in (*board.effects(), *board.tasks(), *board.held()):
            comes_back(record)
        for record in (board.page(), board.changes(), board.task_page(), *board.summary()):
            as_its_schema_says(record)
        for deal in board.deals():
            for option in board.options(deal.id, by="ada"):
                as_its_schema_says(option)
                for part in (*option.refusals, *option.starts, *option.stops):
                    as_its_schema_says(part)


SPOILT = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.floats(), st.text(max_size=3), st.just({})
)


@given(st.data(), pipelines())
def test_what_the_schema_refuses_is_refused(data: st.DataObject, pipeline: Pipeline) -> None:
    """One value somewhere in a record is another one, or is not there."""
    history = pipeline.fold(data.draw(events(pipeline)))
    if history is None:
        return
    record = data.draw(st.sampled_from([history, history.deal, *history.moves, *history.visits]))
    told = json.loads(json.dumps(record.to_dict()))
    at = data.draw(st.sampled_from(list(places(told))))
    spoil(told, at, data.draw(SPOILT), gone=data.draw(st.booleans()))
    kind = type(record)
    is_valid = validator(kind, "validation").is_valid(told)
    try:
        read = adapter(kind).validate_json(json.dumps(told))
    except ValidationError:
        return
    assert is_valid, at
    as_its_schema_says(read)


def places(told: Any, *above: Any) -> Iterator[tuple[Any, ...]]:
    """Yield the place of each value within what was written."""
    inside = told.items() if isinstance(told, dict) else enumerate(told)
    for name, value in inside:
        yield (*above, name)
        if isinstance(value, dict | list):
            yield from places(value, *above, name)


def spoil(told: Any, at: tuple[Any, ...], value: Any, gone: bool) -> None:
    for name in at[:-1]:
        told = told[name]
    if gone:
        del told[at[-1]]
    else:
        told[at[-1]] = value


class Basket(BaseModel):
    """A model of an application's own."""

    told: list[Event]
    deal: Deal | None = None
    line: CartLine | Unread | None = None
    stage: Stage = Stage("new")


EVENT = Event("seen", deal="d", id="1", at=NINE)


@attrs.frozen
class SpecialEvent(Event):
    """Somebody's own kind of event."""


def test_records_are_fields_of_a_model() -> None:
    basket = Basket(told=[EVENT], line=CartLine("NB-15", Decimal(2)), stage=Stage("won"))
    assert basket.told[0] is EVENT
    assert Basket.model_validate(basket.model_dump()) == basket
    assert Basket.model_validate_json(basket.model_dump_json()) == basket
    assert basket.model_dump(mode="json")["stage"] == "won"
    schema = Basket.model_json_schema()
    assert {"Event", "Deal", "CartLine", "Unread"} <= set(schema["$defs"])
    assert schema["properties"]["told"]["items"] == {"$ref": "#/$defs/Event"}
    assert schema["$defs"]["Event"]["properties"]["at"]["format"] == "date-time"


def test_a_subclass_passes_as_it_is_and_is_read_as_itself() -> None:
    special = SpecialEvent("seen", deal="d", id="1", at=NINE)
    assert adapter(Event).validate_python(special) is special
    assert type(adapter(SpecialEvent).validate_python(EVENT.to_dict())) is SpecialEvent
    with pytest.raises(ValidationError):
        adapter(SpecialEvent).validate_python(EVENT)


def test_a_record_within_a_record_may_be_one_already() -> None:
    move = {**MOVE.to_dict(), "event": EVENT, "at": dt.datetime(2026, 1, 5, 9, tzinfo=dt.UTC)}
    assert adapter(Move).validate_python(move) == MOVE._replace(event=EVENT)


def kind_of(told: Any) -> str:
    return "event" if isinstance(told, Event) or "type" in told else "visit"


def test_records_are_told_apart() -> None:
    either = adapter(
        Annotated[
            Annotated[Event, Tag("event")] | Annotated[Visit, Tag("visit")], Discriminator(kind_of)
        ]
    )
    assert either.validate_python(EVENT.to_dict()) == EVENT
    assert adapter(Visit | Event).validate_json(json.dumps(EVENT.to_dict())) == EVENT


MOVE = Move("d", 1, None, Stage("new"), EVENT.at, None, "r", None)
BAD = (
    (Event, ("deal",), "", "event deal='' must be text that is not empty"),
    (Event, ("at",), "2026-01-05T09:00:00", "has no time zone"),
    (Event, ("at",), 1_767_603_600, "it looks like seconds since 1970"),
    (Event, ("seq",), 2**63, "more than the 64 bits"),
    (Event, ("seq",), "5", "must be a whole number"),
    (Event, ("data",), {"x": float("nan")}, "JSON has finite numbers only"),
    (Move, ("n",), "1", "should be a valid integer"),
    (Move, ("into",), "a stage!", "stage key 'a stage!' is refused"),
    (Move, ("event",), {**EVENT.to_dict(), "id": "\0"}, "contains a NUL character"),
    (CartLine, ("quantity",), "1e5", "no amount as records write it"),
    (CartLine, ("quantity",), "NaN", "no amount as records write it"),
    (CartLine, ("unit_price",), 8.99, "no amount as records write it"),
)


@pytest.mark.parametrize(("kind", "place", "value", "message"), BAD)
def test_a_bad_value_is_refused_in_our_words_and_at_its_place(
    kind: Any, place: tuple[str, ...], value: Any, message: str
) -> None:
    good = {Event: EVENT, Move: MOVE, CartLine: CartLine("NB-15", Decimal(1))}[kind]
    (name,) = place
    with pytest.raises(ValidationError, match=message) as refused:
        adapter(list[kind]).validate_python([good.to_dict(), {**good.to_dict(), name: value}])
    loc = refused.value.errors()[0]["loc"]
    assert loc[:2] == (1, name)


def test_a_record_of_tomorrow_may_have_more_keys() -> None:
    told = {**MOVE.to_dict(), "told_by": "a later release"}
    assert adapter(Move).validate_python(told) == MOVE


def test_a_key_that_is_missing_is_named_at_its_place() -> None:
    told = {**MOVE.to_dict(), "event": {"type": "seen", "id": "1", "at": NINE}}
    with pytest.raises(ValidationError) as refused:
        adapter(Move).validate_python(told)
    assert [(e["loc"], e["type"]) for e in refused.value.errors()] == [
        (("event", "deal"), "missing")
    ]


@pytest.mark.parametrize("kind", READ + TOLD)
def test_every_record_shows_what_it_is(kind: type[Any]) -> None:
    schema = validator(kind, "serialization").schema
    needed = set(schema["required"])
    assert (
        needed < set(schema["properties"])
        if kind in SPARSE
        else needed == set(schema["properties"])
    )
    assert schema["title"] == kind.__name__
    assert schema["description"] in " ".join((kind.__doc__ or "").split()).replace("``", "`")
    assert any("description" in told for told in schema["properties"].values()) or kind in (
        *(Identity, Page),
    )


@pytest.mark.parametrize("kind", TOLD)
def test_what_is_only_told_says_so_where_it_is_read(kind: type[Any]) -> None:
    with pytest.raises(ValidationError, match="is told by a board and never read"):
        adapter(kind).validate_python({})


def test_what_is_held_comes_back() -> None:
    held = Held(
        key="k",
        kind=HeldKind.FUTURE,
        event=EVENT,
        reason="still to come",
        since=EVENT.at,
        told=2,
        failures=0,
        retry_at=None,
    )
    comes_back(held)
    comes_back(attrs.evolve(held, retry_at=EVENT.at))


def test_a_deal_in_a_sequence_comes_back_with_its_effects() -> None:
    lead = Stage("lead", sequence=[do("task", title="Call"), do("email", template="hello")])
    ladder = Pipeline("p", stages=[lead], rules=[on("lead", into=lead, opens=True)])
    with Board(ladder, clock=ManualClock(NINE)) as board:
        comes_back(board.handle(Event("lead", deal="d", id="1", at=NINE)))
        comes_back(board.history("d"))
        for record in (*board.effects(), *board.tasks()):
            comes_back(record)
        as_its_schema_says(board.explain("d"))


def test_a_receipt_without_a_deal_comes_back() -> None:
    comes_back(Receipt(Outcome.WAITING, None, event=Identity("", "1")))


def test_the_core_loads_no_pydantic() -> None:
    code = "import sys, ladderpipe as l; l.Event, l.Deal, l.History, l.Board; "
    code += "assert 'pydantic' not in sys.modules and 'pydantic_core' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)

"""Moves are published at least once, in order for each deal, under names that tell doubles."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import jsonschema
import pytest
from pydantic_asyncapi.v3 import AsyncAPI

from ladderpipe import AsyncBoard, Board, Event, Published, Stage, by_hand, on
from ladderpipe.connect import CloudEvents
from ladderpipe.errors import CursorError
from ladderpipe.pipeline import Pipeline
from ladderpipe.templates import sales_management
from tests.receivers import Cut, Follower, stored
from tests.shops import Shop, lead_ladder


def schema_of(pipeline: Pipeline, message: dict[str, Any]) -> dict[str, Any]:
    """Return what the AsyncAPI document says of a message."""
    document = pipeline.asyncapi()
    named = document["components"]["messages"].values()
    (found,) = [each for each in named if each["name"] == message["type"]]
    return {"$ref": found["payload"]["$ref"], "components": document["components"]}


def test_a_move_is_told_as_a_cloudevent_that_the_document_describes(store: Any) -> None:
    shop = Shop(lead_ladder(), store)
    shop.tell("lead", id="l1")
    shop.wait(1)
    shop.board.override("d", "talking", by="ann")
    follower = Follower()
    assert isinstance(shop.board.publish(follower), Published)
    first, second = follower.got
    assert first | {"id": ""} == {
        "specversion": "1.0",
        "id": "",
        "source": "/pipelines/leads",
        "type": "ladderpipe.deal.moved",
        "subject": "d",
        "time": "2026-01-05T09:00:00Z",
        "datacontenttype": "application/json",
        "data": {
            "pipeline": "leads",
            "n": 1,
            "out_of": None,
            "into": "new",
            "rule": shop.board.history("d").moves[0].rule,
            "event": {"source": "", "id": "l1", "type": "lead"},
            "by": None,
            "recorded_at": "2026-01-05T09:00:00Z",
        },
    }
    assert (second["data"]["by"], second["data"]["into"]) == ("ann", "talking")
    for message in follower.got:
        jsonschema.validate(message, schema_of(shop.pipeline, message))
        json.dumps(message)


def test_what_was_told_is_not_told_again_but_for_a_while(store: Any) -> None:
    shop = Shop(lead_ladder(), store)
    shop.tell("lead")
    follower = Follower()
    cursor = follower.follow(shop.board, None)
    assert len(follower.got) == 1
    shop.wait(1)
    shop.tell("call", hours=0)
    cursor = follower.follow(shop.board, cursor)
    ids = [message["id"] for message in follower.got]
    assert len(set(ids)) == 2
    shop.wait(1)
    assert shop.board.publish(follower, after=cursor).messages == 0


def test_a_timer_is_told_at_its_time_without_an_event(store: Any) -> None:
    shop = Shop(lead_ladder(), store)
    shop.tell("lead")
    shop.wait(100)
    shop.board.tick()
    follower = Follower()
    follower.follow(shop.board, None)
    message = follower.got[-1]
    assert (message["time"], message["data"]["event"]) == ("2026-01-08T09:00:00Z", None)
    jsonschema.validate(message, schema_of(shop.pipeline, message))


def test_a_move_that_was_taken_back_is_told_to_be_no_more(store: Any) -> None:
    shop = Shop(lead_ladder(), store)
    shop.tell("lead")
    shop.wait(1)
    shop.board.override("d", "talking", by="ann")
    follower = Follower()
    cursor = follower.follow(shop.board, None)
    shop.wait(5)
    shop.board.undo("d", by="ann", expecting="talking")
    cursor = follower.follow(shop.board, cursor)
    assert follower.of("d") == stored(shop.board, "d")
    message = follower.got[-1]
    assert message["type"] == "ladderpipe.deal.undone"
    assert message["data"] == {"pipeline": "leads", "n": 1, "stage": "new"}
    jsonschema.validate(message, schema_of(shop.pipeline, message))


def test_a_deal_that_turns_out_not_to_be_open_is_told_to_have_no_moves(store: Any) -> None:
    shop = Shop(lead_ladder(), store)
    event = shop.event("lead", id="l1")
    shop.board.handle(event)
    follower = Follower()
    cursor = follower.follow(shop.board, None)
    shop.wait(5)
    shop.board.withdraw(event, by="ann")
    follower.follow(shop.board, cursor)
    assert follower.of("d") == []
    jsonschema.validate(follower.got[-1], schema_of(shop.pipeline, follower.got[-1]))


def test_where_the_line_is_cut_nothing_is_lost_and_the_order_stays(store: Any) -> None:
    shop = Shop(lead_ladder(), store)
    for number in range(5):
        shop.tell("lead", f"d{number}")
        shop.wait(1)
        shop.tell("call", f"d{number}")
    follower, cursor = Follower(), None
    for left in range(12):
        follower.left = left
        try:
            cursor = shop.board.publish(follower, after=cursor, limit=2).cursor
        except Cut:
            continue
    follower.left = None
    follower.follow(shop.board, cursor, limit=2)
    for number in range(5):
        assert follower.of(f"d{number}") == stored(shop.board, f"d{number}")


def test_from_now_on_is_told_what_is_recorded_from_now_on(store: Any) -> None:
    shop = Shop(lead_ladder(), store)
    shop.tell("lead", "old")
    shop.wait(1)
    told = shop.board.publish(Follower(), limit=0)
    assert (told.messages, told.more) == (0, False)
    shop.tell("lead", "new")
    follower = Follower()
    follower.follow(shop.board, told.cursor)
    assert [message["subject"] for message in follower.got] == ["new"]


def test_deals_that_are_removed_stay_as_they_were_told(store: Any) -> None:
    shop = Shop(lead_ladder(), store)
    shop.tell("lead")
    shop.wait(1)
    shop.tell("order")
    follower = Follower()
    cursor = follower.follow(shop.board, None)
    shop.wait(1)
    shop.board.remove("d")
    assert shop.board.publish(follower, after=cursor).messages == 0


@pytest.mark.parametrize("cursor", ["", "x", "é", "AAAA"])
def test_what_is_no_cursor_is_refused(cursor: str, store: Any) -> None:
    board = Shop(lead_ladder(), store).board
    for odd in (cursor, board.changes(limit=0).cursor):
        with pytest.raises(CursorError):
            board.publish(Follower(), after=odd)


@pytest.mark.parametrize("source", ["", "a b", "é", "a\n"])
def test_what_is_no_uri_is_no_source(source: str) -> None:
    with Board(lead_ladder()) as board, pytest.raises(ValueError, match="URI"):
        board.publish(Follower(), source=source)


def test_an_awaited_board_publishes_to_either_kind_of_function(postgres_url: str) -> None:
    async def publish() -> list[dict[str, Any]]:
        got: list[dict[str, Any]] = []

        async def send(message: dict[str, Any]) -> None:
            await asyncio.sleep(0)
            got.append(message)

        async with await AsyncBoard.open(lead_ladder(), postgres_url) as board:
            await board.handle(Event("lead", deal="d", id="1", at=board.clock.now()))
            await board.publish(send, source="https://shop.example/board")
            await board.publish(got.append)
        return got

    first, second = asyncio.run(publish())
    assert first["source"] == "https://shop.example/board"
    assert first["id"] == second["id"]


def test_another_board_can_take_what_is_published() -> None:
    got: list[dict[str, Any]] = []
    with Board(lead_ladder()) as board:
        board.handle(Event("lead", deal="d", id="1", at=board.clock.now()))
        board.publish(got.append)
        seen = Stage("seen")
        rules = [on("ladderpipe.deal.moved", into=seen, opens=True), by_hand(into=seen)]
        with Board(Pipeline("erp", stages=[seen], rules=rules)) as other:
            connector = CloudEvents(secrets=["a token"], by="bearer")
            headers = {"content-type": "application/cloudevents+json"}
            body = json.dumps(got[0]).encode()
            for event in connector.events(headers, body, board.clock.now()):
                other.handle(event, hold=True)
            assert other.deal("d").stage == "seen"


@pytest.mark.parametrize("pipeline", [lead_ladder(), sales_management("it")], ids=lambda p: p.name)
def test_the_document_is_asyncapi(pipeline: Pipeline) -> None:
    document = pipeline.asyncapi(address="deals.moved")
    parsed = AsyncAPI.model_validate(document)
    assert parsed.asyncapi == "3.0.0"
    assert document["channels"]["moves"]["address"] == "deals.moved"
    for name in _references(document):
        found: Any = document
        for part in name.removeprefix("#/").split("/"):
            found = found[part]
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
        jsonschema.Draft7Validator.check_schema(schema)


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if "$ref" in value else []
        return own + [name for each in value.values() for name in _references(each)]
    return [name for each in value for name in _references(each)] if isinstance(value, list) else []


def test_a_move_that_stands_again_is_told_again_under_another_id(store: Any) -> None:
    """Whoever drops doubles would otherwise stay where the move was taken back."""
    shop = Shop(lead_ladder(), store)
    shop.tell("lead")
    shop.wait(1)
    shop.board.override("d", "talking", by="ann")
    follower = Follower()
    cursor = follower.follow(shop.board, None)
    shop.wait(1)
    undone = shop.board.undo("d", by="ann", expecting="talking")
    cursor = follower.follow(shop.board, cursor)
    assert follower.of("d") == stored(shop.board, "d")
    shop.wait(1)
    shop.board.withdraw(undone.event, by="ann")
    assert shop.stage == "talking"
    follower.follow(shop.board, cursor)
    assert follower.of("d") == stored(shop.board, "d")


def test_a_late_event_that_changes_the_past_takes_its_place(store: Any) -> None:
    shop = Shop(lead_ladder(), store)
    shop.tell("lead")
    shop.wait(10)
    shop.tell("order")
    follower = Follower()
    cursor = follower.follow(shop.board, None)
    assert [message["data"]["n"] for message in follower.got] == [1, 2]
    shop.wait(10)
    shop.tell("call", hours=-15)
    follower.follow(shop.board, cursor)
    assert [message["data"]["n"] for message in follower.got] == [1, 2, 2, 3]
    assert follower.of("d") == stored(shop.board, "d")

"""Events: identity, digest, and the way to CloudEvents and back."""

from __future__ import annotations

import base64
import json
from typing import Any

import attrs
import pytest
from hypothesis import given

from ladderpipe import Event
from ladderpipe.errors import InstantError, InvalidEventError
from ladderpipe.model.event import from_outside
from ladderpipe.testing import events
from tests.ladders import sales_ladder


def added(**changes: Any) -> Event:
    fields: dict[str, Any] = {
        "deal": "cart-42",
        "id": "e1",
        "at": "2026-01-05T09:00:00Z",
        "data": {"line": {"sku": "NB-15"}},
        **changes,
    }
    return Event(fields.pop("type", "cart.item_added"), **fields)


@pytest.mark.parametrize(
    "wrong",
    [
        {"type": ""},
        {"deal": ""},
        {"id": ""},
        {"id": 7},
        {"deal": "x" * 513},
        {"deal": "ж" * 512 + "x"},
        {"id": "𝒟" * 257},
        {"source": "€" * 342},
        {"source": "\x00"},
        {"seq": 1.5},
        {"seq": True},
        {"seq": 2**63},
        {"seq": 10**5_000},
        {"seq": "1"},
        {"data": [1]},
        {"data": {"at": object()}},
    ],
)
def test_a_malformed_event_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidEventError):
        added(**wrong)


def test_an_event_without_a_time_zone_is_refused() -> None:
    with pytest.raises(InstantError):
        added(at="2026-01-05T09:00:00")


def test_data_changed_by_the_sender_afterwards_does_not_reach_the_event() -> None:
    data = {"line": {"sku": "NB-15"}}
    event = added(data=data)
    data["line"]["sku"] = "other"
    assert event.data["line"]["sku"] == "NB-15"


def test_the_digest_is_of_what_happened_not_of_how_it_came() -> None:
    event = added()
    assert event.digest() == added(at="2026-01-05T10:00:00+01:00").digest()
    assert event.digest() == added(seq=3, source="shop").digest()


@pytest.mark.parametrize(
    "change",
    [{"type": "cart.saved"}, {"deal": "cart-43"}, {"at": "2026-01-05T09:00:01Z"}, {"data": {}}],
)
def test_the_digest_tells_other_content(change: dict[str, Any]) -> None:
    assert added(**change).digest() != added().digest()


def line(**told: Any) -> dict[str, Any]:
    return {"line": {"sku": "A", "title": "100", **told}}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (line(unit_price=100), line(unit_price="100")),
        (line(unit_price=100), line(unit_price=100.0)),
        (line(unit_price="100.00"), line(unit_price=100.0)),
        (line(quantity=1), line(quantity="1.0")),
        ({"cart": {"lines": [{"unit_price": 1}]}}, {"cart": {"lines": [{"unit_price": "1.0"}]}}),
        ({"value": "1e2"}, {"value": 100}),
        ({"refunded": 5}, {"refunded": "5.00"}),
        ({"properties": {"n": 1}}, {"properties": {"n": 1.0}}),
    ],
)
def test_an_amount_is_the_same_however_it_is_written(one: Any, other: Any) -> None:
    assert added(data=one).says_the_same(added(data=other))
    assert added(data=other).says_the_same(added(data=one))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (line(unit_price=100), line(unit_price="100.01")),
        (line(unit_price=1), line(unit_price=True)),
        (line(unit_price="?"), line(unit_price="!")),
        (line(unit_price=None), line(unit_price=0)),
        (line(unit_price=None), line()),
        (line(title="100"), line(title="100.0")),
        ({"properties": {"value": "1"}}, {"properties": {"value": 1}}),
        ({"contact": {"total": "1.0"}}, {"contact": {"total": "1"}}),
        ({"properties": {"hot": 1}}, {"properties": {"hot": True}}),
        ({"cart": {"lines": [1]}}, {"cart": {"lines": [1, 1]}}),
        ({"cart": {"lines": []}}, {"cart": {"lines": {}}}),
    ],
)
def test_what_says_something_else_is_not_the_same(one: Any, other: Any) -> None:
    assert not added(data=one).says_the_same(added(data=other))


@given(events(sales_ladder(), max_size=5))
def test_an_event_survives_the_way_to_cloudevents_and_back(found: list[Event]) -> None:
    for event in found:
        message = json.loads(json.dumps(event.to_cloudevent()))
        source = event.source or "/"
        assert Event.from_cloudevent(message) == attrs.evolve(event, source=source)


def test_a_cloudevent_survives_the_way_here_and_back() -> None:
    message = {
        "specversion": "1.0",
        "id": "A234-1234-1234",
        "source": "https://shop.example/carts",
        "type": "cart.item_added",
        "subject": "cart-42",
        "time": "2026-01-05T09:00:00.123456Z",
        "sequence": "7",
        "datacontenttype": "application/json",
        "data": {"line": {"sku": "NB-15", "quantity": 2}},
    }
    assert Event.from_cloudevent(message).to_cloudevent() == message


@pytest.mark.parametrize("gone", ["id", "source", "type", "subject", "time"])
def test_a_cloudevent_that_lacks_what_we_need_is_refused_by_name(gone: str) -> None:
    message = added(source="shop").to_cloudevent()
    del message[gone]
    with pytest.raises(InvalidEventError, match=gone):
        Event.from_cloudevent(message)


@pytest.mark.parametrize("sequence", ["abc", "1.5", 1.5, True, None])
def test_a_cloudevent_whose_sequence_is_no_whole_number_is_refused(sequence: Any) -> None:
    with pytest.raises(InvalidEventError, match="whole number"):
        Event.from_cloudevent({**added(source="s").to_cloudevent(), "sequence": sequence})


def test_the_library_s_own_types_are_not_taken_from_outside() -> None:
    with pytest.raises(InvalidEventError, match=r"board\.move"):
        from_outside(added(type="ladder.by_hand"))
    assert from_outside(added()) == added()


BINARY = {"specversion": "1.0", "id": "1", "source": "/shop", "type": "order.confirmed"}
BINARY |= {"subject": "c1", "time": "2026-01-05T09:00:00Z"}


def test_a_cloudevent_may_bring_its_data_in_base64() -> None:
    order = base64.b64encode(json.dumps({"value": "101.50"}).encode()).decode()
    event = Event.from_cloudevent({**BINARY, "data_base64": order})
    assert event.data == {"value": "101.50"}


@pytest.mark.parametrize(
    "given",
    [
        {"data_base64": "%%%"},
        {"data_base64": "AAEC"},
        {"data_base64": 5},
        {"data_base64": "e30=", "data": {}},
    ],
)
def test_data_that_is_no_json_is_refused_and_not_dropped(given: dict[str, Any]) -> None:
    with pytest.raises(InvalidEventError):
        Event.from_cloudevent({**BINARY, **given})

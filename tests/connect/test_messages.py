"""Standard Webhooks and CloudEvents: events from any sender."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from ladderpipe import Event
from ladderpipe.connect import CloudEvents, StandardWebhooks
from ladderpipe.errors import InvalidEventError

from .senders import NOW, SECRET, cloudevents, event, message, standard

TOKEN = {"authorization": "Bearer s3cret"}


def told(payload: Any, **how: Any) -> list[Event]:
    delivery = standard(payload, id="msg_7")
    connector = StandardWebhooks(secrets=[SECRET], source="till", **how)
    return connector.verify_and_parse(delivery.headers, delivery.body, NOW)


def clouds(body: Any, **headers: str) -> list[Event]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = TOKEN | {name.replace("_", "-"): value for name, value in headers.items()}
    return CloudEvents(secrets=["s3cret"], by="bearer").verify_and_parse(named, raw, NOW)


# -- Standard Webhooks --------------------------------------------------------------------------


def test_a_message_is_an_event_under_its_own_id_and_time() -> None:
    expected = message()
    assert told(expected | {"seq": 3}) == [
        Event(
            "cart.updated",
            deal="cart-42",
            id="msg_7",
            at="2026-01-05T08:59:58Z",
            source="till",
            seq=3,
            data=expected["data"],
        )
    ]


@pytest.mark.parametrize("name", ["type", "timestamp", "deal"])
def test_what_a_message_leaves_out_is_not_invented(name: str) -> None:
    payload = {key: value for key, value in message().items() if key != name}
    with pytest.raises(InvalidEventError, match=name):
        told(payload)


@pytest.mark.parametrize(
    "change",
    [
        {"type": "ladder.override"},
        {"type": 7},
        {"deal": {}},
        {"deal": "x" * 600},
        {"timestamp": "yesterday"},
        {"timestamp": 1767603480},
        {"seq": "1"},
        {"data": [1]},
        {"data": "x"},
    ],
)
def test_a_message_that_is_no_event_is_refused(change: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        told(message() | change)


def test_another_senders_payload_is_read_by_a_function() -> None:
    def read(payload: Any, id: str) -> Event | None:
        if payload["kind"] != "paid":
            return None
        return Event("order.confirmed", deal=payload["cart"], id=id, at=payload["when"])

    paid = {"kind": "paid", "cart": "c1", "when": "2026-01-05T08:00:00Z"}
    assert [(e.type, e.deal, e.id) for e in told(paid, event=read)] == [
        ("order.confirmed", "c1", "msg_7")
    ]
    assert told({"kind": "seen"}, event=read) == []


# -- CloudEvents --------------------------------------------------------------------------------


def test_structured() -> None:
    assert clouds(event().to_cloudevent(), content_type="application/cloudevents+json") == [event()]
    signed = cloudevents(event().to_cloudevent())
    connector = CloudEvents(secrets=[SECRET])
    assert connector.verify_and_parse(signed.headers, signed.body, NOW) == [event()]


def test_in_a_batch() -> None:
    other = Event("cart.emptied", deal="c2", id="e2", at=NOW, source="till")
    batch = [event().to_cloudevent(), other.to_cloudevent()]
    media = "application/cloudevents-batch+json; charset=utf-8"
    assert clouds(batch, content_type=media) == [event(), other]
    assert clouds([], content_type=media) == []


def test_binary() -> None:
    assert clouds(
        event().data,
        content_type="application/json",
        ce_specversion="1.0",
        CE_Id="e1",
        ce_source="till",
        ce_type="cart.updated",
        ce_subject="cart-42",
        ce_time="2026-01-05t08:59:58z",
        ce_sequence="4",
    ) == [Event.from_dict(event().to_dict() | {"seq": 4})]


@pytest.mark.parametrize(
    ("written", "means"),
    [("caff%C3%A8%20%E2%98%95", "caffè ☕"), ('"a \\"b\\" c"', 'a "b" c'), ("100%25", "100%")],
)
def test_headers_of_a_binary_one_are_decoded(written: str, means: str) -> None:
    (found,) = clouds(
        b"",
        ce_id=written,
        ce_source="/",
        ce_type="cart.emptied",
        ce_subject="c1",
        ce_time="2026-01-05T08:59:58Z",
    )
    assert (found.id, found.data) == (means, {})


def test_data_in_base64() -> None:
    found = event().to_cloudevent()
    found["data_base64"] = base64.b64encode(json.dumps(found.pop("data")).encode()).decode()
    assert clouds(found) == [event()]


@pytest.mark.parametrize("name", ["id", "source", "type", "subject", "time"])
def test_what_an_event_leaves_out_is_not_invented(name: str) -> None:
    found = {key: value for key, value in event().to_cloudevent().items() if key != name}
    with pytest.raises(InvalidEventError, match=name):
        clouds([event().to_cloudevent(), found])


@pytest.mark.parametrize("body", [b"", b"7", b"null", b"[7]", b'"x"', b"\xff", b"{", b"[[]]"])
def test_what_is_no_event_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidEventError):
        clouds(body)


def test_a_header_that_is_no_utf_8_is_refused() -> None:
    with pytest.raises(InvalidEventError, match="UTF-8"):
        clouds(b"", ce_id="%FF", ce_source="/")


def test_what_only_the_board_writes_is_not_taken_from_outside() -> None:
    with pytest.raises(InvalidEventError, match=r"ladder\."):
        clouds(event().to_cloudevent() | {"type": "ladder.override"})


def test_whoever_asks_may_send() -> None:
    connector = CloudEvents(secrets=["s3cret"], by="bearer")
    assert connector.handshake({"WebHook-Request-Origin": "till.example"}) == {
        "Allow": "POST, OPTIONS",
        "WebHook-Allowed-Origin": "till.example",
        "WebHook-Allowed-Rate": "*",
    }
    assert connector.handshake({"WebHook-Request-Origin": "a\r\nb"}) is None
    assert connector.handshake({}) is None


def test_or_only_who_is_named() -> None:
    connector = CloudEvents(secrets=["s3cret"], by="bearer", origins=["till.example"])
    assert connector.handshake({"WebHook-Request-Origin": "till.example"})
    assert connector.handshake({"WebHook-Request-Origin": "other.example"}) is None
    nobody = CloudEvents(secrets=["s3cret"], by="bearer", origins=[])
    assert nobody.handshake({"WebHook-Request-Origin": "till.example"}) is None

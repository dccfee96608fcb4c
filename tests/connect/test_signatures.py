"""A delivery counts if one of the secrets has signed these bytes, and for nothing else."""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ladderpipe.connect import CloudEvents, Refused, Shopify, StandardWebhooks, WooCommerce
from ladderpipe.errors import DefinitionError, InvalidEventError

from .senders import NOW, OTHER, SCHEMES, SECRET, Delivery, Scheme, hmac_of, shopify, woocommerce

FIELD = Path(os.environ.get("LADDERPIPE_FIELD", Path(__file__).parents[3] / "shared" / "field"))
VECTORS = FIELD / "shop" / "signatures.json"

every_scheme = pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES)
dated = pytest.mark.parametrize(
    "scheme", [each for each in SCHEMES.values() if each.dated], ids=lambda each: each.signature
)


def holds(
    scheme: Scheme,
    delivery: Delivery,
    *secrets: str,
    now: dt.datetime = NOW,
    headers: Any = None,
) -> bool:
    try:
        scheme.receiver(*secrets).verify(headers or delivery.headers, delivery.body, now)
    except Refused:
        return False
    return True


def sent(scheme: Scheme, **how: Any) -> Delivery:
    return scheme.send(scheme.payload(), **how)


def vectors() -> list[dict[str, Any]]:
    return json.loads(VECTORS.read_text("utf-8")) if VECTORS.exists() else []


@pytest.mark.skipif(not VECTORS.exists(), reason=f"no vectors in {FIELD}: set LADDERPIPE_FIELD")
@pytest.mark.parametrize("vector", vectors(), ids=lambda each: f"{each['scheme']}: {each['name']}")
def test_the_vectors_from_the_field(vector: dict[str, Any]) -> None:
    text = vector["body"]
    body = text.encode() if vector["body_encoding"] == "utf-8" else base64.b64decode(text)
    now = dt.datetime.fromtimestamp(vector["now"], dt.UTC)
    try:
        connector = SCHEMES[vector["scheme"]].receiver(*vector["secrets"])
        connector.verify(vector["headers"], body, now)
    except (Refused, DefinitionError):
        assert not vector["valid"]
    else:
        assert vector["valid"]


@every_scheme
def test_what_the_sender_signs_is_authentic(scheme: Scheme) -> None:
    assert holds(scheme, sent(scheme))


@every_scheme
def test_while_a_secret_is_replaced_both_count(scheme: Scheme) -> None:
    assert holds(scheme, sent(scheme, secret=SECRET), OTHER, SECRET)
    assert holds(scheme, sent(scheme, secret=OTHER), OTHER, SECRET)
    assert not holds(scheme, sent(scheme, secret=OTHER), SECRET)


@every_scheme
@pytest.mark.parametrize("case", [str.upper, str.lower, str.title])
def test_headers_count_in_any_case_and_from_any_framework(scheme: Scheme, case: Any) -> None:
    delivery = sent(scheme)
    named = {case(name): value for name, value in delivery.headers.items()}
    raw = [(name.encode(), value.encode()) for name, value in named.items()]
    assert holds(scheme, delivery, headers=named)
    assert holds(scheme, delivery, headers=list(named.items()))
    assert holds(scheme, delivery, headers=raw)


@pytest.mark.parametrize("name", ["shopify", "woocommerce", "standard"])
def test_a_signature_that_came_twice_is_none(name: str) -> None:
    scheme = SCHEMES[name]
    delivery = sent(scheme)
    pairs = [*delivery.headers.items(), (scheme.signature.lower(), "anything")]
    assert not holds(scheme, delivery, headers=pairs)


@every_scheme
@given(data=st.data())
def test_no_other_byte_of_the_body_is_authentic(scheme: Scheme, data: st.DataObject) -> None:
    delivery = sent(scheme)
    place = data.draw(st.integers(0, len(delivery.body) - 1))
    changed = bytearray(delivery.body)
    changed[place] ^= data.draw(st.integers(1, 255))
    assert not holds(scheme, Delivery(delivery.headers, bytes(changed)))


@every_scheme
def test_a_body_that_was_parsed_and_written_again_is_another_body(scheme: Scheme) -> None:
    delivery = sent(scheme)
    again = json.dumps(json.loads(delivery.body), separators=(",", ":")).encode()
    assert not holds(scheme, Delivery(delivery.headers, again))


HOSTILE = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=90),
    st.binary(max_size=90).map(lambda raw: base64.b64encode(raw).decode()),
    st.binary(max_size=90).map(lambda raw: base64.urlsafe_b64encode(raw).decode()),
    st.binary(max_size=40).map(lambda raw: f"t=1767603600,v1={raw.hex()}"),
    st.binary(max_size=40).map(lambda raw: f"v1,{base64.b64encode(raw).decode()}"),
    st.sampled_from(
        ["", "v1", "v1,", "v1,a", "v1,é", ",", " ", "v1,\ud800", "\x00", "v2,AAAA v1a,AAAA"]
    ),
    st.sampled_from(
        ["t=1,v1=", "t=nan,v1=a", "t=1e400", "t=1767603600", "v1=" + "0" * 64, "t=٣,v1=a", "t=-1"]
    ),
)


@every_scheme
@given(told=HOSTILE)
def test_no_signature_that_somebody_makes_up_does_anything_but_be_refused(
    scheme: Scheme, told: str
) -> None:
    delivery = sent(scheme)
    headers = delivery.headers | {scheme.signature: told}
    assert not holds(scheme, delivery, headers=headers)


@every_scheme
@pytest.mark.parametrize("made_up", ["", "\ud800", "\0", "é", "☕", "x" * 5000, "1" * 400])
def test_no_header_that_somebody_makes_up_does_more_than_be_refused(
    scheme: Scheme, made_up: str
) -> None:
    """Refused, or no event; or, where the shop does not sign it, an event all the same."""
    delivery = sent(scheme)
    for name in delivery.headers:
        with contextlib.suppress(Refused, InvalidEventError):
            headers = delivery.headers | {name: made_up}
            scheme.receiver().verify_and_parse(headers, delivery.body, NOW)


@every_scheme
@given(data=st.data())
def test_half_a_signature_or_one_in_another_alphabet_is_none(
    scheme: Scheme, data: st.DataObject
) -> None:
    delivery = sent(scheme)
    right = delivery.headers[scheme.signature]
    cut = data.draw(st.integers(0, len(right) - 1))
    for wrong in (right[:cut], right[cut + 1 :], right.swapcase(), right.rstrip("=") + "=="):
        if wrong != right:
            assert not holds(scheme, delivery, headers=delivery.headers | {scheme.signature: wrong})


@every_scheme
def test_without_headers_nothing_is_authentic(scheme: Scheme) -> None:
    delivery = sent(scheme)
    assert not holds(scheme, Delivery({"Host": "shop.example"}, delivery.body))
    for name in set(delivery.headers) - {"content-type"}:
        if "signature" in name.lower() or "hmac" in name.lower() or scheme.dated:
            rest = {key: value for key, value in delivery.headers.items() if key != name}
            assert not holds(scheme, delivery, headers=rest or {"Host": "x"})


@dated
@pytest.mark.parametrize("seconds", [-300, -1, 0, 1, 300])
def test_within_five_minutes_a_delivery_counts(scheme: Scheme, seconds: int) -> None:
    assert holds(scheme, sent(scheme, at=NOW + dt.timedelta(seconds=seconds)))


@dated
@pytest.mark.parametrize("seconds", [-(10**9), -301, 301, 10**9])
def test_beyond_five_minutes_it_is_a_replay(scheme: Scheme, seconds: int) -> None:
    assert not holds(scheme, sent(scheme, at=NOW + dt.timedelta(seconds=seconds)))


@dated
@pytest.mark.parametrize(
    "time", ["", "nan", "inf", "1e400", "1767603600.0", "01767603600", "-5", "٣", "9" * 400]
)
def test_a_time_that_is_no_count_of_seconds_is_refused(scheme: Scheme, time: str) -> None:
    delivery = sent(scheme)
    right = str(int(NOW.timestamp()))
    changed = {name: value.replace(right, time) for name, value in delivery.headers.items()}
    assert not holds(scheme, delivery, headers=changed)


@every_scheme
@pytest.mark.parametrize("secrets", [[], [""], [" "], [SECRET, ""], [None], SECRET, None])
def test_an_empty_secret_is_refused_when_configuring(scheme: Scheme, secrets: Any) -> None:
    with pytest.raises(DefinitionError):
        scheme.connector(secrets=secrets)


@pytest.mark.parametrize("secret", ["whsec_", "whsec_=", "whsec_not base64!", "whsec_-_-_"])
def test_a_secret_of_standard_webhooks_is_base64(secret: str) -> None:
    with pytest.raises(DefinitionError, match="whsec_"):
        StandardWebhooks(secrets=[secret])


@every_scheme
def test_a_text_is_not_the_bytes_that_were_signed(scheme: Scheme) -> None:
    delivery = sent(scheme)
    with pytest.raises(TypeError, match=r"request\.body"):
        scheme.receiver().verify(delivery.headers, delivery.body.decode(), NOW)  # type: ignore[arg-type]


@every_scheme
def test_a_connector_does_not_show_its_secrets(scheme: Scheme) -> None:
    assert SECRET not in repr(scheme.receiver()) + str(vars(scheme.receiver()).keys())


def test_a_shop_that_is_not_ours_is_refused() -> None:
    delivery = shopify({"token": "c1"})
    Shopify(secrets=[SECRET], shop="x.myshopify.com").verify(delivery.headers, delivery.body)
    with pytest.raises(Refused, match=r"y\.myshopify"):
        Shopify(secrets=[SECRET], shop="y.myshopify.com").verify(delivery.headers, delivery.body)


@pytest.mark.parametrize(
    ("copied", "signs"),
    [
        ("a&amp;b&quot;c", 'a&b"c'),
        ("&#039;&#39;&#x27;", "'''"),
        ("&lt;&gt;", "<>"),
        ("&amp;amp;", "&amp;"),
        ("&copy;&para", "&copy;&para"),
        ('a&b"c', 'a&b"c'),
    ],
)
def test_woocommerce_decodes_five_characters_of_its_secret_once(copied: str, signs: str) -> None:
    delivery = woocommerce({"id": 1}, secret=signs)
    WooCommerce(secrets=[copied]).verify(delivery.headers, delivery.body)


def test_the_ping_of_woocommerce_is_known_and_not_authentic() -> None:
    connector = WooCommerce(secrets=[SECRET])
    assert connector.is_ping({"Content-Type": "application/x-www-form-urlencoded"}, b"webhook_id=7")
    assert not connector.is_ping({}, b"webhook_id=7&x=1")
    assert not connector.is_ping({"x-wc-webhook-signature": ""}, b"webhook_id=7")
    with pytest.raises(Refused):
        connector.verify({}, b"webhook_id=7")


def test_what_is_no_text_may_be_authentic() -> None:
    body = b'{"t":"\xff"}'
    id_and_time = f"msg_1.{int(NOW.timestamp())}.".encode()
    key = base64.b64decode(SECRET.removeprefix("whsec_")).decode()
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(NOW.timestamp())),
        "webhook-signature": f"v1,{hmac_of(key, id_and_time + body)}",
    }
    StandardWebhooks(secrets=[SECRET]).verify(headers, body, NOW)
    with pytest.raises(Refused):
        StandardWebhooks(secrets=[OTHER]).verify(headers, body, NOW)


@pytest.mark.parametrize(
    "told", ["", "Bearer", "Bearer ", "Basic s3cret", "Bearer other", "s3cret"]
)
def test_only_a_known_token_counts(told: str) -> None:
    connector = CloudEvents(secrets=["s3cret"], by="bearer")
    connector.verify({"authorization": "bearer s3cret"}, b"{}")
    with pytest.raises(Refused):
        connector.verify({"authorization": told}, b"{}")


@dated
def test_the_time_may_be_told_and_is_else_the_clocks(scheme: Scheme) -> None:
    class At:
        def now(self) -> dt.datetime:
            return NOW

    delivery = sent(scheme)
    scheme.connector(secrets=[SECRET], clock=At()).verify(delivery.headers, delivery.body)
    with pytest.raises(Refused):
        scheme.receiver().verify(delivery.headers, delivery.body)

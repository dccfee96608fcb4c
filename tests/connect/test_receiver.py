"""A receiver answers 2xx once a fact is stored, says what it cannot take, and never fails."""

from __future__ import annotations

import asyncio
import datetime as dt
import io
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ladderpipe import ANY, AsyncBoard, Board, HeldKind, ManualClock, Pipeline, Stage, on
from ladderpipe.connect import (
    CloudEvents,
    Receiver,
    Shopify,
    StandardWebhooks,
    Stripe,
    WooCommerce,
)
from ladderpipe.errors import DefinitionError
from ladderpipe.templates import sales_management
from tests.postgres import PostgresServer, running, wheel_programs

from . import payloads
from .senders import (
    NOW,
    OTHER,
    SCHEMES,
    SECRET,
    Delivery,
    Scheme,
    cloudevents,
    shopify,
    woocommerce,
)

PATHS = {
    "/shopify": Shopify(secrets=[SECRET]),
    "/woocommerce": WooCommerce(secrets=[SECRET]),
    "/stripe": Stripe(secrets=[SECRET]),
    "/standard": StandardWebhooks(secrets=[SECRET]),
    "/cloudevents": CloudEvents(secrets=[SECRET]),
}

every_scheme = pytest.mark.parametrize("name", SCHEMES)


@attrs.frozen
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def content(self) -> Any:
        return json.loads(self.body)


Call = Callable[..., Answer]


def over_asgi(receiver: Receiver, method: str, path: str, sent: Delivery, **more: Any) -> Answer:
    """Call as an ASGI server does, the body in pieces."""
    answered: list[Any] = []
    pieces = [sent.body[i : i + 1000] for i in range(0, len(sent.body), 1000)] or [b""]
    pieces.reverse()

    async def receive() -> dict[str, Any]:
        piece = pieces.pop()
        return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

    async def send(message: Any) -> None:
        answered.append(message)

    pairs = [(k.lower().encode("latin-1"), v.encode("latin-1")) for k, v in sent.headers.items()]
    scope = {"type": "http", "method": method, "path": path, "headers": pairs} | more
    asyncio.run(receiver.asgi(scope, receive, send))
    start, body = answered
    headers = {name.decode(): value.decode() for name, value in start["headers"]}
    return Answer(start["status"], headers, body["body"])


def over_wsgi(receiver: Receiver, method: str, path: str, sent: Delivery, **more: Any) -> Answer:
    """Call as a WSGI server does."""
    started: list[Any] = []
    named = {f"HTTP_{k.upper().replace('-', '_')}": v for k, v in sent.headers.items()}
    if "HTTP_CONTENT_TYPE" in named:
        named["CONTENT_TYPE"] = named.pop("HTTP_CONTENT_TYPE")
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "CONTENT_LENGTH": str(len(sent.body)),
        "wsgi.input": io.BytesIO(sent.body),
    }
    chunks = receiver.wsgi(environ | named | more, lambda *told: started.append(told))
    ((status, headers),) = started
    return Answer(int(status[:3]), {k.lower(): v for k, v in headers}, b"".join(chunks))


@pytest.fixture(params=[over_asgi, over_wsgi], ids=["asgi", "wsgi"])
def call(request: pytest.FixtureRequest) -> Call:
    return request.param


@pytest.fixture
def board() -> Iterator[Board]:
    with Board(sales_management(language="en"), clock=ManualClock(NOW)) as opened:
        yield opened


@pytest.fixture
def receiver(board: Board) -> Receiver:
    return Receiver(board, PATHS)


def sent(scheme: Scheme, **how: Any) -> Delivery:
    return scheme.send(scheme.payload(), **how)


@every_scheme
def test_what_is_told_is_stored_and_answered_200(
    name: str, call: Call, receiver: Receiver, board: Board
) -> None:
    answer = call(receiver, "POST", f"/{name}", sent(SCHEMES[name]))
    assert answer.status == 200
    assert answer.content == {"taken": {"opened": 1}}
    assert answer.headers["content-length"] == str(len(answer.body))
    assert len(list(board.deals())) == 1


@every_scheme
def test_told_again_it_is_known(name: str, call: Call, receiver: Receiver, board: Board) -> None:
    for _ in range(3):
        answer = call(receiver, "POST", f"/{name}", sent(SCHEMES[name]))
    (deal,) = board.deals()
    assert answer.status == 200
    assert len(board.history(deal.id).moves) == 1
    assert board.held() == []


@every_scheme
def test_a_bad_signature_is_401_and_stores_nothing(
    name: str, call: Call, receiver: Receiver, board: Board
) -> None:
    answer = call(receiver, "POST", f"/{name}", sent(SCHEMES[name], secret=OTHER))
    assert answer.status == 401
    assert not list(board.deals())


JUNK = [b"", b"not json", b"\xff\xfe", b'{"a": NaN}', b"[" * 100_000, b'"text"', b"9" * 5000, b"7"]


@every_scheme
@pytest.mark.parametrize("body", JUNK, ids=lambda body: repr(body[:12]))
def test_signed_and_no_json_of_ours_is_400(
    name: str, body: bytes, call: Call, receiver: Receiver
) -> None:
    if name in ("standard", "cloudevents") and not body.isascii():
        pytest.skip("the library that signs here signs text only")
    assert call(receiver, "POST", f"/{name}", SCHEMES[name].send(body)).status == 400


@every_scheme
def test_ten_megabytes_are_not_read(name: str, call: Call, receiver: Receiver) -> None:
    huge = SCHEMES[name].send({"note": "x" * 10_000_000})
    assert call(receiver, "POST", f"/{name}", huge).status == 400
    unsigned = Delivery({"x-forwarded-for": "1"}, huge.body)
    assert call(receiver, "POST", f"/{name}", unsigned).status == 400


def test_a_length_that_is_told_wrongly_is_not_believed(call: Call, receiver: Receiver) -> None:
    delivery = shopify(payloads.cart())
    for length in ("-1", "1e9", "abc", "9" * 400, "٣"):
        if call is over_wsgi:
            answer = call(receiver, "POST", "/shopify", delivery, CONTENT_LENGTH=length)
        else:
            if not length.isascii():
                continue
            more = delivery.headers | {"content-length": length}
            answer = call(receiver, "POST", "/shopify", Delivery(more, delivery.body))
        assert answer.status == 400


def test_a_body_in_chunks_is_read_to_its_end_over_wsgi(receiver: Receiver) -> None:
    delivery = shopify(payloads.cart())
    ending = {"wsgi.input_terminated": True}

    def called(**more: Any) -> int:
        environ = {
            "REQUEST_METHOD": "POST",
            "PATH_INFO": "/shopify",
            "wsgi.input": io.BytesIO(delivery.body),
        }
        named = {f"HTTP_{k.upper().replace('-', '_')}": v for k, v in delivery.headers.items()}
        told: list[Any] = []
        list(receiver.wsgi(environ | named | more, lambda *all: told.append(all)))
        return int(told[0][0][:3])

    assert called(**ending) == 200
    assert called() == 401  # nobody says where the body ends


@every_scheme
@settings(max_examples=40)
@given(data=st.data())
def test_whatever_comes_is_answered_with_400_or_401(name: str, data: st.DataObject) -> None:
    scheme = SCHEMES[name]
    right = sent(scheme)
    text = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=40)
    changed = data.draw(st.dictionaries(st.sampled_from(sorted(right.headers)), text))
    body = data.draw(st.sampled_from([right.body, *JUNK]) | st.binary(max_size=60))
    with Board(sales_management(language="en"), clock=ManualClock(NOW)) as board:
        answer = over_wsgi(
            Receiver(board, PATHS), "POST", f"/{name}", Delivery(right.headers | changed, body)
        )
        if answer.status not in (400, 401):
            # Only what a shop does not sign may be another and count all the same.
            assert body == right.body
            assert right.headers[scheme.signature] == (right.headers | changed)[scheme.signature]
            assert answer.status in (200, 202)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def with_anything_in_it(payload: Any, data: st.DataObject) -> Any:
    """A payload, some of its values replaced by whatever JSON can say."""
    if isinstance(payload, dict):
        return {name: with_anything_in_it(each, data) for name, each in payload.items()}
    if isinstance(payload, list):
        return [with_anything_in_it(each, data) for each in payload]
    return data.draw(JSON) if data.draw(st.integers(0, 3)) == 0 else payload


@pytest.mark.parametrize(
    ("name", "build"),
    [
        ("shopify", payloads.order),
        ("woocommerce", payloads.woo_order),
        ("stripe", payloads.stripe_session),
    ],
)
@settings(max_examples=40)
@given(data=st.data())
def test_an_order_is_never_refused(name: str, build: Any, data: st.DataObject) -> None:
    """Whatever stands in it: 200 once it is stored, 202 if it is none, and what is told counts."""
    payload = with_anything_in_it(build(), data)
    how = {"topic": "orders/create"} if name == "shopify" else {}
    delivery = SCHEMES[name].send(payload, **how)
    with Board(sales_management(language="en"), clock=ManualClock(NOW)) as board:
        answer = over_wsgi(Receiver(board, PATHS), "POST", f"/{name}", delivery)
        assert answer.status in (200, 202), answer.content
        assert [held for held in board.held() if held.kind is not HeldKind.FUTURE] == []


@pytest.mark.parametrize("name", ["standard", "cloudevents"])
@settings(max_examples=60)
@given(data=st.data())
def test_a_message_is_stored_or_named_for_what_is_wrong_with_it(
    name: str, data: st.DataObject
) -> None:
    payload = with_anything_in_it(SCHEMES[name].payload(), data)
    with Board(sales_management(language="en"), clock=ManualClock(NOW)) as board:
        delivery = SCHEMES[name].send(payload)
        answer = over_wsgi(Receiver(board, PATHS), "POST", f"/{name}", delivery)
        assert answer.status in (200, 400), answer.content


def test_a_topic_that_nobody_knows_is_202(call: Call, receiver: Receiver) -> None:
    answer = call(receiver, "POST", "/shopify", shopify({"id": 1}, "products/update"))
    assert (answer.status, answer.content) == (202, {"ignored": True})


def test_the_ping_of_woocommerce_is_200_and_takes_nothing(
    call: Call, receiver: Receiver, board: Board
) -> None:
    ping = Delivery({"Content-Type": "application/x-www-form-urlencoded"}, b"webhook_id=7")
    assert call(receiver, "POST", "/woocommerce", ping).status == 200
    assert call(receiver, "POST", "/shopify", ping).status == 401
    assert not list(board.deals())


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_webhooks_are_posted(method: str, call: Call, receiver: Receiver) -> None:
    answer = call(receiver, method, "/shopify", shopify(payloads.cart()))
    assert (answer.status, answer.headers["allow"]) == (405, "POST")


def test_a_sender_of_cloudevents_may_ask_before(call: Call, receiver: Receiver) -> None:
    asked = Delivery({"WebHook-Request-Origin": "till.example"}, b"")
    answer = call(receiver, "OPTIONS", "/cloudevents", asked)
    assert answer.status == 200
    assert answer.headers["webhook-allowed-origin"] == "till.example"
    assert call(receiver, "OPTIONS", "/cloudevents", Delivery({"Host": "x"}, b"")).status == 405


@pytest.mark.parametrize("path", ["", "/", "/shop", "/shopify/x", "/webhooks/shopify"])
def test_elsewhere_nobody_listens(path: str, call: Call, receiver: Receiver) -> None:
    assert call(receiver, "POST", path, shopify(payloads.cart())).status == 404


def test_it_may_be_mounted_below_another_path(receiver: Receiver) -> None:
    delivery = shopify(payloads.cart())
    mounted = {"root_path": "/webhooks"}
    assert over_asgi(receiver, "POST", "/webhooks/shopify/", delivery, **mounted).status == 200


@pytest.fixture(scope="module")
def a_server() -> Iterator[PostgresServer]:
    """A database server of its own, to be stopped."""
    programs = wheel_programs()
    if programs is None:
        pytest.skip("no programs of PostgreSQL in the wheel")
    with running(programs) as server:
        yield server


def test_a_database_that_is_away_is_503_and_later_all_is_well(
    call: Call, a_server: PostgresServer
) -> None:
    url = f"{a_server.emptied_url()}&listen=false&pool_timeout=1"
    with Board.open(sales_management(language="en"), url, clock=ManualClock(NOW)) as board:
        receiver = Receiver(board, PATHS)
        a_server.stop()
        answer = call(receiver, "POST", "/shopify", shopify(payloads.cart()))
        a_server.start()
        assert answer.status == 503
        assert int(answer.headers["retry-after"]) > 0
        assert answer.content == {"error": "not stored; try again"}
        again = (call(receiver, "POST", "/shopify", shopify(payloads.cart())) for _ in range(30))
        assert next(answer for answer in again if answer.status != 503).content == {
            "taken": {"opened": 1}
        }


def strict() -> Pipeline:
    """A ladder whose guard and whose hook both raise."""
    opened, won = Stage("opened"), Stage("won", status="won")
    ladder = Pipeline(
        "strict",
        stages=[opened, won],
        rules=[
            on("order.confirmed", into=won, out_of=ANY, opens=True),
            on("cart.updated", into=opened, when=lambda deal, event: 1 / 0, opens=True),
        ],
    )

    @ladder.move_into(won)
    def fail(ctx: Any) -> None:
        raise RuntimeError("no printer")

    return ladder


def test_what_cannot_be_used_now_is_held_and_answered_200(call: Call) -> None:
    with Board(strict(), clock=ManualClock(NOW)) as board:
        receiver = Receiver(board, PATHS)
        for delivery in (
            shopify(payloads.order(), "orders/create"),
            shopify(payloads.cart()),
            shopify(payloads.order(id=1, created_at="2027-01-01T00:00:00Z"), "orders/create"),
        ):
            answer = call(receiver, "POST", "/shopify", delivery)
            assert (answer.status, answer.content) == (200, {"taken": {"held": 1}})
        assert len(board.held()) == 3


def test_several_events_of_a_delivery_are_stored_together(
    call: Call, receiver: Receiver, board: Board
) -> None:
    answer = call(receiver, "POST", "/shopify", shopify(payloads.checkout(), "checkouts/create"))
    assert sum(answer.content["taken"].values()) == 2
    assert board.deal("x.myshopify.com/c1-9f3a").stage == "order_review"


def test_a_cart_told_again_brings_no_deal_back(
    call: Call, receiver: Receiver, board: Board
) -> None:
    assert isinstance(board.clock, ManualClock)
    call(receiver, "POST", "/shopify", shopify(payloads.cart()))
    board.clock.advance(hours=49)
    board.tick()
    left = board.deal("x.myshopify.com/c1-9f3a")
    assert left.stage == "checkout_abandoned"

    looked_at = payloads.cart(updated_at="2026-01-07T09:59:00Z", note="gift")
    answer = call(receiver, "POST", "/shopify", shopify(looked_at))
    assert (answer.status, answer.content) == (200, {"taken": {"unchanged": 1}})
    assert board.deal(left.id) == left

    changed = payloads.cart(
        updated_at="2026-01-07T09:59:30Z", line_items=[payloads.item(quantity=3)]
    )
    call(receiver, "POST", "/shopify", shopify(changed))
    assert board.deal(left.id).stage == "quote_requested"


@given(st.permutations(range(3)))
def test_an_emptied_cart_stays_empty_in_whatever_order_it_is_told(order: list[int]) -> None:
    told = [
        payloads.cart(updated_at="2026-01-05T08:00:00Z", line_items=[]),
        payloads.cart(updated_at="2026-01-05T08:10:00Z"),
        payloads.cart(updated_at="2026-01-05T08:20:00Z", line_items=[]),
    ]
    with Board(sales_management(language="en"), clock=ManualClock(NOW)) as board:
        receiver = Receiver(board, PATHS)
        for number in order:
            over_wsgi(receiver, "POST", "/shopify", shopify(told[number]))
        assert not board.deal("x.myshopify.com/c1-9f3a").cart


def test_contact_that_comes_with_the_same_cart_is_no_repetition(
    call: Call, receiver: Receiver, board: Board
) -> None:
    cart = payloads.cart(updated_at="2026-01-05T08:00:00Z")
    call(receiver, "POST", "/shopify", shopify(cart))
    call(receiver, "POST", "/shopify", shopify(payloads.checkout(), "checkouts/update"))
    assert board.deal("x.myshopify.com/c1-9f3a").contact["email"] == "ada@example.com"


@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
def test_an_awaited_board_takes_the_same(
    store: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    file = f"sqlite:///{tmp_path}/shop.db"
    url = file if store == "sqlite" else request.getfixturevalue("postgres_url")

    async def receive_all() -> list[Any]:
        ladder = sales_management(language="en")
        answers = []
        async with await AsyncBoard.open(ladder, url, clock=ManualClock(NOW)) as board:
            receiver = Receiver(board, PATHS)
            with pytest.raises(DefinitionError, match="AsyncBoard"):
                receiver.wsgi  # noqa: B018
            for delivery in (
                shopify(payloads.checkout(), "checkouts/create"),
                shopify(payloads.checkout(updated_at=NOW.isoformat()), "checkouts/update"),
                shopify(payloads.cart(), secret=OTHER),
            ):
                answers.append(await awaited(receiver, delivery))
            assert (await board.deal("x.myshopify.com/c1-9f3a")).stage == "order_review"
        return answers

    assert asyncio.run(receive_all()) == [200, 200, 401]


async def awaited(receiver: Receiver, delivery: Delivery) -> int:
    answered: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": delivery.body}

    async def send(message: Any) -> None:
        answered.append(message)

    pairs = [(name.lower().encode(), value.encode()) for name, value in delivery.headers.items()]
    scope = {"type": "http", "method": "POST", "path": "/shopify", "headers": pairs}
    await receiver.asgi(scope, receive, send)
    return answered[0]["status"]


def test_who_hangs_up_is_not_answered(receiver: Receiver) -> None:
    answered: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        answered.append(message)

    scope = {"type": "http", "method": "POST", "path": "/shopify", "headers": []}
    asyncio.run(receiver.asgi(scope, receive, send))
    assert answered == []


def test_a_server_may_start_and_stop_it(receiver: Receiver) -> None:
    told = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
    answered: list[Any] = []

    async def receive() -> Any:
        return next(told)

    async def send(message: Any) -> None:
        answered.append(message["type"])

    asyncio.run(receiver.asgi({"type": "lifespan"}, receive, send))
    asyncio.run(receiver.asgi({"type": "websocket"}, receive, send))
    assert answered == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
        "websocket.close",
    ]


@pytest.mark.parametrize("connectors", [{"shopify": PATHS["/shopify"]}, {"/shopify": Shopify}])
def test_what_is_no_connector_is_refused(board: Board, connectors: Any) -> None:
    with pytest.raises(DefinitionError, match="Receiver"):
        Receiver(board, connectors)


def test_a_connector_of_ones_own_that_fails_keeps_the_fact_with_its_sender(
    call: Call, board: Board
) -> None:
    class Mine(Shopify):
        def read(self, *arguments: Any) -> Any:
            raise KeyError("ada@example.com")

    receiver = Receiver(board, {"/mine": Mine(secrets=[SECRET])})
    assert call(receiver, "POST", "/mine", shopify(payloads.cart())).status == 503


def test_log_records_say_what_happened_and_nothing_of_what_was_told(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "ladderpipe.connect")
    over_wsgi(receiver, "POST", "/shopify", shopify({"email": "ada@example.com"}))
    over_wsgi(receiver, "POST", "/shopify", shopify(payloads.order(), secret=OTHER))
    records = [each for each in caplog.records if each.name == "ladderpipe.connect"]
    assert [each.levelname for each in records] == ["ERROR", "WARNING"]
    assert {each.sender for each in records} == {"Shopify"}  # type: ignore[attr-defined]
    assert "ada@" not in caplog.text


def later(minutes: int) -> str:
    return (NOW - dt.timedelta(minutes=60 - minutes)).isoformat()


def week() -> list[tuple[str, Delivery]]:
    """A customer who fills, empties and orders, and gets a part back; in the order of the facts."""
    filled = payloads.cart(updated_at=later(0))
    more = payloads.cart(updated_at=later(5), line_items=[payloads.item(quantity=3)])
    emptied = payloads.cart(updated_at=later(6), line_items=[])
    again = payloads.cart(updated_at=later(7))
    bought = {"created_at": later(20), "updated_at": later(20)}
    refunds = [payloads.refund(10, "100.00", later(40))]
    return [
        ("/shopify", shopify(filled, "carts/create")),
        ("/shopify", shopify(more)),
        ("/shopify", shopify(emptied)),
        ("/shopify", shopify(again)),
        (
            "/shopify",
            shopify(
                payloads.checkout(created_at=later(10), updated_at=later(11)), "checkouts/create"
            ),
        ),
        ("/shopify", shopify(payloads.order(**bought), "orders/create")),
        ("/shopify", shopify(payloads.cart(updated_at=later(21), line_items=[]))),
        (
            "/shopify",
            shopify(
                payloads.order(**bought | {"updated_at": later(40)}, refunds=refunds),
                "orders/updated",
            ),
        ),
        (
            "/woocommerce",
            woocommerce(payloads.woo_order("pending", date_modified_gmt=later(30)[:19])),
        ),
        (
            "/woocommerce",
            woocommerce(payloads.woo_order("processing", date_modified_gmt=later(31)[:19])),
        ),
        (
            "/cloudevents",
            cloudevents(
                {
                    "specversion": "1.0",
                    "id": "e1",
                    "source": "till",
                    "type": "cart.emptied",
                    "subject": "c3",
                    "time": later(3),
                }
            ),
        ),
    ]


def kept(deliveries: list[tuple[str, Delivery]]) -> dict[str, Any]:
    with Board(sales_management(language="en"), clock=ManualClock(NOW)) as board:
        receiver = Receiver(board, PATHS)
        for path, delivery in deliveries:
            assert over_wsgi(receiver, "POST", path, delivery).status == 200
        assert board.held() == []
        return {
            deal.id: (
                deal.stage,
                deal.value,
                deal.cart,
                [m.into for m in board.history(deal.id).moves],
            )
            for deal in board.deals()
        }


@settings(max_examples=40)
@given(data=st.data())
def test_doubled_and_in_whatever_order_the_deals_are_the_same(data: st.DataObject) -> None:
    facts = week()
    told = data.draw(st.permutations(facts + data.draw(st.lists(st.sampled_from(facts)))))
    assert kept(told) == kept(facts)

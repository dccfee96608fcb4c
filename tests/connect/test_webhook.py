"""The effect webhook: signed so that anybody's library verifies it, and told at least once."""

from __future__ import annotations

import datetime as dt
import json
import socket
import sys
from collections.abc import Callable, Iterator
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook as Library
from standardwebhooks import WebhookVerificationError

from ladderpipe import ANY, Board, Effect, Event, HookContext, ManualClock, Pipeline, Stage, on
from ladderpipe.connect import NotTaken, Receiver, StandardWebhooks, UnsubscribeLink, Webhook
from ladderpipe.errors import DefinitionError, UndeliverableError
from tests.mails import deal, delivery

from .hosts import Host, listening
from .senders import OTHER, SECRET


def real_now() -> dt.datetime:
    """Return what the library reads that verifies: it takes nothing that is five minutes old."""
    return dt.datetime.now(dt.UTC).replace(microsecond=0)


@pytest.fixture
def host() -> Iterator[Host]:
    with listening() as there:
        yield there


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(real_now())


def shop() -> Pipeline:
    cart, won = Stage("cart"), Stage("won", status="won")
    rules = [
        on("cart.saved", into=cart, opens=True),
        on("order.confirmed", into=won, out_of=ANY),
    ]
    pipeline = Pipeline("shop", stages=[cart, won], rules=rules)

    @pipeline.move_into(won)
    def tell(ctx: HookContext) -> None:
        ctx.do("webhook", type="deal.won", url="https://evil.example/", value="12.50")

    return pipeline


@pytest.fixture
def board(clock: ManualClock, host: Host) -> Iterator[Board]:
    with Board(shop(), clock=clock) as opened:
        opened.handle_effect("webhook", Webhook(host.url, secrets=[SECRET], clock=clock))
        for number, kind in enumerate(("cart.saved", "order.confirmed")):
            opened.handle(Event(kind, deal="cart 42/ü", id=str(number), at=clock.now()))
        yield opened


def the_effect(board: Board) -> Effect:
    (effect,) = board.effects()
    return effect


def test_what_is_posted_is_verified_by_the_library_of_standard_webhooks(
    board: Board, host: Host
) -> None:
    assert board.deliver().delivered == 1
    (got,) = host.got
    message = Library(SECRET).verify(got.body, got.headers)
    assert message == {
        "type": "deal.won",
        "timestamp": board.clock.now().isoformat().replace("+00:00", "Z"),
        "deal": "cart 42/ü",
        "pipeline": "shop",
        "data": {"url": "https://evil.example/", "value": "12.50"},
    }
    assert got.headers["webhook-id"] == the_effect(board).key
    assert got.headers["content-type"] == "application/json"
    with pytest.raises(WebhookVerificationError):
        Library(OTHER).verify(got.body, got.headers)


def test_our_own_receiver_takes_what_we_post(board: Board, host: Host) -> None:
    board.deliver()
    (got,) = host.got
    won = Stage("won")
    other = Pipeline("erp", stages=[won], rules=[on("deal.won", into=won, opens=True)])
    with Board(other, clock=board.clock) as theirs:
        signed = StandardWebhooks(secrets=[SECRET], source="shop", clock=board.clock)
        receiver = Receiver(theirs, {"/hooks": signed})
        assert receiver.wsgi
        for event in signed.verify_and_parse(got.headers, got.body):
            theirs.handle(event, hold=True)
        assert theirs.deal("cart 42/ü").stage == "won"


def test_the_host_is_the_configured_one_whatever_an_event_says(board: Board, host: Host) -> None:
    board.deliver()
    assert [got.path for got in host.got] == ["/hooks?of=erp"]


def test_while_a_secret_is_replaced_either_verifies(host: Host) -> None:
    Webhook(host.url, secrets=[SECRET, OTHER])(delivery())
    (got,) = host.got
    for secret in (SECRET, OTHER):
        Library(secret).verify(got.body, got.headers)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_is_delivered(status: int, board: Board, host: Host) -> None:
    host.answer(status)
    board.deliver()
    assert the_effect(board).state == "delivered"


def test_gone_is_not_tried_again(board: Board, host: Host, clock: ManualClock) -> None:
    host.answer(410)
    board.deliver()
    assert the_effect(board).state == "dead"
    clock.advance(days=2)
    board.deliver()
    assert len(host.got) == 1


@pytest.mark.parametrize("status", [301, 302, 307, 400, 401, 403, 404, 500, 502, 503, 0])
def test_what_is_no_2xx_is_tried_again_under_the_same_id(
    status: int, board: Board, host: Host, clock: ManualClock
) -> None:
    host.answer(status, location="http://127.0.0.1:1/elsewhere")
    board.deliver()
    effect = the_effect(board)
    assert effect.state == "pending"
    assert effect.error
    assert "hooks" not in effect.error
    clock.advance(minutes=1)
    board.deliver()
    assert the_effect(board).state == "delivered"
    first, second = host.got
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body


@pytest.mark.parametrize("status", [429, 500, 503])
@pytest.mark.parametrize("as_date", [False, True])
def test_who_asks_for_time_is_given_it_and_no_try_is_lost(
    status: int, as_date: bool, board: Board, host: Host, clock: ManualClock
) -> None:
    at = clock.now() + dt.timedelta(hours=2)
    host.answer(status, retry_after=format_datetime(at, usegmt=True) if as_date else "7200")
    assert board.deliver().delayed == 1
    assert the_effect(board).attempts == 0
    clock.advance(hours=1, minutes=59)
    assert not board.deliver().delivered
    clock.advance(minutes=2)
    assert board.deliver().delivered == 1


@pytest.mark.parametrize("told", ["", "soon", "-1", "1e9", "٣", "99999999999999999999"])
def test_an_odd_retry_after_is_none(told: str, host: Host) -> None:
    if told.isascii():
        host.answer(503, retry_after=told)
        with pytest.raises(NotTaken):
            Webhook(host.url, secrets=[SECRET])(delivery())


def test_nobody_is_put_off_for_longer_than_a_day(host: Host, clock: ManualClock) -> None:
    host.answer(429, retry_after="999999999")
    answer = Webhook(host.url, secrets=[SECRET], clock=clock)(delivery())
    assert answer is not None
    assert answer.at == clock.now() + dt.timedelta(days=1)


def test_however_much_is_answered_it_is_not_read(host: Host) -> None:
    host.answer(200, body=2_000_000_000)
    assert Webhook(host.url, secrets=[SECRET])(delivery()) is None


def test_nobody_at_home_is_no_loss(clock: ManualClock) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(NotTaken, match="tried again"):
        Webhook(f"http://127.0.0.1:{port}/", secrets=[SECRET])(delivery())


def test_a_host_that_says_nothing_is_given_up_after_the_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        with pytest.raises(NotTaken, match="Timeout"):
            Webhook(url, secrets=[SECRET], timeout=0.2)(delivery())


@pytest.mark.parametrize(
    "url",
    [
        "",
        "erp",
        "//erp.example/",
        "ftp://erp.example/",
        "http://erp.example/",
        "file:///etc/passwd",
        "https:///path",
        "https://erp.example:port/",
        "https://user:pass@erp.example/",
        "https://erp.example\\@evil.example/",
        "https://erp.example/a b",
        "https://erp.example/\r\nHost: evil",
        "https://[::1/",
        None,
        7,
    ],
)
def test_an_address_that_is_none_or_not_safe_is_refused_at_once(url: str) -> None:
    with pytest.raises(DefinitionError):
        Webhook(url, secrets=[SECRET])


@pytest.mark.parametrize("secrets", [[], [""], ["whsec_"], ["whsec_???"], SECRET])
def test_an_empty_or_odd_secret_is_refused_at_once(secrets: list[str]) -> None:
    with pytest.raises(DefinitionError):
        Webhook("https://erp.example/", secrets=secrets)


def test_plain_http_within_a_network_of_ones_own_is_asked_for() -> None:
    Webhook("http://erp:8080/hooks", secrets=[SECRET], plain_http=True).close()


def test_no_password_or_path_is_shown() -> None:
    webhook = Webhook("https://erp.example/token-7", secrets=[SECRET])
    assert repr(webhook) == "<Webhook to erp.example>"


def test_what_is_posted_can_be_ones_own(host: Host) -> None:
    webhook = Webhook(
        host.url,
        secrets=[SECRET],
        body=lambda told: {"order": told.deal.id, "worth": f"{told.deal.value:.2f}"},
        headers={"Authorization": "Bearer 7"},
    )
    webhook(delivery(about=deal()))
    (got,) = host.got
    assert json.loads(got.body) == {"order": "cart-42", "worth": "1835.35"}
    assert got.headers["authorization"] == "Bearer 7"


def test_a_dead_address_says_what_to_do(host: Host) -> None:
    host.answer(410)
    with pytest.raises(UndeliverableError, match="send the dead letter again"):
        Webhook(host.url, secrets=[SECRET])(delivery())


@given(text=st.text(max_size=40))
def test_whatever_is_in_a_message_its_signature_holds(text: str) -> None:
    signer = StandardWebhooks(secrets=[SECRET, OTHER])
    body = json.dumps({"text": text}, ensure_ascii=True).encode()
    now = real_now()
    headers = signer.signed("msg_1", body, now)
    Library(OTHER).verify(body, headers)
    signer.verify(headers, body, now)


@pytest.mark.parametrize(
    ("library", "make"),
    [
        ("httpx", lambda: Webhook("https://erp.example/", secrets=[SECRET])),
        ("standardwebhooks", lambda: Webhook("https://erp.example/", secrets=[SECRET])),
        ("itsdangerous", lambda: UnsubscribeLink("https://shop.example/u", secrets=[SECRET])),
    ],
)
def test_a_library_that_is_missing_is_named_with_what_brings_it(
    library: str, make: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(DefinitionError, match=r"pip install '\.\[connect\]'"):
        make()

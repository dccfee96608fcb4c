"""Links in mails: nobody else can make one up, opening one is harmless, each does one thing."""

from __future__ import annotations

import asyncio
import datetime as dt
import re
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ladderpipe import AsyncBoard, Board, Deal, Event, ManualClock, Pipeline, Stage, after, do, on
from ladderpipe.connect import Receiver, Refused, RestoreLink, UnsubscribeLink
from ladderpipe.errors import DefinitionError
from ladderpipe.mail import EmailHandler
from ladderpipe.policy import Policy, unsubscribed
from tests.mails import delivery

from .senders import NOW, Delivery
from .test_receiver import Answer, Call, over_asgi, over_wsgi

SECRET, OLD = "a long random secret", "the one before it"
HOOKS = "https://hooks.shop.example"


def ladder() -> Pipeline:
    cart = Stage("cart")
    left = Stage(
        "left",
        status="abandoned",
        sequence=[do("email", template="cart-reminder", to="customer")],
    )
    return Pipeline(
        "shop",
        stages=[cart, left],
        rules=[
            on("cart.item_added", into=cart, out_of=[left], opens=True),
            after(hours=48, out_of=cart, into=left),
        ],
        send=Policy(stop_when=[unsubscribed]),
    )


@attrs.define
class Sent(EmailHandler):
    """Keeps what it sends."""

    mails: list[EmailMessage] = attrs.field(factory=list, kw_only=True)

    def send(self, message: EmailMessage) -> None:
        self.mails.append(message)


@attrs.define
class Shop:
    board: Board
    clock: ManualClock
    restore: RestoreLink
    unsubscribe: UnsubscribeLink
    handler: Sent
    receiver: Receiver

    def remind(self, deal: str = "cart-42", email: str = "ada@example.com") -> EmailMessage:
        """Let a cart be left, and return the mail about it."""
        line = {"sku": "NB", "title": "Notebook", "quantity": 1, "unit_price": "899.00"}
        contact = {"email": email, "language": "en"}
        data = {"line": line, "currency": "EUR", "contact": contact}
        at = self.clock.now()
        self.board.handle(Event("cart.item_added", deal=deal, id=f"{deal} {at}", at=at, data=data))
        self.clock.advance(hours=49)
        self.board.tick()
        self.board.deliver()
        return self.handler.mails[-1]

    def clicks(self, deal: str = "cart-42") -> list[Event]:
        return [event for event in self.board.events(deal) if event.type == "link.clicked"]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def shop(clock: ManualClock) -> Iterator[Shop]:
    with Board(ladder(), clock=clock) as board:
        yield shop_on(board, clock)


def shop_on(board: Board, clock: ManualClock) -> Shop:
    restore = RestoreLink(
        f"{HOOKS}/cart",
        secrets=[SECRET, OLD],
        to="https://shop.example/cart/{deal}?token={token}",
        clock=clock,
    )
    unsubscribe = UnsubscribeLink(f"{HOOKS}/unsubscribe", secrets=[SECRET, OLD], clock=clock)
    handler = Sent(
        sender="Shop <shop@example.com>",
        link=restore.link,
        unsubscribe=unsubscribe.link,
        clock=clock,
    )
    board.handle_effect("email", handler)
    receiver = Receiver(board, {"/cart": restore, "/unsubscribe": unsubscribe})
    return Shop(board, clock, restore, unsubscribe, handler, receiver)


@pytest.fixture(params=[over_asgi, over_wsgi], ids=["asgi", "wsgi"])
def call(request: pytest.FixtureRequest) -> Call:
    return request.param


def opened(call: Call, receiver: Receiver, url: str, method: str = "GET", **headers: str) -> Answer:
    """Open a link as a browser does."""
    parts = urlsplit(url)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    sent = Delivery(named, b"List-Unsubscribe=One-Click" if method == "POST" else b"")
    if call is over_asgi:
        return call(receiver, method, parts.path, sent, query_string=parts.query.encode())
    return call(receiver, method, parts.path, sent, QUERY_STRING=parts.query)


def link_in(mail: EmailMessage, path: str) -> str:
    """Return a link of the mail's plain text."""
    part = mail.get_body(["plain"])
    assert part is not None
    (found,) = re.findall(rf"{HOOKS}{path}\?token=\S+", part.get_content())
    return str(found)


def header_of(mail: EmailMessage) -> str:
    return str(mail["List-Unsubscribe"]).strip("<>")


def token_of(url: str) -> str:
    return parse_qs(urlsplit(url).query)["token"][0]


def test_who_clicks_comes_back_to_the_cart_and_the_click_is_a_fact(call: Call, shop: Shop) -> None:
    link = link_in(shop.remind(), "/cart")
    shop.clock.advance(minutes=5)
    answer = opened(call, shop.receiver, link)
    assert answer.status == 303
    assert answer.headers["location"] == f"https://shop.example/cart/cart-42?token={token_of(link)}"
    assert answer.headers["referrer-policy"] == "no-referrer"
    (click,) = shop.clicks()
    effect = shop.board.effects("cart-42")[0]
    assert click.at == shop.clock.now()
    assert click.data == {"effect": effect.key, "template": "cart-reminder"}


def test_the_shops_own_view_reads_the_same_token(shop: Shop) -> None:
    token = token_of(link_in(shop.remind(), "/cart"))
    assert shop.restore.read(token).deal == "cart-42"
    assert shop.clicks() == []
    assert isinstance(found := shop.restore.open(shop.board, token), Deal)
    assert found.id == "cart-42"
    assert len(shop.clicks()) == 1


def test_a_rule_may_act_on_a_click() -> None:
    cart, left = Stage("cart"), Stage("left", status="abandoned")
    rules = [on("cart.saved", into=left, opens=True), on("link.clicked", into=cart, out_of=left)]
    clock = ManualClock(NOW)
    with Board(Pipeline("p", stages=[cart, left], rules=rules), clock=clock) as board:
        board.handle(Event("cart.saved", deal="cart-42", id="1", at=NOW))
        clock.advance(hours=1)
        link = RestoreLink(f"{HOOKS}/c", secrets=[SECRET], to="https://shop.example/{deal}")
        told = attrs.evolve(delivery(), pipeline="p")
        assert link.open(board, token_of(link.link(told))).stage == "cart"


def test_clicks_that_follow_each_other_are_one(call: Call, shop: Shop) -> None:
    link = link_in(shop.remind(), "/cart")
    for _ in range(3):
        shop.clock.advance(minutes=5)
        assert opened(call, shop.receiver, link).status == 303
    assert len(shop.clicks()) == 1
    shop.clock.advance(hours=1)
    opened(call, shop.receiver, link)
    assert len(shop.clicks()) == 2


def test_looking_ahead_is_no_click(call: Call, shop: Shop) -> None:
    link = link_in(shop.remind(), "/cart")
    assert opened(call, shop.receiver, link, "HEAD").status == 303
    assert opened(call, shop.receiver, link, sec_purpose="prefetch;prerender").status == 303
    assert opened(call, shop.receiver, link, purpose="prefetch").status == 303
    assert shop.clicks() == []
    assert opened(call, shop.receiver, link, "POST").status == 405


def test_a_link_expires(call: Call, shop: Shop) -> None:
    link = link_in(shop.remind(), "/cart")
    shop.clock.advance(days=30)
    assert opened(call, shop.receiver, link).status == 303
    shop.clock.advance(seconds=1)
    answer = opened(call, shop.receiver, link)
    assert answer.status == 401
    assert b"does not work" in answer.body


def test_a_cart_that_is_gone_is_said_to_be(call: Call, shop: Shop) -> None:
    told = attrs.evolve(delivery(), pipeline="shop")
    answer = opened(call, shop.receiver, shop.restore.link(told), accept_language="it-IT,en;q=.5")
    assert answer.status == 404
    assert "carrello" in answer.body.decode()


def test_another_boards_link_is_none(call: Call, shop: Shop) -> None:
    shop.remind()
    assert opened(call, shop.receiver, shop.restore.link(delivery())).status == 401


def test_a_link_signed_with_the_secret_before_is_taken_and_one_without_any_is_not(
    call: Call, shop: Shop
) -> None:
    shop.remind()
    told = attrs.evolve(delivery(), pipeline="shop")
    for secret, status in ((OLD, 303), ("nobody's", 401)):
        link = RestoreLink(
            f"{HOOKS}/cart", secrets=[secret], to="https://x.example/{deal}", clock=shop.clock
        )
        assert opened(call, shop.receiver, link.link(told)).status == status


def test_opening_the_way_out_changes_nothing_and_posting_does(call: Call, shop: Shop) -> None:
    mail = shop.remind()
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    link = header_of(mail)
    assert link == link_in(mail, "/unsubscribe")
    for method in ("GET", "HEAD"):
        answer = opened(call, shop.receiver, link, method)
        assert answer.status == 200
        assert "set-cookie" not in answer.headers
    assert b'<form method="post">' in opened(call, shop.receiver, link).body
    shop.remind("cart-43")
    assert len(shop.handler.mails) == 2

    answer = opened(call, shop.receiver, link, "POST")
    assert answer.status == 200
    assert b"<form" not in answer.body
    shop.remind("cart-44")
    assert len(shop.handler.mails) == 2
    (effect,) = shop.board.effects("cart-44")
    assert str(effect.decisions[-1]).startswith("dropped: ")


def test_it_is_about_the_address_that_was_written_to(call: Call, shop: Shop) -> None:
    """Whatever the contact's address has become, and whatever became of the deal."""
    link = header_of(shop.remind(email="ADA@example.com"))
    shop.remind(email="bob@example.com")
    shop.board.forget(email="ada@example.com")
    opened(call, shop.receiver, link, "POST")
    mails = len(shop.handler.mails)
    shop.remind("cart-50", email="bob@example.com")
    assert len(shop.handler.mails) == mails + 1
    shop.remind("cart-51", email="ada@example.com")
    assert len(shop.handler.mails) == mails + 1


def test_it_never_expires_and_told_again_is_no_harm(call: Call, shop: Shop) -> None:
    link = header_of(shop.remind())
    shop.clock.advance(days=2000)
    for _ in range(2):
        assert opened(call, shop.receiver, link, "POST").status == 200


def test_whoever_subscribes_again_is_written_to(call: Call, shop: Shop) -> None:
    link = header_of(shop.remind())
    opened(call, shop.receiver, link, "POST")
    shop.clock.advance(hours=1)
    shop.board.subscribe("ada@example.com")
    shop.remind("cart-60")
    assert len(shop.handler.mails) == 2


def test_no_link_holds_an_address_or_says_whose_it_is(shop: Shop) -> None:
    mail = shop.remind()
    (serialized,) = shop.unsubscribe.told(token_of(header_of(mail)), 1)
    assert re.fullmatch(r"hashed:[0-9a-f]{32}", serialized)


def test_a_mail_to_ones_own_staff_has_no_way_out(shop: Shop) -> None:
    assert shop.unsubscribe.link(delivery(to="sales@example.com")) is None


def test_a_link_for_one_thing_is_none_for_another(call: Call, shop: Shop) -> None:
    mail = shop.remind()
    back, out = link_in(mail, "/cart"), header_of(mail)
    for path, token in (("/unsubscribe", token_of(back)), ("/cart", token_of(out))):
        assert opened(call, shop.receiver, f"{HOOKS}{path}?token={token}").status == 401


def test_other_methods_and_long_bodies_are_refused(call: Call, shop: Shop) -> None:
    link = header_of(shop.remind())
    assert opened(call, shop.receiver, link, "DELETE").status == 405
    parts = urlsplit(link)
    huge = Delivery({}, b"x" * 10_000_000)
    assert call(shop.receiver, "POST", parts.path, huge).status == 400


HOSTILE = [
    "",
    ".",
    "..",
    "a.b.c",
    "%00",
    "é",
    "=" * 100,
    "W10",
    "A" * 9000,
    ".eJwDAAAAAAE.aaaaaa.bbbb",
    "-1",
    "null",
]


@pytest.mark.parametrize("token", HOSTILE)
@pytest.mark.parametrize("path", ["/cart", "/unsubscribe"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_hostile_tokens_are_401(token: str, path: str, method: str, call: Call, shop: Shop) -> None:
    answer = call_with(call, shop.receiver, method, path, f"token={token}")
    assert answer.status == (405 if (path, method) == ("/cart", "POST") else 401)


def call_with(call: Call, receiver: Receiver, method: str, path: str, query: str) -> Answer:
    sent = Delivery({}, b"")
    if call is over_asgi:
        return call(receiver, method, path, sent, query_string=query.encode())
    return call(receiver, method, path, sent, QUERY_STRING=query.encode().decode("latin-1"))


@pytest.mark.parametrize(
    "query", ["", "token", "token=" + "&token=" * 50, "a=b", "&&&", "%", "tok=1"]
)
def test_a_query_without_a_token_is_401(query: str, call: Call, shop: Shop) -> None:
    assert call_with(call, shop.receiver, "GET", "/cart", query).status == 401


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_token_that_was_changed_anywhere_is_refused(data: st.DataObject) -> None:
    link = UnsubscribeLink(f"{HOOKS}/u", secrets=[SECRET], clock=ManualClock(NOW))
    token = token_of(link.sign(["hashed:" + "0" * 32]))
    place = data.draw(st.integers(0, len(token) - 1))
    letter = data.draw(st.sampled_from("AZaz09-_.~é"))
    changed = token[:place] + letter + token[place + 1 :]
    # The last letters of a part in base64 hold bits that nobody reads.
    is_last = place + 1 == len(token) or token[place + 1] == "."
    if changed != token and not is_last:
        with pytest.raises(Refused):
            link.told(changed, 1)


@given(deal=st.text(min_size=1, max_size=200), template=st.text(max_size=50))
def test_what_is_signed_is_read_again(deal: str, template: str) -> None:
    link = RestoreLink(f"{HOOKS}/c", secrets=[SECRET], to="https://x.example/{token}")
    try:
        token = token_of(link.sign(["shop", deal, "key", template]))
    except UnicodeEncodeError:
        return  # half of a surrogate pair, which no deal's id has
    read = link.read(token)
    assert (read.pipeline, read.deal, read.template) == ("shop", deal, template)


@pytest.mark.parametrize("secrets", [[], [""], [" "], SECRET, [SECRET, ""]])
def test_an_empty_secret_is_refused_when_configuring(secrets: list[str]) -> None:
    with pytest.raises(DefinitionError):
        UnsubscribeLink(f"{HOOKS}/u", secrets=secrets)


@pytest.mark.parametrize(
    "to", ["https://shop.example/cart", "shop.example/{deal}", "javascript:{deal}", ""]
)
def test_where_it_leads_is_an_address_that_knows_the_cart(to: str) -> None:
    with pytest.raises(DefinitionError):
        RestoreLink(f"{HOOKS}/c", secrets=[SECRET], to=to)


@pytest.mark.parametrize(
    "where", ["javascript:alert(1)", "//evil.example", "https://a/\r\nX: y", ""]
)
def test_a_function_that_leads_nowhere_fails_without_leading_anywhere(
    where: str, call: Call, shop: Shop
) -> None:
    shop.remind()
    odd = RestoreLink(
        f"{HOOKS}/cart", secrets=[SECRET], to=lambda deal, token: where, clock=shop.clock
    )
    receiver = Receiver(shop.board, {"/cart": odd})
    answer = opened(call, receiver, odd.link(attrs.evolve(delivery(), pipeline="shop")))
    assert answer.status == 503
    assert "location" not in answer.headers


def test_a_link_that_lasts_for_no_time_is_refused() -> None:
    with pytest.raises(DefinitionError):
        RestoreLink(
            f"{HOOKS}/c", secrets=[SECRET], to="https://x.example/{deal}", expires=dt.timedelta()
        )


def test_a_database_that_is_away_is_503(call: Call, clock: ManualClock, tmp_path: Path) -> None:
    with Board.open(ladder(), f"sqlite:///{tmp_path / 'shop.db'}", clock) as board:
        shop = shop_on(board, clock)
        mail = shop.remind()
        board.close()
        for link, method in ((link_in(mail, "/cart"), "GET"), (header_of(mail), "POST")):
            answer = opened(call, shop.receiver, link, method)
            assert answer.status == 503
            assert answer.headers["retry-after"] == "30"


def test_an_awaited_board_is_served_as_well(tmp_path: Path, clock: ManualClock) -> None:
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    with Board.open(ladder(), url, clock) as board:
        shop = shop_on(board, clock)
        mail = shop.remind()

        async def serve() -> tuple[int, int]:
            async with await AsyncBoard.open(ladder(), url, clock) as awaited:
                links = {"/cart": shop.restore, "/unsubscribe": shop.unsubscribe}
                receiver = Receiver(awaited, links)
                return (
                    await _status(receiver, "GET", link_in(mail, "/cart")),
                    await _status(receiver, "POST", header_of(mail)),
                )

        assert asyncio.run(serve()) == (303, 200)
        assert len(shop.clicks()) == 1
        shop.remind("cart-70")
        assert len(shop.handler.mails) == 1


async def _status(receiver: Receiver, method: str, url: str) -> int:
    parts = urlsplit(url)
    answered: list[dict[str, object]] = []

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, object]) -> None:
        answered.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": parts.path,
        "query_string": parts.query.encode(),
        "headers": [],
    }
    await receiver.asgi(scope, receive, send)
    return int(str(answered[0]["status"]))

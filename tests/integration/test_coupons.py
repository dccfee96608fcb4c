"""A coupon is asked for once a mail, is the same after a crash, and lapses with the stage."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from pathlib import Path
from typing import Any

import attrs
import pytest

from ladderpipe import (
    ANY,
    AsyncBoard,
    Board,
    Delivery,
    Event,
    ManualClock,
    Pipeline,
    Stage,
    after,
    do,
    on,
)
from ladderpipe.errors import DefinitionError
from ladderpipe.mail import Coupon, Coupons
from tests.mails import composed, delivery


class Died(BaseException):
    """The process died here."""


@attrs.define
class CouponShop:
    """A shop's coupons: asked for by a key, it gives the same code again."""

    asked: list[Coupon] = attrs.Factory(list)
    codes: dict[str, str] = attrs.Factory(dict)
    good: set[str] = attrs.Factory(set)
    dies_after_giving: bool = False
    _numbers: Any = attrs.Factory(itertools.count)

    def issue(self, coupon: Coupon) -> str:
        self.asked.append(coupon)
        if coupon.key not in self.codes:
            self.codes[coupon.key] = f"SAVE{next(self._numbers)}"
            self.good.add(self.codes[coupon.key])
        if self.dies_after_giving:
            raise Died
        return self.codes[coupon.key]

    def revoke(self, coupon: Coupon) -> None:
        assert coupon.code is not None
        self.good.discard(coupon.code)


@attrs.define
class Scene:
    board: Board
    clock: ManualClock
    coupons: CouponShop
    sent: list[Delivery]
    dies: list[int]
    """How often the process dies when it is about to send."""

    def tell(self, kind: str) -> None:
        at = self.clock.now()
        contact = {"email": "ada@example.com"}
        event = Event(kind, deal="c", id=f"{kind} {at}", at=at, data={"contact": contact})
        self.board.handle(event)

    def work(self, hours: float = 0) -> None:
        self.clock.advance(hours=hours)
        self.board.tick()
        with contextlib.suppress(Died):
            self.board.deliver()

    def leave(self) -> None:
        self.tell("saved")
        self.work(hours=48)

    def work_for_hours(self, hours: int) -> None:
        for _ in range(hours):
            self.work(1)

    @property
    def codes(self) -> list[str]:
        return [str(each.payload["coupon_code"]) for each in self.sent]


def ladder(coupons: Coupons, *, good: bool = False) -> Pipeline:
    cart, review = Stage("cart"), Stage("review")
    left = Stage(
        "left",
        status="abandoned",
        sequence=[
            do("email", template="cart-reminder", to="customer"),
            do("email", template="cart-last-reminder", to="customer", coupon={"percent": 10}),
        ],
    )
    won = Stage("won", status="won")
    pipeline = Pipeline(
        "shop",
        stages=[cart, left, review, won],
        rules=[
            on("saved", into=cart, out_of=[left, review], opens=True),
            on("checkout", into=review, out_of=[left, cart]),
            on("order", into=won, out_of=ANY),
            after(hours=48, out_of=cart, into=left),
        ],
    )
    coupons.lapse_on_leaving(pipeline, [left], good_in=[review] if good else [])
    return pipeline


def scene(store: Any, **options: Any) -> Scene:
    shop = CouponShop()
    coupons = Coupons(issue=shop.issue, revoke=shop.revoke)
    clock = ManualClock("2026-01-05T09:00:00Z")
    board = Board(ladder(coupons, **options), store=store, clock=clock)
    found = Scene(board, clock, shop, [], [])

    def send(delivery: Delivery) -> None:
        if "coupon" not in delivery.payload:
            return
        if found.dies:
            found.dies.pop()
            raise Died
        found.sent.append(delivery)

    coupons.handle(board, "email", send)
    return found


def test_a_mail_has_the_coupon_that_its_step_asks_for(store: Any) -> None:
    shop = scene(store)
    shop.leave()
    assert shop.codes == ["SAVE0"]
    (asked,) = shop.coupons.asked
    assert (asked.terms, asked.deal.id, asked.code) == ({"percent": 10}, "c", None)
    assert asked.key == shop.sent[0].key
    assert shop.coupons.good == {"SAVE0"}


def test_after_a_crash_it_is_the_same_and_nobody_asks_again(store: Any) -> None:
    shop = scene(store)
    shop.dies = [1, 1]
    shop.leave()
    assert shop.sent == []
    shop.work_for_hours(3)
    assert shop.codes == ["SAVE0"]
    assert len(shop.coupons.asked) == 1


def test_who_dies_before_the_answer_is_kept_asks_again_by_the_same_key(store: Any) -> None:
    shop = scene(store)
    shop.coupons.dies_after_giving = True
    shop.leave()
    shop.coupons.dies_after_giving = False
    shop.work_for_hours(2)
    assert shop.codes == ["SAVE0"]
    assert len({asked.key for asked in shop.coupons.asked}) == 1


def test_a_mail_that_fails_keeps_its_coupon(store: Any) -> None:
    shop = scene(store)
    failing = [TimeoutError(), TimeoutError()]
    other = CouponShop()
    coupons = Coupons(issue=other.issue, revoke=other.revoke)
    board = Board(shop.board.pipeline, store=store, clock=shop.clock)

    def send(delivery: Delivery) -> None:
        if failing:
            raise failing.pop()
        shop.sent.append(delivery)

    coupons.handle(board, "email", send)
    shop.tell("saved")
    shop.clock.advance(hours=48)
    board.tick()
    for _ in range(5):
        board.deliver()
        shop.clock.advance(hours=1)
    assert len(other.asked) == 1
    assert other.good == {"SAVE0"}


@pytest.mark.parametrize("away", ["order", "checkout", "saved"])
def test_it_is_revoked_when_the_deal_leaves(away: str, store: Any) -> None:
    shop = scene(store)
    shop.leave()
    shop.work(hours=1)
    shop.tell(away)
    shop.work()
    assert shop.coupons.good == set()
    shop.work_for_hours(3)
    assert len(shop.coupons.asked) == 1


def test_where_it_stays_good_it_is_revoked_later(store: Any) -> None:
    shop = scene(store, good=True)
    shop.leave()
    shop.work(hours=1)
    shop.tell("checkout")
    shop.work(hours=1)
    assert shop.coupons.good == {"SAVE0"}
    shop.tell("order")
    shop.work()
    assert shop.coupons.good == set()


def test_who_comes_back_and_leaves_again_has_another(store: Any) -> None:
    shop = scene(store)
    shop.leave()
    shop.work(hours=1)
    shop.leave()
    assert shop.codes == ["SAVE0", "SAVE1"]
    assert shop.coupons.good == {"SAVE1"}


def test_a_deal_that_leaves_while_a_coupon_is_asked_for_leaves_none_behind(store: Any) -> None:
    shop = scene(store)
    issue = shop.coupons.issue
    other = Coupons(issue=lambda coupon: asked(coupon), revoke=shop.coupons.revoke)

    def asked(coupon: Coupon) -> str:
        code = issue(coupon)
        shop.tell("order")
        return code

    board = Board(shop.board.pipeline, store=store, clock=shop.clock)
    other.handle(board, "email", shop.sent.append)
    shop.tell("saved")
    shop.clock.advance(hours=48)
    board.tick()
    board.deliver()
    assert [each for each in shop.sent if "coupon" in each.payload] == []
    assert shop.coupons.good == set()


def test_who_died_and_left_in_the_meantime_leaves_none_behind(store: Any) -> None:
    shop = scene(store)
    shop.coupons.dies_after_giving = True
    shop.leave()
    assert shop.coupons.good == {"SAVE0"}
    shop.coupons.dies_after_giving = False
    shop.tell("order")
    shop.work_for_hours(3)
    assert shop.sent == []
    assert shop.coupons.good == set()


def test_leaving_that_was_undone_brings_another_coupon(store: Any) -> None:
    shop = scene(store)
    shop.dies = [1]
    shop.leave()
    shop.board.override("c", "won", by="ann")
    shop.work_for_hours(2)
    assert shop.coupons.good == set()
    shop.board.undo("c", by="ann", expecting="won")
    shop.work_for_hours(2)
    assert len(shop.sent) == len(shop.coupons.good) <= 1
    assert set(shop.codes) == shop.coupons.good


@pytest.mark.parametrize("code", [None, "", "  ", 7, "x" * 300])
def test_what_is_no_code_is_a_failure_and_no_mail(code: Any, store: Any) -> None:
    coupons = Coupons(issue=lambda coupon: code, revoke=lambda coupon: None)
    clock = ManualClock("2026-01-05T09:00:00Z")
    board = Board(ladder(coupons), store=store, clock=clock)
    sent: list[Delivery] = []
    coupons.handle(board, "email", sent.append)
    board.handle(
        Event("saved", deal="c", id="1", at=clock.now(), data={"contact": {"email": "a@b.c"}})
    )
    clock.advance(hours=48)
    board.tick()
    board.deliver()
    assert [each.payload["template"] for each in sent] == ["cart-reminder"]
    assert [effect.error for effect in board.effects("c") if effect.error]


@pytest.mark.parametrize("template", ["cart-reminder", "cart-last-reminder", "cart-saved-reminder"])
@pytest.mark.parametrize(("language", "words"), [("en", "discount code"), ("it", "codice sconto")])
def test_the_mails_of_the_library_show_the_code(template: str, language: str, words: str) -> None:
    told = delivery(template, language=language, coupon_code="<SAVE>")
    for kind, shown in (("plain", "<SAVE>"), ("html", "&lt;SAVE&gt;")):
        part = composed(told).get_body([kind])
        assert part is not None
        assert words in part.get_content()
        assert shown in part.get_content()
    without = composed(delivery(template, language=language)).get_body(["plain"])
    assert without is not None
    assert words not in without.get_content()


async def awaited(coupon: Coupon) -> Any:
    return "SAVE"


def test_what_has_to_be_awaited_is_refused() -> None:
    with pytest.raises(DefinitionError):
        Coupons(issue=awaited, revoke=print)
    coupons = Coupons(issue=str, revoke=print)
    with Board(ladder(coupons)) as board, pytest.raises(DefinitionError):
        coupons.handle(board, "email", awaited)


@pytest.mark.parametrize("kind", ["memory", "sqlite", "postgresql"])
def test_a_worker_that_awaits_gives_coupons_and_takes_them_back(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    urls = {"memory": "memory:", "sqlite": f"sqlite:///{tmp_path}/shop.db"}
    url = urls.get(kind) or request.getfixturevalue("postgres_url")
    shop, clock, sent = CouponShop(), ManualClock("2026-01-05T09:00:00Z"), list[Delivery]()

    async def work() -> None:
        coupons = Coupons(issue=shop.issue, revoke=shop.revoke)
        async with await AsyncBoard.open(ladder(coupons), url, clock) as board:
            coupons.handle(board, "email", sent.append)
            for type, hours in (("saved", 48), ("order", 1)):
                contact = {"contact": {"email": "ada@example.com"}}
                await board.handle(Event(type, deal="c", id=type, at=clock.now(), data=contact))
                clock.advance(hours=hours)
                await board.tick()
                await board.deliver()
                told.append(set(shop.good))

    told: list[set[str]] = []
    asyncio.run(work())
    assert told == [{"SAVE0"}, set()]
    assert {each.payload.get("coupon_code") for each in sent} == {None, "SAVE0"}

"""Nothing personal is told: whatever customers are called, and wherever it goes wrong."""

from __future__ import annotations

import contextlib
import json
import logging
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ladderpipe import Backoff, LadderError, MemoryStore, UndeliverableError
from ladderpipe.observability import observer as observing
from tests.observing.conftest import Told
from tests.shops import Shop, lead_ladder, register

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=3, max_size=8)
SECRETS = WORDS.map(lambda word: f"<<{word}>>")
CONTACTS = st.fixed_dictionaries({"email": SECRETS, "name": SECRETS, "phone": SECRETS})

ERRORS = (OSError, KeyError, UndeliverableError, ValueError, LookupError)


def tell_everything(
    contact: dict[str, str], where: str, kind: type[Exception], **board: Any
) -> None:
    """Let a customer climb a ladder on which something fails, with the contact in the error."""

    def perhaps_fail(step: str) -> Any:
        def hook(ctx: Any) -> None:
            if step == where:
                raise kind(contact["email"]) from OSError(json.dumps(contact))
            ctx.do("email", to=contact["email"], template="hello")

        return hook

    ladder = register(lead_ladder(), into_new=perhaps_fail("new"), into_cold=perhaps_fail("cold"))
    shop = Shop(ladder, MemoryStore(), backoff=Backoff(tries=2), **board)

    @shop.board.handles("call")
    def unused(delivery: Any) -> None: ...

    def send(delivery: Any) -> None:
        if where == "delivery":
            raise kind(delivery.payload["to"], contact["name"])

    shop.board._session.handlers["email"] = send
    deal = contact["phone"]
    steps: list[Any] = [
        lambda: shop.tell("lead", deal, id=contact["name"], contact=contact),
        lambda: shop.tell("lead", deal, id=contact["name"], contact={"name": "another"}),
        lambda: shop.tell("cart.item_added", deal, line=contact["email"]),
        lambda: shop.tell(contact["email"], deal, contact=contact),
        lambda: shop.board.deliver(),
        lambda: shop.wait(73),
        lambda: shop.board.tick(),
        lambda: shop.board.deliver(),
        lambda: shop.board.handle_many([shop.event("call", deal, hours=-72, contact=contact)]),
        lambda: shop.board.move(deal, "lost", by=contact["name"], reason=contact["email"]),
        lambda: shop.board.override(deal, "won", by=contact["name"], reason=contact["email"]),
    ]
    for step in steps:
        with contextlib.suppress(LadderError):
            step()


@settings(max_examples=25)
@given(
    contact=CONTACTS,
    where=st.sampled_from(["nowhere", "new", "cold", "delivery"]),
    kind=st.sampled_from(ERRORS),
)
def test_no_contact_is_ever_told(contact: dict[str, str], where: str, kind: Any) -> None:
    with Told() as told, pytest.MonkeyPatch.context() as patch:
        patch.setattr(observing, "_telemetry", lambda: told.telemetry)
        tell_everything(contact, where, kind)
        text = told.text()
    assert "ladderpipe.handle" in text
    assert "an event was" in text
    for secret in contact.values():
        assert json.dumps(secret, ensure_ascii=False)[1:-1] not in text
        assert secret not in text


def test_a_candid_board_names_deals_and_quotes_errors(told: Told) -> None:
    contact = {"email": "ada@example.com", "name": "Ada", "phone": "cart-1"}
    tell_everything(contact, "delivery", OSError, candid=True)
    failed = next(r for r in told.records("effects") if r.levelname == "WARNING")
    assert "effect email of deal cart-1 failed" in failed.getMessage()
    assert "ada@example.com" in logging.Formatter().format(failed)
    assert failed.deal == "cart-1"
    assert told.spans[0].attributes["ladderpipe.deal"] == "cart-1"
    assert any("ada@example.com" in (span.status.description or "") for span in told.spans)


def test_a_discreet_record_says_what_failed_and_where(told: Told) -> None:
    contact = {"email": "ada@example.com", "name": "Ada", "phone": "cart-1"}
    tell_everything(contact, "cold", KeyError)
    (failed,) = [r for r in told.records("timers") if r.levelname == "WARNING"]
    message = failed.getMessage()
    assert message.startswith("a deal cannot be swept; it is tried again later: ")
    assert "ladderpipe.errors.HookError from KeyError from OSError" in message
    assert failed.pipeline == "leads"
    assert failed.error == "ladderpipe.errors.HookError"
    assert not hasattr(failed, "deal")


def test_records_carry_fields_beside_their_words(told: Told) -> None:
    contact = {"email": "ada@example.com", "name": "Ada", "phone": "cart-1"}
    tell_everything(contact, "delivery", OSError)
    taken = told.records("events")[0]
    assert (taken.pipeline, taken.outcome, taken.moves) == ("leads", "opened", 1)
    moved = told.records("moves")[0]
    assert (moved.stage, hasattr(moved, "out_of")) == ("new", False)
    tries = [(r.levelname, r.effect, r.state, r.attempt) for r in told.records("effects")]
    assert ("WARNING", "email", "pending", 1) in tries

"""Building on a ladder that is there: its rules, stages and mails stay."""

from __future__ import annotations

import pytest

from ladderpipe import Board, Event, ManualClock, Pipeline, Stage, on, templates
from ladderpipe.errors import DefinitionError

LINE = {"sku": "NB-15", "quantity": 1, "unit_price": "899.00"}
CART = {"line": LINE, "contact": {"email": "ada@example.com"}}


def reminders(pipeline: Pipeline) -> list[str]:
    """Leave a cart alone for three days and return what is sent then."""
    clock = ManualClock("2026-01-05T09:00:00Z")
    board = Board(pipeline, clock=clock)
    sent: list[str] = []
    board.handle_effect("email", lambda delivery: sent.append(delivery.payload["template"]))
    board.handle(Event("cart.item_added", deal="c", id="1", at=clock.now(), data=CART))
    clock.advance(days=3)
    board.tick()
    board.deliver()
    return sent


def test_what_the_ladder_sends_it_still_sends() -> None:
    shop = templates.sales_management(language="en")
    disputed = Stage("disputed", status="lost")
    rule = on("order.disputed", into=disputed, out_of=shop.stage("order_confirmed"))
    more = shop.extended(rules=[rule], stages=[disputed])
    assert reminders(more) == reminders(shop) == ["cart-reminder"]
    assert more.stages == (*shop.stages, disputed)
    assert (more.send, more.zone) == (shop.send, shop.zone)
    assert more.send is not None
    assert (more.title, more.check()) == (shop.title, shop.check())


def test_rules_stand_where_they_are_put_and_others_go() -> None:
    shop = templates.sales_management(language="en")
    keys = [rule.key for rule in shop.rules]
    rule = on("cart.dropped", into=shop.stage("lost"), key="dropped")
    more = shop.extended(rules=[rule], before=keys[1], without=[keys[-1] or ""])
    assert [rule.key for rule in more.rules] == [keys[0], "dropped", *keys[1:-1]]


def test_a_rule_that_is_not_there_is_named() -> None:
    shop = templates.sales_management(language="en")
    with pytest.raises(DefinitionError, match="no rule 'gone'"):
        shop.extended(without=["gone"])
    with pytest.raises(DefinitionError, match="no rule 'gone'"):
        shop.extended(before="gone")


def test_stages_without_their_hooks_are_a_finding() -> None:
    shop = templates.sales_management(language="en")
    rebuilt = Pipeline(shop.name, stages=shop.stages, rules=shop.rules)
    assert [finding.code for finding in rebuilt.check()] == ["L009"]
    rebuilt.move_into(rebuilt.stage("cart_saved"))(lambda ctx: None)
    assert [finding.code for finding in rebuilt.check()] == ["L009"], "the others have none yet"

"""Lift: customers are compared by the arm they were given, whatever was sent to them later."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ladderpipe import MemoryStore, insight
from ladderpipe.insight.frames.holdout import ARMS
from ladderpipe.insight.reports.lift import difference_interval, lift
from ladderpipe.policy import Policy
from tests.carts import Shopper, carts
from tests.insight.lives import Life, life, tables_of

SINCE: Final = dt.datetime(2026, 1, 6, tzinfo=dt.UTC)


def with_arms(deals: list[Life], arms: dict[str, tuple[int, str]], since: Any = SINCE) -> Any:
    import attrs

    rows = [(deal, customer, arm, since) for deal, (customer, arm) in arms.items()]
    return attrs.evolve(tables_of(deals), arms=pl.DataFrame(rows, ARMS, orient="row"))


def test_who_bought_is_counted_by_customer_and_arm_from_that_moment_on() -> None:
    deals = [
        life("a", (0, "new"), (48, "won")),
        life("a again", (0, "new"), (49, "won")),
        life("b", (0, "new")),
        life("c", (0, "new"), (1, "won")),  # before it was given an arm
        life("d", (0, "new"), (48, "won")),
        life("e", (0, "new"), (48, "won")),
    ]
    arms = {
        "a": (1, "sent"),
        "a again": (1, "sent"),
        "b": (2, "sent"),
        "c": (3, "held_out"),
        "d": (4, "held_out"),
        "e": (5, "both"),
    }
    found = lift(with_arms(deals, arms), 0.95)
    assert found is not None
    assert (found.sent, found.sent_bought) == (2, 1)
    assert (found.held_out, found.held_out_bought) == (2, 1)
    assert (found.both, found.is_enough, found.difference) == (1, False, 0.0)


def test_without_arms_nothing_is_said_and_few_are_too_few_to_say() -> None:
    deals = [life("a", (0, "new"), (48, "gone"), (60, "won"))]
    assert lift(tables_of(deals), 0.95) is None
    assert not any("Holdout" in note["en"] for note in insight.recovery(tables_of(deals)).notes)
    notes = insight.recovery(with_arms(deals, {"a": (1, "sent")})).notes
    assert any("too few to say" in note["en"] for note in notes)
    assert any("troppo pochi" in note["it"] for note in notes)
    later = with_arms(deals, {"a": (1, "sent")}, since=dt.datetime(2099, 1, 1, tzinfo=dt.UTC))
    assert lift(later, 0.95) is None, "what is given an arm later is not known yet"


def test_newcombes_own_example() -> None:
    """Newcombe (1998), table II (a): 56/70 - 48/80, method 10."""
    lower, upper = difference_interval(56, 70, 48, 80, 0.95)
    assert (lower, upper) == (pytest.approx(0.0524, abs=5e-5), pytest.approx(0.3339, abs=5e-5))


@given(st.integers(0, 50), st.integers(1, 50), st.integers(0, 50), st.integers(1, 50))
def test_the_interval_holds_the_difference_and_turns_around(
    some: int, of: int, others: int, of_others: int
) -> None:
    some, others = min(some, of), min(others, of_others)
    lower, upper = difference_interval(some, of, others, of_others, 0.9)
    assert lower is not None
    assert upper is not None
    assert -1 <= lower <= some / of - others / of_others <= upper <= 1
    back = difference_interval(others, of_others, some, of, 0.9)
    assert back == (pytest.approx(-upper), pytest.approx(-lower))


def test_a_shop_that_holds_out_half_sees_what_its_reminders_are_worth() -> None:
    shop = Shopper(carts(Policy(holdout=0.5)), MemoryStore())
    people = [f"p{n}@example.com" for n in range(160)]
    for n, person in enumerate(people):
        shop.cart(f"d{n}", person)
    shop.wait(48)
    shop.work()
    shop.wait(1)
    for n, deal in enumerate(shop.reminded):  # two of three that are reminded buy, with any cart
        if n % 3:
            person = people[int(deal[1:])]
            shop.tell("order", f"o{n}", contact={"email": person.upper()})
    shop.wait(1)
    report = insight.recovery(shop.board)
    found = lift(insight.tables(shop.board), 0.95)
    assert found is not None
    assert found.sent == len(shop.reminded)
    assert found.sent + found.held_out == 160
    assert (found.held_out_bought, found.both) == (0, 0)
    assert found.lower is not None
    assert found.lower > 0
    assert any(note["en"].startswith("Lift: ") for note in report.notes)
    assert any(note["it"].startswith("Effetto: ") for note in report.notes)


def test_a_customer_whose_keys_were_given_both_arms_is_left_out_and_counted() -> None:
    shop = Shopper(carts(Policy(holdout=0.5)), MemoryStore())
    people = [f"p{n}@example.com" for n in range(40)]
    for n, person in enumerate(people):
        shop.cart(f"d{n}", person)
        shop.tell("cart", f"i{n}", contact={"id": n, "email": f"q{n}@example.com"})
    shop.wait(48)
    shop.work()
    shop.wait(1)
    for n, person in enumerate(people):  # the guest turns out to be that customer
        shop.tell("told", f"d{n}", contact={"id": n, "email": person})
    found = lift(insight.tables(shop.board), 0.95)
    assert found is not None
    assert found.both > 5
    assert found.sent + found.held_out + found.both == 40

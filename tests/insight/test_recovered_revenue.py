"""Recovered revenue, by links that were clicked and by lift, against calculations by hand."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from decimal import Decimal
from statistics import NormalDist, mean, variance
from typing import Any, Final

import attrs
import polars as pl
import pytest

from ladderpipe import MemoryStore, insight
from ladderpipe.connect import RestoreLink
from ladderpipe.errors import DefinitionError
from ladderpipe.insight.frames.clicks import CLICKS
from ladderpipe.insight.frames.holdout import ARMS
from ladderpipe.policy import Policy
from tests.carts import Shopper, carts
from tests.insight.lives import Life, after, life, tables_of

SINCE: Final = after(0)


def told_of(
    deals: list[Life],
    clicks: Sequence[tuple[str, float, str]] = (),
    arms: dict[str, tuple[int, str]] | None = None,
) -> Any:
    rows = [(deal, after(hours), template, "key") for deal, hours, template in clicks]
    given = [(deal, customer, arm, SINCE) for deal, (customer, arm) in (arms or {}).items()]
    return attrs.evolve(
        tables_of(deals),
        clicks=pl.DataFrame(rows, CLICKS, orient="row"),
        arms=pl.DataFrame(given, ARMS, orient="row"),
    )


def won(deal: str, hours: float, value: str | None, currency: str = "EUR") -> Life:
    worth = None if value is None else Decimal(value)
    return life(deal, (0, "new"), (hours, "won"), value=worth, currency=currency)


def rows(report: insight.Report) -> list[dict[str, Any]]:
    return report.table.rows(named=True)


def test_an_order_counts_for_the_mail_that_was_clicked_last_within_a_week() -> None:
    deals = [
        won("a", 48, "100.00"),
        won("b", 50, "200.00"),
        won("c", 300, "400.00"),
        won("d", 48, "800.00"),
        won("e", 60, "3.00", "USD"),
        won("f", 60, None),
        life("g", (0, "new"), value=Decimal("1600.00"), currency="EUR"),
        won("h", 10, "3200.00"),
    ]
    clicks = [
        ("a", 20, "first"),
        ("a", 40, "last"),
        ("a", 49, "first"),  # after the order
        ("b", 50, "first"),  # at the very instant of it
        ("c", 100, "first"),  # more than a week before it
        ("e", 59, "first"),
        ("f", 59, "first"),
        ("g", 59, "first"),  # did not buy
    ]
    report = insight.recovered_revenue(told_of(deals, clicks))
    found = [(r["template"], r["currency"], r["deals"], r["value"]) for r in rows(report)]
    assert found == [
        ("first", "EUR", 2, Decimal("200.00")),
        ("first", "USD", 1, Decimal("3.00")),
        ("last", "EUR", 1, Decimal("100.00")),
    ]
    assert {r["by"] for r in rows(report)} == {"link"}
    assert any("no value" in note["en"] for note in report.notes)


def test_how_long_after_a_click_an_order_counts_can_be_said() -> None:
    tables = told_of([won("a", 48, "100.00")], [("a", 20, "first")])
    assert rows(insight.recovered_revenue(tables, within=dt.timedelta(hours=27))) == []
    assert len(rows(insight.recovered_revenue(tables, within=dt.timedelta(hours=28)))) == 1
    for odd in (dt.timedelta(), dt.timedelta(hours=-1)):
        with pytest.raises(DefinitionError):
            insight.recovered_revenue(tables, within=odd)


def test_as_of_an_earlier_instant_later_clicks_and_orders_are_not_known() -> None:
    tables = told_of([won("a", 48, "100.00")], [("a", 20, "first")])
    assert rows(insight.recovered_revenue(tables, as_of=after(47))) == []
    assert len(rows(insight.recovered_revenue(tables, as_of=after(48)))) == 1


def test_the_lift_is_that_of_a_calculation_by_hand() -> None:
    deals, arms = [], {}
    spent: dict[str, list[float]] = {"sent": [], "held_out": []}
    for n in range(100):
        arm = "sent" if n % 2 else "held_out"
        value = (n * 7) % 90 if n % 3 and (arm == "sent" or n % 4 == 0) else 0
        name = f"d{n:03}"
        deals.append(won(name, 48, f"{value}.00") if value else life(name, (0, "new")))
        arms[name] = (n, arm)
        spent[arm].append(float(value))
    (row,) = rows(insight.recovered_revenue(told_of(deals, arms=arms), confidence=0.9))
    some, others = spent["sent"], spent["held_out"]
    difference = mean(some) - mean(others)
    error = math.sqrt(variance(some) / 50 + variance(others) / 50)
    spread = NormalDist().inv_cdf(0.95) * error
    assert (row["by"], row["currency"], row["customers"], row["held_out"]) == (
        "lift",
        "EUR",
        50,
        50,
    )
    assert row["deals"] == sum(value > 0 for value in some)
    for name, expected in (
        ("value", difference),
        ("value_lower", difference - spread),
        ("value_upper", difference + spread),
    ):
        assert float(row[name]) == pytest.approx(50 * expected, abs=0.006)


def test_a_customer_who_bought_twice_is_one_and_what_came_before_does_not_count() -> None:
    deals, arms = [], {}
    for n in range(60):
        deals.append(life(f"d{n}", (0, "new")))
        arms[f"d{n}"] = (n, "sent" if n < 30 else "held_out")
    deals += [won("x", 5, "30.00"), won("y", 6, "60.00")]
    arms |= {"x": (0, "sent"), "y": (0, "sent")}
    tables = told_of(deals, arms=arms)
    (row,) = rows(insight.recovered_revenue(tables))
    assert (row["value"], row["deals"]) == (Decimal("90.00"), 2)
    later = tables.arms.with_columns(since=pl.lit(after(5.5)).cast(tables.arms["since"].dtype))
    (row,) = rows(insight.recovered_revenue(attrs.evolve(tables, arms=later)))
    assert (row["value"], row["deals"]) == (Decimal("60.00"), 1)


def test_too_few_customers_say_nothing_and_both_arms_are_left_out() -> None:
    deals = [won("a", 5, "30.00"), won("b", 5, "60.00"), life("c", (0, "new"))]
    arms = {"a": (1, "sent"), "b": (2, "both"), "c": (3, "held_out")}
    report = insight.recovered_revenue(told_of(deals, arms=arms))
    (row,) = rows(report)
    assert (row["value"], row["customers"], row["held_out"]) == (None, 1, 1)
    assert any("too few" in note["en"] for note in report.notes)
    assert any("troppo poc" in note["it"] for note in report.notes)


def test_nothing_known_gives_an_empty_report() -> None:
    report = insight.recovered_revenue(tables_of([won("a", 5, "30.00")]))
    assert rows(report) == []
    assert report.printed("it").columns[0] == "Secondo"


def test_what_customers_did_on_a_board_stands_in_its_report() -> None:
    shop = Shopper(carts(Policy(holdout=0.5)), MemoryStore())
    link = RestoreLink(
        "https://hooks.shop.example/cart",
        secrets=["a long random secret"],
        to="https://shop.example/{deal}",
        clock=shop.clock,
    )
    people = [f"p{n}@example.com" for n in range(80)]
    for n, person in enumerate(people):
        shop.cart(f"d{n}", person, value="10.00", currency="EUR")
    shop.wait(48)
    shop.work()
    shop.wait(1)
    reminded = [each for each in shop.sent if each.payload["template"] == "remind"]
    for n, each in enumerate(reminded):
        token = link.link(each).partition("token=")[2]
        if n % 2:
            link.open(shop.board, token)
        shop.wait(0.001)
    shop.wait(1)
    for each in reminded[::4] + reminded[1::4]:
        shop.tell("order", each.deal.id)
    shop.wait(1)
    found = {row["by"]: row for row in rows(insight.recovered_revenue(shop.board))}
    clicked = len(reminded[1::4])
    assert found["link"]["template"] == "remind"
    assert (found["link"]["deals"], found["link"]["value"]) == (clicked, 10 * clicked)
    bought = clicked + len(reminded[::4])
    assert found["lift"]["customers"] + found["lift"]["held_out"] == 80
    assert (found["lift"]["deals"], found["lift"]["value"]) == (bought, 10 * bought)
    assert found["lift"]["value_lower"] > 0
    assert "Ricavi recuperati" in insight.page(shop.board, language="it")


def test_a_click_that_was_taken_back_is_none() -> None:
    shop = Shopper(carts(None), MemoryStore())
    shop.cart("d", value="10.00", currency="EUR")
    shop.wait(1)
    click = shop.event("link.clicked", "d", template="remind", effect="k")
    shop.board.handle(click)
    shop.wait(1)
    shop.tell("order", "d")
    assert len(rows(insight.recovered_revenue(shop.board))) == 1
    shop.wait(1)
    shop.board.withdraw(click, by="ann")
    assert rows(insight.recovered_revenue(shop.board)) == []


def test_with_rates_all_amounts_are_in_one_currency() -> None:
    deals, arms = [], {}
    for n in range(60):
        deals.append(won(f"d{n:02}", 5, f"{n}.00", "USD" if n % 2 else "EUR"))
        arms[f"d{n:02}"] = (n, "sent" if n % 3 else "held_out")
    deals += [life(f"e{n}", (0, "new")) for n in range(30)]
    arms |= {f"e{n}": (100 + n, "held_out" if n % 2 else "sent") for n in range(30)}
    tables = told_of(deals, [("d03", 4, "mail"), ("d04", 4, "mail")], arms)
    rates = insight.Rates.of({("USD", after(5).date()): "0.5"}, into="EUR")
    assert len(rows(insight.recovered_revenue(tables))) == 4
    linked, lift = rows(insight.recovered_revenue(tables, rates=rates))
    assert (linked["currency"], linked["deals"], linked["value"]) == ("EUR", 2, Decimal("5.50"))
    # What a calculation on amounts that were in one currency all along says.
    worth = [Decimal(n) / (2 if n % 2 else 1) for n in range(60)]
    plain = [won(f"d{n:02}", 5, str(value)) for n, value in enumerate(worth)]
    (expected,) = rows(insight.recovered_revenue(told_of([*plain, *deals[60:]], arms=arms)))
    assert lift == expected


def test_a_rate_that_is_missing_is_said() -> None:
    tables = told_of([won("a", 48, "100.00", "USD")], [("a", 20, "first")])
    rates = insight.Rates.of({("CHF", after(0).date()): "0.5"}, into="EUR")
    with pytest.raises(insight.RateError):
        insight.recovered_revenue(tables, rates=rates)

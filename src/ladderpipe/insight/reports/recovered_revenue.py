"""Recovered revenue: what was ordered after a click in a mail, and what mails are really worth."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator
from decimal import Decimal
from statistics import NormalDist
from typing import Any, Final, NamedTuple

import polars as pl

from ...errors import DefinitionError
from ...model.clock import instant
from ..frames.clicks import CLICKS
from ..frames.holdout import ARMS
from ..frames.rates import Rates
from ..frames.schema import MONEY
from ..frames.snapshot import Instant, Source, checked_confidence, known_sum, standing, unvalued
from ..frames.tables import Tables
from ..report import Report
from ..words import Words, noted, said, titles_of
from .lift import LEAST

__all__ = ["recovered_revenue"]

WEEK: Final = dt.timedelta(days=7)

SCHEMA: Final[dict[str, Any]] = {
    "by": pl.String,
    "template": pl.String,
    "currency": pl.String,
    "deals": pl.Int64,
    "value": MONEY,
    "value_lower": MONEY,
    "value_upper": MONEY,
    "customers": pl.Int64,
    "held_out": pl.Int64,
}


def recovered_revenue(
    source: Source,
    *,
    as_of: Instant | None = None,
    within: dt.timedelta = WEEK,
    confidence: float = 0.95,
    rates: Rates | None = None,
) -> Report:
    """Report what mails brought back: by the links that were clicked, and by the lift.

    By link: orders at most *within* after a click on the link back to the cart, for the mail that
    was clicked last. By lift, where a send policy holds customers out: how much more those brought
    that may be written to, with an interval. The former counts who would have come anyway, too.

    Args:
        within: how long after a click an order counts as the mail's.
        confidence: of the interval.
        rates: put all amounts into one currency.

    Raises:
        DefinitionError: *within* is not positive.
        ClockError: the tables do not reach so far.
        RateError: a rate that is needed is missing.
    """
    if within <= dt.timedelta():
        raise DefinitionError(f"within={within!r}: an order comes some time after the click")
    at = None if as_of is None else instant(as_of)
    tables = standing(source, at, rates)
    won = tables.deals.filter(pl.col("status") == "won").select(
        "deal", "value", "currency", "closed_at"
    )
    linked = _by_link(tables, won, within)
    lifts = [*_by_lift(tables, won, checked_confidence(confidence))]
    table = pl.concat(
        [
            linked.group_by("template", "currency")
            .agg(pl.len().alias("deals"), known_sum("value"))
            .sort("template", "currency", nulls_last=True)
            .select(
                by=pl.lit("link"),
                template=pl.col("template"),
                currency=pl.col("currency"),
                deals=pl.col("deals").cast(pl.Int64),
                value=pl.col("value").cast(MONEY),
                value_lower=pl.lit(None, MONEY),
                value_upper=pl.lit(None, MONEY),
                customers=pl.lit(None, pl.Int64),
                held_out=pl.lit(None, pl.Int64),
            ),
            pl.DataFrame(lifts, SCHEMA, orient="row"),
        ]
    )
    return Report(
        name="recovered_revenue",
        titles=said("Recovered revenue", "Ricavi recuperati"),
        definitions=DEFINITION,
        as_of=tables.as_of,
        table=table,
        columns=titles_of(table, **COLUMNS),
        labels={
            "by": {"link": said("link clicked", "link aperto"), "lift": said("lift", "effetto")},
            "template": {"": said("no template", "senza modello")},
            "currency": {},
        },
        notes=(*unvalued(linked), *_few(lifts)),
    )


def _by_link(tables: Tables, won: pl.DataFrame, within: dt.timedelta) -> pl.DataFrame:
    """Return the deals that were won after a click, each with the mail that was clicked last."""
    clicks = tables.clicks if tables.clicks is not None else pl.DataFrame(schema=CLICKS)
    return (
        won.join(clicks.select("deal", "at", "template"), on="deal")
        .filter(
            (pl.col("at") <= pl.col("closed_at"))
            & (pl.col("closed_at") - pl.col("at") <= pl.lit(within))
        )
        .sort("deal", "at", "template")
        .group_by("deal", maintain_order=True)
        .agg(pl.col("template", "value", "currency").last())
    )


class _Lift(NamedTuple):
    """A row of the lift; without money where there are too few customers to say."""

    by: str
    template: None
    currency: str | None
    deals: int
    value: Decimal | None
    value_lower: Decimal | None
    value_upper: Decimal | None
    customers: int
    held_out: int


def _by_lift(tables: Tables, won: pl.DataFrame, confidence: float) -> Iterator[_Lift]:
    """Yield in each currency how much more those brought that may be written to.

    With the mean revenue of a customer x̄₁ of n₁ who may be written to and x̄₂ of n₂ held out, who
    are counted with nothing if they bought nothing, and the sample variances s₁² and s₂²: the lift
    is n₁(x̄₁ - x̄₂), and its interval n₁(x̄₁ - x̄₂ ± z √(s₁²/n₁ + s₂²/n₂)). Welch, B. L. (1938), "The
    significance of the difference between two means when the population variances are unequal",
    Biometrika 29, 350-362, by the normal distribution, since each arm has at least thirty.
    """
    given = tables.arms if tables.arms is not None else pl.DataFrame(schema=ARMS)
    given = given.filter((pl.col("since") <= tables.as_of) & (pl.col("arm") != "both"))
    arms = dict(given.select("customer", "arm").unique().iter_rows())
    sent = sum(arm == "sent" for arm in arms.values())
    held_out = len(arms) - sent
    bought = given.join(won, on="deal").filter(
        (pl.col("closed_at") >= pl.col("since")) & pl.col("value").is_not_null()
    )
    for (currency,), some in bought.group_by("currency"):
        spent: dict[int, Decimal] = {}
        for customer, value in some.select("customer", "value").iter_rows():
            spent[customer] = spent.get(customer, Decimal()) + value
        deals = some.filter(pl.col("arm") == "sent")["deal"].n_unique()
        value = lower = upper = None
        if min(sent, held_out) >= LEAST:
            each = [
                ([float(v) for c, v in spent.items() if arms[c] == arm], n)
                for arm, n in (("sent", sent), ("held_out", held_out))
            ]
            value, lower, upper = map(_money, _difference(*each[0], *each[1], confidence))
        name = None if currency is None else str(currency)
        yield _Lift("lift", None, name, deals, value, lower, upper, sent, held_out)


def _difference(
    some: list[float], n: int, others: list[float], m: int, confidence: float
) -> tuple[float, float, float]:
    """Return the lift of all *n*, and the ends of its interval; who is not listed spent nothing."""
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    mean, variance = _moments(some, n)
    other, other_variance = _moments(others, m)
    spread = z * math.sqrt(variance / n + other_variance / m)
    return n * (mean - other), n * (mean - other - spread), n * (mean - other + spread)


def _moments(spent: list[float], n: int) -> tuple[float, float]:
    mean = math.fsum(spent) / n
    squares = math.fsum((one - mean) ** 2 for one in spent) + (n - len(spent)) * mean**2
    return mean, squares / (n - 1)


def _money(amount: float) -> Decimal:
    return Decimal(str(round(amount, 2)))


def _few(lifts: list[_Lift]) -> tuple[Words, ...]:
    few = [row for row in lifts if row.value is None]
    return noted(
        min(few[0].customers, few[0].held_out) if few else 0,
        (
            f"customer in the smaller group is too few to say what mails are worth: {LEAST} are "
            "needed in each.",
            f"customers in the smaller group are too few to say what mails are worth: {LEAST} are "
            "needed in each.",
        ),
        (
            f"cliente nel gruppo più piccolo è troppo poco per dire quanto valgano le e-mail: ne "
            f"servono {LEAST} per gruppo.",
            f"clienti nel gruppo più piccolo sono troppo pochi per dire quanto valgano le e-mail: "
            f"ne servono {LEAST} per gruppo.",
        ),
    )


COLUMNS: Final[dict[str, Words]] = {
    "by": said("By", "Secondo"),
    "template": said("Mail", "E-mail"),
    "value_lower": said("Value from (confidence)", "Valore da (confidenza)"),
    "value_upper": said("Value to (confidence)", "Valore a (confidenza)"),
    "customers": said("Customers written to", "Clienti a cui si scrive"),
    "held_out": said("Customers held out", "Clienti esclusi"),
}

DEFINITION: Final = said(
    "By link: deals won at most a week (or the span that was asked for) after somebody followed "
    "the link back to the cart in a mail; each deal counts once, for the mail that was clicked "
    "last before the order, with what it is worth at the instant of the report. Who would have "
    "come back anyway is among them. By lift: customers are compared by the group that they were "
    "given when their first mail would have gone out, whatever was sent to them later (intention "
    "to treat). The value is the number of customers who may be written to, times the difference "
    "between the mean revenue of one of them and of one held out, from that moment on; who bought "
    "nothing counts with nothing. Interval: Welch (1938), by the normal distribution; with fewer "
    f"than {LEAST} customers in a group there is none, and no value. Deals: those of customers "
    "written to. Nothing is added across currencies, and the two ways are not added either.",
    "Secondo il link: trattative vinte al più una settimana (o l'intervallo richiesto) dopo che "
    "qualcuno ha seguito il link di ritorno al carrello in un'e-mail; ogni trattativa conta una "
    "volta, per l'ultima e-mail cliccata prima dell'ordine, con il valore all'istante del "
    "rapporto. Vi è anche chi sarebbe tornato comunque. Secondo l'effetto: i clienti sono "
    "confrontati per il gruppo assegnato quando la prima e-mail sarebbe partita, qualunque cosa "
    "sia stata inviata dopo (intention to treat). Il valore è il numero dei clienti a cui si può "
    "scrivere, per la differenza fra il ricavo medio di uno di loro e di un escluso, da quel "
    "momento in poi; chi non ha acquistato conta zero. Intervallo: Welch (1938), con la "
    f"distribuzione normale; con meno di {LEAST} clienti in un gruppo non c'è, e nemmeno il "
    "valore. Trattative: quelle dei clienti a cui si scrive. Non si sommano valute diverse, né "
    "i due metodi fra loro.",
)

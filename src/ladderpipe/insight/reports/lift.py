"""Lift: how many more customers bought because of what they were sent, with an interval.

Customers are compared by the arm that they were given, from that moment on, whatever was sent to
them later (intention to treat): what is left out by design cannot have chosen itself.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Final

import attrs
import polars as pl

from ...formats import ENGLISH, ITALIAN
from ..frames.tables import Tables
from ..words import Words, said

__all__ = ["Lift", "lift"]

LEAST: Final = 30
"""With fewer customers in an arm a difference is too uncertain to be shown."""


@attrs.frozen
class Lift:
    """What was bought by customers that were sent something, and by those held out.

    Attributes:
        sent: how many customers may be sent something, and ``held_out`` how many may not.
        sent_bought: how many of the former bought from that moment on, and so on.
        both: how many were given either arm under their keys, and are left out.
        lower: with ``upper``, the ends of the interval of the difference between the shares.
    """

    sent: int
    sent_bought: int
    held_out: int
    held_out_bought: int
    both: int
    lower: float | None
    upper: float | None

    @property
    def difference(self) -> float | None:
        """The share that bought of those sent to, less that of those held out."""
        if not self.sent or not self.held_out:
            return None
        return self.sent_bought / self.sent - self.held_out_bought / self.held_out

    @property
    def is_enough(self) -> bool:
        """Whether there are enough customers in each arm to say something."""
        return min(self.sent, self.held_out) >= LEAST


def lift(tables: Tables, confidence: float) -> Lift | None:
    """Return the lift that the tables show; ``None`` where nobody was given an arm."""
    given = tables.arms
    if given is not None:
        given = given.filter(pl.col("since") <= tables.as_of)
    if given is None or not given.height:
        return None
    won = [stage.key for stage in tables.stages if stage.status == "won"]
    purchases = tables.visits.filter(pl.col("stage").is_in(won)).select("deal", at="entered_at")
    customers = (
        given.join(purchases, on="deal", how="left")
        .group_by("customer")
        .agg(
            pl.col("arm").first(),
            bought=(pl.col("at") >= pl.col("since")).any(ignore_nulls=True).fill_null(False),
        )
    )
    counts = {
        arm: (len(bought), int(bought.sum()))
        for (arm,), bought in ((name, frame["bought"]) for name, frame in customers.group_by("arm"))
    }
    sent, held_out = counts.get("sent", (0, 0)), counts.get("held_out", (0, 0))
    ends = difference_interval(*sent[::-1], *held_out[::-1], confidence)
    return Lift(*sent, *held_out, counts.get("both", (0, 0))[0], *ends)


def difference_interval(
    some: int, of: int, others: int, of_others: int, confidence: float
) -> tuple[float | None, float | None]:
    """Return the ends of the interval of a difference between two shares, some/of - others/of.

    With the Wilson intervals (l₁, u₁) and (l₂, u₂) of the shares p₁ and p₂ and d = p₁ - p₂:
    d - √((p₁-l₁)² + (u₂-p₂)²) to d + √((u₁-p₁)² + (p₂-l₂)²). Newcombe, R. G. (1998), "Interval
    estimation for the difference between independent proportions: comparison of eleven methods",
    Statistics in Medicine 17(8), 873-890, method 10.
    """
    if not of or not of_others:
        return None, None
    one, other = some / of, others / of_others
    low, high = _wilson(some, of, confidence)
    other_low, other_high = _wilson(others, of_others, confidence)
    down = math.hypot(one - low, other_high - other)
    up = math.hypot(high - one, other - other_low)
    return one - other - down, one - other + up


def _wilson(successes: int, n: int, confidence: float) -> tuple[float, float]:
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = successes / n
    centre = share + z**2 / (2 * n)
    spread = z * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    whole = 1 + z**2 / n
    return max(0.0, (centre - spread) / whole), min(1.0, (centre + spread) / whole)


def lift_words(found: Lift, confidence: float) -> tuple[Words, ...]:
    """Say what the lift is, how sure that is, and who was left out."""
    told = [_counts(found), _verdict(found, confidence)]
    if found.both:
        told.append(
            said(
                f"Customers given both arms under different keys, left out: "
                f"{ENGLISH.number(found.both)}.",
                f"Clienti assegnati a entrambi i gruppi con chiavi diverse, esclusi: "
                f"{ITALIAN.number(found.both)}.",
            )
        )
    return tuple(told)


def _counts(found: Lift) -> Words:
    en, it = ENGLISH, ITALIAN
    return said(
        f"Holdout: of {en.number(found.sent)} customers that might be written to, "
        f"{en.number(found.sent_bought)} bought from then on; of {en.number(found.held_out)} held "
        f"out, {en.number(found.held_out_bought)} did.",
        f"Gruppo di controllo: di {it.number(found.sent)} clienti a cui si poteva scrivere, "
        f"{it.number(found.sent_bought)} hanno acquistato da allora; di "
        f"{it.number(found.held_out)} esclusi, {it.number(found.held_out_bought)}.",
    )


def _verdict(found: Lift, confidence: float) -> Words:
    difference = found.difference
    if not found.is_enough or difference is None or found.lower is None or found.upper is None:
        return said(
            f"That is too few to say what writing is worth: at least {LEAST} customers are needed "
            "in each group.",
            f"Sono troppo pochi per dire quanto valga scrivere: servono almeno {LEAST} clienti "
            "per gruppo.",
        )
    en, it = ENGLISH, ITALIAN
    is_sure = found.lower > 0 or found.upper < 0
    return said(
        f"Lift: {en.share(difference)} of the customers, between {en.share(found.lower)} and "
        f"{en.share(found.upper)} ({en.share(confidence)} interval, Newcombe 1998)"
        + ("." if is_sure else ", so that it may be none."),
        f"Effetto: {it.share(difference)} dei clienti, fra {it.share(found.lower)} e "
        f"{it.share(found.upper)} (intervallo al {it.share(confidence)}, Newcombe 1998)"
        + ("." if is_sure else ", quindi potrebbe essere nullo."),
    )

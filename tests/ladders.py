"""Ladders that the tests share: the README's, and strategies for random ones with everything."""

from __future__ import annotations

import datetime as dt
from typing import Any

import attrs
from hypothesis import strategies as st

from ladderpipe import (
    ANY,
    Calendar,
    Deal,
    Event,
    Pipeline,
    Stage,
    Timer,
    VisitTimes,
    after,
    by_hand,
    on,
)
from ladderpipe.ladder.guards import Guard, cart_has_items, cart_is_empty, guard
from ladderpipe.ladder.rules import AfterOpen
from ladderpipe.testing.strategies import events, events_and_hands, pipelines

CART = ("cart.updated", "cart.item_added", "cart.item_removed", "cart.emptied")


def sales_ladder() -> Pipeline:
    """Return the README's ladder, new each time: hooks are registered on a pipeline."""
    quote = Stage("quote_requested", title="Richiesta preventivo", probability=0.20)
    parked = Stage("cart_parked", title="Carrello parcheggiato", probability=0.05)
    saved = Stage("cart_saved", title="Carrello salvato", probability=0.30)
    review = Stage("order_review", title="Riepilogo ordine", probability=0.80)
    confirmed = Stage("order_confirmed", title="Ordine confermato", status="won")
    abandoned = Stage(
        "checkout_abandoned", title="Check Out abbandonato", status="abandoned", probability=0.10
    )
    lost = Stage("lost", title="Trattativa persa", status="lost", requires=["loss_reason"])
    return Pipeline(
        "sales-management",
        stages=[quote, parked, saved, review, confirmed, abandoned, lost],
        rules=[
            on("order.confirmed", into=confirmed, out_of=ANY, opens=True),
            on("checkout.started", into=review),
            on("cart.saved", into=saved, when=cart_has_items),
            on(*CART, into=parked, when=cart_is_empty),
            on(*CART, into=quote, out_of=[parked, abandoned], when=cart_has_items, opens=True),
            after(hours=48, out_of=quote, into=abandoned, when=cart_has_items),
            by_hand(into=lost),
        ],
    )


@attrs.frozen
class NextWhole(Timer):
    """Due at the next whole multiple of some hours, never in deals opened before seven o'clock."""

    hours: int

    def due_at(self, visit: VisitTimes) -> dt.datetime | None:
        midnight = visit.activity_at.replace(hour=0, minute=0, second=0, microsecond=0)
        step = dt.timedelta(hours=self.hours)
        passed = (visit.activity_at - midnight) // step
        if visit.opened_at.hour < 7:
            return None
        return midnight + (passed + 1) * step


@attrs.frozen
class LongAgo(Timer):
    """Due before anything happened: that is, at once."""

    def due_at(self, visit: VisitTimes) -> dt.datetime:
        return visit.opened_at - dt.timedelta(days=1)


SHOP = Calendar(
    "shop",
    zone="Europe/Rome",
    hours={"mon-fri": ["08:00-10:30", "11:00-12:00", "15:00-24:00"], "sat-sun": "00:00-24:00"},
    holidays=["2026-01-06"],
)


def an_event_asks(deal: Deal, event: Event | None) -> bool:
    return event is not None


def a_timer_asks(deal: Deal, event: Event | None) -> bool:
    return event is None


def the_visit_is_even(deal: Deal, event: Event | None) -> bool:
    return deal.visit % 2 == 0


def it_is_not_closed(deal: Deal, event: Event | None) -> bool:
    return deal.closed_at is None and deal.lost_from is None


OWN_GUARDS: tuple[Guard, ...] = tuple(
    map(guard, (an_event_asks, a_timer_asks, the_visit_is_even, it_is_not_closed))
)


TIMERS: tuple[Timer, ...] = (
    NextWhole(2),
    NextWhole(3),
    LongAgo(),
    AfterOpen(SHOP.span(hours=2)),
    AfterOpen(SHOP.span(hours=1), since="activity"),
    AfterOpen(SHOP.span(days=1), since="opened"),
)


def ladders(**options: Any) -> st.SearchStrategy[Pipeline]:
    """Return a strategy for random ladders, with guards and timers of our own among the rest."""
    options.setdefault("guards", st.sampled_from(OWN_GUARDS))
    options.setdefault("timers", st.sampled_from(TIMERS))
    return pipelines(**options)


@st.composite
def ladders_and_events(
    draw: st.DrawFn, hands: bool = True, min_size: int = 0, max_size: int = 20, **options: Any
) -> tuple[Pipeline, list[Event]]:
    """Return a random ladder and one deal's events for it."""
    random = draw(st.sampled_from([True, True, True, False]))
    pipeline = draw(ladders(**options)) if random else sales_ladder()
    stream = events_and_hands if hands else events
    return pipeline, draw(stream(pipeline, min_size=min_size, max_size=max_size))


def guarded_ladder() -> Pipeline:
    """Return a ladder of two stages, between which stands a guard that raises."""

    def raises(deal: Deal, event: Event | None) -> bool:
        raise RuntimeError("no answer")

    low, high = Stage("low"), Stage("high")
    return Pipeline(
        "guarded",
        stages=[low, high],
        rules=[on("opened", into=low, opens=True), on("asked", into=high, when=guard(raises))],
    )

"""What the type checker catches while a ladder is being defined. Checked by mypy, never run."""

from __future__ import annotations

from ladderpipe import (
    ANY,
    Deal,
    Event,
    Pipeline,
    Rule,
    Stage,
    Timer,
    VisitTimes,
    after,
    by_hand,
    on,
)
from ladderpipe.guards import cart_has_items, cart_is_empty

quote = Stage("quote_requested", title="Richiesta preventivo", probability=0.20)
won = Stage("order_confirmed", title={"it": "Confermato", "en": "Confirmed"}, status="won")


def is_big(deal: Deal, event: Event | None) -> bool:
    return deal.value is not None and deal.value >= 1000


rules: list[Rule] = [
    on("cart.item_added", into=quote, opens=True),
    on("order.confirmed", into=won, out_of=ANY, when=is_big),
    on("cart.saved", "cart.kept", into=quote, out_of=[won], when=cart_has_items & ~cart_is_empty),
    after(hours=48, out_of=quote, into=won, since="activity", when=cart_has_items | is_big),
    by_hand(into=won, key="give up"),
]
pipeline = Pipeline("sales", stages=[quote, won], rules=rules)

# A wrong stage: a plain string is not one, wherever a definition asks for a stage.
on("a", into="quote_requested")  # type: ignore[arg-type]
on("a", into=won, out_of=["quote_requested"])  # type: ignore[list-item]
after(hours=1, into="order_confirmed")  # type: ignore[arg-type]
by_hand(into="order_confirmed")  # type: ignore[arg-type]
Pipeline("sales", stages=["quote_requested"], rules=rules)  # type: ignore[list-item]
pipeline.move_into("order_confirmed")  # type: ignore[arg-type]
Stage("s", status="pending")  # type: ignore[arg-type]
Stage("s", probability="high")  # type: ignore[arg-type]

# A missing `into`, and a target that is not named as one.
on("a")  # type: ignore[call-arg]
after(hours=1)  # type: ignore[call-arg]
by_hand()  # type: ignore[call-arg]
on("a", won)  # type: ignore[call-arg]

# A misspelt argument, and a count that nobody defined.
on("a", into=won, outof=quote)  # type: ignore[call-arg]
after(hour=1, into=won)  # type: ignore[call-arg]
after(hours=1, into=won, since="birth")  # type: ignore[arg-type]
after("48 hours", into=won)  # type: ignore[arg-type]


# A guard with another signature, or one that answers nothing.
def without_event(deal: Deal) -> bool:
    return bool(deal.cart)


def only_for_events(deal: Deal, event: Event) -> bool:
    return event.type == "a"


async def asynchronous(deal: Deal, event: Event | None) -> bool:
    return True


on("a", into=won, when=without_event)  # type: ignore[arg-type]
on("a", into=won, when=only_for_events)  # type: ignore[arg-type]
on("a", into=won, when=asynchronous)  # type: ignore[arg-type]
cart_has_items & without_event  # type: ignore[operator]


# A timer that does not say when it is due.
class NeverDue:
    def due_on(self, visit: VisitTimes) -> None: ...


def a_timer(timer: Timer) -> Rule:
    return after(timer, into=won)


a_timer(NeverDue())  # type: ignore[arg-type]

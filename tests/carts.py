"""A shop of carts whose customers have addresses, and what it sent them."""

from __future__ import annotations

from typing import Any, Final

from ladderpipe import ANY, Pipeline, Stage, after, by_hand, do, on
from ladderpipe.policy import Policy

from .shops import Shop

ADA: Final = "ada@example.com"


def carts(send: Policy | None, name: str = "carts", **options: Any) -> Pipeline:
    """Return a ladder of carts that are reminded after 48 hours, and of orders that are thanked."""
    filled = Stage("filled")
    left = Stage(
        "left", status="abandoned", sequence=[do("email", to="customer", template="remind")]
    )
    paid = Stage(
        "paid",
        status="won",
        sequence=[
            do(
                "email",
                to="customer",
                template="thanks",
                purpose="transactional",
                run_to_completion=True,
            )
        ],
    )
    gone = Stage("gone", status="lost")
    return Pipeline(
        name,
        stages=[filled, left, paid, gone],
        rules=[
            on("order", into=paid, out_of=ANY, opens=True),
            on("cancelled", into=filled, out_of=paid),
            on("cart", into=filled, out_of=[left], opens=True),
            after(hours=48, out_of=filled, into=left),
            by_hand(into=left),
            by_hand(into=gone),
        ],
        send=send,
        **options,
    )


class Shopper(Shop):
    """A shop of carts whose customers have addresses."""

    def cart(self, deal: str, email: str = ADA, **given: Any) -> None:
        self.tell("cart", deal, contact={"email": email}, **given)

    def later(self, hours: float) -> None:
        """Let time pass with a worker who looks every hour."""
        for _ in range(int(hours)):
            self.wait(1)
            self.work()

    @property
    def reminded(self) -> list[str]:
        return [each.deal.id for each in self.sent if each.payload["template"] == "remind"]

    def why(self, deal: str, template: str = "remind") -> list[str]:
        (effect,) = (e for e in self.board.effects(deal) if e.payload["template"] == template)
        return [str(decision) for decision in effect.decisions]

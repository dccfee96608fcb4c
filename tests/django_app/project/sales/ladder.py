"""A ladder whose hook writes with a model, and which asks for two effects."""

import threading

from django.db import transaction

from ladderpipe import Pipeline, Stage, after, by_hand, on

new = Stage("new", title={"en": "New", "it": "Nuova"})
offer = Stage(
    "offer",
    title={"en": "Offer sent", "it": "Offerta inviata"},
    probability=0.5,
    requires=["amount"],
)
won = Stage("won", title={"en": "Won", "it": "Vinta"}, status="won")
cold = Stage("cold", title={"en": "Gone cold", "it": "Raffreddata"}, status="abandoned")
lost = Stage("lost", title={"en": "Lost", "it": "Persa"}, status="lost", requires=["loss_reason"])

leads = Pipeline(
    "leads",
    stages=[new, offer, won, cold, lost],
    rules=[
        on("lead", into=new, opens=True),
        on("order", into=won, out_of=[new, offer]),
        by_hand(into=offer, out_of=new),
        by_hand(into=lost),
        after(days=3, out_of=new, into=cold),
    ],
)

rung = []
told_at_commit = []
trouble = threading.local()


@leads.move_into(won)
def write_order(ctx):
    from .models import Order

    transaction.on_commit(lambda: told_at_commit.append(ctx.deal.id))
    Order.objects.create(deal=ctx.deal.id)
    ctx.do("ring", who=ctx.deal.id)
    ctx.do("email", template="cart-reminder", to="ada@example.com")
    if getattr(trouble, "raises", None):
        raise trouble.raises


def ring(delivery):
    rung.append(delivery.payload["who"])

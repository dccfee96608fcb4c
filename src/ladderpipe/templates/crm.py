"""The ladder a CRM comes with: New, Qualified, Demo, Proposal, Negotiation, Won, Lost."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from ..ladder.rules import ANY, after, by_hand, on
from ..model.stage import Stage, wait
from ..pipeline import Pipeline
from .hooks import answer_the_lead, ask_for_reminder, confirm_the_demo, welcome_the_customer
from .wording import Language, Wording

if TYPE_CHECKING:
    from ..model.hook import HookContext

__all__ = ["crm_default"]


def crm_default(language: Language = "it") -> Pipeline:
    """Return the ladder that most teams begin with before they make their own.

    | event | what it means | leads into |
    |---|---|---|
    | ``lead.created`` | somebody asks for something, or is back after a no | new |
    | ``lead.qualified`` | need, budget and decision maker are known | qualified |
    | ``demo.scheduled`` | they will see it, at ``properties.demo_at`` | demo |
    | ``proposal.sent`` | a written proposal is out, perhaps a new one | proposal |
    | ``negotiation.started`` | they want it, on other terms | negotiation |
    | ``deal.won`` | signed or ordered, even after it was given up | won |
    | ``deal.lost`` | they said no; needs ``properties.loss_reason`` | lost |

    A proposal or a negotiation without any event for 30 days falls back to ``qualified``: it is
    not worth a proposal's probability in a forecast any more. People may move deals among the
    open stages, close them, and take them up again from ``lost`` into ``qualified``.
    """
    say = Wording(language)
    new = Stage(
        "new",
        title=say.title("Nuova", "New"),
        probability=0.05,
        sequence=[
            wait(hours=4),
            say.task("Chiamare e qualificare il contatto", "Call the lead and qualify it"),
        ],
    )
    qualified = Stage(
        "qualified",
        title=say.title("Qualificata", "Qualified"),
        probability=0.10,
        sequence=[
            wait(days=2),
            say.task("Fissare una dimostrazione", "Schedule a demo"),
        ],
    )
    demo = Stage(
        "demo",
        title=say.title("Dimostrazione", "Demo"),
        probability=0.25,
        sequence=[
            wait(hours=4),
            say.task("Preparare la dimostrazione", "Prepare the demo"),
            wait(days=7),
            say.task("Inviare la proposta", "Send the proposal"),
        ],
    )
    proposal = Stage(
        "proposal",
        title=say.title("Proposta", "Proposal"),
        probability=0.50,
        sequence=[
            wait(days=5),
            say.task("Chiamare per la proposta inviata", "Call about the proposal that was sent"),
        ],
    )
    negotiation = Stage(
        "negotiation",
        title=say.title("Negoziazione", "Negotiation"),
        probability=0.75,
        sequence=[
            wait(days=5),
            say.task("Fare il punto sulla negoziazione", "See where the negotiation stands"),
        ],
    )
    won = Stage("won", title=say.title("Ottenuta", "Won"), status="won")
    lost = Stage(
        "lost",
        title=say.title("Persa", "Lost"),
        status="lost",
        requires=["loss_reason"],
        sequence=[
            wait(days=180),
            say.task("Risentire il contatto perso", "Get back to the lost contact"),
        ],
    )
    pipeline = Pipeline(
        "crm-default",
        title=say.title("Opportunità", "Opportunities"),
        stages=[new, qualified, demo, proposal, negotiation, won, lost],
        rules=[
            on("lead.created", into=new, out_of=lost, opens=True),
            on("lead.qualified", into=qualified, out_of=new),
            on("demo.scheduled", into=demo, out_of=[new, qualified]),
            on("proposal.sent", into=proposal),
            on("negotiation.started", into=negotiation),
            on("deal.won", into=won, out_of=ANY),
            on("deal.lost", into=lost),
            after(days=30, since="activity", out_of=[proposal, negotiation], into=qualified),
            by_hand(into=new, opens=True),
            by_hand(into=qualified, out_of=[new, demo, proposal, negotiation, lost]),
            by_hand(into=demo),
            by_hand(into=proposal),
            by_hand(into=negotiation),
            by_hand(into=won),
            by_hand(into=lost),
        ],
    )
    pipeline.move_into(new)(answer_the_lead)
    pipeline.move_into(demo)(confirm_the_demo)
    pipeline.move_into(proposal)(follow_up_the_proposal)
    pipeline.move_into(won)(welcome_the_customer)
    return pipeline


def follow_up_the_proposal(ctx: HookContext) -> None:
    """Ask about the proposal three days after it was sent."""
    ask_for_reminder(ctx, "quote-follow-up", wait=dt.timedelta(days=3))

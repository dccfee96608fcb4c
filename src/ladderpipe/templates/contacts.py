"""The kanban ladder: cards that people drag from new contact to customer."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from ..ladder.rules import ANY, after, by_hand, on
from ..model.stage import Stage, wait
from ..pipeline import Pipeline
from .hooks import answer_the_lead, ask_for_reminder, welcome_the_customer
from .wording import Language, Wording

if TYPE_CHECKING:
    from ..model.hook import HookContext

__all__ = ["kanban"]


def kanban(language: Language = "it") -> Pipeline:
    """Return a board on which people drag cards to any column, from any column.

    | event | what it means | leads into |
    |---|---|---|
    | ``lead.created`` | a form, a call, a card from a fair | new_contact |
    | ``contact.replied`` | there is a conversation | in_conversation |
    | ``quote.sent`` | a quote is out, perhaps a new one | quote_sent |
    | ``negotiation.started`` | they want it, on other terms | negotiation |
    | ``deal.won`` | the order is there | customer_acquired |
    | ``deal.lost`` | they said no; needs ``properties.loss_reason`` | not_interested |

    A quote or a negotiation without any event for 30 days goes to ``call_back_later``, with a
    task for two months later; any of the events above brings the card back.
    """
    say = Wording(language)
    new = Stage(
        "new_contact",
        title=say.title("Nuovo contatto", "New contact"),
        probability=0.05,
        sequence=[
            wait(hours=4),
            say.task("Chiamare il nuovo contatto", "Call the new contact"),
        ],
    )
    conversation = Stage(
        "in_conversation",
        title=say.title("In contatto", "In conversation"),
        probability=0.20,
        sequence=[
            wait(days=3),
            say.task("Preparare il preventivo", "Prepare the quote"),
        ],
    )
    quote = Stage(
        "quote_sent",
        title=say.title("Preventivo inviato", "Quote sent"),
        probability=0.40,
        sequence=[
            wait(days=7),
            say.task("Chiamare per il preventivo inviato", "Call about the quote that was sent"),
        ],
    )
    negotiation = Stage(
        "negotiation",
        title=say.title("In trattativa", "In negotiation"),
        probability=0.70,
        sequence=[
            wait(days=7),
            say.task("Fare il punto sulla trattativa", "See where the negotiation stands"),
        ],
    )
    acquired = Stage(
        "customer_acquired",
        title=say.title("Cliente acquisito", "Customer acquired"),
        status="won",
        sequence=[
            wait(days=30),
            say.task("Chiedere al cliente come va", "Ask the customer how things are going"),
        ],
    )
    later = Stage(
        "call_back_later",
        title=say.title("Da risentire", "Call back later"),
        status="abandoned",
        probability=0.05,
        sequence=[
            wait(days=60),
            say.task("Risentire il contatto", "Call the contact back"),
        ],
    )
    not_interested = Stage(
        "not_interested",
        title=say.title("Non interessato", "Not interested"),
        status="lost",
        requires=["loss_reason"],
    )
    stages = [new, conversation, quote, negotiation, acquired, later, not_interested]
    pipeline = Pipeline(
        "kanban",
        title=say.title("Bacheca contatti", "Contact board"),
        stages=stages,
        rules=[
            on("lead.created", into=new, out_of=[later, not_interested], opens=True),
            on("contact.replied", into=conversation, out_of=[new, later]),
            on("quote.sent", into=quote),
            on("negotiation.started", into=negotiation),
            on("deal.won", into=acquired, out_of=ANY),
            on("deal.lost", into=not_interested),
            after(days=30, since="activity", out_of=[quote, negotiation], into=later),
            *(by_hand(into=stage, out_of=ANY, opens=stage is new) for stage in stages),
        ],
    )
    pipeline.move_into(new)(answer_the_lead)
    pipeline.move_into(quote)(follow_up_the_quote)
    pipeline.move_into(acquired)(welcome_the_customer)
    return pipeline


def follow_up_the_quote(ctx: HookContext) -> None:
    """Ask about the quote three days after it was sent."""
    ask_for_reminder(ctx, "quote-follow-up", wait=dt.timedelta(days=3))

"""The short ladder of small teams: New Opportunity, Contacting, Working, Won, Lost."""

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

__all__ = ["new_to_won"]


def new_to_won(language: Language = "it") -> Pipeline:
    """Return the ladder on which a lead is called, worked on, and won or lost.

    | event | what it means | leads into |
    |---|---|---|
    | ``lead.created`` | somebody asks for something, or is back after a no | new_opportunity |
    | ``contact.attempted`` | somebody called or wrote, without an answer yet | contacting |
    | ``contact.replied`` | there is a conversation | working |
    | ``deal.won`` | it is bought, even after it was given up | won |
    | ``deal.lost`` | it is not; needs ``properties.loss_reason`` | lost |

    Two weeks in ``working`` without any event lead back to ``contacting``: a rung down, with the
    calls and the follow-up mail of that stage, and none of this one's. People may move deals
    among the open stages, close them, and take them up again from ``lost``.
    """
    say = Wording(language)
    new = Stage(
        "new_opportunity",
        title=say.title("Nuova opportunità", "New Opportunity"),
        probability=0.10,
        sequence=[
            wait(hours=2),
            say.task("Chiamare il nuovo contatto", "Call the new lead"),
        ],
    )
    contacting = Stage(
        "contacting",
        title=say.title("Contatto in corso", "Contacting"),
        probability=0.20,
        sequence=[
            wait(days=1),
            say.task("Richiamare: secondo tentativo", "Call again: second attempt"),
            wait(days=6),
            say.task(
                "Ultimo tentativo, poi segnare come persa", "Last attempt, then mark it as lost"
            ),
        ],
    )
    working = Stage(
        "working",
        title=say.title("In lavorazione", "Working"),
        probability=0.50,
        sequence=[
            wait(days=1),
            say.task("Preparare e inviare l'offerta", "Prepare and send the offer"),
            wait(days=6),
            say.task("Chiedere che cosa manca per decidere", "Ask what is missing for a decision"),
        ],
    )
    won = Stage("won", title=say.title("Vinta", "Won"), status="won")
    lost = Stage(
        "lost",
        title=say.title("Persa", "Lost"),
        status="lost",
        requires=["loss_reason"],
        sequence=[
            wait(days=90),
            say.task("Risentire il contatto perso", "Get back to the lost contact"),
        ],
    )
    pipeline = Pipeline(
        "new-to-won",
        title=say.title("Da nuova a vinta", "New to won"),
        stages=[new, contacting, working, won, lost],
        rules=[
            on("lead.created", into=new, out_of=lost, opens=True),
            on("contact.attempted", into=contacting, out_of=new),
            on("contact.replied", into=working, out_of=[new, contacting]),
            on("deal.won", into=won, out_of=ANY),
            on("deal.lost", into=lost),
            after(days=14, since="activity", out_of=working, into=contacting),
            by_hand(into=new, out_of=[contacting, working, lost], opens=True),
            by_hand(into=contacting, out_of=[new, working, lost]),
            by_hand(into=working, out_of=[new, contacting, lost]),
            by_hand(into=won),
            by_hand(into=lost),
        ],
    )
    pipeline.move_into(new)(answer_the_lead)
    pipeline.move_into(contacting)(follow_up)
    pipeline.move_into(won)(welcome_the_customer)
    return pipeline


def follow_up(ctx: HookContext) -> None:
    """Write after two days without an answer."""
    ask_for_reminder(ctx, "contact-follow-up", wait=dt.timedelta(days=2))

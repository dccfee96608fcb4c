"""The ladder of the six phases of selling, from prospecting to closing."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from ..ladder.rules import ANY, after, by_hand, on
from ..model.stage import Stage, wait
from ..pipeline import Pipeline
from .hooks import ask_for_reminder, confirm_the_demo, welcome_the_customer
from .wording import Language, Wording

if TYPE_CHECKING:
    from ..model.hook import HookContext

__all__ = ["prospecting"]


def prospecting(language: Language = "it") -> Pipeline:
    """Return the ladder of salespeople who look for their customers themselves.

    | event | what it means | leads into |
    |---|---|---|
    | ``prospect.found`` | a name that might buy | prospecting |
    | ``prospect.qualified`` | worth it: now learn what they need | preparation |
    | ``contact.attempted`` | the first call or visit | approach |
    | ``demo.scheduled`` | they will see it, at ``properties.demo_at`` | presentation |
    | ``objection.raised`` | too dear, not now, somebody else decides | objections |
    | ``proposal.accepted`` | agreed in words: get it signed | closing |
    | ``deal.won`` | signed, even after it was given up | won |
    | ``deal.lost`` | they said no; needs ``properties.loss_reason`` | lost |

    An objection leads down from ``closing`` as well: closing begins again once it is answered.
    Three weeks of ``approach`` without any event lead back to ``prospecting``. People may move
    deals among the phases, close them, and take them up again from ``lost`` into ``prospecting``.
    """
    say = Wording(language)
    prospect = Stage(
        "prospecting",
        title=say.title("Prospezione", "Prospecting"),
        probability=0.05,
        sequence=[
            wait(days=3),
            say.task("Verificare se il contatto è in target", "Check whether the prospect fits"),
        ],
    )
    preparation = Stage(
        "preparation",
        title=say.title("Preparazione", "Preparation"),
        probability=0.10,
        sequence=[
            wait(days=2),
            say.task("Studiare l'azienda e chi decide", "Study the company and who decides"),
        ],
    )
    approach = Stage(
        "approach",
        title=say.title("Approccio", "Approach"),
        probability=0.15,
        sequence=[
            wait(days=2),
            say.task("Richiamare il contatto", "Call the prospect again"),
            wait(days=7),
            say.task("Provare un'altra via", "Try another way in"),
        ],
    )
    presentation = Stage(
        "presentation",
        title=say.title("Presentazione", "Presentation"),
        probability=0.30,
        sequence=[
            wait(hours=4),
            say.task("Preparare la presentazione", "Prepare the presentation"),
        ],
    )
    objections = Stage(
        "objections",
        title=say.title("Gestione delle obiezioni", "Handling objections"),
        probability=0.50,
        sequence=[
            wait(days=1),
            say.task("Rispondere all'obiezione", "Answer the objection"),
        ],
    )
    closing = Stage(
        "closing",
        title=say.title("Chiusura", "Closing"),
        probability=0.80,
        sequence=[
            wait(days=1),
            say.task("Inviare il contratto da firmare", "Send the contract to be signed"),
            wait(days=4),
            say.task("Sollecitare la firma", "Ask for the signature"),
        ],
    )
    won = Stage("won", title=say.title("Acquisita", "Won"), status="won")
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
        "prospecting",
        title=say.title("Le sei fasi della vendita", "The six phases of selling"),
        stages=[prospect, preparation, approach, presentation, objections, closing, won, lost],
        rules=[
            on("prospect.found", into=prospect, out_of=lost, opens=True),
            on("prospect.qualified", into=preparation, out_of=prospect),
            on("contact.attempted", into=approach, out_of=[prospect, preparation]),
            on("demo.scheduled", into=presentation, out_of=[prospect, preparation, approach]),
            on("objection.raised", into=objections),
            on("proposal.accepted", into=closing),
            on("deal.won", into=won, out_of=ANY),
            on("deal.lost", into=lost),
            after(weeks=3, since="activity", out_of=approach, into=prospect),
            by_hand(
                into=prospect,
                out_of=[preparation, approach, presentation, objections, closing, lost],
                opens=True,
            ),
            by_hand(into=preparation),
            by_hand(into=approach),
            by_hand(into=presentation),
            by_hand(into=objections),
            by_hand(into=closing),
            by_hand(into=won),
            by_hand(into=lost),
        ],
    )
    pipeline.move_into(approach)(follow_up)
    pipeline.move_into(presentation)(confirm_the_demo)
    pipeline.move_into(won)(welcome_the_customer)
    return pipeline


def follow_up(ctx: HookContext) -> None:
    """Write after four days without an answer."""
    ask_for_reminder(ctx, "contact-follow-up", wait=dt.timedelta(days=4))

"""The ladder of the simulation: every stage asks for effects, and every way of timing occurs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any, Final

from ladderpipe import ANY, Pipeline, Stage, after, by_hand, do, on, wait
from ladderpipe.policy import Policy, at_most, bought

__all__ = ["ASKED_INSIDE", "CAP", "KINDS", "NAMES", "PEOPLE", "busy_ladder"]

KINDS: Final = ("lead", "lead", "call", "chat", "order")
"""Types of events; ``chat`` is activity that no rule names."""

ASKED_INSIDE: Final = {
    "new": {"mail", "note", "letter", "promo"},
    "talking": {"mail", "survey"},
    "won": {"mail"},
    "cold": {"mail", "promo"},
    "lost": set(),
}
"""Which effects a visit asks for as it begins, by stage."""

NAMES: Final = ("mail", "note", "letter", "survey", "bye", "promo")
PEOPLE: Final = ("ada@example.com", "bob@example.com")
"""Whom events may name; few, so that deals are often one person's."""
CAP: Final = dt.timedelta(hours=16)


def busy_ladder(in_hook: Callable[[str], None]) -> Pipeline:
    """Return the ladder.

    Args:
        in_hook: called inside every hook.
    """
    promo = do("promo", to="customer")
    new = Stage(
        "new",
        sequence=[
            promo,
            do("note", text="first"),
            wait(hours=1),
            do("letter", expires=dt.timedelta(hours=20)),
        ],
    )
    talking = Stage("talking", sequence=[do("survey", run_to_completion=True)])
    won = Stage("won", status="won")
    cold = Stage("cold", status="abandoned", sequence=[promo])
    lost = Stage("lost", status="lost")
    pipeline = Pipeline(
        "busy",
        stages=[cold, new, talking, won, lost],
        rules=[
            on("lead", into=new, out_of=[cold, won], opens=True),
            on("call", into=talking, out_of=[new, cold]),
            on("order", into=won, out_of=ANY),
            after(hours=48, out_of=new, into=cold),
            after(hours=24, out_of=talking, into=new, since="activity"),
            after(hours=30, out_of=cold, into=lost),
            by_hand(into=lost),
            by_hand(into=new, opens=True),
        ],
        send=Policy(stop_when=[bought], caps=[at_most(1, hours=CAP / dt.timedelta(hours=1))]),
    )

    def ask(ctx: Any) -> None:
        in_hook(f"the hook of {ctx.move.into}")
        ctx.do("mail", stage=str(ctx.move.into))

    def ask_leaving(ctx: Any) -> None:
        in_hook(f"the hook out of {ctx.move.out_of}")
        ctx.do("bye", into=str(ctx.move.into))

    for stage in (new, talking, won, cold):
        pipeline.move_into(stage)(ask)
    pipeline.move_out_of(new)(ask_leaving)
    return pipeline

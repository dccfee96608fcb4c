"""Which commands there are, what the help says of each, and where they are loaded from."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, Final, NamedTuple

__all__ = ["PANELS", "Command", "is_of_the_extra"]


class Command(NamedTuple):
    """One command, or a group of them.

    Attributes:
        place: its module in this room, and its name there if that is another.
        help: the first line of what it says of itself.
    """

    place: str
    help: str

    def load(self) -> Callable[..., None] | Any:
        """Return the function, or the ``typer.Typer`` of a group."""
        module, _, name = self.place.partition(":")
        return getattr(import_module(f".{module}", __package__), name or module)


PANELS: Final = {
    "Begin": {
        "demo": Command(
            "demo", "Play a week of a B2B shop and tell what happens, in a minute of reading."
        ),
    },
    "Ladders": {
        "new": Command(
            "new",
            "Write a folder to begin from: a ladder, a worker and tests. Nothing is overwritten.",
        ),
        "template": Command(
            "template",
            "Write a ready ladder as a TOML file with comments, to begin a ladder of your "
            "own from.",
        ),
        "check": Command(
            "definitions:check",
            "Look for what cannot be meant: stages out of reach, traps, rules that never win.",
        ),
        "diagram": Command(
            "definitions:diagram", "Draw the ladder, as Mermaid for a README or DOT for Graphviz."
        ),
        "simulate": Command(
            "simulate",
            "Play a ladder with one deal: choose what happens, let time pass, see what would be "
            "sent.",
        ),
        "mutate": Command(
            "mutate",
            "Change a ladder one thing at a time, run its tests, and say which change none "
            "noticed.",
        ),
        "schema": Command(
            "definitions:schema",
            "Write the JSON Schema of the events that a ladder expects, for those who send them.",
        ),
    },
    "Deals": {
        "board": Command(
            "board",
            "Show the board: a column a stage, with count, value and the deals that wait longest.",
        ),
        "serve": Command(
            "serve", "Show the board in a browser, with a worker beside it, until Ctrl-C."
        ),
        "deals": Command("deals", "List deals, in the order in which they were first heard of."),
        "history": Command(
            "deals:history",
            "Show every stage that a deal has been in, since when, how long and why.",
        ),
        "explain": Command(
            "deals:explain",
            "Say of every event, hand and timer of a deal what it did, and why other rules "
            "did not.",
        ),
        "changes": Command(
            "changes",
            "Print the deals that were written since a cursor, as they are now; then the next "
            "cursor.",
        ),
    },
    "By hand": {
        "options": Command(
            "deals:options",
            "Say where a deal may be moved by hand now, what is missing, and what would follow.",
        ),
        "move": Command(
            "hands:move", "Move a deal by hand, as the pipeline's by_hand rules allow."
        ),
        "edit": Command(
            "hands:edit", "Correct what is known of a deal, closed ones too; the history tells who."
        ),
        "undo": Command(
            "hands:undo",
            "Take back what was done to a deal by hand: a move, an override or an edit.",
        ),
        "withdraw": Command(
            "hands:withdraw", "Take any event back: its deal becomes as if it had never been told."
        ),
        "tasks": Command("tasks", "List the open tasks, the most urgent first."),
        "done": Command("tasks:done", "Note that a person has done a task."),
        "assign": Command(
            "tasks:assign", "Give an open task to somebody, or back to whoever owns its deal."
        ),
        "unsubscribe": Command(
            "subscriptions:unsubscribe",
            "Note that whoever an address belongs to wants nothing more there.",
        ),
        "subscribe": Command(
            "subscriptions:subscribe",
            "Note that whoever an address belongs to wants to be written to there again.",
        ),
    },
    "Insight": {
        "report": Command(
            "report", "Write every report on one page that can be shown, mailed and printed."
        ),
        "what-if": Command(
            "what_if",
            "Show what the recorded events would have come to on a changed ladder; writes nothing.",
        ),
        "mine": Command("mine", "Write event logs for process mining, and take them in."),
    },
    "Operation": {
        "worker": Command("worker", "Fire timers and deliver effects, until SIGTERM or Ctrl-C."),
        "doctor": Command(
            "doctor",
            "Look at what is overdue, given up, missing or damaged in a store; writes nothing.",
        ),
        "event": Command(
            "event", "Tell the board one event, as a shop would, and say what came of it."
        ),
        "replay": Command(
            "replay", "Take logs into a board. Nothing that belongs to the past is sent."
        ),
        "verify": Command(
            "verify",
            "Fold every deal again from its stored events and compare; writes nothing unless told "
            "to.",
        ),
        "chain": Command(
            "chain",
            "Show how far the hash chain over a pipeline's events goes, and its head, to be noted.",
        ),
        "encrypt": Command(
            "encrypt",
            "Encrypt personal data in a store; from then on it opens only with its ring of keys.",
        ),
        "import": Command(
            "import_deals",
            "Bring deals over from another system: their past as it was, your rules from now on.",
        ),
        "archive": Command("archive", "Old closed deals: into a file, checked, and back."),
        "migrate": Command(
            "migrate",
            "Adopt a changed ladder for every deal: first what would change, then, if you agree, "
            "do it.",
        ),
        "forget": Command(
            "forget",
            "Take a person's data out of every deal that names them; the moves stay. It cannot be "
            "undone.",
        ),
        "held": Command("held", "Events that arrived and cannot be used: list, release, discard."),
        "effects": Command(
            "effects",
            "List mails, tasks and other effects: where each stands, and why. All of them as JSON.",
        ),
        "dead-letters": Command(
            "effects:dead_letters", "Effects whose last try failed: list, send again, drop."
        ),
        **{
            title.lower(): Command(
                f"crm:{title.lower()}",
                f"Deals in {title}: check what is set up there, keep it in step, see what drifted.",
            )
            for title in ("HubSpot", "Pipedrive", "Brevo")
        },
    },
}
"""The panels of the help, each with its commands in their order."""


def is_of_the_extra(missing: ModuleNotFoundError) -> bool:
    """Whether the extra ``cli`` is not installed, whichever command finds out."""
    return (missing.name or "").partition(".")[0] in ("babel", "typer", "rich")

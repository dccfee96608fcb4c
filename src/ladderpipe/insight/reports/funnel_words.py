"""The funnel's definitions in words, put together from what was chosen."""

from __future__ import annotations

from typing import Final

from ..words import Words, said

__all__ = ["AGAIN", "definition_of"]

AGAIN: Final = said("Entered again", "Rientrate")

WHO: Final = {
    "opened": said(
        "Followed are the deals opened in the period, until the instant of the report.",
        "Si seguono le trattative aperte nel periodo, fino all'istante del rapporto.",
    ),
    "entries": said(
        "Followed is, step by step, what entered that step in the period, until the instant of "
        "the report.",
        "Si segue, passo per passo, ciò che vi è entrato nel periodo, fino all'istante del "
        "rapporto.",
    ),
    "snapshot": said(
        "A snapshot: the deals opened in the period by the last step each stood on. Who stands "
        "further up counts as having passed the steps below; the history is not looked at.",
        "Un'istantanea: le trattative aperte nel periodo secondo l'ultimo passo su cui sono "
        "state. Chi sta più in alto vale come passato dai passi sotto; la storia non si guarda.",
    ),
}

ORDER: Final = {
    ("opened", "any"): said(
        "A step is entered by who visited it or any later one, in whatever order.",
        "È entrato in un passo chi lo ha visitato, o ne ha visitato uno successivo, in qualunque "
        "ordine.",
    ),
    ("opened", "strict"): said(
        "A step is entered only after all the steps before it, visited in their order; turning "
        "back in between undoes nothing.",
        "Si entra in un passo solo dopo tutti i precedenti, visitati nel loro ordine; tornare "
        "indietro nel frattempo non annulla nulla.",
    ),
    ("entries", "any"): said(
        "Advanced is who reached any later step afterwards.",
        "Avanzato è chi ha poi raggiunto un passo successivo qualunque.",
    ),
    ("entries", "strict"): said(
        "Advanced is who reached the very next step afterwards.",
        "Avanzato è chi ha poi raggiunto proprio il passo seguente.",
    ),
}

ENTRY: Final = {
    ("opened", "first"): said(
        "A deal counts once, at the furthest step that it came to; turned back is who stands open "
        "on a lower one now.",
        "Una trattativa conta una volta sola, al passo più avanzato che ha raggiunto; tornata "
        "indietro è chi ora sta aperta su uno più basso.",
    ),
    ("opened", "every"): said(
        "What is counted are climbs: each time a deal falls back to a step it had left behind, "
        "its climb ends as turned back and a new one begins there.",
        "Si contano le salite: ogni volta che una trattativa ricade su un passo già lasciato, la "
        "salita finisce come tornata indietro e lì ne comincia un'altra.",
    ),
    ("entries", "first"): said(
        "Of each deal only the first entry into a step counts; turned back is who never advanced "
        "and stands open on a lower step now.",
        "Di ogni trattativa conta solo la prima entrata in un passo; tornata indietro è chi non è "
        "mai avanzata e ora sta aperta su un passo più basso.",
    ),
    ("entries", "every"): said(
        "Every entry counts; one that was followed by another entry into the same step before any "
        "advance, or whose deal stands open on a lower step now, counts as turned back.",
        "Conta ogni entrata; quella seguita da un'altra nello stesso passo prima di avanzare, o "
        "la cui trattativa ora sta aperta su un passo più basso, conta come tornata indietro.",
    ),
}

PARTS: Final = said(
    "Entered = advanced + turned back + still open + won + abandoned + lost, the last four by "
    "how the deal stands. Conversion = advanced ÷ entered. Skipped: deals that visited a later "
    "step and never this one. Entered again: deals that entered this step after having been there "
    "or further.",
    "Entrate = avanzate + tornate indietro + ancora aperte + vinte + abbandonate + perse; le "
    "ultime quattro secondo come sta la trattativa. Conversione = avanzate ÷ entrate. Saltate: "
    "trattative che hanno visitato un passo successivo e mai questo. Rientrate: trattative entrate "
    "in questo passo dopo esserci già state, o essere state oltre.",
)


def definition_of(definition: str, order: str, entry: str) -> Words:
    """Return what the funnel's figures mean."""
    chosen = [
        WHO[definition],
        ORDER.get((definition, order)),
        ENTRY.get((definition, entry)),
        PARTS,
    ]
    return said(
        " ".join(words["en"] for words in chosen if words),
        " ".join(words["it"] for words in chosen if words),
    )

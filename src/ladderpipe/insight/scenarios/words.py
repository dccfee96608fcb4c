"""What a what-if says of itself: what nobody can know, what was left out, what figures mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ..words import Words, counted, said

__all__ = ["COLUMNS", "DEFINITIONS", "TITLES", "notes_of"]

UNKNOWABLE: Final = said(
    "What nobody can know: how customers would have reacted. The events are those that came on "
    "the present ladder; an earlier reminder might have brought other ones, or none.",
    "Che cosa nessuno può sapere: come avrebbero reagito i clienti. Gli eventi sono quelli "
    "arrivati con la scala attuale; un promemoria anticipato ne avrebbe forse portati altri, o "
    "nessuno.",
)
NOT_RUN: Final = said(
    "Hooks written in Python were not run: only how often they would have been called is counted.",
    "Gli hook scritti in Python non sono stati eseguiti: si conta solo quante volte sarebbero "
    "stati chiamati.",
)


def notes_of(
    *,
    hooks: int,
    hands_refused: int,
    with_baseline: int,
    excluded: int,
    removed: int,
    problems: int,
) -> tuple[Words, ...]:
    """Return what the reader of a what-if has to know; the first note is always there."""
    told = (
        (hands_refused, _HANDS),
        (with_baseline, _BASELINES),
        (excluded, _EXCLUDED),
        (removed, _REMOVED),
        (problems, _PROBLEMS),
    )
    not_run = (NOT_RUN,) if hooks else ()
    return (UNKNOWABLE, *not_run, *(counted(number, *words) for number, words in told if number))


_Numbered = tuple[tuple[str, str], tuple[str, str]]

_HANDS: Final[_Numbered] = (
    (
        "move by hand is not allowed on the changed ladder, and moved nothing.",
        "moves by hand are not allowed on the changed ladder, and moved nothing.",
    ),
    (
        "passaggio a mano non è ammesso sulla scala modificata e non ha mosso nulla.",
        "passaggi a mano non sono ammessi sulla scala modificata e non hanno mosso nulla.",
    ),
)
_BASELINES: Final[_Numbered] = (
    (
        "deal has a baseline (an adopted ladder, a forgotten person): its events were folded from "
        "the first on, so that even its history before may differ from the recorded one.",
        "deals have a baseline (an adopted ladder, a forgotten person): their events were folded "
        "from the first on, so that even their history before may differ from the recorded one.",
    ),
    (
        "trattativa ha un punto di riferimento (scala adottata, persona dimenticata): i suoi "
        "eventi sono stati ripercorsi dal primo, e anche la storia di prima può differire da "
        "quella registrata.",
        "trattative hanno un punto di riferimento (scala adottata, persona dimenticata): i loro "
        "eventi sono stati ripercorsi dal primo, e anche la storia di prima può differire da "
        "quella registrata.",
    ),
)
_EXCLUDED: Final[_Numbered] = (
    (
        "deal was left out: its events before a baseline are gone.",
        "deals were left out: their events before a baseline are gone.",
    ),
    (
        "trattativa è stata esclusa: i suoi eventi prima di un punto di riferimento non ci sono "
        "più.",
        "trattative sono state escluse: i loro eventi prima di un punto di riferimento non ci "
        "sono più.",
    ),
)
_REMOVED: Final[_Numbered] = (
    (
        "deal was removed from the store with its history, and is not counted.",
        "deals were removed from the store with their history, and are not counted.",
    ),
    (
        "trattativa è stata eliminata dall'archivio con la sua storia e non è contata.",
        "trattative sono state eliminate dall'archivio con la loro storia e non sono contate.",
    ),
)
_PROBLEMS: Final[_Numbered] = (
    (
        "deal was left out: one of the ladders could not fold it.",
        "deals were left out: one of the ladders could not fold them.",
    ),
    (
        "trattativa è stata esclusa: una delle due scale non ha potuto ripercorrerla.",
        "trattative sono state escluse: una delle due scale non ha potuto ripercorrerle.",
    ),
)

TITLES: Final[Mapping[str, Words]] = {
    "what_if_outcomes": said("What if: outcomes", "E se: esiti"),
    "what_if_stages": said("What if: stages", "E se: fasi"),
    "what_if_rules": said("What if: rules and timers", "E se: regole e timer"),
    "what_if_reminders": said("What if: reminders", "E se: promemoria"),
    "what_if_hooks": said("What if: hooks", "E se: hook"),
    "what_if_deals": said("What if: deal by deal", "E se: trattativa per trattativa"),
}

_BOTH: Final = said(
    "The recorded events of every deal, folded over the board's ladder (before) and over the "
    "changed one (after), up to the instant of the report. ",
    "Gli eventi registrati di ogni trattativa, ripercorsi sulla scala attuale (prima) e su quella "
    "modificata (dopo), fino all'istante del rapporto. ",
)


def _defined(en: str, it: str) -> Words:
    return said(_BOTH["en"] + en, _BOTH["it"] + it)


DEFINITIONS: Final[Mapping[str, Words]] = {
    "what_if_outcomes": _defined(
        "Deals by the status that they end in; – where a ladder does not open the deal.",
        "Trattative secondo lo stato finale; – dove una scala non apre la trattativa.",
    ),
    "what_if_stages": _defined(
        "Deals: those that stand in the stage at the end. Visits: stays in it, each counted. "
        "Hours: of all stays added up, those that go on up to the instant of the report. The chart "
        "leaves out won and lost, where time says nothing.",
        "Trattative: quelle che alla fine sono nella fase. Permanenze: i soggiorni nella fase, "
        "contati uno per uno. Ore: di tutti i soggiorni sommate, quelli in corso fino all'istante "
        "del rapporto. Il grafico lascia fuori vinte e perse, dove il tempo non dice nulla.",
    ),
    "what_if_rules": _defined(
        "How often each rule moved a deal. A rule is known by its key, so a timer with another "
        "delay is another rule unless both have a key of their own.",
        "Quante volte ogni regola ha mosso una trattativa. Una regola è la sua chiave: un "
        "timer con un altro ritardo è un'altra regola, se le due non hanno una chiave propria.",
    ),
    "what_if_reminders": _defined(
        "Effects that the sequences of stages ask for. Asked: one for every stay in the stage. "
        "Sent: those that were due before the stay ended, or that run to completion.",
        "Effetti chiesti dalle sequenze delle fasi. Chiesti: uno per ogni permanenza. Inviati: "
        "quelli in scadenza prima della fine della permanenza, o portati comunque a termine.",
    ),
    "what_if_hooks": _defined(
        "How often each hook would have been called, once for every move; none was.",
        "Quante volte ogni hook sarebbe stato chiamato, una per ogni passaggio; nessuno lo è.",
    ),
    "what_if_deals": _defined(
        "Only deals whose moves are not all the same. Differs from: the instant of the first move "
        "that is another one, or is missing on one side.",
        "Solo le trattative i cui passaggi non sono tutti uguali. Diversa dal: l'istante del primo "
        "passaggio che è un altro, o che da una parte manca.",
    ),
}


def _pair(name: str, en: str, it: str, change: bool = True) -> dict[str, Words]:
    words = {
        f"{name}_before": said(f"{en} before", f"{it} prima"),
        f"{name}_after": said(f"{en} after", f"{it} dopo"),
    }
    if change:
        words[f"{name}_change"] = said(f"{en}: change", f"{it}: variazione")
    return words


COLUMNS: Final[Mapping[str, Words]] = {
    **_pair("deals", "Deals", "Trattative"),
    **_pair("visits", "Visits", "Permanenze"),
    **_pair("hours", "Hours", "Ore"),
    **_pair("moves", "Moves", "Passaggi"),
    **_pair("hands", "By hand", "A mano", change=False),
    **_pair("asked", "Asked", "Chiesti", change=False),
    **_pair("sent", "Sent", "Inviati"),
    **_pair("calls", "Calls", "Chiamate"),
    **_pair("reminders", "Reminders", "Promemoria", change=False),
    **_pair("stage", "Stage", "Fase", change=False),
    **_pair("status", "Status", "Stato", change=False),
    "rule": said("Rule", "Regola"),
    "trigger": said("Set off by", "Innescata da"),
    "effect": said("Effect", "Effetto"),
    "after_hours": said("After (hours)", "Dopo (ore)"),
    "direction": said("On moving", "Al passaggio"),
    "hook": said("Hook", "Hook"),
    "differs_at": said("Differs from", "Diversa dal"),
}
"""What columns are called that other reports do not have, or call something else."""

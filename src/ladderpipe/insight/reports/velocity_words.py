"""Velocity's definitions in words, put together from what was chosen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ..words import Words, said

__all__ = ["A_DAY", "DAYS", "OPEN_DAYS", "SPEED", "WON", "WON_PER_DAY", "definition_of"]

SPEED: Final = said("Velocity", "Velocità")
A_DAY: Final = said("per day", "al giorno")
WON: Final = said("Won in the period", "Vinte nel periodo")
DAYS: Final = said("Days of the period", "Giorni del periodo")
OPEN_DAYS: Final = said("Mean time open (days)", "Tempo medio aperta (giorni)")
WON_PER_DAY: Final = said("Really won (money per day)", "Vinto davvero (denaro al giorno)")

SAID_OF: Final[Mapping[str, Mapping[str, Words]]] = {
    "deals": {
        "open": said("the deals open at the instant of the report", "le trattative aperte"),
        "opened": said("the deals opened in the period", "le trattative aperte nel periodo"),
        "closed": said("the deals closed in the period", "le trattative chiuse nel periodo"),
    },
    "win_rate": {
        "closed": said(
            "won ÷ (won + lost) of those closed in the period",
            "vinte ÷ (vinte + perse) fra quelle chiuse nel periodo",
        ),
        "opened": said(
            "won ÷ all of those opened in the period", "vinte ÷ tutte quelle aperte nel periodo"
        ),
    },
    "average_value": {
        "won": said("the mean of those won in the period", "la media delle vinte nel periodo"),
        "open": said("the mean of the open ones", "la media delle aperte"),
        "all": said("the mean of all", "la media di tutte"),
    },
    "cycle_days": {
        "opened": said(
            "the mean time that those opened in the period were open: until they were closed or "
            "abandoned, or until the report",
            "il tempo medio in cui sono rimaste aperte quelle aperte nel periodo: fino alla "
            "chiusura o all'abbandono, o al rapporto",
        ),
        "won": said(
            "the mean time from opening to winning of those won in the period",
            "il tempo medio dall'apertura alla vincita di quelle vinte nel periodo",
        ),
        "won_median": said(
            "the median time from opening to winning of those won in the period",
            "il tempo mediano dall'apertura alla vincita di quelle vinte nel periodo",
        ),
        "closed": said(
            "the mean time from opening to closing of those closed in the period",
            "il tempo medio dall'apertura alla chiusura di quelle chiuse nel periodo",
        ),
    },
}


def definition_of(chosen: Mapping[str, Any]) -> Words:
    """Return what the figures mean, by the definition chosen for each factor."""
    given = said("given", "indicato")
    words = {
        name: SAID_OF[name].get(choice, given) if isinstance(choice, str) else given
        for name, choice in chosen.items()
    }
    en, it = ({name: told[lang] for name, told in words.items()} for lang in ("en", "it"))
    return said(
        "Velocity = deals × win rate × average value ÷ cycle length, in money per day, each "
        f"currency for itself. Deals: {en['deals']}. Win rate: {en['win_rate']}. Average value: "
        f"{en['average_value']}. Cycle length: {en['cycle_days']}. Really won: the value of the "
        "deals won in the period ÷ its days (left out: from the first opening to the report).",
        "Velocità = trattative × tasso di vincita × valore medio ÷ durata del ciclo, in denaro "
        f"al giorno, ogni valuta per sé. Trattative: {it['deals']}. Tasso di vincita: "
        f"{it['win_rate']}. Valore medio: {it['average_value']}. Durata del ciclo: "
        f"{it['cycle_days']}. Vinto davvero: il valore delle trattative vinte nel periodo ÷ i suoi "
        "giorni (se non indicato: dalla prima apertura al rapporto).",
    )

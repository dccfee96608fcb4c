"""What columns, statuses and outcomes are called in print, in the languages reports speak."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

import polars as pl

from ..formats import ENGLISH, ITALIAN, NOTHING

__all__ = [
    "NOTHING",
    "OUTCOMES",
    "STATUSES",
    "TOLD",
    "Labels",
    "Language",
    "Words",
    "called",
    "counted",
    "noted",
    "said",
    "titles_of",
]

TOLD: Final = "_told"
"""What a column is called that holds another's figures as they are printed, for charts."""

Language: TypeAlias = Literal["en", "it"]

Words: TypeAlias = Mapping[str, str]
"""A text in every language that reports speak."""

Labels: TypeAlias = Mapping[str, Mapping[str, Words]]
"""What the values of a column are called in print: by column, then by value."""


def said(en: str, it: str) -> Words:
    """Return a text in every language."""
    return {"en": en, "it": it}


def counted(number: int, en: tuple[str, str], it: tuple[str, str]) -> Words:
    """Return a sentence about *number* things: each pair is for one and for several."""
    several = number != 1
    return said(
        f"{ENGLISH.number(number)} {en[several]}", f"{ITALIAN.number(number)} {it[several]}"
    )


def noted(number: int, en: tuple[str, str], it: tuple[str, str]) -> tuple[Words, ...]:
    """Return the note about *number* things, and none about no things."""
    return (counted(number, en, it),) if number else ()


STATUSES: Final[Mapping[str, Words]] = {
    "open": said("open", "aperta"),
    "abandoned": said("abandoned", "abbandonata"),
    "won": said("won", "vinta"),
    "lost": said("lost", "persa"),
    "merged": said("merged", "unita a un'altra"),
}

OUTCOMES: Final[Mapping[str, Words]] = {
    "advanced": said("advanced", "avanzate"),
    "turned_back": said("turned back", "tornate indietro"),
    "open": said("still open", "ancora aperte"),
    "abandoned": said("abandoned", "abbandonate"),
    "won": said("won", "vinte"),
    "lost": said("lost", "perse"),
    "came_back": said("came back", "tornate"),
    "away": said("still away", "ancora assenti"),
}

_COLUMNS: Final[Mapping[str, Words]] = {
    "abandoned": said("Abandoned", "Abbandonate"),
    "advanced": said("Advanced", "Avanzate"),
    "after_days": said("Due after (days)", "Dopo (giorni)"),
    "article": said("Article", "Articolo"),
    "at_risk": said("Still followed", "Ancora osservate"),
    "average_value": said("Average value", "Valore medio"),
    "came_back": said("Came back", "Tornate"),
    "closed": said("Decided", "Decise"),
    "closed_only_mean": said("Mean, ended only (days)", "Media, solo finite (giorni)"),
    "closed_only_median": said("Median, ended only (days)", "Mediana, solo finite (giorni)"),
    "conversion": said("Conversion", "Conversione"),
    "currency": said("Currency", "Valuta"),
    "cycle_days": said("Cycle (days)", "Ciclo (giorni)"),
    "days": said("Days", "Giorni"),
    "deal": said("Deal", "Trattativa"),
    "deal_days": said("Deal-days", "Giorni-trattativa"),
    "deals": said("Deals", "Trattative"),
    "deals_before": said("Deals before", "Trattative prima"),
    "deals_change": said("Change in deals", "Variazione trattative"),
    "due_later": said("Due later", "Più avanti"),
    "due_soon": said("Due within a day", "Entro un giorno"),
    "entered": said("Entered", "Entrate"),
    "fired": said("Fired", "Scattati"),
    "from_first": said("Of the first step", "Dal primo passo"),
    "idle_days": said("Idle (days)", "Ferma da (giorni)"),
    "idle_since": said("Idle since", "Ferma dal"),
    "into": said("Into", "Verso"),
    "left": said("Left", "Uscite"),
    "longest_days": said("Longest (days)", "Massimo (giorni)"),
    "loss_reason": said("Loss reason", "Motivo della perdita"),
    "lost": said("Lost", "Perse"),
    "lost_from": said("Lost from", "Persa da"),
    "lower": said("From (confidence)", "Da (confidenza)"),
    "median_days": said("Median (days)", "Mediana (giorni)"),
    "median_lower": said("Median from (days)", "Mediana da (giorni)"),
    "median_upper": said("Median to (days)", "Mediana a (giorni)"),
    "missing": said("Missing", "Mancante"),
    "month": said("Month", "Mese"),
    "moves": said("Moves", "Passaggi"),
    "open": said("Still open", "Ancora aperte"),
    "outcome": said("Outcome", "Esito"),
    "out_of": said("Out of", "Da"),
    "overdue": said("Overdue", "In ritardo"),
    "owner": said("Owner", "Responsabile"),
    "q25_days": said("A quarter left by (days)", "Un quarto uscito entro (giorni)"),
    "q75_days": said("Three quarters left by (days)", "Tre quarti usciti entro (giorni)"),
    "q90_days": said("Nine in ten left by (days)", "Nove su dieci usciti entro (giorni)"),
    "quantity": said("Quantity", "Quantità"),
    "rate": said("Rate", "Cambio"),
    "rate_on": said("Rate of", "Cambio del"),
    "reminder": said("After reminder", "Dopo il promemoria"),
    "rule": said("Timer", "Timer"),
    "share": said("Share", "Quota"),
    "sku": said("SKU", "SKU"),
    "skipped": said("Skipped", "Saltate"),
    "source": said("Source", "Provenienza"),
    "stage": said("Stage", "Fase"),
    "stale": said("Stale", "Ferme"),
    "start": said("From", "Dal"),
    "status": said("Status", "Stato"),
    "still_there": said("Still there", "Ancora lì"),
    "survival": said("Share still there", "Quota ancora lì"),
    "target": said("Target", "Obiettivo"),
    "tasks": said("Tasks", "Attività"),
    "title": said("Title", "Titolo"),
    "total_days": said("Total (deal-days)", "Totale (giorni-trattativa)"),
    "turned_back": said("Turned back", "Tornate indietro"),
    "upper": said("To (confidence)", "A (confidenza)"),
    "value": said("Value", "Valore"),
    "value_band": said("Value band", "Fascia di valore"),
    "value_before": said("Value before", "Valore prima"),
    "value_change": said("Change in value", "Variazione valore"),
    "value_days": said("Value-days (value × days)", "Valore-giorni (valore × giorni)"),
    "value_was": said("Value before conversion", "Valore prima del cambio"),
    "currency_was": said("Currency before conversion", "Valuta prima del cambio"),
    "valued": said("With a value", "Con valore"),
    "velocity": said("Velocity (money per day)", "Velocità (denaro al giorno)"),
    "visits": said("Visits", "Permanenze"),
    "weighted_before": said("Weighted value before", "Valore ponderato prima"),
    "weighted_change": said("Change in weighted value", "Variazione valore ponderato"),
    "weighted_value": said("Weighted value", "Valore ponderato"),
    "win_rate": said("Win rate", "Tasso di vincita"),
    "won": said("Won", "Vinte"),
    "won_value": said("Value won", "Valore vinto"),
    "won_deals": said("Won in the end", "Vinte alla fine"),
    "won_in_the_end": said("Won in the end", "Vinte alla fine"),
}


def titles_of(table: pl.DataFrame, **others: Words) -> Mapping[str, Words]:
    """Return what the table's columns are called; *others* are called differently here."""
    return {column: others.get(column) or _COLUMNS[column] for column in table.columns}


def called(table: pl.DataFrame, labels: Labels, language: str) -> pl.DataFrame:
    """Return the table with the values of its labelled columns replaced by what they are called."""
    return table.with_columns(
        pl.col(column)
        .replace({value: words[language] for value, words in named.items()})
        .fill_null(NOTHING)
        for column, named in labels.items()
        if column in table.columns
    )

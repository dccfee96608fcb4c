"""What the page says besides the reports, in the languages that reports speak."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ..words import Words, said

__all__ = ["in_language"]

_WORDS: Final[Mapping[str, Words]] = {
    "as_of": said("As of", "Al"),
    "charts_need": said(
        "Charts need JavaScript, which this viewer does not run; the tables are complete.",
        "I grafici richiedono JavaScript, che qui non è attivo; le tabelle sono complete.",
    ),
    "chart_failed": said("This chart could not be drawn.", "Impossibile disegnare il grafico."),
    "closed": said("decided", "decise"),
    "conversion": said("Won of those opened", "Vinte su quelle aperte"),
    "contents": said("Contents", "Indice"),
    "cycle": said("Median time to win", "Tempo mediano per vincere"),
    "dark": said("Dark or light", "Scuro o chiaro"),
    "deal": said("deal", "trattativa"),
    "deals": said("deals", "trattative"),
    "defined_above": said("Definition: as above", "Definizione: come sopra"),
    "definition": said("Definition", "Definizione"),
    "from_opening": said("from opening to winning", "dall'apertura alla vincita"),
    "left_out": said("Nothing to show under", "Niente da mostrare sotto"),
    "moves": said("moves", "passaggi"),
    "no_deals": said(
        "There are no deals as of this instant, so the reports are empty.",
        "A questo istante non ci sono trattative, quindi i rapporti sono vuoti.",
    ),
    "of": said("of", "su"),
    "one_month": said("Won in", "Vinte in"),
    "open": said("Open now", "Aperte ora"),
    "opened": said("opened so far", "aperte finora"),
    "per_day_expected": said("per day, expected of what is open", "al giorno, atteso dalle aperte"),
    "really_won": said("really won:", "vinto davvero:"),
    "seldom_lost": said(
        "{won} won, {lost} marked as lost: too few losses on record for a rate",
        "{won} vinte, {lost} segnate perse: troppo poche perdite registrate per un tasso",
    ),
    "printed": said("Printed:", "Stampate:"),
    "rows": said("rows; all of them are on the page itself", "righe; tutte nella pagina stessa"),
    "report": said("Pipeline report", "Rapporto della pipeline"),
    "rows_left_out": said(
        "more rows are not on this page; --json has them all.",
        "altre righe non sono su questa pagina; con --json ci sono tutte.",
    ),
    "show_all": said("Show all rows", "Mostra tutte le righe"),
    "show_fewer": said("Show fewer", "Mostra meno"),
    "skip": said("Skip to the reports", "Vai ai rapporti"),
    "table": said("table", "tabella"),
    "velocity": said("Sales velocity", "Velocità di vendita"),
    "win_rate": said("Win rate", "Tasso di vincita"),
    "with_abandoned": said("with abandoned as lost", "con le abbandonate fra le perse"),
    "made_by": said("Made by ladderpipe; nothing on this page comes from elsewhere.",
                    "Fatto con ladderpipe; nulla in questa pagina viene da altrove."),
}  # fmt: skip


def in_language(language: str) -> dict[str, str]:
    """Return every word of the page in a language."""
    return {name: words[language] for name, words in _WORDS.items()}

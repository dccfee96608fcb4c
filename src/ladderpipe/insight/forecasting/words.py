"""What forecasts and backtests say in words: definitions, column titles, notes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import polars as pl

from ..words import Words, noted, said, titles_of

__all__ = [
    "BACKTEST",
    "BACKTEST_MEANING",
    "CALIBRATION",
    "CALIBRATION_MEANING",
    "COVERED",
    "FORECAST",
    "MEANINGS",
    "MONEY",
    "MONEY_MEANING",
    "NEW",
    "PROMISED",
    "TRUST",
    "columns_of",
    "left_out_notes",
    "no_windows_note",
    "older_notes",
    "skipped_notes",
    "untested_note",
]

FORECAST: Final = said("Forecast", "Previsione")
BACKTEST: Final = said("Forecasts put to the test", "Previsioni alla prova")
CALIBRATION: Final = said("Calibration", "Calibrazione")
MONEY: Final = said("Money forecast and money that came", "Denaro previsto e denaro arrivato")

COVERED: Final[Mapping[int, Words]] = {
    80: said("8 times in 10", "8 volte su 10"),
    95: said("19 times in 20", "19 volte su 20"),
}

_COLUMNS: Final[Mapping[str, Words]] = {
    "actual": said("Came", "Arrivato"),
    "at": said("Forecast made at", "Previsione del"),
    "bias": said("Mean of forecast less came", "Media di previsto meno arrivato"),
    "bin": said("Tenth", "Decimo"),
    "brier": said("Brier score", "Punteggio di Brier"),
    "covered_80": said("Inside 80 % interval", "Nell'intervallo dell'80 %"),
    "covered_95": said("Inside 95 % interval", "Nell'intervallo del 95 %"),
    "expected": said("Expected", "Atteso"),
    "expected_new": said("Expected from new deals", "Atteso da nuove trattative"),
    "forecast_of": said("With a forecast", "Con previsione"),
    "forecasts": said("Forecasts", "Previsioni"),
    "horizon_days": said("Within (days)", "Entro (giorni)"),
    "intervals": said("With an interval", "Con intervallo"),
    "lower_80": said("80 %: from", "80 %: da"),
    "upper_80": said("80 %: to", "80 %: a"),
    "lower_95": said("95 %: from", "95 %: da"),
    "upper_95": said("95 %: to", "95 %: a"),
    "mean_actual": said("Came, on average", "Arrivato, in media"),
    "mean_error": said("Mean error", "Errore medio"),
    "mean_probability": said("Probability given", "Probabilità data"),
    "method": said("Method", "Metodo"),
    "skill": said("Better than a constant by", "Meglio di una costante di"),
    "tested": said("Past windows", "Finestre passate"),
    "value": said("Value", "Valore"),
    "windows": said("Windows", "Finestre"),
    "wins": said("Expected wins", "Vincite attese"),
    "won_share": said("Share won", "Quota vinta"),
}


def columns_of(table: pl.DataFrame) -> Mapping[str, Words]:
    """Return what the columns of a table of forecasts are called."""
    ours = {name: _COLUMNS[name] for name in table.columns if name in _COLUMNS}
    return titles_of(table, **ours)


_MONEY: Final = said(
    "Deals that are not decided, abandoned ones among them, at their present value; what they "
    "are expected to bring is the sum of value × probability of standing as won at the end of "
    "the days. A deal that was won and taken up again is open, and deals not yet opened bring "
    "nothing here. Intervals: the sum drawn many times, each deal won or not, then made wider by "
    "as much as the same forecast, made at past month-ends, missed beyond that chance (past "
    "windows: how many there were). Currencies are never added up. Weighted value: value × "
    "declared stage probability.",
    "Trattative non decise, comprese le abbandonate, al valore attuale; l'atteso è la somma di "
    "valore × probabilità di risultare vinta alla fine dei giorni. Una trattativa vinta e ripresa "
    "è aperta, e quelle non ancora aperte qui non portano nulla. Intervalli: la somma estratta "
    "molte volte, ogni trattativa vinta o no, poi allargata di quanto la stessa previsione, fatta "
    "a fine dei mesi passati, ha mancato oltre quel caso (finestre passate: quante sono). Le "
    "valute non si sommano. Valore ponderato: valore × probabilità dichiarata della fase.",
)

_PROBABILITIES: Final[Mapping[str, Words]] = {
    "history": said(
        "Probability: of the visits to the deal's stage that lasted longer than its present one "
        "has so far, the share that was won within the days that followed, with won and lost as "
        "competing risks and undecided deals censored (Aalen and Johansen, from the deal's age "
        "on); drawn towards that of deals worth about as much.",
        "Probabilità: delle permanenze nella fase della trattativa durate più di quella attuale, "
        "la quota vinta nei giorni seguenti, con vinta e persa come rischi concorrenti e le non "
        "decise censurate (Aalen e Johansen, dall'età della trattativa in poi); avvicinata a "
        "quella delle trattative di valore simile.",
    ),
    "stage_probability": said(
        "Probability: as declared for the stage, whatever the number of days.",
        "Probabilità: quella dichiarata per la fase, qualunque sia il numero di giorni.",
    ),
    "win_rate": said(
        "Probability: won ÷ (won + lost) of all deals decided so far, whatever the days.",
        "Probabilità: vinte ÷ (vinte + perse) di tutte le decise finora, qualunque siano i giorni.",
    ),
    "base_rate": said(
        "Probability: the share of the deals open at past month-ends that was won in as many days.",
        "Probabilità: la quota delle trattative aperte a fine dei mesi passati vinta in "
        "altrettanti giorni.",
    ),
    "naive_bayes": said(
        "Probability: naive Bayes over stage, age, value band and the columns asked for, learnt "
        "from the deals open at past month-ends; one is added to every count.",
        "Probabilità: Bayes ingenuo su fase, età, fascia di valore e colonne richieste, appreso "
        "dalle trattative aperte a fine dei mesi passati; a ogni conteggio si aggiunge uno.",
    ),
}

MEANINGS: Final[Mapping[str, Words]] = {
    method: said(f"{_MONEY['en']} {words['en']}", f"{_MONEY['it']} {words['it']}")
    for method, words in _PROBABILITIES.items()
}

NEW: Final = said(
    "Expected from new deals: what deals opened after past month-ends had brought so many days "
    "later, on average; it stands apart, and the intervals do not hold it.",
    "Atteso da nuove trattative: quanto avevano portato altrettanti giorni dopo, in media, le "
    "trattative aperte dopo la fine dei mesi passati; sta a parte, e gli intervalli non lo "
    "comprendono.",
)

_REPLAYED: Final = said(
    "At each past month-end every method forecast by what was known then, and is scored by what "
    "stood so many days later, on the same deals.",
    "A ogni fine mese passata ogni metodo ha previsto con ciò che allora si sapeva, ed è valutato "
    "con ciò che risultava altrettanti giorni dopo, sulle stesse trattative.",
)

BACKTEST_MEANING: Final = said(
    f"{_REPLAYED['en']} Brier score: the mean of (probability − outcome)², outcome 1 for won and "
    "0 otherwise; less is better. Better than a constant by: 1 − Brier ÷ (share won × (1 − share "
    "won)), the score of somebody who knew the share beforehand; below zero it is worse. Money "
    "by horizon and currency: the mean absolute error, the mean of forecast less what came, and "
    "how often what came was inside the interval.",
    f"{_REPLAYED['it']} Punteggio di Brier: la media di (probabilità − esito)², esito 1 se vinta "
    "e 0 altrimenti; meno è meglio. Meglio di una costante di: 1 − Brier ÷ (quota vinta × (1 − "
    "quota vinta)), il punteggio di chi sapesse la quota in anticipo; sotto zero è peggio. Denaro "
    "per orizzonte e valuta: l'errore assoluto medio, la media di previsto meno arrivato, e "
    "quante volte l'arrivato era nell'intervallo.",
)

CALIBRATION_MEANING: Final = said(
    f"{_REPLAYED['en']} Of the forecasts that gave a probability in each tenth, the share that "
    "was won, with its interval (Wilson). On the diagonal, what was given is what came.",
    f"{_REPLAYED['it']} Delle previsioni con probabilità in ciascun decimo, la quota vinta, con il "
    "suo intervallo (Wilson). Sulla diagonale, ciò che si è detto è ciò che è stato.",
)

MONEY_MEANING: Final = said(
    f"{_REPLAYED['en']} The money that the deals open at each month-end were expected to bring, "
    "with its intervals, and what those that stood as won were worth then. Deals without a value "
    "at the month-end are in neither.",
    f"{_REPLAYED['it']} Il denaro atteso dalle trattative aperte a ogni fine mese, con gli "
    "intervalli, e quanto valevano poi quelle risultate vinte. Le trattative senza valore a fine "
    "mese non sono in nessuno dei due.",
)


TRUST: Final = said(
    "What to conclude: trust the method with the lowest Brier score; one that is no better than a "
    "constant (0 % or less) cannot tell the deals that will be won from the others.",
    "Che cosa concludere: conviene il metodo con il punteggio di Brier più basso; uno che non è "
    "meglio di una costante (0 % o meno) non distingue le trattative che si vinceranno.",
)

PROMISED: Final = said(
    "What to conclude: a line below the diagonal promises more than comes, one above it less.",
    "Che cosa concludere: una linea sotto la diagonale promette più di quanto arrivi, una sopra "
    "meno.",
)


def left_out_notes(unknown: int, unvalued: int, minimum: int) -> tuple[Words, ...]:
    """Return the notes on deals that are not among the expected money, and why."""
    return noted(
        unknown,
        (
            "deal has too little history behind it for some of the days: fewer than "
            f"{minimum} examples. It has no forecast there.",
            "deals have too little history behind them for some of the days: fewer than "
            f"{minimum} examples. They have no forecast there.",
        ),
        (
            "trattativa ha alle spalle troppa poca storia per alcuni dei giorni: meno di "
            f"{minimum} esempi. Lì non ha previsione.",
            "trattative hanno alle spalle troppa poca storia per alcuni dei giorni: meno "
            f"di {minimum} esempi. Lì non hanno previsione.",
        ),
    ) + noted(
        unvalued,
        (
            "open deal has no value, and adds nothing to the money.",
            "open deals have no value, and add nothing to the money.",
        ),
        (
            "trattativa aperta non ha valore, e non aggiunge denaro.",
            "trattative aperte non hanno valore, e non aggiungono denaro.",
        ),
    )


def older_notes(older: int) -> tuple[Words, ...]:
    """Return the note on deals older than enough others ever were."""
    return noted(
        older,
        (
            "deal has been in its stage longer than enough others have been watched; it is taken "
            "as of the oldest age that they have.",
            "deals have been in their stage longer than enough others have been watched; they "
            "are taken as of the oldest age that those have.",
        ),
        (
            "trattativa è nella sua fase da più tempo di quanto se ne siano osservate abbastanza; "
            "vale come se avesse l'età massima osservata.",
            "trattative sono nella loro fase da più tempo di quanto se ne siano osservate "
            "abbastanza; valgono come se avessero l'età massima osservata.",
        ),
    )


def untested_note(fewest: int) -> Words:
    """Return the note on intervals that too few past windows could test."""
    return said(
        f"The past is too short to test the interval (fewer than {fewest} month-ends that many "
        "days back, with a forecast of their own), so none is given.",
        f"Il passato è troppo breve per provare l'intervallo (meno di {fewest} fine mese così "
        "lontane, con una previsione propria), perciò non è indicato.",
    )


def no_windows_note() -> Words:
    """Return the note on a past in which nothing can be tested."""
    return said(
        "There is too little history to test a forecast: no month-end is as many days back, or "
        "no method had enough examples then.",
        "C'è troppa poca storia per provare una previsione: nessuna fine mese è abbastanza "
        "indietro, o nessun metodo aveva allora abbastanza esempi.",
    )


def skipped_notes(skipped: int) -> tuple[Words, ...]:
    """Return the note on forecasts that are not scored because a method gave none."""
    return noted(
        skipped,
        (
            "forecast is not scored, since some method had too little history for it.",
            "forecasts are not scored, since some method had too little history for them.",
        ),
        (
            "previsione non è valutata, perché a qualche metodo mancava la storia.",
            "previsioni non sono valutate, perché a qualche metodo mancava la storia.",
        ),
    )

"""Of what was abandoned, how much came back, after which reminder, and how soon."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Final

import polars as pl

from ...errors import DefinitionError
from ...formats import ENGLISH, ITALIAN
from ...model.calendar import usual_length
from ...model.stage import Stage, WaitStep
from ..frames.schema import INSTANT
from ..frames.snapshot import (
    Instant,
    Source,
    checked_confidence,
    days,
    in_order,
    ladder,
    stage_labels,
    standing,
)
from ..frames.tables import Tables
from ..optional import alt
from ..report import Report, Titles
from ..words import OUTCOMES, Language, Words, said, titles_of
from . import charts, kaplan_meier
from .intervals import wilson
from .lift import lift, lift_words

__all__ = ["recovery"]

Reminders = Mapping[str, dt.timedelta]
_BEFORE: Final = "none"


def recovery(
    source: Source,
    *,
    as_of: Instant | None = None,
    reminders: Reminders | None = None,
    confidence: float = 0.95,
) -> Report:
    """Report what became of every abandonment: came back (after which reminder), lost, or away.

    An abandonment is a stay in a stage whose status is abandoned; it came back if the deal left
    it for a stage that is open or won. The reminder named is the last one *due* before the deal
    came back: tables know when something was due, not whether a mail was read. Where a send policy
    holds customers out, notes say how many more bought of those that may be written to (the lift),
    with an interval, or that they are too few to say.

    Args:
        reminders: names, and how long after the abandonment each is due; the effects of the
            stages' own sequences when left out. A wait on a calendar counts as what it is on
            average.
        confidence: of the interval around each share.

    Raises:
        DefinitionError: two reminders are due at one time, or one before the abandonment.
        ClockError: the tables do not reach so far.
    """
    tables = standing(source, as_of)
    stays = _abandonments(tables, reminders)
    table = _outcomes(stays, checked_confidence(confidence))
    table = in_order(table, tables, "stage", "place", "after_days").drop("place")
    return Report(
        name="recovery",
        titles=said("Recovery of what was abandoned", "Recupero degli abbandoni"),
        definitions=DEFINITION,
        as_of=tables.as_of,
        table=table,
        columns=titles_of(table, won_in_the_end=OF_WON),
        labels={
            "stage": stage_labels(tables),
            "outcome": {name: OUTCOMES[name] for name in ("came_back", "away", "lost")},
            "reminder": {_BEFORE: BEFORE},
        },
        notes=(*_sums(stays), *_lift(tables, confidence)),
        draw=_draw,
    )


def _lift(tables: Tables, confidence: float) -> tuple[Words, ...]:
    """Say what being written to is worth, where a send policy holds customers out."""
    found = lift(tables, confidence)
    return () if found is None else lift_words(found, confidence)


def _abandonments(tables: Tables, reminders: Reminders | None) -> pl.DataFrame:
    """Return a row for every stay in an abandoned stage: what came of it, when, after what."""
    status = dict(ladder(tables).select("stage", "status").iter_rows())
    abandoned = [stage for stage in tables.stages if stage.status == "abandoned"]
    plans = pl.concat([_plan(stage, reminders) for stage in abandoned] or [_plan(None, {})])
    end = pl.coalesce("left_at", pl.lit(tables.as_of, dtype=INSTANT))
    next_status = pl.col("into_stage").replace_strict(status, default=None, return_dtype=pl.String)
    outcome = (
        pl.when(next_status.is_in(["open", "won"])).then(pl.lit("came_back"))
        .when(next_status == "lost").then(pl.lit("lost"))
        .otherwise(pl.lit("away"))
    )  # fmt: skip
    stays = tables.visits.filter(pl.col("stage").is_in([stage.key for stage in abandoned])).select(
        "deal",
        "stage",
        lasted=(end - pl.col("entered_at")).dt.total_microseconds(),
        outcome=outcome,
        # Gone and back within one instant: it counts, and took no time that could be told.
        lasts=pl.col("left_at").ne_missing(pl.col("entered_at")),
    )
    won = tables.deals.filter(pl.col("status") == "won").select("deal", won=pl.lit(True))
    return (
        # The last reminder due before the return is the nearest one backwards in time.
        stays.sort("lasted")
        .join_asof(plans, left_on="lasted", right_on="due", by="stage", check_sortedness=False)
        .join(won, on="deal", how="left")
        .with_columns(
            pl.col("won").fill_null(False),
            *(
                pl.when(pl.col("outcome") == "came_back").then(name).alias(name)
                for name in ("reminder", "due")
            ),
        )
    )


def _plan(stage: Stage | None, reminders: Reminders | None) -> pl.DataFrame:
    """Return when each reminder of a stage is due, in microseconds after the abandonment."""
    due = _sequence(stage) if reminders is None and stage is not None else dict(reminders or {})
    _refuse_muddled(due)
    rows = [(str(stage), _BEFORE, 0)] if stage is not None else []
    rows += [
        (str(stage), name, wait // dt.timedelta(microseconds=1))
        for name, wait in sorted(due.items(), key=lambda pair: pair[1])
    ]
    # With a reminder at once there is no time before the first one.
    if len(rows) > 1 and rows[1][2] == 0:
        del rows[0]
    return pl.DataFrame(
        rows,
        schema={"stage": pl.String, "reminder": pl.String, "due": pl.Int64},
        orient="row",
    )


def _refuse_muddled(due: Reminders) -> None:
    waits = list(due.values())
    if len(set(waits)) < len(waits) or any(wait < dt.timedelta() for wait in waits):
        raise DefinitionError(
            f"reminders due after {', '.join(map(str, waits))} cannot be told apart or come "
            "before the abandonment: give each its own time, from zero on"
        )


def _sequence(stage: Stage) -> dict[str, dt.timedelta]:
    """Return the effects of a stage's sequence by when they are due; those at once as one."""
    together: dict[dt.timedelta, list[str]] = {}
    passed = dt.timedelta()
    for step in stage.sequence:
        if isinstance(step, WaitStep):
            passed += usual_length(step.delay)
        else:
            together.setdefault(passed, []).append(_called(step))
    named: dict[str, dt.timedelta] = {}
    for wait, names in together.items():
        name = " + ".join(names)
        named[name if name not in named else f"{name} ({wait})"] = wait
    return named


def _called(step: Any) -> str:
    told: Sequence[str] = [
        str(step.payload[key]) for key in ("template", "title") if step.payload.get(key)
    ]
    return told[0] if told else str(step.name)


def _outcomes(stays: pl.DataFrame, confidence: float) -> pl.DataFrame:
    places = {"came_back": 0, "away": 1, "lost": 2}
    counted = stays.group_by("stage", "outcome", "reminder", "due").agg(
        pl.len().cast(pl.Int64).alias("visits"),
        pl.col("deal").n_unique().cast(pl.Int64).alias("deals"),
        pl.col("won").sum().cast(pl.Int64).alias("won_in_the_end"),
        pl.col("deal").filter("won").n_unique().cast(pl.Int64).alias("won_deals"),
        median_days=days(pl.col("lasted").filter("lasts").median()),
    )
    whole = pl.col("visits").sum().over("stage")
    return (
        counted.with_columns(
            place=pl.col("outcome").replace_strict(places, return_dtype=pl.Int64),
            whole=whole,
            after_days=days("due"),
        )
        .with_columns(share=pl.col("visits") / pl.col("whole"))
        .with_columns(wilson("visits", "whole", confidence))
        .select(
            "stage", "outcome", "reminder", "after_days", "visits", "deals", "share", "lower",
            "upper", "median_days", "won_deals", "won_in_the_end", "place",
        )
    )  # fmt: skip


def _curve(stays: pl.DataFrame) -> pl.DataFrame:
    times = stays.filter("lasts").select(
        "lasted", group=pl.lit(0), left=pl.col("outcome") == "came_back"
    )
    return kaplan_meier.curve(times, "group")


def _sums(stays: pl.DataFrame) -> tuple[Words, ...]:
    whole = stays.height
    if not whole:
        return ()
    back = stays.filter(pl.col("outcome") == "came_back").height
    median = kaplan_meier.quantiles(_curve(stays), "group", [0.5])["q50"]
    total = said(
        "Abandonments that came back: "
        f"{ENGLISH.number(back)} of {ENGLISH.number(whole)} ({ENGLISH.share(back / whole)}).",
        "Abbandoni recuperati: "
        f"{ITALIAN.number(back)} su {ITALIAN.number(whole)} ({ITALIAN.share(back / whole)}).",
    )
    if not median.count():
        waiting = said(
            "Half of them will not be back within the time watched: the median time to come back "
            "(Kaplan and Meier) is not reached.",
            "La metà non torna nel tempo osservato: la mediana del ritorno (Kaplan e Meier) non è "
            "raggiunta.",
        )
    else:
        length = dt.timedelta(microseconds=median.item())
        waiting = said(
            f"Half are back after {ENGLISH.duration(length)} (Kaplan and Meier; those away or "
            "lost count as censored).",
            f"La metà è tornata dopo {ITALIAN.duration(length)} (Kaplan e Meier; assenti e perse "
            "contano come censurate).",
        )
    return (total, waiting)


def _draw(table: pl.DataFrame, titles: Titles, language: Language) -> Any:
    shown = charts.durations_told(table, language, "median_days").with_columns(
        what=pl.when(pl.col("after_days").is_not_null())
        .then(pl.format(f"{OUTCOMES['came_back'][language]}: {{}}", "reminder"))
        .otherwise("outcome"),
        kind=pl.when(pl.col("after_days").is_not_null()).then(pl.lit("came_back"))
        .when(pl.col("outcome") == OUTCOMES["lost"][language]).then(pl.lit("lost"))
        .otherwise(pl.lit("away")),
    )  # fmt: skip
    kinds = ("came_back", "away", "lost")
    colour = alt.Color(
        "kind:N",
        scale=alt.Scale(domain=list(kinds), range=[charts.COLOURS[kind] for kind in kinds]),
        legend=None,
    )
    many_stages = shown["stage"].n_unique() > 1
    label = pl.format("{}, {}", "stage", "what") if many_stages else pl.col("what")
    shown = shown.with_columns(label=label)
    bars = charts.bars(
        shown,
        y=charts.listed("label", shown["label"], None),
        x=alt.X("share:Q", axis=charts.share_axis(SHARE[language])),
        color=colour,
        tooltip=[
            *charts.hover({**titles, "label": titles["outcome"]}, "label", visits=",", share=".1%"),
            alt.Tooltip("median_days_told:N", title=titles["median_days"].split(" (")[0]),
        ],
    )
    return charts.themed(bars)


OF_WON: Final = said("Abandonments of deals won in the end", "Abbandoni di trattative poi vinte")
BEFORE: Final = said("before any reminder", "prima di ogni promemoria")
SHARE: Final = said("Share of the abandonments", "Quota degli abbandoni")

DEFINITION: Final = said(
    "An abandonment is a stay in a stage whose status is abandoned; a deal abandoned twice counts "
    "twice. It came back if the deal left that stage for one that is open or won; lost if it left "
    "for a lost one; otherwise it is still away. The rows of a stage add up to its abandonments. "
    "After reminder: the last one that was due before the deal came back, by the time that had "
    "passed; that is an order in time, not a proof that the reminder caused it. Median: of the "
    "days until then. Won in the end: deals of the row that are won at the instant of the report, "
    "each counted once, however often it was abandoned. Interval of the share: Wilson (1927).",
    "Un abbandono è una permanenza in una fase il cui stato è abbandonata; una trattativa "
    "abbandonata due volte conta due volte. È tornata se è passata a una fase aperta o vinta; "
    "persa se è passata a una fase persa; altrimenti è ancora assente. Le righe di una fase, "
    "sommate, danno i suoi abbandoni. Dopo il promemoria: l'ultimo previsto prima del ritorno, "
    "secondo il tempo trascorso; è un ordine nel tempo, non una prova che sia merito del "
    "promemoria. Mediana: dei giorni trascorsi. Vinte alla fine: trattative della riga che "
    "all'istante del rapporto sono vinte, ciascuna una volta, per quante volte sia stata "
    "abbandonata. Intervallo della quota: Wilson (1927).",
)

"""The figures of some reports in plain Polars, as one would write them for one's own frames."""

from __future__ import annotations

import polars as pl

from ladderpipe.insight.frames.tables import Tables

DAY = 86_400_000_000


def summary(tables: Tables) -> pl.DataFrame:
    """Return deals, value and weighted value by stage."""
    chances = {stage.key: stage.probability for stage in tables.stages}
    held = tables.deals.group_by("stage", "currency").agg(
        pl.len().alias("deals"), pl.col("value").count().alias("valued"), pl.col("value").sum()
    )
    chance = pl.col("stage").replace_strict(chances, return_dtype=pl.Float64)
    return held.with_columns(weighted_value=pl.col("value").cast(pl.Float64) * chance)


def funnel(tables: Tables) -> pl.DataFrame:
    """Return how many came to each step, what became of them, who skipped it and who came back."""
    steps = [stage.key for stage in tables.stages if stage.status in ("open", "won")]
    position = {key: step for step, key in enumerate(steps)}
    step = pl.col("step")
    stays = tables.visits.select(
        "deal", step=pl.col("stage").replace_strict(position, default=None, return_dtype=pl.Int64)
    ).drop_nulls("step")
    highest = step.cum_max().shift(1).over("deal")
    back = stays.filter(step <= highest).group_by("step").agg(came_back=pl.col("deal").n_unique())
    been = [(step == number).any().alias(f"been_{number}") for number in range(len(steps))]
    reached = (
        stays.group_by("deal")
        .agg(step.max().alias("furthest"), *been)
        .join(tables.deals.select("deal", "stage", "status"), on="deal")
    )
    rows = [_step(reached, number, key) for number, key in enumerate(steps)]
    return pl.concat(rows).join(back, on="step", how="left").drop("step").fill_null(0)


def _step(reached: pl.DataFrame, number: int, key: str) -> pl.DataFrame:
    furthest, status = pl.col("furthest"), pl.col("status")
    ended = {name: (furthest == number) & (status == name) for name in ("won", "abandoned", "lost")}
    unfinished, is_here = (furthest == number) & (status == "open"), pl.col("stage") == key
    ended |= {"open": unfinished & is_here, "turned_back": unfinished & ~is_here}
    return reached.select(
        stage=pl.lit(key),
        step=pl.lit(number, dtype=pl.Int64),
        entered=(furthest >= number).sum(),
        advanced=(furthest > number).sum(),
        skipped=((furthest > number) & ~pl.col(f"been_{number}")).sum(),
        **{name: found.sum() for name, found in ended.items()},
    )


def time_in_stage(tables: Tables) -> pl.DataFrame:
    """Return the Kaplan-Meier median of each deal's last stay in each stage that is not closed."""
    end = pl.col("left_at").fill_null(tables.as_of)
    stays = (
        tables.visits.filter(pl.col("stage").is_in(["new", "talking", "offer", "cold"]))
        .group_by("deal", "stage")
        .agg(pl.col("entered_at", "left_at").last())
        .select(
            "stage",
            lasted=(end - pl.col("entered_at")).dt.total_microseconds(),
            left=pl.col("left_at").is_not_null(),
        )
    )
    counted = stays.group_by("stage", "lasted").agg(pl.len().alias("ended"), pl.col("left").sum())
    curve = counted.sort("stage", "lasted").with_columns(
        at_risk=pl.col("ended").cum_sum(reverse=True).over("stage")
    )
    survival = (1 - pl.col("left") / pl.col("at_risk")).cum_prod().over("stage")
    below = curve.with_columns(survival=survival).filter(pl.col("survival") <= 0.5 + 1e-12)
    return below.group_by("stage").agg(median_days=pl.col("lasted").min() / DAY)


def win_rate(tables: Tables) -> pl.DataFrame:
    """Return won over won and lost by owner."""
    closed = tables.deals.filter(pl.col("status").is_in(["won", "lost"]))
    return closed.group_by("owner").agg(
        closed=pl.len(), win_rate=(pl.col("status") == "won").mean()
    )


def value_days(tables: Tables) -> pl.DataFrame:
    """Return the integral of value over time in each stage that is not closed."""
    last = pl.col("deal") != pl.col("deal").shift(-1).fill_null("")
    until = pl.when(~last).then(pl.col("at").shift(-1)).otherwise(tables.as_of)
    prices = tables.changes.select("deal", "at", "value", "currency", until=until)
    stays = tables.visits.filter(pl.col("stage").is_in(["new", "talking", "offer", "cold"]))
    both = stays.select(
        "deal", "stage", "entered_at", left_at=pl.col("left_at").fill_null(tables.as_of)
    ).join(prices, on="deal")
    begin, end = pl.max_horizontal("entered_at", "at"), pl.min_horizontal("left_at", "until")
    held = (
        both.select("stage", "currency", "value", lasted=(end - begin).dt.total_microseconds())
        .filter(pl.col("lasted") > 0)
        .with_columns(days=pl.col("lasted") / DAY)
    )
    return held.group_by("stage", "currency").agg(
        value_days=(pl.col("value").cast(pl.Float64) * pl.col("days")).sum()
    )


def arrivals(tables: Tables) -> pl.DataFrame:
    """Return the deals opened in each month, by source."""
    month = pl.col("opened_at").dt.month_start().dt.date()
    return tables.deals.group_by("source", start=month).agg(pl.len().alias("deals"))

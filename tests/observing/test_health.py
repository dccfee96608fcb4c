"""Health: what of a store wants a person, on every store."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ladderpipe import (
    Backoff,
    Board,
    Calendar,
    ManualClock,
    Pipeline,
    Stage,
    SystemClock,
    after,
    on,
)
from ladderpipe.board.findings import LATE
from ladderpipe.board.health import examine_store
from ladderpipe.testing.shop import HOUR
from tests.shops import Shop, contents, lead_ladder, register

databases = pytest.mark.parametrize("store", ["sqlite", "postgres"], indirect=True)


def mail(ctx: Any) -> None:
    ctx.do("email", template="hello")


def fail(*given: Any) -> None:
    raise OSError("ada@example.com does not answer")


def codes(board: Board) -> list[str]:
    return [finding.code for finding in board.health().findings]


def test_a_board_at_work_is_healthy(store: Any) -> None:
    shop = Shop(register(lead_ladder(), into_new=mail), store)
    shop.tell("lead")
    shop.tell("lead", "e")
    shop.work()
    before = contents(store)
    health = shop.board.health(thorough=True)
    assert health.ok
    assert health.findings == ()
    assert health.faults == ()
    assert contents(store) == before


def test_timers_that_nobody_fires_are_found(store: Any) -> None:
    shop = Shop(lead_ladder(), store)
    shop.tell("lead")
    shop.wait(72)
    shop.clock.advance(LATE)
    assert shop.board.health().backlog.timer_lag == LATE
    assert codes(shop.board) == []
    shop.wait(2)
    assert shop.board.health().backlog.timer_lag == 2 * HOUR + LATE
    assert codes(shop.board) == ["H004"]
    shop.board.tick()
    assert codes(shop.board) == []


def test_effects_that_nobody_delivers_are_found_by_name(store: Any) -> None:
    shop = Shop(register(lead_ladder(), into_new=mail), store)
    shop.tell("lead")
    shop.wait(3)
    backlog = shop.board.health().backlog
    assert (backlog.oldest_effect, backlog.effect_lag) == ("email", 3 * HOUR)
    (finding,) = shop.board.health().findings
    assert finding.code == "H005"
    assert "'email'" in finding.message
    assert "3.0 h" in finding.message
    shop.board.deliver()
    assert codes(shop.board) == []


def test_effects_that_are_not_due_yet_are_no_backlog(store: Any) -> None:
    shop = Shop(lead_ladder(sequence=True), store)
    shop.tell("lead")
    shop.board.deliver()
    assert shop.board.health().backlog.oldest_effect is None
    assert shop.board.health().ok


def test_dead_letters_are_found_until_they_are_sent(store: Any) -> None:
    shop = Shop(register(lead_ladder(), into_new=mail), store, backoff=Backoff(tries=1))
    send = shop.board._session.handlers["email"]
    shop.board._session.handlers["email"] = fail
    shop.tell("lead")
    shop.board.deliver()
    health = shop.board.health()
    assert (health.backlog.dead_letters, codes(shop.board)) == (1, ["H006"])
    assert "ada" not in str(health)
    shop.board._session.handlers["email"] = send
    shop.board.send_again(shop.board.dead_letters()[0])
    shop.board.deliver()
    assert codes(shop.board) == []


def test_deals_whose_sweep_fails_are_found_and_are_no_backlog(store: Any) -> None:
    broken = [True]

    def hook(ctx: Any) -> None:
        if broken:
            raise OSError

    shop = Shop(register(lead_ladder(), into_cold=hook), store)
    shop.tell("lead")
    shop.wait(80)
    shop.board.tick()
    assert shop.board.health().failing_deals == 1
    assert codes(shop.board) == ["H007"]
    broken.clear()
    shop.wait(1)
    shop.board.tick()
    assert codes(shop.board) == []


def test_deals_that_wait_for_an_opening_are_told_and_are_no_trouble(store: Any) -> None:
    shop = Shop(lead_ladder(), store)
    shop.tell("call", "early")
    health = shop.board.health()
    assert (health.waiting_deals, codes(shop.board)) == (1, ["H008"])
    assert health.ok


def test_a_tombstone_does_not_wait(store: Any) -> None:
    shop = Shop(lead_ladder(), store)
    shop.tell("lead")
    shop.tell("order")
    shop.board.remove("d")
    assert shop.board.health().waiting_deals == 0


def another_ladder(name: str = "leads") -> Pipeline:
    fresh = Stage("fresh")
    return Pipeline(name, stages=[fresh], rules=[on("lead", into=fresh, opens=True)])


def test_a_board_with_another_definition_sees_it_and_the_deals_it_would_lose(store: Any) -> None:
    shop = Shop(lead_ladder(), store)
    shop.tell("lead")
    other = Board(another_ladder(), store=store, clock=shop.clock, adopting=True)
    health = other.health()
    assert (health.is_changed, dict(health.unknown_stages)) == (True, {"new": 1})
    assert codes(other) == ["H012", "H010"]
    other.migrate({stage.key: other.pipeline.stage("fresh") for stage in shop.pipeline.stages})
    assert codes(other) == []
    assert codes(shop.board) == ["H012", "H010"]


def test_a_migration_that_was_not_finished_is_found(store: Any) -> None:
    shop = Shop(lead_ladder(), store)
    with store.transaction() as transaction:
        row = transaction.pipeline("leads")
        transaction.save_pipeline(row.name, row.fingerprint, row.definition, "{}")
    assert codes(shop.board) == ["H011"]
    (health,) = examine_store(store)
    assert health.is_migrating


def test_the_worst_comes_first(store: Any) -> None:
    shop = Shop(lead_ladder(), store)
    shop.tell("lead")
    shop.tell("call", "early")
    shop.wait(80)
    other = Board(another_ladder(), store=store, clock=shop.clock, adopting=True)
    severities = [finding.severity for finding in other.health().findings]
    assert severities == ["error", "error", "warning", "info"]


def test_every_pipeline_of_a_store_is_looked_at_without_its_definition(store: Any) -> None:
    Shop(lead_ladder(), store).tell("lead")
    Board(another_ladder("empty"), store=store)
    found = examine_store(store)
    assert [health.pipeline for health in found] == ["leads", "empty"]
    assert [dict(health.unknown_stages) for health in found] == [{}, {}]
    assert [health.pipeline for health in examine_store(store, "empty")] == ["empty"]


def test_pipelines_do_not_answer_for_each_other(store: Any) -> None:
    shop = Shop(register(lead_ladder(), into_new=mail), store)
    shop.tell("lead")
    shop.tell("call", "early")
    shop.wait(80)
    assert codes(Board(another_ladder("other"), store=store, clock=shop.clock)) == []


def test_a_manual_clock_is_compared_with_none(store: Any) -> None:
    assert Shop(lead_ladder(), store).board.health().clock_difference is None


def test_the_machine_s_clock_is_compared_where_there_is_another(store: Any) -> None:
    health = Board(lead_ladder(), store=store, clock=SystemClock()).health()
    if type(store).__name__ not in ("PostgresStore", "MariadbStore"):
        assert health.clock_difference is None
        return
    assert abs(health.clock_difference) < dt.timedelta(seconds=5)
    assert dt.timedelta() <= health.clock.uncertainty < dt.timedelta(seconds=5)


@databases
def test_an_index_that_is_missing_is_found_with_what_makes_it(store: Any) -> None:
    shop = Shop(lead_ladder(), store)
    with store.transaction() as transaction:
        transaction.connection.execute("DROP INDEX ladder_deals_due")
    (finding,) = shop.board.health().findings
    assert finding.code == "H002"
    statement = shop.board.health().structure.missing_indexes["ladder_deals_due"]
    assert statement in finding.message
    with store.transaction() as transaction:
        transaction.connection.execute(statement)
    assert shop.board.health().ok


@databases
def test_another_version_of_the_schema_is_found(store: Any) -> None:
    shop = Shop(lead_ladder(), store)
    with store.transaction() as transaction:
        transaction.connection.execute("UPDATE ladder_schema SET version = version + 1")
    assert codes(shop.board) == ["H001"]


def on_calendars(rules: Calendar, waits: Calendar) -> Pipeline:
    asked, late = Stage("asked", rots_after=waits.span(hours=8)), Stage("late")
    count = after(hours=8, calendar=rules, out_of=asked, into=late)
    return Pipeline(
        "quotes", stages=[asked, late], rules=[on("asked", into=asked, opens=True), count]
    )


def office(name: str, *holidays: dt.date) -> Calendar:
    return Calendar(name, zone="Europe/Rome", hours={"mon-fri": "09:00-18:00"}, holidays=holidays)


days = st.dates(dt.date(2024, 1, 1), dt.date(2030, 12, 31))


@given(days, st.lists(days, max_size=6), st.lists(days, max_size=6))
def test_a_year_without_its_holidays_is_found_sixty_days_before(
    today: dt.date, rules: list[dt.date], waits: list[dt.date]
) -> None:
    clock = ManualClock(dt.datetime.combine(today, dt.time(12), dt.UTC))
    ladder = on_calendars(office("rules", *rules), office("waits", *waits))
    board = Board(ladder, clock=clock)
    needed = {today.year, (today + dt.timedelta(days=60)).year}
    missing = {
        name: min(lacking)
        for name, dates in (("rules", rules), ("waits", waits))
        if dates and (lacking := needed - {day.year for day in dates})
    }
    health = board.health()
    assert health.without_holidays == missing
    assert [finding.code for finding in health.findings] == ["H023"] * bool(missing)
    for name, year in missing.items():
        assert f"{name!r} has no holidays in {year}" in health.findings[0].message


@pytest.mark.parametrize("has_a_plain_form", [True, False])
def test_without_a_definition_the_store_knows_the_holidays(
    store: Any, has_a_plain_form: bool
) -> None:
    year = SystemClock().now().year
    passed, known = dt.date(year - 1, 1, 1), [dt.date(year, 1, 1), dt.date(year + 1, 1, 1)]
    ladder = on_calendars(office("rules", passed), office("waits", *known))
    if not has_a_plain_form:
        ladder = ladder.extended(
            rules=[on("nothing", into=ladder.stages[1], when=lambda deal, event: False)]
        )
    Board(ladder, store=store)
    (health,) = examine_store(store)
    assert health.without_holidays == {"rules": year}
    assert [finding.code for finding in health.findings] == ["H023"]

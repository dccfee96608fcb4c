"""``migrate``: first what would change, then the change."""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path
from typing import Any

import pytest

from ladderpipe import Board, ManualClock
from tests.commands import run

LADDER = """
from ladderpipe import ANY, Pipeline, Stage, after, on

def ladder(*names):
    stages = [Stage(name) for name in names]
    rules = [on(f"to.{each}", into=each, out_of=ANY, opens=True) for each in stages]
    rules.append(after(hours=1, out_of=stages[0], into=stages[1]))
    return Pipeline("leads", stages=stages, rules=rules)

old = ladder("new", "called", "won")
longer = ladder("new", "called", "won", "lost")
renamed = ladder("new", "contacted", "won")
"""


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "cli_ladders", raising=False)
    Path("cli_ladders.py").write_text(LADDER, "utf-8")
    import cli_ladders  # type: ignore[import-not-found]

    from ladderpipe import Event

    url = f"sqlite:///{tmp_path}/leads.db"
    clock = ManualClock("2026-01-05T09:00:00Z")
    with Board.open(cli_ladders.old, url, clock) as board:
        for deal, kind in (("a", "new"), ("b", "called"), ("c", "called")):
            board.handle(Event(f"to.{kind}", deal=deal, id=f"{deal}-{kind}", at=clock.now()))
    return url


def contents(url: str) -> list[str]:
    connection = sqlite3.connect(url.removeprefix("sqlite:///"))
    try:
        return list(connection.iterdump())
    finally:
        connection.close()


def stages(url: str, pipeline: str) -> dict[str, Any]:
    listed = run("deals", url, "-p", f"cli_ladders:{pipeline}", "--json").json()
    return {deal["id"]: deal["stage"] for deal in listed}


def test_the_plan_is_told_and_nothing_is_changed(url: str) -> None:
    before = contents(url)
    told = run("migrate", url, "-p", "cli_ladders:longer", "--plan")
    assert (told.code, told.err) == (0, "")
    assert "stage 'lost' is new" in told.out
    assert "3 deals" in told.out
    assert "1 deal with a timer due at once" in told.out
    assert contents(url) == before


def test_without_a_yes_and_nobody_to_ask_nothing_is_changed(url: str) -> None:
    before = contents(url)
    assert "--yes" in run("migrate", url, "-p", "cli_ladders:longer").err
    assert contents(url) == before


def test_with_a_yes_it_is_done_once(url: str) -> None:
    first = run("migrate", url, "-p", "cli_ladders:longer", "--yes", "--json").json()
    assert (first["migrated"], first["plan"]["possible"]) == (3, True)
    assert stages(url, "longer") == {"a": "new", "b": "called", "c": "called"}
    again = run("migrate", url, "-p", "cli_ladders:longer", "--yes")
    assert (again.code, again.err) == (0, "")
    assert "already" in again.out


def test_a_stage_that_is_gone_has_to_go_somewhere(url: str) -> None:
    before = contents(url)
    told = run("migrate", url, "-p", "cli_ladders:renamed", "--yes")
    assert told.code == 1
    assert "called" in told.out
    assert "--rename called=NEW" in told.out
    assert contents(url) == before
    rename = ("--rename", "called=contacted")
    assert run("migrate", url, "-p", "cli_ladders:renamed", "--yes", *rename).code == 0
    assert stages(url, "renamed") == {"a": "new", "b": "contacted", "c": "contacted"}


@pytest.mark.parametrize("rename", ["called", "called=moon", "moon=contacted"])
def test_a_rename_that_makes_no_sense_is_one_line(url: str, rename: str) -> None:
    before = contents(url)
    told = run("migrate", url, "-p", "cli_ladders:renamed", "--yes", "--rename", rename)
    assert told.code in (1, 2)
    assert told.err.count("\n") == 1
    assert contents(url) == before


def test_a_board_that_is_refused_is_told_the_command(url: str) -> None:
    event = ["to.won", "--deal", "a", "--id", "x", "-p", "cli_ladders:renamed"]
    told = run("event", url, *event).refusal()
    assert "ladderpipe migrate URL --pipeline PIPELINE --rename OLD=NEW" in told
    assert "adopting" not in told

"""``ladderpipe hubspot``, ``pipedrive`` and ``brevo``, against a CRM over HTTP."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ladderpipe import Board, ManualClock
from ladderpipe.templates import sales_management
from tests.commands import SALES, START, filled, run, shop

from . import pipedrives, portals
from .crms import WORLDS, World

TITLES = {"hubspot": "HubSpot", "pipedrive": "Pipedrive", "brevo": "Brevo"}
TOLD = {
    "hubspot": {"HUBSPOT_APP": portals.APP},
    "pipedrive": {"PIPEDRIVE_COMPANY": "shop", "PIPEDRIVE_DEAL_FIELD": pipedrives.DEAL_FIELD},
    "brevo": {"BREVO_CURRENCY": "EUR"},
}
"""What each is connected with, beside the token."""


@pytest.fixture(scope="module", params=WORLDS)
def served(request: pytest.FixtureRequest) -> Iterator[World]:
    with WORLDS[request.param]() as world:
        yield world


@pytest.fixture
def crm(world: World, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return which CRM the commands are about, whose variables are set."""
    name: str = world.crm.name
    told = {f"{name.upper()}_TOKEN": "token", f"{name.upper()}_API": world.service.url}
    for variable, value in (told | TOLD[name]).items():
        monkeypatch.setenv(variable, value)
    return name


@pytest.fixture
def mapped(world: World, tmp_path: Path) -> Path:
    path = tmp_path / "crm.toml"
    stages = "\n".join(f'{ours} = "{theirs}"' for ours, theirs in world.mapping.stages.items())
    path.write_text(f'pipeline = "{world.mapping.pipeline}"\n[stages]\n{stages}\n')
    return path


def test_what_is_set_up_is_fine(crm: str, mapped: Path) -> None:
    ran = run(crm, "check", mapped, "--pipeline", SALES)
    assert (ran.code, ran.out.strip()) == (0, f"{TITLES[crm]} is set up")
    assert run(crm, "check", mapped, "--json").json() == []


def test_what_is_missing_is_named(world: World, crm: str, mapped: Path) -> None:
    won = world.mapping.stages["refunded"]
    text = mapped.read_text().replace(f'refunded = "{won}"', f'refunded = "{world.strange}"')
    mapped.write_text(text.replace("cart_merged =", "lots ="))
    ran = run(crm, "check", mapped, "--pipeline", SALES)
    assert ran.code == 1
    for word in (world.strange, "'cart_merged'", "'lots'"):
        assert word in ran.out


def test_a_board_is_told_and_drift_is_shown(
    world: World, crm: str, mapped: Path, tmp_path: Path
) -> None:
    url = shop(tmp_path / "shop.db")
    command = (crm, "reconcile", SALES, url, mapped, "--ledger", tmp_path / "ledger.db")
    assert run(*command).code == 0
    with Board.open(sales_management(), url) as board:
        assert world.service.deals().keys() == {deal.id for deal in board.deals()}
    world.service.edit(world.id(world.of("cart-1")))
    ran = run(*command, "--mend")
    assert ran.code == 1
    assert f"cart-1: {world.amount_field} is '1' and not '1798'" in ran.out
    world.service.catch_up()
    assert run(*command).code == 0


def test_a_deal_that_is_not_taken_is_named_with_the_reason(
    world: World, crm: str, mapped: Path, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/shop.db"
    clock = ManualClock(START)
    with Board.open(sales_management(), url, clock) as board:
        board.handle(filled("cart-1", clock, owner="marta", value="1234567890123.45"))
    command = (crm, "reconcile", SALES, url, mapped, "--ledger", tmp_path / "ledger.db")
    ran = run(*command)
    assert (ran.code, ran.out.splitlines()[0]) == (1, "1 deal not taken as it is")
    assert ran.out.splitlines()[1].startswith("  cart-1: ")
    told = json.loads(run(*command, "--json").out)
    assert (told["drift"], list(told["troubles"])) == ([], ["cart-1"])
    assert world.service.count() == 0
    candid = (crm, "run", SALES, url, mapped, "--ledger", tmp_path / "another.db", "--candid")
    with running(*candid) as process:
        assert process.stderr is not None
        assert "warning: cart-1: " in "".join(process.stderr.readline() for _ in range(4))


def test_a_wrong_token_is_told_in_one_line(
    crm: str, mapped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{crm.upper()}_TOKEN", "revoked")
    assert "token" in run(crm, "check", mapped).refusal()


@contextlib.contextmanager
def running(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Run ``ladderpipe`` until it is stopped."""
    command = [sys.executable, "-m", "ladderpipe.cli", *map(str, arguments)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_runs_says_what_it_does_and_stops_when_asked(
    crm: str, mapped: Path, tmp_path: Path, number: signal.Signals
) -> None:
    url = shop(tmp_path / "shop.db")
    with running(crm, "run", SALES, url, mapped, "--ledger", tmp_path / "ledger.db") as process:
        assert process.stderr is not None
        log = [process.stderr.readline(), process.stderr.readline()]
        process.send_signal(number)
        log += process.stderr.readlines()
        assert process.wait(timeout=30) == 0
    said = [re.sub(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ  ", "", line).strip() for line in log]
    assert said[:2] == [f"keeping {TITLES[crm]} in step with sales-management", "3 deals told"]
    assert said[-1] == "stopped"


def test_what_is_wrong_is_said_as_soon_as_it_runs(
    crm: str, mapped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{crm.upper()}_TOKEN", "revoked")
    url = shop(tmp_path / "shop.db")
    with running(crm, "run", SALES, url, mapped, "--ledger", tmp_path / "ledger.db") as process:
        assert process.stderr is not None
        assert "look whether the token is right" in process.stderr.readline()


def test_what_is_not_said_is_asked_for(
    crm: str, mapped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for needed in (f"{crm.upper()}_TOKEN", next(iter(TOLD[crm]))):
        with monkeypatch.context() as patch:
            patch.delenv(needed)
            assert needed in run(crm, "check", mapped).refusal()
    assert "MAP" in run(crm, "check", "--help").out, "help takes no account"

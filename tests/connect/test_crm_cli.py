"""``ladderpipe hubspot``, ``pipedrive`` and ``brevo``, against a CRM over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ladderpipe import Board
from ladderpipe.templates import sales_management
from tests.commands import SALES, run, shop

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


def test_a_wrong_token_is_told_in_one_line(
    crm: str, mapped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{crm.upper()}_TOKEN", "revoked")
    assert "token" in run(crm, "check", mapped).refusal()


def test_what_is_not_said_is_asked_for(
    crm: str, mapped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = next(iter(TOLD[crm]))
    monkeypatch.delenv(needed)
    assert needed in run(crm, "check", mapped).refusal()
    assert "MAP" in run(crm, "check", "--help").out, "help takes no account"

"""``ladderpipe hubspot``, against a portal over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ladderpipe import Board
from ladderpipe.templates import sales_management
from tests.commands import SALES, run, shop

from .portals import APP, Portal, a_portal
from .test_hubspot import MAP


@pytest.fixture(scope="module")
def portal() -> Iterator[Portal]:
    with a_portal() as portal:
        yield portal


@pytest.fixture
def mapped(tmp_path: Path) -> Path:
    path = tmp_path / "hubspot.toml"
    stages = "\n".join(f'{ours} = "{theirs}"' for ours, theirs in MAP.stages.items())
    path.write_text(f'pipeline = "shop"\n[stages]\n{stages}\n')
    return path


@pytest.fixture
def to(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    portal.reset()
    monkeypatch.setenv("HUBSPOT_TOKEN", "token")
    monkeypatch.setenv("HUBSPOT_APP", APP)
    monkeypatch.setenv("HUBSPOT_API", portal.url)


@pytest.mark.usefixtures("to")
def test_a_portal_that_is_set_up_is_fine(mapped: Path) -> None:
    ran = run("hubspot", "check", mapped, "--pipeline", SALES)
    assert (ran.code, ran.out.strip()) == (0, "HubSpot is set up")


@pytest.mark.usefixtures("to")
def test_what_is_missing_is_named(portal: Portal, mapped: Path) -> None:
    mapped.write_text(mapped.read_text().replace("s-won", "s-gone").replace("lost =", "lots ="))
    portal.unique["companies"] = set()
    ran = run("hubspot", "check", mapped, "--pipeline", SALES)
    assert ran.code == 1
    for word in ("s-gone", "ladderpipe_company", "'lost'", "'lots'"):
        assert word in ran.out


@pytest.mark.usefixtures("to")
def test_a_board_is_told_and_drift_is_shown(portal: Portal, mapped: Path, tmp_path: Path) -> None:
    url = shop(tmp_path / "shop.db")
    command = ("hubspot", "reconcile", SALES, url, mapped, "--ledger", tmp_path / "ledger.db")
    assert run(*command).code == 0
    with Board.open(sales_management(), url) as board:
        assert portal.deals().keys() == {deal.id for deal in board.deals()}
    portal.deals()["cart-1"].properties["amount"] = "1"
    ran = run(*command, "--mend")
    assert ran.code == 1
    assert "cart-1: amount is '1' and not '1798'" in ran.out
    assert run(*command).code == 0


@pytest.mark.usefixtures("to")
def test_a_portal_that_is_away_is_told_in_one_line(
    portal: Portal, mapped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUBSPOT_TOKEN", "revoked")
    assert "token" in run("hubspot", "check", mapped).refusal()

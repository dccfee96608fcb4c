"""``ladderpipe what-if`` and ``ladderpipe mine``, as typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("typer")

from ladderpipe import insight
from ladderpipe.templates import sales_management
from tests.commands import SALES, run, shop


@pytest.fixture
def url(tmp_path: Path) -> str:
    return shop(tmp_path / "shop.db")


@pytest.fixture
def changed(tmp_path: Path) -> Path:
    """Return the file of a ladder on which carts are abandoned after one day."""
    data = sales_management("en").to_dict()
    for rule in data["rules"]:
        if rule.get("after") == {"hours": 48}:
            rule["after"] = {"hours": 24}
    path = tmp_path / "changed.json"
    path.write_text(json.dumps(data))
    return path


def test_what_would_have_been_different_is_shown(url: str, changed: Path):
    ran = run("what-if", url, "--pipeline", changed, "--as-of", "2026-01-07T10:00Z")
    assert ran.code == 0, ran.err
    assert "1 deal of 3 would have moved differently, up to 2026-01-07 10:00 UTC" in ran.out
    assert "What if: stages" in ran.out
    assert "* What nobody can know: how customers would have reacted." in ran.out


def test_it_is_told_in_italian(url: str, changed: Path):
    ran = run("what-if", url, "-p", changed, "--language", "it", "--as-of", "2026-01-07T10:00Z")
    assert "E se: fasi" in ran.out
    assert "* Che cosa nessuno può sapere" in ran.out


def test_machines_get_everything(url: str, changed: Path):
    as_of = ("--as-of", "2026-01-07T10:00Z")
    found = run("what-if", url, "-p", changed, *as_of, "--json").json()
    assert (found["as_of"], found["different"]) == ("2026-01-07T10:00:00Z", 1)
    (cart,) = [deal for deal in found["deals"] if deal["differs_at"]]
    assert (cart["deal"], cart["differs_at"]) == ("cart-1", "2026-01-06T09:00:00Z")
    stages = {stage["stage"]: stage for stage in found["stages"]}
    assert stages["checkout_abandoned"]["time_change_seconds"] == 24 * 3600
    assert "how customers would have reacted" in found["notes"][0]


def test_the_same_ladder_makes_no_difference(url: str):
    ran = run("what-if", url, "--pipeline", SALES)
    assert "0 deals of 3 would have moved differently" in ran.out


def test_a_stage_may_be_called_otherwise(url: str, tmp_path: Path):
    text = json.dumps(sales_management("en").to_dict()).replace("checkout_abandoned", "left")
    renamed = tmp_path / "renamed.json"
    renamed.write_text(text)
    assert run("what-if", url, "-p", renamed, "--json").json()["different"] == 2
    same = ("--renamed", "checkout_abandoned=left")
    assert run("what-if", url, "-p", renamed, *same, "--json").json()["different"] == 0


def test_a_rename_without_its_partner_is_refused(url: str):
    refused = run("what-if", url, "-p", SALES, "--renamed", "left").refusal(2)
    assert "write OLD=NEW" in refused


def test_an_instant_to_come_is_refused(url: str):
    refused = run("what-if", url, "-p", SALES, "--as-of", "2999-01-01T00:00Z").refusal()
    assert "lies after the board's clock" in refused


def test_a_store_is_exported_and_taken_in_again(url: str, tmp_path: Path):
    log, copy = tmp_path / "shop.xes.gz", f"sqlite:///{tmp_path / 'copy.db'}"
    told = run("mine", "export", url, log, "--what", "events", "--json").json()
    assert (told["cases"], told["activities"]) == (3, 4)
    taken = run("mine", "import", log, "--pipeline", SALES, "--into", copy, "--json").json()
    assert taken["logs"][0]["accepted"] == 4
    assert run("history", copy, "cart-2", "--json").json()["visits"][-1]["stage"] == (
        "order_confirmed"
    )


def test_an_export_says_what_went_into_it(url: str, tmp_path: Path):
    ran = run("mine", "export", url, tmp_path / "shop.csv", "--as-of", "2026-01-07T10:00Z")
    assert ran.out.endswith("shop.csv: 3 cases, 5 activities\n")
    assert (tmp_path / "shop.csv").exists()


def test_a_name_that_says_no_format_is_refused(url: str, tmp_path: Path):
    refused = run("mine", "export", url, tmp_path / "shop.xlsx").refusal()
    assert "says no format of an event log" in refused


def test_a_bad_activity_is_told_by_its_number(url: str, tmp_path: Path):
    log, copy = tmp_path / "shop.xes", f"sqlite:///{tmp_path / 'copy.db'}"
    run("mine", "export", url, log)
    ran = run("mine", "import", log, "--pipeline", SALES, "--into", copy)
    assert "shop.xes:1: no ladderpipe_event" in ran.out


def test_what_is_exported_is_what_the_tables_say(url: str, tmp_path: Path):
    from ladderpipe.cli.loading import reading_board

    told = run("mine", "export", url, tmp_path / "shop.xes", "--json").json()
    with reading_board(url) as board:
        assert told["activities"] == insight.moves(board).height

"""``ladderpipe replay`` and ``ladderpipe verify``, as typed."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("typer")

from ladderpipe.cli import main

HEADER = "event_time,event_type,product_id,price,user_id,user_session"
ADA, BOB = (f"0000000{n}-0000-0000-0000-000000000000" for n in (1, 2))
ROWS = [
    f"2022-10-01 00:00:00 UTC,view,5,2.50,1,{ADA}",
    f"2022-10-01 00:00:01 UTC,cart,5,2.50,1,{ADA}",
    f"2022-10-01 00:00:01 UTC,cart,6,1.00,1,{BOB}",
    f"2022-10-01 00:00:09 UTC,purchase,6,1.00,1,{BOB}",
    "2022-10-01 00:00:09 UTC,cart,6,1.00,1,nobody",
]
LADDER = ["--pipeline", "ladderpipe.templates:sales_management", "--map", "cart-events"]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with a log of five rows, one of them bad."""
    monkeypatch.chdir(tmp_path)
    Path("shop.csv").write_text("\n".join([HEADER, *ROWS]), "utf-8")
    return tmp_path


def replay(*arguments: str, log: str = "shop.csv") -> int:
    return main(["replay", log, *LADDER, "--into", "sqlite:///shop.db", *arguments])


def printed(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_a_log_goes_in_and_the_report_says_what_came_out(capsys: pytest.CaptureFixture[str]):
    assert replay() == 0
    out = capsys.readouterr().out
    assert "2 opened, 1 moved" in out
    assert "Check Out abbandonato" in out
    assert "shop.csv:6: user_session is 'nobody'" in out


def test_the_report_as_json(capsys: pytest.CaptureFixture[str]):
    assert replay("--json") == 0
    report = printed(capsys)
    (log,) = report["logs"]
    assert (log["source"], log["lines"], log["ignored"], log["accepted"]) == ("log", 5, 1, 3)
    assert log["bad_lines"][0]["line"] == 6
    assert report["stages"]["checkout_abandoned"] == 1
    assert report["stages"]["order_confirmed"] == 1


def test_a_second_replay_adds_nothing(capsys: pytest.CaptureFixture[str]):
    assert replay() == 0
    capsys.readouterr()
    assert replay("--json") == 0
    report = printed(capsys)
    assert report["logs"][0]["outcomes"]["duplicate"] == 3
    assert report["logs"][0]["accepted"] == 0


@pytest.mark.parametrize(
    ("until", "abandoned"),
    [("none", 0), ("2022-10-03T00:00:00Z", 0), ("2022-10-03T00:00:01Z", 1), ("now", 1)],
)
def test_timers_fire_as_far_as_asked(
    capsys: pytest.CaptureFixture[str], until: str, abandoned: int
):
    assert replay("--tick-to", until, "--json") == 0
    assert printed(capsys)["stages"]["checkout_abandoned"] == abandoned


@pytest.mark.parametrize("until", ["tomorrow", "2022-10-03", "2999-01-01T00:00:00Z"])
def test_a_time_to_tick_to_that_makes_no_sense_is_refused(
    capsys: pytest.CaptureFixture[str], until: str
):
    assert replay("--tick-to", until) == 2
    assert "--tick-to" in capsys.readouterr().err
    assert not Path("shop.db").exists()


def test_bad_lines_fail_only_when_asked_to_and_all_go_to_a_file():
    assert replay("--errors", "bad.txt") == 0
    assert Path("bad.txt").read_text().startswith("shop.csv:6: user_session is 'nobody'")
    assert replay("--strict") == 1


def test_two_logs_of_one_name_are_two_logs(capsys: pytest.CaptureFixture[str]):
    Path("b").mkdir()
    Path("b/shop.csv").write_text("\n".join([HEADER, ROWS[2], ROWS[1].replace(ADA, BOB)]))
    assert replay("b/shop.csv", "--json") == 0
    first, second = printed(capsys)["logs"]
    assert (first["accepted"], second["accepted"]) == (3, 1)


def test_a_log_of_which_most_lines_are_bad_fails(capsys: pytest.CaptureFixture[str]):
    Path("shop.csv").write_text("\n".join([HEADER, ROWS[1], *[ROWS[4]] * 2]))
    assert replay() == 1
    out = capsys.readouterr().out
    assert "2 × shop.csv:3: user_session is 'nobody'" in out
    assert "from 2022-10-01 00:00 to 2022-10-01 00:00 UTC" in out
    assert "timers: 1 × after 48 h" in out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--map", "cart-event"], "cart-events, otto"),
        (["--pipeline", "nothing"], "names no pipeline"),
        (["--into", "oracle://x"], "names no store"),
    ],
)
def test_what_cannot_be_found_is_told_in_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
):
    assert replay(*arguments) == 1
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


def test_a_store_is_verified_by_its_url_alone(capsys: pytest.CaptureFixture[str]):
    replay()
    assert main(["verify", "sqlite:///shop.db"]) == 0
    assert "everything agrees" in capsys.readouterr().out
    assert main(["verify", "sqlite:///shop.db", "--json"]) == 0
    (report,) = printed(capsys)
    assert (report["pipeline"], report["deals"], report["agrees"]) == ("sales-management", 2, True)


def test_damage_is_told_and_fails(capsys: pytest.CaptureFixture[str]):
    replay()
    with sqlite3.connect("shop.db") as connection:
        connection.execute("UPDATE ladder_deals SET stage = 'lost' WHERE deal = ?", (ADA,))
    connection.close()
    capsys.readouterr()
    assert main(["verify", "sqlite:///shop.db"]) == 1
    out = capsys.readouterr().out
    # The deal, and the totals of the stages that it was taken out of and put into by hand.
    assert "2 do not agree" in out
    assert f"deal '{ADA}': stored in lost" in out
    assert main(["verify", "sqlite:///shop.db", "--json"]) == 1
    assert [each["deal"] for each in printed(capsys)[0]["differences"]] == [None, ADA]


def test_every_pipeline_of_a_store_is_verified(capsys: pytest.CaptureFixture[str]):
    replay()
    assert replay("--pipeline", "tests.shops:lead_ladder") == 0
    capsys.readouterr()
    assert main(["verify", "sqlite:///shop.db"]) == 0
    out = capsys.readouterr().out
    assert "sales-management: 2 deals" in out
    assert "leads: 2 deals" in out
    assert main(["verify", "sqlite:///shop.db", "--name", "leads", "--json"]) == 0
    assert len(printed(capsys)) == 1


def test_a_store_that_is_not_there_is_not_made():
    assert main(["verify", "sqlite:///missing.db"]) == 1
    assert not Path("missing.db").exists()

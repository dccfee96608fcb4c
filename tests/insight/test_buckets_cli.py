"""``ladderpipe replay --buckets`` and ``ladderpipe report FOLDER``, as typed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("typer")

from ladderpipe.cli import main
from tests.insight.test_bucketed_logs import HEAD, MAP

LADDER = ["--pipeline", "ladderpipe.templates:sales_management"]
ROWS = [
    "2026-01-05 09:00:00,add,b-1,S,9.90",
    "2026-01-05 09:00:00,add,b-1,S,9.90",
    "2026-01-05 09:00:00,view,b-1,S,9.90",
    "2026-01-05 09:10:00,add,b-2,S,9.90",
    "2026-01-05 09:20:00,pay,b-2,,",
    "2026-01-05 09:20:00,fly,b-3,S,9.90",
]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("shop.csv").write_text("\n".join([HEAD, *ROWS]), "utf-8")
    Path("shop.toml").write_text(MAP)


def bulk(*arguments: str, into: str = "out") -> int:
    log = ["replay", "shop.csv", "--map", "shop.toml", *LADDER, "--into", into]
    return main([*log, "--buckets", "2", *arguments])


def printed(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_a_log_goes_into_a_folder_and_what_came_of_it_is_told(capsys: pytest.CaptureFixture[str]):
    assert bulk("--errors", "bad.txt") == 0
    out = capsys.readouterr().out
    assert "4 events in 2 buckets: out" in out
    assert "1 bad lines, left out" in out
    assert "shop.csv:7:" in Path("bad.txt").read_text()
    assert bulk("--json") == 0
    told = printed(capsys)
    assert (told["events"], told["buckets"], told["stages"]["order_confirmed"]) == (4, 2, 1)
    assert told["stages"]["checkout_abandoned"] == 1
    assert told["logs"][0]["bad_lines"][0]["line"] == 7
    assert bulk("--strict") == 1


def test_the_stages_are_those_of_a_board(capsys: pytest.CaptureFixture[str]):
    assert bulk("--json", "--tick-to", "2026-01-06T00:00Z", "--processes", "2") == 0
    found = printed(capsys)
    log = ["replay", "shop.csv", "--map", "shop.toml", *LADDER, "--into", "sqlite:///shop.db"]
    assert main([*log, "--json", "--tick-to", "2026-01-06T00:00Z"]) == 0
    assert found["stages"] == printed(capsys)["stages"]


def test_reports_of_a_folder(capsys: pytest.CaptureFixture[str]):
    pytest.importorskip("altair")
    assert bulk() == 0
    assert main(["report", "out", "--out", "page.html"]) == 0
    assert Path("page.html").read_text().startswith("<!doctype html>")
    assert "on 2 deals" in capsys.readouterr().out


def test_what_if_of_a_folder(capsys: pytest.CaptureFixture[str]):
    assert bulk() == 0
    capsys.readouterr()
    assert main(["what-if", "out", *LADDER, "--json"]) == 0
    told = printed(capsys)
    assert {row["status_after"]: row["deals"] for row in told["outcomes"]} == {
        "abandoned": 1,
        "won": 1,
    }


def test_what_is_refused(capsys: pytest.CaptureFixture[str]):
    assert bulk(into="sqlite:///shop.db") == 2
    assert "--into names a folder" in capsys.readouterr().err
    assert bulk() == 0
    assert bulk("--tick-to", "2026-01-06T00:00Z") == 1
    assert "the instant up to which it replays was" in capsys.readouterr().err
    (theirs := Path("theirs")).mkdir()
    (theirs / "mine.txt").write_text("mine")
    assert bulk(into="theirs") == 1
    assert "holds something else (mine.txt)" in capsys.readouterr().err
    assert main(["report", "theirs", "--out", "page.html"]) == 1
    assert "holds no replay" in capsys.readouterr().err


def test_parquet_needs_no_map(capsys: pytest.CaptureFixture[str]):
    from ladderpipe.insight.bulk.event_frame import read_events
    from tests.insight.test_buckets import lines

    read_events(lines(), None).write_parquet("log.parquet")
    parquet = ["replay", "log.parquet", *LADDER, "--into", "out"]
    assert main([*parquet, "--json"]) == 0
    assert printed(capsys)["events"] == len(lines())
    assert main([*parquet, "--map", "shop.toml"]) == 2
    assert "leave out --map" in capsys.readouterr().err
